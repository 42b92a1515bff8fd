//! The responder and its command against OpenSSL, on the clock of the system.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::process::Command;
use std::sync::Arc;

use ca_domain::{ReasonCode, SerialNumber};
use ca_service::fixture::client::eventually;
use ca_service::fixture::program::listening;
use ca_service::{Clock, SystemClock};
use common::Bench;

fn openssl(bench: &Bench, url: &str, serial: &SerialNumber, more: &[&str]) -> String {
    let ca = bench.ledger.home().join("ca.pem");
    let output = Command::new("openssl")
        .arg("ocsp")
        .args(more)
        .arg("-issuer")
        .arg(&ca)
        .arg("-CAfile")
        .arg(&ca)
        .args(["-serial", &format!("0x{serial}"), "-url", url])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn openssl_verifies_good_and_revoked() {
    let mut bench = Bench::at(SystemClock.now());
    let (alice, bob) = (bench.issue(), bench.issue());
    bench.start_with("", Arc::new(SystemClock));
    let url = format!("http://{}/", bench.address());
    for more in [&["-no_nonce"][..], &[], &["-sha256"]] {
        let said = openssl(&bench, &url, &alice, more);
        assert!(said.contains("Response verify OK") && said.contains(": good"), "{said}");
    }
    let (authority, now) = (bench.ca.id(), SystemClock.now());
    bench.ledger.revoke(authority, bob, ReasonCode::KeyCompromise, now);
    let said = eventually("the revocation", || {
        let said = openssl(&bench, &url, &bob, &[]);
        said.contains(": revoked").then_some(said)
    });
    assert!(said.contains("Response verify OK") && said.contains("Reason: keyCompromise"), "{said}");
}

#[test]
fn the_command_checks_serves_and_ends() {
    let mut bench = Bench::at(SystemClock.now());
    let serial = bench.issue();
    let _ = bench.config("");
    let command = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocsp-responder"));
        command.arg("--config").arg(bench.ledger.home().join("ocsp-responder.yaml"));
        command.env_remove("NOTIFY_SOCKET");
        command
    };
    let check = command().arg("--check").output().unwrap();
    assert_eq!(check.status.code(), Some(0), "{check:?}");

    let (mut child, address) = listening(command().args(["--listen", "127.0.0.1:0"]));
    let said = openssl(&bench, &format!("http://{address}/"), &serial, &[]);
    assert!(said.contains("Response verify OK"), "{said}");
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));

    bench.ledger.put_checkpoint(b"nothing");
    let check = command().arg("--check").output().unwrap();
    assert_eq!(check.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&check.stderr).contains("the ledger is refused"), "{check:?}");
    let unknown = Command::new(env!("CARGO_BIN_EXE_ocsp-responder")).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
}
