//! Signers that follow one another: the next key is made here in time, its
//! certificate is taken over while serving, whatever a crash left.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use ca_domain::csr::VerifiedRequest;
use ca_files::{Mode, write_atomic};
use ca_service::fixture::client::eventually;
use ca_service::fixture::{TestAuthority, pem, with_extension};
use ca_signing::{SigningKey, SoftwareKey};
use ca_status::ocsp::{CertHash, ErrorStatus, ViewState, signer_request};
use common::{Bench, DAY};

fn file(bench: &Bench, extension: &str) -> PathBuf {
    with_extension(&bench.signer(), extension)
}

/// The request that waits, verified.
fn request(bench: &Bench) -> Option<VerifiedRequest> {
    let bytes = fs::read(file(bench, "next.csr")).ok()?;
    let verify = |spki: &[u8], algorithm: &spki::AlgorithmIdentifierOwned, text: &[u8], bits: &[u8]| {
        ca_signing::verify(spki, algorithm, text, bits).is_ok()
    };
    Some(VerifiedRequest::from_pem(&bytes, &verify).unwrap())
}

/// A certificate for the next key.
fn answer(bench: &Bench, ca: &TestAuthority, days: u64) -> Vec<u8> {
    let key = SoftwareKey::load(&file(bench, "next.key"), None).unwrap();
    ca.delegate(&key, bench.now(), bench.now().saturating_add(days * DAY), true)
}

fn put(bench: &Bench, extension: &str, certificate: &[u8]) {
    let text = pem("CERTIFICATE", certificate);
    write_atomic(&file(bench, extension), text.as_bytes(), Mode::Public).unwrap();
}

fn carries(body: &[u8], certificate: &[u8]) -> bool {
    body.windows(certificate.len()).any(|window| window == certificate)
}

/// Waits until answers carry this certificate and no file of the rotation is left.
fn taken_over(bench: &Bench, asked: &[u8], certificate: &[u8]) {
    eventually("the new signer", || carries(&bench.post(asked).body, certificate).then_some(()));
    eventually("the files in order", || {
        let left = ["next.key", "next.csr", "next.crt"].map(|name| file(bench, name).exists());
        (left == [false; 3]).then_some(())
    });
    let text = pem("CERTIFICATE", certificate);
    assert_eq!(fs::read_to_string(file(bench, "crt")).unwrap(), text);
    assert_eq!(fs::metadata(file(bench, "key")).unwrap().permissions().mode() & 0o777, 0o600);
}

/// A bench whose signer, valid for 30 days, has used `days`.
fn used(days: u64) -> Bench {
    let mut bench = Bench::idle();
    let from = bench.now().saturating_sub(days * DAY);
    bench.ca.write_delegate(&bench.signer(), from, from.saturating_add(30 * DAY));
    bench.issue();
    bench
}

#[test]
fn the_next_certificate_is_requested_at_half_life_and_taken_over() {
    let mut bench = used(14);
    let serial = bench.issue();
    bench.start("");
    assert_eq!(bench.health().0, 200);
    assert!(request(&bench).is_none());
    bench.clock.advance(DAY);
    let asked = bench.request(&serial);
    let request = eventually("the request", || request(&bench));
    signer_request::check(&request, bench.ca.id()).unwrap();
    let key = SoftwareKey::load(&file(&bench, "next.key"), None).unwrap();
    assert_eq!(request.public_key_der(), key.public_key_der());
    // Nothing is wrong yet; a successor that does not come within days is.
    assert_eq!(bench.health().0, 200);
    let before = bench.post(&asked);
    bench.clock.advance(6 * DAY);
    let now = bench.now();
    bench.ledger.heartbeat(now);
    eventually("the alarm", || bench.health().1.contains("expires soon").then_some(()));

    let new = answer(&bench, &bench.ca, 30);
    assert!(!carries(&before.body, &new));
    put(&bench, "next.crt", &new);
    taken_over(&bench, &asked, &new);
    eventually("health", || (bench.health().0 == 200).then_some(()));
    assert_eq!(bench.state(&serial), ViewState::Good);
    // The pair is durable under its name.
    bench.start("");
    assert!(carries(&bench.post(&asked).body, &new));
    assert_eq!(bench.health().0, 200);
}

