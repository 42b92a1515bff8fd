//! Answers that were signed elsewhere and before.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use ca_domain::{KeyAlgorithm, ReasonCode, SerialNumber, Timestamp};
use ca_files::{Mode, write_atomic};
use ca_service::fixture::TestAuthority;
use ca_service::fixture::client::{self, eventually};
use ca_signing::SoftwareKey;
use ca_status::ocsp::presigned::{MANIFEST, Manifest, ManifestEntry};
use ca_status::ocsp::{
    CertHash, CertState, ErrorStatus, IssuerIds, OcspView, ResponseSigner, SingleStatus, ViewState, request,
    respond, view,
};
use common::{Bench, DAY};
use der::Decode;
use sha2::{Digest, Sha256};
use x509_cert::Certificate;

const ENTRY: &str = "  - certificate: root.pem\n    presigned: root-ocsp\n";

/// A responder for an issuing authority, and for a root whose key is elsewhere.
struct Site {
    bench: Bench,
    root: TestAuthority,
}

fn serial(number: u8) -> SerialNumber {
    SerialNumber::from_random([number; 20])
}

impl Site {
    fn new() -> Self {
        let (bench, root) = (Bench::idle(), TestAuthority::new("Offline Root"));
        bench.write("root.pem", root.pem().as_bytes());
        Self { bench, root }
    }

    fn dir(&self) -> PathBuf {
        self.bench.ledger.home().join("root-ocsp")
    }

    /// Signs answers of `from` for so many days, as the ceremony does.
    fn presign(
        &self,
        signer: &TestAuthority,
        from: Timestamp,
        days: u64,
        states: &[(SerialNumber, CertState)],
    ) {
        let key = SoftwareKey::generate(KeyAlgorithm::P256).unwrap();
        let to = from.saturating_add(days * DAY);
        let delegate = signer.delegate(&key, from, to, true);
        let delegate = Certificate::from_der(&delegate).unwrap();
        let signer = ResponseSigner::new(Arc::new(key), &delegate, &signer.authority.certificate).unwrap();
        let ids = IssuerIds::of(&self.root.authority.certificate).unwrap();
        fs::create_dir_all(self.dir()).unwrap();
        let mut responses = Vec::new();
        for (serial, state) in states {
            for hash in [CertHash::Sha1, CertHash::Sha256] {
                let cert_id = ids.cert_id(hash, serial).unwrap();
                let single = SingleStatus { cert_id, state: *state, this_update: from, next_update: to };
                let der = respond::build(&[single], &signer, from, None).unwrap();
                let file = format!("{serial}-{}.der", hash.name());
                write_atomic(&self.dir().join(&file), &der, Mode::Public).unwrap();
                responses.push(ManifestEntry {
                    file,
                    serial: serial.to_string(),
                    hash: hash.name().into(),
                    status: "good".into(),
                    sha256: hex::encode(Sha256::digest(&der)),
                });
            }
        }
        let manifest = Manifest {
            version: 1,
            authority: self.root.id().to_string(),
            this_update: from.to_string(),
            next_update: to.to_string(),
            responses,
        };
        let text = serde_json::to_vec(&manifest).unwrap();
        write_atomic(&self.dir().join(MANIFEST), &text, Mode::Public).unwrap();
    }

    fn good(&self) -> [(SerialNumber, CertState); 1] {
        [(serial(1), CertState::Good)]
    }

    fn ask(&self, hash: CertHash, serial: &SerialNumber) -> Result<ViewState, ErrorStatus> {
        let root = &self.root.authority.certificate;
        let id = IssuerIds::of(root).unwrap().cert_id(hash, serial).unwrap();
        let nonce = Some(&[7_u8; 16][..]).filter(|_| hash == CertHash::Sha256);
        let response = self.bench.post(&request::build(std::slice::from_ref(&id), nonce).unwrap());
        match view::error_status(&response.body).unwrap() {
            Some(error) => Err(error),
            None => {
                let view = OcspView::parse_and_verify(&response.body, root, self.bench.now()).unwrap();
                let status = view.status(&id).unwrap();
                assert!(status.next_update.unwrap() > self.bench.now());
                Ok(status.state)
            }
        }
    }

