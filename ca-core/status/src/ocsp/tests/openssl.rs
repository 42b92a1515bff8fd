//! Requests made by OpenSSL, responses verified by OpenSSL and GnuTLS.

use std::fs;
use std::path::Path;

use super::*;
use crate::testing::{openssl, run};

struct Bench {
    site: Site,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new(algorithm: KeyAlgorithm) -> Self {
        let bench = Self { site: Site::new(algorithm), dir: tempfile::tempdir().unwrap() };
        bench.site.authority.write_pem(Path::new(&bench.file("ca.pem")));
        bench
    }

    fn file(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// Lets OpenSSL ask about a serial and verify what we answer.
    fn ask(&self, number: u64, options: &[&str]) -> (Answer, String) {
        let (request, response, ca) = (self.file("q.der"), self.file("r.der"), self.file("ca.pem"));
        let number = number.to_string();
        let mut make = vec!["ocsp", "-issuer", &ca];
        make.extend(options);
        make.extend(["-serial", &number, "-reqout", &request]);
        let (made, text) = openssl(&make);
        assert!(made, "{text}");
        let answer = self.site.answer(&fs::read(&request).unwrap());
        fs::write(&response, &answer.der).unwrap();
        // Once with the request at hand, for the nonce, and once by the serial, for the times.
        let verify = ["ocsp", "-issuer", &ca, "-CAfile", &ca, "-respin", &response];
        let (_, mut text) = openssl(&[&verify[..], &["-reqin", &request, "-resp_text"]].concat());
        if matches!(answer.class, AnswerClass::Error(_)) {
            return (answer, text);
        }
        assert!(text.contains("Response verify OK"), "{options:?}: {text}");
        let mut check = verify.to_vec();
        check.extend(options.iter().filter(|option| !option.ends_with("nonce")));
        check.extend(["-no_nonce", "-serial", &number]);
        text += &openssl(&check).1;
        (answer, text)
    }
}

#[test]
fn openssl_verifies_every_status() {
    for algorithm in [KeyAlgorithm::Rsa2048, KeyAlgorithm::P256, KeyAlgorithm::P384] {
        let bench = Bench::new(algorithm);
        for options in [&["-no_nonce"][..], &["-nonce"], &["-sha256", "-no_nonce"], &["-sha256", "-nonce"]] {
            for (number, status) in
                [(5, ": good"), (6, ": revoked"), (7, "Reason: keyCompromise"), (99, ": unknown")]
            {
                let (answer, text) = bench.ask(number, options);
                assert_eq!(text.matches("Response verify OK").count(), 2, "{algorithm} {options:?}: {text}");
                assert!(text.contains(&format!("{number}: ")) && text.contains(status), "{text}");
                assert!(!text.contains("WARNING: Status times invalid"), "{text}");
                assert_eq!(text.contains("OCSP Nonce"), options.contains(&"-nonce"));
                assert_eq!(answer.cacheable.is_none(), options.contains(&"-nonce"));
            }
        }
    }
}

#[test]
fn openssl_reads_the_extended_revoke_and_the_errors() {
    let mut bench = Bench::new(KeyAlgorithm::P256);
    bench.site.policy.never_issued = NeverIssued::Revoked;
    let (_, text) = bench.ask(99, &["-no_nonce"]);
    assert!(text.contains("Response verify OK") && text.contains("certificateHold"), "{text}");
    assert!(text.contains("Jan  1 00:00:00 1970"), "{text}");
    bench.site.policy.never_issued = NeverIssued::Unauthorized;
    let (_, text) = bench.ask(99, &["-no_nonce"]);
    assert!(text.contains("unauthorized (6)"), "{text}");
}

#[test]
fn gnutls_verifies_the_delegate() {
    for algorithm in [KeyAlgorithm::Rsa2048, KeyAlgorithm::P256] {
        let bench = Bench::new(algorithm);
        let (ca, response) = (bench.file("ca.pem"), bench.file("r.der"));
        for number in [5, 7, 99] {
            bench.ask(number, &["-no_nonce"]);
            let (good, text) =
                run("ocsptool", &["--verify-response", "--load-trust", &ca, "--load-response", &response]);
            assert!(good && text.contains("Verifying OCSP Response: Success"), "{algorithm}: {text}");
        }
    }
}
