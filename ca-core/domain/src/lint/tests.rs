//! Tests of lint: every rule has a certificate that breaks it, and it alone.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use const_oid::{AssociatedOid, ObjectIdentifier};
use der::asn1::{Any, OctetString, SetOfVec};
use der::{Decode, Encode, Tag};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::SubjectKeyIdentifier;
use x509_cert::name::RelativeDistinguishedName;

use super::view::BrClaim;
use super::*;
use crate::profile::build;
use crate::template::{Presence, SubjectAttribute, Template, shipped};
use crate::{
    AuthorityUrls, DnsName, IssuerContext, Mailbox, SerialNumber, SignatureAlgorithm, SubjectInput,
    check_public_key,
};

mod br;
mod good;
mod junk;
mod names;
mod structure;
mod usage;
mod windows;

/// The time of issuance in these tests.
fn now() -> Timestamp {
    Timestamp::parse("2026-11-23T08:00:00Z").unwrap()
}

/// A key of an algorithm as DER SubjectPublicKeyInfo; the authorities' key is another one.
fn subject_key(algorithm: KeyAlgorithm) -> Vec<u8> {
    static KEYS: OnceLock<Vec<(KeyAlgorithm, Vec<u8>)>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let made = [
            (KeyAlgorithm::P256, &rcgen::PKCS_ECDSA_P256_SHA256),
            (KeyAlgorithm::P384, &rcgen::PKCS_ECDSA_P384_SHA384),
            (KeyAlgorithm::Ed25519, &rcgen::PKCS_ED25519),
            (KeyAlgorithm::Rsa2048, &rcgen::PKCS_RSA_SHA256),
        ];
        made.into_iter().map(|(algorithm, of)| (algorithm, new_key(of))).collect()
    });
    keys.iter().find(|(own, _)| *own == algorithm).unwrap().1.clone()
}

fn new_key(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
    rcgen::PublicKeyData::subject_public_key_info(&rcgen::KeyPair::generate_for(algorithm).unwrap())
}

fn template(name: &str) -> &'static Template {
    static READ: OnceLock<Vec<Template>> = OnceLock::new();
    let parse = |(name, text): &(&str, &str)| Template::parse(text, name).unwrap();
    READ.get_or_init(|| shipped().iter().map(parse).collect())
        .iter()
        .find(|template| template.name() == name)
        .unwrap()
}

/// The names that a template needs.
fn names_for(template: &Template) -> SubjectInput {
    let mut names = SubjectInput::default();
    if template.mailboxes() == Presence::Required {
        names.mailboxes = vec![Mailbox::parse("alice@example.test").unwrap()];
    }
    if template.dns_names() == Presence::Required {
        names.dns_names = vec![DnsName::parse("mail.example.test").unwrap()];
    }
    let given = [
        (SubjectAttribute::CommonName, template.name()),
        (SubjectAttribute::Organization, "Example"),
        (SubjectAttribute::Country, "DE"),
        (SubjectAttribute::OrganizationIdentifier, "NTRDE-DEK1101R.HRB1234"),
        (SubjectAttribute::GivenName, "Alice"),
        (SubjectAttribute::Surname, "Example"),
    ];
    let of_template: BTreeSet<_> = template.subject().map(|(attribute, _, _)| attribute).collect();
    let common = !names.mailboxes.is_empty() || !names.dns_names.is_empty();
    names.attributes = given
        .into_iter()
        .filter(|(attribute, _)| of_template.contains(attribute))
        .filter(|(attribute, _)| !(common && *attribute == SubjectAttribute::CommonName))
        .map(|(attribute, value)| (attribute, value.to_owned()))
        .collect();
    names
}

