//! Several authorities in one responder, and an authority that signs itself.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::Arc;

use ca_domain::{ReasonCode, SerialNumber};
use ca_files::{Mode, write_atomic};
use ca_service::fixture::TestAuthority;
use ca_service::fixture::client::eventually;
use ca_signing::{KdfCost, Passphrase};
use ca_status::ocsp::{CertHash, CertId, ErrorStatus, IssuerIds, OcspView, ViewState, request, view};
use common::{Bench, DAY};
use ocsp_responder::Daemon;
use ocsp_responder::config::Config;

fn id(ca: &TestAuthority, hash: CertHash, serial: &SerialNumber) -> CertId {
    IssuerIds::of(&ca.authority.certificate).unwrap().cert_id(hash, serial).unwrap()
}

/// The verified answer about a serial number under an issuer.
fn view_of(
    bench: &Bench,
    ca: &TestAuthority,
    hash: CertHash,
    serial: &SerialNumber,
) -> (OcspView, ViewState) {
    let id = id(ca, hash, serial);
    let response = bench.post(&request::build(std::slice::from_ref(&id), None).unwrap());
    let view = OcspView::parse_and_verify(&response.body, &ca.authority.certificate, bench.now()).unwrap();
    let state = view.status(&id).unwrap().state;
    (view, state)
}

/// Adds an authority with a signer; its entry in the configuration.
fn add(bench: &Bench, ca: &TestAuthority, name: &str) -> String {
    bench.write(&format!("{name}.pem"), ca.pem().as_bytes());
    let (from, to) = (bench.now().saturating_sub(DAY), bench.now().saturating_add(90 * DAY));
    ca.write_delegate(&bench.ledger.home().join(name), from, to);
    format!("  - certificate: {name}.pem\n    signer: {name}\n")
}

#[test]
fn each_issuer_is_answered_by_its_own_signer() {
    let mut bench = Bench::idle();
    let (other, root) = (TestAuthority::new("Other CA"), TestAuthority::new("Root CA"));
    let more = add(&bench, &other, "other") + &add(&bench, &root, "root");
    let now = bench.now();
    let of_first = [bench.issue(), bench.issue()];
    let of_other = [bench.ledger.issue(other.id(), now), bench.ledger.issue(other.id(), now)];
    // The certificates of the issuing authorities themselves.
    let of_root = [bench.ledger.issue(root.id(), now), bench.ledger.issue(root.id(), now)];
    bench.ledger.revoke(bench.ca.id(), of_first[1], ReasonCode::Superseded, now);
    bench.ledger.revoke(other.id(), of_other[1], ReasonCode::Superseded, now);
    bench.ledger.revoke(root.id(), of_root[1], ReasonCode::CaCompromise, now);
    bench.start(&more);
    for hash in [CertHash::Sha1, CertHash::Sha256] {
        for (ca, [good, revoked], why) in [
            (&bench.ca, of_first, ReasonCode::Superseded),
            (&other, of_other, ReasonCode::Superseded),
            (&root, of_root, ReasonCode::CaCompromise),
        ] {
            // Verified with the issuer's certificate: so the right one signed.
            assert_eq!(view_of(&bench, ca, hash, &good).1, ViewState::Good);
            assert_eq!(view_of(&bench, ca, hash, &revoked).1, ViewState::Revoked { at: now, reason: why });
        }
        // The right serial number under the wrong issuer was never issued.
        assert_eq!(view_of(&bench, &other, hash, &of_first[0]).1, ViewState::Unknown);
        assert_eq!(view_of(&bench, &bench.ca, hash, &of_root[1]).1, ViewState::Unknown);
        assert_eq!(view_of(&bench, &root, hash, &of_other[1]).1, ViewState::Unknown);
    }
    // One signature cannot be two authorities'.
    let both = [id(&bench.ca, CertHash::Sha1, &of_first[0]), id(&other, CertHash::Sha1, &of_other[0])];
    let response = bench.post(&request::build(&both, None).unwrap());
    assert_eq!(view::error_status(&response.body).unwrap(), Some(ErrorStatus::Unauthorized));
}

const OWN: &str =
    "  - certificate: ca.pem\n    signer: {authority_key: ca.key, passphrase_file: passphrase}\n";

/// A bench whose authority may sign more than certificates.
fn own() -> Bench {
    let mut bench = Bench::idle();
    bench.ca = TestAuthority::signing("Small CA");
    bench.write("ca.pem", bench.ca.pem().as_bytes());
    write_key(&bench, &bench.ca);
    write_atomic(&bench.ledger.home().join("passphrase"), b"correct horse\n", Mode::Private).unwrap();
    bench
}

fn write_key(bench: &Bench, ca: &TestAuthority) {
    let passphrase = Passphrase::from_string("correct horse".into());
    let pem = ca.key.to_encrypted_pem(&passphrase, KdfCost::Test).unwrap();
    write_atomic(&bench.ledger.home().join("ca.key"), pem.as_bytes(), Mode::Private).unwrap();
}

#[test]
fn an_authority_that_is_told_to_signs_itself() {
    let mut bench = own();
    let (good, revoked, now) = (bench.issue(), bench.issue(), bench.now());
    bench.ledger.revoke(bench.ca.id(), revoked, ReasonCode::KeyCompromise, now);
    bench.start_of(OWN);
    assert_eq!(bench.health().0, 200);
    let (view, state) = view_of(&bench, &bench.ca, CertHash::Sha256, &good);
    assert_eq!((state, &view.basic().certs), (ViewState::Good, &None));
    let expected = ViewState::Revoked { at: now, reason: ReasonCode::KeyCompromise };
    assert_eq!(view_of(&bench, &bench.ca, CertHash::Sha1, &revoked).1, expected);
    // Nothing is requested, and a new configuration needs no passphrase again.
    std::fs::remove_file(bench.ledger.home().join("passphrase")).unwrap();
    bench.reload_of(&format!("{OWN}cache_entries: 7\nnever_issued: unauthorized\n"));
    let nobody = SerialNumber::from_random([7; 20]);
    eventually("the new configuration", || {
        (bench.error(&nobody) == Some(ErrorStatus::Unauthorized)).then_some(())
    });
    assert_eq!(bench.state(&good), ViewState::Good);
}

#[test]
fn not_every_authority_and_not_any_key() {
    let bench = own();
    let open = |bench: &Bench| {
        let config = Config::load(&bench.configure_of(OWN)).unwrap();
        Daemon::open(config, Arc::new(bench.clock.clone())).map(drop).unwrap_err().to_string()
    };
    write_key(&bench, &TestAuthority::new("Another CA"));
    assert!(open(&bench).contains("the key is not that of the certificate"));
    write_atomic(&bench.ledger.home().join("passphrase"), b"wrong\n", Mode::Private).unwrap();
    assert!(open(&bench).contains("wrong passphrase"));
    let mut plain = Bench::idle();
    plain.ca = TestAuthority::new("Issuing CA");
    plain.write("ca.pem", plain.ca.pem().as_bytes());
    write_key(&plain, &plain.ca);
    write_atomic(&plain.ledger.home().join("passphrase"), b"correct horse\n", Mode::Private).unwrap();
    assert!(open(&plain).contains("digitalSignature"));
}
