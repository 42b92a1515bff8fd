//! Tests of CRLs, with x509-cert and OpenSSL as second opinions.

mod delta;
mod openssl;
mod streamed;

use std::collections::BTreeSet;
use std::io::{Cursor, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use ca_domain::{KeyAlgorithm, ReasonCode, SerialNumber, Timestamp};
use ca_signing::{SigningError, SigningKey, SoftwareKey};
use const_oid::db::rfc5280::ID_CE_ISSUING_DISTRIBUTION_POINT;
use der::{Decode, Encode};
use proptest::prelude::*;
use x509_cert::crl::CertificateList;
use x509_cert::ext::pkix::crl::dp::Reasons;

use super::*;
use crate::testing::{DAY, Holder, at, now, serial};
use crate::{RevokedEntry, StatusError};

fn params(authority: &Holder, number: u64) -> CrlParams {
    let number = CrlNumber::from(number);
    CrlParams::for_authority(&authority.certificate, number, now(), now().saturating_add(7 * DAY)).unwrap()
}

fn write(params: &CrlParams, list: &[RevokedEntry], key: &dyn SigningKey) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let written = write_crl(params, list.iter().copied(), key, &mut out).unwrap();
    let out = out.into_inner();
    assert_eq!(written.bytes, out.len() as u64);
    assert_eq!(written.entries, list.len() as u64);
    out
}

fn revoked(number: u64, reason: ReasonCode, invalidity_date: Option<Timestamp>) -> RevokedEntry {
    RevokedEntry {
        serial: serial(number),
        at: at(1_700_000_000 + number),
        reason,
        invalidity_date,
        not_after: at(1_900_000_000),
    }
}

fn all_reasons() -> Vec<RevokedEntry> {
    let reasons = ReasonCode::ALL.into_iter().filter(|reason| *reason != ReasonCode::RemoveFromCrl);
    reasons
        .zip(0x80..)
        .map(|(reason, n)| revoked(n, reason, (n % 2 == 0).then(|| at(1_600_000_000))))
        .collect()
}

#[test]
fn x509_cert_encodes_the_same_bytes() {
    let authority = Holder::authority(KeyAlgorithm::P256, "CN=Toy,O=Chancery Test,C=DE");
    for list in [all_reasons(), Vec::new()] {
        let der = write(&params(&authority, 0x80), &list, &*authority.key);
        let parsed = CertificateList::from_der(&der).unwrap();
        assert_eq!(parsed.to_der().unwrap(), der);
        let entries = parsed.tbs_cert_list.revoked_certificates;
        assert_eq!(entries.map(|entries| entries.len()), (!list.is_empty()).then_some(list.len()));
    }
}

#[test]
fn what_was_written_is_read() {
    for algorithm in [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Rsa2048, KeyAlgorithm::Ed25519] {
        let authority = Holder::authority(algorithm, "CN=Toy");
        let list = all_reasons();
        let der = write(&params(&authority, 77), &list, &*authority.key);
        let view = CrlView::parse_and_verify(&der, &authority.certificate).unwrap();
        assert_eq!(view.number(), CrlNumber::from(77));
        assert_eq!(view.count().unwrap(), list.len() as u64);
        for wanted in &list {
            let entry = view.lookup(&wanted.serial).unwrap().unwrap();
            assert_eq!((entry.at, entry.reason), (wanted.at, wanted.reason));
            assert_eq!(entry.invalidity_date, wanted.invalidity_date);
        }
        assert_eq!(view.lookup(&serial(5)).unwrap(), None);
    }
}

#[test]
fn foreign_and_changed_crls_are_refused() {
    let authority = Holder::authority(KeyAlgorithm::P256, "CN=Toy");
    let der = write(&params(&authority, 1), &all_reasons(), &*authority.key);
    let view = CrlView::parse(&der).unwrap();
    let namesake = Holder::authority(KeyAlgorithm::P256, "CN=Toy");
    assert!(view.verify(&namesake.certificate).unwrap_err().to_string().contains("key identifier"));
    let stranger = Holder::authority(KeyAlgorithm::P256, "CN=Stranger");
    assert!(view.verify(&stranger.certificate).unwrap_err().to_string().contains("CN=Toy"));
    for position in 0..der.len() {
        let mut changed = der.clone();
        changed[position] ^= 1;
        assert!(CrlView::parse_and_verify(&changed, &authority.certificate).is_err(), "byte {position}");
    }
}

