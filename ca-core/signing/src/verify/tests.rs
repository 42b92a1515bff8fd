use ca_domain::{KeyAlgorithm, SignatureAlgorithm};
use der::asn1::{Any, BitString, Null};
use spki::SubjectPublicKeyInfoOwned;

use super::*;
use crate::testing::{self, openssl};
use crate::{SigningKey, SoftwareKey};

fn identifier(oid: ObjectIdentifier, parameters: Option<Any>) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid, parameters }
}

/// The key's SubjectPublicKeyInfo after a change.
fn changed(key: &SoftwareKey, change: impl FnOnce(&mut SubjectPublicKeyInfoOwned)) -> Vec<u8> {
    let mut spki = SubjectPublicKeyInfoOwned::from_der(key.public_key_der()).unwrap();
    change(&mut spki);
    spki.to_der().unwrap()
}

#[test]
fn only_the_signature_of_this_message_by_this_key_verifies() {
    for key in testing::keys() {
        let (spki, algorithm) = (key.public_key_der(), key.signature_algorithm().identifier());
        let good = key.sign(b"message").unwrap();
        let bad = |message: &[u8], signature: &[u8]| {
            let error = verify(spki, &algorithm, message, signature).unwrap_err();
            assert!(matches!(error, SigningError::BadSignature), "{error}");
        };
        verify(spki, &algorithm, b"message", &good).unwrap();
        let pieces = |pieces: [&[u8]; 2]| {
            let mut verifier = StreamVerifier::new(spki, &algorithm).unwrap();
            pieces.into_iter().for_each(|piece| verifier.update(piece).unwrap());
            verifier.finish(&good)
        };
        pieces([b"mess", b"age"]).unwrap();
        assert!(matches!(pieces([b"mess", b"agE"]), Err(SigningError::BadSignature)));
        bad(b"Message", &good);
        bad(b"", &good);
        bad(b"message", b"");
        bad(b"message", &good[..good.len() - 1]);
        bad(b"message", &[&good[..], b"\0"].concat());
        bad(b"message", &vec![0; good.len()]);
        for position in [0, 1, good.len() / 2, good.len() - 1] {
            let mut flipped = good.clone();
            flipped[position] ^= 0x40;
            bad(b"message", &flipped);
        }
        let other = SoftwareKey::generate(match key.key_algorithm() {
            // Fast to make; a foreign modulus is a foreign modulus.
            algorithm if algorithm.is_rsa() => KeyAlgorithm::Rsa2048,
            algorithm => algorithm,
        });
        let error = verify(other.unwrap().public_key_der(), &algorithm, b"message", &good).unwrap_err();
        assert!(matches!(error, SigningError::BadSignature), "{error}");
    }
}

#[test]
fn parameters_must_be_exact() {
    let null = || Some(Any::from(Null));
    let octets = || Some(Any::new(der::Tag::OctetString, &b"x"[..]).unwrap());
    for key in testing::keys() {
        let algorithm = key.signature_algorithm();
        let signature = key.sign(b"m").unwrap();
        let wrong = match algorithm {
            SignatureAlgorithm::RsaSha256 => [None, octets()],
            _ => [null(), octets()],
        };
        for parameters in wrong {
            let identifier = identifier(algorithm.oid(), parameters.clone());
            let error = verify(key.public_key_der(), &identifier, b"m", &signature).unwrap_err();
            assert!(matches!(error, SigningError::AlgorithmParameters { .. }), "{error}");
            let spki = changed(key, |spki| spki.algorithm.parameters = parameters);
            let error = verify(&spki, &algorithm.identifier(), b"m", &signature).unwrap_err();
            let refused =
                matches!(error, SigningError::AlgorithmParameters { .. } | SigningError::BadPublicKey(_));
            assert!(refused, "{error}");
        }
    }
}

#[test]
fn algorithms_of_other_keys_and_weak_ones_are_refused() {
    let weak = [
        (rfc5912::SHA_1_WITH_RSA_ENCRYPTION, Some(Any::from(Null))),
        (rfc5912::ECDSA_WITH_SHA_224, None),
        (rfc5912::ID_RSASSA_PSS, None),
        (rfc5912::RSA_ENCRYPTION, Some(Any::from(Null))),
    ];
    for key in testing::keys() {
        let signature = key.sign(b"m").unwrap();
        let refused = |algorithm: AlgorithmIdentifierOwned| {
            let error = verify(key.public_key_der(), &algorithm, b"m", &signature).unwrap_err();
            assert!(matches!(error, SigningError::UnsupportedSignature { .. }), "{error}");
        };
        weak.iter().for_each(|(oid, parameters)| refused(identifier(*oid, parameters.clone())));
        let others =
            [SignatureAlgorithm::RsaSha256, SignatureAlgorithm::EcdsaSha256, SignatureAlgorithm::Ed25519];
        let own = key.signature_algorithm();
        for other in others {
            let same_family = own == other
                || (own == SignatureAlgorithm::EcdsaSha384 && other == SignatureAlgorithm::EcdsaSha256);
            if !same_family {
                refused(other.identifier());
            }
        }
    }
}

