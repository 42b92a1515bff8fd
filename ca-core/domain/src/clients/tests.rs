//! What clients take, certificate by certificate.

use der::Encode;
use der::asn1::OctetString;
use x509_cert::Certificate;
use x509_cert::ext::Extension;

use super::*;
use crate::profile::{AuthorityUrls, IssuerContext, SubjectInput, build};
use crate::template::{Presence, SubjectAttribute, Template, shipped};
use crate::{Mailbox, SerialNumber, SignatureAlgorithm};

fn now() -> Timestamp {
    Timestamp::parse("2026-11-23T08:00:00Z").unwrap()
}

fn spki(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
    rcgen::PublicKeyData::subject_public_key_info(&rcgen::KeyPair::generate_for(algorithm).unwrap())
}

/// A shipped template with pieces replaced.
fn template(name: &str, edits: &[(&str, &str)]) -> Template {
    let mut text = shipped().iter().find(|(own, _)| *own == name).unwrap().1.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    Template::parse(&text, name).unwrap()
}

fn issuer(of: &TbsCertificate) -> IssuerContext {
    let signed = Certificate {
        tbs_certificate: of.clone(),
        signature_algorithm: of.signature.clone(),
        signature: der::asn1::BitString::from_bytes(&[1]).unwrap(),
    };
    let urls = AuthorityUrls {
        crl: vec!["http://pki.test/a.crl".into()],
        ca_issuers: vec!["http://pki.test/a.crt".into()],
        ocsp: vec!["http://ocsp.test/".into()],
        ..AuthorityUrls::default()
    };
    IssuerContext::of_certificate(&signed, urls).unwrap()
}

fn make(
    template: &Template,
    of: Option<&TbsCertificate>,
    mailbox: &str,
    key: &[u8],
    signer: SignatureAlgorithm,
) -> TbsCertificate {
    let mut subject = SubjectInput::default();
    if template.mailboxes() == Presence::Required {
        subject.mailboxes = vec![Mailbox::parse(mailbox).unwrap()];
    } else {
        let names = [
            (SubjectAttribute::CommonName, template.name()),
            (SubjectAttribute::Organization, "Example"),
            (SubjectAttribute::Country, "DE"),
        ];
        let known = |attribute| template.subject().any(|(own, ..)| own == attribute);
        subject.attributes = names
            .into_iter()
            .filter(|(attribute, _)| known(*attribute))
            .map(|(attribute, value)| (attribute, value.to_owned()))
            .collect();
    }
    let serial = SerialNumber::from_random([5; 20]);
    build(template, of.map(issuer).as_ref(), &subject, key, serial, now(), None, signer).unwrap()
}

/// Root and issuing authority; their keys are P-256, their signatures as given.
fn path(signer: SignatureAlgorithm) -> [TbsCertificate; 2] {
    let key = spki(&rcgen::PKCS_ECDSA_P256_SHA256);
    let mut root = make(&template("root-ca", &[]), None, "", &key, SignatureAlgorithm::EcdsaSha256);
    root.signature = signer.identifier();
    let issuing = make(&template("issuing-ca", &[]), Some(&root), "", &key, signer);
    [issuing, root]
}

/// What clients refuse it, with the rules that they refuse by.
fn refusals(tbs: &TbsCertificate, issuers: &[TbsCertificate]) -> Vec<(Client, Vec<&'static str>)> {
    let reports = assess(&facts(tbs, issuers, now()));
    let refusing = reports.into_iter().filter(ClientReport::refuses);
    refusing.map(|one| (one.client, one.refusals.iter().map(|reason| reason.rule).collect())).collect()
}

/// A user's certificate below authorities that sign with RSA.
fn user(
    name: &str,
    edits: &[(&str, &str)],
    algorithm: &'static rcgen::SignatureAlgorithm,
) -> (TbsCertificate, [TbsCertificate; 2]) {
    let path = path(SignatureAlgorithm::RsaSha256);
    let template = template(name, edits);
    let tbs = make(
        &template,
        Some(&path[0]),
        "alice@example.test",
        &spki(algorithm),
        SignatureAlgorithm::RsaSha256,
    );
    (tbs, path)
}

