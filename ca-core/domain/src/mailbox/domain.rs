//! Domain names.

use std::fmt;
use std::str::FromStr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use serde::{Deserialize, Serialize};

use super::{script, shorten};

/// A domain name: lower case, A-labels, no trailing dot, no wildcard.
///
/// Labels are letters, digits and inner hyphens (RFC 1123, section 2.1), of at
/// most 63 octets; the whole has at most 253.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsName(String);

/// Why a text is not a domain name that we certify.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DomainError {
    /// Nothing, or nothing between two dots.
    #[error("the domain is empty or has an empty label")]
    EmptyLabel,
    /// A dot at the end.
    #[error("the domain ends with a dot; certificates name hosts without it")]
    TrailingDot,
    /// Too many octets.
    #[error("the domain is too long: 63 octets a label, 253 in all")]
    TooLong,
    /// A character outside letters, digits and inner hyphens.
    #[error("{0:?}: a domain has only letters, digits and inner hyphens")]
    Character(String),
    /// The last label is a number, as in an IPv4 address.
    #[error("{0:?} looks like an IP address, not a domain")]
    Numeric(String),
    /// A-labels beside U-labels.
    #[error("{0:?} mixes xn-- labels with Unicode labels; write all of them in one form")]
    MixedLabels(String),
    /// Not valid under IDNA, or not in its canonical form.
    #[error(
        "{0:?} is not a valid internationalised domain; write it composed and in lower case (UTS 46, RFC 5891)"
    )]
    Idna(String),
    /// Letters of scripts that look alike in one label.
    #[error("{0:?} has a label that mixes Latin, Cyrillic or Greek letters, as look-alike domains do")]
    MixedScripts(String),
    /// A label of look-alike letters only.
    #[error("{0:?} has a label that only imitates Latin letters")]
    LookAlike(String),
    /// No dot: not a domain of the mail system.
    #[error("the domain has one label only; a mailbox needs a full domain name")]
    OneLabel,
}

impl DnsName {
    /// Reads a domain name, with U-labels or with A-labels.
    ///
    /// # Errors
    /// [`DomainError`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        let shown = || shorten(text);
        // More octets than any valid U-label form has.
        if text.len() > 4 * 253 {
            return Err(DomainError::TooLong);
        }
        if text.len() > 1 && text.ends_with('.') && !text.ends_with("..") {
            return Err(DomainError::TrailingDot);
        }
        if text.split('.').any(str::is_empty) {
            return Err(DomainError::EmptyLabel);
        }
        let plain = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || c == '-' || c == '.';
        let edge = |label: &str| label.starts_with('-') || label.ends_with('-');
        if !text.chars().all(plain) || text.split('.').any(edge) {
            return Err(DomainError::Character(shown()));
        }
        let lower = text.to_ascii_lowercase();
        let is_alabel = |label: &str| label.starts_with("xn--");
        let name = if lower.is_ascii() && !lower.split('.').any(is_alabel) {
            lower
        } else {
            international(&lower).map_err(|error| error(shown()))?
        };
        if name.len() > 253 || name.split('.').any(|label| label.len() > 63) {
            return Err(DomainError::TooLong);
        }
        let last = name.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|b| b.is_ascii_digit()) {
            return Err(DomainError::Numeric(shown()));
        }
        Ok(Self(name))
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The A-label form of a name that has labels beyond ASCII.
fn international(lower: &str) -> Result<String, fn(String) -> DomainError> {
    if !lower.is_ascii() && lower.split('.').any(|label| label.starts_with("xn--")) {
        return Err(DomainError::MixedLabels);
    }
    let uts46 = Uts46::new();
    // Lengths are checked by the caller, with an error of their own.
    let ascii = uts46
        .to_ascii(lower.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Ignore)
        .map_err(|_| DomainError::Idna as fn(String) -> DomainError)?;
    let (unicode, valid) = uts46.to_unicode(ascii.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    // UTS 46 maps: full-width letters, other dots, decomposed letters. A text
    // that the mapping changes has a second form, so it is refused.
    let unchanged = if lower.is_ascii() { ascii == lower } else { unicode == lower };
    if valid.is_err() || !unchanged {
        return Err(DomainError::Idna);
    }
    for label in unicode.split('.') {
        if script::mixes_look_alikes(label) {
            return Err(DomainError::MixedScripts);
        }
        if !label.is_ascii() && script::is_all_twins(label) {
            return Err(DomainError::LookAlike);
        }
    }
    Ok(ascii.into_owned())
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DnsName {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for DnsName {
    type Error = DomainError;

    fn try_from(text: String) -> Result<Self, DomainError> {
        Self::parse(&text)
    }
}

impl From<DnsName> for String {
    fn from(name: DnsName) -> Self {
        name.0
    }
}
