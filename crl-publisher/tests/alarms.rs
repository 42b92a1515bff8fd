//! People are told of alarms: once raised, once over, whatever fails.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use ca_service::fixture::client::{self, eventually};
use ca_service::{Limits, Running, SaneClock};
use common::targets::{ISSUING, web};
use common::{Bench, DAY, HOUR};
use crl_publisher::Daemon;
use serde_json::Value;

/// What comes at all has come by then.
const LONG: Duration = Duration::from_secs(30);
const ROOT: &str = "  - name: root\n    certificate: root.pem\n    mode: distribute\n    source: root.crl\n";

/// A web server that keeps what it is told, and answers as a file of the bench says.
fn hook(bench: &Bench) -> (Running, Receiver<Value>) {
    let (sender, told) = channel();
    let mood = bench.write("mood", b"204");
    let answer = move |headers: HeaderMap, body: String| {
        let (sender, mood) = (sender.clone(), mood.clone());
        async move {
            if headers.get("authorization").is_none_or(|value| value != "Bearer hook-secret") {
                return StatusCode::UNAUTHORIZED;
            }
            sender.send(serde_json::from_str(&body).unwrap()).unwrap();
            StatusCode::from_bytes(&fs::read(mood).unwrap()).unwrap()
        }
    };
    let app = Router::new().route("/hook", post(answer));
    (Running::start(([127, 0, 0, 1], 0).into(), app, Limits::default(), Vec::new()).unwrap(), told)
}

fn said(told: &Receiver<Value>) -> Vec<String> {
    told.try_iter()
        .map(|event| format!("{} {}", event["event"].as_str().unwrap(), event["topic"].as_str().unwrap()))
        .collect()
}

#[test]
fn once_raised_and_once_over_also_after_failures_and_restarts() {
    let bench = Bench::new();
    let (server, told) = hook(&bench);
    bench.private("token", b"Bearer hook-secret\n");
    let open = || {
        bench.open(&format!(
            "{ROOT}state_dir: state\nalarms:\n  after: 0s\n  repeat: 1h\n  webhook: {{url: 'http://{}/hook', authorization_file: token}}\n",
            server.address()
        ))
    };
    let mut daemon = open();
    daemon.tick();
    daemon.tell();
    let event = told.try_recv().unwrap();
    assert_eq!((&event["event"], &event["topic"]), (&"raised".into(), &"crl root".into()));
    assert_eq!((&event["version"], &event["daemon"]), (&1.into(), &"crl-publisher".into()));
    assert_eq!(said(&told), ["raised source root"]);
    daemon.tell();
    assert_eq!(said(&told), [""; 0]);

    drop(daemon);
    // A restart tells nothing again, and takes nothing for over too early.
    let mut daemon = open();
    daemon.tell();
    daemon.tick();
    daemon.tell();
    assert_eq!(said(&told), [""; 0]);
    bench.clock.advance(3_600);
    daemon.tell();
    assert_eq!(said(&told), ["repeated crl root", "repeated source root"]);

    // The server refuses, and the alarm for that is not told to it. It comes when it takes it.
    bench.write("mood", b"500");
    bench.write("root.crl", &bench.make_crl(&bench.root, 1, 90 * DAY));
    daemon.tick();
    daemon.tell();
    assert_eq!(said(&told), ["cleared crl root"]);
    assert_eq!(bench.alarms(&daemon), ["alarms webhook: alarms cannot be told"]);
    // The next start knows.
    assert_eq!(bench.alarms(&open()), ["alarms webhook: alarms cannot be told"]);
    bench.write("mood", b"200");
    daemon.tell();
    assert_eq!(said(&told), [""; 0], "not before the pause is over");
    bench.clock.advance(10);
    daemon.tell();
    assert_eq!(said(&told), ["cleared crl root", "cleared source root"]);
    assert_eq!(bench.alarms(&daemon), [""; 0]);
    daemon.tell();
    assert_eq!(said(&told), [""; 0]);
    server.stop();
}

