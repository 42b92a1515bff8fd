//! The whole scheme, honest and not.

mod openssl;
mod refused;

use std::str::FromStr;
use std::sync::OnceLock;

use ca_domain::{KeyAlgorithm, Timestamp};
use ca_signing::{SigningKey, SoftwareKey};
use der::asn1::{BitString, OctetString};
use der::{Decode, Encode};
use x509_cert::certificate::{Certificate, TbsCertificate, Version};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{KeyUsage, KeyUsages};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::Validity;

use super::*;

const NOW: u64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_unix(NOW).unwrap()
}

/// An escrow directory, and what removes it.
fn escrow_dir() -> (tempfile::TempDir, std::path::PathBuf) {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("escrow");
    (outer, dir)
}

/// RSA keys are slow to make: these are shared.
fn key(number: usize) -> &'static SoftwareKey {
    static KEYS: OnceLock<Vec<SoftwareKey>> = OnceLock::new();
    let make = || (0..6).map(|_| SoftwareKey::generate(KeyAlgorithm::Rsa2048).unwrap()).collect();
    &KEYS.get_or_init(make)[number]
}

/// A certificate with this key and key usage; nobody looks at its signature.
fn certificate(
    key: &SoftwareKey,
    name: &str,
    serial: u8,
    usage: Option<der::flagset::FlagSet<KeyUsages>>,
) -> Certificate {
    let algorithm: AlgorithmIdentifierOwned = key.signature_algorithm().identifier();
    let name = Name::from_str(&format!("CN={name}")).unwrap();
    let time = |seconds| Timestamp::from_unix(seconds).unwrap().to_x509();
    let usage = usage.map(|usage| Extension {
        extn_id: const_oid::db::rfc5280::ID_CE_KEY_USAGE,
        critical: true,
        extn_value: OctetString::new(KeyUsage(usage).to_der().unwrap()).unwrap(),
    });
    let tbs_certificate = TbsCertificate {
        version: Version::V3,
        serial_number: SerialNumber::new(&[serial]).unwrap(),
        signature: algorithm.clone(),
        issuer: name.clone(),
        validity: Validity { not_before: time(NOW - 1000), not_after: time(NOW + 1000) },
        subject: name,
        subject_public_key_info: SubjectPublicKeyInfoOwned::from_der(key.public_key_der()).unwrap(),
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: usage.map(|usage| vec![usage]),
    };
    let signature = key.sign(&tbs_certificate.to_der().unwrap()).unwrap();
    let signature = BitString::from_bytes(&signature).unwrap();
    Certificate { tbs_certificate, signature_algorithm: algorithm, signature }
}

fn agent(number: usize, name: &str) -> Agent {
    let usage = KeyUsages::KeyEncipherment.into();
    Agent::new(name, certificate(key(number), name, 1, Some(usage))).unwrap()
}

/// Two of anna, bert and carla.
fn policy() -> EscrowPolicy {
    EscrowPolicy::new(2, vec![agent(0, "anna"), agent(1, "bert"), agent(2, "carla")]).unwrap()
}

fn sealed(number: usize, serial: u8) -> SealedKey {
    let usage = Some(KeyUsages::KeyEncipherment.into());
    seal(&policy(), key(number), &certificate(key(number), "dora", serial, usage)).unwrap()
}

/// Two archives, the request for them and its key.
struct Case {
    archives: Vec<Archive>,
    request: RecoveryRequest,
    recovery_key: &'static SoftwareKey,
}

impl Case {
    fn new() -> Self {
        Self::of(&[sealed(3, 3), sealed(4, 4)])
    }

    fn of(sealed: &[SealedKey]) -> Self {
        let archives: Vec<_> =
            sealed.iter().map(|sealed| Archive::from_bytes(&sealed.blob).unwrap()).collect();
        let recovery_key = key(5);
        let request =
            RecoveryRequest::new(&archives, "dora@example.test", Some("left"), "root", recovery_key, now());
        Self { archives, request: request.unwrap(), recovery_key }
    }

    /// The contribution of the holder of key `number`.
    fn from(&self, number: usize) -> (String, Vec<u8>) {
        // As it travels: out and in again.
        let request = RecoveryRequest::from_bytes(&self.request.to_bytes().unwrap()).unwrap();
        let contribution = contribute(&request, key(number)).unwrap();
        (format!("share-{number}"), contribution.to_bytes().unwrap())
    }

