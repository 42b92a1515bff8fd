//! Paths of GET requests: the encodings that clients use, and broken ones.

use crate::dice::Dice;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What gets into broken paths.
const PIECES: [&str; 18] = [
    "%", "%%", "%4", "%zz", "%00", "%2f", "%2F", "%2e%2e/", "/", "//", "/../", " ", "+", "-", "_", "=", "é",
    "\u{0}",
];

/// Base64 with the characters percent-encoded that mean something in a URL.
pub fn escape(base64: &str) -> String {
    base64.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

/// The path that a client might use for `der`: as it is, percent-encoded in
/// part or whole, with the URL-safe alphabet, without padding, after more slashes.
pub fn encode(der: &[u8], dice: &mut Dice) -> String {
    let plain = STANDARD.encode(der);
    let text = match dice.below(5) {
        0 => plain,
        1 => escape(&plain),
        2 => plain.bytes().map(|octet| format!("%{octet:02x}")).collect(),
        3 => plain.replace('+', "-").replace('/', "_"),
        _ => plain.trim_end_matches('=').to_owned(),
    };
    let slashes = if dice.below(8) == 0 { dice.pick(&["//", "/%2f", "///"]) } else { "/" };
    [slashes, &text].concat()
}

/// A path with some characters changed, missing, or too many.
pub fn broken(path: &str, dice: &mut Dice) -> String {
    let mut text: Vec<char> = path.chars().collect();
    for _ in 0..=dice.below(3) {
        let at = dice.index(text.len() + 1);
        match dice.below(5) {
            0 => text.truncate(at),
            1 if at < text.len() => {
                text.remove(at);
            }
            2 if at < text.len() => text[at] = char::from(dice.octet() & 0x7f),
            3 => {
                let piece = dice.pick(&PIECES).repeat(*dice.pick(&[1, 1, 2, 500]));
                text.splice(at..at, piece.chars());
            }
            _ => {
                let piece = dice.pick(&PIECES);
                text.splice(at..at, piece.chars());
            }
        }
    }
    text.into_iter().collect()
}