#[test]
fn a_wrong_token_is_told_without_it() {
    let bench = Bench::new();
    let (server, _told) = hook(&bench);
    bench.private("token", b"Bearer wrong-secret\n");
    let url = format!("http://{}/hook", server.address());
    let mut daemon = bench.open(&format!(
        "{ROOT}state_dir: state\nalarms: {{after: 0s, webhook: {{url: '{url}', authorization_file: token}}}}\n"
    ));
    daemon.tick();
    daemon.tell();
    let detail = daemon.alarms().detail("alarms webhook").unwrap();
    assert!(
        detail.contains("401") && !detail.contains("wrong-secret") && !detail.contains("/hook"),
        "{detail}"
    );
    server.stop();
}

#[test]
fn a_mail_server_that_never_answers_delays_nothing() {
    let bench = Bench::new();
    let (server, told) = hook(&bench);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    bench.private("token", b"Bearer hook-secret\n");
    let daemon = bench.open(&format!(
        "{ROOT}state_dir: state\nalarms:\n  after: 0s\n  webhook: {{url: 'http://{}/hook', authorization_file: token}}\n  \
         mail: {{smtp: {{host: 127.0.0.1, port: {}, tls: none, timeout_seconds: 600}}, from: ca@example.test, to: [ops@example.test]}}\n",
        server.address(),
        silent.local_addr().unwrap().port()
    ));
    let running = daemon.start(([127, 0, 0, 1], 0).into()).unwrap();
    let _connection = silent.accept().unwrap();
    assert_eq!(told.recv_timeout(LONG).unwrap()["topic"], "crl root");
    for number in 1..=3 {
        let crl = bench.make_crl(&bench.root, number, 90 * DAY);
        bench.write("root.crl", &crl);
        eventually("the CRL", || (client::get(running.address(), "/crl/root.crl").body == crl).then_some(()));
    }
    running.stop();
    server.stop();
}

#[test]
fn a_key_that_cannot_be_opened_is_told_and_when_it_is_over() {
    let bench = Bench::new();
    let (server, told) = hook(&bench);
    bench.private("token", b"Bearer hook-secret\n");
    let key = fs::read(bench.home("ca.key")).unwrap();
    fs::remove_file(bench.home("ca.key")).unwrap();
    let mut daemon = bench.open(&format!(
        "  - name: issuing\n    certificate: ca.pem\n    mode: sign\n    key: ca.key\nstate_dir: state\n\
         alarms: {{after: 0s, webhook: {{url: 'http://{}/hook', authorization_file: token}}}}\n",
        server.address()
    ));
    daemon.tell();
    let event = told.try_recv().unwrap();
    assert_eq!((&event["event"], &event["topic"]), (&"raised".into(), &"key issuing".into()));
    assert!(event["detail"].as_str().unwrap().contains("ca.key"), "{event}");
    bench.private("ca.key", &key);
    bench.clock.advance(61);
    daemon.tick();
    daemon.tell();
    assert_eq!(said(&told), ["cleared key issuing"]);
    server.stop();
}

