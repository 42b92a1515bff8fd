//! Two publishers for one authority: one publishes, the other waits and takes over.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use ca_service::fixture::client::{self, eventually};
use ca_service::{Clock, SystemClock};
use common::{Bench, DAY, told};

const SIGN: &str =
    "  - name: issuing\n    certificate: ca.pem\n    mode: sign\n    key: ca.key\n    after_revocation: 0s\n";

#[test]
fn the_second_serves_what_the_first_publishes_and_takes_over() {
    let mut bench = Bench::new();
    let serial = bench.issue();
    let mut first = bench.open(SIGN);
    first.tick();
    let published = bench.crl();
    let mut second = bench.open(SIGN);
    second.tick();
    assert_eq!(bench.alarms(&second), [""; 0]);

    // Whatever happens, the second writes nothing.
    bench.revoke(serial);
    bench.clock.advance(60);
    fs::remove_file(bench.published("crl/issuing.pem")).unwrap();
    second.tick();
    assert_eq!(bench.crl(), published);
    assert!(!bench.published("crl/issuing.pem").exists());
    first.tick();
    let with_serial = bench.crl();
    assert_eq!(with_serial.serials, [serial]);
    second.tick();
    bench.clock.advance(DAY + 61);
    let now = bench.now();
    bench.ledger.heartbeat(now);
    second.tick();
    assert_eq!(bench.crl(), with_serial);
    let late = bench.alarms(&second).join("\n");
    assert!(late.contains("crl issuing: the next CRL is late"), "{late}");

    // The first is gone, and left half of a CRL.
    drop(first);
    let staging = bench.published("crl/.issuing.crl.tmp");
    fs::write(&staging, b"half").unwrap();
    second.tick();
    let taken_over = bench.crl();
    assert!(taken_over.number > with_serial.number);
    assert_eq!((taken_over.serials, bench.alarms(&second)), (vec![serial], vec![]));
    assert!(!staging.exists());
}

#[test]
fn a_takeover_signs_nothing_that_is_there_already() {
    let mut bench = Bench::new();
    let serial = bench.issue();
    let mut first = bench.open(SIGN);
    first.tick();
    let mut second = bench.open(SIGN);
    second.tick();
    bench.revoke(serial);
    bench.clock.advance(60);
    second.tick();
    first.tick();
    let published = bench.crl();
    assert_eq!(published.serials, [serial]);
    drop(first);
    second.tick();
    bench.clock.advance(60);
    second.tick();
    assert_eq!(bench.crl(), published);
}

struct Process {
    child: Child,
    address: SocketAddr,
    metrics: SocketAddr,
}

impl Process {
    fn start(bench: &Bench) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_crl-publisher"))
            .arg("--config")
            .arg(bench.home("pair.yaml"))
            .env_remove("NOTIFY_SOCKET")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut address = |prefix: &str| {
            let line = lines.next().unwrap().unwrap();
            line.strip_prefix(prefix).unwrap().parse().unwrap()
        };
        let (address, metrics) = (address("listening on "), address("metrics at "));
        Self { child, address, metrics }
    }

    fn status(&self) -> serde_json::Value {
        serde_json::from_slice(&client::get(self.metrics, "/status").body).unwrap()
    }

    fn role(&self) -> String {
        self.status()["authorities"][0]["role"].as_str().unwrap().to_owned()
    }

    fn metrics(&self) -> String {
        String::from_utf8(client::get(self.metrics, "/metrics").body).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn two_processes_and_the_first_is_killed() {
    let mut bench = Bench::at(SystemClock.now());
    let text = format!(
        "listen: 127.0.0.1:0\nmetrics_listen: 127.0.0.1:0\nledger: ledger\nledger_vkey: \"{}\"\n\
         directory: published\nauthorities:\n{SIGN}",
        bench.ledger.vkey()
    );
    bench.write("pair.yaml", text.as_bytes());
    let mut first = Process::start(&bench);
    let second = Process::start(&bench);
    assert_eq!((first.role().as_str(), second.role().as_str()), ("active", "standby"));
    let crl = |process: &Process, bench: &Bench| {
        told(&client::get(process.address, "/crl/issuing.crl").body, &bench.ca)
    };
    let before = crl(&first, &bench);
    assert_eq!(crl(&second, &bench), before);
    let status = second.status();
    let publisher = status["authorities"][0]["publisher"].as_str().unwrap();
    assert!(publisher.contains(&first.child.id().to_string()), "{publisher}");
    assert!(second.metrics().contains("chancery_crl_publisher_active{authority=\"issuing\"} 0"));

    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let serial = bench.issue();
    bench.revoke(serial);
    let after = eventually("the CRL of the second", || {
        Some(crl(&second, &bench)).filter(|crl| crl.serials == [serial])
    });
    assert!(after.number > before.number);
    eventually("its status", || (second.role() == "active").then_some(()));
    assert!(second.metrics().contains("chancery_crl_publisher_active{authority=\"issuing\"} 1"));
    let status = second.status();
    let list = &status["authorities"][0]["crls"][0];
    assert_eq!(list["number"].as_str().unwrap(), after.number.to_string());
    assert_eq!((list["entries"].as_u64(), list["error"].as_str()), (Some(1), None));
    assert_eq!(list["nextUpdate"].as_str().unwrap(), after.next_update.to_string());
}
