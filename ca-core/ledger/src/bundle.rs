//! Entry bundles: entries, each with its length in two octets before it.

/// Appends one entry. False if it is too long for the format.
pub(crate) fn push(bundle: &mut Vec<u8>, entry: &[u8]) -> bool {
    let Ok(length) = u16::try_from(entry.len()) else { return false };
    bundle.extend(length.to_be_bytes());
    bundle.extend(entry);
    true
}

/// The first `width` entries of a bundle, and the bytes after them.
pub(crate) fn split(mut bytes: &[u8], width: u16) -> Result<(Vec<&[u8]>, &[u8]), String> {
    let mut entries = Vec::with_capacity(usize::from(width));
    while entries.len() < usize::from(width) {
        let cut = || format!("it ends in entry {} of {width}", entries.len());
        let (length, rest) = bytes.split_first_chunk::<2>().ok_or_else(cut)?;
        let (entry, rest) =
            rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or_else(cut)?;
        entries.push(entry);
        bytes = rest;
    }
    Ok((entries, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_what_was_pushed() {
        let mut bundle = Vec::new();
        for entry in [&b"one"[..], b"", b"three"] {
            assert!(push(&mut bundle, entry));
        }
        assert!(!push(&mut Vec::new(), &[0; 65_536]));
        let (entries, rest) = split(&bundle, 3).unwrap();
        assert_eq!((entries, rest), (vec![&b"one"[..], b"", b"three"], &b""[..]));
        assert_eq!(split(&bundle, 2).unwrap().1, b"\0\x05three");
        assert!(split(&bundle, 4).is_err());
        assert!(split(&bundle[..bundle.len() - 1], 3).is_err());
    }
}
