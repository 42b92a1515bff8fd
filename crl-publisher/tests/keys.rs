//! A key or certificate that cannot be opened at the start: its authority waits for it, nobody
//! else does, and what was published stays.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ca_files::{Mode, write_atomic};
use ca_service::Running;
use ca_service::fixture::client::{self, eventually};
use ca_signing::{KdfCost, Passphrase};
use common::{Bench, DAY, Told, put, told};
use crl_publisher::Daemon;
use crl_publisher::config::Config;

const BOTH: &str = "  - name: issuing
    certificate: ca.pem
    mode: sign
    key: ca.key
    passphrase_file: pass
  - name: root
    certificate: root.pem
    mode: sign
    key: root.key
";

/// A bench with two authorities that sign; the key of the first is encrypted.
fn bench() -> Bench {
    let bench = Bench::new();
    let secret = Passphrase::from_string("secret".into());
    let pem = bench.ca.key.to_encrypted_pem(&secret, KdfCost::Test).unwrap();
    bench.private("ca.key", pem.as_bytes());
    bench.private("pass", b"secret\n");
    bench.private("root.key", bench.root.key.to_plain_pem().unwrap().as_bytes());
    bench
}

fn configure(bench: &Bench, authorities: &str) -> PathBuf {
    let text = format!(
        "listen: 127.0.0.1:0\nmetrics_listen: 127.0.0.1:0\nledger: ledger\nledger_vkey: \"{}\"\n\
         directory: published\nauthorities:\n{authorities}",
        bench.ledger.vkey()
    );
    bench.write("crl-publisher.yaml", text.as_bytes())
}

fn start(bench: &Bench) -> Running {
    let config = Config::load(&configure(bench, BOTH)).unwrap();
    let daemon = Daemon::open(config, Arc::new(bench.clock.clone())).unwrap();
    daemon.start(([127, 0, 0, 1], 0).into()).unwrap()
}

fn text(address: std::net::SocketAddr, path: &str) -> String {
    String::from_utf8(client::get(address, path).body).unwrap()
}

fn health(running: &Running) -> String {
    text(running.address(), "/healthz")
}

fn issuing(bench: &Bench, running: &Running) -> Told {
    told(&client::get(running.address(), "/crl/issuing.crl").body, &bench.ca)
}

fn root(bench: &Bench, running: &Running) -> Told {
    told(&client::get(running.address(), "/crl/root.crl").body, &bench.root)
}

/// What is wrong with a file, and how it is put right.
struct Fault {
    /// The alarm and what its detail says.
    topic: &'static str,
    said: &'static str,
    file: &'static str,
    content: Option<Vec<u8>>,
    mode: u32,
}

fn faults(bench: &Bench) -> Vec<Fault> {
    let key = |said, content, mode| Fault { topic: "key issuing", said, file: "ca.key", content, mode };
    let certificate =
        |said, content, mode| Fault { topic: "certificate issuing", said, file: "ca.pem", content, mode };
    let foreign = bench.root.key.to_encrypted_pem(&Passphrase::from_string("secret".into()), KdfCost::Test);
    let (good_key, good_pem) =
        (fs::read(bench.home("ca.key")).unwrap(), fs::read(bench.home("ca.pem")).unwrap());
    vec![
        key("ca.key", None, 0),
        key("ca.key", Some(b"garbled".to_vec()), 0o600),
        key("chmod", Some(good_key), 0o644),
        key("not the key of", Some(foreign.unwrap().as_bytes().to_vec()), 0o600),
        Fault {
            topic: "key issuing",
            said: "wrong passphrase",
            file: "pass",
            content: Some(b"other\n".to_vec()),
            mode: 0o600,
        },
        certificate("ca.pem", None, 0),
        certificate("ca.pem", Some(good_pem[..good_pem.len() / 2].to_vec()), 0o644),
        certificate("ca.pem", Some(good_pem), 0o666),
    ]
}

impl Fault {
    /// Brings it about; what was there before.
    fn begin(&self, bench: &Bench) -> (Vec<u8>, u32) {
        let path = bench.home(self.file);
        let before = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().permissions().mode());
        fs::remove_file(&path).unwrap();
        if let Some(content) = &self.content {
            put(&path, content, self.mode);
        }
        before
    }
}

