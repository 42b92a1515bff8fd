//! OCSP over HTTP: the forms of requests, the headers, the limits.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ca_service::conditional::http_date;
use ca_service::fixture::client::{self, exchange};
use ca_status::ocsp::{CertHash, ErrorStatus, request, view};
use common::{Bench, path_of};

#[test]
fn requests_in_every_form() {
    let mut bench = Bench::idle();
    // Serials until a request has all the characters that clients encode.
    let (id, plain) = (0..2000)
        .map(|at| {
            let serial = bench.issue();
            let id = bench.cert_id(if at % 2 == 0 { CertHash::Sha1 } else { CertHash::Sha256 }, &serial);
            let path = path_of(&request::build(std::slice::from_ref(&id), None).unwrap());
            (id, path)
        })
        .find(|(_, path)| path[1..].contains('/') && path.contains('+') && path.ends_with('='))
        .unwrap();
    bench.start("");
    let encoded = plain[1..].replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
    let good = [
        plain.clone(),
        format!("/{plain}"),
        format!("/{encoded}"),
        format!("//{encoded}"),
        plain.trim_end_matches('=').to_owned(),
    ];
    for path in good {
        let response = client::get(bench.address(), &path);
        let view = bench.verified(&response);
        assert!(view.status(&id).is_some(), "{path}");
    }
    let bad = ["/", "//", "/%ZZ", "/%%", "/==MFYwVKADAgEAME0", "/MFYwVKADAgEAME0=", "/MAA", "/a?b", "/AAAA"];
    for path in bad {
        let response = client::get(bench.address(), path);
        assert_eq!(response.status, 400, "{path}");
        assert_eq!(response.header("cache-control"), "no-cache", "{path}");
        assert_eq!(
            view::error_status(&response.body).unwrap(),
            Some(ErrorStatus::MalformedRequest),
            "{path}"
        );
    }
    let response = bench.post(b"no DER");
    assert_eq!((response.status, response.body.as_slice()), (400, &[0x30, 3, 10, 1, 1][..]));
}

#[test]
fn methods_and_sizes() {
    let bench = Bench::new("max_request_bytes: 1000\n");
    for method in ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"] {
        let response = client::request(bench.address(), method, "/", &[], b"");
        assert_eq!(response.status, 405, "{method}");
        assert_eq!(response.header("allow"), "GET, HEAD, POST");
    }
    assert_eq!(bench.post(&[0x30; 1001]).status, 413);
    assert_eq!(bench.post(&[0x30; 1000]).status, 400);
    // The same without a length said beforehand.
    let mut chunked =
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..11 {
        chunked.extend(b"64\r\n");
        chunked.extend([0x30; 100]);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    assert_eq!(exchange(bench.address(), &chunked).status, 413);
    assert_eq!(client::get(bench.address(), &path_of(&[0x30; 1001])).status, 414);
    let html = [("Content-Type", "text/html")];
    assert_eq!(client::request(bench.address(), "POST", "/", &html, b"x").status, 415);
    assert_eq!(client::request(bench.address(), "POST", "/", &[], b"x").status, 400);
}