/// A CRL that is not renewed, a target that is behind, a key that cannot be opened and a clock that jumped: each is
/// told to people, at `/healthz`, in a metric, and by a check.
#[test]
fn what_is_an_alarm_is_one_everywhere() {
    let mut bench = Bench::new();
    let (server, told) = hook(&bench);
    bench.private("token", b"Bearer hook-secret\n");
    let config = |bench: &Bench| {
        bench.config(&format!(
            "{ISSUING}metrics_listen: 127.0.0.1:0\nstate_dir: state\ntargets:\n{}\
             alarms: {{after: 0s, webhook: {{url: 'http://{}/hook', authorization_file: token}}}}\n",
            web("web"),
            server.address()
        ))
    };
    let open = |bench: &Bench| {
        let clock = SaneClock::new(bench.clock.clone(), || 0);
        let daemon = Daemon::open(config(bench), Arc::new(clock)).unwrap();
        daemon.prepare().unwrap();
        daemon
    };
    fs::create_dir(bench.home("web")).unwrap();
    let mut daemon = open(&bench);
    daemon.tick();
    daemon.deliver();
    daemon.tell();
    assert_eq!((said(&told), bench.alarms(&daemon)), (vec![], vec![]));
    drop(daemon);

    fs::remove_dir_all(bench.home("web")).unwrap();
    fs::remove_file(bench.home("ca.key")).unwrap();
    let mut daemon = open(&bench);
    daemon.tick();
    // As far as it can tell no time has passed.
    bench.clock.advance(7 * DAY - 6 * HOUR);
    let now = bench.now();
    bench.ledger.heartbeat(now);
    daemon.tick();
    daemon.deliver();
    daemon.tell();
    let said = said(&told);
    let checked = Daemon::check(config(&bench), Arc::new(bench.clock.clone())).unwrap();
    let running = daemon.start(([127, 0, 0, 1], 0).into()).unwrap();
    let text = |address, path| String::from_utf8(client::get(address, path).body).unwrap();
    let health = text(running.address(), "/healthz");
    let metrics = text(running.metrics_address().unwrap(), "/metrics");
    for (topic, summary) in [
        ("crl issuing", "the CRL ends soon and is not renewed"),
        ("target web", "a target is behind"),
        ("key issuing", "the key cannot be opened, so nothing is signed"),
        ("clock", "the clock here jumped"),
    ] {
        assert!(said.contains(&format!("raised {topic}")), "{topic}: {said:?}");
        assert!(health.contains(&format!("{topic}: {summary}\n")), "{topic}: {health}");
        assert!(metrics.contains(&format!("chancery_alarm{{topic=\"{topic}\"}} 1\n")), "{topic}: {metrics}");
        assert!(checked.list().contains(&(topic.to_owned(), summary)), "{topic}: {:?}", checked.list());
    }
    running.stop();
    server.stop();
}

/// A ledger on a file system that hangs: a pipe in the place of its checkpoint, which is opened for reading and
/// never ends. The follower cannot tell it, since it hangs; who tells it is awake.
#[test]
fn a_ledger_that_hangs_is_told_and_when_it_is_over() {
    let bench = Bench::new();
    let (server, told) = hook(&bench);
    bench.private("token", b"Bearer hook-secret\n");
    let daemon = bench.open(&format!(
        "  - name: issuing\n    certificate: ca.pem\n    mode: sign\n    key: ca.key\nstate_dir: state\n\
         alarms: {{after: 0s, webhook: {{url: 'http://{}/hook', authorization_file: token}}}}\n",
        server.address()
    ));
    let running = daemon.start(([127, 0, 0, 1], 0).into()).unwrap();
    let health = || String::from_utf8(client::get(running.address(), "/healthz").body).unwrap();
    assert_eq!(health(), "ok\n");

    let checkpoint = bench.home("ledger/checkpoint");
    let (good, pipe) = (fs::read(&checkpoint).unwrap(), bench.home("pipe"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::rename(&pipe, &checkpoint).unwrap();
    // It is open as soon as the follower reads, which waits for what comes.
    let mut end = OpenOptions::new().write(true).open(&checkpoint).unwrap();
    let since = bench.now();
    bench.clock.advance(299);
    assert_eq!(health(), "ok\n", "a slow answer is no alarm");
    bench.clock.advance(2);
    let event = told.recv_timeout(LONG).unwrap();
    assert_eq!((&event["event"], &event["topic"]), (&"raised".into(), &"ledger".into()), "{event}");
    assert_eq!(event["summary"], "the ledger cannot be read");
    let detail = event["detail"].as_str().unwrap();
    assert!(detail.contains(&format!("reading it hangs since {since}")), "{detail}");
    assert_eq!(health(), "ledger: the ledger cannot be read\n");
    // What was published is served on.
    assert_eq!(client::get(running.address(), "/crl/issuing.crl").status, 200);

    fs::remove_file(&checkpoint).unwrap();
    bench.write("ledger/checkpoint", &good);
    end.write_all(&good).unwrap();
    drop(end);
    assert_eq!(told.recv_timeout(LONG).unwrap()["event"], "cleared");
    assert_eq!(health(), "ok\n");
    running.stop();
    server.stop();
}
