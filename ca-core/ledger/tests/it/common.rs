//! What the tests share.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ca_domain::{KeyIdentifier, ReasonCode, SerialNumber, Timestamp};
use ca_files::WriteLock;
use ca_ledger::{
    Entry, EntryKind, FollowError, Follower, LedgerKey, LedgerWriter, NewEntry, Source, VerifyReport,
};

pub(crate) const ORIGIN: &str = "ca.example.test/ledger";

pub(crate) fn key() -> LedgerKey {
    LedgerKey::from_seed(ORIGIN, &[7; 32]).unwrap()
}

pub(crate) fn vkey() -> String {
    key().vkey()
}

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix(1_795_000_000 + seconds).unwrap()
}

/// Entry `i`: every kind and every optional field in turn.
pub(crate) fn entry(i: u64) -> NewEntry {
    let kinds = [
        EntryKind::CertificateIssued,
        EntryKind::Revoked,
        EntryKind::Held,
        EntryKind::Released,
        EntryKind::CrlIssued,
        EntryKind::AuthorityCreated,
    ];
    let kind = kinds[(i % 6) as usize];
    let mut serial = [0; 20];
    serial[12..].copy_from_slice(&i.to_be_bytes());
    NewEntry {
        kind,
        time: at(i),
        authority: KeyIdentifier([3; 20]),
        serial: (kind != EntryKind::CrlIssued).then(|| SerialNumber::from_random(serial)),
        not_after: i.is_multiple_of(6).then(|| at(i + 86_400)),
        reason: (kind == EntryKind::Revoked).then_some(ReasonCode::KeyCompromise),
        invalidity_date: (i % 12 == 1).then(|| at(i)),
        detail: format!("{{\"detail\":{i}}}").into_bytes(),
    }
}

pub(crate) fn entries(range: std::ops::Range<u64>) -> Vec<NewEntry> {
    range.map(entry).collect()
}

/// What a poll hands out, with positions.
pub(crate) fn poll<S: Source>(follower: &mut Follower<S>) -> Result<Vec<(u64, Entry)>, FollowError> {
    let mut found = Vec::new();
    follower.poll(|first, entries| found.extend((first..).zip(entries.iter().copied())))?;
    Ok(found)
}

pub(crate) struct Home {
    pub(crate) dir: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        LedgerWriter::create(&home.ledger(), key(), at(0)).unwrap();
        home
    }

    /// A ledger written in the given batches.
    pub(crate) fn with(batches: &[u64]) -> Self {
        let home = Self::new();
        let mut writer = home.writer();
        for count in batches {
            let first = writer.checkpoint().size;
            writer.append(entries(first..first + count), at(first)).unwrap();
        }
        home
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.dir.path().join("ledger")
    }

    pub(crate) fn writer(&self) -> LedgerWriter {
        LedgerWriter::open(&self.ledger(), key(), &self.lock()).unwrap()
    }

    pub(crate) fn lock(&self) -> WriteLock {
        WriteLock::acquire(&self.dir.path().join("lock"), Duration::ZERO, "test").unwrap()
    }

    pub(crate) fn verify(&self) -> VerifyReport {
        ca_ledger::verify::verify(&self.ledger(), &vkey(), &mut |_, _| {}).unwrap()
    }

    /// Every file below the ledger, relative, sorted.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(&self.ledger(), &mut files);
        files.sort();
        files
    }
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for item in fs::read_dir(dir).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let path = item.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
