//! Programs that attack the suite from many sides at once; here is what they share.

pub mod load;

/// The number after an option of the command line.
pub fn argument(name: &str, otherwise: u64) -> u64 {
    let words: Vec<String> = std::env::args().collect();
    let Some(at) = words.iter().position(|word| word == name) else { return otherwise };
    words.get(at + 1).and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} wants a number"))
}
