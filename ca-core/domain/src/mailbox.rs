//! Mailboxes and host names as certificates carry them.
//!
//! A name is refused unless its form is the only one it has: what is compared,
//! indexed and put into a certificate is then the same text everywhere.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

mod domain;
pub(crate) mod script;

pub use domain::{DnsName, DomainError};

/// Octets of a local part at most (RFC 5321, section 4.5.3.1.1).
const MAX_LOCAL_PART: usize = 64;
/// Octets of a mailbox at most: a path of 256 less its angle brackets
/// (RFC 5321, section 4.5.3.1.3).
const MAX_MAILBOX: usize = 254;

/// A mailbox, `local-part@domain` (RFC 5321, section 4.1.2), in canonical form.
///
/// The local part is a dot-atom, kept as it was given: its letter case belongs
/// to the mail system. The domain is in lower case with A-labels. Quoted local
/// parts and address literals are refused.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mailbox {
    /// The canonical text.
    text: String,
    /// Where the `@` is.
    at: usize,
}

/// Why a text is not a mailbox that we certify.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MailboxError {
    /// No `@`.
    #[error("{0:?} is not a mailbox: write it as local-part@domain")]
    NoAt(String),
    /// More than one `@`.
    #[error("{0:?} has more than one @; give one address without a display name")]
    ManyAts(String),
    /// Nothing before the `@`, a leading, trailing or double dot.
    #[error("{0:?}: the local part is empty or has an empty atom between its dots")]
    EmptyAtom(String),
    /// A quoted local part.
    #[error("{0:?} has a quoted local part, which mail clients compare differently; use a plain address")]
    Quoted(String),
    /// A character that may not stand in a local part.
    #[error("{mailbox:?}: {character:?} (U+{code:04X}) may not stand in a local part", code = u32::from(*.character))]
    Character {
        /// The text.
        mailbox: String,
        /// The first offending character.
        character: char,
    },
    /// Not in Unicode normalization form C.
    #[error("{0:?}: the local part is not in Unicode normalization form C; retype it composed")]
    NotNormalized(String),
    /// Letters of scripts that look alike.
    #[error("{0:?}: the local part mixes Latin, Cyrillic or Greek letters, as look-alike addresses do")]
    MixedScripts(String),
    /// Too many octets.
    #[error("{0:?} is too long: 64 octets before the @, 254 in all (RFC 5321, section 4.5.3.1)")]
    TooLong(String),
    /// The domain is refused.
    #[error("{mailbox:?}: {source}")]
    Domain {
        /// The text.
        mailbox: String,
        /// What is wrong with its domain.
        source: DomainError,
    },
}

impl Mailbox {
    /// Reads a mailbox. The domain may be given with U-labels or A-labels, but
    /// not with both.
    ///
    /// # Errors
    /// [`MailboxError`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, MailboxError> {
        let shown = || shorten(text);
        let (local, domain) = text.split_once('@').ok_or_else(|| MailboxError::NoAt(shown()))?;
        if local.starts_with('"') {
            return Err(MailboxError::Quoted(shown()));
        }
        if domain.contains('@') {
            return Err(MailboxError::ManyAts(shown()));
        }
        if let Some(character) = local.chars().find(|c| *c != '.' && !script::is_atom_text(*c)) {
            return Err(MailboxError::Character { mailbox: shown(), character });
        }
        for atom in local.split('.') {
            let first = atom.chars().next().ok_or_else(|| MailboxError::EmptyAtom(shown()))?;
            if script::is_mark(first) {
                return Err(MailboxError::Character { mailbox: shown(), character: first });
            }
        }
        if local.len() > MAX_LOCAL_PART {
            return Err(MailboxError::TooLong(shown()));
        }
        if !script::is_nfc(local) {
            return Err(MailboxError::NotNormalized(shown()));
        }
        if script::mixes_look_alikes(local) {
            return Err(MailboxError::MixedScripts(shown()));
        }
        let refused = |source| MailboxError::Domain { mailbox: shown(), source };
        let domain = DnsName::parse(domain).map_err(refused)?;
        if !domain.as_str().contains('.') {
            return Err(refused(DomainError::OneLabel));
        }
        let canonical = format!("{local}@{domain}");
        if canonical.len() > MAX_MAILBOX {
            return Err(MailboxError::TooLong(shown()));
        }
        Ok(Self { at: local.len(), text: canonical })
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands before the `@`, as given.
    #[must_use]
    pub fn local_part(&self) -> &str {
        &self.text[..self.at]
    }

    /// The domain: lower case, A-labels.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }

    /// Whether the local part goes beyond ASCII: such a mailbox goes into a
    /// certificate as SmtpUTF8Mailbox, any other as rfc822Name (RFC 9598).
    #[must_use]
    pub fn is_internationalized(&self) -> bool {
        !self.local_part().is_ascii()
    }
}

/// The beginning of a text, for messages.
fn shorten(text: &str) -> String {
    text.chars().take(100).collect()
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Mailbox {
    type Err = MailboxError;

    fn from_str(text: &str) -> Result<Self, MailboxError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Mailbox {
    type Error = MailboxError;

    fn try_from(text: String) -> Result<Self, MailboxError> {
        Self::parse(&text)
    }
}

impl From<Mailbox> for String {
    fn from(mailbox: Mailbox) -> Self {
        mailbox.text
    }
}

#[cfg(test)]
mod tests;