fn tbs_of(name: &str, spki: &[u8], issuer: Option<&Certificate>) -> TbsCertificate {
    let template = template(name);
    let urls = AuthorityUrls {
        crl: vec!["http://pki.example.test/crl/issuing.crl".into()],
        ca_issuers: vec!["http://pki.example.test/ca/issuing.crt".into()],
        ocsp: vec!["http://ocsp.example.test/".into()],
        ..AuthorityUrls::default()
    };
    let issuer = issuer.map(|issuer| IssuerContext::of_certificate(issuer, urls).unwrap());
    let names = names_for(template);
    let serial = SerialNumber::from_random([5; 20]);
    // Every authority here has a P-256 key; a root signs with whatever its own is.
    let signer =
        if issuer.is_some() { KeyAlgorithm::P256 } else { check_public_key(spki).unwrap().algorithm };
    let signature = SignatureAlgorithm::of_key(signer);
    build(template, issuer.as_ref(), &names, spki, serial, now(), None, signature).unwrap()
}

/// A certificate with a signature that nobody checks here.
fn certificate(tbs: TbsCertificate, context: LintContext<'_>) -> Certificate {
    lint(tbs, context).unwrap().sign(|_| Ok::<_, ()>(vec![1; 70])).unwrap().certificate
}

fn context<'a>(name: &str, issuer: Option<&'a Certificate>) -> LintContext<'a> {
    let template = template(name);
    LintContext { kind: template.kind(), conformance: template.conformance(), issuer, now: now() }
}

fn root() -> &'static Certificate {
    static ROOT: OnceLock<Certificate> = OnceLock::new();
    ROOT.get_or_init(|| {
        let key = new_key(&rcgen::PKCS_ECDSA_P256_SHA256);
        certificate(tbs_of("root-ca", &key, None), context("root-ca", None))
    })
}

/// The authority that issues a template's certificates.
fn issuer_of(name: &str) -> Option<&'static Certificate> {
    static MAIL: OnceLock<Certificate> = OnceLock::new();
    static TLS: OnceLock<Certificate> = OnceLock::new();
    let make = |name: &str| {
        let key = new_key(&rcgen::PKCS_ECDSA_P256_SHA256);
        certificate(tbs_of(name, &key, Some(root())), context(name, Some(root())))
    };
    match template(name).kind() {
        TemplateKind::RootCa => None,
        TemplateKind::SubordinateCa => Some(root()),
        TemplateKind::TlsClient | TemplateKind::TlsServer => Some(TLS.get_or_init(|| make("tls-issuing-ca"))),
        TemplateKind::OcspSigner | TemplateKind::User => Some(MAIL.get_or_init(|| make("issuing-ca"))),
    }
}

/// A certificate of a template, as it should be.
fn good_tbs(name: &str, algorithm: KeyAlgorithm) -> TbsCertificate {
    tbs_of(name, &subject_key(algorithm), issuer_of(name))
}

/// A certificate that breaks rules, and their names.
struct Case {
    template: &'static str,
    algorithm: KeyAlgorithm,
    fires: Vec<&'static str>,
    change: Box<dyn Fn(&mut TbsCertificate)>,
    issuer: Box<dyn Fn(&mut Certificate)>,
    claim: Option<BrClaim>,
    now: Timestamp,
    self_signed: bool,
}