#[test]
fn scopes_are_critical_and_never_empty() {
    let authority = Holder::authority(KeyAlgorithm::P256, "CN=Toy");
    let scope = distribution_point("http://crl.example.test/crl/toy.crl").unwrap();
    let with = CrlParams { scope: Some(scope.clone()), ..params(&authority, 1) };
    let der = write(&with, &[], &*authority.key);
    let parsed = CertificateList::from_der(&der).unwrap();
    let extensions = parsed.tbs_cert_list.crl_extensions.unwrap();
    let extension = extensions.iter().find(|e| e.extn_id == ID_CE_ISSUING_DISTRIBUTION_POINT).unwrap();
    assert!(extension.critical);
    assert!(extensions.iter().filter(|e| e.critical).count() == 1);
    assert_eq!(CrlView::parse(&der).unwrap().scope(), Some(&scope));

    let reasons = BTreeSet::from([ReasonCode::KeyCompromise, ReasonCode::Superseded]);
    let point = CrlScope::Reasons(reasons).point(None).unwrap().unwrap();
    assert_eq!(point.only_some_reasons, Some(Reasons::KeyCompromise | Reasons::Superseded));

    let mut empty = scope.clone();
    empty.distribution_point = None;
    let mut two = scope;
    (two.only_contains_ca_certs, two.only_contains_user_certs) = (true, true);
    for bad in [empty, two] {
        let bad = CrlParams { scope: Some(bad), ..params(&authority, 1) };
        let result = write_crl(&bad, std::iter::empty(), &*authority.key, &mut Cursor::new(Vec::new()));
        assert!(matches!(result, Err(StatusError::CrlParameters(_))));
    }
}

#[test]
fn what_contradicts_itself_is_no_crl() {
    let authority = Holder::authority(KeyAlgorithm::P256, "CN=Toy");
    let out = || Cursor::new(Vec::new());
    let bad = [revoked(1, ReasonCode::RemoveFromCrl, None)];
    assert!(write_crl(&params(&authority, 1), bad.into_iter(), &*authority.key, &mut out()).is_err());
    let refused = |params: CrlParams| {
        let result = write_crl(&params, std::iter::empty(), &*authority.key, &mut out());
        assert!(matches!(result, Err(StatusError::CrlParameters(_))));
    };
    refused(CrlParams { next_update: at(1), ..params(&authority, 1) });
    refused(CrlParams { base: Some(CrlNumber::from(2)), ..params(&authority, 1) });
    let freshest = vec!["http://a.test/delta.crl".to_owned()];
    refused(CrlParams { base: Some(CrlNumber::from(1)), freshest, ..params(&authority, 2) });

    /// A list that grows each time it is read.
    struct Growing<'a>(&'a AtomicU64, u64);
    impl Clone for Growing<'_> {
        fn clone(&self) -> Self {
            Self(self.0, self.0.fetch_add(1, Ordering::Relaxed) + 1)
        }
    }
    impl Iterator for Growing<'_> {
        type Item = RevokedEntry;
        fn next(&mut self) -> Option<RevokedEntry> {
            self.1 = self.1.checked_sub(1)?;
            Some(revoked(self.1 + 1, ReasonCode::Superseded, None))
        }
    }
    let reads = AtomicU64::new(0);
    let result = write_crl(&params(&authority, 1), Growing(&reads, 0), &*authority.key, &mut out());
    assert!(matches!(result, Err(StatusError::CrlListChanged)));
}

