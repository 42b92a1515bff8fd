//! From the ledger to the answer: what is said, and when nothing may be said.

mod common;

use ca_domain::{ReasonCode, SerialNumber};
use ca_ledger::EntryKind;
use ca_service::fixture::client::{self, eventually};
use ca_status::ocsp::{CertHash, ErrorStatus, ViewState, request, view};
use common::{Bench, DAY};

fn is_revoked(state: ViewState) -> bool {
    matches!(state, ViewState::Revoked { .. })
}

#[test]
fn good_then_revoked_and_still_after_a_restart() {
    let mut bench = Bench::idle();
    let (alice, bob) = (bench.issue(), bench.issue());
    bench.start("");
    assert_eq!((bench.state(&alice), bench.state(&bob)), (ViewState::Good, ViewState::Good));

    bench.clock.advance(10);
    let at = bench.now();
    let authority = bench.ca.id();
    bench.ledger.revoke(authority, bob, ReasonCode::KeyCompromise, at);
    bench.wait_for_state(&bob, is_revoked);
    let ViewState::Revoked { at: told, reason, .. } = bench.state(&bob) else { panic!() };
    assert_eq!((told, reason), (at, ReasonCode::KeyCompromise));
    assert_eq!(bench.state(&alice), ViewState::Good);

    bench.start("");
    assert!(is_revoked(bench.state(&bob)));
    assert_eq!(bench.state(&alice), ViewState::Good);
}

#[test]
fn hold_and_release() {
    let mut bench = Bench::idle();
    let serial = bench.issue();
    bench.start("");
    let (authority, now) = (bench.ca.id(), bench.now());
    bench.ledger.append(EntryKind::Held, authority, serial, None, now);
    bench.wait_for_state(&serial, is_revoked);
    bench.ledger.append(EntryKind::Released, authority, serial, None, now);
    bench.wait_for_state(&serial, |state| state == ViewState::Good);
}

#[test]
fn never_issued_is_never_good() {
    let mut bench = Bench::idle();
    let late = SerialNumber::from_random([3; 20]);
    bench.start("never_issued: unknown\n");
    assert_eq!(bench.state(&late), ViewState::Unknown);
    // Issued now: the answer follows.
    let issued = bench.issue();
    bench.wait_for_state(&issued, |state| state == ViewState::Good);
    bench.start("never_issued: revoked\n");
    assert!(is_revoked(bench.state(&late)));
    bench.start("never_issued: unauthorized\n");
    assert_eq!(bench.error(&late), Some(ErrorStatus::Unauthorized));

    // The right serial under another issuer is not ours at all.
    let stranger = Bench::idle();
    let response = bench.post(&stranger.request(&issued));
    assert_eq!(view::error_status(&response.body).unwrap(), Some(ErrorStatus::Unauthorized));
    assert_eq!((response.status, response.header("cache-control")), (200, "no-cache"));
}

#[test]
fn several_certificates_in_one_request() {
    let mut bench = Bench::idle();
    let (alice, bob) = (bench.issue(), bench.issue());
    let (authority, now) = (bench.ca.id(), bench.now());
    bench.ledger.revoke(authority, bob, ReasonCode::Superseded, now);
    bench.start("");
    let ids = [bench.cert_id(CertHash::Sha1, &alice), bench.cert_id(CertHash::Sha256, &bob)];
    let view = bench.verified(&bench.post(&request::build(&ids, None).unwrap()));
    assert_eq!(view.status(&ids[0]).unwrap().state, ViewState::Good);
    assert!(is_revoked(view.status(&ids[1]).unwrap().state));
}

#[test]
fn a_ledger_that_does_not_verify_is_no_source_of_status() {
    let mut bench = Bench::idle();
    let serial = bench.issue();
    let old = bench.ledger.checkpoint();
    let _other = bench.issue();
    bench.start("");
    assert_eq!(bench.state(&serial), ViewState::Good);
    let good = bench.ledger.checkpoint();

    // Replayed, altered, and of another key: each ends the trust.
    let mut altered = good.clone();
    altered[30] ^= 1;
    let foreign = Bench::idle().ledger.checkpoint();
    for bad in [&old, &altered, &foreign, &b"".to_vec()] {
        bench.ledger.put_checkpoint(bad);
        bench.wait_for_error(&serial, Some(ErrorStatus::TryLater));
        let (status, text) = bench.health();
        assert_eq!(status, 503);
        assert!(text.contains("ledger: the ledger is refused"), "{text}");
        assert_eq!(client::get(bench.address(), "/readyz").status, 503);
        bench.ledger.put_checkpoint(&good);
        bench.wait_for_error(&serial, None);
        assert_eq!(bench.state(&serial), ViewState::Good);
        eventually("health", || (bench.health() == (200, "ok\n".to_owned())).then_some(()));
    }
}

#[test]
fn tampered_entries_are_refused_from_the_start() {
    let mut bench = Bench::idle();
    let serial = bench.issue();
    let tile = bench.ledger.path().join("tile/entries/000.p/1");
    let mut bytes = std::fs::read(&tile).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&tile, bytes).unwrap();
    bench.start("");
    assert_eq!(bench.error(&serial), Some(ErrorStatus::TryLater));
}

#[test]
fn silence_ends_the_trust() {
    let mut bench = Bench::idle();
    let serial = bench.issue();
    bench.start("max_checkpoint_age: 8d\nmax_unreadable: 1h\n");
    bench.clock.advance(8 * DAY);
    assert_eq!(bench.state(&serial), ViewState::Good);
    bench.clock.advance(1);
    assert_eq!(bench.error(&serial), Some(ErrorStatus::TryLater));
    let now = bench.now();
    bench.ledger.heartbeat(now);
    bench.wait_for_error(&serial, None);

    // Unreadable: a while is bridged, with an alarm at once.
    let checkpoint = bench.ledger.checkpoint();
    std::fs::remove_file(bench.ledger.path().join("checkpoint")).unwrap();
    eventually("the alarm", || (bench.health().0 == 503).then_some(()));
    assert_eq!(bench.state(&serial), ViewState::Good);
    bench.clock.advance(3_601);
    assert_eq!(bench.error(&serial), Some(ErrorStatus::TryLater));
    bench.ledger.put_checkpoint(&checkpoint);
    bench.wait_for_error(&serial, None);
}

#[test]
fn without_a_ledger_it_waits_for_one() {
    let mut bench = Bench::idle();
    let serial = bench.issue();
    let (from, to) = (bench.ledger.path(), bench.ledger.home().join("elsewhere"));
    std::fs::rename(&from, &to).unwrap();
    bench.start("");
    assert_eq!(bench.error(&serial), Some(ErrorStatus::TryLater));
    assert_eq!(bench.post(b"\x30\x00").status, 400, "malformed comes first");
    std::fs::rename(&to, &from).unwrap();
    bench.wait_for_state(&serial, |state| state == ViewState::Good);
}
