//! `ca crl show|diff|verify` on CRLs of ours and of OpenSSL.

use chancery_tests::home::text;
use chancery_tests::{Home, Tool};
use serde_json::Value;
use std::fs;

/// The objects of a command, one a line.
#[track_caller]
fn objects(tool: Tool) -> Vec<Value> {
    tool.ok().text().lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn kinds(objects: &[Value]) -> Vec<String> {
    objects.iter().map(|object| text(object, "kind")).collect()
}

/// A home with `issuing.crl`, `newer.crl` (bob revoked since), `root.crl`,
/// `issuing.pem` and `root.pem`.
fn home() -> Home {
    let home = Home::prepared();
    let issue = |name: &str, out: &str| {
        home.ca(&format!("crl issue {name} --out {out} --passphrase-file passphrase")).ok();
    };
    issue("issuing", "issuing.crl");
    home.ca("revoke --email bob@example.test --reason superseded --yes").ok();
    issue("issuing", "newer.crl");
    issue("root", "root.crl");
    for name in ["issuing", "root"] {
        home.ca(&format!("authority export {name} --out {name}.pem")).ok();
    }
    home
}

#[test]
fn shown_compared_and_verified() {
    let home = home();

    // Show: the same as OpenSSL has it.
    let shown = objects(home.ca("--json crl show newer.crl"));
    assert_eq!(kinds(&shown), ["crl", "entry", "entry", "end"]);
    let openssl = home.tool("openssl", "crl -inform DER -noout -text -in newer.crl").ok().text();
    for entry in &shown[1..3] {
        assert!(openssl.contains(&text(entry, "serial").to_uppercase()), "{entry} {openssl}");
    }
    let number = u64::from_str_radix(&text(&shown[0], "number"), 16).expect("a number");
    assert!(openssl.contains(&number.to_string()), "{number} {openssl}");
    assert_eq!(shown[3]["entries"], 2);
    let limited = objects(home.ca("--json crl show --limit 1 newer.crl"));
    assert_eq!(kinds(&limited), ["crl", "entry", "end"]);
    assert_eq!((&limited[2]["entries"], &limited[2]["shown"]), (&2.into(), &1.into()));
    home.tool("openssl", "crl -inform DER -in newer.crl -out newer.pem").ok();
    let words = ["CRL of CN=Example issuing CA", "keyCompromise", "superseded", "2 entries"];
    home.ca("crl show newer.pem").ok().says(&words);
    home.ca("crl show issuing.pem").run().fails(2, &["CERTIFICATE", "give a CRL"]);
    fs::write(home.path("cut.crl"), &fs::read(home.path("newer.crl")).expect("read")[..200]).expect("write");
    home.ca("crl show cut.crl").run().fails(2, &["cut.crl"]);
    home.ca("crl show nothing.crl").run().fails(1, &["nothing.crl"]);

    // Compare: bob was added.
    let changes = objects(home.ca("--json crl diff issuing.crl newer.pem"));
    assert_eq!(kinds(&changes), ["crls", "added", "end"]);
    assert_eq!(text(&changes[1], "reason"), "superseded");
    let back = home.ca("crl diff newer.crl issuing.crl").ok();
    back.says(&["number: ", "- ", "0 added, 1 removed, 0 changed"]);
    home.ca("crl diff --exit-code issuing.crl newer.crl").run().fails(1, &["differ"]);
    home.ca("crl diff --exit-code newer.pem newer.crl").ok().says(&["0 added, 0 removed, 0 changed"]);
    home.ca("crl diff root.crl newer.crl").run().fails(3, &["one authority"]);

    // Verify: as relying parties do.
    let verify = |crl: &str, issuer: &str, more: &str| {
        home.ca(&format!("--json crl verify {crl} --issuer {issuer}.pem {more}")).run()
    };
    for (crl, issuer) in [("newer.crl", "issuing"), ("newer.pem", "issuing"), ("root.crl", "root")] {
        assert_eq!(verify(crl, issuer, "").ok().json()["valid"], true);
    }
    verify("newer.crl", "root", "").fails(3, &["issuer", "signature"]);
    verify("newer.crl", "issuing", "--at 2099-01-01T00:00:00Z").fails(3, &["validity", "expired"]);
    verify("newer.crl", "issuing", "--at 2020-01-01T00:00:00Z").fails(3, &["validity", "future"]);
    let mut forged = fs::read(home.path("newer.crl")).expect("read a CRL");
    *forged.last_mut().expect("bytes") ^= 1;
    fs::write(home.path("forged.crl"), forged).expect("write a CRL");
    verify("forged.crl", "issuing", "").fails(3, &["signature"]);
}
