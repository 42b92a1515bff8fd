//! A table of people: CSV with a header, as batches, bulk revocation and bulk
//! renewal take it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ca_domain::mailbox::Mailbox;
use ca_domain::microsoft::{SecurityIdentifier, Upn};
use ca_domain::profile::SubjectInput;
use ca_domain::template::SubjectAttribute;

use crate::error::{AuthorityError, Result};

/// Octets of a table at most: some 200,000 people.
pub const MAX_LEN: u64 = 64 << 20;

/// The column of addresses.
const EMAIL: &str = "email";
/// The column of user principal names.
const UPN: &str = "upn";
/// The column of security identifiers.
const SID: &str = "sid";

/// One line of the table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Person {
    /// Where it stands in the file, from 1; the header counts.
    pub line: u64,
    /// Names and addresses.
    pub subject: SubjectInput,
}

impl Person {
    /// The primary mailbox.
    #[must_use]
    pub fn mailbox(&self) -> &str {
        self.subject.mailboxes.first().map_or("", Mailbox::as_str)
    }

    /// What clients show: the common name, else the mailbox.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.subject
            .attributes
            .get(&SubjectAttribute::CommonName)
            .map_or_else(|| self.mailbox(), String::as_str)
    }
}

/// A line that cannot be used.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct BadLine {
    /// Where it stands, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub what: String,
}

/// What was read of a table: who can be used, and which lines cannot.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// In the order of the file.
    pub people: Vec<Person>,
    /// In the order of the file; empty for a table without a fault.
    pub bad: Vec<BadLine>,
}

/// A table to begin with.
pub const SAMPLE: &str = "\
email,common_name,organization,organizational_unit,country
alice@example.test,Alice Archer,Example,Accounting,DE
bob@example.test robert@example.test,Bob Baker,Example,,DE
";

/// The columns that a table may have, in any order.
#[must_use]
pub fn columns() -> Vec<&'static str> {
    let windows = [UPN, SID];
    std::iter::once(EMAIL).chain(attributes().map(SubjectAttribute::name)).chain(windows).collect()
}

/// Mailboxes come from the column of addresses alone.
fn attributes() -> impl Iterator<Item = SubjectAttribute> {
    let of_names = |attribute: &SubjectAttribute| {
        !matches!(attribute, SubjectAttribute::EmailAddress | SubjectAttribute::DomainComponent)
    };
    SubjectAttribute::ALL.into_iter().filter(of_names)
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Column {
    Email,
    Upn,
    Sid,
    Attribute(SubjectAttribute),
}

/// Reads a table. Columns are separated by commas, or by semicolons if the header
/// has them; `file` is for messages.
///
/// # Errors
/// A header that cannot be used: an unknown column (the message lists those there
/// are), a missing one, one that is there twice. Lines at fault are in the result.
pub fn parse(bytes: &[u8], file: &str) -> Result<Table> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let semicolons = first.contains(&b';') && !first.contains(&b',');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(if semicolons { b';' } else { b',' })
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let header = reader.headers().map_err(|error| unreadable(file, &error))?.clone();
    let columns = header_columns(&header, file)?;
    let mut table = Table::default();
    let mut seen: HashMap<(&str, String), u64> = HashMap::new();
    let mut record = csv::StringRecord::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                table.bad.push(BadLine { line, what: what(&error) });
                continue;
            }
        }
        let line = record.position().map_or(0, csv::Position::line);
        if record.iter().all(str::is_empty) {
            continue;
        }
        let (subject, faults) = subject(&columns, &record);
        table.bad.extend(faults.into_iter().map(|what| BadLine { line, what }));
        for (kind, name) in own_names(&subject) {
            match seen.entry((kind, name.to_ascii_lowercase())) {
                Entry::Occupied(other) => {
                    let what = format!("{name} stands in line {} already", other.get());
                    table.bad.push(BadLine { line, what });
                }
                Entry::Vacant(free) => {
                    free.insert(line);
                }
            }
        }
        table.people.push(Person { line, subject });
    }
    if table.people.is_empty() && table.bad.is_empty() {
        return Err(AuthorityError::Input(format!("{file} names nobody; write one person a line")));
    }
    Ok(table)
}

