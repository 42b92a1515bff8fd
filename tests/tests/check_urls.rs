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
    // Of an authority, its responder is asked about what it issued last.
    let own = pki.home.ca("--json check urls issuing").ok().json();
    let of_issuing = |kind: &str| -> Vec<String> {
        let all = own["urls"].as_array().expect("URLs");
        let wanted = all.iter().filter(|url| {
            url["kind"] == kind && url["certificate"].as_str().is_some_and(|name| name.contains("issuing CA"))
        });
        wanted.map(|url| format!("{} {}", url["url"], url["detail"])).collect()
    };
    let responder = pki.responder_gate.url();
    let asked = of_issuing("ocsp");
    // By POST and GET: about bob's certificate, and about its own.
    assert!(asked.len() == 4 && asked.iter().all(|one| one.contains(&responder)), "{asked:?}");
    assert!(asked.iter().all(|one| one.contains("this certificate is good")), "{asked:?}");

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

    each_fault_has_its_reason(&pki);

    pki.publisher_gate.close();
    pki.responder_gate.close();
    let nothing = bare("alice.crt --chain chain.pem --timeout 5s").run();
    for kind in ["crl", "ocsp", "issuer"] {
        is(&nothing, kind, "wrong", "no answer");
    }
}

/// What stands at the URLs of alice's certificate, whatever the daemons have.
struct Place<'a> {
    pki: &'a Pki,
    _server: chancery_tests::server::Server,
}

impl<'a> Place<'a> {
    fn new(pki: &'a Pki) -> Self {
        let responder = pki.responder.as_ref().expect("a responder").port();
        pki.home.ca("authority export issuing --out issuing.pem").ok();
        for person in ["alice", "bob"] {
            let ask = pki.home.tool("openssl", "ocsp -issuer issuing.pem -no_nonce -CAfile root.crt");
            ask.args(["-cert", &format!("{person}.crt"), "-respout", &format!("{person}.ors")])
                .args(["-url", &format!("http://127.0.0.1:{responder}")])
                .ok();
        }
        for folder in ["www-faults/crl", "www-faults/ca"] {
            fs::create_dir_all(pki.home.path(folder)).expect("make a directory");
        }
        let port = free_port();
        let www = pki.home.path("www-faults");
        // A file is no answer to a POST for nginx, but to what it does then.
        let server = format!(
            "server {{ listen 127.0.0.1:{port}; root {}; default_type text/plain;\n\
             types {{ application/pkix-crl crl; application/pkix-cert crt; application/ocsp-response ors; }}\n\
             location / {{ error_page 405 =200 /answer.ors; try_files $uri /answer.ors; }} }}\n",
            www.display()
        );
        let server = nginx(&pki.home, "nginx-faults", &server, &[port]);
        pki.publisher_gate.forward_to(port);
        pki.responder_gate.forward_to(port);
        let place = Self { pki, _server: server };
        place.put("crl/issuing.crl", &place.published("crl/issuing.crl"));
        place.put("crl/root.crl", &place.published("crl/root.crl"));
        for name in ["issuing", "root"] {
            place.put(&format!("ca/{name}.crt"), &place.published(&format!("ca/{name}.crt")));
        }
        place.put("answer.ors", &place.read("alice.ors"));
        place
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.pki.home.path(name)).expect("read a file")
    }

    fn published(&self, name: &str) -> Vec<u8> {
        self.read(&format!("published/{name}"))
    }

    fn put(&self, name: &str, content: &[u8]) {
        fs::write(self.pki.home.path("www-faults").join(name), content).expect("write a file");
    }

    fn check(&self, words: &str) -> Outcome {
        Tool::ours("ca")
            .within(self.pki.home.work())
            .words("--home none --json check urls --chain chain.pem")
            .words(words)
            .run()
    }
}

/// The last octet of a CRL is one of its signature.
fn forged(content: &[u8]) -> Vec<u8> {
    let mut forged = content.to_vec();
    *forged.last_mut().expect("octets") ^= 1;
    forged
}

