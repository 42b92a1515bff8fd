//! The state file: a start without reading the whole ledger, and what becomes of a
//! file that cannot be used.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;

use ca_domain::SerialNumber;
use ca_status::ocsp::{ErrorStatus, ViewState};
use common::Bench;

/// Certificates, more than are worth a file.
const MANY: usize = 10_050;

/// A bench whose responder has ended and left a state file.
fn ended() -> (Bench, [SerialNumber; 2]) {
    let mut bench = Bench::idle();
    let serials = bench.issue_many(MANY);
    bench.start("state_dir: state\n");
    let good = serials[0];
    let revoked = serials[MANY - 1];
    bench.revoke(&revoked);
    bench.wait_for_state(&revoked, |state| matches!(state, ViewState::Revoked { .. }));
    bench.stop();
    (bench, [good, revoked])
}

#[test]
fn a_start_reads_only_what_is_new() {
    let (mut bench, [good, revoked]) = ended();
    // Entries of long ago are not looked at: they need not be there.
    let old = bench.ledger.path().join("tile/entries/000");
    assert!(fs::metadata(&old).is_ok(), "{}", old.display());
    fs::remove_file(&old).unwrap();
    bench.start("state_dir: state\n");
    assert_eq!(bench.state(&good), ViewState::Good);
    assert!(matches!(bench.state(&revoked), ViewState::Revoked { .. }));
    // And it follows on.
    bench.revoke(&good);
    bench.wait_for_state(&good, |state| matches!(state, ViewState::Revoked { .. }));
    bench.stop();
    bench.start("");
    assert_eq!(bench.error(&good), Some(ErrorStatus::TryLater), "without the file the ledger is needed");
}

#[test]
fn a_damaged_file_is_not_used_and_nothing_is_lost() {
    let (mut bench, [good, revoked]) = ended();
    let path = bench.ledger.home().join("state/status");
    let whole = fs::read(&path).unwrap();
    let middle = whole.len() / 2;
    for damage in [vec![], b"something else".to_vec(), whole[..middle].to_vec(), {
        let mut flipped = whole.clone();
        flipped[middle] ^= 1;
        flipped
    }] {
        fs::write(&path, &damage).unwrap();
        bench.start("state_dir: state\n");
        assert_eq!(bench.state(&good), ViewState::Good);
        assert!(matches!(bench.state(&revoked), ViewState::Revoked { .. }));
        bench.stop();
        assert!(fs::read(&path).unwrap().len() >= whole.len(), "it is written anew");
    }
}

#[test]
fn an_older_ledger_is_refused_after_a_restart() {
    let mut bench = Bench::idle();
    bench.issue_many(MANY);
    let old = bench.ledger.checkpoint();
    let serial = bench.issue();
    bench.start("state_dir: state\n");
    assert_eq!(bench.state(&serial), ViewState::Good);
    bench.stop();
    bench.ledger.put_checkpoint(&old);
    bench.start("state_dir: state\n");
    assert_eq!(bench.error(&serial), Some(ErrorStatus::TryLater));
}

#[test]
fn an_entry_that_was_left_out_is_tried_and_told_again() {
    let mut bench = Bench::idle();
    let good = bench.issue_many(MANY)[0];
    // Nobody issued it: the table cannot take this entry.
    bench.revoke(&SerialNumber::from_random([9; 20]));
    for _ in 0..2 {
        bench.start("state_dir: state\n");
        assert_eq!(bench.state(&good), ViewState::Good);
        let (status, health) = bench.health();
        assert_eq!(status, 503);
        assert!(health.contains("an entry makes no sense and was left out"), "{health}");
        bench.stop();
        assert!(!bench.ledger.home().join("state/status").exists(), "what is left out would be forgotten");
    }
}
