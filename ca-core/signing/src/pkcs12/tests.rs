use std::process::Command;

use ca_domain::KeyAlgorithm;
use p12_keystore::Pkcs12Archive;

use super::*;
use crate::testing::{self, openssl, try_openssl};

const NAME: &str = "Jörg Müller (signing)";
const SECRET: &str = "pässword 1";
const PROFILES: [Pkcs12Profile; 2] = [Pkcs12Profile::Modern, Pkcs12Profile::Compat];

struct Chain {
    leaf: Vec<u8>,
    issuers: Vec<Vec<u8>>,
}

fn chain(key: &SoftwareKey) -> Chain {
    let (root, issuing) = (testing::key(KeyAlgorithm::P384), testing::key(KeyAlgorithm::P256));
    let leaf = testing::certificate(key, issuing, "CN=alice", "CN=issuing");
    let issuers = vec![
        testing::certificate(issuing, root, "CN=issuing", "CN=root"),
        testing::certificate(root, root, "CN=root", "CN=root"),
    ];
    Chain { leaf, issuers }
}

fn secret() -> Passphrase {
    Passphrase::from_string(SECRET.into())
}

fn exported(profile: Pkcs12Profile, key: &SoftwareKey, name: &str) -> Zeroizing<Vec<u8>> {
    let Chain { leaf, issuers } = chain(key);
    export(profile, key, &leaf, &issuers, name, &secret()).unwrap()
}

#[test]
fn openssl_reads_both_profiles_with_every_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alice.p12");
    let file = path.to_str().unwrap();
    let pass = format!("pass:{SECRET}");
    for (key, profile) in testing::keys().flat_map(|key| PROFILES.map(|profile| (key, profile))) {
        std::fs::write(&path, exported(profile, key, "Alice").as_slice()).unwrap();
        let told = openssl(&["pkcs12", "-info", "-legacy", "-in", file, "-passin", &pass, "-nodes"]);
        let expected: &[&str] = match profile {
            Pkcs12Profile::Modern => &[
                "MAC: sha256, Iteration 100000",
                "PBES2, PBKDF2, AES-256-CBC, Iteration 100000, PRF hmacWithSHA256",
            ],
            Pkcs12Profile::Compat => {
                &["MAC: sha1, Iteration 10000", "pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 10000"]
            }
        };
        for text in expected {
            assert!(told.contains(text), "{text}: {told}");
        }
        assert_eq!(told.matches("friendlyName: Alice").count(), 2, "{told}");
        let ids: Vec<_> = told.lines().filter(|line| line.contains("localKeyID")).collect();
        assert!(ids.len() == 2 && ids[0] == ids[1], "{told}");
        let subjects: Vec<_> = told.lines().filter(|line| line.starts_with("subject=")).collect();
        assert_eq!(subjects, ["subject=CN = alice", "subject=CN = issuing", "subject=CN = root"]);
        let pem = &told[told.find("-----BEGIN PRIVATE KEY").unwrap()..];
        assert_eq!(SoftwareKey::from_pem(pem, None).unwrap().public_key_der(), key.public_key_der());
        let wrong = ["pkcs12", "-in", file, "-noout", "-passin", "pass:wrong"];
        assert!(!try_openssl(&wrong).0);
    }
}

#[test]
fn another_implementation_finds_the_same() {
    let key = testing::key(KeyAlgorithm::P256);
    let Chain { leaf, issuers } = chain(key);
    for profile in PROFILES {
        let file = export(profile, key, &leaf, &issuers, NAME, &secret()).unwrap();
        let archive = Pkcs12Archive::from_pkcs12(&file, SECRET).unwrap();
        let [key_bag] = archive.keys.as_slice() else { panic!("{archive:?}") };
        assert_eq!(key_bag.friendly_name.as_deref(), Some(NAME));
        assert_eq!(key_bag.key.as_der(), key.pkcs8_der().as_slice());
        let found: Vec<_> = archive.certs.iter().map(|bag| bag.cert.as_der().to_vec()).collect();
        assert_eq!(found, [&[leaf.clone()][..], &issuers].concat());
        assert_eq!(archive.certs[0].friendly_name.as_deref(), Some(NAME));
        let id = key_bag.local_key_id.as_ref().map(|id| id.as_ref().to_vec());
        assert_eq!(archive.certs[0].local_key_id, id);
        assert!(archive.certs[1..].iter().all(|bag| bag.local_key_id.is_none() && !bag.trusted));
        assert!(Pkcs12Archive::from_pkcs12(&file, "wrong").is_err());
    }
}

