//! A publication that is killed, or fails, at any of its operations on files.

#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]
mod common;

use std::fs;
use std::io::ErrorKind;

use ca_domain::{ReasonCode, SerialNumber};
use ca_files::fault::{self, Failure};
use ca_status::crl::CrlNumber;
use common::{Bench, DAY, HOUR, listed};
use crl_publisher::Daemon;

const LISTS: &str = "    validity: 7d\n    interval: 24h\n    url: http://a.test/crl/{name}.crl\n    delta:\n      validity: 30h\n      interval: 25h\n";

/// A publisher whose next tick signs a full CRL and its delta.
struct Due {
    bench: Bench,
    daemon: Daemon,
    alice: SerialNumber,
    bob: SerialNumber,
    old: Option<CrlNumber>,
}

fn due() -> Due {
    let mut bench = Bench::new();
    let (alice, bob) = (bench.issue(), bench.issue());
    bench.revoke(alice);
    let mut daemon = bench.signer(LISTS);
    daemon.tick();
    let old = listed(&bench, "issuing").frame.number().unwrap();
    bench.revoke(bob);
    daemon.tick();
    bench.clock.advance(5);
    daemon.tick();
    bench.clock.advance(24 * HOUR);
    let now = bench.now();
    bench.ledger.heartbeat(now);
    Due { bench, daemon, alice, bob, old }
}

/// What readers see is whole, and of one time or the other.
fn check_readers(due: &Due, step: u64) {
    let (full, delta) = (listed(&due.bench, "issuing"), listed(&due.bench, "issuing-delta"));
    let is_new = full.frame.number().unwrap() != due.old;
    assert!(full.entries.contains_key(&due.alice), "step {step}");
    assert_eq!(full.entries.contains_key(&due.bob), is_new, "step {step}");
    // The delta is of this full CRL, or of the one before: then it says nothing about it.
    let of_old = delta.frame.base().unwrap() == due.old;
    assert!(of_old || is_new, "step {step}");
    assert_eq!(delta.entries.contains_key(&due.bob), of_old, "step {step}");
    assert!(is_new || delta.entries.contains_key(&due.bob), "somebody says that bob is revoked");
    for name in ["issuing.pem", "issuing-delta.pem", "bundle.pem"] {
        let text = fs::read_to_string(due.bench.published(&format!("crl/{name}"))).unwrap();
        let (label, der) = der::pem::decode_vec(text.as_bytes()).unwrap();
        assert_eq!(label, "X509 CRL");
        common::told_any(&der, &due.bench.ca);
    }
}

fn leftovers(due: &Due) -> Vec<String> {
    let entries = fs::read_dir(due.bench.published("crl")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with('.') && name.ends_with(".tmp")).collect()
}

/// All is as it should be: both CRLs are new, and of each other.
fn check_recovered(due: &Due, step: u64) {
    let (full, delta) = (listed(&due.bench, "issuing"), listed(&due.bench, "issuing-delta"));
    assert!(full.frame.number().unwrap() > due.old, "step {step}");
    let wanted = [due.alice, due.bob].map(|serial| (serial, ReasonCode::KeyCompromise));
    assert_eq!(full.entries, wanted.into(), "step {step}");
    assert_eq!(delta.frame.base().unwrap(), full.frame.number().unwrap(), "step {step}");
    assert!(delta.entries.is_empty(), "step {step}");
    assert_eq!(leftovers(due), [""; 0], "step {step}");
    let mut bundle = String::new();
    for name in ["issuing", "issuing-delta"] {
        let text = fs::read_to_string(due.bench.published(&format!("crl/{name}.pem"))).unwrap();
        let (_, der) = der::pem::decode_vec(text.as_bytes()).unwrap();
        assert!(der == fs::read(due.bench.published(&format!("crl/{name}.crl"))).unwrap(), "step {step}");
        bundle = if bundle.is_empty() { text } else { bundle };
    }
    assert!(fs::read_to_string(due.bench.published("crl/bundle.pem")).unwrap() == bundle, "step {step}");
}

#[test]
fn killed_anywhere_readers_see_the_old_or_the_new() {
    for step in 0.. {
        let mut due = due();
        fault::arm(step, Failure::Crash);
        due.daemon.tick();
        let count = fault::counts().operations;
        fault::disarm();
        check_readers(&due, step);
        let seen = listed(&due.bench, "issuing").frame.number().unwrap();
        due.daemon = due.bench.signer(LISTS);
        due.bench.clock.advance(1);
        due.daemon.tick();
        check_recovered(&due, step);
        assert!(listed(&due.bench, "issuing").frame.number().unwrap() >= seen);
        if count <= step {
            assert!(step > 20, "only {step} operations");
            return;
        }
    }
}

#[test]
fn a_failure_anywhere_is_made_good_by_the_same_process() {
    for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
        for step in 0.. {
            let mut due = due();
            fault::arm(step, Failure::Once(kind));
            due.daemon.tick();
            let count = fault::counts().operations;
            fault::disarm();
            check_readers(&due, step);
            due.bench.clock.advance(61);
            due.daemon.tick();
            check_recovered(&due, step);
            if count <= step {
                break;
            }
        }
    }
}

/// The same for a CRL that was signed elsewhere.
#[test]
fn taking_a_crl_killed_anywhere_or_failing() {
    for failure in [Failure::Crash, Failure::Once(ErrorKind::StorageFull)] {
        let bench = Bench::new();
        let mut old = bench.make_crl(&bench.root, 1, 90 * DAY);
        bench.write("root.crl", &old);
        bench.distributor().tick();
        let mut step = 0;
        loop {
            let new = bench.make_crl(&bench.root, step + 2, 90 * DAY);
            bench.write("root.crl", &new);
            let mut daemon = bench.distributor();
            fault::arm(step, failure);
            daemon.tick();
            let count = fault::counts().operations;
            fault::disarm();
            let found = fs::read(bench.published("crl/root.crl")).unwrap();
            assert!(found == old || found == new, "{failure:?}, step {step}");
            let text = fs::read_to_string(bench.published("crl/root.pem")).unwrap();
            let (_, der) = der::pem::decode_vec(text.as_bytes()).unwrap();
            assert!(der == old || der == new, "{failure:?}, step {step}");
            // A new process after a crash; else the same one makes it good.
            if matches!(failure, Failure::Crash) {
                daemon = bench.distributor();
            }
            daemon.tick();
            assert_eq!(fs::read(bench.published("crl/root.crl")).unwrap(), new, "{failure:?}, step {step}");
            assert_eq!(bench.alarms(&daemon), [""; 0], "{failure:?}, step {step}");
            let left = fs::read_dir(bench.published("crl")).unwrap().map(|entry| entry.unwrap().file_name());
            assert_eq!(
                left.filter(|name| name.to_string_lossy().ends_with(".tmp")).count(),
                0,
                "step {step}"
            );
            if count <= step {
                assert!(step > 10, "only {step} operations");
                break;
            }
            (old, step) = (new, step + 1);
        }
    }
}
