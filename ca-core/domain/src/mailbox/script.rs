//! What Unicode says about characters: normalization and look-alike scripts.

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, Script};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Cyrillic letters that look like Latin ones.
const CYRILLIC_TWINS: &str = "асԁеһіјӏорԛѕԝхуүАВСЕНІЈКМОРЅТХУ";
/// Greek letters that look like Latin ones.
const GREEK_TWINS: &str = "αικνορτυχγΑΒΕΖΗΙΚΜΝΟΡΤΥΧ";

/// Whether a character may stand in an atom: `atext` of RFC 5322, section
/// 3.2.3, and beyond ASCII (RFC 6531, section 3.3) letters, marks and digits.
///
/// Spaces, controls, bidirectional and zero-width characters are none of these.
pub(super) fn is_atom_text(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(character);
    }
    use GeneralCategory as G;
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    let plain = matches!(
        category,
        G::UppercaseLetter
            | G::LowercaseLetter
            | G::TitlecaseLetter
            | G::ModifierLetter
            | G::OtherLetter
            | G::NonspacingMark
            | G::SpacingMark
            | G::DecimalNumber
    );
    plain && !CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
}

/// Whether a character combines with the one before it.
pub(super) fn is_mark(character: char) -> bool {
    use GeneralCategory as G;
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    matches!(category, G::NonspacingMark | G::SpacingMark | G::EnclosingMark)
}

/// Whether a text is in normalization form C.
pub(crate) fn is_nfc(text: &str) -> bool {
    ComposingNormalizerBorrowed::new_nfc().is_normalized(text)
}

/// Whether a text has letters of two of Latin, Cyrillic and Greek.
pub(crate) fn mixes_look_alikes(text: &str) -> bool {
    let map = CodePointMapData::<Script>::new();
    let mut seen = None;
    text.chars().any(|character| {
        let script = map.get(character);
        if ![Script::Latin, Script::Cyrillic, Script::Greek].contains(&script) {
            return false;
        }
        *seen.get_or_insert(script) != script
    })
}

/// Whether every letter of a label is a Cyrillic or Greek twin of a Latin one:
/// the label then reads as a Latin word.
pub(super) fn is_all_twins(label: &str) -> bool {
    let mut letters = label.chars().filter(|c| c.is_alphabetic()).peekable();
    letters.peek().is_some() && letters.all(|c| CYRILLIC_TWINS.contains(c) || GREEK_TWINS.contains(c))
}
