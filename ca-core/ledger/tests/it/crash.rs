use std::fs;
use std::io::ErrorKind;

use ca_files::fault::{self, Failure};
use ca_ledger::{LedgerError, LedgerReader, LedgerWriter};

use crate::common::{Home, at, copy, entries, key, vkey};
use crate::write::naive;

/// Sizes before and after the append that is disturbed.
const STEPS: [(u64, u64); 6] = [(0, 1), (5, 6), (250, 257), (255, 256), (256, 257), (250, 780)];

fn operations(home: &Home, from: u64, to: u64) -> u64 {
    let scratch = tempfile::tempdir().unwrap();
    copy(&home.ledger(), scratch.path());
    let mut writer = LedgerWriter::open(scratch.path(), key(), &home.lock()).unwrap();
    fault::disarm();
    writer.append(entries(from..to), at(to)).unwrap();
    fault::counts().operations
}

fn base(from: u64) -> Home {
    if from == 0 { Home::new() } else { Home::with(&[from]) }
}

/// Killed at every operation; the next writer carries on with other batches.
#[test]
fn a_crash_at_every_step_loses_nothing_that_was_committed() {
    for (from, to) in STEPS {
        let base = base(from);
        let count = operations(&base, from, to);
        for step in 0..count {
            let home = Home { dir: tempfile::tempdir().unwrap() };
            copy(&base.ledger(), &home.ledger());
            let mut writer = home.writer();
            fault::arm(step, Failure::Crash);
            let result = writer.append(entries(from..to), at(to));
            fault::disarm();
            let error = result.expect_err("the append was disturbed");
            drop(writer);

            let size = LedgerReader::open(&home.ledger(), &vkey()).unwrap().size();
            let unknown = matches!(error, LedgerError::OutcomeUnknown(_));
            assert_eq!(size, if unknown { to } else { from }, "{from}..{to} step {step}: {error}");
            let report = home.verify();
            assert!(report.is_sound(), "{from}..{to} step {step}: {:?}", report.faults);

            // Other entries take the place of those that were not committed, in
            // batches that meet every width of leftover.
            let mut writer = home.writer();
            for (index, add) in [1, 3, 290].into_iter().enumerate() {
                let first = writer.checkpoint().size;
                let late = at(to + index as u64);
                writer.append(entries(first + 1000..first + 1000 + add), late).unwrap();
                let report = home.verify();
                assert!(report.is_sound(), "{from}..{to} step {step}: {:?}", report.faults);
                assert_eq!(report.leftovers, Vec::<String>::new(), "{from}..{to} step {step}");
            }
        }
    }
}

/// One failure at every operation; the same writer tries again.
#[test]
fn after_a_full_disk_the_same_writer_goes_on() {
    for (from, to) in STEPS {
        let base = base(from);
        let count = operations(&base, from, to);
        for step in 0..count {
            let home = Home { dir: tempfile::tempdir().unwrap() };
            copy(&base.ledger(), &home.ledger());
            let mut writer = home.writer();
            fault::arm(step, Failure::Once(ErrorKind::StorageFull));
            let result = writer.append(entries(from..to), at(to));
            fault::disarm();
            match result {
                // Failing to remove a file that is not there fails nothing.
                Ok(committed) => assert_eq!(committed.checkpoint.size, to),
                Err(LedgerError::OutcomeUnknown(_)) => {
                    assert!(matches!(writer.append(entries(0..1), at(to)), Err(LedgerError::Poisoned)));
                    assert!(matches!(writer.heartbeat(at(to)), Err(LedgerError::Poisoned)));
                    assert_eq!(home.writer().checkpoint().size, to);
                }
                Err(_) => {
                    assert_eq!(LedgerReader::open(&home.ledger(), &vkey()).unwrap().size(), from);
                    writer.append(entries(from..to), at(to)).unwrap();
                }
            }
            let report = home.verify();
            assert!(report.is_sound(), "{from}..{to} step {step}: {:?}", report.faults);
            assert_eq!(report.checkpoint.root, naive(to));
        }
    }
}

#[test]
fn only_the_last_fsync_leaves_the_outcome_unknown() {
    let base = Home::with(&[5]);
    let count = operations(&base, 5, 6);
    let mut unknown = Vec::new();
    for step in 0..count {
        let home = Home { dir: tempfile::tempdir().unwrap() };
        copy(&base.ledger(), &home.ledger());
        let mut writer = home.writer();
        fault::arm(step, Failure::Once(ErrorKind::Other));
        let result = writer.append(entries(5..6), at(6));
        fault::disarm();
        if matches!(result, Err(LedgerError::OutcomeUnknown(_))) {
            unknown.push(step);
        }
    }
    assert_eq!(unknown, [count - 1]);
}

/// The files of a newer state under an older checkpoint: what a power cut leaves
/// when the rename did not reach the disk.
#[test]
fn newer_files_under_an_older_checkpoint() {
    let old = Home::with(&[250]);
    let new = Home::with(&[250, 600]);
    let home = Home { dir: tempfile::tempdir().unwrap() };
    copy(&old.ledger(), &home.ledger());
    copy(&new.ledger(), &home.ledger());
    fs::copy(old.ledger().join("checkpoint"), home.ledger().join("checkpoint")).unwrap();
    let report = home.verify();
    assert!(report.is_sound(), "{:?}", report.faults);
    assert!(!report.leftovers.is_empty());
    let mut writer = home.writer();
    for size in 250..260 {
        writer.append(entries(size..size + 1), at(size)).unwrap();
        assert!(home.verify().is_sound());
    }
    assert_eq!(writer.checkpoint().root, naive(260));
}
