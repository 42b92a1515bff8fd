//! `--check` writes nothing, and says what a start would meet.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use ca_service::fixture::program;
use ca_service::{Clock, SystemClock};
use common::Bench;
use crl_publisher::Daemon;
use crl_publisher::config::Config;

/// With everything that has a state of its own.
fn configure(bench: &Bench) -> Config {
    bench.private("token", b"Bearer secret\n");
    bench.config(&format!(
        "  - name: issuing\n    certificate: ca.pem\n    mode: sign\n    key: ca.key\nstate_dir: state\n\
         targets:\n  - name: web\n    directory: {}/web\n  - name: run\n    command: [/bin/cat]\n\
         alarms: {{webhook: {{url: 'http://127.0.0.1:9/hook', authorization_file: token}}}}\n",
        bench.home("elsewhere").display()
    ))
}

/// Checks, and sees that nothing changed.
fn check(bench: &Bench) -> (Option<i32>, String) {
    program::check(
        env!("CARGO_BIN_EXE_crl-publisher"),
        &bench.home("crl-publisher.yaml"),
        bench.ledger.home(),
    )
}

#[test]
fn a_check_writes_nothing() {
    let mut bench = Bench::at(SystemClock.now());
    bench.issue();
    fs::create_dir_all(bench.home("elsewhere/web")).unwrap();
    let config = configure(&bench);
    assert_eq!(check(&bench), (Some(0), String::new()), "before the first start");
    let mut daemon = Daemon::open(config, Arc::new(SystemClock)).unwrap();
    daemon.prepare().unwrap();
    daemon.tick();
    daemon.deliver();
    drop(daemon);
    let state = bench.home("state");
    assert!(state.join("follower").exists() && state.join("targets").exists());
    bench.issue();
    assert_eq!(check(&bench), (Some(0), String::new()));
    // Also what it has to say changes nothing.
    let key = fs::read(bench.home("ca.key")).unwrap();
    fs::remove_file(bench.home("ca.key")).unwrap();
    let (code, said) = check(&bench);
    assert!(code == Some(1) && said.contains("key issuing: "), "{said}");
    bench.private("ca.key", &key);

    // Where the daemon could not write, that is a fault; all else is looked at too.
    fs::set_permissions(&state, fs::Permissions::from_mode(0o500)).unwrap();
    let good = bench.ledger.checkpoint();
    bench.ledger.put_checkpoint(b"nothing");
    let (code, said) = check(&bench);
    let told =
        said.contains("state_dir: nothing can be kept for the next start") && said.contains("/state: ");
    assert!(code == Some(1) && told && said.contains("ledger: "), "{said}");
    bench.ledger.put_checkpoint(&good);
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(check(&bench), (Some(0), String::new()));
}