#[test]
fn one_that_cannot_be_opened_keeps_nobody_else_waiting() {
    let mut bench = bench();
    let first = start(&bench);
    let mut last = (issuing(&bench, &first), root(&bench, &first));
    first.stop();
    for fault in faults(&bench) {
        let what = format!("{}: {}", fault.topic, fault.said);
        let before = fault.begin(&bench);
        // The next of both are due.
        bench.clock.advance(DAY + 61);
        let now = bench.now();
        bench.ledger.heartbeat(now);
        let mut running = start(&bench);
        assert_eq!(client::get(running.address(), "/readyz").status, 200);
        let fresh = root(&bench, &running);
        assert!(fresh.number > last.1.number && fresh.next_update > last.1.next_update, "{what}");

        let told = health(&running);
        assert!(
            told.lines().any(|line| line.starts_with(&format!("{}: the ", fault.topic))),
            "{what}: {told}"
        );
        assert!(!told.contains("root"), "{told}");
        let metrics = text(running.metrics_address().unwrap(), "/metrics");
        assert!(metrics.contains(&format!("chancery_alarm{{topic=\"{}\"}} 1", fault.topic)), "{metrics}");
        let status: serde_json::Value =
            serde_json::from_str(&text(running.metrics_address().unwrap(), "/status")).unwrap();
        let alarms = status["alarms"].as_array().unwrap();
        let alarm = alarms.iter().find(|alarm| alarm["topic"] == fault.topic).unwrap();
        let detail = alarm["detail"].as_str().unwrap();
        assert!(detail.contains(fault.said) && !detail.contains("secret"), "{what}: {detail}");

        let now = issuing(&bench, &running);
        assert_eq!(client::get(running.address(), "/ca/issuing.crt").body, bench.ca.authority.der, "{what}");
        if fault.topic.starts_with("key") {
            assert_eq!(now, last.0, "{what}");
            assert_eq!(
                status["authorities"][0]["crls"][0]["error"],
                "the key cannot be opened, see its own alarm"
            );
            // Others may be changed meanwhile, and what is open must be so again.
            running.reload(&configure(&bench, &format!("{BOTH}    validity: 6d\n")));
            assert!(!health(&running).contains("configuration"), "{}", health(&running));
            running.reload(&configure(&bench, &BOTH.replace("root.key", "missing.key")));
            assert!(health(&running).contains("configuration: the new configuration was refused"));
            running.reload(&configure(&bench, BOTH));
            assert!(!health(&running).contains("configuration"), "{}", health(&running));
        } else {
            // The certificate that it published before does as well.
            assert!(now.number > last.0.number, "{what}");
        }

        put(&bench.home(fault.file), &before.0, before.1);
        eventually(&what, || (health(&running) == "ok\n").then_some(()));
        let next = issuing(&bench, &running);
        assert!(next.number > last.0.number && next.this_update > last.0.this_update, "{what}");
        assert!(text(running.metrics_address().unwrap(), "/metrics").contains("\nchancery_alarms 0\n"));
        last = (next, root(&bench, &running));
        running.stop();
    }
}

#[test]
fn a_start_without_any_key_or_certificate() {
    let mut bench = bench();
    let now = bench.now();
    let serial = bench.issue();
    let away = |name: &str| fs::rename(bench.home(name), bench.home(&format!("{name}.away"))).unwrap();
    let back = |name: &str| fs::rename(bench.home(&format!("{name}.away")), bench.home(name)).unwrap();
    for name in ["ca.pem", "ca.key", "root.key"] {
        away(name);
    }
    let running = start(&bench);
    let address = running.address();
    // There is nothing to serve: somebody else may have it.
    assert_eq!(client::get(address, "/readyz").status, 503);
    assert_eq!(client::get(address, "/crl/root.crl").status, 404);
    assert_eq!(client::get(address, "/ca/root.crt").body, bench.root.authority.der);
    assert_eq!(client::get(address, "/ca/issuing.crt").status, 404);
    let told = health(&running);
    assert!(told.contains("certificate issuing: ") && told.contains("key root: "), "{told}");

    back("root.key");
    eventually("the CRL of the root", || (client::get(address, "/crl/root.crl").status == 200).then_some(()));
    assert_eq!(client::get(address, "/readyz").status, 200);
    back("ca.pem");
    eventually("the certificate", || health(&running).contains("key issuing: ").then_some(()));
    assert_eq!(client::get(address, "/ca/issuing.crt").body, bench.ca.authority.der);
    assert_eq!(fs::read(bench.published("ca/issuing.crt")).unwrap(), bench.ca.authority.der);
    back("ca.key");
    eventually("all", || (health(&running) == "ok\n").then_some(()));
    assert_eq!(issuing(&bench, &running).serials, []);

    // It is told of changes like one that was there from the start.
    bench.ledger.revoke(bench.ca.id(), serial, ca_domain::ReasonCode::KeyCompromise, now);
    bench.clock.advance(6);
    let listed = || {
        bench.clock.advance(1);
        Some(()).filter(|()| issuing(&bench, &running).serials == [serial])
    };
    eventually("the revocation", listed);
    running.stop();
}

