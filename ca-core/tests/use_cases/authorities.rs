//! Creating authorities, offline roots, and what a crash leaves.

use std::fs;

use ca_core::domain::csr::VerifiedRequest;
use ca_core::domain::{KeyAlgorithm, ReasonCode, Transition};
use ca_core::import_authority::{import_authority, read_certificates};
use ca_core::issue::Output;
use ca_core::offline_root::{
    RequestAuthority, SignAuthority, request_authority, requested_names, sign_authority,
};
use ca_core::revoke::{Target, plan};
use ca_core::signing::{KdfCost, Passphrase, SoftwareKey, csr};
use ca_core::{Authority, AuthorityError, ErrorClass, templates};

use crate::common::{Fixture, ca_name, now, passphrase, wait};

#[test]
fn a_chain_is_made_and_its_keys_open() {
    let fixture = Fixture::with_authorities();
    let issuing = Authority::load(&fixture.home, "issuing").unwrap();
    assert!(!issuing.is_root());
    assert_eq!(issuing.chain().len(), 1);
    assert!(Authority::load(&fixture.home, "root").unwrap().is_root());
    assert_eq!(Authority::names(&fixture.home).unwrap(), ["issuing", "root"]);
    let wrong = issuing.unlock(&Passphrase::from_string("wrong horse".into())).err().unwrap();
    assert!(wrong.to_string().contains("wrong passphrase"), "{wrong}");
}

#[test]
fn names_and_kinds_are_checked() {
    let fixture = Fixture::with_authorities();
    let root = fixture.unlock("root");
    let class =
        |name: &str, template: &str, parent| fixture.create(name, template, parent).unwrap_err().class();
    assert_eq!(class("issuing", "issuing-ca", Some(&root)), ErrorClass::Refused);
    assert_eq!(class("../x", "issuing-ca", Some(&root)), ErrorClass::Usage);
    assert_eq!(class("two", "root-ca", Some(&root)), ErrorClass::Refused);
    assert_eq!(class("two", "issuing-ca", None), ErrorClass::Refused);
    assert_eq!(class("two", "smime-dual", None), ErrorClass::Refused);
    assert_eq!(class("two", "no-such", None), ErrorClass::NotFound);
    let issuing = fixture.unlock("issuing");
    assert_eq!(class("below", "issuing-ca", Some(&issuing)), ErrorClass::Refused, "its path length is 0");
    assert_eq!(fixture.size(), 3);
}

#[test]
fn an_offline_root_signs_a_request_and_the_answer_is_imported() {
    let offline = Fixture::empty();
    offline.create("root", "root-ca", None).unwrap();
    let online = Fixture::empty();
    let template = templates::load(&online.home, "issuing-ca").unwrap();
    let request = RequestAuthority {
        name: "issuing",
        template: &template,
        key: Some(KeyAlgorithm::P256),
        subject: &ca_name("Mail CA"),
        passphrase: &passphrase(),
        cost: KdfCost::Test,
    };
    let pem = request_authority(&online.home, &request, &wait()).unwrap();
    let waiting = Authority::load(&online.home, "issuing").unwrap_err().to_string();
    assert!(waiting.contains("ca authority import"), "{waiting}");

    let csr = VerifiedRequest::from_bytes(pem.as_bytes(), &ca_core::verify_callback).unwrap();
    let out = offline.path("issuing.pem");
    let root = offline.unlock("root");
    let sign = SignAuthority {
        parent: &root,
        template: &template,
        csr: &csr,
        subject: &requested_names(&csr).unwrap(),
        days: None,
        output: &Output::Chain { path: out.clone(), replace: false },
        actor: "tester",
    };
    sign_authority(&offline.home, &sign, now(), &wait()).unwrap();

    let certificates = read_certificates(&[&out]).unwrap();
    assert_eq!(certificates.len(), 2);
    let import = |name: &str, certificates: &[Vec<u8>]| {
        import_authority(&online.home, name, certificates, "tester", now(), &wait())
    };
    let alone = import("issuing", &certificates[..1]).unwrap_err();
    assert!(alone.to_string().contains("--chain"), "{alone}");
    import("root", &certificates[1..]).unwrap();
    let foreign = import("root", &certificates[1..]).unwrap_err();
    assert!(matches!(foreign, AuthorityError::AuthorityExists(_)));
    assert!(!Authority::load(&online.home, "root").unwrap().has_key());

    let typo = import("isuing", &certificates).unwrap_err().to_string();
    assert!(typo.contains("ca authority import issuing"), "{typo}");
    assert_eq!(Authority::waiting(&online.home).unwrap(), ["issuing"]);
    let issuing = import("issuing", &certificates).unwrap();
    assert!(Authority::waiting(&online.home).unwrap().is_empty());
    let twice = import("again", &certificates).unwrap_err();
    assert!(matches!(twice, AuthorityError::AuthorityExists(name) if name == "issuing"));
    assert!(issuing.has_key());
    let issuing = issuing.unlock(&passphrase()).unwrap();
    online.issue_p256(&issuing, "alice@example.test");
}

