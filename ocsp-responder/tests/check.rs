//! `--check` writes nothing, and says what a start would meet.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use ca_service::fixture::program;
use ca_service::{Clock, SystemClock};
use common::Bench;

/// More than are worth a state file.
const MANY: usize = 10_050;
const STATE: &str = "state_dir: state\n";

/// Checks, and sees that nothing changed.
fn check(bench: &Bench) -> (Option<i32>, String) {
    program::check(
        env!("CARGO_BIN_EXE_ocsp-responder"),
        &bench.ledger.home().join("ocsp-responder.yaml"),
        bench.ledger.home(),
    )
}

#[test]
fn a_check_writes_nothing() {
    let mut bench = Bench::at(SystemClock.now());
    bench.issue_many(MANY);
    bench.configure(STATE);
    assert_eq!(check(&bench), (Some(0), String::new()), "without a state_dir yet");
    bench.start(STATE);
    bench.stop();
    let state = bench.ledger.home().join("state");
    assert!(state.join("status").exists() && state.join("follower").exists());
    // What a start would read and keep.
    bench.issue_many(MANY);
    assert_eq!(check(&bench), (Some(0), String::new()));
    // It knows what the daemon knew.
    let good = bench.ledger.checkpoint();
    fs::write(state.join("follower"), b"damaged").unwrap();
    let (code, said) = check(&bench);
    assert!(code == Some(1) && said.contains("follower"), "{said}");
    fs::remove_file(state.join("follower")).unwrap();
    bench.ledger.put_checkpoint(&good);
    assert_eq!(check(&bench).0, Some(0));

    // Where the daemon could not write, that is a fault; all else is looked at too.
    fs::set_permissions(&state, fs::Permissions::from_mode(0o500)).unwrap();
    bench.ledger.put_checkpoint(b"nothing");
    let (code, said) = check(&bench);
    let told =
        said.contains("state_dir: nothing can be kept for the next start") && said.contains("/state: ");
    assert!(code == Some(1) && told && said.contains("ledger: "), "{said}");
    bench.ledger.put_checkpoint(&good);
    fs::remove_dir_all(&state).unwrap();
    fs::set_permissions(bench.ledger.home(), fs::Permissions::from_mode(0o500)).unwrap();
    let (code, said) = check(&bench);
    assert!(code == Some(1) && said.contains("state_dir: nothing can be kept"), "{said}");
    fs::set_permissions(bench.ledger.home(), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(check(&bench), (Some(0), String::new()));
}
