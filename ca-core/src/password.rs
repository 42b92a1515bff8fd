//! Passwords that people type once.

use ca_signing::Passphrase;
use zeroize::Zeroizing;

use crate::error::Result;

/// No letters and digits that look alike.
const ALPHABET: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";
/// 20 of 31 characters are 99 bits.
const CHARACTERS: usize = 20;
/// Characters between hyphens.
const BLOCK: usize = 5;
/// Bytes from here on would make the first characters likelier.
const LIMIT: u8 = 31 * 8;

/// A password from the operating system's randomness: four blocks of five
/// characters.
pub(crate) fn generate() -> Result<Passphrase> {
    let mut text = Zeroizing::new(String::with_capacity(CHARACTERS + CHARACTERS / BLOCK));
    let mut count = 0;
    while count < CHARACTERS {
        let bytes = Zeroizing::new(ca_signing::random::<32>()?);
        for byte in bytes.iter().filter(|byte| **byte < LIMIT).take(CHARACTERS - count) {
            if count > 0 && count % BLOCK == 0 {
                text.push('-');
            }
            let at = usize::from(*byte) % ALPHABET.len();
            text.push(char::from(ALPHABET.get(at).copied().unwrap_or(b'a')));
            count += 1;
        }
    }
    Ok(Passphrase::from_string(text.to_string()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn four_blocks_of_plain_characters_never_twice() {
        let mut seen = HashSet::new();
        for _ in 0..200 {
            let password = generate().unwrap();
            let text = password.expose();
            let blocks: Vec<_> = text.split('-').collect();
            assert_eq!(blocks.iter().map(|block| block.len()).collect::<Vec<_>>(), [5; 4], "{text}");
            assert!(blocks.concat().bytes().all(|byte| ALPHABET.contains(&byte)), "{text}");
            assert!(seen.insert(text.to_owned()));
        }
        let all: HashSet<u8> = seen.iter().flat_map(|text| text.bytes()).collect();
        assert_eq!(all.len(), ALPHABET.len() + 1, "every character occurs");
    }
}
