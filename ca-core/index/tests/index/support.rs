//! Histories to index.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca_domain::{
    Detail, KeyIdentifier, KeyOrigin, ReasonCode, RevocationState, SerialNumber, SpkiHash, Timestamp,
    Transition,
};
use ca_index::{Applied, AuthorityRecord, CertificateRecord, Change, Event, Index, SledIndex};
use ca_ledger::{EntryKind, NewEntry};
use der::asn1::{Any, BitString, Ia5String, ObjectIdentifier, OctetString, Utf8StringRef};
use der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef};
use x509_cert::time::Validity;
use x509_cert::{Certificate, TbsCertificate, Version};

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix(seconds).unwrap()
}

pub(crate) fn serial(number: u64) -> SerialNumber {
    SerialNumber::from_be_bytes(&(number + 1).to_be_bytes()).unwrap()
}

pub(crate) fn authority(number: u8) -> KeyIdentifier {
    KeyIdentifier([number; 20])
}

pub(crate) fn sled(dir: &Path) -> SledIndex {
    SledIndex::open(dir, Duration::from_secs(5), "test").unwrap()
}

/// A certificate of person `number`, made from the number alone.
pub(crate) fn record(number: u64) -> CertificateRecord {
    let mailbox = format!("Person.{number}@example.test");
    CertificateRecord {
        position: 0,
        authority: authority((number % 2) as u8),
        serial: serial(number),
        template: format!("template-{}", number % 3),
        person: mailbox.clone(),
        mailboxes: vec![mailbox],
        dns_names: Vec::new(),
        key: SpkiHash([number as u8; 32]),
        not_before: at(1_000),
        not_after: at(2_000 + number % 7 * 100),
        state: RevocationState::Good,
    }
}

pub(crate) fn issued(record: CertificateRecord) -> Change {
    Change::Certificate(Box::new(record))
}

pub(crate) fn created(name: &str, key_id: KeyIdentifier) -> Change {
    Change::Authority(AuthorityRecord { name: name.into(), position: 0, key_id })
}

pub(crate) fn changed(record: &CertificateRecord, transition: Transition, at: Timestamp) -> Change {
    Change::State { authority: record.authority, serial: record.serial, transition, at }
}

pub(crate) fn revoke(reason: ReasonCode) -> Transition {
    Transition::Revoke { reason, invalidity_date: None }
}

/// Events from `first` on, with the positions that they have in records.
pub(crate) fn events(first: u64, changes: Vec<Change>) -> Vec<Event> {
    (first..)
        .zip(changes)
        .map(|(position, mut change)| {
            match &mut change {
                Change::Authority(authority) => authority.position = position,
                Change::Certificate(record) => record.position = position,
                _ => {}
            }
            let mut fingerprint = [7; 32];
            fingerprint[..8].copy_from_slice(&position.to_be_bytes());
            Event { position, fingerprint, change }
        })
        .collect()
}

/// Applies changes after those that are there.
pub(crate) fn add(index: &mut dyn Index, changes: Vec<Change>) {
    let first = index.applied().unwrap().size;
    let events = events(first, changes);
    let size = first + events.len() as u64;
    index.apply_events(&events, Applied::at(size, [size as u8; 32])).unwrap();
}

/// A certificate with a signature that is none: the index does not verify it.
pub(crate) fn certificate(serial: SerialNumber, key: &[u8], names: Vec<GeneralName>) -> Vec<u8> {
    let algorithm =
        AlgorithmIdentifierOwned { oid: ObjectIdentifier::new_unwrap("1.3.101.112"), parameters: None };
    let san = SubjectAltName(names).to_der().unwrap();
    let tbs = TbsCertificate {
        version: Version::V3,
        serial_number: serial.to_der().unwrap(),
        signature: algorithm.clone(),
        issuer: Default::default(),
        validity: Validity { not_before: at(1_000).to_x509(), not_after: at(2_000).to_x509() },
        subject: Default::default(),
        subject_public_key_info: SubjectPublicKeyInfoOwned {
            algorithm: algorithm.clone(),
            subject_public_key: BitString::from_bytes(key).unwrap(),
        },
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: Some(vec![Extension {
            extn_id: ObjectIdentifier::new_unwrap("2.5.29.17"),
            critical: false,
            extn_value: OctetString::new(san).unwrap(),
        }]),
    };
    let signature = BitString::from_bytes(&[0; 64]).unwrap();
    Certificate { tbs_certificate: tbs, signature_algorithm: algorithm, signature }.to_der().unwrap()
}

pub(crate) fn rfc822(mailbox: &str) -> GeneralName {
    GeneralName::Rfc822Name(Ia5String::new(mailbox).unwrap())
}

pub(crate) fn dns(host: &str) -> GeneralName {
    GeneralName::DnsName(Ia5String::new(host).unwrap())
}

pub(crate) fn smtp_utf8(mailbox: &str) -> GeneralName {
    let value = Any::encode_from(&Utf8StringRef::new(mailbox).unwrap()).unwrap();
    let type_id = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.8.9");
    GeneralName::OtherName(OtherName { type_id, value })
}

/// An issuance by authority 1, as it is appended to a ledger.
pub(crate) fn issuance(number: u64, mailbox: &str) -> NewEntry {
    let der = certificate(serial(number), &number.to_be_bytes(), vec![rfc822(mailbox)]);
    let detail = Detail::CertificateIssued {
        authority: "issuing".into(),
        certificate: STANDARD.encode(der),
        template: format!("template-{}", number % 3),
        template_hash: String::new(),
        person: mailbox.into(),
        key_origin: KeyOrigin::Csr,
        request: None,
        escrow: None,
        batch: None,
        actor: "tester".into(),
    };
    NewEntry {
        kind: EntryKind::CertificateIssued,
        time: at(1_000),
        authority: authority(1),
        serial: Some(serial(number)),
        not_after: Some(at(2_000)),
        reason: None,
        invalidity_date: None,
        detail: detail.to_bytes().unwrap(),
    }
}

/// The creation of an authority whose certificate has the serial of `number`, as
/// it is appended to a ledger: under the identifier of its own key.
pub(crate) fn creation(number: u64, name: &str, key: &[u8]) -> NewEntry {
    let der = certificate(serial(number), key, vec![]);
    let spki = Certificate::from_der(&der).unwrap().tbs_certificate.subject_public_key_info.to_der().unwrap();
    let key_id = KeyIdentifier::of_spki(&SubjectPublicKeyInfoRef::from_der(&spki).unwrap());
    let detail = Detail::AuthorityCreated {
        name: name.into(),
        certificate: STANDARD.encode(der),
        template: "issuing-ca".into(),
        template_hash: String::new(),
        actor: "tester".into(),
    };
    NewEntry {
        kind: EntryKind::AuthorityCreated,
        authority: key_id,
        detail: detail.to_bytes().unwrap(),
        ..issuance(number, name)
    }
}

/// A change of state by authority 1, as it is appended to a ledger.
pub(crate) fn status(kind: EntryKind, number: u64, time: u64) -> NewEntry {
    let detail = Detail::StatusChanged { actor: "tester".into(), note: None };
    NewEntry {
        kind,
        time: at(time),
        authority: authority(1),
        serial: Some(serial(number)),
        not_after: Some(at(2_000)),
        reason: (kind == EntryKind::Revoked).then_some(ReasonCode::Superseded),
        invalidity_date: None,
        detail: detail.to_bytes().unwrap(),
    }
}
