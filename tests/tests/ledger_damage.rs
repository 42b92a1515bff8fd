//! A ledger of 200 entries with single bytes changed, its tail cut, tiles
//! replaced: `ca ledger verify` finds it, and the daemons refuse it.

use chancery_tests::daemon::wait_for;
use chancery_tests::home::{copy_tree, snapshot};
use chancery_tests::openssl::{self, Key};
use chancery_tests::{Home, Outcome, Pki, Tool};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Brings a home's ledger to 200 entries by holding and releasing.
fn fill(home: &Home) {
    while entries(home) < 200 {
        for command in ["hold", "release"] {
            home.ca(&format!("{command} --email alice@example.test --yes")).ok();
        }
    }
}

/// The number of entries that the checkpoint commits to.
fn entries(home: &Home) -> u64 {
    home.read("home/ledger/checkpoint").lines().nth(1).and_then(|line| line.parse().ok()).expect("a size")
}

/// The files that the current checkpoint commits to: not the partial tiles of
/// earlier sizes that are kept for readers in flight.
fn committed_files(home: &Home) -> Vec<PathBuf> {
    let width = (entries(home) % 256).to_string();
    let files = snapshot(&home.dir().join("ledger")).into_keys();
    files.filter(|path| !path.to_string_lossy().contains(".p/") || path.ends_with(&width)).collect()
}

fn check(home: &Home, daemon: &str, config: &Path) -> Outcome {
    Tool::ours(daemon).within(home.work()).arg("--check").arg("--config").arg(config).run()
}

#[test]
fn every_flipped_byte_is_found() {
    let pki = Pki::without_daemons("p256");
    let csr = openssl::csr(&pki.home, "alice", Key::P256);
    pki.home.issue_csr("smime-signing", "alice@example.test", &csr, "alice").ok();
    fill(&pki.home);
    let home = &pki.home;
    let config = home.write_private("publisher.yaml", pki.publisher_config());
    check(home, "crl-publisher", &config).ok();

    let mut flips = 0;
    for path in committed_files(home) {
        let name = path.display().to_string();
        let content = fs::read(&path).expect("read a file");
        let step = (content.len() / 25).max(1);
        let last = content.len() - 1;
        for at in (0..content.len()).step_by(step).chain([last]) {
            let mut changed = content.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(&path, &changed).expect("flip a bit");
            let found = home.ca("ledger verify").run();
            assert_eq!(found.code, Some(1), "{name} at {at}\n{}", found.transcript());
            // The daemons read the checkpoint and the entries: details are
            // private, and they compute the tree's hashes themselves.
            if flips % 3 == 0 && (name.contains("/entries/") || name.ends_with("checkpoint")) {
                let refused = check(home, "crl-publisher", &config);
                assert_eq!(refused.code, Some(1), "{name} at {at}\n{}", refused.transcript());
            }
            flips += 1;
        }
        fs::write(&path, &content).expect("put it back");
    }
    assert!(flips > 80, "{flips}");
    home.verify_ledger();
}

#[test]
fn the_wrong_entry_is_named() {
    let home = Home::prepared();
    fill(&home);
    let bundle = committed_files(&home).into_iter().find(|path| path.to_string_lossy().contains("entries"));
    let bundle = bundle.expect("a bundle of entries");
    let mut content = fs::read(&bundle).expect("read");
    // Skip to the middle of entry 100: each has a length of two octets before it.
    let mut at = 0;
    for _ in 0..100 {
        at += 2 + usize::from(u16::from_be_bytes([content[at], content[at + 1]]));
    }
    content[at + 30] ^= 1;
    fs::write(&bundle, content).expect("write");
    home.ca("ledger verify").run().says(&["100"]);
}

#[test]
fn missing_cut_and_exchanged_files_are_found() {
    let home = Home::prepared();
    fill(&home);
    for path in committed_files(&home) {
        let content = fs::read(&path).expect("read");
        let name = path.display();
        fs::remove_file(&path).expect("remove");
        let found = home.ca("ledger verify").run();
        assert!(matches!(found.code, Some(1 | 4)), "removed {name}\n{}", found.transcript());
        for cut in [0, 1, content.len() / 2, content.len() - 1] {
            fs::write(&path, &content[..cut]).expect("cut");
            let found = home.ca("ledger verify").run();
            assert_eq!(found.code, Some(1), "{name} cut to {cut}\n{}", found.transcript());
        }
        fs::write(&path, &content).expect("put it back");
    }
    home.verify_ledger();

    // A whole tile from another ledger.
    let other = Home::prepared();
    other.ca("hold --email bob@example.test --yes").ok();
    fill(&other);
    for path in committed_files(&home) {
        let relative = path.strip_prefix(home.dir()).expect("inside the home");
        let theirs = other.dir().join(relative);
        let content = fs::read(&path).expect("read");
        if !theirs.exists() || fs::read(&theirs).expect("read") == content {
            continue;
        }
        fs::copy(&theirs, &path).expect("exchange");
        if !path.ends_with("checkpoint") {
            let found = home.ca("ledger verify").run();
            assert_eq!(found.code, Some(1), "exchanged {}\n{}", path.display(), found.transcript());
        }
        fs::write(&path, &content).expect("put it back");
    }
    home.verify_ledger();
}

/// A restore of an old state is consistent in itself; who has seen more refuses it.
#[test]
fn a_rewound_ledger_is_not_followed() {
    let pki = Pki::start("p256");
    pki.person_by_request("mallory", "smime-signing", Key::P256);
    let ledger = pki.home.dir().join("ledger");
    let old = pki.home.path("old-ledger");
    fs::create_dir(&old).expect("make a directory");
    copy_tree(&ledger, &old);
    pki.revoke("mallory", "keyCompromise");

    let new = pki.home.path("new-ledger");
    fs::rename(&ledger, &new).expect("move the ledger away");
    fs::rename(&old, &ledger).expect("restore the old one");
    let responder = pki.responder.as_ref().expect("a responder");
    wait_for("an alarm", Duration::from_secs(30), || {
        let log = responder.log().to_lowercase();
        ["shr", "smaller", "rewound", "rolled back", "went back"]
            .iter()
            .any(|word| log.contains(word))
            .then_some(())
    });
    let url = format!("{}/", pki.responder_gate.url());
    let question =
        "ocsp -issuer issuing.crt -cert mallory.crt -CAfile root.crt -verify_other issuing.crt -url";
    pki.home.tool("openssl", question).arg(&url).run().says(&["trylater"]).never_says(&["good"]);

    fs::rename(&ledger, &old).expect("away with it");
    fs::rename(&new, &ledger).expect("the right one again");
    let csr = openssl::csr(&pki.home, "carol", Key::P256);
    pki.home.issue_csr("smime-signing", "carol@example.test", &csr, "carol").ok();
    wait_for("the responder to follow again", Duration::from_secs(30), || {
        let question =
            "ocsp -issuer issuing.crt -cert carol.crt -CAfile root.crt -verify_other issuing.crt -url";
        pki.home.tool("openssl", question).arg(&url).run().text().contains("carol.crt: good").then_some(())
    });
    pki.ocsp("mallory").says(&["mallory.crt: revoked"]);
}
