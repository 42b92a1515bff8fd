//! A toy authority, ledger entries, and OpenSSL as a second opinion.

use std::path::Path;
use std::process::Command;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use ca_domain::{KeyAlgorithm, KeyIdentifier, ReasonCode, SerialNumber, Timestamp};
use ca_ledger::{Entry, EntryKind};
use ca_signing::{SigningKey, SoftwareKey};
use const_oid::db::rfc5280::ID_KP_OCSP_SIGNING;
use const_oid::db::rfc6960::ID_PKIX_OCSP_NOCHECK;
use const_oid::{AssociatedOid, ObjectIdentifier};
use der::asn1::{BitString, Null, OctetString};
use der::referenced::OwnedToRef;
use der::{Decode, Encode, EncodePem};
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::Certificate;
use x509_cert::certificate::{TbsCertificate, Version};
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, Extensions};
use x509_cert::name::Name;
use x509_cert::time::Validity;

pub(crate) const DAY: u64 = 86_400;

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix(seconds).unwrap()
}

/// The real time: OpenSSL judges by it.
pub(crate) fn now() -> Timestamp {
    SystemTime::now().try_into().unwrap()
}

pub(crate) fn serial(number: u64) -> SerialNumber {
    SerialNumber::from_be_bytes(&number.to_be_bytes()).unwrap()
}

/// A key with its certificate.
#[derive(Clone)]
pub(crate) struct Holder {
    pub(crate) key: Arc<SoftwareKey>,
    pub(crate) certificate: Certificate,
}

fn extension<T: Encode + AssociatedOid>(critical: bool, value: &T) -> Extension {
    let extn_value = OctetString::new(value.to_der().unwrap()).unwrap();
    Extension { extn_id: T::OID, critical, extn_value }
}

pub(crate) fn key_usage(usage: impl Into<der::flagset::FlagSet<KeyUsages>>) -> Extension {
    extension(true, &KeyUsage(usage.into()))
}

pub(crate) fn ocsp_signing() -> Extension {
    extension(false, &ExtendedKeyUsage(vec![ID_KP_OCSP_SIGNING]))
}

pub(crate) fn nocheck() -> Extension {
    let extn_value = OctetString::new(Null.to_der().unwrap()).unwrap();
    Extension { extn_id: ID_PKIX_OCSP_NOCHECK, critical: false, extn_value }
}

pub(crate) fn without(extensions: Extensions, oid: ObjectIdentifier) -> Extensions {
    extensions.into_iter().filter(|extension| extension.extn_id != oid).collect()
}

/// A new key. RSA keys come from OpenSSL: not every back end can make them.
fn make_key(algorithm: KeyAlgorithm) -> SoftwareKey {
    if !algorithm.is_rsa() {
        return SoftwareKey::generate(algorithm).unwrap();
    }
    let bits = algorithm.name().replace("rsa-", "rsa_keygen_bits:");
    let made =
        Command::new("openssl").args(["genpkey", "-algorithm", "RSA", "-pkeyopt", &bits]).output().unwrap();
    SoftwareKey::from_pem(&String::from_utf8(made.stdout).unwrap(), None).unwrap()
}

impl Holder {
    /// A self-signed authority that is valid from yesterday for two years.
    pub(crate) fn authority(algorithm: KeyAlgorithm, name: &str) -> Self {
        let key = Arc::new(make_key(algorithm));
        let extensions = vec![
            extension(true, &BasicConstraints { ca: true, path_len_constraint: None }),
            key_usage(KeyUsages::KeyCertSign | KeyUsages::CRLSign | KeyUsages::DigitalSignature),
        ];
        let validity = validity(now().saturating_sub(DAY), now().saturating_add(700 * DAY));
        let certificate = certify(&key, name, &key, name, serial(1), validity, extensions);
        Self { key, certificate }
    }

