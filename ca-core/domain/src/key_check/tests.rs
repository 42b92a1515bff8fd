use der::asn1::{BitStringRef, Null, UintRef};
use num_bigint::BigUint;
use spki::AlgorithmIdentifierRef;

use super::*;

/// Two random primes of 1024 bits.
const GOOD: &str = "c4257a229c096719d9a8976be95936e9f314aa01dc8e2ef6f59c908245bc3b8ebb8ae3c692aba738a9698efee962064f56e555a2276faa64923dcfcb5d14c1e1bb6cf59a456663d6ece6a8a301d3826216396cf3355b41839ae009d02deb882775eddacd3774424b134f24ed3092d9a0b6555bdca4ad169bb3baf5cbcb45f1526fe1f187a1fbbcfa3149f9d9435f67eac49efce38545afdd3a52e32ba309fb96e8c7457b3011ee01288f6e5b85a97cbe3dc14c3fae4c58b81a97a43cd29267ab00cde6c0af64d8cc30d5040235e3580c51c45427ee133fc29d60ae2ef8326007e35f62a6ff73503d3788cddf5ff6f2ec96009631d5866c65be185f5501cdc119";
/// Two primes of the form of the flawed library, made for this test.
const ROCA: &str = "b3c6ee0402fc3c204ee96fd175e8b0ad7cb5c64b3927c51f0a74826d13c0752c5e07d37a56c69ca5de4f55fc44096b1d82bb5c1f5af5eacb57f3c9138d00ae402d14b5ef6b3a7b287e6f40458fc2e13ae28a8ee7ab8da2139c3e776748fc71aac4dcb846caa0a94642ab45b86223279e8fea578d1693142a34aad6dea6d92825ba2a6cef3a76ca360cc48fbac28938167bbd0b7d7c24ea0cbc777bbe2267c24ba2329b9b7d1f661b9d2d344b3d665d426cb8d03a5304188a65dc4e4aa38b424bca8de7b0087b7c9b9d106526262eccfad15e490a70e20bfaec94195e9fe518c67246fc5d4a468a060f483d88b04a65a46cb54e37c3e8a705b76a3f130f17f365";
/// A prime of 1024 bits and the next prime after it.
const CLOSE: &str = "a250013d2b1a970c77a144acc3b693007dcc7f7fc4e5a2dbdb431915b41c3ca3364d1dcaad68f7b4dfb7e329c017bdea58b2c2bd5d55f8afeffc3e9bdb5d8b906f0f8d65566d4b5b13c1d31ca69556240ec3ad9162d3865647ece9d71ee60fe02a5208bd18601dffdda1ec7f2ffe785d0a10af9d5f6935478da7a930fc94d9e7bcf0cc19bbeeac22c7a8d0b65aea5dba534b32336857adc9081b9185cc5bf3119697403c281223df9849dd167c6b8308d37fec34698d3d22272baafba8eb538104eda89f76967432900f842ebfcf92a471a4714281cc4083791b1ca2c393c1c1bbb976113a1b3baee54897ccf82811ae10b13c253ea9420032dd93b3f71cbfe9";

fn number(hex: &str) -> BigUint {
    BigUint::parse_bytes(hex.as_bytes(), 16).unwrap()
}

fn good() -> BigUint {
    number(GOOD)
}

fn spki(oid: ObjectIdentifier, parameters: Option<der::asn1::AnyRef<'_>>, key: &[u8]) -> Vec<u8> {
    let algorithm = AlgorithmIdentifierRef { oid, parameters };
    let subject_public_key = BitStringRef::from_bytes(key).unwrap();
    SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der().unwrap()
}

fn rsa_key(modulus: &BigUint, exponent: &BigUint) -> Vec<u8> {
    #[derive(der::Sequence)]
    struct Key<'a> {
        modulus: UintRef<'a>,
        exponent: UintRef<'a>,
    }
    let (modulus, exponent) = (modulus.to_bytes_be(), exponent.to_bytes_be());
    let (modulus, exponent) = (UintRef::new(&modulus).unwrap(), UintRef::new(&exponent).unwrap());
    Key { modulus, exponent }.to_der().unwrap()
}