    fn eventually_ill(&self, what: &str) {
        eventually(what, || self.bench.health().1.contains(what).then_some(()));
    }

    fn eventually_well(&self) {
        eventually("health", || (self.bench.health().0 == 200).then_some(()));
    }

    fn eventually_good(&self) {
        let answer = || self.ask(CertHash::Sha1, &serial(1));
        eventually("the answer", || (answer() == Ok(ViewState::Good)).then_some(()));
    }

    /// Puts the clock forward; the ledger stays young.
    fn advance(&mut self, days: u64) {
        self.bench.clock.advance(days * DAY);
        let now = self.bench.now();
        self.bench.ledger.heartbeat(now);
    }
}

#[test]
fn served_without_a_key_and_replaced_while_serving() {
    let mut site = Site::new();
    let now = site.bench.now();
    let issued = site.bench.issue();
    let revoked = CertState::Revoked { at: now, reason: ReasonCode::CaCompromise };
    site.presign(&site.root, now, 90, &[(serial(1), CertState::Good), (serial(2), revoked)]);
    site.bench.start(ENTRY);
    assert_eq!(site.bench.health().0, 200);
    for hash in [CertHash::Sha1, CertHash::Sha256] {
        assert_eq!(site.ask(hash, &serial(1)), Ok(ViewState::Good));
        let expected = ViewState::Revoked { at: now, reason: ReasonCode::CaCompromise };
        assert_eq!(site.ask(hash, &serial(2)), Ok(expected));
        // Nobody here can sign "unknown".
        assert_eq!(site.ask(hash, &serial(3)), Err(ErrorStatus::Unauthorized));
    }
    // The other authority is not touched.
    assert_eq!(site.bench.state(&issued), ViewState::Good);
    let ids = IssuerIds::of(&site.root.authority.certificate).unwrap();
    let both =
        [ids.cert_id(CertHash::Sha1, &serial(1)).unwrap(), site.bench.cert_id(CertHash::Sha1, &issued)];
    let response = site.bench.post(&request::build(&both, None).unwrap());
    assert_eq!(view::error_status(&response.body).unwrap(), Some(ErrorStatus::Unauthorized));

    site.advance(1);
    let now = site.bench.now();
    let revoked = CertState::Revoked { at: now, reason: ReasonCode::Superseded };
    site.presign(&site.root, now, 90, &[(serial(1), revoked), (serial(3), CertState::Good)]);
    let expected = Ok(ViewState::Revoked { at: now, reason: ReasonCode::Superseded });
    eventually("the new answers", || (site.ask(CertHash::Sha1, &serial(1)) == expected).then_some(()));
    assert_eq!(site.ask(CertHash::Sha256, &serial(3)), Ok(ViewState::Good));
    site.eventually_well();
}

#[test]
fn never_past_their_end_and_alarmed_about_long_before() {
    let mut site = Site::new();
    site.presign(&site.root, site.bench.now(), 90, &site.good());
    site.bench.start(ENTRY);
    site.advance(59);
    site.eventually_well();
    site.advance(2);
    site.eventually_ill("the pre-signed answers expire soon");
    site.eventually_good();
    site.advance(29);
    assert_eq!(site.ask(CertHash::Sha1, &serial(1)), Err(ErrorStatus::TryLater));
    site.eventually_ill("the pre-signed answers have expired");
    // They are not taken again after a restart, and new ones are.
    site.bench.start(ENTRY);
    assert_eq!(site.ask(CertHash::Sha1, &serial(1)), Err(ErrorStatus::TryLater));
    assert!(site.bench.health().1.contains("there are no usable pre-signed answers"));
    // The other authority's signer is over by now as well.
    let (now, signer) = (site.bench.now(), site.bench.signer());
    site.bench.ca.write_delegate(&signer, now, now.saturating_add(90 * DAY));
    site.presign(&site.root, now, 90, &site.good());
    site.eventually_good();
    site.eventually_well();
}

