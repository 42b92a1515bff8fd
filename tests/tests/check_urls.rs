//! `ca check urls` against our daemons, and against what else may answer.

use chancery_tests::server::{free_port, nginx};
use chancery_tests::{Outcome, Pki, Tool};
use serde_json::Value;
use std::fs;

/// Verdict and detail of the certificate's URL of a kind.
#[track_caller]
fn found(outcome: &Outcome, kind: &str) -> (String, String) {
    let value = outcome.json();
    let urls = value["urls"].as_array().unwrap_or_else(|| panic!("no URLs in {value}"));
    let of_kind = |url: &&Value| url["kind"] == kind;
    let url = urls.iter().find(of_kind).unwrap_or_else(|| panic!("no {kind} in {value}"));
    let word = |name: &str| url[name].as_str().unwrap_or_default().to_owned();
    (word("verdict"), word("detail"))
}

fn is(outcome: &Outcome, kind: &str, verdict: &str, detail: &str) {
    let got = found(outcome, kind);
    assert!(got.0 == verdict && got.1.contains(detail), "{kind} is {got:?}\n{}", outcome.transcript());
}

#[test]
fn good_expiring_and_wrong() {
    let pki = Pki::start("p256");
    pki.person_by_request("alice", "smime-signing", chancery_tests::openssl::Key::P256);
    pki.person_by_request("bob", "smime-signing", chancery_tests::openssl::Key::P256);
    let bare = |more: &str| {
        // Without a home: the chain comes from the URLs.
        Tool::ours("ca").within(pki.home.work()).words("--home none --json check urls").words(more)
    };

    let good = bare("alice.crt").ok();
    let value = good.json();
    let urls = value["urls"].as_array().expect("URLs");
    assert!(urls.len() >= 5 && urls.iter().all(|url| url["verdict"] == "ok"), "{value}");
    is(&good, "ocsp", "ok", "POST: this certificate is good");
    assert!(urls.iter().any(|url| url["detail"] == "GET: this certificate is good"), "{value}");
    is(&good, "crl", "ok", "0 entries");
    pki.home.ca("check urls issuing").ok().says(&["ok", "/crl/issuing.crl", "/crl/root.crl"]);
    pki.home.ca("check urls root.crt").run().fails(4, &["no URL"]);

    pki.revoke("bob", "keyCompromise");
    let revoked = bare("bob.crt").ok();
    is(&revoked, "ocsp", "ok", "revoked (keyCompromise)");
    is(&revoked, "crl", "ok", "revoked (keyCompromise)");

    let soon = bare("alice.crt --margin 8d").run();
    assert_eq!(soon.code, Some(1), "{}", soon.transcript());
    is(&soon, "crl", "expiring", "number");
    let late = bare("alice.crt").under(Tool::new("faketime").arg("+20 days")).run();
    assert_eq!(late.code, Some(1), "{}", late.transcript());
    is(&late, "crl", "wrong", "expired");

    // What another server has in the place of the CRL.
    let www = pki.home.path("www/crl");
    fs::create_dir_all(&www).expect("make a directory");
    let port = free_port();
    let server = format!(
        "server {{ listen 127.0.0.1:{port}; root {}; types {{ application/pkix-crl crl; }}\n\
         location /ca/ {{ return 302 http://127.0.0.1:{port}/elsewhere; }} }}\n",
        pki.home.path("www").display()
    );
    let _server = nginx(&pki.home, "nginx", &server, &[port]);
    pki.publisher_gate.forward_to(port);
    let crl = |from: &str| {
        fs::copy(pki.home.path(from), www.join("issuing.crl")).expect("copy a CRL");
        let outcome = bare("alice.crt --chain chain.pem").run();
        assert_eq!(outcome.code, Some(1), "{}", outcome.transcript());
        outcome
    };
    let foreign = crl("root.crl");
    is(&foreign, "crl", "wrong", "Example root CA");
    is(&foreign, "issuer", "wrong", "redirected");
    is(&crl("issuing.crl.pem"), "crl", "wrong", "PEM");
    is(&crl("issuing.crl"), "crl", "ok", "1 entries");

    // Another content type, and nothing listening.
    let plain = server.replace("application/pkix-crl", "text/plain").replace(&port.to_string(), "PORT");
    let port = free_port();
    let _plain = nginx(&pki.home, "nginx-plain", &plain.replace("PORT", &port.to_string()), &[port]);
    pki.publisher_gate.forward_to(port);
    is(&crl("issuing.crl"), "crl", "wrong", "content type");
    // A proxy that lets no GET through.
    let responder = pki.responder.as_ref().expect("a responder").port();
    let port = free_port();
    let proxy = format!(
        "server {{ listen 127.0.0.1:{port};\n\
         location / {{ limit_except POST {{ deny all; }} proxy_pass http://127.0.0.1:{responder}; }} }}\n"
    );
    let _proxy = nginx(&pki.home, "nginx-post", &proxy, &[port]);
    pki.responder_gate.forward_to(port);
    let half = bare("alice.crt --chain chain.pem").run();
    assert_eq!(half.code, Some(1), "{}", half.transcript());
    let by = |method: &str| {
        let all = half.json()["urls"].as_array().expect("URLs").clone();
        let is_it = |url: &&Value| {
            url["kind"] == "ocsp" && url["detail"].as_str().is_some_and(|detail| detail.starts_with(method))
        };
        let url = all.iter().find(is_it).unwrap_or_else(|| panic!("no {method}: {}", half.transcript()));
        format!("{} {}", url["verdict"], url["detail"])
    };
    assert_eq!(by("POST"), "\"ok\" \"POST: this certificate is good\"");
    assert!(by("GET").starts_with("\"wrong\" \"GET: the answer is 403"), "{}", by("GET"));

    pki.publisher_gate.close();
    pki.responder_gate.close();
    let nothing = bare("alice.crt --chain chain.pem --timeout 5s").run();
    for kind in ["crl", "ocsp", "issuer"] {
        is(&nothing, kind, "wrong", "no answer");
    }
}
