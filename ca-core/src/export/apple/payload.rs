//! What every payload has, and its identifiers.

use plist::{Dictionary, Value};
use sha2::{Digest, Sha256};

use crate::error::{AuthorityError, Result};

/// The identifier of a profile, from which those of its payloads come.
pub(super) struct Namespace(String);

impl Namespace {
    pub(super) fn new(identifier: &str) -> Self {
        Self(identifier.to_owned())
    }

    /// The same for the same content, so that a device sees what changed when a profile
    /// is exported again. UUID of version 8 (RFC 9562, section 5.8): bits of a SHA-256.
    fn uuid(&self, name: &str, content: &[u8]) -> String {
        let mut hash = Sha256::new();
        for part in [self.0.as_bytes(), name.as_bytes(), content] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut bytes: Vec<u8> = hash.finalize().into_iter().take(16).collect();
        if let [.., version, _, variant, _, _, _, _, _, _, _] = bytes.as_mut_slice() {
            *version = *version & 0x0f | 0x80;
            *variant = *variant & 0x3f | 0x80;
        }
        let text = hex::encode_upper(bytes);
        let parts = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
        parts.join("-")
    }
}

/// A payload of `kind` and its UUID; without `name`, the profile itself. `content` is
/// what it is about.
pub(super) fn payload(
    kind: &str,
    space: &Namespace,
    name: &str,
    content: &[u8],
    shown: &str,
) -> (String, Dictionary) {
    let uuid = space.uuid(&format!("{kind} {name}"), content);
    let identifier = if name.is_empty() { space.0.clone() } else { format!("{}.{name}", space.0) };
    let mut dictionary = Dictionary::new();
    let texts = [
        ("PayloadType", kind),
        ("PayloadIdentifier", identifier.as_str()),
        ("PayloadUUID", uuid.as_str()),
        ("PayloadDisplayName", shown),
    ];
    for (key, text) in texts {
        dictionary.insert(key.into(), Value::String(text.to_owned()));
    }
    dictionary.insert("PayloadVersion".into(), Value::Integer(1.into()));
    (uuid, dictionary)
}

/// A name like those of packages, in reverse order of domains.
pub(super) fn check_identifier(identifier: &str) -> Result<()> {
    let fine = (1..=200).contains(&identifier.len())
        && identifier.split('.').all(|label| !label.is_empty())
        && identifier.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    if fine {
        return Ok(());
    }
    Err(AuthorityError::Input(format!(
        "{identifier:?} cannot identify a profile; use letters, digits, '-', '_' and '.', as in test.example.smime.alice"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_follow_the_content() {
        let space = Namespace::new("test.example.smime.alice");
        let uuid = |name: &str, content: &[u8]| payload("kind", &space, name, content, "").0;
        assert_eq!(uuid("a", b"1"), uuid("a", b"1"));
        assert_ne!(uuid("a", b"1"), uuid("a", b"2"));
        assert_ne!(uuid("a", b"b1"), uuid("ab", b"1"));
        let text = uuid("a", b"1");
        assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{text}");
        assert!(text[14..].starts_with('8') && "89AB".contains(&text[19..20]), "{text}");
        assert!(check_identifier("test.example").is_ok());
        for bad in ["", ".a", "a..b", "a b", "ä"] {
            assert!(check_identifier(bad).is_err(), "{bad}");
        }
    }
}