#[test]
fn headers_and_validators() {
    let mut bench = Bench::idle();
    let serial = bench.issue();
    bench.start("response_validity: 24h\nmax_http_age: 1h\n");
    let der = bench.request(&serial);
    let first = bench.get(&der);
    assert_eq!(first.header("content-type"), "application/ocsp-response");
    assert_eq!(first.header("last-modified"), http_date(bench.now()));
    assert_eq!(first.header("expires"), http_date(bench.now().saturating_add(86_400)));
    assert_eq!(first.header("cache-control"), "max-age=3600, public, no-transform, must-revalidate");
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.len() > 20, "{tag}");

    // Served from memory: the same bytes, hence the same tag.
    bench.clock.advance(600);
    let again = bench.get(&der);
    assert_eq!((&again.body, again.header("etag")), (&first.body, tag.as_str()));
    let ask = |headers: &[(&str, &str)]| {
        client::request(bench.address(), "GET", &path_of(&der), headers, b"").status
    };
    assert_eq!(ask(&[("If-None-Match", &tag)]), 304);
    assert_eq!(ask(&[("If-None-Match", "\"other\"")]), 200);
    // By date alone it may be another answer of the same second.
    assert_eq!(ask(&[("If-Modified-Since", first.header("last-modified"))]), 200);
    assert_eq!(ask(&[("If-Modified-Since", &http_date(bench.now()))]), 304);
    let head = client::request(bench.address(), "HEAD", &path_of(&der), &[], b"");
    assert_eq!((head.status, head.body.len(), head.header("etag")), (200, 0, tag.as_str()));

    // A cache must not keep what would be stale.
    bench.clock.advance(15 * 3_600);
    let late = bench.get(&der);
    assert_eq!(late.header("cache-control"), "max-age=3600, public, no-transform, must-revalidate");
    bench.clock.advance(3_600);
    assert_ne!(bench.get(&der).body, first.body, "renewed 8 hours before its end");

    // Never issued: kept for a minute at most.
    let unknown = ca_domain::SerialNumber::from_random([7; 20]);
    let response = bench.get(&bench.request(&unknown));
    assert_eq!(response.header("cache-control"), "max-age=60, public, no-transform, must-revalidate");
    assert_eq!(response.header("expires"), http_date(bench.now().saturating_add(60)));
}

#[test]
fn a_nonce_is_echoed_and_its_answer_kept_nowhere() {
    let mut bench = Bench::idle();
    let serial = bench.issue();
    bench.start("");
    let id = bench.cert_id(CertHash::Sha256, &serial);
    let ask = |nonce: &[u8]| bench.post(&request::build(std::slice::from_ref(&id), Some(nonce)).unwrap());
    let response = ask(&[9; 16]);
    assert_eq!(response.header("cache-control"), "no-store");
    assert_eq!(response.header("etag"), "");
    assert!(bench.verified(&response).nonce().unwrap().ends_with(&[9; 16]));
    let other = ask(&[8; 16]);
    assert!(bench.verified(&other).nonce().unwrap().ends_with(&[8; 16]));
    // Without one: an answer without one.
    let plain = bench.post(&request::build(&[id], None).unwrap());
    assert_eq!(bench.verified(&plain).nonce(), None);
}

#[test]
fn a_path_of_its_own() {
    let mut bench = Bench::idle();
    let serial = bench.issue();
    bench.start("path: /ocsp/\n");
    let der = bench.request(&serial);
    assert_eq!(client::get(bench.address(), &format!("/ocsp{}", path_of(&der))).status, 200);
    for path in ["/ocsp", "/ocsp/"] {
        assert_eq!(client::request(bench.address(), "POST", path, &[], &der).status, 200, "{path}");
    }
    assert_eq!(client::get(bench.address(), &path_of(&der)).status, 400);
    assert_eq!(bench.post(&der).status, 404);
}

#[test]
fn old_and_slow_clients() {
    let mut bench = Bench::idle();
    let serial = bench.issue();
    bench.start("");
    let der = bench.request(&serial);
    let old = format!("GET {} HTTP/1.0\r\n\r\n", path_of(&der));
    bench.verified(&exchange(bench.address(), old.as_bytes()));
    let head = format!(
        "POST / HTTP/1.0\r\nContent-Type: application/ocsp-request\r\nContent-Length: {}\r\n\r\n",
        der.len()
    );
    bench.verified(&exchange(bench.address(), &[head.as_bytes(), &der].concat()));

    // A client that closes its half at once still gets its answer.
    let mut half = TcpStream::connect(bench.address()).unwrap();
    half.write_all(old.as_bytes()).unwrap();
    half.shutdown(std::net::Shutdown::Write).unwrap();
    let mut raw = Vec::new();
    half.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    half.read_to_end(&mut raw).unwrap();
    assert!(raw.starts_with(b"HTTP/1.0 200"), "{:?}", String::from_utf8_lossy(&raw));

    // Clients that never end their request hold up nobody.
    let slow: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(bench.address()).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nX-a: b\r\n").unwrap();
            stream
        })
        .collect();
    assert_eq!(bench.get(&der).status, 200);
    drop(slow);
}