#[test]
fn nothing_of_the_key_is_in_the_clear() {
    let key = testing::key(KeyAlgorithm::P256);
    for profile in PROFILES {
        let file = exported(profile, key, NAME);
        let secret = &key.pkcs8_der()[36..60];
        assert!(!file.windows(secret.len()).any(|window| window == secret));
        assert_ne!(file, exported(profile, key, NAME), "salts are fresh");
    }
}

#[test]
fn a_foreign_certificate_is_refused() {
    let key = testing::key(KeyAlgorithm::P256);
    let Chain { leaf, issuers } = chain(testing::key(KeyAlgorithm::P384));
    let error = export(Pkcs12Profile::Modern, key, &leaf, &issuers, NAME, &secret()).unwrap_err();
    assert!(matches!(error, SigningError::KeyMismatch), "{error}");
    let Chain { leaf, .. } = chain(key);
    assert!(export(Pkcs12Profile::Modern, key, &leaf, &[b"x".to_vec()], NAME, &secret()).is_err());
    assert!(export(Pkcs12Profile::Modern, key, b"x", &[], NAME, &secret()).is_err());
}

#[test]
fn passphrases_that_the_format_cannot_carry_are_refused() {
    let key = testing::key(KeyAlgorithm::P256);
    let Chain { leaf, issuers } = chain(key);
    for text in ["", "key \u{1f511}", "tab\t", "nul\0"] {
        let passphrase = Passphrase::from_string(text.into());
        let error = export(Pkcs12Profile::Compat, key, &leaf, &issuers, NAME, &passphrase).unwrap_err();
        assert!(matches!(error, SigningError::BadPassphrase(_)), "{error}");
    }
}

#[test]
fn names_that_the_format_cannot_carry_are_bent() {
    let key = testing::key(KeyAlgorithm::P256);
    for (given, carried) in [("Ann \u{1f511}", Some("Ann \u{fffd}")), ("", None)] {
        let file = exported(Pkcs12Profile::Modern, key, given);
        let archive = Pkcs12Archive::from_pkcs12(&file, SECRET).unwrap();
        assert_eq!(archive.keys[0].friendly_name.as_deref(), carried);
        assert_eq!(archive.certs[0].friendly_name.as_deref(), carried);
    }
}

/// Runs a tool, which must succeed; what it wrote.
fn tool(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {args:?}: {text}");
    text
}

#[test]
fn gnutls_and_nss_read_both_profiles() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alice.p12");
    let file = path.to_str().unwrap();
    let key = testing::key(KeyAlgorithm::P256);
    let Chain { leaf, issuers } = chain(key);
    for profile in PROFILES {
        let plain = Passphrase::from_string("password1".into());
        std::fs::write(&path, export(profile, key, &leaf, &issuers, "Alice", &plain).unwrap().as_slice())
            .unwrap();
        let args = ["--p12-info", "--inder", "--infile", file, "--password", "password1"];
        let told = tool("certtool", &args);
        assert!(told.contains("Friendly name: Alice"), "{told}");
        assert!(told.contains("BEGIN PRIVATE KEY") || told.contains("BEGIN ENCRYPTED"), "{told}");
        let told = tool("pk12util", &["-l", file, "-W", "password1"]);
        assert!(told.contains("Alice"), "{told}");
    }
}