impl Table {
    /// The people, if every line can be used.
    ///
    /// # Errors
    /// [`AuthorityError::Lines`] with every line at fault.
    pub fn complete(self, file: &str) -> Result<Vec<Person>> {
        if self.bad.is_empty() {
            return Ok(self.people);
        }
        let mut lines = self.bad;
        lines.sort();
        lines.dedup();
        Err(AuthorityError::Lines { file: file.to_owned(), lines })
    }
}

fn unreadable(file: &str, error: &csv::Error) -> AuthorityError {
    AuthorityError::Input(format!(
        "{file} is not a table of people: {}; write it as CSV in UTF-8",
        what(error)
    ))
}

fn what(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8 text".into(),
        _ => error.to_string(),
    }
}

fn header_columns(header: &csv::StringRecord, file: &str) -> Result<Vec<Column>> {
    let mut found = Vec::new();
    for name in header {
        let plain = name.to_ascii_lowercase().replace([' ', '-'], "_");
        let column = match plain.as_str() {
            EMAIL => Some(Column::Email),
            UPN => Some(Column::Upn),
            SID => Some(Column::Sid),
            _ => attributes().find(|attribute| attribute.name() == plain).map(Column::Attribute),
        };
        let Some(column) = column else {
            return Err(AuthorityError::Input(format!(
                "line 1 of {file}: unknown column {:?}; the columns are {}",
                name.chars().take(60).collect::<String>(),
                columns().join(", ")
            )));
        };
        if found.contains(&column) {
            return Err(AuthorityError::Input(format!(
                "line 1 of {file}: column {name:?} is there twice; remove one of them"
            )));
        }
        found.push(column);
    }
    if !found.contains(&Column::Email) {
        return Err(AuthorityError::Input(format!(
            "line 1 of {file}: there is no column \"email\"; see `ca issue --sample`"
        )));
    }
    Ok(found)
}

/// The names of a line, and all that is wrong with it.
fn subject(columns: &[Column], record: &csv::StringRecord) -> (SubjectInput, Vec<String>) {
    let mut faults = Vec::new();
    if record.len() != columns.len() {
        faults.push(format!(
            "it has {} fields where the header has {}; quote fields with separators in them",
            record.len(),
            columns.len()
        ));
        return (SubjectInput::default(), faults);
    }
    let mut found = SubjectInput::default();
    for (column, field) in columns.iter().zip(record) {
        match column {
            Column::Email => {
                for address in field.split_whitespace() {
                    match Mailbox::parse(address) {
                        Ok(mailbox) => found.mailboxes.push(mailbox),
                        Err(error) => faults.push(error.to_string()),
                    }
                }
                if field.is_empty() {
                    faults.push("it has no address".into());
                }
            }
            _ if field.is_empty() => {}
            Column::Upn => match Upn::parse(field) {
                Ok(upn) => found.upn = Some(upn),
                Err(error) => faults.push(error.to_string()),
            },
            Column::Sid => match SecurityIdentifier::parse(field) {
                Ok(sid) => found.sid = Some(sid),
                Err(error) => faults.push(error.to_string()),
            },
            Column::Attribute(attribute) => {
                found.attributes.insert(*attribute, field.to_owned());
            }
        }
    }
    (found, faults)
}

/// What belongs to one person alone, each with the column that it comes from.
fn own_names(subject: &SubjectInput) -> impl Iterator<Item = (&'static str, &str)> {
    let mailboxes = subject.mailboxes.iter().map(|mailbox| (EMAIL, mailbox.as_str()));
    let upn = subject.upn.iter().map(|upn| (UPN, upn.as_str()));
    mailboxes.chain(upn).chain(subject.sid.iter().map(|sid| (SID, sid.as_str())))
}

#[cfg(test)]
mod tests;