fn rsa(modulus: &BigUint, exponent: &BigUint) -> Result<CheckedKey, KeyError> {
    let key = rsa_key(modulus, exponent);
    check_public_key(&spki(rfc5912::RSA_ENCRYPTION, Some(Null.into()), &key))
}

fn with_exponent(exponent: u64) -> Result<CheckedKey, KeyError> {
    rsa(&good(), &exponent.into())
}

fn with_modulus(modulus: &BigUint) -> Result<CheckedKey, KeyError> {
    rsa(modulus, &65537_u32.into())
}

#[test]
fn good_keys_pass() {
    assert_eq!(with_modulus(&good()).unwrap().algorithm, KeyAlgorithm::Rsa2048);
    for (algorithm, wanted) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, KeyAlgorithm::P256),
        (&rcgen::PKCS_ECDSA_P384_SHA384, KeyAlgorithm::P384),
        (&rcgen::PKCS_ED25519, KeyAlgorithm::Ed25519),
        (&rcgen::PKCS_RSA_SHA256, KeyAlgorithm::Rsa2048),
    ] {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let der = rcgen::PublicKeyData::subject_public_key_info(&key);
        let checked = check_public_key(&der).unwrap();
        assert_eq!(checked.algorithm, wanted);
        assert_eq!(checked.spki_der, der);
        assert_eq!(checked.hash, SpkiHash::of_der(&der));
    }
}

#[test]
fn rsa_sizes() {
    for bits in [512_u64, 1024, 2040, 2047, 2049, 2056, 8192] {
        let modulus = (BigUint::from(1_u32) << (bits - 1)) + 1_u32;
        assert_eq!(with_modulus(&modulus), Err(KeyError::ModulusSize(bits)));
    }
}

#[test]
fn rsa_exponents() {
    for exponent in [0, 1, 2, 3, 17, 65535, 65536, 65538] {
        assert_eq!(with_exponent(exponent), Err(KeyError::Exponent), "{exponent}");
    }
    with_exponent(65539).unwrap();
    let one = BigUint::from(1_u32);
    rsa(&good(), &((&one << 255) + 1_u32)).unwrap();
    assert_eq!(rsa(&good(), &((&one << 256) + 1_u32)), Err(KeyError::Exponent));
}

#[test]
fn weak_moduli() {
    assert_eq!(with_modulus(&(good() + 1_u32)), Err(KeyError::EvenModulus));
    assert_eq!(with_modulus(&number(ROCA)), Err(KeyError::Roca));
    assert_eq!(with_modulus(&number(CLOSE)), Err(KeyError::ClosePrimes));
    // A square: both primes are the same one.
    let root = good().sqrt() | BigUint::from(1_u32);
    let close = (0..1000_u32).map(|i| &root + 2 * i).map(|p| with_modulus(&(&p * &p)).unwrap_err());
    assert!(close.into_iter().any(|error| error == KeyError::ClosePrimes));
    for prime in [3_u32, 5, 7, 743, 751] {
        let mut modulus = good() / prime * prime;
        while !modulus.bit(0) || rsa::odd_primes_below(prime).any(|p| (&modulus % p) == BigUint::ZERO) {
            modulus += prime;
        }
        assert_eq!(with_modulus(&modulus), Err(KeyError::SmallFactor(prime)));
    }
}

#[test]
fn rsa_encodings() {
    let key = rsa_key(&good(), &65537_u32.into());
    let absent = spki(rfc5912::RSA_ENCRYPTION, None, &key);
    assert_eq!(check_public_key(&absent), Err(KeyError::Encoding));
    let pss = spki(rfc5912::ID_RSASSA_PSS, None, &key);
    assert_eq!(check_public_key(&pss), Err(KeyError::PssKey));
    let mut trailing = key.clone();
    trailing.push(0);
    let trailing = spki(rfc5912::RSA_ENCRYPTION, Some(Null.into()), &trailing);
    assert!(matches!(check_public_key(&trailing), Err(KeyError::Malformed(_))));
    let dsa = spki(ObjectIdentifier::new_unwrap("1.2.840.10040.4.1"), None, &key);
    assert!(matches!(check_public_key(&dsa), Err(KeyError::Algorithm(_))));
}

