//! Profiles for Apple's devices: against Apple's payload keys, and their keys opened.

use chancery_tests::escrow::{add_agents, contribute, encrypt_to, issue_archived, request};
use chancery_tests::home::P12_PASSWORD;
use chancery_tests::tool::{python, source_root};
use chancery_tests::{Home, Outcome, Tool};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const DORA: &str = "dora@example.test";
const WITH: &str = "--p12-password-file p12-password";

/// dora with a signing key and two generations of archived encryption keys; a key that
/// signs profiles; root.crt.
fn dora() -> Home {
    let home = Home::prepared();
    home.ca("authority export root --format pem --out root.crt").ok();
    add_agents(&home);
    home.issue_p12("smime-signing", DORA, "rsa-2048", "sign").words("--out sign.crt").ok();
    issue_archived(&home, DORA, "old");
    issue_archived(&home, DORA, "new");
    home.issue_p12("smime-signing", "it@example.test", "p256", "it").words("--out it.crt").ok();
    home
}

fn serial(home: &Home, name: &str) -> String {
    let shown = home.tool("openssl", &format!("x509 -noout -serial -in {name}.crt")).ok().text();
    shown.trim().trim_start_matches("serial=").to_lowercase()
}

/// The profile as Apple's keys allow it; its PKCS#12 files go to `keys/`.
fn check(home: &Home, profile: &str) -> Value {
    let _ = fs::create_dir(home.path("keys"));
    let script = source_root().join("tests/apple/check_profile.py");
    Tool::new(python()).arg(script).arg(home.path(profile)).arg(home.path("keys")).ok().json()
}

fn payloads<'a>(profile: &'a Value, kind: &str) -> Vec<&'a Value> {
    let content = profile["PayloadContent"].as_array().expect("payloads");
    content.iter().filter(|one| one["PayloadType"] == kind).collect()
}

fn export(home: &Home, words: &str) -> Outcome {
    home.ca(&format!("--json export mobileconfig --email {DORA} {WITH}")).words(words).run()
}

const ALL: &str = "--p12 sign.p12 --p12 old.p12 --p12 new.p12";

#[test]
fn a_signed_profile_with_the_whole_history() {
    let home = dora();
    let [signing, old, new] = ["sign", "old", "new"].map(|name| serial(&home, name));
    export(&home, "--p12 sign.p12 --p12 new.p12 --out no").fails(3, &[&old, "--partial"]);
    assert!(!home.path("no").exists());
    let account = "--imap imap.example.test --smtp smtp.example.test:465 --full-name Dora --user dora";
    let sign = "--sign-p12 it.p12 --sign-p12-password-file p12-password --organization Example";
    let written = export(&home, &format!("{ALL} {account} {sign} --out dora.mobileconfig")).ok().json();
    assert_eq!((&written["signing"], &written["encryption"]), (&signing.clone().into(), &new.clone().into()));
    let mode = fs::metadata(home.path("dora.mobileconfig")).expect("a profile").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // What Apple verifies: a signature with the content, of a certificate below the root.
    home.tool("openssl", "cms -verify -inform DER -in dora.mobileconfig -CAfile root.crt -purpose any")
        .words("-out dora.xml -certsout signer.pem")
        .ok();
    let profile = check(&home, "dora.xml");
    assert_eq!(profile["PayloadIdentifier"], "test.example.smime.dora");
    assert_eq!(payloads(&profile, "com.apple.security.root").len(), 1);
    assert_eq!(payloads(&profile, "com.apple.security.pkcs1").len(), 1);
    let keys = payloads(&profile, "com.apple.security.pkcs12");
    assert_eq!(keys.len(), 3, "{profile}");
    assert!(keys.iter().all(|key| key["Password"].is_null()), "{profile}");
    assert!(!home.read("dora.xml").contains(P12_PASSWORD));
    let [account] = payloads(&profile, "com.apple.mail.managed")[..] else { panic!("{profile}") };
    assert_eq!(account["OutgoingMailServerPortNumber"], 465);
    assert_eq!(account["IncomingMailServerUsername"], "dora");

    // Each file has one key, in the form that Apple's importer reads, and the account
    // names the right ones.
    let mut found = Vec::new();
    for key in keys {
        let uuid = key["PayloadUUID"].as_str().expect("a UUID");
        let read = format!("pkcs12 -in keys/{uuid}.p12 -passin pass:{P12_PASSWORD}");
        let told = home.tool("openssl", &format!("{read} -info -noout")).run();
        told.says(&["MAC: sha1", "pbeWithSHA1And3-KeyTripleDES-CBC"]);
        home.tool("openssl", &format!("{read} -noenc -out {uuid}.pem")).ok();
        fs::copy(home.path(format!("{uuid}.pem")), home.path(format!("{uuid}.crt"))).expect("copy a file");
        let text = home.read(&format!("{uuid}.pem"));
        assert_eq!((text.matches("PRIVATE KEY").count(), text.matches("CERTIFICATE").count()), (2, 2));
        found.push((serial(&home, uuid), uuid));
    }
    let uuid_of = |serial: &str| found.iter().find(|one| one.0 == serial).expect("a key").1;
    assert_eq!(account["SMIMESigningCertificateUUID"], uuid_of(&signing));
    assert_eq!(account["SMIMEEncryptionCertificateUUID"], uuid_of(&new));
    assert_eq!(account["SMIMESigningEnabled"], true);
    assert_eq!(account["SMIMEEncryptByDefault"], false);
    encrypt_to(&home, "old");
    home.tool("openssl", &format!("cms -decrypt -inform DER -in old.p7 -inkey {}.pem", uuid_of(&old)))
        .ok()
        .says(&["for old"]);

    // Every key that left is in the ledger, with the file that it left in.
    let sha256 = home.tool("sha256sum", "dora.mobileconfig").ok().text()[..64].to_owned();
    let entries = home.ca("--json ledger show").ok().text();
    let exported: Vec<_> = entries.lines().filter(|line| line.contains("\"keyExported\"")).collect();
    assert_eq!(exported.len(), 3, "{entries}");
    for serial in [signing, old, new] {
        assert!(exported.iter().any(|line| line.contains(&serial)), "{entries}");
    }
    let shown = home.ca(&format!("--json person show --email {DORA}")).ok().json();
    let exports = shown["exports"].as_array().expect("exports");
    assert!(exports.len() == 3 && exports.iter().all(|one| one["sha256"] == sha256.as_str()), "{shown}");
    home.verify_ledger();

    // Exported again, with the old keys out of the archive, it replaces what the device has.
    request(&home, DORA, "request.json");
    for agent in ["anna", "carla"] {
        contribute(&home, agent, "request.json", &format!("{agent}.json")).ok();
    }
    export(&home, "--p12 sign.p12 --share anna.json --share carla.json --passphrase-file passphrase")
        .fails(2, &["required"]);
    export(
        &home,
        "--p12 sign.p12 --share anna.json --share carla.json --passphrase-file passphrase --out again.mobileconfig",
    )
    .ok();
    let again = check(&home, "again.mobileconfig");
    assert_eq!(again["PayloadIdentifier"], profile["PayloadIdentifier"]);
    let uuids = |profile: &Value| -> Vec<String> {
        let keys = payloads(profile, "com.apple.security.pkcs12");
        keys.iter().map(|key| key["PayloadUUID"].to_string()).collect()
    };
    assert_eq!(uuids(&again), uuids(&profile));
}

