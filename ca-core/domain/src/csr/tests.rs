use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, PublicKeyData};
use spki::SubjectPublicKeyInfoRef;

use super::*;

/// Checks ECDSA with P-256 and SHA-256, all that these tests use.
fn verify(spki: &[u8], algorithm: &AlgorithmIdentifierOwned, message: &[u8], signature: &[u8]) -> bool {
    let spki = SubjectPublicKeyInfoRef::from_der(spki).unwrap();
    algorithm.oid == const_oid::db::rfc5912::ECDSA_WITH_SHA_256
        && UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, spki.subject_public_key.raw_bytes())
            .verify(message, signature)
            .is_ok()
}

fn greedy() -> CertificateParams {
    let mut params = CertificateParams::new(vec!["evil.example.test".into()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "Administrator");
    for _ in 0..2 {
        let oid = [1, 3, 6, 1, 4, 1, 311, 20, 2];
        params.custom_extensions.push(CustomExtension::from_oid_content(&oid, vec![4, 0]));
    }
    params
}

fn request(key: &KeyPair) -> Vec<u8> {
    greedy().serialize_request(key).unwrap().der().to_vec()
}

#[test]
fn only_the_key_comes_out() {
    let key = KeyPair::generate().unwrap();
    let der = request(&key);
    let request = VerifiedRequest::from_bytes(&der, &verify).unwrap();
    assert_eq!(request.public_key_der(), key.subject_public_key_info());
    assert_eq!(request.der(), der);
    assert!(request.requested_subject().unwrap().to_string().contains("Administrator"));
    let enrollment = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2");
    assert_eq!(request.requested_extensions().iter().filter(|oid| **oid == enrollment).count(), 2);
}

#[test]
fn possession_is_proved() {
    let der = request(&KeyPair::generate().unwrap());
    let mut forged = der.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert!(matches!(VerifiedRequest::from_der(&forged, &verify), Err(CsrError::Possession)));
    // Another's key under one's own signature.
    let mut outer = Outer::from_der(&der).unwrap();
    let other = request(&KeyPair::generate().unwrap());
    outer.info = Outer::from_der(&other).unwrap().info;
    let swapped = outer.to_der().unwrap();
    assert!(matches!(VerifiedRequest::from_der(&swapped, &verify), Err(CsrError::Possession)));
    // An empty signature.
    let mut outer = Outer::from_der(&der).unwrap();
    outer.signature = BitString::from_bytes(&[]).unwrap();
    let empty = outer.to_der().unwrap();
    assert!(matches!(VerifiedRequest::from_der(&empty, &verify), Err(CsrError::Possession)));
}

#[test]
fn keys_are_checked_before_signatures() {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
    let never = |_: &[u8], _: &AlgorithmIdentifierOwned, _: &[u8], _: &[u8]| panic!("verified");
    let error = VerifiedRequest::from_der(&request(&key), &never).unwrap_err();
    assert!(matches!(error, CsrError::Key(KeyError::Curve(_))));
}

#[test]
fn pem_forms() {
    let der = request(&KeyPair::generate().unwrap());
    let base64 = BASE64.encode(&der);
    let block =
        |label: &str, body: &str| format!("-----BEGIN {label}-----\r\n{body}\r\n-----END {label}-----\r\n");
    let plain = block("CERTIFICATE REQUEST", &base64);
    let read = |text: &str| VerifiedRequest::from_bytes(text.as_bytes(), &verify);
    assert_eq!(read(&plain).unwrap().der(), der);
    assert_eq!(read(&format!("Certificate Request:\n  Data: …\n{plain}trailer")).unwrap().der(), der);
    assert_eq!(read(&block("NEW CERTIFICATE REQUEST", &base64)).unwrap().der(), der);
    let lines: Vec<_> = base64.as_bytes().chunks(76).map(|line| str::from_utf8(line).unwrap()).collect();
    assert_eq!(read(&block("CERTIFICATE REQUEST", &lines.join("\n"))).unwrap().der(), der);
    assert!(matches!(read(&format!("{plain}{plain}")), Err(CsrError::Several)));
    assert!(matches!(read(&block("CERTIFICATE", &base64)), Err(CsrError::Pem)));
    assert!(matches!(read(&block("CERTIFICATE REQUEST", "!!!!")), Err(CsrError::Pem)));
    assert!(matches!(read("-----BEGIN CERTIFICATE REQUEST-----\nAAAA"), Err(CsrError::Pem)));
    assert!(matches!(read(""), Err(CsrError::Pem)));
}

#[test]
fn budgets_and_junk() {
    let read = |bytes: &[u8]| VerifiedRequest::from_bytes(bytes, &verify);
    assert!(matches!(read(&[0x30; MAX_REQUEST + 1]), Err(CsrError::TooLong(_))));
    assert!(matches!(read(&[b'-'; MAX_REQUEST + 1]), Err(CsrError::TooLong(_))));
    assert!(matches!(read(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), Err(CsrError::Malformed(_))));
    let mut deep = Vec::new();
    for _ in 0..16_000 {
        deep.splice(0..0, [0x30, 0x80]);
    }
    assert!(read(&deep).is_err());
    let der = request(&KeyPair::generate().unwrap());
    for end in 0..der.len() {
        read(&der[..end]).unwrap_err();
    }
    let mut trailing = der.clone();
    trailing.push(0);
    assert!(matches!(read(&trailing), Err(CsrError::Malformed(_))));
    for at in 0..der.len() {
        let mut mutated = der.clone();
        mutated[at] ^= 0x41;
        read(&mutated).unwrap_err();
    }
    // An empty SEQUENCE or SET in place of every constructed element.
    for at in 0..der.len() - 1 {
        let mut mutated = der.clone();
        mutated[at + 1] = 0;
        let _ = read(&mutated);
    }
}

#[test]
fn versions_and_absent_attributes() {
    let key = KeyPair::generate().unwrap();
    let der = request(&key);
    let outer = Outer::from_der(&der).unwrap();
    let accept = |_: &[u8], _: &AlgorithmIdentifierOwned, _: &[u8], _: &[u8]| true;
    let rebuilt = |value: &[u8]| {
        let info = AnyRef::new(der::Tag::Sequence, value).unwrap();
        Outer { info, algorithm: outer.algorithm.clone(), signature: outer.signature.clone() }
            .to_der()
            .unwrap()
    };
    let mut value = outer.info.value().to_vec();
    value[2] = 1;
    assert!(matches!(VerifiedRequest::from_der(&rebuilt(&value), &accept), Err(CsrError::Version)));
    // Some tools leave the empty attributes out, or write what is no attribute.
    let mut info = SliceReader::new(outer.info.value()).unwrap();
    for _ in 0..3 {
        info.decode::<AnyRef<'_>>().unwrap();
    }
    let kept = outer.info.value().len() - usize::try_from(info.remaining_len()).unwrap();
    let bare = &outer.info.value()[..kept];
    let request = VerifiedRequest::from_der(&rebuilt(bare), &accept).unwrap();
    assert!(request.requested_extensions().is_empty());
    for attributes in [&[0xa0, 0][..], &[0xa0, 2, 0x30, 0], &[0x05, 0], &[0xa0, 3]] {
        let request = VerifiedRequest::from_der(&rebuilt(&[bare, attributes].concat()), &accept).unwrap();
        assert!(request.requested_extensions().is_empty());
    }
}
