//! The command under a service manager: ready, reload, drain, end.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ca_service::fixture::client;
use ca_service::{Clock, SystemClock};
use ca_status::ocsp::{ErrorStatus, view};
use common::Bench;

const LONG: Duration = Duration::from_secs(30);

/// A responder in a process of its own, and what it tells the service manager.
struct Service {
    child: Child,
    address: SocketAddr,
    manager: UnixDatagram,
}

impl Service {
    fn start(bench: &Bench) -> Self {
        Self::start_with(bench, "", Stdio::null())
    }

    fn start_with(bench: &Bench, more: &str, log: Stdio) -> Self {
        let socket = bench.ledger.home().join("notify");
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager.set_read_timeout(Some(LONG)).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_ocsp-responder"))
            .arg("--config")
            .arg(bench.configure(more))
            .args(["--log-format", "json"])
            .env("NOTIFY_SOCKET", &socket)
            .env_remove("RUST_LOG")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
        let service = Self { child, address, manager };
        assert_eq!(service.told(), "READY=1\n");
        service
    }

    fn told(&self) -> String {
        let mut buffer = [0; 256];
        let length = self.manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn ended(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

fn post(address: SocketAddr, der: &[u8]) -> client::Response {
    client::request(address, "POST", "/", &[("Content-Type", "application/ocsp-request")], der)
}

#[test]
fn reloads_without_losing_a_request() {
    let mut bench = Bench::at(SystemClock.now());
    let serial = bench.issue();
    let der = bench.request(&serial);
    let service = Service::start(&bench);
    let error = |address| view::error_status(&post(address, &der).body).unwrap();
    assert_eq!(error(service.address), None);

    let stop = AtomicBool::new(false);
    let answered = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut answered = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let response = post(service.address, &der);
                        assert_eq!(response.status, 200);
                        let error = view::error_status(&response.body).unwrap();
                        assert!(matches!(error, None | Some(ErrorStatus::Unauthorized)), "{error:?}");
                        answered += 1;
                    }
                    answered
                })
            })
            .collect();
        for nonce in ["require", "echo", "require", "broken", "ignore", "require"] {
            bench.configure(&format!("nonce: {nonce}\n"));
            service.signal("-HUP");
            let reloading = service.told();
            assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
            assert_eq!(service.told(), "READY=1\n");
            let expected = (nonce == "require").then_some(ErrorStatus::Unauthorized);
            if nonce == "broken" {
                let health = client::get(service.address, "/healthz");
                assert!(health.status == 503 && health.body.starts_with(b"configuration: "));
                assert_eq!(error(service.address), Some(ErrorStatus::Unauthorized), "the old one stays");
            } else {
                assert_eq!(error(service.address), expected, "{nonce}");
            }
        }
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().unwrap()).sum::<i32>()
    });
    assert!(answered > 0);
    assert_eq!(client::get(service.address, "/healthz").status, 200);
    service.signal("-TERM");
    assert_eq!(service.told(), "STOPPING=1\n");
    assert_eq!(service.ended(), Some(0));
}

/// The lines about requests, each a JSON object.
fn request_lines(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.map(|line| line["fields"].clone()).filter(|fields| fields["message"] == "request").collect()
}

#[test]
fn the_log_of_requests_names_nobody_unless_told_to() {
    let mut bench = Bench::at(SystemClock.now());
    let serial = bench.issue();
    let der = bench.request(&serial);
    let path = bench.ledger.home().join("log");
    let ask = |more: &str| {
        let log = std::fs::File::create(&path).unwrap();
        let service = Service::start_with(&bench, more, log.into());
        for _ in 0..8 {
            assert_eq!(post(service.address, &der).status, 200);
        }
        for _ in 0..40 {
            assert_eq!(post(service.address, b"no DER").status, 400);
        }
        service.signal("-TERM");
        assert_eq!(service.ended(), Some(0));
        std::fs::remove_file(bench.ledger.home().join("notify")).unwrap();
        (request_lines(&path), std::fs::read_to_string(&path).unwrap())
    };
    let hex = serial.to_string();
    let names_somebody = |text: &str| text.contains("127.0.0.") || text.to_lowercase().contains(&hex);

    let (lines, text) = ask("");
    assert!(lines.is_empty() && !names_somebody(&text), "{text}");

    let (lines, text) = ask("request_log: {sample: 0.25, sample_errors: 0.1}\n");
    let count = |result: &str| lines.iter().filter(|line| line["result"] == result).count();
    assert_eq!((count("good"), lines.len()), (2, 2 + count("malformed_request")));
    assert!((3..=4).contains(&count("malformed_request")), "{text}");
    assert!(!names_somebody(&text), "{text}");
    let line = lines.iter().find(|line| line["result"] == "good").unwrap();
    assert_eq!((&line["method"], &line["authority"]), (&"post".into(), &"Issuing CA".into()));
    assert!(line["latency_us"].is_u64() && line["bytes"].as_u64() > Some(100), "{line}");

    let (lines, text) =
        ask("request_log: {sample: 1, max_per_second: 1000, serial: true, client_address: prefix}\n");
    assert_eq!(lines.len(), 48);
    assert!(lines.iter().all(|line| line["client"] == "127.0.0.0"), "{text}");
    let asked = lines.iter().filter(|line| line["serial"] == hex.as_str()).count();
    assert_eq!(asked, 8, "{hex} {text}");

    // However many there are: the disk does not fill.
    let (lines, _) = ask("request_log: {sample: 1, max_per_second: 1, client_address: full}\n");
    assert!((1..48).contains(&lines.len()) && lines[0]["client"] == "127.0.0.1");
}

#[test]
fn drains_and_ends_well() {
    let mut bench = Bench::at(SystemClock.now());
    let serial = bench.issue();
    let der = bench.request(&serial);
    let service = Service::start(&bench);
    let mut slow = TcpStream::connect(service.address).unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/ocsp-request\r\nContent-Length: {}\r\n\r\n",
        der.len()
    );
    slow.write_all(head.as_bytes()).unwrap();
    slow.set_read_timeout(Some(LONG)).unwrap();
    // The handler waits for the body now: it has asked for it.
    let mut go_on = [0; 25];
    slow.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    service.signal("-TERM");
    assert_eq!(service.told(), "STOPPING=1\n");
    common::wait_for("the end of listening", || TcpStream::connect(service.address).is_err());
    slow.write_all(&der).unwrap();
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).unwrap();
    let body = answer.windows(4).position(|at| at == b"\r\n\r\n").unwrap() + 4;
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert_eq!(view::error_status(&answer[body..]).unwrap(), None);
    assert_eq!(service.ended(), Some(0));
}

#[test]
fn a_check_serves_nothing() {
    let bench = Bench::at(SystemClock.now());
    let check = |config: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocsp-responder"));
        let output = command.arg("--config").arg(config).arg("--check").output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), output.stderr)
    };
    let good = bench.configure("");
    assert_eq!(check(&good).0, Some(0));
    assert!(check(&good).1.ends_with("ocsp-responder.yaml is in order\n"));
    let bad = bench.configure("nonce: maybe\n");
    let (code, _, said) = check(&bad);
    assert!(code == Some(1) && String::from_utf8_lossy(&said).contains("maybe"));
}
