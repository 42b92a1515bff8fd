//! CRLs read from files: against the reader that has them in memory, and compared.

use std::collections::BTreeMap;

use const_oid::db::rfc5280::ID_CE_CRL_NUMBER;
use der::asn1::BitString;
use x509_cert::ext::Extensions;
use x509_cert::ext::pkix::KeyUsages;

use super::*;
use crate::testing::{key_usage, openssl};

fn reader(der: &[u8]) -> CrlReader<Cursor<&[u8]>> {
    CrlReader::open(Cursor::new(der)).unwrap()
}

#[test]
fn the_same_as_from_memory() {
    let authority = Holder::authority(KeyAlgorithm::P256, "CN=Toy");
    for list in [all_reasons(), Vec::new()] {
        let scope = Some(distribution_point("http://crl.example.test/crl/toy.crl").unwrap());
        let der = write(&CrlParams { scope, ..params(&authority, 77) }, &list, &*authority.key);
        let (view, mut reader) = (CrlView::parse(&der).unwrap(), reader(&der));
        let entries: Vec<_> = reader.entries().unwrap().map(Result::unwrap).collect();
        assert_eq!(entries, view.entries().map(Result::unwrap).collect::<Vec<_>>());
        assert_eq!(reader.entries().unwrap().count_rest().unwrap(), list.len() as u64);
        let frame = reader.frame();
        assert_eq!(frame.number().unwrap(), Some(view.number()));
        assert_eq!(frame.authority_key_id().unwrap().as_deref(), Some(view.authority_key_id()));
        assert_eq!(frame.scope().unwrap().as_ref(), view.scope());
        assert_eq!((frame.this_update, frame.next_update), (view.this_update(), Some(view.next_update())));
        assert_eq!((&frame.issuer, frame.base().unwrap()), (view.issuer(), None));
    }
}

#[test]
fn what_was_written_is_accepted_as_that_only() {
    let [authority, other] = ["CN=Toy", "CN=Toy"].map(|name| Holder::authority(KeyAlgorithm::P256, name));
    let params = params(&authority, 1);
    let mut out = Cursor::new(Vec::new());
    let written = write_crl(&params, all_reasons().into_iter(), &*authority.key, &mut out).unwrap();
    let der = out.into_inner();
    reader(&der).accept_written(&authority.certificate, &written).unwrap();

    let refused = |der: &[u8], issuer: &Holder, written: &WrittenCrl| {
        reader(der).accept_written(&issuer.certificate, written).unwrap_err().to_string()
    };
    let rewritten = write(&params, &all_reasons(), &*authority.key);
    assert!(refused(&rewritten, &authority, &written).contains("not what was written"));
    let longer = WrittenCrl { bytes: written.bytes + 1, ..written.clone() };
    assert!(refused(&der, &authority, &longer).contains("not what was written"));
    // Another key of the same name, and one that only claims to be the issuer's.
    assert!(refused(&der, &other, &written).contains("key identifier"));
    let mut out = Cursor::new(Vec::new());
    let forged = write_crl(&params, all_reasons().into_iter(), &*other.key, &mut out).unwrap();
    assert!(refused(&out.into_inner(), &authority, &forged).contains("another key"));
}

