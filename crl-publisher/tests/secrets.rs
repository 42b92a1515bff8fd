//! A secret that a target or a way to tell alarms lacks: that one waits for it, and nobody else.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use axum::Router;
use axum::routing::post;
use ca_service::fixture::client::{self, eventually};
use ca_service::fixture::program;
use ca_service::{Limits, Running};
use common::targets::{at, bench_with, web};
use common::{Bench, DAY, put};
use crl_publisher::Daemon;
use crl_publisher::config::Config;

const ROOT: &str = "  - name: root\n    certificate: root.pem\n    mode: distribute\n    source: root.crl\n";
const LACKS: &str = "a target lacks a secret or certificate, so nothing gets there";
const MUTE: &str = "alarms cannot be told: a secret or certificate is lacking";

/// A target or a way to tell alarms, with the file that it lacks.
struct Lack {
    /// What comes after `state_dir`, with `HOOK` for a server that takes alarms.
    config: String,
    file: &'static str,
    topic: &'static str,
    summary: &'static str,
}

fn lacks() -> Vec<Lack> {
    let s3 = |more: &str, scheme: &str| {
        format!(
            "targets:\n{}  - {{name: far, s3: {{endpoint: '{scheme}://127.0.0.1:9', region: r, bucket: b, access_key: k, \
             secret_key_file: secret{more}}}}}\nalarms: {{after: 0s, webhook: {{url: 'HOOK', authorization_file: token}}}}\n",
            web("web")
        )
    };
    let ldap = |how: &str| {
        format!(
            "targets:\n{}  - {{name: far, ldap: {{{how}}}, entries: [{{file: crl/root.crl, dn: cn=root}}]}}\n\
             alarms: {{after: 0s, webhook: {{url: 'HOOK', authorization_file: token}}}}\n",
            web("web")
        )
    };
    let told = |mail: &str, hook: &str| {
        format!(
            "targets:\n{}alarms:\n  after: 0s\n  webhook: {{url: 'HOOK', authorization_file: {hook}}}\n  mail: {{smtp: \
             {{host: 127.0.0.1, port: 9, tls: none, username: ca, password_file: {mail}}}, from: ca@example.test, to: [ops@example.test]}}\n",
            web("web")
        )
    };
    let target = |config, file| Lack { config, file, topic: "target far", summary: LACKS };
    let plain = "url: 'ldap://127.0.0.1:9', plain: true, bind_dn: cn=x, password_file: lacking";
    let client = "url: 'ldaps://127.0.0.1:9', ca_root: root.pem, client_certificate: root.pem, client_key: lacking, sasl: external";
    vec![
        target(s3("", "http"), "secret"),
        target(s3(", session_token_file: lacking", "http"), "lacking"),
        target(s3(", ca_file: lacking", "https"), "lacking"),
        target(ldap(plain), "lacking"),
        target(ldap(client), "lacking"),
        Lack { config: told("lacking", "token"), file: "lacking", topic: "alarms mail", summary: MUTE },
        Lack { config: told("password", "lacking"), file: "lacking", topic: "alarms webhook", summary: MUTE },
    ]
}

/// What fits each of the files.
fn good(bench: &Bench, lack: &Lack) -> Vec<u8> {
    if lack.config.contains("ca_file: lacking") {
        bench.root.pem().into_bytes()
    } else if lack.config.contains("client_key: lacking") {
        bench.root.key.to_plain_pem().unwrap().as_bytes().to_vec()
    } else {
        b"secret\n".to_vec()
    }
}

/// A bench with a published CRL and all files but the one that is lacking.
fn bench(lack: &Lack) -> Bench {
    let bench = bench_with(&["web"]);
    bench.write("root.crl", &bench.make_crl(&bench.root, 1, 90 * DAY));
    for file in ["secret", "token", "password"].into_iter().filter(|file| *file != lack.file) {
        bench.private(file, b"secret\n");
    }
    bench
}

fn config(bench: &Bench, more: &str) -> Config {
    bench.config(&format!("{ROOT}state_dir: state\n{more}"))
}

fn start(bench: &Bench, more: &str) -> Running {
    let daemon = Daemon::open(config(bench, more), Arc::new(bench.clock.clone())).unwrap();
    daemon.start(([127, 0, 0, 1], 0).into()).unwrap()
}

fn health(running: &Running) -> String {
    String::from_utf8(client::get(running.address(), "/healthz").body).unwrap()
}

/// It serves, and another target is served.
fn works(bench: &Bench, running: &Running) {
    let crl = at(bench, "root.crl");
    assert_eq!(client::get(running.address(), "/crl/root.crl").body, crl);
    eventually("the other target", || (at(bench, "web/crl/root.crl") == crl).then_some(()));
}

/// A server that takes alarms, and what it was told.
fn hook() -> (Running, Receiver<String>) {
    let (sender, told) = channel();
    let take = move |body: String| {
        let sender = sender.clone();
        async move { sender.send(body).unwrap() }
    };
    let app = Router::new().route("/hook", post(take));
    (Running::start(([127, 0, 0, 1], 0).into(), app, Limits::default(), Vec::new()).unwrap(), told)
}

#[test]
fn a_lacking_secret_is_an_alarm_and_is_taken_up() {
    // Each waits for what it lacks: all at once.
    std::thread::scope(|scope| {
        for lack in lacks() {
            scope.spawn(move || is_told_and_taken_up(&lack));
        }
    });
}

