//! PowerShell scripts into which names from elsewhere go: as values, never as code.

/// `text` as a string of PowerShell: nothing in it is expanded. A string in single quotes
/// ends at any of five characters, which are doubled; control characters become blanks.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        match c {
            '\'' | '\u{2018}'..='\u{201b}' => out.extend([c, c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// The template with its marks replaced, each in one pass: what a value holds is not
/// looked at again. Windows PowerShell takes a script without a byte order mark for one
/// in its old code page, so there is one.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::from('\u{feff}');
    let mut rest = template;
    let next = |rest: &str| {
        let found = values.iter().filter_map(|(mark, value)| Some((rest.find(mark)?, *mark, *value)));
        found.min_by_key(|(at, ..)| *at).map(|(at, mark, value)| (at, mark.len(), value.to_owned()))
    };
    while let Some((at, length, value)) = next(rest) {
        out.push_str(&rest[..at]);
        out.push_str(&value);
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_ends_its_string_or_becomes_a_mark() {
        assert_eq!(quoted("it's \u{2019}$(x)`\n"), "'it''s \u{2019}\u{2019}$(x)` '");
        let filled = fill("a = @A@; b = @B@", &[("@A@", "@B@"), ("@B@", "2")]);
        assert_eq!(filled, "\u{feff}a = @B@; b = 2");
    }
}
