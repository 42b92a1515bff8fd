//! Mode `sign`: when a CRL is signed, and what never replaces what.

mod common;

use std::fs;

use ca_domain::{ReasonCode, SerialNumber};
use ca_ledger::EntryKind;
use ca_status::crl::{CrlNumber, CrlReader};
use common::{Bench, DAY, HOUR};

const USUAL: &str = "    validity: 7d\n    interval: 24h\n    after_revocation: 5s\n";

#[test]
fn one_at_the_start_then_by_schedule() {
    let mut bench = Bench::new();
    let serial = bench.issue();
    bench.revoke(serial);
    let mut daemon = bench.signer(USUAL);
    daemon.tick();
    let first = bench.crl();
    assert_eq!(first.serials, [serial]);
    assert_eq!(first.this_update, bench.now().saturating_sub(300));
    assert_eq!(first.next_update.seconds_since(first.this_update), 7 * DAY);
    assert_eq!(bench.alarms(&daemon), [""; 0]);
    let file = fs::File::open(bench.published("crl/issuing.crl")).unwrap();
    let planned = CrlReader::open(file).unwrap().frame().next_publish().unwrap();
    assert_eq!(planned, Some(bench.now().saturating_add(DAY)));

    bench.clock.advance(DAY - 1);
    daemon.tick();
    assert_eq!(bench.crl(), first);
    bench.clock.advance(1);
    daemon.tick();
    let second = bench.crl();
    assert!(second.number > first.number && second.next_update > first.next_update);
}

#[test]
fn soon_after_a_revocation_and_several_in_one() {
    let mut bench = Bench::new();
    let (alice, bob, carol) = (bench.issue(), bench.issue(), bench.issue());
    let mut daemon = bench.signer(USUAL);
    daemon.tick();
    let first = bench.crl();
    assert_eq!(first.serials, []);

    bench.clock.advance(60);
    bench.revoke(bob);
    daemon.tick();
    bench.clock.advance(4);
    bench.revoke(carol);
    daemon.tick();
    assert_eq!(bench.crl(), first, "changes are gathered for five seconds");
    bench.clock.advance(1);
    daemon.tick();
    let second = bench.crl();
    assert!(second.number > first.number);
    let mut both = vec![bob, carol];
    both.sort();
    assert_eq!(second.serials, both);

    // A new certificate is no reason for a CRL, a hold and its release are.
    bench.issue();
    bench.clock.advance(60);
    daemon.tick();
    assert_eq!(bench.crl(), second);
    let (id, now) = (bench.ca.id(), bench.now());
    for (kind, listed) in [(EntryKind::Held, 3), (EntryKind::Released, 2)] {
        bench.ledger.append(kind, id, alice, None, now);
        daemon.tick();
        bench.clock.advance(5);
        daemon.tick();
        assert_eq!(bench.crl().serials.len(), listed);
    }
}

#[test]
fn a_change_seen_by_a_clock_that_ran_ahead_does_not_wait_for_it() {
    let mut bench = Bench::new();
    let serial = bench.issue();
    let mut daemon = bench.signer(USUAL);
    daemon.tick();
    let right = bench.now();
    bench.revoke(serial);
    bench.clock.advance(3 * HOUR);
    daemon.tick();
    assert_eq!(bench.crl().serials, []);
    bench.clock.set(right);
    daemon.tick();
    bench.clock.advance(5);
    daemon.tick();
    assert_eq!(bench.crl().serials, [serial]);
}

/// A clock that is wrong by much, at a start and while it runs; then right again.
#[test]
fn what_was_signed_by_a_wrong_clock_is_replaced() {
    for (away, ahead) in [(DAY, true), (30 * 365 * DAY, true), (DAY, false), (5 * 365 * DAY, false)] {
        for restarts in [false, true] {
            let what = format!("{away} s, ahead: {ahead}, restarts: {restarts}");
            let mut bench = Bench::new();
            let serial = bench.issue();
            let mut daemon = bench.signer(USUAL);
            daemon.tick();
            let (right, first) = (bench.now(), bench.crl());
            bench.clock.set(if ahead { right.saturating_add(away) } else { right.saturating_sub(away) });
            if restarts {
                drop(daemon);
                daemon = bench.signer(USUAL);
            }
            daemon.tick();
            let wrong = bench.crl();
            bench.clock.set(right.saturating_add(60));
            bench.revoke(serial);
            daemon.tick();
            bench.clock.advance(61);
            daemon.tick();
            let now = bench.now();
            let last = bench.crl();
            assert_eq!(last.serials, [serial], "{what}");
            assert!(last.this_update <= now && last.next_update > now, "{what}: {last:?}");
            assert!(first.number <= wrong.number && wrong.number < last.number, "{what}");
            assert_eq!(bench.alarms(&daemon), [""; 0], "{what}");
        }
    }
}

#[test]
fn off_waits_for_the_schedule() {
    let mut bench = Bench::new();
    let serial = bench.issue();
    let mut daemon = bench.signer("    after_revocation: off\n");
    daemon.tick();
    bench.revoke(serial);
    daemon.tick();
    bench.clock.advance(HOUR);
    daemon.tick();
    assert_eq!(bench.crl().serials, []);
    bench.clock.advance(DAY);
    daemon.tick();
    assert_eq!(bench.crl().serials, [serial]);
}