#[test]
fn never_good_when_the_ledger_says_revoked() {
    let mut site = Site::new();
    let now = site.bench.now();
    let known = site.bench.ledger.issue(site.root.id(), now);
    site.presign(&site.root, now, 90, &[(known, CertState::Good)]);
    site.bench.start(ENTRY);
    assert_eq!(site.ask(CertHash::Sha1, &known), Ok(ViewState::Good));
    site.bench.ledger.revoke(site.root.id(), known, ReasonCode::CaCompromise, now);
    eventually("tryLater", || (site.ask(CertHash::Sha1, &known) == Err(ErrorStatus::TryLater)).then_some(()));
    site.eventually_ill("a revocation that the pre-signed answers do not");
    assert_eq!(site.ask(CertHash::Sha256, &known), Err(ErrorStatus::TryLater));
    site.advance(1);
    let now = site.bench.now();
    let revoked = CertState::Revoked { at: now, reason: ReasonCode::CaCompromise };
    site.presign(&site.root, now, 90, &[(known, revoked)]);
    let expected = Ok(ViewState::Revoked { at: now, reason: ReasonCode::CaCompromise });
    eventually("the answer", || (site.ask(CertHash::Sha1, &known) == expected).then_some(()));
    site.eventually_well();
}

#[test]
fn what_is_not_right_is_not_taken() {
    let mut site = Site::new();
    let from = site.bench.now();
    site.presign(&site.root, from, 90, &site.good());
    site.bench.start(ENTRY);
    site.advance(1);
    let (now, stays) = (site.bench.now(), "the new pre-signed answers cannot be used, the old ones stay");
    let stranger = TestAuthority::new("Offline Root");
    let first = site.dir().join(format!("{}-sha1.der", serial(1)));
    let spoil = |what: &str| match what {
        "another signer" => site.presign(&stranger, now, 90, &site.good()),
        "older" => site.presign(&site.root, from.saturating_sub(DAY), 90, &site.good()),
        "the future" => site.presign(&site.root, now.saturating_add(DAY), 90, &site.good()),
        "unknown" => site.presign(&site.root, now, 90, &[(serial(1), CertState::Unknown)]),
        _ => {
            site.presign(&site.root, now, 90, &site.good());
            write_atomic(&first, b"half a fil", Mode::Public).unwrap();
            // The list is as new as the file.
            let list = fs::read(site.dir().join(MANIFEST)).unwrap();
            write_atomic(&site.dir().join(MANIFEST), &list, Mode::Public).unwrap();
        }
    };
    for what in ["another signer", "older", "the future", "unknown", "half a copy"] {
        spoil(what);
        site.eventually_ill(stays);
        assert_eq!(site.ask(CertHash::Sha1, &serial(1)), Ok(ViewState::Good), "{what}");
    }
    site.presign(&site.root, now, 90, &site.good());
    site.eventually_well();
    assert_eq!(site.ask(CertHash::Sha1, &serial(1)), Ok(ViewState::Good));
}

#[test]
fn what_was_signed_ahead_is_enough_to_be_ready() {
    let mut site = Site::new();
    for extension in ["key", "crt"] {
        fs::remove_file(site.bench.signer().with_extension(extension)).unwrap();
    }
    let ready = |site: &Site| client::get(site.bench.address(), "/readyz").status;
    site.bench.start(ENTRY);
    assert_eq!(ready(&site), 503, "there is nothing yet");
    site.presign(&site.root, site.bench.now(), 10, &site.good());
    eventually("the answers", || (ready(&site) == 200).then_some(()));
    site.advance(11);
    assert_eq!(ready(&site), 503, "they have expired");
}
