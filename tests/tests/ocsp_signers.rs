//! OCSP signers with the real programs: they follow one another while clients
//! ask, several authorities answer beside each other, an authority signs itself,
//! and an offline root's answers are signed ahead.

use chancery_tests::daemon::{Daemon, wait_for};
use chancery_tests::home::text;
use chancery_tests::openssl::{self, Key};
use chancery_tests::pkilint::Jobs;
use chancery_tests::{Home, Outcome, Pki, Tool, home};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// Adds what `ca maintain` looks after to `ca.yaml`.
fn configure(home: &Home, authorities: &[&str]) {
    let mut config = home.read("home/ca.yaml") + "maintain:\n  ocsp_signers:\n";
    for name in authorities {
        let path = |ending: &str| home.path(format!("signers/{name}.next.{ending}"));
        config += &format!(
            "    - authority: {name}\n      request: {}\n      certificate: {}\n      passphrase_file: {}\n",
            path("csr").display(),
            path("crt").display(),
            home.path("passphrase").display()
        );
    }
    home.write_private("home/ca.yaml", config);
}

/// The responder's configuration with these entries, and a running responder.
fn responder(home: &Home, entries: &str) -> Daemon {
    let config = format!(
        "listen: 127.0.0.1:0\nledger: home/ledger\nledger_vkey: \"{}\"\nauthorities:\n{entries}",
        home.ledger_vkey()
    );
    Daemon::start("ocsp-responder", &home.write_private("responder.yaml", config))
}

fn delegated(names: &[&str]) -> String {
    let entry = |name: &&str| format!("  - certificate: {name}.crt\n    signer: signers/{name}\n");
    names.iter().map(entry).collect()
}

fn ask(home: &Home, daemon: &Daemon, issuer: &str, certificate: &str) -> Outcome {
    let url = format!("http://127.0.0.1:{}/", daemon.port());
    let (issuer, certificate) = (format!("{issuer}.crt"), format!("{certificate}.crt"));
    openssl::ocsp(home, &issuer, &certificate, "root.crt", &url)
}

/// GnuTLS's verified question. An answer that the issuer signed itself carries no
/// certificate, and ocsptool wants to be told the signer then.
fn ask_gnutls(home: &Home, daemon: &Daemon, issuer: &str, certificate: &str, signer: &str) -> Outcome {
    let asked = format!("--ask=http://127.0.0.1:{}/ --load-cert {certificate}.crt", daemon.port());
    let asked = home
        .tool("ocsptool", &asked)
        .words(&format!("--load-issuer {issuer}.crt {signer} {issuer}.crt --outfile gnutls.ocsp"))
        .run();
    home.tool("ocsptool", &format!("--verify-response --load-response gnutls.ocsp {signer} {issuer}.crt"))
        .ok()
        .says(&["Verifying OCSP Response: Success"]);
    asked
}

fn is_well(daemon: &Daemon) -> bool {
    let url = format!("http://127.0.0.1:{}/healthz", daemon.port());
    Tool::new("curl").words("-s").arg(url).ok().text() == "ok\n"
}

fn person(home: &Home, issuer: &str, name: &str) {
    let csr = openssl::csr(home, name, Key::P256);
    home.ca(&format!("issue --authority {issuer} --template smime-dual --email {name}@example.test"))
        .words(&format!("--out {name}.crt --passphrase-file passphrase --csr"))
        .arg(csr)
        .ok();
}

fn revoke(home: &Home, name: &str, reason: &str) {
    let serial = openssl::serial(&home.path(format!("{name}.crt")));
    home.ca(&format!("revoke {serial} --reason {reason} --yes")).ok();
}

fn export(home: &Home, names: &[&str]) {
    for name in names {
        home.ca(&format!("authority export {name} --out {name}.crt")).ok();
    }
}