fn is_told_and_taken_up(lack: &Lack) {
    let (hook, told) = hook();
    let bench = bench(lack);
    let more = lack.config.replace("HOOK", &format!("http://{}/hook", hook.address()));
    let line = format!("{}: {}\n", lack.topic, lack.summary);
    let path = bench.home(lack.file);
    config(&bench, &more);
    let program = env!("CARGO_BIN_EXE_crl-publisher");
    let (code, said) = program::check(program, &bench.home("crl-publisher.yaml"), bench.ledger.home());
    assert!(code == Some(1) && said.contains(lack.summary), "{said}");

    let running = start(&bench, &more);
    works(&bench, &running);
    assert!(health(&running).contains(&line), "{more}");
    // The other way tells it.
    if lack.topic != "alarms webhook" {
        let event: serde_json::Value = serde_json::from_str(&told.recv().unwrap()).unwrap();
        assert_eq!((&event["event"], &event["topic"]), (&"raised".into(), &lack.topic.into()));
        let detail = event["detail"].as_str().unwrap();
        assert!(detail.contains(lack.file) && !detail.contains("secret\n"), "{detail}");
    }

    // What others may read or change is none.
    put(&path, &good(&bench, lack), 0o666);
    let alarms = Daemon::check(config(&bench, &more), Arc::new(bench.clock.clone())).unwrap();
    assert!(alarms.detail(lack.topic).unwrap().contains("chmod"), "{more}");

    put(&path, &good(&bench, lack), 0o600);
    eventually("the secret to be taken up", || {
        bench.clock.advance(5);
        (!health(&running).contains(&line)).then_some(())
    });
    running.stop();
    hook.stop();
}

/// As a secret that is lacking: nobody else suffers from a program that was built without Kerberos.
#[test]
#[cfg(not(feature = "gssapi"))]
fn a_login_that_is_not_in_this_build_is_an_alarm_of_its_target() {
    let mut lacks = lacks();
    let lack = lacks.iter_mut().find(|lack| lack.config.contains("sasl: external")).unwrap();
    let login = "client_certificate: root.pem, client_key: lacking, sasl: external";
    lack.config = lack.config.replace(login, "sasl: gssapi");
    let (bench, (hook, told)) = (bench(lack), hook());
    let running = start(&bench, &lack.config.replace("HOOK", &format!("http://{}/hook", hook.address())));
    works(&bench, &running);
    let event: serde_json::Value = serde_json::from_str(&told.recv().unwrap()).unwrap();
    assert_eq!((&event["event"], &event["topic"]), (&"raised".into(), &"target far".into()));
    assert!(event["detail"].as_str().unwrap().contains("--features gssapi"), "{event}");
    running.stop();
    hook.stop();
}

#[test]
fn a_file_that_hangs_holds_up_nothing() {
    let lack = &lacks()[0];
    let bench = bench(lack);
    let pipe = bench.home(lack.file);
    assert!(std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status().unwrap().success());
    let more = lack.config.replace("HOOK", "http://127.0.0.1:9/hook");
    // A pipe that nobody writes to, as a file of a server that is gone.
    let running = start(&bench, &more);
    works(&bench, &running);
    assert!(health(&running).contains(LACKS), "{}", health(&running));
    // What is written goes to whoever reads first.
    let mut end = OpenOptions::new().write(true).open(&pipe).unwrap();
    fs::remove_file(&pipe).unwrap();
    bench.private(lack.file, b"secret\n");
    end.write_all(b"secret\n").unwrap();
    drop(end);
    eventually("the secret to be taken up", || {
        bench.clock.advance(5);
        (!health(&running).contains(LACKS)).then_some(())
    });
    running.stop();
}

#[test]
fn a_new_configuration_must_not_lack_what_the_old_had() {
    let lack = &lacks()[0];
    let bench = bench(lack);
    let more = lack.config.replace("HOOK", "http://127.0.0.1:9/hook").replace("{after: 0s", "{after: 1h");
    bench.private(lack.file, b"secret\n");
    let mut running = start(&bench, &more);
    let refused = "configuration: the new configuration was refused, the old one stays";
    reload_with(&bench, &mut running, &more.replace("secret_key_file: secret", "secret_key_file: lacking"));
    assert!(health(&running).contains(refused), "{}", health(&running));
    reload_with(
        &bench,
        &mut running,
        &more.replace("authorization_file: token", "authorization_file: lacking"),
    );
    assert!(health(&running).contains(refused), "{}", health(&running));
    reload_with(&bench, &mut running, &more);
    assert!(!health(&running).contains("configuration"), "{}", health(&running));
    running.stop();

    // What is lacking already may wait on.
    fs::remove_file(bench.home(lack.file)).unwrap();
    let mut running = start(&bench, &more);
    assert!(health(&running).contains(LACKS), "{}", health(&running));
    reload_with(&bench, &mut running, &format!("max_http_age: 2m\n{more}"));
    let told = health(&running);
    assert!(told.contains(LACKS) && !told.contains("configuration"), "{told}");
    running.stop();
}

fn reload_with(bench: &Bench, running: &mut Running, more: &str) {
    config(bench, more);
    running.reload(&bench.home("crl-publisher.yaml"));
}
