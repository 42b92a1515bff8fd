//! GnuTLS as a client: ocsptool and certtool.

use chancery_tests::home::P12_PASSWORD;
use chancery_tests::{Outcome, Pki};

fn people(key: &str) -> Pki {
    let pki = Pki::start(key);
    for person in ["alice", "mallory"] {
        pki.person(person, "smime-dual", if key == "p256" { key } else { "rsa-2048" });
        let chain = [format!("{person}.crt"), "issuing.crt".to_owned()].map(|name| pki.home.read(&name));
        pki.home.write_private(&format!("{person}.chain"), chain.concat());
    }
    pki.revoke("mallory", "affiliationChanged");
    pki
}

/// ocsptool finds the responder in the certificate and verifies the answer.
fn asked(pki: &Pki, person: &str) -> Outcome {
    pki.home.tool("ocsptool", &format!("--ask --load-chain {person}.chain --load-trust chain.pem")).run()
}

fn verified(pki: &Pki, person: &str) -> Outcome {
    pki.fetch_crl("issuing");
    pki.home
        .tool("certtool", "--verify --load-ca-certificate chain.pem --load-crl issuing.crl.pem")
        .words("--verify-purpose 1.3.6.1.5.5.7.3.4")
        .words(&format!("--infile {person}.crt --verify-email {person}@example.test"))
        .run()
}

fn status_and_crl(key: &str) {
    let pki = people(key);

    asked(&pki, "alice").ok().says(&["Certificate Status: good", "Verifying OCSP Response: Success"]);
    asked(&pki, "mallory").says(&[
        "Certificate Status: revoked",
        "Revocation time:",
        "Verifying OCSP Response: Success",
    ]);

    let answer =
        format!("--ask={}/ --load-cert alice.crt --load-issuer issuing.crt", pki.responder_gate.url());
    pki.home.tool("ocsptool", &answer).words("--load-trust issuing.crt --outfile alice.ocsp").ok();
    pki.home
        .tool("ocsptool", "--verify-response --load-response alice.ocsp --load-trust issuing.crt")
        .ok()
        .says(&["Verifying OCSP Response: Success."]);

    verified(&pki, "alice").ok().says(&["Chain verification output: Verified."]);
    verified(&pki, "mallory").says(&["The certificate chain is revoked."]);

    let crl = pki.home.read("issuing.crl.pem");
    pki.home
        .tool("certtool", "--verify-crl --load-ca-certificate chain.pem")
        .input(crl)
        .ok()
        .says(&["Verification output: Verified."]);
}

#[test]
fn status_and_crl_with_rsa() {
    status_and_crl("rsa-3072");
}

#[test]
fn status_and_crl_with_p256() {
    status_and_crl("p256");
}

#[test]
fn an_address_that_the_certificate_does_not_have_is_no_match() {
    let pki = Pki::start("p256");
    pki.person("alice", "smime-dual", "p256");
    pki.fetch_crl("issuing");
    let outcome = pki
        .home
        .tool("certtool", "--verify --load-ca-certificate chain.pem --infile alice.crt")
        .words("--verify-email eve@example.test")
        .run();
    assert_ne!(outcome.code, Some(0), "{}", outcome.transcript());
}

#[test]
fn reads_both_kinds_of_pkcs12() {
    let pki = Pki::without_daemons("p256");
    for (profile, cipher) in [("modern", "PBES2-AES256-CBC"), ("compat", "PKCS12-3DES-SHA1")] {
        pki.home
            .issue_p12("smime-encryption", "alice@example.test", "rsa-2048", profile)
            .args(["--p12-profile", profile])
            .ok();
        pki.home
            .tool("certtool", &format!("--p12-info --inder --infile {profile}.p12"))
            .args(["--password", P12_PASSWORD])
            .ok()
            .says(&[cipher, "PRIVATE KEY-----", "Friendly name:"]);
    }
}