#[test]
fn signers_rotate_while_clients_ask() {
    let pki = Pki::without_daemons("p256");
    let home = &pki.home;
    for name in ["alice", "mallory"] {
        person(home, "issuing", name);
    }
    revoke(home, "mallory", "keyCompromise");
    configure(home, &["issuing", "root"]);
    // The first certificates too: the responder begins with nothing.
    std::fs::remove_dir_all(home.path("signers")).expect("remove the signers made by hand");
    std::fs::create_dir(home.path("signers")).expect("make a directory");
    let daemon = responder(home, &delegated(&["issuing", "root"]));
    let requests =
        || ["issuing", "root"].iter().all(|name| exists(home, &format!("signers/{name}.next.csr")));
    wait_for("the requests", LIMIT, || requests().then_some(()));
    let dry = home.ca("--json maintain --dry-run").ok().json();
    assert_eq!(dry["ocspSigners"][0]["state"], "due");
    let done = home.ca("--json maintain").ok().json();
    assert_eq!(
        (&done["ocspSigners"][0]["state"], &done["ocspSigners"][1]["state"]),
        (&"issued".into(), &"issued".into())
    );
    assert_eq!(done["heartbeat"]["state"], "notDue");
    wait_for("health", LIMIT, || is_well(&daemon).then_some(()));
    ask(home, &daemon, "issuing", "alice").says(&["alice.crt: good"]);
    ask(home, &daemon, "issuing", "mallory").says(&["mallory.crt: revoked"]);
    ask(home, &daemon, "root", "issuing").says(&["issuing.crt: good"]);
    home.ca("maintain").ok().says(&["nothing to do"]);

    let first = openssl::serial(&home.path("signers/issuing.crt"));
    rotate_under_load(home, &daemon, &first);
    home.verify_ledger();
    assert!(daemon.log().contains("signer in use"));
}

fn exists(home: &Home, name: &str) -> bool {
    home.path(name).exists()
}

/// The text of a response, certificates included.
fn signer_of(home: &Home, daemon: &Daemon, name: &str) -> String {
    let url = format!("http://127.0.0.1:{}/", daemon.port());
    home.tool("openssl", "ocsp -issuer issuing.crt -noverify -resp_text -no_nonce -url")
        .args([&url, "-cert", &format!("{name}.crt")])
        .ok()
        .text()
        .to_uppercase()
        .replace(':', "")
}

/// A key and a request as the responder makes them, certified by `ca maintain`,
/// taken over while clients ask without a pause: no request may fail.
fn rotate_under_load(home: &Home, daemon: &Daemon, before: &str) {
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for (name, status) in [("alice", "good"), ("mallory", "revoked")] {
            let (stop, asked) = (&stop, &asked);
            scope.spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    ask(home, daemon, "issuing", name).says(&[&format!("{name}.crt: {status}")]);
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let rotated = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for("answers", LIMIT, || (asked.load(Ordering::SeqCst) > 4).then_some(()));
            request(home);
            let done = home.ca("--json maintain").ok().json();
            let serial = text(&done["ocspSigners"][0], "serial").to_uppercase();
            wait_for("the new signer", LIMIT, || {
                signer_of(home, daemon, "alice").contains(&serial).then_some(())
            });
            wait_for("the files", LIMIT, || (!exists(home, "signers/issuing.next.key")).then_some(()));
            let count = asked.load(Ordering::SeqCst);
            wait_for("more answers", LIMIT, || (asked.load(Ordering::SeqCst) > count + 4).then_some(()));
        }));
        stop.store(true, Ordering::SeqCst);
        if let Err(panic) = rotated {
            std::panic::resume_unwind(panic);
        }
    });
    assert_ne!(openssl::serial(&home.path("signers/issuing.crt")), before);
}

/// Asks for a successor before the responder would: with OpenSSL, as an operator could.
fn request(home: &Home) {
    let listed = home.ca("--json authority show issuing").ok().json();
    let id = text(&listed, "keyIdentifier").to_lowercase();
    openssl::key(home, "next", Key::P256);
    home.tool("openssl", "req -new -batch -key next.key -out next.csr")
        .args(["-subj", &format!("/CN=OCSP signer {id}")])
        .ok();
    let pem = home.tool("openssl", "pkcs8 -topk8 -nocrypt -in next.key").ok().text();
    home.write_private("signers/issuing.next.key", pem);
    home.write_private("signers/issuing.next.csr", home.read("next.csr"));
}

