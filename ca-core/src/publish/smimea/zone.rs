//! SMIMEA records of a zone file (RFC 1035, section 5), or of what `dig AXFR` prints.

use super::Record;

/// Reads the SMIMEA records; others are passed over. Names must be absolute, or below `$ORIGIN`.
pub(super) fn read(text: &str) -> Result<Vec<Record>, String> {
    let mut found = Vec::new();
    let mut origin = String::new();
    let mut last = String::new();
    for (number, begins_with_space, tokens) in logical_lines(text)? {
        let bad = |what: &str| format!("line {number} of the previous zone file: {what}; mend the file");
        let mut tokens = tokens.iter().map(String::as_str);
        let name = if begins_with_space { Some(last.as_str()) } else { tokens.next() };
        let Some(name) = name else { continue };
        if name == "$ORIGIN" {
            tokens.next().unwrap_or_default().clone_into(&mut origin);
            continue;
        }
        if name.starts_with('$') {
            continue;
        }
        let relative = !name.ends_with('.') && !origin.is_empty();
        let absolute = if relative { format!("{name}.{origin}") } else { name.to_owned() };
        name.to_owned().clone_into(&mut last);
        // TTL and class come in either order, and may both be missing.
        let mut tokens = tokens.skip_while(|token| {
            token.bytes().all(|byte| byte.is_ascii_digit())
                || matches!(token.to_ascii_uppercase().as_str(), "IN")
        });
        if !tokens.next().is_some_and(|kind| kind.eq_ignore_ascii_case("SMIMEA")) {
            continue;
        }
        if !absolute.ends_with('.') {
            return Err(bad("the name is relative, and there is no $ORIGIN"));
        }
        let parameters: Vec<_> = tokens.by_ref().take(3).map(str::to_owned).collect();
        let numbers = parameters.iter().all(|one| one.parse::<u8>().is_ok());
        let data: String = tokens.collect::<String>().to_ascii_lowercase();
        if parameters.len() != 3 || !numbers || data.is_empty() || hex::decode(&data).is_err() {
            return Err(bad("an SMIMEA record has three numbers and hexadecimal data"));
        }
        let data = format!("{} {data}", parameters.join(" "));
        found.push(Record { name: absolute.to_ascii_lowercase(), data });
    }
    Ok(found)
}

type Line = (usize, bool, Vec<String>);

/// Lines without comments; those in parentheses are one.
fn logical_lines(text: &str) -> Result<Vec<Line>, String> {
    let mut found: Vec<Line> = Vec::new();
    let mut depth = 0_usize;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split(';').next().unwrap_or_default();
        if line.trim().is_empty() {
            continue;
        }
        if depth == 0 {
            found.push((number, line.starts_with([' ', '\t']), Vec::new()));
        }
        for c in line.chars() {
            match c {
                '(' => depth += 1,
                ')' => {
                    depth = depth.checked_sub(1).ok_or(format!(
                        "line {number} of the previous zone file: a parenthesis is not open; mend the file"
                    ))?
                }
                _ => {}
            }
        }
        if let Some((_, _, tokens)) = found.last_mut() {
            tokens.extend(line.replace(['(', ')'], " ").split_whitespace().map(str::to_owned));
        }
    }
    if depth > 0 {
        return Err("the previous zone file ends within parentheses; give it whole".into());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_record() {
        let text = "\
; a comment
$ORIGIN example.test.
@ IN SOA ns hostmaster ( 1 2
   3 4 5 )
AB._smimecert 3600 IN SMIMEA 3 0 0 ( 30 0A ; half
   FF )
\tIN 60 SMIMEA 1 0 0 30
cd._smimecert.other.test. SMIMEA 3 1 1 00
";
        let record = |name: &str, data: &str| Record { name: name.into(), data: data.into() };
        assert_eq!(
            read(text).unwrap(),
            [
                record("ab._smimecert.example.test.", "3 0 0 300aff"),
                record("ab._smimecert.example.test.", "1 0 0 30"),
                record("cd._smimecert.other.test.", "3 1 1 00"),
            ]
        );
        for bad in
            ["a SMIMEA 3 0 0 00", "a. SMIMEA 3 0 00", "a. SMIMEA 3 0 0 0g", "a. SMIMEA 3 0 0 ( 00", "a. )"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
