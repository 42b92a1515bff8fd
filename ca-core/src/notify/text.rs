//! The texts of notices: files with placeholders that are filled once.

use std::path::Path;

use ca_files::check_trusted;

use crate::error::{AuthorityError, Result};
use crate::home::Home;
use crate::init::io;

/// Octets of a text file at most.
const MAX_LEN: usize = 64 * 1024;

/// A text: a subject line and a body.
#[derive(Clone, Debug)]
pub(super) struct Text {
    subject: Vec<Piece>,
    body: Vec<Piece>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    Literal(String),
    Placeholder(&'static str),
}

/// What can stand in braces.
const PLACEHOLDERS: [&str; 6] = ["count", "days", "expires", "items", "mailbox", "name"];

/// Values for the placeholders.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    /// How many things expire.
    pub(super) count: usize,
    /// Days that are left for the first of them, rounded down.
    pub(super) days: u64,
    /// When the first of them expires.
    pub(super) expires: String,
    /// All of them, one a line.
    pub(super) items: String,
    /// The recipient's address.
    pub(super) mailbox: String,
    /// The recipient's name, else the address.
    pub(super) name: String,
}

impl Values {
    fn get(&self, placeholder: &str) -> String {
        match placeholder {
            "count" => self.count.to_string(),
            "days" => self.days.to_string(),
            "expires" => self.expires.clone(),
            "items" => self.items.clone(),
            "mailbox" => self.mailbox.clone(),
            _ => self.name.clone(),
        }
    }
}

impl Text {
    /// Loads `notices/NAME.txt` of the home, or the built-in text.
    ///
    /// # Errors
    /// A file that others could have changed, or that is malformed.
    pub(super) fn load(home: &Home, name: &str) -> Result<Self> {
        let path = home.root().join("notices").join(format!("{name}.txt"));
        if !path.exists() {
            let built_in =
                if name == "person" { include_str!("person.txt") } else { include_str!("administrator.txt") };
            return Self::parse(built_in, Path::new(name));
        }
        check_trusted(&path)?;
        let text = std::fs::read_to_string(&path).map_err(io("read", &path))?;
        Self::parse(&text, &path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        let bad = |what: String| AuthorityError::Config { path: path.display().to_string(), what };
        if text.len() > MAX_LEN {
            return Err(bad(format!("more than {MAX_LEN} bytes are too many for a notice")));
        }
        let (head, body) = text.split_once('\n').unwrap_or((text, ""));
        let subject = head
            .strip_prefix("Subject:")
            .map(str::trim)
            .filter(|subject| !subject.is_empty())
            .ok_or_else(|| bad("the first line must be `Subject: ...`".into()))?;
        let body = body
            .strip_prefix('\n')
            .or_else(|| body.strip_prefix("\r\n"))
            .ok_or_else(|| bad("the second line must be empty, the text begins below it".into()))?;
        Ok(Self { subject: pieces(subject).map_err(&bad)?, body: pieces(body).map_err(&bad)? })
    }

    /// Subject and body with the values in their places. Values are never looked
    /// at for placeholders; control characters in the subject become spaces.
    pub(super) fn fill(&self, values: &Values) -> (String, String) {
        let subject = fill(&self.subject, values).replace(char::is_control, " ");
        (subject, fill(&self.body, values))
    }
}

fn fill(pieces: &[Piece], values: &Values) -> String {
    let text = |piece: &Piece| match piece {
        Piece::Literal(text) => text.clone(),
        Piece::Placeholder(name) => values.get(name),
    };
    pieces.iter().map(text).collect()
}

fn pieces(text: &str) -> std::result::Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or("a { has no } after it")?;
        let known = PLACEHOLDERS.iter().find(|known| **known == name);
        let known = known.ok_or_else(|| {
            format!("{{{name}}} is not known; the placeholders are {}", PLACEHOLDERS.join(", "))
        })?;
        pieces.push(Piece::Literal(before.to_owned()));
        pieces.push(Piece::Placeholder(known));
        rest = after;
    }
    pieces.push(Piece::Literal(rest.to_owned()));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Text> {
        Text::parse(text, Path::new("person.txt"))
    }

    #[test]
    fn the_built_in_texts_are_sound() {
        parse(include_str!("person.txt")).unwrap();
        parse(include_str!("administrator.txt")).unwrap();
    }

    #[test]
    fn a_value_is_not_parsed_again_and_cannot_end_the_subject() {
        let text = parse("Subject: for {name}\n\nHello {name}, {days} days").unwrap();
        let values = Values { name: "{items}\r\nBcc: x@example.test".into(), days: 7, ..Values::default() };
        let (subject, body) = text.fill(&values);
        assert_eq!(subject, "for {items}  Bcc: x@example.test");
        assert_eq!(body, "Hello {items}\r\nBcc: x@example.test, 7 days");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, says) in [
            ("Hello\n\nx", "Subject"),
            ("Subject: x\nHello", "second line"),
            ("Subject: x\n\n{nmae}", "{nmae} is not known"),
            ("Subject: {name\n\n", "has no }"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }
}
