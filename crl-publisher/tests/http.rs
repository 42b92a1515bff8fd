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

const ROOT: &str = "  - name: root\n    certificate: root.pem\n    mode: distribute\n    source: root.crl\n";

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
    assert_eq!(crl.header("cache-control"), "public, max-age=3600, no-transform, stale-if-error=600900");
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

/// Short ones are served from memory, long ones from files; to a client it is the same.
#[test]
fn in_parts_and_packed() {
    for entries in [200, 40_000] {
        let bench = Bench::new();
        let crl = bench.make_long_crl(&bench.root, 1, 90 * DAY, entries);
        bench.write("root.crl", &crl);
        let running = bench.open(ROOT).start(([127, 0, 0, 1], 0).into()).unwrap();
        let get =
            |fields: &[(&str, &str)]| client::request(running.address(), "GET", "/crl/root.crl", fields, b"");
        let whole = get(&[]);
        assert!(whole.status == 200 && whole.body == crl && whole.header("content-encoding").is_empty());
        assert_eq!((whole.header("vary"), whole.header("accept-ranges")), ("accept-encoding", "bytes"));
        let tag = whole.header("etag").to_owned();

        let length = crl.len();
        let part = get(&[("Range", "bytes=10-19"), ("If-Range", &tag), ("Accept-Encoding", "gzip")]);
        assert_eq!((part.status, part.body.as_slice()), (206, &crl[10..20]));
        assert_eq!(part.header("content-range"), format!("bytes 10-19/{length}"));
        assert_eq!((part.header("content-length"), part.header("etag")), ("10", tag.as_str()));
        let end = get(&[("Range", "bytes=-7")]);
        assert_eq!((end.status, end.body.as_slice()), (206, &crl[length - 7..]));
        let beyond = get(&[("Range", &format!("bytes={length}-"))]);
        assert_eq!(
            (beyond.status, beyond.header("content-range")),
            (416, format!("bytes */{length}").as_str())
        );
        for fields in
            [[("Range", "bytes=0-9"), ("If-Range", "\"other\"")], [("Range", "bytes=0-1,5-6"), ("X", "")]]
        {
            let all = get(&fields);
            assert_eq!((all.status, all.body.len()), (200, length));
        }
        let unchanged = get(&[("Range", "bytes=0-9"), ("If-None-Match", &tag)]);
        assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
        let head =
            client::request(running.address(), "HEAD", "/crl/root.crl", &[("Range", "bytes=0-9")], b"");
        assert_eq!((head.status, head.header("content-length")), (200, length.to_string().as_str()));

        // Packed once, when somebody asks for it first.
        let packed = eventually("the packed form", || {
            let answer = get(&[("Accept-Encoding", "gzip")]);
            (answer.header("content-encoding") == "gzip").then_some(answer)
        });
        assert!(packed.status == 200 && packed.body.len() < length && packed.header("etag") != tag);
        assert_eq!(packed.header("content-type"), "application/pkix-crl");
        let packed_tag = packed.header("etag").to_owned();
        for (known, shown) in [(&packed_tag, &packed_tag), (&tag, &tag)] {
            let again = get(&[("Accept-Encoding", "gzip"), ("If-None-Match", known)]);
            assert_eq!((again.status, again.header("etag")), (304, shown.as_str()));
        }
        let rest = get(&[("Accept-Encoding", "gzip"), ("Range", "bytes=5-"), ("If-Range", &packed_tag)]);
        assert_eq!((rest.status, rest.header("content-encoding")), (206, "gzip"));
        assert_eq!(rest.body, packed.body[5..]);
        assert_eq!(get(&[("Accept-Encoding", "gzip;q=0")]).body, crl);

        // A real client unpacks it, and goes on where it was cut.
        let url = format!("http://{}/crl/root.crl", running.address());
        let curl =
            |words: &[&str]| Command::new("curl").args(["-sf"]).args(words).arg(&url).output().unwrap();
        assert_eq!(curl(&["--compressed"]).stdout, crl);
        let cut = bench.write("cut", &crl[..length / 2]);
        assert!(curl(&["-C", "-", "-o", cut.to_str().unwrap()]).status.success());
        assert_eq!(std::fs::read(cut).unwrap(), crl);

        // The next one is packed anew.
        let next = bench.make_long_crl(&bench.root, 2, 90 * DAY, entries + 1);
        bench.write("root.crl", &next);
        eventually("the next CRL", || (get(&[]).body == next).then_some(()));
        eventually("the next CRL packed", || {
            (get(&[("Accept-Encoding", "gzip")]).header("content-encoding") == "gzip").then_some(())
        });
        assert_eq!(curl(&["--compressed"]).stdout, next);
        running.stop();
    }
}

#[test]
fn while_we_cannot_be_reached_caches_may_use_it_to_its_end() {
    let bench = Bench::new();
    bench.write("root.crl", &bench.make_crl(&bench.root, 1, DAY));
    let running = bench.open(ROOT).start(([127, 0, 0, 1], 0).into()).unwrap();
    let control = || client::get(running.address(), "/crl/root.crl").header("cache-control").to_owned();
    assert_eq!(control(), "public, max-age=3600, no-transform, stale-if-error=82800");
    bench.clock.advance(DAY - 1_800);
    assert_eq!(control(), "public, max-age=1800, no-transform, must-revalidate");
    bench.clock.advance(1_800);
    assert_eq!(control(), "public, max-age=60, no-transform, must-revalidate");
    let certificate = client::get(running.address(), "/ca/root.crt");
    assert_eq!(
        certificate.header("cache-control"),
        "public, max-age=86400, no-transform, stale-if-error=604800"
    );
    running.stop();
}

#[test]
fn nobody_keeps_a_crl_longer_than_to_the_next() {
    let bench = Bench::new();
    let daemon = bench.signer(
        "    interval: 30m\n    url: http://a.test/crl/{name}.crl\n    delta: {validity: 2h, interval: 10m}\n",
    );
    let running = daemon.start(([127, 0, 0, 1], 0).into()).unwrap();
    let fresh = |name: &str| {
        let answer = client::get(running.address(), &format!("/crl/{name}.crl"));
        let control = answer.header("cache-control");
        control.split(", ").nth(1).unwrap().to_owned()
    };
    assert_eq!((fresh("issuing").as_str(), fresh("issuing-delta").as_str()), ("max-age=1800", "max-age=600"));
    bench.clock.advance(500);
    assert_eq!((fresh("issuing").as_str(), fresh("issuing-delta").as_str()), ("max-age=1300", "max-age=100"));
    running.stop();
}

#[test]
fn a_chain_must_lead_on() {
    let bench = Bench::new();
    let mut daemon = bench.open(BOTH);
    let error = daemon.alarms().detail("certificate issuing").unwrap();
    assert!(error.contains("did not issue") && error.contains("root.pem"), "{error}");
    // Its CRL needs no chain.
    daemon.tick();
    assert_eq!(bench.crl().serials, []);
    assert!(!bench.published("chain/issuing.pem").exists());
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
