//! The command, its keys and passphrases.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::process::{Command, Stdio};

use ca_files::{Mode, write_atomic};
use ca_service::fixture::client;
use ca_service::fixture::program::listening;
use ca_service::{Clock, SystemClock};
use ca_signing::{KdfCost, Passphrase};
use common::{Bench, told};

const SIGN: &str = "  - name: issuing\n    certificate: ca.pem\n    mode: sign\n    key: ca.key\n";

/// A bench of today whose key is encrypted with `secret`.
fn bench() -> Bench {
    let bench = Bench::at(SystemClock.now());
    let pem =
        bench.ca.key.to_encrypted_pem(&Passphrase::from_string("secret".into()), KdfCost::Test).unwrap();
    write_atomic(&bench.home("ca.key"), pem.as_bytes(), Mode::Private).unwrap();
    bench
}

fn command(bench: &Bench) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crl-publisher"));
    command.arg("--config").arg(bench.home("crl-publisher.yaml")).env_remove("NOTIFY_SOCKET");
    command
}

fn check(bench: &Bench, command: &mut Command) -> (Option<i32>, String) {
    let output = command.arg("--check").output().unwrap();
    assert!(!bench.home("published").exists(), "a check writes nothing");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn passphrases_from_everywhere() {
    let bench = bench();
    write_atomic(&bench.home("pass"), b"secret\n", Mode::Private).unwrap();
    let _ = bench.config(&format!("{SIGN}    passphrase_file: pass\n"));
    assert_eq!(check(&bench, &mut command(&bench)), (Some(0), check(&bench, &mut command(&bench)).1));

    let _ = bench.config(&format!("{SIGN}    passphrase_credential: pass\n"));
    let mut with = command(&bench);
    with.env("CREDENTIALS_DIRECTORY", bench.ledger.home());
    assert_eq!(check(&bench, &mut with).0, Some(0));
    let (code, said) = check(&bench, command(&bench).env_remove("CREDENTIALS_DIRECTORY"));
    assert!(code == Some(1) && said.contains("LoadCredential="), "{said}");

    let _ = bench.config(&format!("{SIGN}    passphrase_fd: 0\n"));
    let mut from_stdin = command(&bench);
    from_stdin.stdin(std::fs::File::open(bench.home("pass")).unwrap());
    assert_eq!(check(&bench, &mut from_stdin).0, Some(0));
}

#[test]
fn what_is_wrong_with_a_key_is_said_without_it() {
    let bench = bench();
    let _ = bench.config(SIGN);
    let (code, said) = check(&bench, &mut command(&bench));
    assert!(code == Some(1) && said.contains("encrypted"), "{said}");

    write_atomic(&bench.home("pass"), b"wrong-secret\n", Mode::Private).unwrap();
    let _ = bench.config(&format!("{SIGN}    passphrase_file: pass\n"));
    let (code, said) = check(&bench, &mut command(&bench));
    assert!(code == Some(1) && said.contains("wrong passphrase") && !said.contains("wrong-secret"), "{said}");

    write_atomic(&bench.home("pass"), b"secret\n", Mode::Public).unwrap();
    let (code, said) = check(&bench, &mut command(&bench));
    assert!(code == Some(1) && said.contains("chmod"), "{said}");

    let other = bench.root.key.to_plain_pem().unwrap();
    write_atomic(&bench.home("ca.key"), other.as_bytes(), Mode::Private).unwrap();
    let _ = bench.config(SIGN);
    let (code, said) = check(&bench, command(&bench).env("RUST_LOG", "off"));
    let named = said.contains("key issuing: ") && said.contains("ca.key");
    assert!(code == Some(1) && named && said.contains("not the key of"), "{said}");
    // A configuration that makes no sense is no alarm: nothing starts.
    let _ = write_atomic(&bench.home("crl-publisher.yaml"), b"listen: [", Mode::Public);
    let output = command(&bench).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
}

#[test]
fn a_passphrase_that_can_be_read_once_waits_for_its_key() {
    let bench = bench();
    bench.private("pass", b"secret\n");
    let _ = bench.config(&format!("{SIGN}    passphrase_fd: 0\n"));
    std::fs::rename(bench.home("ca.key"), bench.home("away")).unwrap();
    let (code, said) = check(&bench, command(&bench).env("RUST_LOG", "off").stdin(Stdio::null()));
    assert!(code == Some(1) && said.contains("key issuing: "), "{said}");
    let pass = std::fs::File::open(bench.home("pass")).unwrap();
    let (mut child, address) = listening(command(&bench).stdin(pass));
    let health = || client::get(address, "/healthz").body;
    assert!(String::from_utf8(health()).unwrap().contains("key issuing: the key cannot be opened"));
    std::fs::rename(bench.home("away"), bench.home("ca.key")).unwrap();
    client::eventually("the key", || (health() == b"ok\n").then_some(()));
    let crl = told(&client::get(address, "/crl/issuing.crl").body, &bench.ca);
    assert!(crl.next_update > SystemClock.now());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn serves_until_it_is_told_to_end() {
    let bench = bench();
    write_atomic(&bench.home("pass"), b"secret\n", Mode::Private).unwrap();
    let _ = bench.config(&format!("{SIGN}    passphrase_file: pass\n"));
    let (mut child, address) =
        listening(command(&bench).args(["--listen", "127.0.0.1:0", "--log-format", "json"]));
    let crl = told(&client::get(address, "/crl/issuing.crl").body, &bench.ca);
    assert!(crl.next_update > SystemClock.now());
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
