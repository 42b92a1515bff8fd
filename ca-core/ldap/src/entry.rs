//! What a directory answers.

use ldap3::asn1::{PL, StructureTag};

/// An entry of a directory, with the attributes that were asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Entry {
    dn: String,
    attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Entry {
    /// Its distinguished name, as the directory writes it.
    #[must_use]
    pub fn dn(&self) -> &str {
        &self.dn
    }

    /// The values of an attribute, in the directory's order; none if it has no such attribute.
    /// Names are compared without options and without regard to case.
    #[must_use]
    pub fn values(&self, attribute: &str) -> Vec<&[u8]> {
        let wanted = base(attribute);
        let same = self.attributes.iter().filter(|(name, _)| base(name).eq_ignore_ascii_case(wanted));
        same.flat_map(|(_, values)| values).map(Vec::as_slice).collect()
    }

    /// The values that are text.
    #[must_use]
    pub fn texts(&self, attribute: &str) -> Vec<&str> {
        self.values(attribute).into_iter().filter_map(|value| std::str::from_utf8(value).ok()).collect()
    }

    pub(crate) fn new(dn: String) -> Self {
        Self { dn, attributes: Vec::new() }
    }

    pub(crate) fn push(&mut self, name: &str, value: Vec<u8>) {
        match self.attributes.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => values.push(value),
            None => self.attributes.push((name.to_owned(), vec![value])),
        }
    }

    /// Reads a SearchResultEntry (RFC 4511, section 4.5.2); none if it is malformed.
    pub(crate) fn read(tag: StructureTag) -> Option<Self> {
        let mut parts = constructed(tag)?.into_iter();
        let dn = text(parts.next()?)?;
        let mut attributes = Vec::new();
        for attribute in constructed(parts.next()?)? {
            let mut parts = constructed(attribute)?.into_iter();
            let name = text(parts.next()?)?;
            let values: Option<Vec<_>> = constructed(parts.next()?)?.into_iter().map(primitive).collect();
            attributes.push((name, values?));
        }
        Some(Self { dn, attributes })
    }
}

fn base(name: &str) -> &str {
    name.split(';').next().unwrap_or(name)
}

fn constructed(tag: StructureTag) -> Option<Vec<StructureTag>> {
    match tag.payload {
        PL::C(parts) => Some(parts),
        PL::P(_) => None,
    }
}

fn primitive(tag: StructureTag) -> Option<Vec<u8>> {
    match tag.payload {
        PL::P(bytes) => Some(bytes),
        PL::C(_) => None,
    }
}

fn text(tag: StructureTag) -> Option<String> {
    String::from_utf8(primitive(tag)?).ok()
}

#[cfg(test)]
mod tests {
    use ldap3::asn1::TagClass;

    use super::*;

    fn tag(payload: PL) -> StructureTag {
        StructureTag { class: TagClass::Universal, id: 4, payload }
    }

    fn bytes(value: &[u8]) -> StructureTag {
        tag(PL::P(value.to_vec()))
    }

    #[test]
    fn raw_bytes_by_any_spelling_of_the_name() {
        let values = tag(PL::C(vec![bytes(b"\x30\xff"), bytes(b"plain")]));
        let attribute = tag(PL::C(vec![bytes(b"userCertificate;binary"), values]));
        let entry = tag(PL::C(vec![bytes(b"cn=a"), tag(PL::C(vec![attribute]))]));
        let entry = Entry::read(entry).unwrap();
        assert_eq!(entry.dn(), "cn=a");
        assert_eq!(entry.values("USERCERTIFICATE"), [&b"\x30\xff"[..], b"plain"]);
        assert_eq!(entry.texts("userCertificate;binary"), ["plain"]);
        assert!(entry.values("mail").is_empty());
    }

    #[test]
    fn malformed_answers_are_none() {
        for payload in [PL::P(vec![]), PL::C(vec![]), PL::C(vec![bytes(b"\xff"), bytes(b"")])] {
            assert_eq!(Entry::read(tag(payload)), None);
        }
    }
}
