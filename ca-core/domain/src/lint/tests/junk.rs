//! Malformed certificates: an error, never a panic.

use super::*;

fn check(name: &'static str, tbs: &TbsCertificate) -> Vec<Finding> {
    inspect(&View::new(tbs, context(name, issuer_of(name))))
}

#[test]
fn empty_and_broken_extensions() {
    let values: [&[u8]; 9] = [
        &[],
        &[0x30, 0],
        &[0x05, 0],
        &[0x04, 0],
        &[0x03, 1, 0],
        &[0x30, 2, 0x30, 0],
        &[0x30, 4, 0x30, 2, 0x30, 0],
        &[0x30, 0x80],
        &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
    ];
    for (name, _) in shipped() {
        let tbs = good_tbs(name, KeyAlgorithm::P256);
        for at in 0..tbs.extensions.as_ref().unwrap().len() {
            for value in values {
                let mut broken = tbs.clone();
                let found = &mut extensions(&mut broken)[at];
                let oid = found.extn_id;
                // An empty SEQUENCE is a good BasicConstraints, and NULL a good nocheck.
                let good = found.extn_value.as_bytes() == value;
                found.extn_value = OctetString::new(value).unwrap();
                let findings = check(name, &broken);
                assert!(good || !findings.is_empty(), "{name} {oid} {value:02x?}");
            }
        }
        for extensions in [None, Some(Vec::new())] {
            let broken = TbsCertificate { extensions, ..tbs.clone() };
            assert!(!check(name, &broken).is_empty());
        }
    }
}

#[test]
fn flipped_and_cut_extensions() {
    let tbs = good_tbs("smime-mailbox-strict", KeyAlgorithm::P256);
    for at in 0..tbs.extensions.as_ref().unwrap().len() {
        let value = tbs.extensions.as_ref().unwrap()[at].extn_value.as_bytes().to_vec();
        for byte in 0..value.len() {
            for mask in [0x01, 0x20, 0x80, 0xff] {
                let mut changed = value.clone();
                changed[byte] ^= mask;
                let mut broken = tbs.clone();
                extensions(&mut broken)[at].extn_value = OctetString::new(changed).unwrap();
                let _ = check("smime-mailbox-strict", &broken);
            }
            let mut broken = tbs.clone();
            extensions(&mut broken)[at].extn_value = OctetString::new(&value[..byte]).unwrap();
            assert!(!check("smime-mailbox-strict", &broken).is_empty());
        }
    }
}

#[test]
fn flipped_certificates() {
    let der = good_tbs("smime-dual", KeyAlgorithm::P256).to_der().unwrap();
    let mut read = 0;
    for byte in 0..der.len() {
        for mask in [0x01, 0x1f, 0x80] {
            let mut changed = der.clone();
            changed[byte] ^= mask;
            if let Ok(tbs) = TbsCertificate::from_der(&changed) {
                read += 1;
                let _ = lint(tbs, context("smime-dual", issuer_of("smime-dual")));
            }
        }
    }
    assert!(read > 100, "only {read} of the mutations could be read");
}

#[test]
fn an_issuer_without_extensions() {
    let mut issuer = issuer_of("smime-dual").unwrap().clone();
    issuer.tbs_certificate.extensions = None;
    let tbs = good_tbs("smime-dual", KeyAlgorithm::P256);
    let findings = inspect(&View::new(&tbs, context("smime-dual", Some(&issuer))));
    assert_eq!(findings.iter().map(|finding| finding.lint).collect::<Vec<_>>(), ["issuer-is-authority"]);
}