#[test]
fn rsa_throughout_is_taken_by_all() {
    for name in ["smime-signing", "smime-encryption", "smime-dual", "smime-mailbox-strict"] {
        let (tbs, path) = user(name, &[], &rcgen::PKCS_RSA_SHA256);
        assert_eq!(refusals(&tbs, &path), [], "{name}");
    }
    let (tbs, path) = user("smime-signing", &[], &rcgen::PKCS_RSA_SHA256);
    for report in assess(&facts(&tbs, &path, now())) {
        assert_eq!((report.signing, report.encryption), (Verdict::Ok, Verdict::NotFor));
    }
}

#[test]
fn gpgsm_takes_no_elliptic_curves() {
    let (tbs, path) = user("smime-dual", &[], &rcgen::PKCS_ECDSA_P256_SHA256);
    assert_eq!(refusals(&tbs, &path), [(Client::Gpgsm, vec!["ec-encryption", "ec-import"])]);
    let under = self::path(SignatureAlgorithm::EcdsaSha256);
    let dual = template("smime-dual", &[]);
    let rsa = spki(&rcgen::PKCS_RSA_SHA256);
    let tbs = make(&dual, Some(&under[0]), "alice@example.test", &rsa, SignatureAlgorithm::EcdsaSha256);
    assert_eq!(refusals(&tbs, &under), [(Client::Gpgsm, vec!["ecdsa-crl"])]);
    assert_eq!(refusals(&tbs, &[]), [(Client::Gpgsm, vec!["ecdsa-crl"])]);
}

fn without(tbs: &mut TbsCertificate, oid: &str) {
    tbs.extensions.as_mut().unwrap().retain(|extension| extension.extn_id.to_string() != oid);
}

#[test]
fn what_is_missing_is_refused_by_those_who_need_it() {
    let (mut tbs, path) = user("smime-dual", &[], &rcgen::PKCS_RSA_SHA256);
    without(&mut tbs, "1.3.6.1.5.5.7.1.1");
    assert_eq!(refusals(&tbs, &path), [(Client::ExchangeOnline, vec!["fetch-everywhere"])]);
    let report = &assess(&facts(&tbs, &path, now()))[3];
    assert_eq!(report.client, Client::Thunderbird);
    assert!(report.remarks.iter().any(|remark| remark.rule == "no-ocsp"));
    without(&mut tbs, "2.5.29.31");
    let wanted =
        [(Client::ExchangeOnline, vec!["fetch-everywhere"]), (Client::Gpgsm, vec!["crl-everywhere"])];
    assert_eq!(refusals(&tbs, &path), wanted);
    let (tbs, mut path) = user("smime-dual", &[], &rcgen::PKCS_RSA_SHA256);
    without(&mut path[0], "2.5.29.31");
    assert_eq!(refusals(&tbs, &path), wanted);
}

