//! LDIF (RFC 2849): changes for other programs, and entries from them.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{Change, Entry, LdapError};

/// Columns of a line; longer ones are continued.
const WIDTH: usize = 76;

/// The changes of one entry, as `ldapmodify` and `ldifde` take them; an empty line ends it.
#[must_use]
pub fn ldif_of_changes(dn: &str, changes: &[Change]) -> String {
    let mut text = String::new();
    line(&mut text, "dn", dn.as_bytes());
    text.push_str("changetype: modify\n");
    for change in changes {
        let (verb, name, values) = match change {
            Change::Add(name, values) => ("add", name, values),
            Change::Delete(name, values) => ("delete", name, values),
            Change::Replace(name, values) => ("replace", name, values),
        };
        let _ = writeln!(text, "{verb}: {name}");
        for value in values {
            line(&mut text, name, value);
        }
        text.push_str("-\n");
    }
    text.push('\n');
    text
}

fn line(text: &mut String, name: &str, value: &[u8]) {
    // SAFE-STRING of RFC 2849; a space at the end would be lost.
    let safe = value.iter().all(|&byte| (0x20..0x7f).contains(&byte))
        && !matches!(value.first(), Some(b' ' | b':' | b'<'))
        && value.last() != Some(&b' ');
    let whole = match std::str::from_utf8(value) {
        Ok(plain) if safe => format!("{name}: {plain}"),
        _ => format!("{name}:: {}", STANDARD.encode(value)),
    };
    for (number, part) in whole.as_bytes().chunks(WIDTH).enumerate() {
        if number > 0 {
            text.push(' ');
        }
        text.push_str(&String::from_utf8_lossy(part));
        text.push('\n');
    }
}

/// Reads the entries of an export, as `ldapsearch -LLL` and `ldifde` write it. Change records
/// and values in other files are refused.
///
/// # Errors
/// A line that is none, with its number.
pub fn entries_of_ldif(bytes: &[u8]) -> Result<Vec<Entry>, LdapError> {
    let bad = |number: usize, what: &str| Err(LdapError::Ldif { line: number, what: what.to_owned() });
    let mut entries: Vec<Entry> = Vec::new();
    let mut open = false;
    for (number, logical) in logical_lines(bytes) {
        if logical.is_empty() {
            open = false;
            continue;
        }
        let Some(colon) = logical.iter().position(|&byte| byte == b':') else {
            return bad(number, "it has no colon");
        };
        let Ok(name) = std::str::from_utf8(&logical[..colon]) else {
            return bad(number, "its name is not text");
        };
        let rest = &logical[colon + 1..];
        let value = match rest.first() {
            Some(b':') => match STANDARD.decode(rest[1..].trim_ascii()) {
                Ok(value) => value,
                Err(_) => return bad(number, "its value is not base64"),
            },
            Some(b'<') => return bad(number, "its value is in another file; export values themselves"),
            _ => rest.trim_ascii_start().to_vec(),
        };
        match (open, name.to_ascii_lowercase().as_str()) {
            (false, "version") if entries.is_empty() => {}
            (false, "dn") => match String::from_utf8(value) {
                Ok(dn) => {
                    entries.push(Entry::new(dn));
                    open = true;
                }
                Err(_) => return bad(number, "the name is not UTF-8"),
            },
            (false, _) => return bad(number, "an entry begins with dn:"),
            (true, "changetype") if value != b"add" => return bad(number, "it is a change, not an entry"),
            (true, _) => {
                if let Some(entry) = entries.last_mut() {
                    entry.push(name, value);
                }
            }
        }
    }
    Ok(entries)
}

/// Lines with their continuations, without comments, each with the number of its first.
fn logical_lines(bytes: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut found: Vec<(usize, Vec<u8>)> = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match (line.strip_prefix(b" "), found.last_mut()) {
            (Some(more), Some((_, last))) => last.extend(more),
            _ => found.push((number, line.to_vec())),
        }
    }
    found.retain(|(_, line)| line.first() != Some(&b'#'));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_written_whole() {
        let changes = [
            Change::Delete("userCertificate;binary".into(), vec![vec![0x82; 90]]),
            Change::Add("description".into(), vec![b"plain".to_vec(), b" space".to_vec()]),
            Change::Delete("mail".into(), vec![]),
        ];
        let text = ldif_of_changes("cn=Änne,dc=test", &changes);
        assert!(text.lines().all(|line| line.len() <= WIDTH + 1), "{text}");
        let unfolded = text.replace("\n ", "");
        let expected = format!(
            "dn:: {}\nchangetype: modify\ndelete: userCertificate;binary\nuserCertificate;binary:: {}\n-\n\
             add: description\ndescription: plain\ndescription:: IHNwYWNl\n-\ndelete: mail\n-\n\n",
            STANDARD.encode("cn=Änne,dc=test"),
            STANDARD.encode([0x82; 90]),
        );
        assert_eq!(unfolded, expected);
    }

    #[test]
    fn exports_are_read() {
        let text =
            b"version: 1\r\n# a comment\r\n  of two lines\r\ndn: cn=a,\r\n dc=test\r\nmail: a@b.test\r\n\
                     userCertificate;binary:: /w\r\n ==\r\nmail: c@b.test\r\n\r\ndn:: Y249Yg==\r\ncn: b\r\n";
        let entries = entries_of_ldif(text).unwrap();
        assert_eq!(entries.iter().map(Entry::dn).collect::<Vec<_>>(), ["cn=a,dc=test", "cn=b"]);
        assert_eq!(entries[0].texts("mail"), ["a@b.test", "c@b.test"]);
        assert_eq!(entries[0].values("userCertificate"), [b"\xff"]);
        for (bad, line) in [
            (&b"mail: a"[..], 1),
            (b"dn: a\nchangetype: modify\n", 2),
            (b"dn: a\nx:: *\n", 2),
            (b"dn: a\nx:< file:///y\n", 2),
            (b"dn: a\n\nnonsense\n", 3),
        ] {
            let error = entries_of_ldif(bad).unwrap_err();
            assert!(matches!(error, LdapError::Ldif { line: found, .. } if found == line), "{error}");
        }
    }
}
