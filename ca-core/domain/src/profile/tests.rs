//! Tests of profiles.

use std::sync::OnceLock;

use const_oid::AssociatedOid;
use der::asn1::{ObjectIdentifier, OctetString};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, BasicConstraints, SubjectKeyIdentifier};
use x509_cert::time::Time;

use super::*;
use crate::mailbox::{DnsName, Mailbox};
use crate::template::{Need, SubjectAttribute, shipped};

mod extension;
mod issuing;
mod naming;

const NOW: &str = "2026-11-23T08:00:00Z";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// A P-256 key, the same in every test.
fn spki() -> &'static [u8] {
    static KEY: OnceLock<Vec<u8>> = OnceLock::new();
    KEY.get_or_init(|| {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::PublicKeyData::subject_public_key_info(&key)
    })
}

/// A shipped template, with pieces of its text replaced.
fn template(name: &str, edits: &[(&str, &str)]) -> Template {
    let mut text = shipped().iter().find(|(shipped, _)| *shipped == name).unwrap().1.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{name} does not contain {from:?}");
        text = text.replacen(from, to, 1);
    }
    match Template::parse(&text, name) {
        Ok(template) => template,
        Err(error) => panic!("{error}"),
    }
}

/// One call of [`build`], with usual arguments to be overridden.
struct Args {
    template: Template,
    issuer: Option<IssuerContext>,
    subject: SubjectInput,
    now: Timestamp,
    days: Option<u32>,
}

impl Args {
    fn of(name: &str) -> Self {
        let template = template(name, &[]);
        let issuer = (template.kind() != TemplateKind::RootCa).then(issuer);
        let mut subject = SubjectInput::default();
        if template.mailboxes() == crate::template::Presence::Required {
            subject.mailboxes = vec![Mailbox::parse("alice@example.test").unwrap()];
        }
        if template.dns_names() == crate::template::Presence::Required {
            subject.dns_names = vec![DnsName::parse("mail.example.test").unwrap()];
        }
        if template.kind().is_authority() {
            subject.attributes = attributes(&[
                (SubjectAttribute::CommonName, "Test CA"),
                (SubjectAttribute::Organization, "Test"),
                (SubjectAttribute::Country, "DE"),
            ]);
        }
        if matches!(template.kind(), TemplateKind::OcspSigner | TemplateKind::TlsClient) {
            subject.attributes = attributes(&[(SubjectAttribute::CommonName, "Test")]);
        }
        let needed = [
            (SubjectAttribute::Country, "DE"),
            (SubjectAttribute::Organization, "Test"),
            (SubjectAttribute::OrganizationIdentifier, "NTRDE-DEK1101R.HRB1234"),
        ];
        for (attribute, value) in needed {
            if template.subject().any(|(a, _, need)| a == attribute && need == Need::Required) {
                subject.attributes.insert(attribute, value.to_owned());
            }
        }
        Self { template, issuer, subject, now: at(NOW), days: None }
    }

    fn build(&self) -> Result<TbsCertificate, ProfileError> {
        build(
            &self.template,
            self.issuer.as_ref(),
            &self.subject,
            spki(),
            SerialNumber::from_random([7; 20]),
            self.now,
            self.days,
            SignatureAlgorithm::EcdsaSha256,
        )
    }

    fn refusal(&self) -> String {
        self.build().map(|tbs| tbs.subject).unwrap_err().to_string()
    }
}

fn attributes(list: &[(SubjectAttribute, &str)]) -> std::collections::BTreeMap<SubjectAttribute, String> {
    list.iter().map(|(attribute, value)| (*attribute, (*value).to_owned())).collect()
}

/// An authority without limits of its own, from 2026 to the end of 2030.
fn issuer() -> IssuerContext {
    let subject = SubjectInput {
        attributes: attributes(&[
            (SubjectAttribute::CommonName, "Issuer"),
            (SubjectAttribute::Organization, "Test"),
            (SubjectAttribute::Country, "DE"),
        ]),
        ..SubjectInput::default()
    };
    IssuerContext {
        name: subject_name(&template("issuing-ca", &[]), &subject).unwrap(),
        key_id: vec![9; 20],
        not_before: at("2026-01-01"),
        not_after: at("2030-12-31T23:59:59Z"),
        extended_key_usage: None,
        path_length: None,
        name_constraints: None,
        inherited_constraints: Vec::new(),
        mailbox_domains: crate::template::MailboxDomains::default(),
        urls: AuthorityUrls {
            crl: vec!["http://pki.test/crl/issuing.crl".into()],
            ca_issuers: vec!["http://pki.test/ca/issuing.crt".into()],
            ocsp: vec!["http://ocsp.test/".into()],
            ..AuthorityUrls::default()
        },
    }
}

fn extension_of<'a>(tbs: &'a TbsCertificate, oid: &str) -> Option<&'a Extension> {
    let oid = ObjectIdentifier::new_unwrap(oid);
    tbs.extensions.iter().flatten().find(|extension| extension.extn_id == oid)
}

fn content(tbs: &TbsCertificate, oid: &str) -> String {
    extension_of(tbs, oid).map(|extension| hex::encode(extension.extn_value.as_bytes())).unwrap_or_default()
}

#[test]
fn every_shipped_template_builds() {
    for (name, _) in shipped() {
        let args = Args::of(name);
        let tbs = args.build().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(tbs.version, Version::V3);
        assert_eq!(tbs.subject_public_key_info.to_der().unwrap(), spki());
        assert_eq!(TbsCertificate::from_der(&tbs.to_der().unwrap()).unwrap(), tbs);
        let constraints = extension_of(&tbs, &BasicConstraints::OID.to_string()).unwrap();
        assert!(constraints.critical, "{name}");
        match &args.issuer {
            Some(issuer) => assert_eq!(tbs.issuer, issuer.name),
            None => assert_eq!(tbs.issuer, tbs.subject),
        }
    }
}

#[test]
fn key_identifiers_are_the_keys_own_and_the_issuers() {
    let own = KeyIdentifier::of_spki(&SubjectPublicKeyInfoRef::from_der(spki()).unwrap()).0;
    for (name, authority) in [("root-ca", own.to_vec()), ("smime-dual", vec![9; 20])] {
        let tbs = Args::of(name).build().unwrap();
        let (_, subject) = tbs.get::<SubjectKeyIdentifier>().unwrap().unwrap();
        assert_eq!(subject.0.as_bytes(), own);
        let (critical, id) = tbs.get::<AuthorityKeyIdentifier>().unwrap().unwrap();
        let wanted = AuthorityKeyIdentifier {
            key_identifier: Some(OctetString::new(authority).unwrap()),
            authority_cert_issuer: None,
            authority_cert_serial_number: None,
        };
        assert!(!critical);
        assert_eq!(id, wanted);
    }
}

fn seconds(time: Time) -> u64 {
    Timestamp::from(time).as_unix()
}
