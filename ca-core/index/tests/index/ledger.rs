//! From the ledger to the index and back to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ca_index::{
    Filter, Index, IndexError, MemoryIndex, SledIndex, catch_up, open_or_rebuild, query_or_rebuild, rebuild,
};
use ca_ledger::{EntryKind, LedgerKey, LedgerReader, LedgerWriter, NewEntry};

use crate::support::{at, issuance, sled, status};

pub(crate) struct Home {
    dir: tempfile::TempDir,
    writer: LedgerWriter,
    vkey: String,
}

impl Home {
    pub(crate) fn new(entries: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = LedgerKey::generate("test.example/ledger").unwrap();
        let vkey = key.vkey();
        let writer = LedgerWriter::create(&dir.path().join("ledger"), key, at(1_000)).unwrap();
        let mut home = Self { dir, writer, vkey };
        home.issue(0, entries);
        home
    }

    pub(crate) fn append(&mut self, entries: Vec<NewEntry>) {
        self.writer.append(entries, at(1_500)).unwrap();
    }

    pub(crate) fn issue(&mut self, first: u64, count: u64) {
        let entries: Vec<_> =
            (first..first + count).map(|n| issuance(n, &format!("person.{n}@example.test"))).collect();
        if !entries.is_empty() {
            self.append(entries);
        }
    }

    pub(crate) fn reader(&self) -> LedgerReader {
        LedgerReader::open(&self.dir.path().join("ledger"), &self.vkey).unwrap()
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.dir.path().join("index")
    }

    /// Opens the index, and what it warned of.
    pub(crate) fn open(&self) -> (SledIndex, Vec<String>) {
        open(&self.index(), &self.reader())
    }

    /// What the ledger says, without any file of the index.
    pub(crate) fn truth(&self) -> MemoryIndex {
        let mut memory = MemoryIndex::new();
        catch_up(&mut memory, &self.reader(), &mut |_, _| ()).unwrap();
        memory
    }

    pub(crate) fn assert_right(&self, index: &SledIndex) {
        let truth = self.truth();
        let all = |index: &dyn Index| index.select(&Filter::default(), at(0), None).unwrap();
        assert_eq!(index.applied().unwrap(), truth.applied().unwrap());
        assert_eq!(all(index), all(&truth));
        index.verify().unwrap();
    }
}

fn open(dir: &Path, reader: &LedgerReader) -> (SledIndex, Vec<String>) {
    let mut warnings = Vec::new();
    let mut warn = |warning: &str| warnings.push(warning.to_owned());
    let index =
        open_or_rebuild(dir, reader, Duration::from_secs(5), "test", &mut warn, &mut |_, _| ()).unwrap();
    (index, warnings)
}

#[test]
fn a_missing_index_is_built_and_a_late_one_catches_up() {
    let mut home = Home::new(3);
    let (index, warnings) = home.open();
    assert_eq!(warnings, [""; 0]);
    home.assert_right(&index);
    drop(index);
    home.issue(3, 5);
    home.append(vec![status(EntryKind::Revoked, 4, 1_200)]);
    let (index, warnings) = home.open();
    assert_eq!(warnings, [""; 0]);
    home.assert_right(&index);
    assert_eq!(index.by_mailbox("PERSON.4@example.test").unwrap().len(), 1);
}

#[test]
fn many_entries_are_built_in_batches() {
    let home = Home::new(300);
    let mut seen = Vec::new();
    let mut progress = |done, total| seen.push((done, total));
    let index =
        open_or_rebuild(&home.index(), &home.reader(), Duration::ZERO, "test", &mut |_| (), &mut progress)
            .unwrap();
    assert_eq!(seen, [(128, 300), (256, 300), (300, 300)]);
    home.assert_right(&index);
}

#[test]
fn an_empty_ledger_has_an_empty_index() {
    let home = Home::new(0);
    let (index, warnings) = home.open();
    assert_eq!((warnings.len(), index.applied().unwrap().size), (0, 0));
    drop(index);
    assert_eq!(home.open().1.len(), 0);
}

#[test]
fn an_index_of_another_ledger_or_ahead_of_it_is_built_again() {
    let home = Home::new(6);
    for (others, words) in [(4, "another ledger"), (6, "another ledger"), (9, "ahead")] {
        let mut other = Home::new(0);
        // The same certificates, but another order.
        other.append((0..others).rev().map(|n| issuance(n, "x@example.test")).collect());
        drop(open(&home.index(), &other.reader()));
        let (index, warnings) = home.open();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains(words), "{others}: {warnings:?}");
        home.assert_right(&index);
        drop(index);
        assert_eq!(home.open().1, [""; 0]);
    }
}

#[test]
fn a_rebuild_replaces_what_is_there() {
    let home = Home::new(5);
    let (mut index, _) = home.open();
    rebuild(&mut index, &home.reader(), &mut |_, _| ()).unwrap();
    home.assert_right(&index);
    drop(index);
    assert_eq!(home.open().1, [""; 0]);
    let generations = std::fs::read_dir(home.index()).unwrap().count();
    assert_eq!(generations, 2, "the lock and one generation");
}

#[test]
fn a_question_that_finds_damage_is_asked_again() {
    let home = Home::new(5);
    let (mut index, _) = home.open();
    let mut warnings = Vec::new();
    let mut asked = 0;
    let mut ask = |index: &SledIndex| {
        asked += 1;
        if asked == 1 {
            return Err(IndexError::Corrupt { path: index.dir().into(), what: "a bit fell over".into() });
        }
        Ok(index.by_mailbox("person.1@example.test")?.len())
    };
    let mut warn = |warning: &str| warnings.push(warning.to_owned());
    let found = query_or_rebuild(&mut index, &home.reader(), &mut warn, &mut |_, _| (), &mut ask).unwrap();
    assert_eq!((found, asked), (1, 2));
    assert!(warnings[0].contains("a bit fell over"), "{warnings:?}");
    home.assert_right(&index);
}

#[test]
fn a_ledger_that_contradicts_itself_is_an_error_and_no_endless_loop() {
    let mut home = Home::new(2);
    home.append(vec![status(EntryKind::Released, 1, 1_200)]);
    let mut warnings = 0;
    let error = open_or_rebuild(
        &home.index(),
        &home.reader(),
        Duration::ZERO,
        "test",
        &mut |_| warnings += 1,
        &mut |_, _| (),
    )
    .unwrap_err();
    assert!(matches!(error, IndexError::Inconsistent { position: 2, .. }), "{error}");
    assert!(warnings <= 1);
}

#[test]
fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let first = sled(&path);
    let busy = SledIndex::open(&path, Duration::ZERO, "second").unwrap_err();
    assert!(matches!(busy, IndexError::File(_)), "{busy}");
    assert!(busy.to_string().contains("test"), "{busy}");
    drop(first);
    SledIndex::open(&path, Duration::ZERO, "second").unwrap();
}
