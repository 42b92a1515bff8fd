//! What is served, and the daemon as a whole.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::process::Command;

use ca_service::Running;
use ca_service::conditional::http_date;
use ca_service::fixture::client::{self, eventually};
use common::{Bench, DAY, told};

const BOTH: &str = "  - name: issuing
    certificate: ca.pem
    chain: root.pem
    mode: sign
    key: ca.key
    after_revocation: 0s
  - name: root
    certificate: root.pem
    mode: distribute
    source: root.crl
";

/// A publisher of both authorities that serves; the toy chain of two roots left out.
fn start(bench: &Bench) -> Running {
    bench.write("root.crl", &bench.make_crl(&bench.root, 1, 90 * DAY));
    let authorities = BOTH.replace("    chain: root.pem\n", "");
    bench.open(&authorities).start(([127, 0, 0, 1], 0).into()).unwrap()
}

#[test]
fn types_validators_and_unknown_paths() {
    let bench = Bench::new();
    let running = start(&bench);
    let address = running.address();
    for (path, content_type) in [
        ("/crl/issuing.crl", "application/pkix-crl"),
        ("/crl/issuing.pem", "application/x-pem-file"),
        ("/crl/root.crl", "application/pkix-crl"),
        ("/crl/bundle.pem", "application/x-pem-file"),
        ("/ca/issuing.crt", "application/pkix-cert"),
        ("/ca/issuing.p7c", "application/pkcs7-mime; smime-type=certs-only"),
        ("/chain/issuing.pem", "application/x-pem-file"),
    ] {
        let response = client::get(address, path);
        assert_eq!((response.status, response.header("content-type")), (200, content_type), "{path}");
        assert_eq!(response.body, std::fs::read(bench.published(&path[1..])).unwrap(), "{path}");
        let tag = response.header("etag").to_owned();
        let modified = response.header("last-modified").to_owned();
        for (name, value) in [("If-None-Match", &tag), ("If-Modified-Since", &modified)] {
            let again = client::request(address, "GET", path, &[(name, value)], b"");
            assert_eq!((again.status, again.body.len()), (304, 0), "{path} {name}");
        }
        let head = client::request(address, "HEAD", path, &[], b"");
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), response.body.len().to_string());
        assert_eq!(client::request(address, "POST", path, &[], b"x").status, 405);
    }
    let crl = client::get(address, "/crl/issuing.crl");
    assert_eq!(crl.header("cache-control"), "public, max-age=3600, no-transform, must-revalidate");
    assert_eq!(crl.header("last-modified"), http_date(bench.crl().this_update));
    for path in [
        "/",
        "/crl/",
        "/crl/../crl/issuing.crl",
        "/crl/%2e%2e/issuing.crl",
        "/ca.key",
        "/../ca.key",
        "/crl/.issuing.crl.new",
        "/etc/passwd",
    ] {
        assert_eq!(client::get(address, path).status, 404, "{path}");
    }
    assert_eq!(client::get(address, "/healthz").status, 200);
    running.stop();
}

#[test]
fn a_revocation_reaches_the_served_crl() {
    let mut bench = Bench::new();
    let serial = bench.issue();
    let running = start(&bench);
    let address = running.address();
    let before = told(&client::get(address, "/crl/issuing.crl").body, &bench.ca);
    assert_eq!(before.serials, []);
    bench.revoke(serial);
    let after = eventually("the new CRL", || {
        let crl = told(&client::get(address, "/crl/issuing.crl").body, &bench.ca);
        (crl.serials == [serial]).then_some(crl)
    });
    assert!(after.number > before.number);
    let bundle = client::get(address, "/crl/bundle.pem").body;
    assert_eq!(String::from_utf8(bundle).unwrap().matches("BEGIN X509 CRL").count(), 2);

    // A new source is noticed.
    bench.write("root.crl", &bench.make_crl(&bench.root, 2, 90 * DAY));
    eventually("the root's CRL", || {
        let crl = told(&client::get(address, "/crl/root.crl").body, &bench.root);
        (crl.number == 2.into()).then_some(())
    });
    running.stop();
}

#[test]
fn a_chain_must_lead_on() {
    let bench = Bench::new();
    let error = crl_publisher::Daemon::open(bench.config(BOTH), std::sync::Arc::new(bench.clock.clone()));
    let error = error.err().unwrap().to_string();
    assert!(error.contains("did not issue") && error.contains("root.pem"), "{error}");
}

#[test]
fn openssl_reads_what_is_published() {
    let mut bench = Bench::new();
    let serial = bench.issue();
    bench.revoke(serial);
    let mut daemon = bench.signer("");
    daemon.tick();
    let run = |args: &[&str], file: &str| {
        let output =
            Command::new("openssl").args(args).arg("-in").arg(bench.published(file)).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let ca = bench.home("ca.pem");
    let ca = ca.to_str().unwrap();
    let crl = run(&["crl", "-inform", "DER", "-text", "-noout", "-CAfile", ca], "crl/issuing.crl");
    assert!(crl.contains("verify OK") && crl.contains("Key Compromise"), "{crl}");
    assert!(crl.contains(&serial.to_string().to_uppercase()), "{crl}");
    assert!(run(&["crl", "-noout", "-CAfile", ca], "crl/bundle.pem").contains("verify OK"));
    let p7c = run(&["pkcs7", "-inform", "DER", "-print_certs", "-noout"], "ca/issuing.p7c");
    assert!(p7c.contains("CN = Issuing CA"), "{p7c}");
    assert!(run(&["x509", "-inform", "DER", "-subject", "-noout"], "ca/issuing.crt").contains("Issuing CA"));
    assert!(run(&["x509", "-subject", "-noout"], "chain/issuing.pem").contains("Issuing CA"));
}