#[test]
fn the_first_certificate_too() {
    let mut bench = Bench::idle();
    for extension in ["key", "crt"] {
        fs::remove_file(file(&bench, extension)).unwrap();
    }
    let serial = bench.issue();
    // A check writes nothing.
    let _ =
        ocsp_responder::Daemon::check(bench.config(""), std::sync::Arc::new(bench.clock.clone())).unwrap();
    assert!(request(&bench).is_none());
    bench.start("");
    assert_eq!(bench.error(&serial), Some(ErrorStatus::TryLater));
    eventually("the request", || request(&bench));
    let first = answer(&bench, &bench.ca, 30);
    put(&bench, "next.crt", &first);
    let asked = bench.request(&serial);
    taken_over(&bench, &asked, &first);
    eventually("health", || (bench.health().0 == 200).then_some(()));
}

#[test]
fn not_where_it_is_told_not_to() {
    let mut bench = used(20);
    bench.start("");
    eventually("the request", || request(&bench));
    bench.stop();
    for extension in ["next.key", "next.csr"] {
        fs::remove_file(file(&bench, extension)).unwrap();
    }
    bench.start("    request_next: false\n");
    eventually("the alarm", || bench.health().1.contains("expires soon").then_some(()));
    // The alarm is raised by the thread that would have made the key before.
    bench.stop();
    assert!(!file(&bench, "next.key").exists() && request(&bench).is_none());
}

#[test]
fn a_crash_at_any_step_of_the_takeover_leaves_the_new_pair() {
    for step in 0..4 {
        let mut bench = used(16);
        let serial = bench.issue();
        bench.start("");
        eventually("the request", || request(&bench));
        bench.stop();
        let new = answer(&bench, &bench.ca, 30);
        put(&bench, "next.crt", &new);
        // As far as the takeover came: the certificate, the key, the request.
        if step >= 1 {
            put(&bench, "crt", &new);
        }
        if step >= 2 {
            fs::rename(file(&bench, "next.key"), file(&bench, "key")).unwrap();
        }
        if step >= 3 {
            fs::remove_file(file(&bench, "next.csr")).unwrap();
        }
        bench.start("");
        // From the first answer on.
        let asked = bench.request(&serial);
        assert!(carries(&bench.post(&asked).body, &new), "after step {step}");
        taken_over(&bench, &asked, &new);
        eventually("health", || (bench.health().0 == 200).then_some(()));
        assert_eq!(bench.state(&serial), ViewState::Good);
    }
}