    fn recover(&self, contributions: &[(String, Vec<u8>)]) -> Result<Recovered, EscrowError> {
        recover(&self.request, &self.archives, self.recovery_key, contributions)
    }
}

#[test]
fn any_two_of_three_recover_all_keys() {
    let case = Case::new();
    for pair in [[0, 1], [1, 2], [2, 0]] {
        let recovered = case.recover(&pair.map(|agent| case.from(agent))).unwrap();
        assert_eq!(recovered.contributors.len(), 2);
        let serials = [3_usize, 4].map(|number| key(number).pkcs8_der());
        for (one, pkcs8) in recovered.keys.iter().zip(serials) {
            assert_eq!(one.key.pkcs8_der(), pkcs8);
        }
    }
    let all = [case.from(0), case.from(1), case.from(2)];
    let recovered = case.recover(&all).unwrap();
    let names: Vec<_> = recovered.contributors.iter().map(|agent| agent.agent.as_str()).collect();
    assert_eq!(names, ["anna", "bert", "carla"]);
}

#[test]
fn one_of_one_works_where_it_was_asked_for() {
    let policy = EscrowPolicy::new(1, vec![agent(0, "anna"), agent(1, "bert")]).unwrap();
    let usage = Some(KeyUsages::KeyAgreement | KeyUsages::KeyEncipherment);
    let sealed = seal(&policy, key(3), &certificate(key(3), "dora", 3, usage)).unwrap();
    let case = Case::of(&[sealed]);
    for agent in [0, 1] {
        let recovered = case.recover(&[case.from(agent)]).unwrap();
        assert_eq!(recovered.keys[0].key.pkcs8_der(), key(3).pkcs8_der());
    }
    assert!(matches!(check_threshold(1, false), Err(EscrowError::SingleAgent)));
    check_threshold(1, true).unwrap();
}

#[test]
fn an_archive_has_no_key_in_clear() {
    let sealed = sealed(3, 3);
    let pkcs8 = key(3).pkcs8_der();
    // The modulus comes first, and that is in the certificate.
    for window in pkcs8.windows(24).skip(320).step_by(24) {
        assert!(!sealed.blob.windows(24).any(|other| other == window));
    }
    let (_outer, dir) = escrow_dir();
    let path = stage(&dir, &sealed).unwrap().publish().unwrap();
    ca_files::check_private(&path).unwrap();
    assert_eq!(path, archive_path(&dir, &sealed.sha256));
    Archive::load(&dir, &sealed.sha256).unwrap();
}

#[test]
fn agents_are_kept_in_files() {
    let (_outer, dir) = escrow_dir();
    assert!(matches!(EscrowPolicy::load(&dir, now()), Err(EscrowError::Threshold { .. })));
    for agent in policy().agents() {
        EscrowPolicy::read(&dir).unwrap().check_new(agent).unwrap();
        stage_agent(&dir, agent).unwrap().publish().unwrap();
    }
    let read = EscrowPolicy::load(&dir, now()).unwrap();
    assert_eq!(read.threshold(), 2);
    assert_eq!(read.agents().iter().map(Agent::name).collect::<Vec<_>>(), ["anna", "bert", "carla"]);
    let again = agent(0, "emil");
    assert!(read.check_new(&again).unwrap_err().to_string().contains("same key"));
    assert!(EscrowPolicy::load(&dir, now().saturating_add(2000)).is_err(), "expired");
    stage_threshold(&dir, 3, false).unwrap().publish().unwrap();
    remove_agent(&dir, "bert").unwrap();
    let error = EscrowPolicy::load(&dir, now()).unwrap_err();
    assert!(matches!(error, EscrowError::Threshold { threshold: 3, agents: 2 }), "{error}");
    stage_threshold(&dir, 1, true).unwrap().publish().unwrap();
    assert_eq!(EscrowPolicy::load(&dir, now()).unwrap().threshold(), 1);
    std::fs::write(dir.join("policy.yaml"), "version: 1\nthreshold: 1\n").unwrap();
    assert!(matches!(EscrowPolicy::read(&dir), Err(EscrowError::SingleAgent)));
}
