//! Issuing: what is refused, and that a refusal changes nothing.

use std::fs;

use ca_core::domain::csr::VerifiedRequest;
use ca_core::domain::{KeyAlgorithm, ReasonCode, Timestamp, Transition};
use ca_core::inventory::Inventory;
use ca_core::issue::{IssueRequest, Output, SubjectKey, commit, issue, prepare};
use ca_core::ocsp_signer::{IssueOcspSigner, issue_ocsp_signer};
use ca_core::revoke::{Target, plan};
use ca_core::signing::{SigningKey, SoftwareKey, csr};
use ca_core::{AuthorityError, ErrorClass};
use x509_cert::name::Name;

use crate::common::{Fixture, now, wait};

fn request(key: &dyn SigningKey) -> SubjectKey {
    let der = csr::create(key, &Name::default()).unwrap();
    SubjectKey::Csr(Box::new(VerifiedRequest::from_der(&der, &ca_core::verify_callback).unwrap()))
}

#[test]
fn an_issued_certificate_is_in_the_inventory_and_its_files_are_there() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let outputs = [
        Output::Certificate { path: fixture.path("alice.pem"), replace: false },
        Output::PrivateKey { path: fixture.path("alice.key"), replace: false },
    ];
    let key = || SubjectKey::Generate(Some(KeyAlgorithm::P256));
    let issued = fixture.issue(&issuer, "alice@example.test", key(), &outputs).unwrap();
    assert_eq!(issued.files.len(), 2);
    assert_eq!(fs::read_to_string(fixture.path("alice.pem")).unwrap(), issued.pem);

    let mut inventory = Inventory::open(&fixture.home, &wait()).unwrap();
    let found = inventory.by_serial(issued.serial, &wait()).unwrap();
    assert_eq!(found.record.person, "alice@example.test");
    assert_eq!(found.authority, "issuing");
    drop(inventory);

    let again = fixture.issue(&issuer, "alice@example.test", key(), &outputs).unwrap_err();
    assert_eq!(again.class(), ErrorClass::Refused, "an existing file is not replaced");
    assert_eq!(fixture.size(), 4);
}

#[test]
fn a_disk_that_cannot_take_the_files_stops_the_issuance() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let outputs = [Output::Certificate { path: fixture.path("missing/alice.pem"), replace: false }];
    let key = SubjectKey::Generate(Some(KeyAlgorithm::P256));
    let error = fixture.issue(&issuer, "alice@example.test", key, &outputs).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Failed, "{error}");
    assert_eq!(fixture.size(), 3);
}

#[test]
fn a_key_belongs_to_one_person() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let key = SoftwareKey::generate(KeyAlgorithm::P256).unwrap();
    fixture.issue(&issuer, "alice@example.test", request(&key), &[]).unwrap();
    fixture.issue(&issuer, "alice@example.test", request(&key), &[]).unwrap();
    let error = fixture.issue(&issuer, "bob@example.test", request(&key), &[]).unwrap_err();
    assert!(matches!(error, AuthorityError::KeyReuse(_)), "{error}");
    assert_eq!(fixture.size(), 5);
}

#[test]
fn a_compromised_key_never_comes_back() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let key = SoftwareKey::generate(KeyAlgorithm::P256).unwrap();
    let issued = fixture.issue(&issuer, "alice@example.test", request(&key), &[]).unwrap();
    let transition = Transition::Revoke { reason: ReasonCode::KeyCompromise, invalidity_date: None };
    plan(&fixture.home, &Target::Serials(vec![issued.serial]), transition, now(), &wait())
        .unwrap()
        .execute("tester", None, now(), &wait())
        .unwrap();
    let error = fixture.issue(&issuer, "alice@example.test", request(&key), &[]).unwrap_err();
    assert!(error.to_string().contains("keyCompromise"), "{error}");
}

#[test]
fn an_authoritys_key_is_not_certified_again() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let pem = fs::read_to_string(fixture.home.authorities_dir().join("root/key.pem")).unwrap();
    let root = SoftwareKey::from_pem(&pem, Some(&crate::common::passphrase())).unwrap();
    let error = fixture.issue(&issuer, "root@example.test", request(&root), &[]).unwrap_err();
    assert!(error.to_string().contains("authority \"root\""), "{error}");
    // Nor when its directory is gone: the ledger remembers.
    fs::remove_dir_all(fixture.home.authorities_dir().join("root")).unwrap();
    let error = fixture.issue(&issuer, "root@example.test", request(&root), &[]).unwrap_err();
    assert!(matches!(error, AuthorityError::KeyReuse(_)), "{error}");
}

