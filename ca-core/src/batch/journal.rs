//! The journal of a batch: what was prepared, and what was delivered.
//!
//! One JSON record a line, fsynced before what it tells of happens. The last line
//! may be torn by a crash; then it does not count.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use ca_domain::SerialNumber;
use ca_files::{Mode, read_private, replace_tail, sync_dir};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::error::{AuthorityError, Result};

/// A pair whose PKCS#12 file is on disk; whether it was issued, the ledger says.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub(super) line: u64,
    pub(super) serial: String,
    pub(super) file: String,
    pub(super) sha256: String,
    pub(super) password: String,
}

impl Drop for Record {
    fn drop(&mut self) {
        self.password.zeroize();
    }
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    /// The PKCS#12 file is on disk under its temporary name.
    Prepared(Record),
    /// File and password of these lines of the table were delivered.
    Delivered(Vec<u64>),
}

pub(super) struct Journal {
    path: PathBuf,
    length: u64,
    prepared: HashMap<String, Record>,
    pub(super) delivered: HashSet<u64>,
}

impl Journal {
    /// Opens the journal at `path`, a file that is made if missing.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut journal =
            Self { path: path.to_owned(), length: 0, prepared: HashMap::new(), delivered: HashSet::new() };
        if !path.exists() {
            replace_tail(path, 0, b"", Mode::Private)?;
            sync_dir(path.parent().unwrap_or(Path::new(".")))?;
            return Ok(journal);
        }
        let bytes = Zeroizing::new(read_private(path)?);
        for line in bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            match serde_json::from_slice(line) {
                Ok(Line::Prepared(record)) => {
                    journal.prepared.insert(record.serial.clone(), record);
                }
                Ok(Line::Delivered(lines)) => journal.delivered.extend(lines),
                Err(error) => {
                    return Err(AuthorityError::Input(format!(
                        "{} is damaged at byte {}: {error}; put back a copy, or give another directory",
                        path.display(),
                        journal.length
                    )));
                }
            }
            journal.length += line.len() as u64;
        }
        Ok(journal)
    }

    /// The record of a pair, by the serial number of its first certificate.
    pub(super) fn prepared(&self, serial: &SerialNumber) -> Option<&Record> {
        self.prepared.get(&serial.to_string())
    }

    /// Writes down what was prepared; when this returns, it is durable.
    pub(super) fn prepare(&mut self, records: impl Iterator<Item = Record>) -> Result<()> {
        let records: Vec<_> = records.collect();
        self.append(records.iter().cloned().map(Line::Prepared))?;
        self.prepared.extend(records.into_iter().map(|record| (record.serial.clone(), record)));
        Ok(())
    }

    /// Writes down what was delivered.
    pub(super) fn deliver(&mut self, lines: Vec<u64>) -> Result<()> {
        self.delivered.extend(&lines);
        self.append([Line::Delivered(lines)].into_iter())
    }

    fn append(&mut self, lines: impl Iterator<Item = Line>) -> Result<()> {
        let mut bytes = Zeroizing::new(Vec::new());
        for line in lines {
            serde_json::to_writer(&mut *bytes, &line).map_err(|error| {
                AuthorityError::Input(format!("cannot encode a record of the journal: {error}"))
            })?;
            bytes.push(b'\n');
        }
        replace_tail(&self.path, self.length, &bytes, Mode::Private)?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(line: u64) -> Record {
        let serial = SerialNumber::from_random([line as u8; 20]).to_string();
        Record { line, serial, file: "a.p12".into(), sha256: "00".into(), password: "abcde".into() }
    }

    #[test]
    fn a_torn_line_does_not_count_and_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        journal.prepare([record(2), record(3)].into_iter()).unwrap();
        journal.deliver(vec![2]).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut journal = Journal::open(&path).unwrap();
            let before = journal.prepared.len();
            journal.prepare([record(4)].into_iter()).unwrap();
            let again = Journal::open(&path).unwrap();
            assert_eq!(again.prepared.len(), before + 1, "{cut}");
            assert_eq!(again.delivered.contains(&2), cut == whole.len());
        }
        std::fs::write(&path, "nonsense\n{}\n").unwrap();
        assert!(Journal::open(&path).is_err());
    }
}