#[test]
fn what_nobody_takes() {
    let everybody = |rule: &'static str| Client::ALL.map(|client| (client, vec![rule])).to_vec();
    let (mut tbs, path) = user("smime-dual", &[], &rcgen::PKCS_RSA_SHA256);
    let extension = |oid: &str, value: &[u8]| Extension {
        extn_id: der::asn1::ObjectIdentifier::new_unwrap(oid),
        critical: true,
        extn_value: OctetString::new(value).unwrap(),
    };
    tbs.extensions.as_mut().unwrap().push(extension("1.2.3.4", &[5, 0]));
    assert_eq!(refusals(&tbs, &path), everybody("unknown-critical"));

    let (mut tbs, path) = user("smime-dual", &[], &rcgen::PKCS_RSA_SHA256);
    without(&mut tbs, "2.5.29.17");
    assert_eq!(refusals(&tbs, &path), everybody("no-mailbox"));

    let (mut tbs, path) = user("smime-dual", &[], &rcgen::PKCS_RSA_SHA256);
    without(&mut tbs, "2.5.29.15");
    // dataEncipherment alone.
    let usage = x509_cert::ext::pkix::KeyUsage(x509_cert::ext::pkix::KeyUsages::DataEncipherment.into());
    tbs.extensions.as_mut().unwrap().push(extension("2.5.29.15", &usage.to_der().unwrap()));
    assert_eq!(refusals(&tbs, &path), everybody("usage"));

    let (tbs, path) = user("smime-dual", &[], &rcgen::PKCS_RSA_SHA256);
    let late = Timestamp::parse("2040-01-01T00:00:00Z").unwrap();
    assert!(assess(&facts(&tbs, &path, late)).iter().all(|one| one.refusals[0].rule == "validity"));
}

#[test]
fn purposes() {
    let swap = |oid: &[u8]| {
        let (mut tbs, path) = user("smime-dual", &[], &rcgen::PKCS_RSA_SHA256);
        without(&mut tbs, "2.5.29.37");
        let extn_id = der::asn1::ObjectIdentifier::new_unwrap("2.5.29.37");
        let extn_value = OctetString::new(oid).unwrap();
        tbs.extensions.as_mut().unwrap().push(Extension { extn_id, critical: false, extn_value });
        refusals(&tbs, &path)
    };
    let client_auth = [0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2];
    assert_eq!(swap(&client_auth), Client::ALL.map(|client| (client, vec!["purpose"])));
    let any = [0x30, 6, 6, 4, 0x55, 0x1d, 0x25, 0];
    assert_eq!(swap(&any), [(Client::Thunderbird, vec!["any-purpose"])]);
}

#[test]
fn addresses() {
    let path = path(SignatureAlgorithm::RsaSha256);
    let key = spki(&rcgen::PKCS_RSA_SHA256);
    let of = |mailbox: &str| {
        make(&template("smime-dual", &[]), Some(&path[0]), mailbox, &key, SignatureAlgorithm::RsaSha256)
    };
    let tbs = of("j\u{fc}rgen@example.test");
    assert_eq!(refusals(&tbs, &path), [(Client::Thunderbird, vec!["smtputf8-alone"])]);
    let tbs = of("Alice@example.test");
    let apple = &assess(&facts(&tbs, &path, now()))[2];
    assert!(!apple.refuses() && apple.remarks.iter().any(|remark| remark.rule == "letter-case"));
}

#[test]
fn the_revoked_is_refused_by_those_who_look() {
    let (tbs, path) = user("smime-dual", &[], &rcgen::PKCS_RSA_SHA256);
    let mut facts = facts(&tbs, &path, now());
    facts.revoked = true;
    let refusing: Vec<_> =
        assess(&facts).into_iter().filter(ClientReport::refuses).map(|one| one.client).collect();
    assert_eq!(refusing, [Client::Outlook, Client::ExchangeOnline, Client::Thunderbird, Client::Gpgsm]);
}

#[test]
fn ed25519_is_for_no_tested_client() {
    let (mut tbs, path) = user("smime-signing", &[], &rcgen::PKCS_RSA_SHA256);
    use der::Decode;
    tbs.subject_public_key_info =
        spki::SubjectPublicKeyInfoOwned::from_der(&spki(&rcgen::PKCS_ED25519)).unwrap();
    let wanted = [(Client::Thunderbird, vec!["ed25519"]), (Client::Gpgsm, vec!["ed25519-gpgsm"])];
    assert_eq!(refusals(&tbs, &path), wanted);
}

#[test]
fn names_of_clients_and_rules() {
    for client in Client::ALL {
        assert_eq!(client.name().parse(), Ok(client));
    }
    assert!("pine".parse::<Client>().unwrap_err().contains("thunderbird"));
    let ids: std::collections::BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), RULES.len());
}
