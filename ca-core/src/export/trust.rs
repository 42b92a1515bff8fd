//! The certificates that others need to trust authorities of a home.

use ca_domain::Timestamp;
use der::Decode;
use sha2::{Digest, Sha256};
use x509_cert::Certificate;

use crate::authority::Authority;
use crate::certify::common_name;
use crate::error::{AuthorityError, Result};
use crate::home::Home;

/// Roots, and the authorities between them and those that were chosen.
#[derive(Clone, Debug)]
pub struct TrustSet {
    roots: Vec<Trusted>,
    intermediates: Vec<Trusted>,
}

/// One certificate of an authority.
#[derive(Clone, Debug)]
pub struct Trusted {
    /// For file names: letters, digits and `-` of the common name, and the beginning of
    /// the fingerprint, so that no two have the same.
    pub file_stem: String,
    /// What people call it: the common name, else the subject.
    pub label: String,
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// The last second of its validity.
    pub not_after: Timestamp,
}

impl TrustSet {
    /// The chosen authorities with all above them; without names, every authority of
    /// the home.
    ///
    /// # Errors
    /// An authority that is not in this home; a chain without a root, which nobody
    /// could trust.
    pub fn of(home: &Home, names: &[String]) -> Result<Self> {
        let chosen = if names.is_empty() {
            Authority::all(home)?
        } else {
            names.iter().map(|name| Authority::load(home, name)).collect::<Result<_>>()?
        };
        let mut set = Self { roots: Vec::new(), intermediates: Vec::new() };
        for authority in &chosen {
            let mut rooted = false;
            for der in authority.full_chain() {
                rooted |= set.add(der)?;
            }
            if !rooted {
                return Err(AuthorityError::Refused(format!(
                    "no root is known for authority {:?}; import it with its whole chain",
                    authority.name()
                )));
            }
        }
        if set.roots.is_empty() {
            return Err(AuthorityError::NotFound(
                "this home has no authority yet; make one with `ca authority create`".into(),
            ));
        }
        Ok(set)
    }

    /// Adds a certificate, unless it is there; whether it is a root.
    fn add(&mut self, der: Vec<u8>) -> Result<bool> {
        let certificate = Certificate::from_der(&der).map_err(AuthorityError::der("a certificate"))?;
        let tbs = &certificate.tbs_certificate;
        let root = tbs.issuer == tbs.subject;
        let list = if root { &mut self.roots } else { &mut self.intermediates };
        if list.iter().all(|known| known.der != der) {
            let label = common_name(&certificate).unwrap_or_else(|| tbs.subject.to_string());
            let not_after = tbs.validity.not_after.into();
            list.push(Trusted { file_stem: file_stem(&label, &der), label, der, not_after });
        }
        Ok(root)
    }

    /// What is trusted by itself.
    #[must_use]
    pub fn roots(&self) -> &[Trusted] {
        &self.roots
    }

    /// What is trusted because of a root.
    #[must_use]
    pub fn intermediates(&self) -> &[Trusted] {
        &self.intermediates
    }

    /// Roots first, then intermediates.
    pub fn all(&self) -> impl Iterator<Item = &Trusted> {
        self.roots.iter().chain(&self.intermediates)
    }

    /// The roots with a name that no two share, whatever the letter case: Java keeps one of
    /// two with the same.
    pub(super) fn anchors(&self) -> Vec<(String, &[u8])> {
        let mut found: Vec<(String, &[u8])> = Vec::new();
        for root in &self.roots {
            let taken = found.iter().any(|(name, _)| name.to_lowercase() == root.label.to_lowercase());
            let name = if taken { format!("{} {}", root.label, root.file_stem) } else { root.label.clone() };
            found.push((name, &root.der));
        }
        found
    }

    /// Takes out what expired before `now`, and names it: Exchange refuses a collection with
    /// such a certificate.
    ///
    /// # Errors
    /// No root is left.
    pub fn remove_expired(&mut self, now: Timestamp) -> Result<Vec<String>> {
        let mut removed = Vec::new();
        for list in [&mut self.roots, &mut self.intermediates] {
            list.retain(|one| {
                let expired = one.not_after < now;
                if expired {
                    removed.push(one.label.clone());
                }
                !expired
            });
        }
        if self.roots.is_empty() {
            return Err(AuthorityError::Refused(format!(
                "every root has expired ({}); make a new one with `ca authority create`",
                removed.join(", ")
            )));
        }
        Ok(removed)
    }

    /// The roots alone.
    #[must_use]
    pub fn roots_only(mut self) -> Self {
        self.intermediates.clear();
        self
    }
}

fn file_stem(label: &str, der: &[u8]) -> String {
    let fingerprint = hex::encode(Sha256::digest(der));
    format!("{}-{}", slug(label), &fingerprint[..8])
}

/// ASCII letters and digits, with `-` for whatever lies between; never empty.
pub(super) fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let joined: String = words.collect::<Vec<_>>().join("-").chars().take(48).collect();
    if joined.is_empty() { "authority".into() } else { joined }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_plain() {
        assert_eq!(slug("Example root CA"), "Example-root-CA");
        assert_eq!(slug("../..\n/M\u{fc}ller & Co."), "M-ller-Co");
        assert_eq!(slug("\u{4e2d}\u{6587}"), "authority");
        assert_ne!(file_stem("a", b"1"), file_stem("a", b"2"));
    }

    #[test]
    fn no_two_names_are_the_same_in_a_store() {
        let root = |label: &str, der: &[u8]| Trusted {
            file_stem: file_stem(label, der),
            label: label.into(),
            der: der.to_vec(),
            not_after: Timestamp::MAX,
        };
        let roots = vec![root("Root", b"1"), root("ROOT", b"2"), root("Other", b"3")];
        let set = TrustSet { roots, intermediates: Vec::new() };
        let names: Vec<String> = set.anchors().into_iter().map(|(name, _)| name).collect();
        assert_eq!((names[0].as_str(), names[2].as_str()), ("Root", "Other"));
        assert!(names[1].starts_with("ROOT ROOT-"), "{names:?}");
    }

    #[test]
    fn what_has_expired_is_left_out() {
        let at = |seconds| Timestamp::from_unix(seconds).unwrap();
        let one = |label: &str, not_after| Trusted {
            file_stem: label.into(),
            label: label.into(),
            der: Vec::new(),
            not_after: at(not_after),
        };
        let roots = vec![one("old", 9), one("new", 20)];
        let mut set = TrustSet { roots, intermediates: vec![one("below", 10)] };
        assert_eq!(set.remove_expired(at(10)).unwrap(), ["old"]);
        assert_eq!(set.remove_expired(at(11)).unwrap(), ["below"]);
        assert!(set.remove_expired(at(21)).unwrap_err().to_string().contains("new"));
    }
}