#[test]
fn several_authorities_and_their_root() {
    let home = Home::initialised(&home::Urls::nowhere());
    home.create_root("root", "p256");
    for name in ["mail", "people"] {
        home.create_issuing(name, "root", "p256");
    }
    let names = ["mail", "people", "root"];
    export(&home, &names);
    for name in names {
        home.ca(&format!("ocsp-signer issue --authority {name} --out signers --passphrase-file passphrase"))
            .ok();
    }
    for (issuer, name) in [("mail", "alice"), ("mail", "mallory"), ("people", "bob"), ("people", "eve")] {
        person(&home, issuer, name);
    }
    revoke(&home, "mallory", "keyCompromise");
    revoke(&home, "eve", "superseded");
    revoke(&home, "people", "cessationOfOperation");
    let daemon = responder(&home, &delegated(&names));
    assert!(is_well(&daemon));
    for (issuer, name, status) in [
        ("mail", "alice", "good"),
        ("mail", "mallory", "revoked"),
        ("people", "bob", "good"),
        ("people", "eve", "revoked"),
        ("root", "mail", "good"),
        ("root", "people", "revoked"),
    ] {
        ask(&home, &daemon, issuer, name).says(&[&format!("{name}.crt: {status}")]);
        ask_gnutls(&home, &daemon, issuer, name, "--load-trust")
            .says(&[&format!("Certificate Status: {status}")]);
    }
    // Alice's serial number under the other issuer.
    let serial = openssl::serial(&home.path("alice.crt"));
    let url = format!("http://127.0.0.1:{}/", daemon.port());
    home.tool("openssl", "ocsp -issuer people.crt -CAfile root.crt -verify_other people.crt -serial")
        .args([&format!("0x{serial}"), "-url", &url])
        .ok()
        .says(&["Response verify OK", ": unknown"]);
}

#[test]
fn an_authority_that_signs_itself() {
    let home = Home::initialised(&home::Urls {
        publisher: "http://pki.example.org".to_owned(),
        responder: "http://ocsp.example.org".to_owned(),
    });
    home.create_root("root", "p256");
    let template = home.read("home/templates/issuing-ca.yaml");
    let template = template
        .replace("name: issuing-ca", "name: small-ca")
        .replace("[keyCertSign, cRLSign]", "[keyCertSign, cRLSign, digitalSignature]");
    home.write_private("home/templates/small-ca.yaml", template);
    home.ca("authority create issuing --template small-ca --parent root --key p256 --country DE")
        .args(["--common-name", "Example Small CA", "--organization", "Example"])
        .words("--passphrase-file passphrase --parent-passphrase-file passphrase")
        .ok();
    export(&home, &["root", "issuing"]);
    for name in ["alice", "mallory"] {
        person(&home, "issuing", name);
    }
    revoke(&home, "mallory", "keyCompromise");
    let entry = "  - certificate: issuing.crt\n    signer:\n      authority_key: home/authorities/issuing/key.pem\n      \
                 passphrase_file: passphrase\n";
    let daemon = responder(&home, entry);
    let mut jobs = Jobs::default();
    for (name, status) in [("alice", "good"), ("mallory", "revoked")] {
        ask(&home, &daemon, "issuing", name).says(&[&format!("{name}.crt: {status}")]);
        ask_gnutls(&home, &daemon, "issuing", name, "--load-signer")
            .says(&[&format!("Certificate Status: {status}")]);
        lint(&home, &daemon, "issuing", name, &mut jobs);
    }
    let findings = jobs.run();
    assert!(findings.is_empty(), "{findings:#?}");
    assert!(daemon.log().contains("an authority's own key signs answers"), "{}", daemon.log());
    // The check says so, too, and is content.
    let config = daemon.config().to_owned();
    Tool::ours("ocsp-responder")
        .arg("--config")
        .arg(config)
        .arg("--check")
        .ok()
        .says(&["an authority's own key signs answers", "is in order"]);

    // It signs ahead as well, and then its key is not needed there.
    presign(&home, "issuing --ca-signed --days 10 --out ahead");
    let daemon = responder(&home, "  - certificate: issuing.crt\n    presigned: ahead\n");
    for (name, status) in [("alice", "good"), ("mallory", "revoked")] {
        ask(&home, &daemon, "issuing", name).says(&[&format!("{name}.crt: {status}")]);
    }
}

/// Signs ahead; the ledger has kept what. What `ca` says.
fn presign(home: &Home, words: &str) -> serde_json::Value {
    let said = home.ca(&format!("--json ocsp presign {words} --passphrase-file passphrase")).ok().json();
    let entry = home.ca("--json ledger show --details --last 1").ok().json();
    assert_eq!(entry["kind"], "ocspPresigned", "{entry}");
    let detail = &entry["detail"];
    for name in ["authority", "certificates", "nextUpdate"] {
        assert_eq!(detail[name], said[name], "{name}: {detail}");
    }
    let list = said["manifest"].as_str().expect("a path");
    let sum = home.tool("sha256sum", list).ok().text();
    assert_eq!(detail["sha256"].as_str(), sum.split(' ').next(), "{detail}");
    home.ca("ledger verify").ok();
    home.ca("index rebuild").ok();
    said
}

