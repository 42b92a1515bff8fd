//! The index can be deleted, cut or scribbled on: the ledger has everything.

use chancery_tests::Home;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// What `ca cert list` says, comparable.
fn listed(home: &Home) -> BTreeMap<String, String> {
    let rows = home.list("");
    rows.into_iter().map(|row| (chancery_tests::home::text(&row, "serial"), row.to_string())).collect()
}

fn index_files(home: &Home) -> Vec<PathBuf> {
    let files = chancery_tests::home::snapshot(&home.dir().join("index"));
    files.into_iter().filter(|(_, content)| !content.is_empty()).map(|(path, _)| path).collect()
}

/// Requires that after `damage` nothing is missing and both reading and writing go on.
fn survives(what: &str, damage: impl FnOnce(&Home)) {
    let home = Home::prepared();
    let before = listed(&home);
    assert!(before.len() >= 3, "{before:?}");
    damage(&home);
    assert_eq!(listed(&home), before, "{what}");
    home.ca("--json cert list --mailbox alice@example.test").ok().says(&["alice@example.test"]);
    home.ca("revoke --email alice@example.test --reason superseded --yes").ok();
    home.ca("index rebuild").ok();
    assert_eq!(listed(&home).len(), before.len(), "{what}");
    home.verify_ledger();
}

#[test]
fn deleted() {
    survives("deleted", |home| fs::remove_dir_all(home.dir().join("index")).expect("remove the index"));
}

#[test]
fn every_file_emptied() {
    survives("emptied", |home| {
        index_files(home).iter().for_each(|file| fs::write(file, b"").expect("empty a file"))
    });
}

#[test]
fn every_file_cut_in_half() {
    survives("cut", |home| {
        for file in index_files(home) {
            let content = fs::read(&file).expect("read");
            fs::write(&file, &content[..content.len() / 2]).expect("cut a file");
        }
    });
}

#[test]
fn every_file_replaced_by_noise() {
    survives("noise", |home| {
        for file in index_files(home) {
            let size = fs::metadata(&file).expect("size").len().min(100_000);
            let noise: Vec<u8> = (0..size).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
            fs::write(&file, noise).expect("overwrite a file");
        }
    });
}

/// Single bytes, spread over the files. sled checks what it reads, but a flip
/// where nothing is stored is not noticed and need not be.
#[test]
fn flipped_bytes() {
    for part in 1..8 {
        survives("flipped", |home| {
            for file in index_files(home) {
                let mut content = fs::read(&file).expect("read");
                let used = content.iter().rposition(|byte| *byte != 0).unwrap_or(0);
                content[used * part / 8] ^= 0x55;
                fs::write(&file, content).expect("flip a byte");
            }
        });
    }
}

/// An index of another time: the one before the last commits.
#[test]
fn behind_the_ledger() {
    let home = Home::prepared();
    let old = home.path("old-index");
    fs::create_dir(&old).expect("make a directory");
    chancery_tests::home::copy_tree(&home.dir().join("index"), &old);
    let csr = chancery_tests::openssl::csr(&home, "carol", chancery_tests::openssl::Key::P256);
    home.issue_csr("smime-signing", "carol@example.test", &csr, "carol").ok();
    home.ca("revoke --email bob@example.test --reason superseded --yes").ok();
    let now = listed(&home);
    fs::remove_dir_all(home.dir().join("index")).expect("remove the index");
    fs::rename(&old, home.dir().join("index")).expect("put the old index back");
    assert_eq!(listed(&home), now);
}

/// An index that is ahead of the ledger, or of another ledger, is not believed.
#[test]
fn of_another_ledger() {
    let home = Home::prepared();
    let other = home.copy();
    let csr = chancery_tests::openssl::csr(&other, "eve", chancery_tests::openssl::Key::P256);
    other.issue_csr("smime-signing", "eve@example.test", &csr, "eve").ok();
    let before = listed(&home);
    fs::remove_dir_all(home.dir().join("index")).expect("remove the index");
    fs::rename(other.dir().join("index"), home.dir().join("index")).expect("move the index");
    assert_eq!(listed(&home), before);
    home.issue_csr(
        "smime-signing",
        "carol@example.test",
        &chancery_tests::openssl::csr(&home, "carol", chancery_tests::openssl::Key::P256),
        "carol",
    )
    .ok();
    home.ca("--json cert list").ok().never_says(&["eve@example.test"]);
}
