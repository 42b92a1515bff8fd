//! Values of subject attributes.

use der::Tag;
use der::asn1::{Any, Ia5StringRef, PrintableStringRef, SetOfVec, Utf8StringRef};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::RelativeDistinguishedName;

use super::error::ProfileError;
use crate::mailbox::script::{is_nfc, mixes_look_alikes};
use crate::template::SubjectAttribute;

/// Whether the value may stand in the attribute; if not, why and what may.
pub(crate) fn check_attribute_value(attribute: SubjectAttribute, value: &str) -> Result<(), String> {
    let shown: String = value.chars().take(80).collect();
    if value.is_empty() || value.trim() != value {
        return Err(format!("{shown:?} is empty or has spaces around it; write the value alone"));
    }
    if let Some(c) = value.chars().find(|c| c.is_control() || is_invisible(*c)) {
        return Err(format!(
            "{shown:?} has the invisible character U+{:04X}; retype the value",
            u32::from(c)
        ));
    }
    // One name has one form; a word of two scripts is a look-alike of another.
    if !is_nfc(value) {
        return Err(format!(
            "{shown:?} is not in Unicode normalization form C; type it with composed letters"
        ));
    }
    if let Some(word) = value.split_whitespace().find(|word| mixes_look_alikes(word)) {
        return Err(format!(
            "{shown:?} mixes Latin, Cyrillic or Greek letters in {word:?}, as look-alike names do; retype it"
        ));
    }
    // S/MIME BR 7.1.4.2.2: no value that only says that there is none.
    if !value.chars().any(char::is_alphanumeric) {
        return Err(format!("{shown:?} says nothing; leave the attribute out"));
    }
    let length = value.chars().count();
    if attribute == SubjectAttribute::Country
        && !(length == 2 && value.bytes().all(|b| b.is_ascii_uppercase()))
    {
        return Err(format!("{shown:?} is not a country; use two capital letters (ISO 3166-1)"));
    }
    let maximum = attribute.max_chars();
    if length > maximum {
        return Err(format!("{shown:?} has {length} characters; use at most {maximum}"));
    }
    let fits = match attribute.string_type() {
        Tag::PrintableString => PrintableStringRef::new(value).is_ok(),
        Tag::Ia5String => value.is_ascii(),
        _ => true,
    };
    if fits { Ok(()) } else { Err(format!("{shown:?} has characters outside {}", attribute.string_type())) }
}

/// Zero-width and direction-changing characters, which make two names look like
/// one, and line separators.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{00AD}'
            | '\u{034F}'
            | '\u{061C}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}

/// The attribute in a relative distinguished name of its own.
pub(super) fn rdn(
    attribute: SubjectAttribute,
    value: &str,
) -> Result<RelativeDistinguishedName, ProfileError> {
    check_attribute_value(attribute, value)
        .map_err(|what| ProfileError::AttributeValue { attribute, what })?;
    let value = match attribute.string_type() {
        Tag::PrintableString => PrintableStringRef::new(value).and_then(|text| Any::encode_from(&text)),
        Tag::Ia5String => Ia5StringRef::new(value).and_then(|text| Any::encode_from(&text)),
        _ => Utf8StringRef::new(value).and_then(|text| Any::encode_from(&text)),
    }
    .map_err(ProfileError::Encoding)?;
    let pair = AttributeTypeAndValue { oid: attribute.oid(), value };
    let set = SetOfVec::try_from(vec![pair]).map_err(ProfileError::Encoding)?;
    Ok(RelativeDistinguishedName(set))
}