#[test]
fn a_restart_keeps_the_number_rising_and_misses_nothing() {
    let mut bench = Bench::new();
    let serial = bench.issue();
    bench.signer(USUAL).tick();
    let first = bench.crl();
    // Nothing due: nothing new.
    bench.clock.advance(60);
    bench.signer(USUAL).tick();
    assert_eq!(bench.crl(), first);
    // Revoked while it was down.
    bench.revoke(serial);
    let mut daemon = bench.signer(USUAL);
    daemon.tick();
    bench.clock.advance(5);
    daemon.tick();
    let second = bench.crl();
    assert_eq!(second.serials, [serial]);
    drop(daemon);
    // The clock stepped back by a year: the number rises all the same.
    bench.clock.set(bench.now().saturating_sub(365 * DAY));
    bench.signer(USUAL).tick();
    let third = bench.crl();
    assert!(third.number > second.number, "{third:?}");
    assert!(third.this_update < second.this_update);
}

#[test]
fn what_a_crash_or_a_stranger_left_does_no_harm() {
    let mut bench = Bench::new();
    let serial = bench.issue();
    bench.revoke(serial);
    bench.signer(USUAL).tick();
    let first = bench.crl();
    let crl = bench.published("crl/issuing.crl");

    // A half-written successor is not looked at and goes away.
    let staging = bench.published("crl/.issuing.crl.tmp");
    fs::write(&staging, b"half").unwrap();
    fs::remove_file(bench.published("crl/issuing.pem")).unwrap();
    fs::remove_file(bench.published("crl/bundle.pem")).unwrap();
    bench.signer(USUAL).tick();
    assert!(!staging.exists());
    assert_eq!(bench.crl(), first);
    assert!(bench.published("crl/issuing.pem").exists() && bench.published("crl/bundle.pem").exists());

    // A published file that was cut, or is of another authority, is replaced.
    let other = bench.make_crl(&bench.root, 5, DAY);
    let cut = fs::read(&crl).unwrap()[..100].to_vec();
    for bad in [cut, other, Vec::new()] {
        fs::write(&crl, &bad).unwrap();
        bench.clock.advance(1);
        bench.signer(USUAL).tick();
        assert_eq!(bench.crl().serials, [serial]);
    }

    // One that the authority issued by hand is the new last one.
    let mut daemon = bench.signer(USUAL);
    daemon.tick();
    let by_hand = bench.make_crl(&bench.ca, 1 << 40, DAY);
    bench.write("published/crl/issuing.crl", &by_hand);
    daemon.tick();
    bench.clock.advance(5);
    daemon.tick();
    let next = bench.crl();
    assert_eq!(next.number, CrlNumber::from((1 << 40) + 1));
    assert_eq!(next.serials, [serial], "it listed a certificate that is not revoked");

    // Removed while it runs: it is back, with a higher number.
    fs::remove_file(&crl).unwrap();
    daemon.tick();
    assert_eq!(bench.crl().number, CrlNumber::from((1 << 40) + 2));
}

#[test]
fn no_crl_without_a_ledger_to_trust() {
    let mut bench = Bench::new();
    let serial = bench.issue();
    let mut daemon = bench.signer(USUAL);
    daemon.tick();
    let first = bench.crl();
    let good = bench.ledger.checkpoint();
    bench.ledger.put_checkpoint(b"nothing");
    bench.clock.advance(DAY);
    daemon.tick();
    assert_eq!(bench.crl(), first);
    let alarms = bench.alarms(&daemon).join("\n");
    assert!(alarms.contains("ledger: the ledger is refused"), "{alarms}");
    assert!(alarms.contains("sign issuing: a due CRL could not be published"), "{alarms}");
    // Half of the overlap of twelve hours is left; then nothing.
    for (seconds, said) in [
        (6 * DAY - 6 * HOUR - 301, "crl issuing: the next CRL is late"),
        (1, "crl issuing: the CRL ends soon and is not renewed"),
        (6 * HOUR, "crl issuing: the CRL has expired"),
    ] {
        bench.clock.advance(seconds);
        daemon.tick();
        let alarms = bench.alarms(&daemon).join("\n");
        assert!(alarms.contains(said), "{alarms}");
    }

    bench.ledger.put_checkpoint(&good);
    bench.revoke(serial);
    bench.clock.advance(60);
    daemon.tick();
    daemon.tick();
    assert_eq!(bench.crl().serials, [serial]);
    assert_eq!(bench.alarms(&daemon), [""; 0]);
}

#[test]
fn a_full_disk_or_directory_leaves_the_old_crl() {
    let mut bench = Bench::new();
    let serial = bench.issue();
    let mut daemon = bench.signer(USUAL);
    daemon.tick();
    let first = bench.crl();
    // Something that cannot be removed stands where the new one is written.
    let staging = bench.published("crl/.issuing.crl.tmp");
    fs::create_dir_all(staging.join("x")).unwrap();
    bench.revoke(serial);
    daemon.tick();
    bench.clock.advance(5);
    daemon.tick();
    assert_eq!(bench.crl(), first);
    assert!(bench.alarms(&daemon).join("\n").contains("could not be published"));
    fs::remove_dir_all(&staging).unwrap();
    bench.clock.advance(60);
    daemon.tick();
    assert_eq!(bench.crl().serials, [serial]);
    assert_eq!(bench.alarms(&daemon), [""; 0]);
}

#[test]
fn the_expired_leave_after_one_more_crl() {
    let mut bench = Bench::new();
    let serial = bench.issue();
    let id = bench.ca.id();
    let now = bench.now();
    bench.ledger.revoke(id, serial, ReasonCode::Superseded, now);
    let mut daemon = bench.signer(USUAL);
    daemon.tick();
    // The fixture's certificates live for 365 days.
    for (days, listed) in [(364, 1), (2, 1), (1, 0)] {
        bench.clock.advance(days * DAY);
        let now = bench.now();
        bench.ledger.heartbeat(now);
        daemon.tick();
        let expected: &[SerialNumber] = if listed == 1 { &[serial] } else { &[] };
        assert_eq!(bench.crl().serials, expected, "after {days} days more");
    }
}
