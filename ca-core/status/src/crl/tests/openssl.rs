//! CRLs as OpenSSL and GnuTLS see them.

use std::fs;
use std::path::Path;

use super::*;
use crate::testing::{openssl, run};

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_str().unwrap().to_owned()
}

#[test]
fn openssl_verifies_and_applies_the_crl() {
    for algorithm in [KeyAlgorithm::Rsa2048, KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Ed25519] {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| path(dir.path(), name);
        let authority = Holder::authority(algorithm, "CN=Toy,O=Chancery Test,C=DE");
        let end = now().saturating_add(90 * DAY);
        authority.write_pem(dir.path().join("ca.pem").as_path());
        for number in [5, 6, 7] {
            let holder = authority.issue(KeyAlgorithm::P256, serial(number), end, Vec::new());
            holder.write_pem(dir.path().join(format!("{number}.pem")).as_path());
        }
        let list = [
            revoked(5, ReasonCode::KeyCompromise, Some(at(1_600_000_000))),
            revoked(6, ReasonCode::CertificateHold, None),
        ];
        fs::write(file("a.crl"), write(&params(&authority, 0x0123_4567_89ab), &list, &*authority.key))
            .unwrap();
        let convert = ["crl", "-inform", "DER", "-in", &file("a.crl"), "-out", &file("a.pem")];
        assert!(openssl(&convert).0);

        let (good, text) =
            openssl(&["crl", "-in", &file("a.pem"), "-CAfile", &file("ca.pem"), "-noout", "-text"]);
        assert!(good && text.contains("verify OK"), "{algorithm}: {text}");
        for part in ["Version 2", "Invalidity Date", "Key Compromise", "Certificate Hold", "1250999896491"] {
            assert!(text.contains(part), "{algorithm}: no {part} in {text}");
        }
        let (good, text) = run(
            "certtool",
            &["--verify-crl", "--load-ca-certificate", &file("ca.pem"), "--infile", &file("a.pem")],
        );
        assert!(good && text.contains("Verification output: Verified"), "{algorithm}: {text}");
        for (number, wanted) in [(5, "certificate revoked"), (6, "certificate revoked"), (7, "OK")] {
            let leaf = file(&format!("{number}.pem"));
            let (good, text) = openssl(&[
                "verify",
                "-crl_check",
                "-CAfile",
                &file("ca.pem"),
                "-CRLfile",
                &file("a.pem"),
                &leaf,
            ]);
            assert_eq!(good, number == 7, "{algorithm}: {text}");
            assert!(text.contains(wanted), "{algorithm}: {text}");
        }
    }
}

#[test]
fn openssl_takes_an_empty_crl_with_a_distribution_point() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| path(dir.path(), name);
    let authority = Holder::authority(KeyAlgorithm::Rsa2048, "CN=Toy");
    authority.write_pem(dir.path().join("ca.pem").as_path());
    let scope = Some(distribution_point("http://crl.example.test/crl/toy.crl").unwrap());
    let der = write(&CrlParams { scope, ..params(&authority, 1) }, &[], &*authority.key);
    fs::write(file("a.crl"), der).unwrap();
    let (good, text) = openssl(&[
        "crl",
        "-inform",
        "DER",
        "-in",
        &file("a.crl"),
        "-CAfile",
        &file("ca.pem"),
        "-noout",
        "-text",
    ]);
    assert!(good && text.contains("verify OK"), "{text}");
    assert!(text.contains("No Revoked Certificates"), "{text}");
    assert!(text.contains("Issuing Distribution Point: critical"), "{text}");
}