#[test]
fn signatures_by_openssl_with_every_hash_verify() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (key, public, message, signed) = (path("key"), path("public"), path("message"), path("signed"));
    std::fs::write(&message, b"message").unwrap();
    let kinds: [&[&str]; 4] = [
        &["RSA", "-pkeyopt", "rsa_keygen_bits:2304"],
        &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        &["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        &["EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
    ];
    let hashes = [
        ("-sha256", rfc5912::SHA_256_WITH_RSA_ENCRYPTION, rfc5912::ECDSA_WITH_SHA_256),
        ("-sha384", rfc5912::SHA_384_WITH_RSA_ENCRYPTION, rfc5912::ECDSA_WITH_SHA_384),
        ("-sha512", rfc5912::SHA_512_WITH_RSA_ENCRYPTION, rfc5912::ECDSA_WITH_SHA_512),
    ];
    for kind in kinds {
        openssl(&[&["genpkey", "-out", &key, "-algorithm"], kind].concat());
        openssl(&["pkey", "-in", &key, "-pubout", "-outform", "DER", "-out", &public]);
        let spki = std::fs::read(&public).unwrap();
        for (flag, rsa, ecdsa) in hashes {
            openssl(&["dgst", flag, "-sign", &key, "-out", &signed, &message]);
            let signature = std::fs::read(&signed).unwrap();
            let algorithm = if kind[0] == "RSA" {
                identifier(rsa, Some(Any::from(Null)))
            } else {
                identifier(ecdsa, None)
            };
            let result = verify(&spki, &algorithm, b"message", &signature);
            let by_ring_too = kind[0] == "RSA" || !(kind[2].ends_with("521") || flag == "-sha512");
            if cfg!(feature = "aws-lc") || by_ring_too {
                result.unwrap();
                assert!(verify(&spki, &algorithm, b"massage", &signature).is_err());
            } else {
                assert!(matches!(result, Err(SigningError::UnsupportedSignature { .. })));
            }
        }
    }
}

#[test]
fn one_encoding_a_public_key() {
    let key = testing::key(KeyAlgorithm::P256);
    let (algorithm, signature) = (key.signature_algorithm().identifier(), key.sign(b"m").unwrap());
    let refused = |spki: &[u8]| {
        let error = verify(spki, &algorithm, b"m", &signature).unwrap_err();
        assert!(matches!(error, SigningError::BadPublicKey(_)), "{error}");
    };
    let bits = |bytes: &[u8]| BitString::from_bytes(bytes).unwrap();
    refused(b"");
    refused(&key.public_key_der()[1..]);
    // A compressed point, a SubjectPublicKeyInfo within, nothing.
    refused(&changed(key, |spki| {
        let point = spki.subject_public_key.raw_bytes().to_vec();
        spki.subject_public_key = bits(&[&[2 + (point[64] & 1)][..], &point[1..33]].concat());
    }));
    refused(&changed(key, |spki| spki.subject_public_key = bits(key.public_key_der())));
    refused(&changed(key, |spki| spki.subject_public_key = bits(b"")));
    // Bits left over, another curve, an unknown kind of key.
    refused(&changed(key, |spki| {
        let point = spki.subject_public_key.raw_bytes().to_vec();
        spki.subject_public_key = BitString::new(1, point).unwrap();
    }));
    refused(&changed(key, |spki| {
        spki.algorithm.parameters = Some(Any::encode_from(&rfc5912::SECP_224_R_1).unwrap());
    }));
    refused(&changed(key, |spki| spki.algorithm.oid = rfc5912::ID_DSA));
    // A point off the curve has the right form: it verifies nothing.
    let off = changed(key, |spki| {
        let mut point = spki.subject_public_key.raw_bytes().to_vec();
        point[64] ^= 1;
        spki.subject_public_key = bits(&point);
    });
    assert!(matches!(verify(&off, &algorithm, b"m", &signature), Err(SigningError::BadSignature)));
}

#[test]
fn small_rsa_keys_verify_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (key, public) = (path("key"), path("public"));
    openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", &key]);
    openssl(&["pkey", "-in", &key, "-pubout", "-outform", "DER", "-out", &public]);
    let algorithm = SignatureAlgorithm::RsaSha256.identifier();
    let error = verify(&std::fs::read(public).unwrap(), &algorithm, b"m", &[0; 128]).unwrap_err();
    assert!(matches!(error, SigningError::BadPublicKey(_)), "{error}");
}

#[test]
fn certificates_verify_with_their_issuer_only() {
    let subject = testing::key(KeyAlgorithm::P384);
    let other = SoftwareKey::generate(KeyAlgorithm::P256).unwrap();
    for issuer in testing::keys() {
        let der = testing::certificate(subject, issuer, "CN=alice", "CN=CA");
        let certificate = Certificate::from_der(&der).unwrap();
        verify_certificate(&certificate, issuer.public_key_der()).unwrap();
        verify_signed(&der, issuer.public_key_der()).unwrap();
        assert!(verify_certificate(&certificate, other.public_key_der()).is_err());
        assert!(verify_signed(&der, other.public_key_der()).is_err());

        let mut forged = certificate.clone();
        forged.tbs_certificate.serial_number = x509_cert::serial_number::SerialNumber::new(&[8]).unwrap();
        let error = verify_certificate(&forged, issuer.public_key_der()).unwrap_err();
        assert!(matches!(error, SigningError::BadSignature), "{error}");

        let mut mixed = certificate;
        mixed.signature_algorithm.oid = rfc5912::SHA_512_WITH_RSA_ENCRYPTION;
        let error = verify_certificate(&mixed, issuer.public_key_der()).unwrap_err();
        assert!(matches!(error, SigningError::AlgorithmMismatch), "{error}");
    }
    assert!(verify_signed(b"", other.public_key_der()).is_err());
    assert!(verify_signed(b"\x30\x03\x02\x01\x01", other.public_key_der()).is_err());
}
