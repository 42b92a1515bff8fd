//! The table of a batch: who, which file, which password. `ca issue --batch` writes one.

use std::path::{Path, PathBuf};

use ca_signing::Passphrase;

use crate::error::{AuthorityError, Result};
use crate::people::BadLine;

/// A line of the table.
#[derive(Debug)]
pub struct TableRow {
    /// Where it stands, from 1.
    pub line: u64,
    /// The mailbox.
    pub email: String,
    /// The user principal name, if there is one.
    pub upn: Option<String>,
    /// The PKCS#12 file.
    pub file: PathBuf,
    /// Its password.
    pub password: Passphrase,
}

/// Reads a table with the columns email, file and password, and upn if wanted. Names of
/// files are relative to `dir`, where the table is; `name` is for messages.
///
/// # Errors
/// Another header, or lines without an address, a file or a password; no line at all.
pub fn read_table(bytes: &[u8], dir: &Path, name: &str) -> Result<Vec<TableRow>> {
    let unreadable = |error: csv::Error| {
        AuthorityError::Input(format!("{name} is not a table: {error}; write it as CSV in UTF-8"))
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(bytes);
    let header = reader.headers().map_err(unreadable)?.clone();
    let column = |wanted: &str| header.iter().position(|found| found.eq_ignore_ascii_case(wanted));
    let (Some(email), Some(file), Some(password)) = (column("email"), column("file"), column("password"))
    else {
        return Err(AuthorityError::Input(format!(
            "line 1 of {name} must name the columns email, file and password, and upn if wanted"
        )));
    };
    let upn = column("upn");
    let (mut rows, mut bad) = (Vec::new(), Vec::new());
    for record in reader.into_records() {
        let record = record.map_err(unreadable)?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |at: usize| record.get(at).unwrap_or_default();
        if [email, file, password].iter().any(|at| field(*at).is_empty()) {
            bad.push(BadLine { line, what: "email, file and password must all be there".into() });
            continue;
        }
        rows.push(TableRow {
            line,
            email: field(email).trim().to_owned(),
            upn: upn.map(|at| field(at).trim().to_owned()).filter(|upn| !upn.is_empty()),
            file: dir.join(field(file)),
            password: Passphrase::from_string(field(password).to_owned()),
        });
    }
    if !bad.is_empty() {
        return Err(AuthorityError::Lines { file: name.to_owned(), lines: bad });
    }
    if rows.is_empty() {
        return Err(AuthorityError::Input(format!("{name} names nobody; write one file a line")));
    }
    Ok(rows)
}