/// Keeps what is written, and how it came; takes so many octets.
struct Pieces {
    all: Cursor<Vec<u8>>,
    longest: usize,
    room: usize,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.longest = self.longest.max(bytes.len());
        if self.all.get_ref().len() + bytes.len() > self.room {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.all.write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for Pieces {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.all.seek(to)
    }
}

#[test]
fn a_long_list_is_written_in_small_pieces() {
    const ENTRIES: u64 = 40_000;
    let authority = Holder::authority(KeyAlgorithm::P256, "CN=Toy");
    let list = (1..=ENTRIES).map(|number| revoked(number, ReasonCode::KeyCompromise, Some(at(1))));
    let to = |room| Pieces { all: Cursor::new(Vec::new()), longest: 0, room };
    let mut out = to(usize::MAX);
    let written = write_crl(&params(&authority, 1), list.clone(), &*authority.key, &mut out).unwrap();
    let all = out.all.get_ref();
    assert_eq!((written.entries, written.bytes), (ENTRIES, all.len() as u64));
    assert!(out.longest < 300_000 && all.len() > 2_000_000);
    let view = CrlView::parse_and_verify(all, &authority.certificate).unwrap();
    assert_eq!(view.count().unwrap(), ENTRIES);
    for room in [0, 10, 300_000, all.len() - 1] {
        let result = write_crl(&params(&authority, 1), list.clone(), &*authority.key, &mut to(room));
        assert!(matches!(result, Err(StatusError::Io(_))), "{room}");
    }
}

#[test]
fn any_length_of_the_signature_is_made_room_for() {
    // Some list is so long that the signature makes the length itself longer.
    let authority = Holder::authority(KeyAlgorithm::Rsa2048, "CN=Toy");
    for entries in 0..3 {
        let list: Vec<_> = (0..entries).map(|n| revoked(n + 1, ReasonCode::Unspecified, None)).collect();
        let der = write(&params(&authority, 1), &list, &*authority.key);
        CrlView::parse_and_verify(&der, &authority.certificate).unwrap();
    }
    let authority = Holder::authority(KeyAlgorithm::P256, &format!("CN={}", "T".repeat(64)));
    for length in 0..200 {
        let scope = Some(distribution_point(&format!("http://{}", "a".repeat(length))).unwrap());
        let der = write(&CrlParams { scope, ..params(&authority, 1) }, &[], &*authority.key);
        CrlView::parse_and_verify(&der, &authority.certificate).unwrap();
    }
}

#[test]
fn times_from_2050_are_generalized() {
    let authority = Holder::authority(KeyAlgorithm::P256, "CN=Toy");
    let end = Timestamp::parse("2050-01-01").unwrap();
    let der = write(&CrlParams { next_update: end, ..params(&authority, 1) }, &[], &*authority.key);
    assert!(der.windows(15).any(|window| window == b"20500101000000Z"));
    assert_eq!(CrlView::parse(&der).unwrap().next_update(), end);
}

#[test]
fn successors() {
    let authority = Holder::authority(KeyAlgorithm::P256, "CN=Toy");
    let crl = |params: CrlParams| write(&params, &[], &*authority.key);
    let base = || params(&authority, 10);
    let check = |old: &[u8], new: &[u8], now| {
        let frame = |der: &[u8]| CrlReader::open(Cursor::new(der.to_vec())).unwrap().frame().clone();
        acceptable_successor(Some(&frame(old)), &frame(new), now).map_err(|error| error.to_string())
    };
    let old = crl(base());
    let newer = CrlParams { number: CrlNumber::from(11), ..base() };
    check(&old, &crl(newer.clone()), now()).unwrap();
    assert!(check(&old, &old, now()).unwrap_err().contains("not greater"));
    let late = now().saturating_add(8 * DAY);
    assert!(check(&old, &crl(newer.clone()), late).unwrap_err().contains("expired"));
    let early = now().saturating_sub(3600);
    assert!(check(&old, &crl(newer.clone()), early).unwrap_err().contains("future"));
    let scope = Some(distribution_point("http://crl.example.test/a.crl").unwrap());
    let scoped = crl(CrlParams { scope, ..newer.clone() });
    assert!(check(&old, &scoped, now()).unwrap_err().contains("distribution point"));
    let delta = crl(CrlParams { base: Some(CrlNumber::from(10)), ..newer.clone() });
    assert!(check(&old, &delta, now()).unwrap_err().contains("it is a delta CRL"));
    assert!(check(&delta, &crl(newer), now()).unwrap_err().contains("it is no delta CRL"));
    let other = Holder::authority(KeyAlgorithm::P256, "CN=Other");
    let foreign = write(&params(&other, 11), &[], &*other.key);
    assert!(check(&old, &foreign, now()).unwrap_err().contains("CN=Other"));
}

fn any_entry() -> impl Strategy<Value = RevokedEntry> {
    let reason = (0..ReasonCode::ALL.len()).prop_map(|n| match ReasonCode::ALL[n] {
        ReasonCode::RemoveFromCrl => ReasonCode::Unspecified,
        reason => reason,
    });
    let time = || (0..=Timestamp::MAX.as_unix()).prop_map(at);
    let number = proptest::collection::vec(any::<u8>(), 1..=20)
        .prop_filter_map("out of range", |bytes| SerialNumber::from_be_bytes(&bytes).ok());
    (number, time(), reason, proptest::option::of(time())).prop_map(
        |(serial, at, reason, invalidity_date)| RevokedEntry {
            serial,
            at,
            reason,
            invalidity_date,
            not_after: Timestamp::MAX,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_list_is_read_back(
        list in proptest::collection::vec(any_entry(), 0..300),
        number in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let key = SoftwareKey::generate(KeyAlgorithm::P256).map_err(|e: SigningError| TestCaseError::fail(e.to_string()))?;
        let authority = Holder::authority(KeyAlgorithm::P256, "CN=Toy");
        let number = CrlNumber::from_be_bytes(&number).unwrap();
        let der = write(&CrlParams { number, ..params(&authority, 0) }, &list, &key);
        let reencoded = CertificateList::from_der(&der).unwrap().to_der().unwrap();
        prop_assert_eq!(&reencoded, &der);
        let view = CrlView::parse(&der).unwrap();
        prop_assert_eq!(view.number(), number);
        let read: Vec<_> = view.entries().map(Result::unwrap).collect();
        prop_assert_eq!(read.len(), list.len());
        for (entry, wanted) in read.iter().zip(&list) {
            prop_assert_eq!((entry.serial, entry.at), (wanted.serial, wanted.at));
            prop_assert_eq!((entry.reason, entry.invalidity_date), (wanted.reason, wanted.invalidity_date));
        }
    }

    #[test]
    fn damaged_crls_never_panic(position in 0usize..400, value in any::<u8>(), cut in 0usize..400) {
        let authority = Holder::authority(KeyAlgorithm::Ed25519, "CN=Toy");
        let mut der = write(&params(&authority, 9), &all_reasons(), &*authority.key);
        let length = der.len();
        der[position % length] = value;
        der.truncate(length - cut % length);
        if let Ok(view) = CrlView::parse(&der) {
            let _ = view.count();
        }
    }
}
