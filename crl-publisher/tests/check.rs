//! `--check` writes nothing, and says what a start would meet.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;

use ca_service::fixture::program;
use ca_service::{Clock, SystemClock};
use ca_service::{ManualClock, SaneClock};
use common::targets::{DELTA, ISSUING, ROOT};
use common::{Bench, DAY, HOUR};
use crl_publisher::Daemon;
use crl_publisher::config::Config;

/// With everything that has a state of its own.
fn configure(bench: &Bench) -> Config {
    bench.private("token", b"Bearer secret\n");
    bench.config(&format!(
        "{ISSUING}{ROOT}state_dir: state\n\
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
    bench.write("root.crl", &bench.make_crl(&bench.root, 1, 90 * DAY));
    let config = configure(&bench);
    assert_eq!(check(&bench), (Some(0), String::new()), "before the first start");
    // What it names must be there.
    for (name, there, away) in [("web", "elsewhere/web", "elsewhere/webb"), ("run", "/bin/cat", "/bin/catt")]
    {
        let text = fs::read_to_string(bench.home("crl-publisher.yaml")).unwrap();
        bench.write("crl-publisher.yaml", text.replace(there, away).as_bytes());
        let (code, said) = check(&bench);
        let told = said.contains(&format!("target {name}: a target is not there: ")) && said.contains(away);
        assert!(code == Some(1) && told, "{said}");
        bench.write("crl-publisher.yaml", text.as_bytes());
    }
    let mut daemon = Daemon::open(config, Arc::new(SystemClock)).unwrap();
    daemon.prepare().unwrap();
    daemon.tick();
    daemon.deliver();
    drop(daemon);
    let state = bench.home("state");
    assert!(state.join("follower").exists() && state.join("targets").exists());
    bench.issue();
    assert_eq!(check(&bench), (Some(0), String::new()));
    // Nor what could be made of a CRL.
    fs::remove_file(bench.published("crl/root.pem")).unwrap();
    fs::remove_file(bench.published("crl/bundle.pem")).unwrap();
    bench.write("root.crl", &bench.make_crl(&bench.root, 2, 90 * DAY));
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

/// What a check says, with the clock of the bench.
fn said(bench: &Bench, authorities: &str) -> Vec<String> {
    let alarms = Daemon::check(bench.config(authorities), Arc::new(bench.clock.clone())).unwrap();
    alarms.list().into_iter().map(|(topic, summary)| format!("{topic}: {summary}")).collect()
}

#[test]
fn a_check_tells_of_crls_that_are_not_renewed_and_of_sources() {
    let mut bench = Bench::new();
    let both = format!("{ISSUING}{DELTA}{ROOT}    remind: 30d\n");
    let unfit = ["source root: the CRL offered cannot be published"];
    assert_eq!(said(&bench, &both), unfit, "there is none");
    bench.write("root.crl", &bench.make_crl(&bench.ca, 1, 90 * DAY));
    assert_eq!(said(&bench, &both), unfit, "it is of another authority");
    bench.write("root.crl", &bench.make_crl(&bench.root, 2, 90 * DAY));
    assert_eq!(said(&bench, &both), [""; 0], "before the first start");
    bench.open(&both).tick();
    assert_eq!(said(&bench, &both), [""; 0]);
    bench.write("root.crl", &bench.make_crl(&bench.root, 1, 90 * DAY));
    assert_eq!(said(&bench, &both), unfit, "it is older");
    bench.write("root.crl", &fs::read(bench.published("crl/root.crl")).unwrap());

    // thisUpdate was backdated by 5 minutes; the margin of the delta CRL is 18 minutes, that of the CRL 6 hours.
    let soon = |name: &str| format!("crl {name}: the CRL ends soon and is not renewed");
    let over = |name: &str| format!("crl {name}: the CRL has expired");
    for (seconds, expected) in [
        (6 * HOUR - 23 * 60 - 1, vec![]),
        (1, vec![soon("issuing-delta")]),
        (18 * 60, vec![over("issuing-delta")]),
        (7 * DAY - 12 * HOUR, vec![soon("issuing"), over("issuing-delta")]),
        (6 * HOUR, vec![over("issuing"), over("issuing-delta")]),
        (54 * DAY, vec![over("issuing"), over("issuing-delta"), "crl root: the CRL expires soon".to_owned()]),
    ] {
        bench.clock.advance(seconds);
        let now = bench.now();
        bench.ledger.heartbeat(now);
        assert_eq!(said(&bench, &both), expected, "{now}");
    }
    bench.open(&both).tick();
    assert_eq!(said(&bench, &both), ["crl root: the CRL expires soon"]);

    let path = bench.published("crl/issuing.crl");
    let good = fs::read(&path).unwrap();
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    assert_eq!(said(&bench, &both)[0], "crl issuing: the published CRL is unusable");
    fs::remove_file(&path).unwrap();
    assert_eq!(said(&bench, &both)[0], "crl issuing: there is no CRL");
    fs::write(&path, good).unwrap();
    // What is new in the configuration was not published yet.
    assert_eq!(said(&bench, &both.replace(DELTA, &format!("{DELTA}    shards: [2]\n"))).len(), 1);
    bench.clock.set(bench.now().saturating_sub(HOUR));
    assert_eq!(said(&bench, &both)[0], "crl issuing: the CRL is of the future");
}

#[test]
fn a_check_tells_of_a_clock_that_jumped_while_somebody_publishes_by_it() {
    let bench = Bench::new();
    let wall = ManualClock::at(bench.now());
    let clock = SaneClock::new(wall.clone(), || 0);
    let mut daemon = Daemon::open(bench.config(ISSUING), Arc::new(clock)).unwrap();
    daemon.prepare().unwrap();
    daemon.tick();
    assert_eq!(said(&bench, ISSUING), [""; 0]);
    wall.advance(120);
    daemon.tick();
    let jumped = ["clock: the clock here jumped"];
    assert_eq!(bench.alarms(&daemon), jumped);
    assert_eq!(said(&bench, ISSUING), jumped);
    drop(daemon);
    assert_eq!(said(&bench, ISSUING), [""; 0]);
}

#[test]
fn a_check_ends_where_a_file_cannot_be_read() {
    let bench = Bench::new();
    let both = format!("{ISSUING}{ROOT}");
    bench.write("root.crl", &bench.make_crl(&bench.root, 1, 90 * DAY));
    bench.open(&both).tick();
    // Nobody ever writes into it: as on a dead file system, reading has no end.
    fs::remove_file(bench.home("root.crl")).unwrap();
    let made = Command::new("mkfifo").arg(bench.home("root.crl")).status().unwrap();
    assert!(made.success());
    assert_eq!(said(&bench, &both), ["crl root: what is published or offered cannot be read"]);
}