#[test]
fn each_fault_has_its_name() {
    let authority = Holder::authority(KeyAlgorithm::P256, "CN=Toy");
    let der = write(&params(&authority, 1), &all_reasons(), &*authority.key);
    let faults = |der: &[u8], issuer: &Holder, at| -> Vec<&str> {
        let checks = reader(der).check(&issuer.certificate, at).unwrap();
        assert_eq!(checks.len(), 8);
        checks.iter().filter(|check| check.fault.is_some()).map(|check| check.what).collect()
    };
    assert_eq!(faults(&der, &authority, now()), [""; 0]);
    assert_eq!(faults(&der, &authority, now().saturating_add(7 * DAY)), ["validity"]);
    assert_eq!(faults(&der, &authority, now().saturating_sub(CLOCK_TOLERANCE + 1)), ["validity"]);
    let namesake = Holder::authority(KeyAlgorithm::P256, "CN=Toy");
    assert_eq!(faults(&der, &namesake, now()), ["authority key identifier", "signature"]);
    let stranger = Holder::authority(KeyAlgorithm::P256, "CN=Stranger");
    assert_eq!(faults(&der, &stranger, now()), ["issuer", "authority key identifier", "signature"]);
    let leaf = authority.issue(KeyAlgorithm::P256, serial(9), now().saturating_add(DAY), Vec::new());
    assert!(faults(&der, &leaf, now()).contains(&"signature"));

    let changed = |change: &dyn Fn(&mut Extensions)| resigned(&der, &authority, change);
    let numberless = changed(&|extensions| extensions.retain(|one| one.extn_id != ID_CE_CRL_NUMBER));
    assert_eq!(faults(&numberless, &authority, now()), ["number"]);
    // The extension itself is known to be harmless, but not that it is critical.
    let critical = changed(&|extensions| extensions.iter_mut().for_each(|one| one.critical = true));
    assert_eq!(faults(&critical, &authority, now()), ["critical extensions"]);
    let refused = reader(&numberless).accept(&authority.certificate).unwrap_err().to_string();
    assert!(refused.contains("its number: it has none"), "{refused}");
}

/// The CRL with other extensions, signed again.
fn resigned(der: &[u8], authority: &Holder, change: &dyn Fn(&mut Extensions)) -> Vec<u8> {
    let mut list = CertificateList::from_der(der).unwrap();
    change(list.tbs_cert_list.crl_extensions.as_mut().unwrap());
    let signature = authority.key.sign(&list.tbs_cert_list.to_der().unwrap()).unwrap();
    list.signature = BitString::from_bytes(&signature).unwrap();
    list.to_der().unwrap()
}

#[test]
fn who_may_not_sign_crls_issues_none() {
    let authority = Holder::authority(KeyAlgorithm::P256, "CN=Toy");
    let without = |usage| {
        let end = now().saturating_add(DAY);
        authority.issue(KeyAlgorithm::P256, serial(9), end, vec![key_usage(usage)])
    };
    for (usage, may) in
        [(KeyUsages::KeyCertSign.into(), false), (KeyUsages::KeyCertSign | KeyUsages::CRLSign, true)]
    {
        let issuer = without(usage);
        let der = write(&params(&issuer, 1), &all_reasons(), &*issuer.key);
        let fault = reader(&der).accept(&issuer.certificate).err().map(|error| error.to_string());
        assert_eq!(fault.is_none(), may, "{fault:?}");
        assert!(may || fault.unwrap().contains("no cRLSign"));
        let checks = reader(&der).check(&issuer.certificate, now()).unwrap();
        let faults: Vec<_> =
            checks.iter().filter(|check| check.fault.is_some()).map(|check| check.what).collect();
        assert_eq!(faults, if may { vec![] } else { vec!["key usage of the issuer"] });
    }
}

#[test]
fn changed_bytes_are_an_error_or_a_fault() {
    let authority = Holder::authority(KeyAlgorithm::P256, "CN=Toy");
    let der = write(&params(&authority, 1), &all_reasons(), &*authority.key);
    for position in 0..der.len() {
        for bit in 0..8 {
            let mut changed = der.clone();
            changed[position] ^= 1 << bit;
            let checks = CrlReader::open(Cursor::new(&changed))
                .and_then(|mut reader| reader.check(&authority.certificate, now()));
            let bad = checks.is_err() || checks.unwrap().iter().any(|check| check.fault.is_some());
            assert!(bad, "bit {bit} of byte {position}");
        }
        assert!(CrlReader::open(Cursor::new(&der[..position])).is_err(), "cut at {position}");
    }
}