#[test]
fn another_certificate_is_taken_when_it_can_be_opened() {
    let bench = bench();
    let mut daemon = bench.open(BOTH);
    daemon.tick();
    drop(daemon);
    // The authority got another key and certificate, and both are garbled.
    let next = ca_service::fixture::TestAuthority::new("Next CA");
    bench.write("ca.pem", b"garbled");
    bench.private("ca.key", b"garbled");
    let mut daemon = bench.open(BOTH);
    daemon.tick();
    assert_eq!(fs::read(bench.published("ca/issuing.crt")).unwrap(), bench.ca.authority.der);
    bench.write("ca.pem", next.pem().as_bytes());
    write_atomic(&bench.home("ca.key"), next.key.to_plain_pem().unwrap().as_bytes(), Mode::Private).unwrap();
    fs::remove_file(bench.home("pass")).unwrap();
    bench.private("pass", b"secret\n");
    daemon.tick();
    bench.clock.advance(61);
    daemon.tick();
    assert_eq!(fs::read(bench.published("ca/issuing.crt")).unwrap(), next.authority.der);
    told(&fs::read(bench.published("crl/issuing.crl")).unwrap(), &next);
    assert_eq!(bench.alarms(&daemon), [""; 0]);
}

#[test]
fn a_pause_between_attempts_and_none_after_a_change() {
    let bench = bench();
    let good = fs::read(bench.home("ca.key")).unwrap();
    bench.private("ca.key", b"garbled");
    let mut daemon = bench.open(BOTH);
    for _ in 0..3 {
        bench.clock.advance(5);
        daemon.tick();
        assert!(bench.alarms(&daemon).join("\n").contains("key issuing: "));
    }
    bench.private("ca.key", &good);
    daemon.tick();
    assert_eq!(bench.alarms(&daemon), [""; 0]);
    assert_eq!(bench.crl().serials, []);
}

/// A pipe in the place of a file, which nobody writes to: reading hangs, as on a server that is gone.
fn hang(path: &Path) {
    fs::remove_file(path).unwrap();
    assert!(std::process::Command::new("mkfifo").args(["-m", "600"]).arg(path).status().unwrap().success());
}

#[test]
fn a_file_that_hangs_keeps_nobody_else_waiting() {
    // Each start waits for a while: all at once.
    std::thread::scope(|scope| {
        for (file, topic) in [("ca.key", "key"), ("pass", "key"), ("ca.pem", "certificate")] {
            scope.spawn(move || hangs_alone(file, topic));
        }
    });
}

fn hangs_alone(file: &str, topic: &str) {
    let mut bench = bench();
    let first = start(&bench);
    let last = (issuing(&bench, &first), root(&bench, &first));
    first.stop();
    let path = bench.home(file);
    let content = fs::read(&path).unwrap();
    hang(&path);
    bench.clock.advance(DAY + 61);
    let now = bench.now();
    bench.ledger.heartbeat(now);
    let mut running = start(&bench);
    // The other is signed and served, and what was published is.
    assert!(root(&bench, &running).number > last.1.number, "{file}");
    let then = issuing(&bench, &running);
    // The certificate that was published does.
    assert_eq!(then.number > last.0.number, topic == "certificate", "{file}");
    assert_eq!(client::get(running.address(), "/ca/issuing.crt").body, bench.ca.authority.der, "{file}");
    let status = text(running.metrics_address().unwrap(), "/status");
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let alarms = status["alarms"].as_array().unwrap();
    let alarm = alarms.iter().find(|alarm| alarm["topic"] == format!("{topic} issuing")).unwrap();
    let detail = alarm["detail"].as_str().unwrap();
    assert!(detail.contains(file) && detail.contains("reading hangs since"), "{detail}");
    assert!(!detail.contains("secret"), "{detail}");

    // Others may be changed meanwhile, and it may be put elsewhere, where nothing hangs.
    running.reload(&configure(&bench, &format!("{BOTH}    validity: 6d\n")));
    assert!(!health(&running).contains("configuration"), "{}", health(&running));
    put(&bench.home(&format!("other-{file}")), &content, 0o600);
    running.reload(&configure(&bench, &BOTH.replace(&format!(": {file}\n"), &format!(": other-{file}\n"))));
    assert_eq!(health(&running), "ok\n", "{file}");
    assert!(issuing(&bench, &running).number > last.0.number, "{file}");
    running.stop();

    // Or what hung goes on.
    bench.clock.advance(DAY + 61);
    let now = bench.now();
    bench.ledger.heartbeat(now);
    let last = issuing_file(&bench);
    let running = start(&bench);
    assert!(health(&running).contains(&format!("{topic} issuing: ")), "{}", health(&running));
    let mut end = fs::OpenOptions::new().write(true).open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    put(&path, &content, 0o600);
    std::io::Write::write_all(&mut end, &content).unwrap();
    drop(end);
    eventually("all", || (health(&running) == "ok\n").then_some(()));
    assert!(issuing(&bench, &running).number > last.number, "{file}");
    running.stop();
}

fn issuing_file(bench: &Bench) -> Told {
    told(&fs::read(bench.published("crl/issuing.crl")).unwrap(), &bench.ca)
}
