//! Making and opening homes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use ca_core::files::WriteLock;
use ca_core::init::{InitRequest, init};
use ca_core::{AuthorityError, ErrorClass, Home, Wait};

use crate::common::{Fixture, now, urls, wait};

fn request() -> InitRequest {
    InitRequest { origin: "ledger.example.test".into(), urls: urls() }
}

#[test]
fn a_home_is_made_once() {
    let fixture = Fixture::empty();
    let again = init(fixture.home.root(), &request(), now(), &wait()).unwrap_err();
    assert!(matches!(again, AuthorityError::HomeExists(_)));
    assert_eq!(fixture.size(), 0);
}

#[test]
fn an_unfinished_home_is_begun_again() {
    let fixture = Fixture::empty();
    let root = fixture.home.root().to_owned();
    // As a crash just before ca.yaml leaves it.
    fs::remove_file(root.join("ca.yaml")).unwrap();
    fs::write(root.join(".init-unfinished"), "").unwrap();
    assert_eq!(Home::open(&root).unwrap_err().class(), ErrorClass::NotFound);
    init(&root, &request(), now(), &wait()).unwrap();
    assert!(!root.join(".init-unfinished").exists());
}

#[test]
fn a_home_that_another_process_is_making_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("home");
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
    let lock = WriteLock::acquire(&root.join("lock"), Duration::ZERO, "ca init").unwrap();
    fs::write(root.join(".init-unfinished"), "").unwrap();
    fs::create_dir(root.join("keys")).unwrap();
    fs::write(root.join("keys/ledger.key"), "just made").unwrap();
    let error = init(&root, &request(), now(), &Wait::quiet(Duration::ZERO, "test")).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Busy, "{error}");
    assert!(root.join("keys/ledger.key").exists());
    drop(lock);
    init(&root, &request(), now(), &wait()).unwrap();
}

#[test]
fn other_peoples_files_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(dir.path().join("thesis.tex"), "mine").unwrap();
    let error = init(dir.path(), &request(), now(), &wait()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Refused);
    assert!(error.to_string().contains("thesis.tex"), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn an_empty_directory_of_the_administrator_becomes_the_home() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("given");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    init(&home, &request(), now(), &wait()).unwrap();
    Home::open(&home).unwrap();
}

#[test]
fn wide_permissions_are_refused_with_the_command_that_mends_them() {
    let fixture = Fixture::empty();
    let root = fixture.home.root();
    fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
    let error = Home::open(root).unwrap_err().to_string();
    assert!(error.contains("chmod go="), "{error}");
}

#[test]
fn another_ledger_key_is_refused() {
    let fixture = Fixture::empty();
    let other = Fixture::empty();
    fs::copy(other.home.ledger_key_path(), fixture.home.ledger_key_path()).unwrap();
    let error = fixture.home.writer(&wait()).err().unwrap();
    assert_eq!(error.class(), ErrorClass::Refused, "{error}");
}

#[test]
fn a_home_that_is_not_there_says_how_to_make_one() {
    let error = Home::open(Path::new("/nonexistent/home")).unwrap_err();
    assert!(error.to_string().contains("ca init"), "{error}");
}
