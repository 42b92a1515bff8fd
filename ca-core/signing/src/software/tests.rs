use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::testing::{self, openssl};
use crate::verify;

/// Writes the text and gives its path as text.
fn put(dir: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn public_der(dir: &tempfile::TempDir, key_file: &str) -> Vec<u8> {
    let out = dir.path().join("public.der");
    openssl(&["pkey", "-in", key_file, "-pubout", "-outform", "DER", "-out", out.to_str().unwrap()]);
    std::fs::read(out).unwrap()
}

#[test]
fn every_key_signs_whole_and_in_pieces() {
    let message: Vec<u8> = (0..100_000_u32).map(|i| i as u8).collect();
    for key in testing::keys() {
        let algorithm = key.signature_algorithm().identifier();
        let whole = key.sign(&message).unwrap();
        verify(key.public_key_der(), &algorithm, &message, &whole).unwrap();
        let mut signer = key.begin();
        message.chunks(777).for_each(|piece| signer.update(piece));
        let pieces = signer.finish().unwrap();
        verify(key.public_key_der(), &algorithm, &message, &pieces).unwrap();
        let nothing = key.begin().finish().unwrap();
        verify(key.public_key_der(), &algorithm, b"", &nothing).unwrap();
        let deterministic = matches!(key.key_algorithm(), KeyAlgorithm::Ed25519) || key.algorithm.is_rsa();
        assert_eq!(whole == pieces, deterministic);
    }
}

#[test]
fn plain_keys_round_trip_and_openssl_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    for key in testing::keys() {
        let pem = key.to_plain_pem().unwrap();
        let again = SoftwareKey::from_pem(&pem, None).unwrap();
        assert_eq!(again.key_algorithm(), key.key_algorithm());
        assert_eq!(again.public_key_der(), key.public_key_der());
        assert_eq!(again.pkcs8_der(), key.pkcs8_der());
        let file = put(&dir, "key.pem", &pem);
        assert_eq!(public_der(&dir, &file), key.public_key_der(), "{}", key.key_algorithm());
        openssl(&["pkey", "-in", &file, "-check", "-noout"]);
    }
}

#[test]
fn keys_made_by_openssl_load() {
    let dir = tempfile::tempdir().unwrap();
    let file = put(&dir, "key.pem", "");
    let cases: [(&[&str], KeyAlgorithm); 4] = [
        (&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], KeyAlgorithm::Rsa2048),
        (&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], KeyAlgorithm::P256),
        (&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], KeyAlgorithm::P384),
        (&["-algorithm", "ED25519"], KeyAlgorithm::Ed25519),
    ];
    for (args, algorithm) in cases {
        openssl(&[&["genpkey", "-out", &file], args].concat());
        let key = SoftwareKey::from_pem(&std::fs::read_to_string(&file).unwrap(), None).unwrap();
        assert_eq!(key.key_algorithm(), algorithm);
        assert_eq!(key.public_key_der(), public_der(&dir, &file));
        let signature = key.sign(b"m").unwrap();
        verify(key.public_key_der(), &key.signature_algorithm().identifier(), b"m", &signature).unwrap();
    }
}

#[test]
fn an_ec_key_without_its_public_part_loads_where_the_library_can_compute_it() {
    let dir = tempfile::tempdir().unwrap();
    let (full, bare, file) = (put(&dir, "full", ""), put(&dir, "bare", ""), put(&dir, "file", ""));
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &full]);
    openssl(&["ec", "-in", &full, "-no_public", "-out", &bare]);
    openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", &bare, "-out", &file]);
    let pem = std::fs::read_to_string(&file).unwrap();
    assert!(pem.len() < std::fs::read_to_string(&full).unwrap().len(), "the public part is still there");
    let key = SoftwareKey::from_pem(&pem, None);
    if cfg!(feature = "aws-lc") {
        let key = key.unwrap();
        assert_eq!(key.public_key_der(), public_der(&dir, &full));
        // Written again, it has its public part.
        assert!(key.to_plain_pem().unwrap().len() > pem.len());
    } else {
        assert!(key.unwrap_err().to_string().contains("openssl pkey"));
    }
}

#[test]
fn other_kinds_and_sizes_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = put(&dir, "key.pem", "");
    let cases: [&[&str]; 6] = [
        &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
        &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2304"],
        &["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"],
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"],
        &["-algorithm", "X25519"],
    ];
    for args in cases {
        openssl(&[&["genpkey", "-out", &file], args].concat());
        let error = SoftwareKey::from_pem(&std::fs::read_to_string(&file).unwrap(), None).unwrap_err();
        let refused = matches!(error, SigningError::UnsupportedKey { .. } | SigningError::KeyRejected { .. });
        assert!(refused, "{args:?}: {error}");
    }
}

#[test]
fn a_damaged_key_is_refused() {
    for key in testing::keys().filter(|key| key.key_algorithm() != KeyAlgorithm::Ed25519) {
        // The end of the encoding is part of the public key or of the last factor.
        let mut der = key.pkcs8_der().to_vec();
        let end = der.len() - 10;
        der[end] ^= 1;
        let error = SoftwareKey::from_pkcs8_der(&der).unwrap_err();
        assert!(matches!(error, SigningError::KeyRejected { .. }), "{error}");
        let half = SoftwareKey::from_pkcs8_der(&der[..der.len() / 2]).unwrap_err();
        assert!(matches!(half, SigningError::KeyRejected { .. }), "{half}");
    }
    let trailing = [testing::key(KeyAlgorithm::P256).pkcs8_der().as_slice(), b"x"].concat();
    assert!(SoftwareKey::from_pkcs8_der(&trailing).is_err());
}

#[test]
fn an_rsa_key_with_a_small_exponent_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = put(&dir, "key.pem", "");
    let options = ["-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:3"];
    openssl(&[&["genpkey", "-algorithm", "RSA", "-out", &file][..], &options].concat());
    let error = SoftwareKey::from_pem(&std::fs::read_to_string(&file).unwrap(), None).unwrap_err();
    let refused = matches!(error, SigningError::UnsupportedKey { .. } | SigningError::KeyRejected { .. });
    assert!(refused, "{error}");
}

#[test]
fn files_that_others_can_read_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let key = testing::key(KeyAlgorithm::P256);
    let path = dir.path().join("key.pem");
    ca_files::write_atomic(&path, key.to_plain_pem().unwrap().as_bytes(), ca_files::Mode::Private).unwrap();
    assert_eq!(SoftwareKey::load(&path, None).unwrap().public_key_der(), key.public_key_der());
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(SoftwareKey::load(&link, None).unwrap_err().to_string().contains("symbolic link"));
    for mode in [0o640, 0o604, 0o660] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = SoftwareKey::load(&path, None).unwrap_err();
        assert!(matches!(error, SigningError::File(ca_files::FileError::Unsafe { .. })), "{error}");
    }
    let absent = SoftwareKey::load(&dir.path().join("absent"), None).unwrap_err();
    assert!(matches!(absent, SigningError::File(error) if error.is_not_found()));
}

#[test]
fn nothing_secret_is_shown() {
    let key = testing::key(KeyAlgorithm::P256);
    assert_eq!(format!("{key:?}"), "SoftwareKey { algorithm: P256, .. }");
}

#[cfg(not(feature = "aws-lc"))]
#[test]
fn rsa_generation_names_the_default_build() {
    let error = SoftwareKey::generate(KeyAlgorithm::Rsa2048).unwrap_err();
    assert!(error.to_string().contains("aws-lc"), "{error}");
}