    /// A certificate of this authority.
    pub(crate) fn issue(
        &self,
        algorithm: KeyAlgorithm,
        number: SerialNumber,
        not_after: Timestamp,
        extensions: Extensions,
    ) -> Self {
        let key = Arc::new(make_key(algorithm));
        let issuer = self.certificate.tbs_certificate.subject.to_string();
        let validity = validity(now().saturating_sub(DAY), not_after);
        let subject = format!("CN=Subject {number}");
        let certificate = certify(&self.key, &issuer, &key, &subject, number, validity, extensions);
        Self { key, certificate }
    }

    /// A proper delegate for OCSP.
    pub(crate) fn delegate(&self, algorithm: KeyAlgorithm) -> Self {
        self.issue(algorithm, serial(2), now().saturating_add(30 * DAY), delegate_extensions())
    }

    pub(crate) fn write_pem(&self, path: &Path) {
        std::fs::write(path, self.certificate.to_pem(der::pem::LineEnding::LF).unwrap()).unwrap();
    }
}

pub(crate) fn delegate_extensions() -> Extensions {
    vec![key_usage(KeyUsages::DigitalSignature), ocsp_signing(), nocheck()]
}

fn validity(not_before: Timestamp, not_after: Timestamp) -> Validity {
    Validity { not_before: not_before.to_x509(), not_after: not_after.to_x509() }
}

fn certify(
    issuer: &SoftwareKey,
    issuer_name: &str,
    subject: &SoftwareKey,
    subject_name: &str,
    number: SerialNumber,
    validity: Validity,
    mut extensions: Extensions,
) -> Certificate {
    let identify = |key: &SoftwareKey| {
        let spki = SubjectPublicKeyInfoOwned::from_der(key.public_key_der()).unwrap();
        OctetString::new(KeyIdentifier::of_spki(&spki.owned_to_ref()).0).unwrap()
    };
    extensions.push(extension(false, &SubjectKeyIdentifier(identify(subject))));
    let authority = AuthorityKeyIdentifier {
        key_identifier: Some(identify(issuer)),
        ..AuthorityKeyIdentifier::default()
    };
    extensions.push(extension(false, &authority));
    let algorithm = issuer.signature_algorithm().identifier();
    let tbs_certificate = TbsCertificate {
        version: Version::V3,
        serial_number: number.to_der().unwrap(),
        signature: algorithm.clone(),
        issuer: Name::from_str(issuer_name).unwrap(),
        validity,
        subject: Name::from_str(subject_name).unwrap(),
        subject_public_key_info: SubjectPublicKeyInfoOwned::from_der(subject.public_key_der()).unwrap(),
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: Some(extensions),
    };
    let signature = issuer.sign(&tbs_certificate.to_der().unwrap()).unwrap();
    let signature = BitString::from_bytes(&signature).unwrap();
    Certificate { tbs_certificate, signature_algorithm: algorithm, signature }
}

/// A ledger entry about a certificate.
pub(crate) fn entry(
    kind: EntryKind,
    authority: KeyIdentifier,
    serial: Option<SerialNumber>,
    time: Timestamp,
) -> Entry {
    Entry {
        kind,
        time,
        authority,
        serial,
        not_after: None,
        reason: None,
        invalidity_date: None,
        detail_hash: [0; 32],
    }
}

pub(crate) fn issued(authority: KeyIdentifier, serial: SerialNumber, not_after: Timestamp) -> Entry {
    let plain = entry(EntryKind::CertificateIssued, authority, Some(serial), at(100));
    Entry { not_after: Some(not_after), ..plain }
}

pub(crate) fn revoked(
    authority: KeyIdentifier,
    serial: SerialNumber,
    time: Timestamp,
    reason: ReasonCode,
) -> Entry {
    Entry { reason: Some(reason), ..entry(EntryKind::Revoked, authority, Some(serial), time) }
}

/// Runs OpenSSL; whether it succeeded, and what it printed.
pub(crate) fn openssl(arguments: &[&str]) -> (bool, String) {
    run("openssl", arguments)
}

/// Runs a tool; whether it succeeded, and what it printed.
pub(crate) fn run(tool: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(tool).args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}