#[test]
fn lengths_of_hostile_files_reserve_nothing() {
    // A field, and a list, of almost 1 TiB in a file of a few octets.
    for body in [&b"\x02\x01\x01\x30\x85\xff\xff\xff\xff\x00"[..], b"\x02\x85\xff\xff\xff\xff\x00\x01"] {
        let length = u8::try_from(body.len()).unwrap();
        let mut der = vec![0x30, length + 2, 0x30, length];
        der.extend_from_slice(body);
        assert!(matches!(CrlReader::open(Cursor::new(&der)), Err(StatusError::CrlUnacceptable(_))));
    }
}

#[test]
fn the_planned_next_crl_stands_where_windows_looks() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Holder::authority(KeyAlgorithm::P256, "CN=Toy");
    let planned = now().saturating_add(DAY);
    let planning = |next_publish| CrlParams { next_publish: Some(next_publish), ..params(&authority, 1) };
    let der = write(&planning(planned), &all_reasons(), &*authority.key);
    assert_eq!(reader(&der).frame().next_publish().unwrap(), Some(planned));
    CrlView::parse_and_verify(&der, &authority.certificate).unwrap();

    let file = dir.path().join("a.crl").to_str().unwrap().to_owned();
    std::fs::write(&file, &der).unwrap();
    let (good, text) = openssl(&["asn1parse", "-inform", "DER", "-in", &file]);
    assert!(good, "{text}");
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| line.ends_with(":1.3.6.1.4.1.311.21.4")).unwrap();
    // Directly followed by the value: not critical. 17 0D is the tag and length of a UTCTime.
    let iso = planned.to_string();
    let utc: String = iso[2..19].chars().filter(char::is_ascii_digit).collect::<String>() + "Z";
    assert!(lines[at + 1].contains("OCTET STRING"), "{text}");
    assert!(lines[at + 1].ends_with(&format!("[HEX DUMP]:170D{}", hex(&utc))), "{utc} {text}");

    for wrong in [now(), now().saturating_add(8 * DAY)] {
        let result =
            write_crl(&planning(wrong), std::iter::empty(), &*authority.key, &mut Cursor::new(Vec::new()));
        assert!(matches!(result, Err(StatusError::CrlParameters(_))));
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02X}")).collect()
}

/// Lists of serials with a reason.
fn lists() -> impl Strategy<Value = BTreeMap<u64, bool>> {
    proptest::collection::btree_map(1..40_u64, any::<bool>(), 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_old_list_and_the_changes_are_the_new_list(
        old in lists(), new in lists(), backwards in any::<[bool; 2]>()
    ) {
        let authority = Holder::authority(KeyAlgorithm::Ed25519, "CN=Toy");
        let crl = |list: &BTreeMap<u64, bool>, backwards: bool| {
            let reason = |held| if held { ReasonCode::CertificateHold } else { ReasonCode::Superseded };
            let mut list: Vec<_> = list.iter().map(|(n, held)| revoked(*n, reason(*held), None)).collect();
            if backwards {
                list.reverse();
            }
            write(&params(&authority, 1), &list, &*authority.key)
        };
        let (from, to) = (crl(&old, backwards[0]), crl(&new, backwards[1]));
        let entries = |der: &[u8]| -> BTreeMap<SerialNumber, CrlEntry> {
            reader(der).entries().unwrap().map(|entry| entry.map(|e| (e.serial, e)).unwrap()).collect()
        };
        let mut list = entries(&from);
        let mut changes = 0;
        compare(&mut reader(&from), &mut reader(&to), &mut |change| -> Result<(), StatusError> {
            changes += 1;
            match change {
                CrlChange::Added(entry) => assert_eq!(list.insert(entry.serial, entry), None),
                CrlChange::Removed(entry) => assert_eq!(list.remove(&entry.serial), Some(entry)),
                CrlChange::Changed { old, new } => assert_eq!(list.insert(new.serial, new), Some(old)),
            }
            Ok(())
        }).unwrap();
        prop_assert_eq!(list, entries(&to));
        let same = old.iter().filter(|(n, held)| new.get(n) == Some(held)).count();
        let changed = old.keys().filter(|n| new.contains_key(n)).count() - same;
        prop_assert_eq!(changes, old.len() + new.len() - 2 * same - changed);
    }
}
