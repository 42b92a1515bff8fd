//! Entries and details become what the index holds.

use ca_domain::{Detail, KeyIdentifier, RevocationState, SpkiHash};
use ca_index::{Applied, Filter, Index, IndexError, MemoryIndex};
use ca_ledger::{EntryKind, NewEntry};
use der::Encode;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::{
    at, authority, certificate, creation, dns, issuance, rfc822, serial, smtp_utf8, status,
};

fn apply(index: &mut MemoryIndex, entries: Vec<NewEntry>) -> Result<(), IndexError> {
    let first = index.applied().unwrap().size;
    let batch: Vec<_> = (first..)
        .zip(entries)
        .map(|(position, new)| (position, new.entry(), Detail::from_bytes(&new.detail).unwrap()))
        .collect();
    index.apply(&batch, Applied::partly(first + batch.len() as u64))
}

fn with_certificate(der: &[u8]) -> NewEntry {
    let mut entry = issuance(1, "a@example.test");
    let Detail::CertificateIssued { authority, template, person, key_origin, .. } =
        Detail::from_bytes(&entry.detail).unwrap()
    else {
        panic!("not an issuance");
    };
    let detail = Detail::CertificateIssued {
        authority,
        certificate: STANDARD.encode(der),
        template,
        template_hash: String::new(),
        person,
        key_origin,
        request: None,
        escrow: None,
        batch: None,
        actor: "tester".into(),
    };
    entry.detail = detail.to_bytes().unwrap();
    entry
}

#[test]
fn a_certificate_is_read() {
    let names = vec![rfc822("Alice@example.test"), dns("mail.example.test"), smtp_utf8("änne@example.test")];
    let der = certificate(serial(1), b"a key", names);
    let mut index = MemoryIndex::new();
    apply(&mut index, vec![with_certificate(&der)]).unwrap();
    let record = index.by_position(0).unwrap().unwrap();
    assert_eq!(record.mailboxes, ["Alice@example.test", "änne@example.test"]);
    assert_eq!(record.dns_names, ["mail.example.test"]);
    assert_eq!((record.not_before, record.not_after), (at(1_000), at(2_000)));
    assert_eq!((record.authority, record.serial), (authority(1), serial(1)));
    assert_eq!(record.state, RevocationState::Good);
    let spki = Certificate::from_der(&der).unwrap().tbs_certificate.subject_public_key_info.to_der().unwrap();
    assert_eq!(record.key, SpkiHash::of_der(&spki));
}

#[test]
fn an_authority_has_the_identifier_of_its_own_key() {
    let mut index = MemoryIndex::new();
    apply(&mut index, vec![creation(1, "issuing", b"a key")]).unwrap();
    let known = index.authority("issuing").unwrap().unwrap();
    assert_eq!((known.name.as_str(), known.position), ("issuing", 0));
    // SHA-1 of the octets of the subjectPublicKey.
    assert_eq!(Some(known.key_id), KeyIdentifier::parse("c0c633ea507118a55f3193db0e83afbdd3faa662"));
}

#[test]
fn an_authority_made_here_has_one_record_that_of_its_issuance() {
    let issued = with_certificate(&certificate(serial(1), b"a key", vec![]));
    let mut index = MemoryIndex::new();
    apply(&mut index, vec![issued, creation(1, "issuing", b"a key")]).unwrap();
    let found = index.by_serial(serial(1)).unwrap();
    assert_eq!(found.iter().map(|record| record.position).collect::<Vec<_>>(), [0]);
    assert_eq!(found[0].authority, authority(1));
    assert_eq!(index.select(&Filter::default(), at(0), None).unwrap(), found);
    assert_eq!(index.authority("issuing").unwrap().unwrap().position, 1);
    apply(&mut index, vec![status(EntryKind::Revoked, 1, 1_100)]).unwrap();
    assert!(index.by_serial(serial(1)).unwrap()[0].state.is_revoked_or_held());
}

#[test]
fn status_entries_change_states() {
    let mut index = MemoryIndex::new();
    let entries = vec![
        issuance(1, "a@example.test"),
        status(EntryKind::Held, 1, 1_100),
        status(EntryKind::Released, 1, 1_200),
        status(EntryKind::Revoked, 1, 1_300),
    ];
    apply(&mut index, entries).unwrap();
    let state = index.by_position(0).unwrap().unwrap().state;
    assert!(matches!(state, RevocationState::Revoked { at: time, .. } if time == at(1_300)));
    let error = apply(&mut index, vec![status(EntryKind::Revoked, 1, 1_400)]).unwrap_err();
    assert!(matches!(error, IndexError::Inconsistent { position: 4, .. }), "{error}");
    assert!(error.to_string().contains("already revoked"), "{error}");
}

#[test]
fn an_entry_and_its_detail_must_agree() {
    let other_serial = NewEntry { serial: Some(serial(2)), ..issuance(1, "a@example.test") };
    let other_end = NewEntry { not_after: Some(at(3_000)), ..issuance(1, "a@example.test") };
    let other_kind = NewEntry { kind: EntryKind::Held, ..issuance(1, "a@example.test") };
    let no_serial = NewEntry { serial: None, ..status(EntryKind::Held, 1, 5) };
    let garbage = with_certificate(b"no certificate");
    for entry in [other_serial, other_end, other_kind, no_serial, garbage] {
        let error = apply(&mut MemoryIndex::new(), vec![entry]).unwrap_err();
        assert!(matches!(error, IndexError::Inconsistent { position: 0, .. }), "{error}");
    }
}