fn case(
    template: &'static str,
    fires: &[&'static str],
    change: impl Fn(&mut TbsCertificate) + 'static,
) -> Case {
    Case {
        template,
        algorithm: KeyAlgorithm::P256,
        fires: fires.to_vec(),
        change: Box::new(change),
        issuer: Box::new(|_| ()),
        claim: None,
        now: now(),
        self_signed: false,
    }
}

impl Case {
    fn key(mut self, algorithm: KeyAlgorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Replaces the key by one of Ed25519, which the templates for mail refuse.
    fn ed25519(mut self) -> Self {
        let before = self.change;
        self.change = Box::new(move |tbs| {
            before(tbs);
            let spki = subject_key(KeyAlgorithm::Ed25519);
            let id = check_public_key(&spki).unwrap().key_id;
            tbs.subject_public_key_info = spki::SubjectPublicKeyInfoOwned::from_der(&spki).unwrap();
            set(tbs, false, &SubjectKeyIdentifier(OctetString::new(id.0).unwrap()));
        });
        self
    }

    /// One more rule that is broken.
    fn and(mut self, lint: &'static str) -> Self {
        self.fires.push(lint);
        self
    }

    fn without_issuer(mut self) -> Self {
        self.self_signed = true;
        self
    }

    fn issuer(mut self, change: impl Fn(&mut Certificate) + 'static) -> Self {
        self.issuer = Box::new(change);
        self
    }

    fn claim(mut self, claim: BrClaim) -> Self {
        self.claim = Some(claim);
        self
    }

    fn now(mut self, now: &str) -> Self {
        self.now = Timestamp::parse(now).unwrap();
        self
    }

    /// What is wrong with the case, if anything is.
    fn run(&self, number: usize) -> Option<String> {
        let mut tbs = good_tbs(self.template, self.algorithm);
        (self.change)(&mut tbs);
        let mut issuer = issuer_of(self.template).filter(|_| !self.self_signed).cloned();
        if let Some(issuer) = &mut issuer {
            (self.issuer)(issuer);
        }
        let mut context = context(self.template, issuer.as_ref());
        context.now = self.now;
        let mut view = View::new(&tbs, context);
        view.claim = self.claim.or(view.claim);
        let findings = inspect(&view);
        let fired: BTreeSet<_> = findings.iter().map(|finding| finding.lint).collect();
        let wanted: BTreeSet<_> = self.fires.iter().copied().collect();
        (fired != wanted).then(|| format!("case {number}: {wanted:?} wanted, {findings:#?}"))
    }
}

#[test]
fn every_rule_fires_alone() {
    let groups = [structure::cases(), usage::cases(), names::cases(), br::cases(), windows::cases()];
    let (mut fired, mut failures) = (BTreeSet::new(), Vec::new());
    for (number, case) in groups.iter().flatten().enumerate() {
        failures.extend(case.run(number));
        fired.extend(case.fires.iter().copied());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let untested: Vec<_> = lints().map(|lint| lint.id).filter(|id| !fired.contains(id)).collect();
    assert!(untested.is_empty(), "no case breaks {untested:?}");
}

#[test]
fn names_of_rules_are_unique() {
    let ids: Vec<_> = lints().map(|lint| lint.id).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
}

// What the cases do to a certificate.

fn extensions(tbs: &mut TbsCertificate) -> &mut Vec<Extension> {
    tbs.extensions.as_mut().unwrap()
}

fn remove(tbs: &mut TbsCertificate, oid: ObjectIdentifier) {
    extensions(tbs).retain(|extension| extension.extn_id != oid);
}

fn set_raw(tbs: &mut TbsCertificate, oid: ObjectIdentifier, critical: bool, value: &[u8]) {
    remove(tbs, oid);
    let extn_value = OctetString::new(value).unwrap();
    extensions(tbs).push(Extension { extn_id: oid, critical, extn_value });
}

fn set<T: Encode + AssociatedOid>(tbs: &mut TbsCertificate, critical: bool, value: &T) {
    set_raw(tbs, T::OID, critical, &value.to_der().unwrap());
}

fn change<T>(tbs: &mut TbsCertificate, change: impl FnOnce(&mut T))
where
    T: for<'a> Decode<'a> + Encode + AssociatedOid,
{
    let found = extensions(tbs).iter_mut().find(|extension| extension.extn_id == T::OID).unwrap();
    let mut value = T::from_der(found.extn_value.as_bytes()).unwrap();
    change(&mut value);
    found.extn_value = OctetString::new(value.to_der().unwrap()).unwrap();
}

fn flip_critical(tbs: &mut TbsCertificate, oid: ObjectIdentifier) {
    let found = extensions(tbs).iter_mut().find(|extension| extension.extn_id == oid).unwrap();
    found.critical = !found.critical;
}

fn attribute(oid: ObjectIdentifier, tag: Tag, text: &str) -> AttributeTypeAndValue {
    AttributeTypeAndValue { oid, value: Any::new(tag, text.as_bytes()).unwrap() }
}

fn add_attribute(tbs: &mut TbsCertificate, oid: ObjectIdentifier, tag: Tag, text: &str) {
    let set = SetOfVec::try_from(vec![attribute(oid, tag, text)]).unwrap();
    tbs.subject.0.push(RelativeDistinguishedName(set));
}

fn add_text(tbs: &mut TbsCertificate, oid: ObjectIdentifier, text: &str) {
    add_attribute(tbs, oid, Tag::Utf8String, text);
}
