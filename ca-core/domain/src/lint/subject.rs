//! The subject's attributes, whatever the certificate claims.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc3280::{EMAIL_ADDRESS, PSEUDONYM};
use const_oid::db::rfc4519::{
    COMMON_NAME, COUNTRY_NAME, DOMAIN_COMPONENT, GIVEN_NAME, LOCALITY_NAME, ORGANIZATION_NAME,
    ORGANIZATIONAL_UNIT_NAME, POSTAL_CODE, SERIAL_NUMBER, ST, STREET, SURNAME, TITLE,
};
use der::Tag;

use super::view::{Attribute, View, always};
use super::{Lint, flag};
use crate::Mailbox;

/// organizationIdentifier (ETSI EN 319 412-1, section 5.1.4).
pub(super) const ORGANIZATION_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.97");

/// Characters at most: the upper bounds of RFC 5280, appendix A.1, and of
/// X.520 for the attributes that the RFC does not bound.
const BOUNDS: [(ObjectIdentifier, &str, usize); 16] = [
    (COMMON_NAME, "commonName", 64),
    (COUNTRY_NAME, "countryName", 2),
    (DOMAIN_COMPONENT, "domainComponent", 63),
    (EMAIL_ADDRESS, "emailAddress", 255),
    (GIVEN_NAME, "givenName", 32768),
    (LOCALITY_NAME, "localityName", 128),
    (ORGANIZATION_IDENTIFIER, "organizationIdentifier", 256),
    (ORGANIZATION_NAME, "organizationName", 64),
    (ORGANIZATIONAL_UNIT_NAME, "organizationalUnitName", 64),
    (POSTAL_CODE, "postalCode", 40),
    (PSEUDONYM, "pseudonym", 128),
    (SERIAL_NUMBER, "serialNumber", 64),
    (ST, "stateOrProvinceName", 128),
    (STREET, "streetAddress", 128),
    (SURNAME, "surname", 32768),
    (TITLE, "title", 64),
];

pub(super) const LINTS: &[Lint] = &[
    Lint::error("subject-rdn", "house rule", always, one_attribute),
    Lint::error("subject-bounds", "RFC 5280, appendix A.1", always, bounds)
        .client("OpenSSL and GnuTLS refuse to read some of the longer values"),
    Lint::error("subject-encoding", "RFC 5280, sections 4.1.2.4 and 4.1.2.6", always, encoding),
    Lint::error("subject-empty-value", "S/MIME BR 7.1.4.2", always, metadata_only),
    Lint::error("subject-characters", "house rule", always, characters),
    Lint::error("subject-repeated", "house rule", always, repeated),
    Lint::error("subject-country", "RFC 5280, appendix A.1", always, country),
    Lint::error("subject-mailbox-form", "RFC 5280, section 4.1.2.6", always, mailbox_form),
];

/// The name of an attribute, for messages.
pub(super) fn name(oid: ObjectIdentifier) -> String {
    BOUNDS.iter().find(|bound| bound.0 == oid).map_or_else(|| oid.to_string(), |bound| bound.1.to_owned())
}

/// A message for every attribute that a test holds for.
fn each(view: &View<'_>, wrong: impl Fn(&Attribute) -> bool, what: &str) -> Vec<String> {
    let wrong = view.subject.iter().filter(|attribute| wrong(attribute));
    wrong.map(|attribute| format!("the subject's {} {what}", name(attribute.oid))).collect()
}

fn one_attribute(view: &View<'_>) -> Vec<String> {
    let several = view.tbs.subject.0.iter().any(|rdn| rdn.0.len() != 1);
    flag(several, "every part (RDN) of the subject has exactly one attribute")
}

fn bounds(view: &View<'_>) -> Vec<String> {
    let too_long = |attribute: &Attribute| {
        let bound = BOUNDS.iter().find(|bound| bound.0 == attribute.oid);
        let length = attribute.text.as_ref().map_or(0, |text| text.chars().count());
        bound.is_some_and(|bound| length > bound.2)
    };
    each(view, too_long, "is longer than its upper bound")
}

fn encoding(view: &View<'_>) -> Vec<String> {
    let wrong = |attribute: &Attribute| {
        let allowed: &[Tag] = match attribute.oid {
            COUNTRY_NAME | SERIAL_NUMBER => &[Tag::PrintableString],
            EMAIL_ADDRESS | DOMAIN_COMPONENT => &[Tag::Ia5String],
            _ => &[Tag::PrintableString, Tag::Utf8String],
        };
        attribute.text.is_none() || !allowed.contains(&attribute.tag)
    };
    each(view, wrong, "has a string type that is not allowed for it")
}

fn metadata_only(view: &View<'_>) -> Vec<String> {
    let meaningless = |text: &String| text.chars().all(|c| c.is_whitespace() || ".-_*/?".contains(c));
    each(view, |a| a.text.as_ref().is_some_and(meaningless), "has no content; leave it out")
}

/// Controls and the characters that reorder or hide text make a name read as
/// another one.
fn characters(view: &View<'_>) -> Vec<String> {
    let deceptive = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffd}')
    };
    let wrong = |text: &String| text.chars().any(deceptive) || text.trim() != text;
    each(
        view,
        |a| a.text.as_ref().is_some_and(wrong),
        "has control or invisible characters, or spaces at an end",
    )
}

fn repeated(view: &View<'_>) -> Vec<String> {
    let several = [DOMAIN_COMPONENT, ORGANIZATIONAL_UNIT_NAME];
    let again = view.subject.iter().enumerate().filter(|(at, attribute)| {
        !several.contains(&attribute.oid) && view.subject[..*at].iter().any(|a| a.oid == attribute.oid)
    });
    again.map(|(_, attribute)| format!("the subject has {} twice", name(attribute.oid))).collect()
}

fn country(view: &View<'_>) -> Vec<String> {
    let code = |text: &String| text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
    let wrong = |a: &Attribute| a.oid == COUNTRY_NAME && !a.text.as_ref().is_some_and(code);
    each(view, wrong, "is not two capital letters (ISO 3166-1)")
}

fn mailbox_form(view: &View<'_>) -> Vec<String> {
    let plain = |text: &String| {
        Mailbox::parse(text).is_ok_and(|mailbox| mailbox.as_str() == text && !mailbox.is_internationalized())
    };
    let wrong = |a: &Attribute| a.oid == EMAIL_ADDRESS && !a.text.as_ref().is_some_and(plain);
    each(view, wrong, "is not one ASCII mailbox in canonical form")
}
