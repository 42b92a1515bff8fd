//! What the tests of this crate share.

use std::process::Command;
use std::sync::LazyLock;

use ca_domain::{KeyAlgorithm, Timestamp};
use der::Encode;
use der::asn1::BitString;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::Validity;
use x509_cert::{Certificate, TbsCertificate, Version};

use crate::{SigningKey, SoftwareKey};

static KEYS: LazyLock<Vec<SoftwareKey>> = LazyLock::new(|| {
    let makeable = |algorithm: &KeyAlgorithm| cfg!(feature = "aws-lc") || !algorithm.is_rsa();
    KeyAlgorithm::ALL
        .into_iter()
        .filter(makeable)
        .map(|algorithm| SoftwareKey::generate(algorithm).unwrap())
        .collect()
});

/// One key of each algorithm that this build can generate, made once.
pub(crate) fn keys() -> impl Iterator<Item = &'static SoftwareKey> {
    KEYS.iter()
}

pub(crate) fn key(algorithm: KeyAlgorithm) -> &'static SoftwareKey {
    keys().find(|key| key.key_algorithm() == algorithm).unwrap()
}

/// Runs openssl, which must succeed; what it wrote to both outputs.
pub(crate) fn openssl(args: &[&str]) -> String {
    let (fine, text) = try_openssl(args);
    assert!(fine, "openssl {args:?}: {text}");
    text
}

pub(crate) fn try_openssl(args: &[&str]) -> (bool, String) {
    let output = Command::new("openssl").args(args).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// A certificate without extensions for `key`, signed with `issuer`.
pub(crate) fn certificate(key: &SoftwareKey, issuer: &SoftwareKey, name: &str, issuer_name: &str) -> Vec<u8> {
    use std::str::FromStr;
    let algorithm = issuer.signature_algorithm().identifier();
    let tbs_certificate = TbsCertificate {
        version: Version::V1,
        serial_number: SerialNumber::new(&[7]).unwrap(),
        signature: algorithm.clone(),
        issuer: Name::from_str(issuer_name).unwrap(),
        validity: Validity {
            not_before: Timestamp::parse("2026-01-01").unwrap().to_x509(),
            not_after: Timestamp::parse("2046-01-01").unwrap().to_x509(),
        },
        subject: Name::from_str(name).unwrap(),
        subject_public_key_info: der::Decode::from_der(key.public_key_der()).unwrap(),
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: None,
    };
    let signature = issuer.sign(&tbs_certificate.to_der().unwrap()).unwrap();
    let signature = BitString::from_bytes(&signature).unwrap();
    let certificate = Certificate { tbs_certificate, signature_algorithm: algorithm, signature };
    certificate.to_der().unwrap()
}