#[test]
fn a_certificate_for_another_key_is_not_imported() {
    let offline = Fixture::with_authorities();
    let online = Fixture::empty();
    let template = templates::load(&online.home, "issuing-ca").unwrap();
    let request = RequestAuthority {
        name: "issuing",
        template: &template,
        key: Some(KeyAlgorithm::P256),
        subject: &ca_name("Mail CA"),
        passphrase: &passphrase(),
        cost: KdfCost::Test,
    };
    request_authority(&online.home, &request, &wait()).unwrap();
    let other = Authority::load(&offline.home, "issuing").unwrap().full_chain();
    let error = import_authority(&online.home, "issuing", &other, "tester", now(), &wait()).unwrap_err();
    assert!(matches!(error, AuthorityError::CertificateMismatch { .. }), "{error}");
    assert_eq!(online.size(), 0);
}

#[test]
fn an_authority_whose_entry_was_committed_is_completed() {
    let fixture = Fixture::with_authorities();
    let dir = fixture.home.authorities_dir();
    // As a crash between the commit and the rename leaves it.
    fs::rename(dir.join("issuing"), dir.join(".staged-issuing")).unwrap();
    assert_eq!(Authority::load(&fixture.home, "issuing").unwrap_err().class(), ErrorClass::NotFound);
    drop(fixture.home.writer(&wait()).unwrap());
    Authority::load(&fixture.home, "issuing").unwrap();
}

#[test]
fn an_authority_whose_entry_was_not_committed_never_existed() {
    let fixture = Fixture::with_authorities();
    let dir = fixture.home.authorities_dir();
    let staged = dir.join(".staged-ghost");
    fs::create_dir(&staged).unwrap();
    fs::copy(dir.join("issuing/certificate.pem"), staged.join("certificate.pem")).unwrap();
    drop(fixture.home.writer(&wait()).unwrap());
    assert!(!staged.exists());
    assert_eq!(Authority::names(&fixture.home).unwrap(), ["issuing", "root"]);
}

#[test]
fn an_authority_of_another_home_is_revoked_as_one_and_its_key_never_comes_back() {
    let offline = Fixture::empty();
    offline.create("root", "root-ca", None).unwrap();
    let root = offline.unlock("root");
    let template = templates::load(&offline.home, "issuing-ca").unwrap();
    let key = SoftwareKey::generate(KeyAlgorithm::P256).unwrap();
    let subject = ca_name("Mail CA");
    let der =
        csr::create(&key, &ca_core::domain::profile::subject_name(&template, &subject).unwrap()).unwrap();
    let request = VerifiedRequest::from_der(&der, &ca_core::verify_callback).unwrap();
    let sign = |file: &str| {
        let sign = SignAuthority {
            parent: &root,
            template: &template,
            csr: &request,
            subject: &subject,
            days: None,
            output: &Output::Chain { path: offline.path(file), replace: false },
            actor: "tester",
        };
        sign_authority(&offline.home, &sign, now(), &wait())
    };
    let (serial, _) = sign("one.pem").unwrap();
    sign("renewed.pem").unwrap();
    let act = |transition| {
        plan(&offline.home, &Target::Serials(vec![serial]), transition, now(), &wait())?.execute(
            "tester",
            None,
            now(),
            &wait(),
        )
    };
    assert_eq!(act(Transition::Hold).unwrap_err().class(), ErrorClass::Refused);
    act(Transition::Revoke { reason: ReasonCode::CaCompromise, invalidity_date: None }).unwrap();
    let before = offline.size();
    let error = sign("again.pem").unwrap_err();
    assert!(matches!(error, AuthorityError::KeyReuse(_)), "{error}");
    assert!(!offline.path("again.pem").exists());
    assert_eq!(offline.size(), before);
}

#[test]
fn a_request_does_not_take_the_place_of_an_authority_that_was_interrupted() {
    let fixture = Fixture::with_authorities();
    let dir = fixture.home.authorities_dir();
    fs::rename(dir.join("issuing"), dir.join(".staged-issuing")).unwrap();
    let template = templates::load(&fixture.home, "issuing-ca").unwrap();
    let request = RequestAuthority {
        name: "issuing",
        template: &template,
        key: Some(KeyAlgorithm::P256),
        subject: &ca_name("Mail CA"),
        passphrase: &passphrase(),
        cost: KdfCost::Test,
    };
    let error = request_authority(&fixture.home, &request, &wait()).unwrap_err();
    assert!(matches!(error, AuthorityError::AuthorityExists(_)), "{error}");
    assert!(Authority::load(&fixture.home, "issuing").unwrap().has_key());
}