#[test]
fn two_keys_share_one_file() {
    let (signing, encryption) = (testing::key(KeyAlgorithm::P256), testing::key(KeyAlgorithm::P384));
    let Chain { leaf, issuers } = chain(signing);
    let other = testing::certificate(encryption, testing::key(KeyAlgorithm::P256), "CN=alice", "CN=issuing");
    let identities = [
        Identity { key: signing, certificate: &leaf, friendly_name: "Alice (signing)" },
        Identity { key: encryption, certificate: &other, friendly_name: "Alice (encryption)" },
    ];
    for profile in PROFILES {
        let file = export_many(profile, Rounds::Few, &identities, &issuers, &secret()).unwrap();
        let archive = Pkcs12Archive::from_pkcs12(&file, SECRET).unwrap();
        let keys: Vec<_> = archive.keys.iter().map(|bag| bag.key.as_der().to_vec()).collect();
        assert_eq!(keys, identities.map(|identity| identity.key.pkcs8_der().to_vec()));
        assert_eq!(archive.certs.len(), 4);
        for (key, certificate) in archive.keys.iter().zip(&archive.certs) {
            assert_eq!(key.friendly_name, certificate.friendly_name);
            assert_eq!(
                key.local_key_id.as_ref().map(|id| id.as_ref().to_vec()),
                certificate.local_key_id.clone()
            );
        }
        assert!(export_many(profile, Rounds::Few, &[], &issuers, &secret()).is_err());
    }
}

#[test]
fn what_was_written_is_read() {
    for profile in PROFILES {
        let keys = [testing::key(KeyAlgorithm::P256), testing::key(KeyAlgorithm::P384)];
        let chains = keys.map(chain);
        let identities =
            [0, 1].map(|at| Identity { key: keys[at], certificate: &chains[at].leaf, friendly_name: NAME });
        let file = export_many(profile, Rounds::Few, &identities, &chains[0].issuers, &secret()).unwrap();
        let opened = open(&file, &secret()).unwrap();
        assert_eq!(opened.len(), 2);
        for (at, identity) in opened.iter().enumerate() {
            assert_eq!(identity.key.public_key_der(), keys[at].public_key_der());
            assert_eq!(identity.certificate, chains[at].leaf);
        }
        let wrong = open(&file, &Passphrase::from_string("wrong".into())).unwrap_err();
        assert!(matches!(wrong, SigningError::WrongPassphrase), "{wrong}");
        // No change of one octet passes, and none makes it panic.
        for at in (0..file.len()).step_by(7) {
            let mut changed = file.to_vec();
            changed[at] ^= 1;
            assert!(open(&changed, &secret()).is_err() || at < 40 || at > file.len() - 60, "{at}");
        }
        for length in (0..file.len()).step_by(31) {
            assert!(open(&file[..length], &secret()).is_err());
        }
    }
}

#[test]
fn what_openssl_writes_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let key = testing::key(KeyAlgorithm::P256);
    let Chain { leaf, .. } = chain(key);
    std::fs::write(path("key.pem"), key.to_plain_pem().unwrap().as_bytes()).unwrap();
    std::fs::write(path("cert.der"), &leaf).unwrap();
    openssl(&["x509", "-inform", "DER", "-in", &path("cert.der"), "-out", &path("cert.pem")]);
    let (key_file, certificate, out) = (path("key.pem"), path("cert.pem"), path("out.p12"));
    let pass = format!("pass:{SECRET}");
    let write = |more: &[&str]| {
        let first = ["pkcs12", "-export", "-inkey", &key_file, "-in", &certificate];
        let last = ["-passout", &pass, "-out", &out];
        openssl(&[&first[..], more, &last].concat());
        std::fs::read(&out).unwrap()
    };
    let compat = ["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"];
    for more in [&[][..], &compat, &["-certpbe", "NONE"]] {
        let opened = open(&write(more), &secret()).unwrap();
        assert_eq!(opened.len(), 1, "{more:?}");
        assert_eq!(opened[0].certificate, leaf);
    }
    let refused = |more: &[&str]| open(&write(more), &secret()).unwrap_err().to_string();
    assert!(refused(&["-legacy", "-certpbe", "PBE-SHA1-RC2-40"]).contains("algorithm 1.2.840"));
    assert!(refused(&["-nomac"]).contains("no MAC"));
    assert!(refused(&["-iter", "1000001", "-macalg", "sha1"]).contains("out of range"));
}
