//! Signers: replaced without a restart, refused when they do not fit.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use ca_domain::KeyAlgorithm;
use ca_service::fixture::client::eventually;
use ca_service::fixture::{TestAuthority, with_extension, write_pair};
use ca_signing::SoftwareKey;
use ca_status::ocsp::{ErrorStatus, ViewState};
use common::{Bench, DAY};

/// Whether an answer carries this certificate.
fn carries(body: &[u8], certificate: &[u8]) -> bool {
    body.windows(certificate.len()).any(|window| window == certificate)
}

#[test]
fn a_new_pair_is_taken_up() {
    let mut bench = Bench::idle();
    let serial = bench.issue();
    bench.start("");
    let request = bench.request(&serial);
    let before = bench.post(&request);
    let now = bench.now();
    let new = bench.ca.write_delegate(&bench.signer(), now, now.saturating_add(30 * DAY));
    assert!(!carries(&before.body, &new));
    let after = eventually("the new signer", || {
        let response = bench.post(&request);
        carries(&response.body, &new).then_some(response)
    });
    bench.verified(&after);
    eventually("health", || (bench.health().0 == 200).then_some(()));
}

#[test]
fn a_bad_new_pair_leaves_the_old_one() {
    let mut bench = Bench::idle();
    let serial = bench.issue();
    bench.start("");
    let (now, later) = (bench.now(), bench.now().saturating_add(30 * DAY));
    let key = SoftwareKey::generate(KeyAlgorithm::P256).unwrap();
    let other = SoftwareKey::generate(KeyAlgorithm::P256).unwrap();
    let stranger = TestAuthority::new("Issuing CA");
    let bad = [
        ("of another key", bench.ca.delegate(&other, now, later, true)),
        ("without the usage", bench.ca.delegate(&key, now, later, false)),
        ("of another authority", stranger.delegate(&key, now, later, true)),
        ("expired", bench.ca.delegate(&key, now.saturating_sub(9 * DAY), now.saturating_sub(DAY), true)),
        ("the authority's own", bench.ca.authority.der.clone()),
    ];
    for (what, certificate) in bad {
        write_pair(&bench.signer(), &key, &certificate);
        eventually(what, || bench.health().1.contains("the old one stays").then_some(()));
        assert_eq!(bench.state(&serial), ViewState::Good, "{what}");
        bench.ca.write_delegate(&bench.signer(), now, later);
        eventually("health", || (bench.health().0 == 200).then_some(()));
    }
    // A key that others may read is no key.
    let file = with_extension(&bench.signer(), "key");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    eventually("the alarm", || bench.health().1.contains("the old one stays").then_some(()));
    assert_eq!(bench.state(&serial), ViewState::Good);
}

#[test]
fn no_answer_outlives_its_signer() {
    let mut bench = Bench::idle();
    let serial = bench.issue();
    let now = bench.now();
    bench.ca.write_delegate(&bench.signer(), now, now.saturating_add(3_600));
    bench.start("response_validity: 24h\n");
    let view = bench.verified(&bench.post(&bench.request(&serial)));
    let status = view.status(&bench.cert_id(ca_status::ocsp::CertHash::Sha1, &serial)).unwrap();
    assert_eq!(status.next_update, Some(now.saturating_add(3_600)));
    bench.clock.advance(3_000);
    eventually("the warning", || bench.health().1.contains("expires soon").then_some(()));
    bench.clock.advance(600);
    assert_eq!(bench.error(&serial), Some(ErrorStatus::TryLater));
    eventually("the alarm", || bench.health().1.contains("has expired").then_some(()));
    let now = bench.now();
    bench.ledger.heartbeat(now);
    bench.ca.write_delegate(&bench.signer(), now, now.saturating_add(DAY));
    bench.wait_for_error(&serial, None);
}

#[test]
fn a_signer_may_come_late() {
    let mut bench = Bench::idle();
    let serial = bench.issue();
    std::fs::remove_file(with_extension(&bench.signer(), "crt")).unwrap();
    bench.start("");
    assert_eq!(bench.error(&serial), Some(ErrorStatus::TryLater));
    assert!(bench.health().1.contains("no usable OCSP signer"));
    let now = bench.now();
    bench.ca.write_delegate(&bench.signer(), now, now.saturating_add(DAY));
    bench.wait_for_error(&serial, None);
}
