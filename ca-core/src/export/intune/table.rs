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
    /// The PKCS#12 file and its password; none where the archive has the keys.
    pub keys: Option<(PathBuf, Passphrase)>,
}

/// Reads a table with the columns email, file and password, and upn if wanted; with
/// `archive`, file and password may be left out. Names of files are relative to `dir`,
/// where the table is; `name` is for messages.
///
/// # Errors
/// Another header, or lines without an address, a file or a password; no line at all.
pub fn read_table(bytes: &[u8], dir: &Path, name: &str, archive: bool) -> Result<Vec<TableRow>> {
    let unreadable = |error: csv::Error| {
        AuthorityError::Input(format!("{name} is not a table: {error}; write it as CSV in UTF-8"))
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(bytes);
    let header = reader.headers().map_err(unreadable)?.clone();
    let column = |wanted: &str| header.iter().position(|found| found.eq_ignore_ascii_case(wanted));
    let (email, file, password, upn) = (column("email"), column("file"), column("password"), column("upn"));
    let Some(email) = email.filter(|_| archive || (file.is_some() && password.is_some())) else {
        return Err(AuthorityError::Input(format!(
            "line 1 of {name} must name the columns email, file and password, and upn if wanted"
        )));
    };
    let (mut rows, mut bad) = (Vec::new(), Vec::new());
    for record in reader.into_records() {
        let record = record.map_err(unreadable)?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |at: Option<usize>| at.and_then(|at| record.get(at)).unwrap_or_default();
        let (mailbox, file, password) = (field(Some(email)).trim(), field(file), field(password));
        let keys = match (file.is_empty(), password.is_empty()) {
            (false, false) => Some((dir.join(file), Passphrase::from_string(password.to_owned()))),
            (true, true) if archive => None,
            _ => {
                bad.push(BadLine { line, what: "file and password must both be there".into() });
                continue;
            }
        };
        if mailbox.is_empty() {
            bad.push(BadLine { line, what: "there is no address".into() });
            continue;
        }
        let upn = Some(field(upn).trim().to_owned()).filter(|upn| !upn.is_empty());
        rows.push(TableRow { line, email: mailbox.to_owned(), upn, keys });
    }
    if !bad.is_empty() {
        return Err(AuthorityError::Lines { file: name.to_owned(), lines: bad });
    }
    if rows.is_empty() {
        return Err(AuthorityError::Input(format!("{name} names nobody; write one file a line")));
    }
    Ok(rows)
}