#[test]
fn an_expired_authority_issues_nothing() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let template = ca_core::templates::load(&fixture.home, "smime-dual").unwrap();
    let request = IssueRequest {
        issuer: &issuer,
        template: &template,
        subject: &crate::common::person("alice@example.test"),
        key: SubjectKey::Generate(Some(KeyAlgorithm::P256)),
        days: None,
        outputs: &[],
        actor: "tester",
    };
    for moment in ["2026-11-22T00:00:00Z", "2056-01-01T00:00:00Z"] {
        let at = Timestamp::parse(moment).unwrap();
        let error = issue(&fixture.home, &request, at, &wait()).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Refused, "{error}");
    }
}

#[test]
fn files_that_could_not_be_put_in_place_are_refused_before_the_commit() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let certificate = |name: &str, replace| Output::Certificate { path: fixture.path(name), replace };
    let key = |name: &str| Output::PrivateKey { path: fixture.path(name), replace: true };
    fs::create_dir(fixture.path("directory")).unwrap();
    std::os::unix::fs::symlink(fixture.path("nowhere"), fixture.path("link")).unwrap();
    for outputs in [
        vec![key("one"), certificate("one", true)],
        vec![certificate("directory", true)],
        vec![certificate("directory", false)],
        vec![certificate("link", false)],
    ] {
        let generate = SubjectKey::Generate(Some(KeyAlgorithm::P256));
        let error = fixture.issue(&issuer, "alice@example.test", generate, &outputs).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Refused, "{error}");
    }
    assert_eq!(fixture.size(), 3);
}

#[test]
fn a_file_that_came_while_the_lock_was_waited_for_is_kept() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let template = ca_core::templates::load(&fixture.home, "smime-dual").unwrap();
    let alice = crate::common::person("alice@example.test");
    let prepared = |outputs: &[Output]| {
        let request = IssueRequest {
            issuer: &issuer,
            template: &template,
            subject: &alice,
            key: SubjectKey::Generate(Some(KeyAlgorithm::P256)),
            days: None,
            outputs,
            actor: "tester",
        };
        prepare(&fixture.home, &request, now()).unwrap()
    };
    let outputs = [Output::PrivateKey { path: fixture.path("alice.key"), replace: false }];
    let (first, second) = (prepared(&outputs), prepared(&outputs));
    commit(&fixture.home, vec![first], now(), &wait()).unwrap();
    let kept = fs::read(fixture.path("alice.key")).unwrap();
    let error = commit(&fixture.home, vec![second], now(), &wait()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Refused, "{error}");
    assert_eq!(fs::read(fixture.path("alice.key")).unwrap(), kept);
    assert_eq!(fixture.size(), 4);
}

#[test]
fn a_file_that_cannot_be_named_after_the_commit_is_kept_and_so_are_the_others() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let template = ca_core::templates::load(&fixture.home, "smime-dual").unwrap();
    let outputs = [
        Output::PrivateKey { path: fixture.path("alice.key"), replace: true },
        Output::Certificate { path: fixture.path("alice.pem"), replace: false },
    ];
    let request = IssueRequest {
        issuer: &issuer,
        template: &template,
        subject: &crate::common::person("alice@example.test"),
        key: SubjectKey::Generate(Some(KeyAlgorithm::P256)),
        days: None,
        outputs: &outputs,
        actor: "tester",
    };
    let prepared = prepare(&fixture.home, &request, now()).unwrap();
    fs::create_dir(fixture.path("alice.key")).unwrap();
    let error = commit(&fixture.home, vec![prepared], now(), &wait()).unwrap_err();
    let AuthorityError::Published { kept, .. } = &error else { panic!("{error}") };
    assert!(fs::read_to_string(kept).unwrap().contains("PRIVATE KEY"));
    assert!(fixture.path("alice.pem").exists());
    assert_eq!(fixture.size(), 4);
}

#[test]
fn a_responder_keeps_its_key_when_its_certificate_is_renewed() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let template = ca_core::templates::load(&fixture.home, "ocsp-signer").unwrap();
    let key = SoftwareKey::generate(KeyAlgorithm::P256).unwrap();
    let der = csr::create(&key, &Name::default()).unwrap();
    for seconds in [0, 86_400] {
        let request = IssueOcspSigner {
            issuer: &issuer,
            template: &template,
            csr: Some(VerifiedRequest::from_der(&der, &ca_core::verify_callback).unwrap()),
            key: None,
            out: fixture.dir.path(),
            days: None,
            actor: "tester",
        };
        issue_ocsp_signer(&fixture.home, request, now().saturating_add(seconds), &wait()).unwrap();
    }
}
