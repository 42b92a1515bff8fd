//! Pairs, batches, renewal, leavers and new addresses at the command line.

use chancery_tests::home::{P12_PASSWORD, text};
use chancery_tests::{Home, escrow, openssl};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const PASS: &str = "--passphrase-file passphrase";

fn pair(home: &Home, email: &str, rest: &str) -> chancery_tests::Tool {
    home.ca(&format!("--json issue --authority issuing --pair --email {email} --key rsa-2048 {PASS} {rest}"))
}

/// The private keys in a PKCS#12 file, as OpenSSL finds them.
fn keys(home: &Home, file: &str, password: &str) -> usize {
    let found = home
        .tool("openssl", &format!("pkcs12 -nodes -passin env:P12 -in {file}"))
        .env("P12", password)
        .ok()
        .text();
    found.matches("BEGIN PRIVATE KEY").count()
}

fn certificates(home: &Home, email: &str) -> Vec<serde_json::Value> {
    let shown = home.ca(&format!("--json person show --email {email}")).ok().json();
    shown["certificates"].as_array().expect("a list").clone()
}

#[test]
fn a_pair_is_archived_or_refused_and_its_signing_key_never_is() {
    let home = Home::prepared();
    let p12 = "--p12 carol.p12 --p12-password-file p12-password";
    let before = home.list("").len();
    let refused = pair(&home, "carol@example.test", p12).run();
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    assert!(refused.stderr.contains("--no-escrow"), "{}", refused.stderr);
    assert_eq!(home.list("").len(), before);

    escrow::add_agents(&home);
    let issued = pair(&home, "carol@example.test", p12).ok().json();
    assert_eq!(keys(&home, "carol.p12", P12_PASSWORD), 2);
    let shown = certificates(&home, "carol@example.test");
    assert_eq!(shown.len(), 2);
    for one in &shown {
        let archived = one["escrow"].is_string();
        assert_eq!(archived, one["template"] == "smime-encryption", "{one}");
    }
    assert_eq!(shown[0]["serial"], issued["signing"]["serial"]);
    assert_eq!(shown[1]["serial"], issued["encryption"]["serial"]);

    // The requester keeps the signing key; two files, each with what it says.
    let csr = openssl::csr(&home, "dan", openssl::Key::P256);
    home.ca(&format!("issue --authority issuing --pair --email dan@example.test {PASS} --out dan.crt"))
        .words("--encryption-p12 dan.p12 --p12-password-file p12-password --csr")
        .arg(csr)
        .ok();
    assert_eq!(keys(&home, "dan.p12", P12_PASSWORD), 1);
    assert!(openssl::certificate_text(&home.path("dan.crt")).contains("Digital Signature"));
    home.ca("ledger verify").ok();
}

#[test]
fn a_table_is_looked_at_whole_and_then_issued() {
    let home = Home::prepared();
    escrow::add_agents(&home);
    let sample = home.ca("issue --sample").ok().text();
    home.write_private("people.csv", &sample);
    let batch = |rest: &str| {
        home.ca(&format!("--json issue --authority issuing --pair --batch people.csv --out out {PASS}"))
            .words(&format!("--key p256 {rest}"))
    };
    // alice and bob of the prepared home have signing certificates.
    let refused = batch("").run();
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    let error: serde_json::Value = serde_json::from_str(&refused.stderr).expect("JSON");
    let lines: Vec<_> =
        error["error"]["lines"].as_array().expect("a list").iter().map(|one| &one["line"]).collect();
    assert_eq!(lines, [2, 3]);
    assert!(!home.path("out").exists());
    let looked = batch("--again --dry-run").ok().json();
    assert_eq!(looked["people"], 2);
    let done = batch("--again").ok().json();
    assert_eq!(done["issued"], 2);
    let passwords = home.path("out/passwords.csv");
    assert_eq!(fs::metadata(&passwords).expect("a file").permissions().mode() & 0o777, 0o600);
    for line in fs::read_to_string(&passwords).expect("text").lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        assert_eq!(keys(&home, &format!("out/{}", fields[1]), fields[2]), 2);
    }
    assert_eq!(batch("--again").ok().json()["issued"], 0);
    home.write_private("wrong.csv", "email,shoe_size\nx@example.test,43\n");
    let wrong =
        home.ca(&format!("issue --authority issuing --pair --batch wrong.csv --out other {PASS}")).run();
    assert!(wrong.code == Some(2) && wrong.stderr.contains("the columns are email"), "{}", wrong.stderr);

    let revoke =
        |rest: &str| home.ca(&format!("--json revoke --batch people.csv --reason superseded {rest}"));
    let planned = revoke("--dry-run").ok().json();
    assert_eq!(planned["plan"].as_array().expect("a list").len(), 6);
    assert_eq!(revoke("--yes").ok().json()["revoked"].as_array().expect("a list").len(), 6);
}

#[test]
fn a_life_renewed_renamed_and_left() {
    let home = Home::prepared();
    escrow::add_agents(&home);
    pair(&home, "carol@example.test", "--p12 1.p12 --p12-password-file p12-password").ok();
    let renew = format!("--json renew --email carol@example.test --yes --key rsa-2048 {PASS}");
    let planned = home.ca("--json renew --email carol@example.test --dry-run").ok().json();
    assert_eq!(planned["plan"].as_array().expect("a list").len(), 2);
    home.ca(&renew).words("--p12 2.p12 --p12-password-file p12-password --supersede").ok();
    assert_eq!(keys(&home, "2.p12", P12_PASSWORD), 2);
    let shown = certificates(&home, "carol@example.test");
    let states: Vec<_> = shown.iter().map(|one| text(one, "state")).collect();
    assert_eq!(states, ["revoked", "good", "good", "good"]);
    assert!(shown[3]["escrow"].is_string(), "the renewed encryption key is archived, too");

    let serial = text(&shown[2], "serial");
    let same = home.ca(&format!("renew {serial} --same-key --out same.pem {PASS}")).run();
    assert_eq!(same.code, Some(3), "{}", same.stderr);

    let rename = "--json person rename --email carol@example.test --to carol.c@example.test --yes";
    home.ca(rename)
        .words(&format!(
            "--keep-encryption --key rsa-2048 --p12 3.p12 --p12-password-file p12-password {PASS}"
        ))
        .ok();
    let states: Vec<_> =
        certificates(&home, "carol@example.test").iter().map(|one| text(one, "state")).collect();
    assert_eq!(states, ["revoked", "good", "revoked", "good"]);
    assert_eq!(certificates(&home, "carol.c@example.test").len(), 2);

    let leave = "--json person leave --email carol.c@example.test --encryption keep";
    let planned = home.ca(leave).words("--dry-run").ok().json();
    assert_eq!(planned["plan"].as_array().expect("a list").len(), 1);
    assert_eq!(home.ca(leave).run().code, Some(2), "without a terminal it needs --yes");
    home.ca(leave).words("--yes").ok();
    let shown = home.ca("--json person show --email carol.c@example.test").ok().json();
    assert_eq!(shown["left"].as_array().expect("a list").len(), 1);
    home.ca(leave).words("--yes").run().fails(3, &["left on"]);
    assert_eq!(home.ca("person show --email nobody@example.test").run().code, Some(4));
    let archived = home.ca("--json escrow list --email carol.c@example.test").ok().text();
    assert!(archived.contains("carol.c@example.test"), "{archived}");
    home.ca("ledger verify").ok();
}