fn each_fault_has_its_reason(pki: &Pki) {
    let place = Place::new(pki);
    let (crl, good) = (place.published("crl/issuing.crl"), place.read("alice.ors"));
    // One that is replayed is as good as it was.
    for (kind, detail) in
        [("crl", "1 entries"), ("issuer", "issuing CA"), ("ocsp", "this certificate is good")]
    {
        is(&place.check("alice.crt"), kind, "ok", detail);
    }
    // The time at which the answer was made is signed: another digit, another signature.
    let at = good.windows(2).position(|pair| pair == [0x18, 15]).expect("producedAt") + 2 + 13;
    let mut altered = good.clone();
    altered[at] = b'0' + (altered[at] - b'0' + 1) % 10;
    let pem = place.read("issuing.pem");
    for (file, kind, content, reason) in [
        ("crl/issuing.crl", "crl", forged(&crl), "signature"),
        ("crl/issuing.crl", "crl", crl[..crl.len() - 9].to_vec(), "longer than the whole"),
        ("crl/issuing.crl", "crl", b"<html>".to_vec(), "not an acceptable CRL"),
        ("ca/issuing.crt", "issuer", place.published("ca/root.crt"), "did not sign"),
        ("ca/issuing.crt", "issuer", pem, "PEM"),
        ("ca/issuing.crt", "issuer", crl.clone(), "not a certificate"),
        ("answer.ors", "ocsp", altered, "signature"),
        ("answer.ors", "ocsp", place.read("bob.ors"), "not about this certificate"),
        ("answer.ors", "ocsp", b"<html>".to_vec(), "invalid DER"),
        ("answer.ors", "ocsp", vec![0x30, 3, 0x0a, 1, 3], "tryLater"),
    ] {
        let before = place.read(&format!("www-faults/{file}"));
        place.put(file, &content);
        let outcome = place.check("alice.crt");
        is(&outcome, kind, "wrong", reason);
        place.put(file, &before);
    }
    // Old answers, and those that are about to be.
    let late = Tool::ours("ca").within(place.pki.home.work());
    let late = late.words("--home none --json check urls --chain chain.pem alice.crt");
    let late = late.under(Tool::new("faketime").arg("+20 days")).run();
    is(&late, "ocsp", "wrong", "it ended on");
    is(&place.check("alice.crt --margin 30d"), "ocsp", "expiring", "this certificate is good");

    // What has no type, or a wrong one: nginx goes by the name.
    for (kind, file) in [("crl", "crl/issuing.crl"), ("issuer", "ca/issuing.crt")] {
        let path = place.pki.home.path("www-faults").join(file);
        let held = fs::read(&path).expect("read");
        fs::remove_file(&path).expect("remove");
        is(&place.check("alice.crt"), kind, "wrong", "content type");
        fs::write(&path, held).expect("write");
    }
    let answer = place.pki.home.path("www-faults/answer.ors");
    fs::remove_file(&answer).expect("remove");
    is(&place.check("alice.crt"), "ocsp", "wrong", "the answer is");

    // Of others: TLS, and what is not fetched here.
    let extensions = "crlDistributionPoints=URI:https://a.test/a.crl,URI:ldap://a.test/cn=a\n\
                      authorityInfoAccess=caIssuers;URI:https://a.test/a.crt,OCSP;URI:https://a.test/\n";
    place.pki.home.write_private("tls.cnf", format!("[req]\ndistinguished_name=d\n[d]\n[e]\n{extensions}"));
    place
        .pki
        .home
        .tool("openssl", "req -x509 -newkey rsa:2048 -nodes -keyout tls.key -out tls.crt -subj /CN=tls")
        .words("-config tls.cnf -extensions e")
        .ok();
    let tls = place.check("tls.crt");
    for kind in ["crl", "issuer", "ocsp"] {
        is(&tls, kind, "wrong", "TLS");
    }
    let urls = tls.json()["urls"].as_array().expect("URLs").clone();
    assert!(
        urls.iter().any(|url| url["verdict"] == "unchecked" && url["url"] == "ldap://a.test/cn=a"),
        "{urls:?}"
    );
}
