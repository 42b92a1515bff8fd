//! Requests with keys that must not be certified, each refused for its reason.

use chancery_tests::home::PASSPHRASE;
use chancery_tests::openssl::{self, Key};
use chancery_tests::tool::{python, source_root};
use chancery_tests::{Home, Tool};

fn home() -> Home {
    let home = Home::prepared();
    Tool::new(python()).arg(source_root().join("tests/requests/hostile.py")).arg(home.path("requests")).ok();
    home
}

/// Requires a refusal by policy that says all the words, with nothing issued.
#[track_caller]
fn refused(home: &Home, csr: &str, email: &str, code: i32, words: &[&str]) {
    let before = home.serials();
    let outcome = home.issue_csr("smime-dual", email, &home.path(csr), "never").run();
    assert_eq!(outcome.code, Some(code), "{csr}\n{}", outcome.transcript());
    let said = outcome.stderr.to_lowercase();
    assert!(words.iter().all(|word| said.contains(word)), "{csr}: no {words:?}\n{}", outcome.transcript());
    assert!(!home.path("never.crt").exists(), "{csr}");
    assert_eq!(home.serials(), before, "{csr}");
}

#[test]
fn made_by_hand() {
    let home = home();
    for (request, words) in [
        ("signed-by-another-key", &["signature"][..]),
        ("forged-signature", &["signature"]),
        ("empty-signature", &["signature"]),
        ("rsa-exponent-1", &["exponent"]),
        ("rsa-exponent-3", &["exponent"]),
        ("rsa-exponent-even", &["exponent"]),
        ("rsa-exponent-huge", &["exponent"]),
        ("rsa-1024", &["1024"]),
        ("rsa-2047", &["2047"]),
        ("rsa-roca", &["roca"]),
        ("rsa-close-primes", &["close"]),
        ("rsa-small-factor", &["divisible by 743"]),
        ("rsa-even-modulus", &[]),
        ("ec-off-the-curve", &["curve"]),
        ("ec-infinity", &["point"]),
        ("ec-empty-point", &["point"]),
        ("ec-zero-point", &["curve"]),
        ("ec-coordinate-too-large", &[]),
        ("ec-unknown-curve", &["curve"]),
        ("unknown-algorithm", &["1.2.3.4.5"]),
    ] {
        refused(&home, &format!("requests/{request}.csr"), "carol@example.test", 3, words);
    }
}

#[test]
fn made_by_openssl() {
    let home = home();
    for (name, options) in [
        ("explicit", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit"),
        ("pss", "-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048"),
        ("ed25519", "-algorithm ED25519"),
        ("secp256k1", "-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1"),
        ("p224", "-algorithm EC -pkeyopt ec_paramgen_curve:P-224"),
        ("ed448", "-algorithm ED448"),
    ] {
        home.tool("openssl", "genpkey").words(options).arg("-out").arg(format!("{name}.key")).ok();
        openssl::csr_of_key(&home, name, name);
        refused(&home, &format!("{name}.csr"), "carol@example.test", 3, &[]);
    }
}

/// Bytes that are no request at all are a failure of the input, not of a policy.
#[test]
fn no_requests_at_all() {
    let home = home();
    for request in
        ["truncated", "trailing-bytes", "huge-length", "deep", "indefinite-length", "empty-sequence"]
    {
        let csr = home.path(format!("requests/{request}.csr"));
        let outcome = home.issue_csr("smime-dual", "carol@example.test", &csr, "never").run();
        assert!(matches!(outcome.code, Some(1..=3)), "{request}\n{}", outcome.transcript());
        assert!(!outcome.stderr.contains("panicked"), "{request}\n{}", outcome.transcript());
    }
    for (name, content) in [
        ("empty", ""),
        ("text", "hello"),
        ("key", &home.read("alice.key")),
        ("cert", &home.read("alice.crt")),
    ] {
        let csr = home.write_private(&format!("{name}.csr"), content);
        let outcome = home.issue_csr("smime-dual", "carol@example.test", &csr, "never").run();
        assert!(matches!(outcome.code, Some(1..=3)), "{name}\n{}", outcome.transcript());
        assert!(!outcome.everything().contains("PRIVATE KEY"), "a key in an error message");
    }
}

#[test]
fn keys_of_the_authority() {
    let home = home();
    for authority in ["issuing", "root"] {
        home.tool("openssl", "req -new -batch -subj /CN=x -out ca.csr -key")
            .arg(format!("home/authorities/{authority}/key.pem"))
            .args(["-passin", &format!("pass:{PASSPHRASE}")])
            .ok();
        refused(&home, "ca.csr", "carol@example.test", 3, &["authority"]);
    }
}

#[test]
fn keys_of_other_people_and_revoked_ones() {
    let home = home();
    refused(&home, "alice.csr", "carol@example.test", 3, &["alice@example.test"]);
    // Revoked for compromise: not even for the same person again.
    refused(&home, "mallory.csr", "mallory@example.test", 3, &["revoked"]);
    refused(&home, "mallory.csr", "carol@example.test", 3, &[]);
    // The same person may renew with the same key.
    home.issue_csr("smime-dual", "alice@example.test", &home.path("alice.csr"), "again").ok();
}

#[test]
fn good_keys_are_taken() {
    let home = home();
    for (name, key) in [("a", Key::Rsa2048), ("b", Key::Rsa3072), ("c", Key::P256), ("d", Key::P384)] {
        let csr = openssl::csr(&home, name, key);
        home.issue_csr("smime-dual", &format!("{name}@example.test"), &csr, name).ok();
    }
}
