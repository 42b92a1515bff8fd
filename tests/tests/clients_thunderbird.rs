//! Thunderbird, headless, with our PKCS#12: it signs, encrypts, verifies and
//! decrypts, and refuses a revoked certificate, which it learns by OCSP. It finds
//! certificates in a directory.
//!
//! Takes about a minute, so it is a step of its own: `scripts/test --all`.

use chancery_tests::escrow::{add_agents, four_generations, recover_history};
use chancery_tests::openssl::Key;
use chancery_tests::slapd::SUFFIX;
use chancery_tests::tool::{Tool, python, source_root};
use chancery_tests::{Pki, Slapd, home::P12_PASSWORD};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout};

/// Thunderbird's code for a revoked certificate (SEC_ERROR_REVOKED_CERTIFICATE).
const REVOKED: i64 = -8180;
/// And for a certificate that is not for this purpose (SEC_ERROR_INADEQUATE_KEY_USAGE).
const WRONG_USAGE: i64 = -8102;

/// A running Thunderbird; it ends with the value.
struct Thunderbird {
    driver: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Thunderbird {
    fn start(directory: &Path) -> Self {
        let script = source_root().join("tests/clients/thunderbird/drive.py");
        let mut driver = Tool::new(python()).arg(script).arg(directory).start();
        let commands = driver.stdin.take().expect("a pipe");
        let answers = BufReader::new(driver.stdout.take().expect("a pipe")).lines();
        let mut thunderbird = Self { driver, commands, answers };
        println!("Thunderbird {}", thunderbird.answer()["version"]);
        thunderbird
    }

    fn answer(&mut self) -> Value {
        let line = self.answers.next().expect("an answer from Thunderbird").expect("text");
        serde_json::from_str(&line).expect("JSON from the driver")
    }

    #[track_caller]
    fn act(&mut self, command: &Value) -> Value {
        writeln!(self.commands, "{command}").expect("send a command");
        let answer = self.answer();
        assert!(answer["failed"].is_null(), "{command}: {answer}");
        answer
    }

    /// The error codes for signing and for receiving; 0 is good.
    #[track_caller]
    fn verify(&mut self, file: &Path) -> (i64, i64) {
        let answer = self.act(&json!({"do": "verify", "file": file}));
        let code = |usage: &str| answer[usage].as_i64().expect("a code");
        (code("signer"), code("recipient"))
    }

    /// What a reader sees: the signature's icon, the encryption's, the text.
    #[track_caller]
    fn open(&mut self, file: &Path, wait_for: &str) -> (String, String, String) {
        let answer = self.act(&json!({"do": "open", "file": file, "wait_for": wait_for}));
        let text = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
        (text("signed"), text("encrypted"), text("body"))
    }

    /// Writes a mail; `Err` is what Thunderbird tells its user.
    #[track_caller]
    fn send(&mut self, to: &str, encrypt: bool, body: &str) -> Result<String, String> {
        let command = json!({"do": "send", "from": "alice@example.test", "to": format!("{to}@example.test"),
            "sign": true, "encrypt": encrypt, "body": body});
        let answer = self.act(&command);
        match answer["error"].as_str() {
            Some("") => Ok(answer["message"].as_str().expect("a message").to_owned()),
            _ => Err(answer["error"].to_string()),
        }
    }
}

impl Drop for Thunderbird {
    fn drop(&mut self) {
        let _ = writeln!(self.commands, "{}", json!({"do": "quit"}));
        let _ = self.driver.wait();
    }
}

/// A mail that a person signs, with the headers that a mail program writes.
/// Thunderbird compares the date with the time of signing.
fn signed(pki: &Pki, person: &str) {
    let addresses = format!("-from {person}@example.test -to alice@example.test -subject signed");
    let signature = pki
        .home
        .tool(
            "openssl",
            &format!("cms -sign -md sha256 -in mail.txt -certfile issuing.crt -signer {person}.crt"),
        )
        .words(&format!("-inkey {person}.key"));
    let inner = signature.clone().ok().text();
    let date = Tool::new("date").arg("-R").ok().text();
    let headers = |id: &str| format!("Date: {}\r\nMessage-ID: <{id}-{person}@example.test>\r\n", date.trim());
    let plain = signature.words(&addresses).ok().text();
    pki.home.write_private(&format!("signed-{person}.eml"), headers("signed") + &plain);

    pki.home.write_private("inner", inner);
    let both = pki
        .home
        .tool("openssl", "cms -encrypt -aes256 -in inner")
        .words(&addresses)
        .arg("alice.crt")
        .ok()
        .text();
    pki.home.write_private(&format!("both-{person}.eml"), headers("both") + &both);
}

#[test]
fn signs_encrypts_verifies_decrypts_and_refuses_the_revoked() {
    let pki = Pki::start("rsa-3072");
    for person in ["alice", "bob", "mallory"] {
        pki.person(person, "smime-dual", "rsa-2048");
    }
    pki.person("carol-sign", "smime-signing", "rsa-2048");
    pki.person("carol-enc", "smime-encryption", "rsa-2048");
    pki.person("dave", "smime-mailbox-strict", "p256");
    pki.person_by_request("erin", "smime-dual", Key::P384);
    pki.home
        .write_private("mail.txt", "Content-Type: text/plain; charset=utf-8\r\n\r\nHello Alice, a test.\r\n");
    for person in ["bob", "mallory"] {
        signed(&pki, person);
    }
    let path = |name: &str| pki.home.path(name);
    let mut thunderbird = Thunderbird::start(&path("thunderbird"));

    thunderbird.act(&json!({"do": "trust", "root": path("root.crt"), "issuing": path("issuing.crt")}));
    for name in ["alice", "carol-sign", "carol-enc", "dave"] {
        let import = json!({"do": "import", "file": path(&format!("{name}.p12")), "password": P12_PASSWORD});
        assert_eq!(thunderbird.act(&import)["error"], 0, "{name}");
    }
    for name in ["bob", "mallory"] {
        thunderbird.act(&json!({"do": "learn", "file": path(&format!("{name}.crt"))}));
    }

    // Everybody is good, and each certificate does its own job only.
    let asked = pki.responder_gate.connections();
    for (name, expected) in [
        ("alice", (0, 0)),
        ("mallory", (0, 0)),
        ("dave", (0, 0)),
        ("erin", (0, 0)),
        ("carol-sign", (0, WRONG_USAGE)),
        ("carol-enc", (WRONG_USAGE, 0)),
    ] {
        assert_eq!(thunderbird.verify(&path(&format!("{name}.crt"))), expected, "{name}");
    }
    assert!(pki.responder_gate.connections() > asked, "it asked OCSP");
    let (icon, _, text) = thunderbird.open(&path("signed-mallory.eml"), "signed");
    assert_eq!(icon, "message-signed-ok", "{text}");
    for mail in ["both-bob.eml", "both-mallory.eml"] {
        let (signature, encryption, text) = thunderbird.open(&path(mail), "signed");
        assert_eq!(
            (&*signature, &*encryption),
            ("message-signed-ok", "message-encrypted-ok"),
            "{mail}: {text}"
        );
        assert!(text.contains("Hello Alice, a test."), "{mail}: {text}");
    }

    // Thunderbird writes to Bob, and Bob reads with OpenSSL.
    let mail = thunderbird.send("bob", true, "Hello Bob, from Alice.").expect("a mail to Bob");
    pki.home.write_private("to-bob.eml", mail);
    pki.home
        .tool("openssl", "cms -decrypt -in to-bob.eml -recip bob.crt -inkey bob.key -out to-bob.signed")
        .ok();
    pki.trust_with_crls();
    pki.home
        .tool("openssl", "cms -verify -in to-bob.signed -certfile issuing.crt -CAfile trust+crls.pem")
        .words("-crl_check_all -purpose smimesign")
        .ok()
        .says(&["Hello Bob, from Alice."]);
    thunderbird.send("mallory", true, "Hello Mallory.").expect("a mail to Mallory");

    // Mallory is revoked: nothing of hers is good any more, Bob still is.
    pki.revoke("mallory", "keyCompromise");
    assert_eq!(thunderbird.verify(&path("mallory.crt")), (REVOKED, REVOKED));
    assert_eq!(thunderbird.verify(&path("bob.crt")), (0, 0));
    let (signature, _, text) = thunderbird.open(&path("both-mallory.eml"), "signed");
    assert_eq!(signature, "message-signed-mismatch", "{text}");
    let (signature, _, _) = thunderbird.open(&path("signed-mallory.eml"), "signed");
    assert_ne!(signature, "message-signed-ok");
    let (signature, _, _) = thunderbird.open(&path("both-bob.eml"), "signed");
    assert_eq!(signature, "message-signed-ok");
    let refused =
        thunderbird.send("mallory", true, "Hello again.").expect_err("no mail to a revoked certificate");
    assert!(refused.contains("mallory@example.test"), "{refused}");

    // A signer of Alice's own that is revoked cannot sign either.
    pki.revoke("alice", "superseded");
    assert_eq!(thunderbird.verify(&path("alice.crt")), (REVOKED, REVOKED));
}

/// A person's old and new keys from one PKCS#12 file: mail to the oldest and to the
/// newest of four generations opens.
#[test]
fn opens_mail_to_the_oldest_and_the_newest_key_of_a_history() {
    let pki = Pki::start("rsa-3072");
    add_agents(&pki.home);
    four_generations(&pki.home, "alice@example.test", "alice");
    recover_history(&pki.home, "alice@example.test", "all", "modern");
    let path = |name: &str| pki.home.path(name);
    let mut thunderbird = Thunderbird::start(&path("thunderbird"));
    thunderbird.act(&json!({"do": "trust", "root": path("root.crt"), "issuing": path("issuing.crt")}));
    let import = json!({"do": "import", "file": path("all.p12"), "password": P12_PASSWORD});
    assert_eq!(thunderbird.act(&import)["error"], 0);
    let date = Tool::new("date").arg("-R").ok().text();
    for generation in [1, 4] {
        let text = format!("For generation {generation}.");
        pki.home
            .write_private("mail.txt", format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"));
        let mail = pki
            .home
            .tool(
                "openssl",
                "cms -encrypt -aes256 -in mail.txt -from bob@example.test -to alice@example.test",
            )
            .words(&format!("-subject old alice{generation}.crt"))
            .ok()
            .text();
        let headers =
            format!("Date: {}\r\nMessage-ID: <generation-{generation}@example.test>\r\n", date.trim());
        let file = pki.home.write_private(&format!("generation{generation}.eml"), headers + &mail);
        let (_, encrypted, body) = thunderbird.open(&file, "encrypted");
        assert_eq!(encrypted, "message-encrypted-ok", "{body}");
        assert!(body.contains(&text), "{body}");
    }
}

/// The directory as `ca publish ldap` leaves it: Thunderbird finds a certificate there over TLS, encrypts to it, and after
/// a rollover to the next one.
#[test]
fn finds_certificates_in_a_directory_and_encrypts_to_them() {
    let mut pki = Pki::start("rsa-3072");
    let slapd = Slapd::start(&pki.home, "");
    // It asks for the status of the directory's certificate, too.
    pki.home.ca("ocsp-signer issue --authority directory --out signers --passphrase-file passphrase").ok();
    let at = pki.home.work().display().to_string();
    pki.start_responder(&format!(
        "  - certificate: {at}/home/authorities/directory/certificate.pem\n    signer: {at}/signers/directory\n"
    ));
    pki.person("alice", "smime-dual", "rsa-2048");
    pki.person("bob", "smime-dual", "rsa-2048");
    for name in ["bob", "carol"] {
        slapd.add(&format!(
            "dn: cn={name},{SUFFIX}\nobjectClass: inetOrgPerson\ncn: {name}\nsn: x\nmail: {name}@example.test\n"
        ));
    }
    let server = slapd.config("      ");
    pki.home.write_private(
        "home/publish.yaml",
        format!("version: 1\ndirectories:\n  - name: staff\n    base: {SUFFIX}\n    server:\n{server}"),
    );
    pki.home.ca("publish ldap").ok();

    let path = |name: &str| pki.home.path(name);
    let mut thunderbird = Thunderbird::start(&path("thunderbird"));
    thunderbird.act(&json!({"do": "trust", "root": path("root.crt"), "issuing": path("issuing.crt")}));
    let import = json!({"do": "import", "file": path("alice.p12"), "password": P12_PASSWORD});
    assert_eq!(thunderbird.act(&import)["error"], 0);
    let url = format!("{}/{SUFFIX}??sub?(mail=*)", slapd.ldaps());
    let look_up = |thunderbird: &mut Thunderbird, name: &str| {
        thunderbird.act(&json!({"do": "look_up", "url": url, "address": format!("{name}@example.test")}));
    };
    let decrypts = |mail: &str, name: &str| {
        pki.home.write_private("mail.eml", mail);
        let tool = pki.home.tool("openssl", "cms -decrypt -in mail.eml -recip");
        tool.arg(format!("{name}.crt")).arg("-inkey").arg(format!("{name}.key")).run().code == Some(0)
    };

    // Nothing is known of Bob, until it is looked up.
    let unknown = thunderbird.send("bob", true, "Hello.").expect_err("no certificate");
    assert!(unknown.contains("bob@example.test"), "{unknown}");
    look_up(&mut thunderbird, "bob");
    let mail = thunderbird.send("bob", true, "Hello.").expect("a mail to Bob");
    assert!(decrypts(&mail, "bob"), "{mail}");

    // Carol has an entry without a certificate.
    look_up(&mut thunderbird, "carol");
    let missing = thunderbird.send("carol", true, "Hello.").expect_err("no certificate");
    assert!(missing.contains("carol@example.test"), "{missing}");

    // The next certificate of Bob's, and the old one revoked.
    fs::rename(path("bob.crt"), path("bob-old.crt")).expect("rename a file");
    fs::rename(path("bob.key"), path("bob-old.key")).expect("rename a file");
    fs::remove_file(path("bob.p12")).expect("remove a file");
    pki.person("bob", "smime-dual", "rsa-2048");
    pki.revoke("bob-old", "superseded");
    pki.home.ca("publish ldap").ok();
    thunderbird.send("bob", true, "Hello.").expect_err("only a revoked certificate");
    look_up(&mut thunderbird, "bob");
    let mail = thunderbird.send("bob", true, "Hello again.").expect("a mail to Bob");
    assert!(decrypts(&mail, "bob") && !decrypts(&mail, "bob-old"), "{mail}");
}