#[test]
fn exchange_accounts_and_what_is_refused() {
    let home = dora();
    // The newest key is revoked: new mail is encrypted to the one before, which still opens.
    let [signing, old, new] = ["sign", "old", "new"].map(|name| serial(&home, name));
    home.ca(&format!("revoke {new} --reason keyCompromise --yes")).ok();
    let exchange = "--exchange outlook.office365.com --oauth --encrypt-by-default --include-password";
    let written = export(&home, &format!("{ALL} {exchange} --out exchange.mobileconfig")).ok().json();
    assert_eq!((&written["signing"], &written["encryption"]), (&signing.into(), &old.into()));
    let profile = check(&home, "exchange.mobileconfig");
    let [account] = payloads(&profile, "com.apple.eas.account")[..] else { panic!("{profile}") };
    assert_eq!((&account["OAuth"], &account["SMIMEEncryptByDefault"]), (&true.into(), &true.into()));
    let keys = payloads(&profile, "com.apple.security.pkcs12");
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| key["Password"] == P12_PASSWORD));

    let before = home.ca("--json ledger show").ok().stdout;
    let refuse = |words: &str, code: i32, why: &[&str]| {
        export(&home, &format!("{words} --out no")).fails(code, why);
        assert!(!home.path("no").exists());
    };
    refuse("", 2, &["--p12"]);
    refuse("--p12 it.p12", 3, &["it@example.test", "dora@example.test"]);
    refuse(&format!("{ALL} --imap a"), 2, &["required"]);
    refuse(&format!("{ALL} --imap a:b --smtp c"), 2, &["HOST:PORT"]);
    refuse(&format!("{ALL} --exchange a --imap b --smtp c"), 2, &["cannot be used"]);
    refuse(&format!("{ALL} --identifier a..b"), 2, &["a..b"]);
    refuse(
        &format!("{ALL} --sign-p12 new.p12 --sign-p12-password-file p12-password"),
        3,
        &["new.p12", "does not allow signatures"],
    );
    export(&home, &format!("{ALL} --out exchange.mobileconfig")).fails(3, &["exists already"]);
    fs::set_permissions(home.path("old.p12"), fs::Permissions::from_mode(0o644)).expect("set a mode");
    refuse(ALL, 1, &["old.p12", "chmod"]);
    home.write_private("wrong", "not-the-password");
    home.ca(&format!("export mobileconfig --email {DORA} --p12 new.p12 --p12-password-file wrong --out no"))
        .run()
        .fails(1, &["new.p12", "wrong passphrase"]);
    home.tool("openssl", "req -x509 -newkey rsa:2048 -noenc -keyout other.key -out other.crt -subj /CN=x")
        .ok();
    home.tool("openssl", "pkcs12 -export -inkey other.key -in other.crt -out other.p12")
        .words(&format!("-passout pass:{P12_PASSWORD}"))
        .ok();
    let other = fs::read(home.path("other.p12")).expect("a file");
    home.write_private("other.p12", other);
    refuse("--p12 other.p12", 3, &["did not issue"]);
    assert_eq!(home.ca("--json ledger show").ok().stdout, before, "nothing was recorded");
}
