//! `ca ocsp presign`: answers signed at a ceremony.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ca_core::domain::{KeyAlgorithm, ReasonCode, SerialNumber};
use ca_core::presign::{Presign, Presigned, presign};
use ca_core::revoke::Target;
use ca_core::status::ocsp::presigned::{MANIFEST, Manifest, check};
use ca_core::status::ocsp::{IssuerIds, ViewState};
use ca_core::{Authority, AuthorityError, Result, templates};

use crate::common::{Fixture, now, wait};
use crate::revoking::{act, revoke};

const DAY: u64 = 86_400;

fn sign(fixture: &Fixture, authority: &str, days: u32, delegated: bool, out: &str) -> Result<Presigned> {
    let template = templates::load(&fixture.home, "ocsp-signer")?;
    let request = Presign {
        issuer: &fixture.unlock(authority),
        days,
        delegate: delegated.then_some(&template),
        out: &fixture.path(out),
        actor: "tester",
    };
    presign(&fixture.home, &request, now(), &wait())
}

fn manifest(dir: &Path) -> Manifest {
    serde_json::from_slice(&fs::read(dir.join(MANIFEST)).unwrap()).unwrap()
}

/// What the answers in a directory say, each checked as the responder does.
fn told(fixture: &Fixture, authority: &str, out: &str) -> BTreeSet<(SerialNumber, &'static str, bool)> {
    let authority = Authority::load(&fixture.home, authority).unwrap();
    let ids = IssuerIds::of(authority.certificate()).unwrap();
    let dir = fixture.path(out);
    let list = manifest(&dir);
    let answer = |entry: &ca_core::status::ocsp::presigned::ManifestEntry| {
        let der = fs::read(dir.join(&entry.file)).unwrap();
        let checked = check(&der, authority.certificate(), &ids, now()).unwrap();
        assert_eq!(
            (checked.serial.to_string(), checked.hash.name()),
            (entry.serial.clone(), entry.hash.as_str())
        );
        let good = checked.state == ViewState::Good;
        assert_eq!(entry.status, if good { "good" } else { "revoked" });
        (checked.serial, checked.hash.name(), good)
    };
    assert_eq!(list.responses.len() + 1, fs::read_dir(&dir).unwrap().count());
    list.responses.iter().map(answer).collect()
}

#[test]
fn every_certificate_gets_both_answers() {
    let fixture = Fixture::with_authorities();
    let root = fixture.unlock("root");
    fixture.create("other", "issuing-ca", Some(&root)).unwrap();
    let serial = |name| Authority::load(&fixture.home, name).unwrap().serial().unwrap();
    let (issuing, other) = (serial("issuing"), serial("other"));
    let before = fixture.size();
    let signed = sign(&fixture, "root", 60, true, "out").unwrap();
    assert_eq!((signed.certificates, signed.revoked), (2, 0));
    assert!(signed.next_update.seconds_since(now()) > 59 * DAY);
    // The delegate is in the ledger, and what it signed; its key is nowhere.
    assert_eq!(fixture.size(), before + 2);
    assert!(signed.delegate.is_some());
    let all = |revoked: Option<SerialNumber>| {
        let one = |serial| ["sha1", "sha256"].map(|hash| (serial, hash, Some(serial) != revoked));
        [issuing, other].into_iter().flat_map(one).collect::<BTreeSet<_>>()
    };
    let found = told(&fixture, "root", "out");
    assert!(all(None).is_subset(&found), "{found:?}");
    assert_eq!(found.len(), 4);

    act(&fixture, &Target::Serials(vec![issuing]), revoke(ReasonCode::CaCompromise)).unwrap();
    let signed = sign(&fixture, "root", 60, true, "out").unwrap();
    // The delegate of the first time is a certificate as well.
    assert_eq!((signed.certificates, signed.revoked), (3, 1));
    let found = told(&fixture, "root", "out");
    assert!(all(Some(issuing)).is_subset(&found), "{found:?}");
}

#[test]
fn within_the_rules() {
    let fixture = Fixture::with_authorities();
    let before = fixture.size();
    let refused = |result: Result<Presigned>, said: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    };
    refused(sign(&fixture, "root", 366, true, "out"), "1 to 365 days");
    refused(sign(&fixture, "root", 0, true, "out"), "1 to 365 days");
    refused(sign(&fixture, "issuing", 11, true, "out"), "1 to 10 days");
    // The template allows 92 days; the root has no digitalSignature.
    refused(sign(&fixture, "root", 100, true, "out"), "92");
    refused(sign(&fixture, "root", 60, false, "out"), "digitalSignature");
    assert_eq!(fixture.size(), before);
    assert!(!fixture.path("out").exists());
    sign(&fixture, "root", 60, true, "out").unwrap();
    let issuing = fixture.unlock("issuing");
    fixture.issue_p256(&issuing, "alice@example.test");
    refused(sign(&fixture, "issuing", 5, true, "out"), "another authority");
    let signed = sign(&fixture, "issuing", 5, true, "issuing").unwrap();
    assert_eq!(signed.certificates, 1);
    fs::write(fixture.path("out").join(MANIFEST), "{}").unwrap();
    let error = sign(&fixture, "root", 60, true, "out").unwrap_err();
    assert!(matches!(error, AuthorityError::Refused(_)), "{error}");
}

#[test]
fn the_authority_may_sign_itself() {
    let fixture = Fixture::empty();
    let path = fixture.home.templates_dir().join("root-ca.yaml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("[keyCertSign, cRLSign]", "[keyCertSign, cRLSign, digitalSignature]"))
        .unwrap();
    fixture.create("root", "root-ca", None).unwrap();
    let root = fixture.unlock("root");
    fixture.create("issuing", "issuing-ca", Some(&root)).unwrap();
    let before = fixture.size();
    let signed = sign(&fixture, "root", 365, false, "out").unwrap();
    assert_eq!((signed.certificates, signed.delegate), (1, None));
    assert_eq!(fixture.size(), before + 1, "what it signed");
    assert_eq!(told(&fixture, "root", "out").len(), 2);
    assert_eq!(root.authority.key_algorithm(), Some(KeyAlgorithm::P256));
}
