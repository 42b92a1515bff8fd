//! What a target has got, and what it waits for: `state_dir/targets/NAME.json`.
//!
//! The file only saves work and keeps an older CRL from following a newer one. Without it
//! everything is compared with the target again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ca_domain::Timestamp;
use ca_files::{FileError, Mode, create_private_dir, read_private, write_atomic};
use ca_status::crl::CrlNumber;
use serde::{Deserialize, Serialize};

/// What is known of one file at a target.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Record {
    /// What was delivered last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Delivered>,
    /// What was not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
}

/// Something that was delivered and read back.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Delivered {
    /// SHA-256 of the content, in hexadecimal.
    pub sha256: String,
    /// The CRL number, in hexadecimal; none for a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// When it was delivered.
    pub at: Timestamp,
    /// When it was last found there.
    pub seen: Timestamp,
    /// The target's tag of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Delivered {
    /// The CRL number, if there is a readable one.
    #[must_use]
    pub fn number(&self) -> Option<CrlNumber> {
        let text = self.number.as_deref()?;
        hex::decode(text).ok().and_then(|bytes| CrlNumber::from_be_bytes(&bytes).ok())
    }
}

/// Something that waits to be delivered.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Waiting {
    /// SHA-256 of the content.
    pub sha256: String,
    /// Since when the target has not had what is published.
    pub since: Timestamp,
    /// Failures in a row.
    pub failures: u32,
    /// Not tried before.
    pub retry_at: Timestamp,
    /// Why it failed last; empty before the first time.
    #[serde(default)]
    pub error: String,
    /// Whether somebody has to do something before it can succeed.
    #[serde(default)]
    pub refused: bool,
}

impl Waiting {
    /// Something that was noticed at `now`.
    #[must_use]
    pub fn new(sha256: &str, now: Timestamp) -> Self {
        Self {
            sha256: sha256.to_owned(),
            since: now,
            failures: 0,
            retry_at: now,
            error: String::new(),
            refused: false,
        }
    }
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    files: BTreeMap<String, Record>,
}

/// The state file of a target.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    /// What is known, by the path of the published file.
    pub records: BTreeMap<String, Record>,
}

const VERSION: u32 = 1;

impl StateFile {
    /// The directory of all state files.
    #[must_use]
    pub fn directory(state_dir: &Path) -> PathBuf {
        state_dir.join("targets")
    }

    /// Reads the state of target `name`; one that is not there or damaged is empty.
    #[must_use]
    pub fn load(state_dir: &Path, name: &str) -> Self {
        let path = Self::directory(state_dir).join(format!("{name}.json"));
        let records = match read_private(&path) {
            Ok(bytes) => match serde_json::from_slice::<File>(&bytes) {
                Ok(file) if file.version == VERSION => file.files,
                Ok(file) => damaged(&path, &format!("its version is {}", file.version)),
                Err(error) => damaged(&path, &error.to_string()),
            },
            Err(error) if error.is_not_found() => BTreeMap::new(),
            Err(error) => damaged(&path, &error.to_string()),
        };
        Self { path, records }
    }

    /// Writes it durably.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self) -> Result<(), FileError> {
        let file = File { version: VERSION, files: self.records.clone() };
        let bytes = serde_json::to_vec_pretty(&file).map_err(|error| FileError::Io {
            action: "encode",
            path: self.path.clone(),
            source: error.into(),
        })?;
        if let Some(directory) = self.path.parent() {
            if let Some(above) = directory.parent() {
                create_private_dir(above)?;
            }
            create_private_dir(directory)?;
        }
        write_atomic(&self.path, &bytes, Mode::Private)
    }
}

fn damaged(path: &Path, what: &str) -> BTreeMap<String, Record> {
    tracing::warn!(path = %path.display(), what, "the state of a target cannot be used; it is compared anew");
    BTreeMap::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let state_dir = dir.path().join("state");
        let at = Timestamp::parse("2026-11-20T08:00:00Z").unwrap();
        let mut state = StateFile::load(&state_dir, "web");
        assert!(state.records.is_empty());
        let delivered = Delivered {
            sha256: "00".into(),
            number: Some(CrlNumber::from(0x1234).to_string()),
            at,
            seen: at,
            tag: Some("\"1\"".into()),
        };
        let waiting = Waiting {
            sha256: "01".into(),
            since: at,
            failures: 2,
            retry_at: at,
            error: "no".into(),
            refused: false,
        };
        let record = Record { delivered: Some(delivered), waiting: Some(waiting) };
        state.records.insert("crl/issuing.crl".into(), record.clone());
        state.save().unwrap();
        let again = StateFile::load(&state_dir, "web");
        assert_eq!(again.records["crl/issuing.crl"], record);
        assert_eq!(record.delivered.unwrap().number(), Some(CrlNumber::from(0x1234)));
        std::fs::write(&again.path, "{").unwrap();
        assert!(StateFile::load(&state_dir, "web").records.is_empty());
    }
}
