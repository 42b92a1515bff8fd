use ca_domain::KeyAlgorithm;

use super::*;
use crate::testing::{self, openssl, try_openssl};
use crate::{SigningKey, SoftwareKey};

fn passphrase(text: &str) -> Passphrase {
    Passphrase::from_string(text.into())
}

#[test]
fn openssl_reads_our_encrypted_keys() {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("key.pem"), dir.path().join("public.der"));
    let (name, public) = (file.to_str().unwrap(), out.to_str().unwrap());
    for (key, cost) in testing::keys().zip([KdfCost::Interactive, KdfCost::Test].into_iter().cycle()) {
        let secret = passphrase("correct hörse");
        let pem = key.to_encrypted_pem(&secret, cost).unwrap();
        assert!(is_encrypted(&pem));
        std::fs::write(&file, pem.as_bytes()).unwrap();
        let read = ["pkey", "-in", name, "-pubout", "-outform", "DER", "-out", public];
        openssl(&[&read[..], &["-passin", "pass:correct hörse"]].concat());
        assert_eq!(std::fs::read(&out).unwrap(), key.public_key_der());
        assert!(!try_openssl(&[&read[..], &["-passin", "pass:wrong"]].concat()).0);
        let again = SoftwareKey::from_pem(&pem, Some(&secret)).unwrap();
        assert_eq!(again.pkcs8_der(), key.pkcs8_der());
    }
}

#[test]
fn keys_encrypted_by_openssl_load() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, file) = (dir.path().join("plain"), dir.path().join("file"));
    let (plain, file) = (plain.to_str().unwrap(), file.to_str().unwrap());
    let key = testing::key(KeyAlgorithm::P256);
    std::fs::write(plain, key.to_plain_pem().unwrap().as_bytes()).unwrap();
    let cases: [&[&str]; 4] = [
        &["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256"],
        &["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512", "-iter", "100000"],
        &["-scrypt"],
        &["-scrypt", "-scrypt_N", "16384", "-scrypt_r", "8", "-scrypt_p", "3"],
    ];
    for case in cases {
        let convert = ["pkcs8", "-topk8", "-in", plain, "-out", file, "-passout", "pass:s3cret"];
        openssl(&[&convert[..], case].concat());
        let pem = std::fs::read_to_string(file).unwrap();
        let again = SoftwareKey::from_pem(&pem, Some(&passphrase("s3cret"))).unwrap();
        assert_eq!(again.public_key_der(), key.public_key_der(), "{case:?}");
        let wrong = SoftwareKey::from_pem(&pem, Some(&passphrase("s3creT"))).unwrap_err();
        assert!(wrong.is_wrong_passphrase(), "{wrong}");
    }
    openssl(&["pkcs8", "-topk8", "-in", plain, "-out", file, "-passout", "pass:x", "-v1", "PBE-SHA1-3DES"]);
    let weak = SoftwareKey::from_pem(&std::fs::read_to_string(file).unwrap(), Some(&passphrase("x")));
    let message = weak.unwrap_err().to_string();
    assert!(message.contains("not supported") && message.contains("openssl pkcs8"), "{message}");
}

#[test]
fn wrong_passphrases_are_called_so_whatever_the_padding() {
    let key = testing::key(KeyAlgorithm::Ed25519);
    let pem = key.to_encrypted_pem(&passphrase("right"), KdfCost::Test).unwrap();
    // Two or three of these leave a valid padding.
    for i in 0..700 {
        let error = SoftwareKey::from_pem(&pem, Some(&passphrase(&format!("wrong {i}")))).unwrap_err();
        assert!(matches!(error, SigningError::WrongPassphrase), "{error}");
        assert!(!error.to_string().contains(&format!("wrong {i}")));
    }
    let none = SoftwareKey::from_pem(&pem, None).unwrap_err();
    assert!(none.is_passphrase_needed());
    assert!(key.to_encrypted_pem(&passphrase(""), KdfCost::Test).is_err());
}