#[test]
fn a_key_without_its_request_gets_one_and_a_spoilt_key_is_replaced() {
    let mut bench = used(16);
    bench.start("");
    let first = eventually("the request", || request(&bench));
    bench.stop();
    fs::remove_file(file(&bench, "next.csr")).unwrap();
    bench.start("");
    let again = eventually("the request", || request(&bench));
    assert_eq!(again.public_key_der(), first.public_key_der());
    bench.stop();
    // Others could have read this one.
    fs::set_permissions(file(&bench, "next.key"), fs::Permissions::from_mode(0o644)).unwrap();
    bench.start("");
    eventually("another request", || {
        request(&bench).filter(|new| new.public_key_der() != first.public_key_der())
    });
    let mode = fs::metadata(file(&bench, "next.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_bad_next_certificate_leaves_the_old_signer() {
    let mut bench = used(16);
    let serial = bench.issue();
    bench.start("");
    eventually("the request", || request(&bench));
    let stranger = TestAuthority::new("Issuing CA");
    let key = SoftwareKey::load(&file(&bench, "next.key"), None).unwrap();
    let now = bench.now();
    let (later, past) = (now.saturating_add(30 * DAY), now.saturating_sub(DAY));
    let other = SoftwareKey::generate(ca_domain::KeyAlgorithm::P256).unwrap();
    for (what, bad) in [
        ("of another authority", answer(&bench, &stranger, 30)),
        ("for another key", bench.ca.delegate(&other, now, later, true)),
        ("expired", bench.ca.delegate(&key, now.saturating_sub(9 * DAY), past, true)),
        ("no certificate", vec![0x30, 0x03, 0x02, 0x01, 0x00]),
    ] {
        put(&bench, "next.crt", &bad);
        eventually(what, || bench.health().1.contains("the old one stays").then_some(()));
        assert_eq!(bench.state(&serial), ViewState::Good, "{what}");
        assert!(file(&bench, "next.key").exists());
        fs::remove_file(file(&bench, "next.crt")).unwrap();
        eventually("health", || (bench.health().0 == 200).then_some(()));
    }
    // That the one in use ends soon is said, too.
    put(&bench, "next.crt", b"nothing");
    bench.clock.advance(6 * DAY);
    let now = bench.now();
    bench.ledger.heartbeat(now);
    eventually("both alarms", || {
        let health = bench.health().1;
        (health.contains("the old one stays") && health.contains("expires soon")).then_some(())
    });
}

#[test]
fn a_next_certificate_becomes_valid_by_waiting() {
    let mut bench = used(16);
    bench.start("");
    eventually("the request", || request(&bench));
    let key = SoftwareKey::load(&file(&bench, "next.key"), None).unwrap();
    let now = bench.now();
    let later = now.saturating_add(30 * DAY);
    put(&bench, "next.crt", &bench.ca.delegate(&key, now.saturating_add(60), later, true));
    eventually("the alarm", || bench.health().1.contains("the old one stays").then_some(()));
    bench.clock.advance(60);
    eventually("health", || (bench.health().0 == 200).then_some(()));
}

#[test]
fn where_no_file_can_be_written_answers_go_on() {
    let mut bench = used(16);
    let serial = bench.issue();
    fs::create_dir(file(&bench, "next.key")).unwrap();
    bench.start("");
    let what = "the signer's files cannot be kept in order";
    eventually("the alarm", || bench.health().1.contains(what).then_some(()));
    assert_eq!(bench.state(&serial), ViewState::Good);
    fs::remove_dir(file(&bench, "next.key")).unwrap();
    eventually("health", || (bench.health().0 == 200).then_some(()));
    assert!(request(&bench).is_some());
}

#[test]
fn nothing_outlives_the_signer_in_use() {
    let mut bench = used(16);
    let serial = bench.issue();
    bench.start("response_validity: 24h\n");
    eventually("the request", || request(&bench));
    let asked = bench.request(&serial);
    let old = bench.verified(&bench.post(&asked));
    // The new signer ends before the answer of the old one does.
    let key = SoftwareKey::load(&file(&bench, "next.key"), None).unwrap();
    let end = bench.now().saturating_add(3_600);
    let new = bench.ca.delegate(&key, bench.now().saturating_sub(60), end, true);
    put(&bench, "next.crt", &new);
    taken_over(&bench, &asked, &new);
    let id = bench.cert_id(CertHash::Sha1, &serial);
    let view = bench.verified(&bench.post(&asked));
    assert_eq!(view.status(&id).unwrap().next_update, Some(end));
    assert!(old.status(&id).unwrap().next_update > Some(end));
}

/// A certificate for the key in use, put where that of the next key is looked for.
#[test]
fn a_renewed_certificate_does_not_take_the_key_away() {
    let mut bench = used(20);
    let serial = bench.issue();
    bench.start("");
    eventually("the request", || request(&bench));
    let key = SoftwareKey::load(&file(&bench, "key"), None).unwrap();
    let renewed = bench.ca.delegate(&key, bench.now(), bench.now().saturating_add(30 * DAY), true);
    put(&bench, "next.crt", &renewed);
    let asked = bench.request(&serial);
    eventually("the renewed certificate", || carries(&bench.post(&asked).body, &renewed).then_some(()));
    eventually("its place", || (!file(&bench, "next.crt").exists()).then_some(()));
    assert_eq!(fs::read_to_string(file(&bench, "crt")).unwrap(), pem("CERTIFICATE", &renewed));
    bench.start("");
    assert_eq!(bench.state(&serial), ViewState::Good);
    assert!(carries(&bench.post(&asked).body, &renewed));
}