#[test]
fn ec_encodings() {
    let pair = rcgen::KeyPair::generate().unwrap();
    let point = rcgen::PublicKeyData::der_bytes(&pair).to_vec();
    let on_curve = |curve: ObjectIdentifier, key: &[u8]| {
        check_public_key(&spki(rfc5912::ID_EC_PUBLIC_KEY, Some((&curve).into()), key))
    };
    let p256 = |key: &[u8]| on_curve(rfc5912::SECP_256_R_1, key);
    p256(&point).unwrap();
    assert_eq!(p256(&[0]), Err(KeyError::PointForm));
    assert_eq!(p256(&[]), Err(KeyError::PointForm));
    assert_eq!(p256(&point[..64]), Err(KeyError::PointForm));
    let mut compressed = point[..33].to_vec();
    compressed[0] = 2 + (point[64] & 1);
    assert_eq!(p256(&compressed), Err(KeyError::PointForm));
    let mut hybrid = point.clone();
    hybrid[0] = 6 + (point[64] & 1);
    assert_eq!(p256(&hybrid), Err(KeyError::PointForm));
    let mut off = point.clone();
    off[64] ^= 1;
    assert_eq!(p256(&off), Err(KeyError::Point));
    assert_eq!(p256(&[&[4][..], &[0; 64]].concat()), Err(KeyError::Point));
    assert_eq!(p256(&[&[4][..], &[0xff; 64]].concat()), Err(KeyError::Point));
    assert_eq!(on_curve(rfc5912::SECP_384_R_1, &point), Err(KeyError::PointForm));
    assert!(matches!(on_curve(rfc5912::SECP_521_R_1, &point), Err(KeyError::Curve(_))));
    // Explicit parameters (a SEQUENCE), implicit ones (NULL), none.
    let explicit = der::asn1::AnyRef::new(der::Tag::Sequence, &[2, 1, 1]).unwrap();
    for parameters in [Some(explicit), Some(Null.into()), None] {
        let der = spki(rfc5912::ID_EC_PUBLIC_KEY, parameters, &point);
        assert_eq!(check_public_key(&der), Err(KeyError::ExplicitCurve));
    }
}

#[test]
fn ed25519_encodings() {
    let key = |bytes: &[u8]| check_public_key(&spki(rfc8410::ID_ED_25519, None, bytes));
    assert_eq!(key(&[1; 31]), Err(KeyError::PointForm));
    assert_eq!(key(&[1; 33]), Err(KeyError::PointForm));
    assert_eq!(key(&[0; 32]), Err(KeyError::Point));
    let mut identity = [0; 32];
    identity[0] = 1;
    assert_eq!(key(&identity), Err(KeyError::Point));
    let null = spki(rfc8410::ID_ED_25519, Some(Null.into()), &[9; 32]);
    assert_eq!(check_public_key(&null), Err(KeyError::Encoding));
}

#[test]
fn junk_never_panics() {
    let der = spki(rfc5912::RSA_ENCRYPTION, Some(Null.into()), &rsa_key(&good(), &65537_u32.into()));
    for end in 0..der.len() {
        check_public_key(&der[..end]).unwrap_err();
    }
    // The structure, before the modulus makes the checks slow.
    for at in 0..40 {
        for bit in 0..8 {
            let mut mutated = der.clone();
            mutated[at] ^= 1 << bit;
            let _ = check_public_key(&mutated);
        }
    }
    assert!(matches!(check_public_key(&[0x30; 5000]), Err(KeyError::TooLong(5000))));
    assert!(check_public_key(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]).is_err());
}
