//! OpenSSL as a client: CMS with CRL checking, OCSP, PKCS#12 and keys.

use chancery_tests::home::{P12_PASSWORD, PASSPHRASE};
use chancery_tests::openssl::Key;
use chancery_tests::{Outcome, Pki};

/// Bob signs, encrypts to alice; mallory's certificate is revoked.
fn people(key: &str) -> Pki {
    let pki = Pki::start(key);
    for person in ["alice", "bob", "mallory"] {
        pki.person(person, "smime-dual", key_of_people(key));
    }
    pki.home.write_private("mail.txt", "Content-Type: text/plain\r\n\r\nHello Alice.\r\n");
    pki
}

fn key_of_people(key: &str) -> &str {
    if key.starts_with("rsa") { "rsa-2048" } else { key }
}

fn sign(pki: &Pki, person: &str) {
    pki.home
        .tool("openssl", "cms -sign -md sha256 -in mail.txt -certfile issuing.crt")
        .args(["-signer", &format!("{person}.crt"), "-inkey", &format!("{person}.key")])
        .args(["-out", &format!("signed-{person}.eml")])
        .ok();
}

fn verify(pki: &Pki, person: &str) -> Outcome {
    pki.trust_with_crls();
    pki.home
        .tool(
            "openssl",
            "cms -verify -CAfile trust+crls.pem -crl_check_all -purpose smimesign -out verified.txt",
        )
        .args(["-in", &format!("signed-{person}.eml")])
        .run()
}

fn mail_and_status(key: &str) {
    let pki = people(key);

    sign(&pki, "bob");
    verify(&pki, "bob").ok();
    assert!(pki.home.read("verified.txt").contains("Hello Alice."));

    sign(&pki, "mallory");
    verify(&pki, "mallory").ok();
    pki.ocsp("mallory").says(&["mallory.crt: good", "This Update", "Next Update"]);

    pki.home.tool("openssl", "cms -encrypt -aes256 -in signed-bob.eml -out encrypted.eml alice.crt").ok();
    pki.home
        .tool(
            "openssl",
            "cms -decrypt -in encrypted.eml -recip alice.crt -inkey alice.key -out signed-bob.eml",
        )
        .ok();
    verify(&pki, "bob").ok();

    pki.revoke("mallory", "keyCompromise");
    pki.ocsp("mallory").says(&["mallory.crt: revoked", "Reason: keyCompromise", "Revocation Time"]);
    pki.ocsp("bob").says(&["bob.crt: good"]);
    verify(&pki, "mallory").fails(4, &["certificate revoked"]);
    verify(&pki, "bob").ok();
}

#[test]
fn signs_verifies_encrypts_decrypts_with_rsa() {
    mail_and_status("rsa-3072");
}

#[test]
fn signs_verifies_encrypts_decrypts_with_p256() {
    mail_and_status("p256");
}

#[test]
fn the_issuing_ca_itself_has_a_status() {
    let pki = Pki::start("p256");
    let url = format!("{}/", pki.responder_gate.url());
    chancery_tests::openssl::ocsp(&pki.home, "root.crt", "issuing.crt", "root.crt", &url)
        .says(&["issuing.crt: good"]);
}

#[test]
fn a_signing_certificate_does_not_encrypt_and_the_other_way_round() {
    let pki = Pki::start("p256");
    pki.person_by_request("alice-sign", "smime-signing", Key::Rsa2048);
    pki.person("alice-enc", "smime-encryption", "rsa-2048");
    for (person, purpose, good) in [
        ("alice-sign", "smimesign", true),
        ("alice-sign", "smimeencrypt", false),
        ("alice-enc", "smimesign", false),
        ("alice-enc", "smimeencrypt", true),
    ] {
        let outcome = pki
            .home
            .tool(
                "openssl",
                &format!("verify -purpose {purpose} -CAfile root.crt -untrusted issuing.crt {person}.crt"),
            )
            .run();
        assert_eq!(outcome.code == Some(0), good, "{}", outcome.transcript());
    }
}

#[test]
fn reads_the_keys_of_the_authorities() {
    let pki = Pki::without_daemons("p256");
    let key = "home/authorities/root/key.pem";
    assert!(pki.home.read(key).starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    let from_key = pki
        .home
        .tool("openssl", "pkey -pubout -in")
        .args([key, "-passin", &format!("pass:{PASSPHRASE}")])
        .ok()
        .text();
    let from_certificate = pki.home.tool("openssl", "x509 -noout -pubkey -in root.crt").ok().text();
    assert_eq!(from_key, from_certificate);
    pki.home.tool("openssl", "pkey -noout -in").args([key, "-passin", "pass:wrong"]).fails_to_run();
}

#[test]
fn opens_both_kinds_of_pkcs12() {
    let pki = Pki::without_daemons("p256");
    for profile in ["modern", "compat"] {
        pki.home
            .issue_p12("smime-encryption", "alice@example.test", "rsa-2048", profile)
            .args(["--p12-profile", profile])
            .ok();
        let info = pki
            .home
            .tool("openssl", &format!("pkcs12 -info -noenc -in {profile}.p12"))
            .args(["-passin", &format!("pass:{P12_PASSWORD}")])
            .ok();
        // Key, leaf and chain, under a name that a person recognises.
        let info = info.says(&["-----BEGIN PRIVATE KEY-----", "friendlyName:", "localKeyID:"]);
        assert!(info.text().matches("-----BEGIN CERTIFICATE-----").count() >= 2, "{}", info.transcript());
        match profile {
            "modern" => info.says(&["AES-256-CBC", "hmacWithSHA256"]).never_says(&["RC2", "3-KeyTripleDES"]),
            _ => info.says(&["pbeWithSHA1And3-KeyTripleDES-CBC", "MAC: sha1"]).never_says(&["RC2"]),
        };
    }
}

/// A command that has to fail, whatever its exit code.
trait Fails {
    fn fails_to_run(self);
}

impl Fails for chancery_tests::Tool {
    #[track_caller]
    fn fails_to_run(self) {
        let outcome = self.run();
        assert_ne!(outcome.code, Some(0), "{}", outcome.transcript());
    }
}