/// Adds an answer without a nonce to what pkilint looks at.
fn lint(home: &Home, daemon: &Daemon, issuer: &str, name: &str, jobs: &mut Jobs) {
    let url = format!("http://127.0.0.1:{}/", daemon.port());
    let file = format!("{name}.linted.ocsp");
    home.tool("openssl", &format!("ocsp -issuer {issuer}.crt -cert {name}.crt -no_nonce -CAfile root.crt"))
        .args(["-verify_other", &format!("{issuer}.crt"), "-respout", &file, "-url", &url])
        .ok();
    jobs.ocsp(&format!("ocsp/{issuer}/{name}"), &home.path(file));
}

#[test]
fn an_offline_roots_answers_are_signed_ahead() {
    let urls = home::Urls {
        publisher: "http://pki.example.org".to_owned(),
        responder: "http://ocsp.example.org".to_owned(),
    };
    let (offline, online) = (Home::initialised(&urls), Home::initialised(&urls));
    offline.create_root("root", "p256");
    offline.create_issuing("old", "root", "p256");
    export(&offline, &["root", "old"]);
    sign_issuing(&offline, &online);
    revoke(&offline, "old", "superseded");
    let signed = presign(&offline, "root --days 90 --out root-ocsp");
    assert_eq!((&signed["certificates"], &signed["revoked"]), (&2.into(), &1.into()));
    carry(&offline, &online, "root-ocsp");
    carry(&offline, &online, "old.crt");
    online.ca("ocsp-signer issue --authority issuing --out signers --passphrase-file passphrase").ok();
    person(&online, "issuing", "alice");
    let entries = delegated(&["issuing"]) + "  - certificate: root.crt\n    presigned: root-ocsp\n";
    let daemon = responder(&online, &entries);
    assert!(is_well(&daemon), "{}", daemon.log());
    let mut jobs = Jobs::default();
    for (issuer, name, status) in
        [("root", "issuing", "good"), ("root", "old", "revoked"), ("issuing", "alice", "good")]
    {
        ask(&online, &daemon, issuer, name).says(&[&format!("{name}.crt: {status}")]);
        ask_gnutls(&online, &daemon, issuer, name, "--load-trust")
            .says(&[&format!("Certificate Status: {status}")]);
        lint(&online, &daemon, issuer, name, &mut jobs);
    }
    // The next ceremony, taken up while it serves.
    revoke(&offline, "issuing", "cACompromise");
    presign(&offline, "root --days 90 --out root-ocsp");
    carry(&offline, &online, "root-ocsp");
    wait_for("the revocation", LIMIT, || {
        ask(&online, &daemon, "root", "issuing").text().contains("issuing.crt: revoked").then_some(())
    });
    let findings = jobs.run();
    assert!(findings.is_empty(), "{findings:#?}");
}

/// An issuing authority online below the root offline; `root.crt` and `issuing.crt` online.
fn sign_issuing(offline: &Home, online: &Home) {
    let names = ["--common-name", "Example Mail CA", "--organization", "Example", "--country", "DE"];
    online
        .ca("authority csr issuing --template issuing-ca --key p256 --passphrase-file passphrase --out issuing.csr")
        .args(names)
        .ok();
    carry(online, offline, "issuing.csr");
    offline
        .ca("authority sign --parent root --template issuing-ca --csr issuing.csr --out issuing.crt --yes")
        .args(names)
        .words("--passphrase-file passphrase")
        .ok();
    for name in ["root.crt", "issuing.crt"] {
        carry(offline, online, name);
    }
    online.ca("authority import root --certificate root.crt").ok();
    online.ca("authority import issuing --certificate issuing.crt --chain root.crt").ok();
}

/// Copies a file or directory; one that is there is replaced, its list last.
fn carry(from: &Home, to: &Home, name: &str) {
    let copy = |from: &Path, to: &Path| drop(Tool::new("cp").arg("-p").arg(from).arg(to).ok());
    let (source, target) = (from.path(name), to.path(name));
    if !source.is_dir() {
        return copy(&source, &target);
    }
    std::fs::create_dir_all(&target).expect("make a directory");
    for entry in std::fs::read_dir(&source).expect("read a directory").flatten() {
        if entry.file_name() != "manifest.json" {
            copy(&entry.path(), &target.join(entry.file_name()));
        }
    }
    copy(&source.join("manifest.json"), &target.join("manifest.json"));
}
