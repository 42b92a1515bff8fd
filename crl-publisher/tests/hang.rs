//! A start while a file system hangs: what can be published is, and all that was is served.
//!
//! What hangs is a pipe that nobody writes to.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use ca_service::Running;
use ca_service::fixture::client::{self, eventually};
use common::targets::{ISSUING, ROOT};
use common::{Bench, DAY, HOUR, told};
use crl_publisher::Daemon;

/// Puts a pipe in the place of a file.
fn hang(path: &Path) {
    let _ = fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Puts a file there again, and ends the reading that hangs.
fn go_on(bench: &Bench, name: &str, content: &[u8]) {
    let end = OpenOptions::new().write(true).open(bench.home(name)).unwrap();
    bench.write(name, content);
    drop(end);
}

fn start(bench: &Bench) -> Running {
    let config = bench.config(&format!("{ISSUING}{ROOT}"));
    let daemon = Daemon::open(config, Arc::new(bench.clock.clone())).unwrap();
    daemon.start(([127, 0, 0, 1], 0).into()).unwrap()
}

fn health(running: &Running) -> String {
    String::from_utf8(client::get(running.address(), "/healthz").body).unwrap()
}

#[test]
fn a_ledger_that_hangs_at_the_start() {
    let mut bench = Bench::new();
    let serial = bench.issue();
    bench.write("root.crl", &bench.make_crl(&bench.root, 1, 90 * DAY));
    start(&bench).stop();
    let (first, root) = (bench.crl(), bench.make_crl(&bench.root, 2, 90 * DAY));
    // Both have something new.
    bench.clock.advance(HOUR);
    bench.revoke(serial);
    bench.write("root.crl", &root);
    let checkpoint = fs::read(bench.home("ledger/checkpoint")).unwrap();
    hang(&bench.home("ledger/checkpoint"));

    let mut running = start(&bench);
    let issuing =
        |running: &Running| told(&client::get(running.address(), "/crl/issuing.crl").body, &bench.ca);
    assert_eq!(client::get(running.address(), "/crl/root.crl").body, root);
    assert_eq!(issuing(&running), first);
    bench.clock.advance(301);
    eventually("the alarm", || {
        health(&running).contains("ledger: the ledger cannot be read\n").then_some(())
    });
    running.reload(&bench.home("crl-publisher.yaml"));
    assert!(health(&running).contains("configuration: the new configuration was refused"));

    go_on(&bench, "ledger/checkpoint", &checkpoint);
    eventually("the next CRL", || {
        bench.clock.advance(5);
        (issuing(&running).serials == [serial]).then_some(())
    });
    running.reload(&bench.home("crl-publisher.yaml"));
    eventually("no alarm", || (health(&running) == "ok\n").then_some(()));
    running.stop();
}

#[test]
fn a_source_that_hangs_at_the_start() {
    let bench = Bench::new();
    let root = bench.make_crl(&bench.root, 1, 90 * DAY);
    hang(&bench.home("root.crl"));
    let mut running = start(&bench);
    assert_eq!(told(&client::get(running.address(), "/crl/issuing.crl").body, &bench.ca), bench.crl());
    assert_eq!(client::get(running.address(), "/crl/root.crl").status, 404);
    // It cannot tell itself that it hangs.
    bench.clock.advance(599);
    assert_eq!(health(&running), "ok\n");
    bench.clock.advance(1);
    let told = "hang root: the work for an authority hangs, and its CRLs are not renewed\n";
    eventually("the alarm", || (health(&running) == told).then_some(()));
    running.reload(&bench.home("crl-publisher.yaml"));
    assert!(health(&running).starts_with("configuration: the new configuration was refused"));
    go_on(&bench, "root.crl", &root);
    eventually("its CRL", || (client::get(running.address(), "/crl/root.crl").body == root).then_some(()));
    let hangs = || health(&running).contains("hang root");
    eventually("no alarm", || (!hangs()).then_some(()));
    running.reload(&bench.home("crl-publisher.yaml"));
    assert_eq!(health(&running), "ok\n");
    running.stop();
}
