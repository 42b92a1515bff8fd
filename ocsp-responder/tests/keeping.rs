//! Answers in memory: kept fresh, replaced when the status changes, and those
//! that are signed for one alone limited.

mod common;

use ca_domain::ReasonCode;
use ca_service::fixture::client::eventually;
use ca_status::ocsp::{CertHash, ErrorStatus, ViewState, request, view};
use common::Bench;

const HOUR: u64 = 3_600;

#[test]
fn what_is_asked_for_is_signed_anew_before_its_time() {
    let mut bench = Bench::new("metrics_listen: 127.0.0.1:0\nresponse_validity: 24h\n");
    let (asked, idle) = (bench.issue(), bench.issue());
    for serial in [&asked, &idle] {
        bench.wait_for_state(serial, |state| state == ViewState::Good);
    }
    // Its second use marks an answer as asked for.
    let first = bench.post(&bench.request(&asked));
    let before = bench.signatures();
    // An answer of 24 hours is signed anew after 16 at the latest.
    bench.clock.advance(15 * HOUR + 1_800);
    eventually("an answer signed in the background", || (bench.signatures() > before).then_some(()));
    let second = bench.post(&bench.request(&asked));
    assert_ne!(first.body, second.body);
    let status = bench.verified(&second).status(&bench.cert_id(CertHash::Sha1, &asked)).unwrap();
    assert_eq!((status.state, status.this_update), (ViewState::Good, bench.now()));
}

#[test]
fn a_change_of_status_replaces_what_is_kept_at_once() {
    let mut bench = Bench::new("metrics_listen: 127.0.0.1:0\n");
    let serial = bench.issue();
    bench.wait_for_state(&serial, |state| state == ViewState::Good);
    let before = bench.signatures();
    bench.ledger.revoke(bench.ca.id(), serial, ReasonCode::KeyCompromise, bench.now());
    // Nobody asks: the follower's change alone signs the new answer.
    eventually("the new answer", || (bench.signatures() > before).then_some(()));
    assert!(matches!(bench.state(&serial), ViewState::Revoked { .. }));
    assert_eq!(bench.signatures(), before + 1, "it was there when it was asked for");
}

#[test]
fn answers_for_one_alone_are_limited_and_the_rest_is_not() {
    let mut bench = Bench::new("metrics_listen: 127.0.0.1:0\nsignatures_per_source: 1\n");
    let serial = bench.issue();
    bench.wait_for_state(&serial, |state| state == ViewState::Good);
    let id = [bench.cert_id(CertHash::Sha1, &serial)];
    let mut refused = 0;
    for n in 0..100_u8 {
        let nonced = request::build(&id, Some(&[n; 16])).unwrap();
        let error = view::error_status(&bench.post(&nonced).body).unwrap();
        refused += u32::from(error == Some(ErrorStatus::TryLater));
        assert_eq!(bench.state(&serial), ViewState::Good, "an answer from memory");
    }
    assert!(refused > 0 && refused <= 96, "the burst is 4, the rest depends on the time taken: {refused}");
    assert!(bench.metrics().contains(&format!("chancery_ocsp_nonces_limited_total {refused}\n")));
}

#[test]
fn where_nothing_is_kept_plain_requests_have_the_rate_too() {
    let mut bench = Bench::new("cache_entries: 0\nsignatures_per_source: 1\n");
    let serial = bench.issue();
    bench.wait_for_error(&serial, None);
    let der = bench.request(&serial);
    let told = |_| view::error_status(&bench.post(&der).body).unwrap() == Some(ErrorStatus::TryLater);
    assert!((0..64).any(told), "one source had 64 answers signed");
}
