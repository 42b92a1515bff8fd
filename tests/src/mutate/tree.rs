//! Where the elements of a DER structure are, so that one can be changed and
//! the lengths around it still fit.

/// One element: identifier, length and content octets.
#[derive(Clone, Copy, Debug)]
pub struct Element {
    /// Where it begins.
    pub start: usize,
    /// Where its content begins.
    pub content: usize,
    /// Where it ends.
    pub end: usize,
    /// The element around it, as an index into the list.
    pub parent: Option<usize>,
}

/// Deeper elements are left as they are.
const DEPTH: usize = 24;

/// The elements of `der` from the outside to the inside; also those within an
/// OCTET STRING that holds DER, as extensions do.
pub fn elements(der: &[u8]) -> Vec<Element> {
    let mut found = Vec::new();
    walk(der, 0, der.len(), None, DEPTH, &mut found);
    found
}

/// Lists what is between `at` and `end`; whether it was DER to its end.
fn walk(
    der: &[u8],
    mut at: usize,
    end: usize,
    parent: Option<usize>,
    depth: usize,
    found: &mut Vec<Element>,
) -> bool {
    while at < end {
        let Some((content, next)) = header(der, at, end) else { return false };
        let index = found.len();
        found.push(Element { start: at, content, end: next, parent });
        let tag = der[at];
        if depth > 0 && content < next && (tag & 0x20 != 0 || tag == 0x04) {
            let inside = walk(der, content, next, Some(index), depth - 1, found);
            if !inside && tag == 0x04 {
                found.truncate(index + 1);
            }
        }
        at = next;
    }
    true
}

/// Where the content of the element at `at` begins and ends.
fn header(der: &[u8], at: usize, end: usize) -> Option<(usize, usize)> {
    let first = usize::from(*der.get(at + 1)?);
    let (content, length) = match first {
        0..=0x7f => (at + 2, first),
        0x81..=0x83 => {
            let octets = der.get(at + 2..at + 2 + (first & 0x7f))?;
            let length = octets.iter().fold(0, |sum, octet| (sum << 8) | usize::from(*octet));
            (at + 2 + octets.len(), length)
        }
        _ => return None,
    };
    let next = content.checked_add(length)?;
    (next <= end).then_some((content, next))
}

/// Appends the DER form of a length.
pub fn put_length(out: &mut Vec<u8>, length: usize) {
    let octets = length.to_be_bytes();
    let significant = &octets[octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len() - 1)..];
    if length > 0x7f {
        out.push(0x80 | significant.len() as u8);
    }
    out.extend_from_slice(significant);
}

/// An element with this identifier octet and content.
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    out.push(tag);
    put_length(&mut out, content.len());
    out.extend_from_slice(content);
    out
}

/// `der` with an element replaced by any octets; the lengths around it follow.
pub fn replace(der: &[u8], elements: &[Element], at: usize, with: &[u8]) -> Vec<u8> {
    let Element { mut start, mut end, mut parent, .. } = elements[at];
    let mut piece = with.to_vec();
    while let Some(index) = parent {
        let outer = elements[index];
        let content = [&der[outer.content..start], &piece, &der[end..outer.end]].concat();
        piece = element(der[outer.start], &content);
        Element { start, end, parent, .. } = outer;
    }
    [&der[..start], &piece, &der[end..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_follow() {
        let inner = element(0x04, &element(0x02, &[5]));
        let der = element(0x30, &element(0x30, &inner));
        let found = elements(&der);
        assert_eq!(found.len(), 4, "the INTEGER in the OCTET STRING is seen, too");
        for (index, one) in found.iter().enumerate() {
            assert_eq!(replace(&der, &found, index, &der[one.start..one.end]), der);
        }
        let large = vec![7; 300];
        let changed = replace(&der, &found, 3, &element(0x02, &large));
        assert_eq!(changed, element(0x30, &element(0x30, &element(0x04, &element(0x02, &large)))));
        assert_eq!(elements(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]).len(), 0);
    }
}