#[test]
fn a_try_costs_what_the_documentation_says() {
    let key = testing::key(KeyAlgorithm::P256);
    let pem = key.to_encrypted_pem(&passphrase("right"), KdfCost::Interactive).unwrap();
    let der = block(&pem, EncryptedPrivateKeyInfo::PEM_LABEL).unwrap().unwrap();
    let info = EncryptedPrivateKeyInfo::from_der(&der).unwrap();
    let scheme = info.encryption_algorithm.pbes2().unwrap();
    let scrypt = scheme.kdf.scrypt().unwrap();
    assert_eq!((scrypt.cost_parameter, scrypt.block_size, scrypt.parallelization), (1 << 14, 8, 20));
    assert_eq!(scheme.encryption.oid(), pkcs5::pbes2::AES_256_CBC_OID);
}

#[test]
fn absurd_costs_are_refused_before_they_are_paid() {
    let key = testing::key(KeyAlgorithm::P256);
    let pem = key.to_encrypted_pem(&passphrase("right"), KdfCost::Test).unwrap();
    let der = block(&pem, EncryptedPrivateKeyInfo::PEM_LABEL).unwrap().unwrap();
    let info = EncryptedPrivateKeyInfo::from_der(&der).unwrap();
    for (n, r, p) in [(0, 8, 1), (15, 8, 1), (1 << 40, 8, 1), (1 << 14, 8, 0), (1 << 14, 8, 60_000)] {
        let mut scheme = info.encryption_algorithm.pbes2().unwrap().clone();
        let mut scrypt = *scheme.kdf.scrypt().unwrap();
        (scrypt.cost_parameter, scrypt.block_size, scrypt.parallelization) = (n, r, p);
        scheme.kdf = scrypt.into();
        let crafted = EncryptedPrivateKeyInfo {
            encryption_algorithm: scheme.into(),
            encrypted_data: info.encrypted_data,
        };
        let pem = to_pem(EncryptedPrivateKeyInfo::PEM_LABEL, &crafted.to_der().unwrap()).unwrap();
        let error = SoftwareKey::from_pem(&pem, Some(&passphrase("right"))).unwrap_err();
        assert!(matches!(error, SigningError::UnsupportedEncryption { .. }), "{error}");
    }
}

#[test]
fn text_that_is_no_key_is_explained() {
    let told = |pem: &str| SoftwareKey::from_pem(pem, None).unwrap_err().to_string();
    assert!(told("").contains("no private key"));
    assert!(
        told("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n").contains("no private key")
    );
    assert!(told("-----BEGIN EC PRIVATE KEY-----\n").contains("openssl pkcs8"));
    assert!(told("-----BEGIN PRIVATE KEY-----\nAAAA\n").contains("damaged"));
    assert!(told("-----BEGIN PRIVATE KEY-----\n*\n-----END PRIVATE KEY-----\n").contains("damaged"));
}

#[test]
fn text_around_the_block_and_windows_line_ends_do_not_matter() {
    let key = testing::key(KeyAlgorithm::P256);
    let pem = key.to_plain_pem().unwrap();
    let around = format!("Bag Attributes\n    friendlyName: x\n{}more\n", pem.as_str());
    assert_eq!(SoftwareKey::from_pem(&around, None).unwrap().public_key_der(), key.public_key_der());
    let windows = pem.replace('\n', "\r\n");
    assert_eq!(SoftwareKey::from_pem(&windows, None).unwrap().public_key_der(), key.public_key_der());
}

#[test]
fn damaged_bytes_never_panic() {
    let key = testing::key(KeyAlgorithm::P256);
    let pem = key.to_encrypted_pem(&passphrase("right"), KdfCost::Test).unwrap();
    let encrypted = block(&pem, EncryptedPrivateKeyInfo::PEM_LABEL).unwrap().unwrap();
    let certificate = testing::certificate(key, key, "CN=x", "CN=x");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as usize
    };
    for _ in 0..20_000 {
        for original in [&encrypted[..], key.pkcs8_der(), &certificate] {
            let mut bytes = original.to_vec();
            for _ in 0..=next() % 3 {
                let position = next() % bytes.len();
                bytes[position] = next() as u8;
            }
            bytes.truncate(bytes.len() - next() % 8 / 6 * (next() % bytes.len()));
            // Costs are checked, not paid: some of these ask for seconds.
            if let Ok(info) = EncryptedPrivateKeyInfo::from_der(&bytes) {
                let _ = info.encryption_algorithm.pbes2().map(check_cost);
            }
            let _ = SoftwareKey::from_pkcs8_der(&bytes);
            let _ = crate::verify_signed(&bytes, key.public_key_der());
        }
    }
}
