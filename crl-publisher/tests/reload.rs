//! A new configuration is taken while serving; and what the publisher says about itself.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::path::PathBuf;
use std::sync::Arc;

use ca_files::{Mode, write_atomic};
use ca_service::Running;
use ca_service::fixture::client::{self, eventually};
use common::{Bench, DAY, told};
use crl_publisher::Daemon;
use crl_publisher::config::Config;

const ISSUING: &str =
    "  - name: issuing\n    certificate: ca.pem\n    mode: sign\n    key: ca.key\n    after_revocation: 0s\n";
const ROOT: &str = "  - name: root\n    certificate: root.pem\n    mode: distribute\n    source: root.crl\n";

fn configure(bench: &Bench, authorities: &str, more: &str) -> PathBuf {
    let text = format!(
        "listen: 127.0.0.1:0\nmetrics_listen: 127.0.0.1:0\nledger: ledger\nledger_vkey: \"{}\"\n\
         directory: published\n{more}authorities:\n{authorities}",
        bench.ledger.vkey()
    );
    bench.write("crl-publisher.yaml", text.as_bytes())
}

fn start(bench: &Bench) -> Running {
    let config = Config::load(&configure(bench, ISSUING, "")).unwrap();
    let daemon = Daemon::open(config, Arc::new(bench.clock.clone())).unwrap();
    daemon.start(([127, 0, 0, 1], 0).into()).unwrap()
}

fn health(running: &Running) -> String {
    String::from_utf8(client::get(running.address(), "/healthz").body).unwrap()
}

fn metrics(running: &Running) -> String {
    String::from_utf8(client::get(running.metrics_address().unwrap(), "/metrics").body).unwrap()
}

#[test]
fn authorities_come_and_go() {
    let mut bench = Bench::new();
    let serial = bench.issue();
    bench.write("root.crl", &bench.make_crl(&bench.root, 1, 90 * DAY));
    let mut running = start(&bench);
    let address = running.address();
    let issuing = || told(&client::get(address, "/crl/issuing.crl").body, &bench.ca);
    let first = issuing();
    assert_eq!(client::get(address, "/crl/root.crl").status, 404);

    running.reload(&configure(&bench, &format!("{ISSUING}{ROOT}"), ""));
    assert_eq!(health(&running), "ok\n");
    assert_eq!(told(&client::get(address, "/crl/root.crl").body, &bench.root).number, 1u64.into());
    assert_eq!(issuing(), first, "published before, and still good");

    // The new threads work: a revocation becomes a CRL.
    let now = bench.now();
    bench.ledger.revoke(bench.ca.id(), serial, ca_domain::ReasonCode::KeyCompromise, now);
    let next = eventually("the next CRL", || Some(issuing()).filter(|crl| crl.serials == [serial]));
    assert!(next.number > first.number);
    let text = metrics(&running);
    for line in [
        "chancery_crl_requests_total{result=\"not_found\"} 1".to_owned(),
        "chancery_ledger_entries 2".to_owned(),
        "chancery_ledger_trust{state=\"current\"} 1".to_owned(),
        "chancery_config_last_reload_successful 1".to_owned(),
        "chancery_alarms 0".to_owned(),
        format!("chancery_crl_next_update_seconds{{crl=\"issuing\"}} {}", next.next_update.as_unix()),
        format!(
            "chancery_crl_next_update_seconds{{crl=\"root\"}} {}",
            now.saturating_add(90 * DAY).as_unix()
        ),
    ] {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }

    running.reload(&configure(&bench, ISSUING, "max_http_age: 2m\n"));
    assert_eq!(client::get(address, "/crl/root.crl").status, 404);
    let response = client::get(address, "/crl/issuing.crl");
    assert!(response.header("cache-control").contains("max-age=120,"));
    assert!(!metrics(&running).contains("authority=\"root\""));
    running.stop();
}

#[test]
fn what_is_wrong_is_refused_and_what_is_fixed_waits() {
    let bench = Bench::new();
    let mut running = start(&bench);
    let other = bench.root.key.to_plain_pem().unwrap();
    write_atomic(&bench.home("other.key"), other.as_bytes(), Mode::Private).unwrap();
    for wrong in [
        ISSUING.replace("ca.key", "other.key"),
        ISSUING.replace("ca.key", "missing.key"),
        ISSUING.replace("mode: sign", "mode: sing"),
        format!("{ISSUING}    passphrase_fd: 99\n"),
    ] {
        running.reload(&configure(&bench, &wrong, "max_http_age: 2m\n"));
        let refused = "configuration: the new configuration was refused, the old one stays\n";
        assert_eq!(health(&running), refused, "{wrong}");
        assert!(metrics(&running).contains("\nchancery_config_last_reload_successful 0\n"));
        let response = client::get(running.address(), "/crl/issuing.crl");
        assert!(response.status == 200 && response.header("cache-control").contains("max-age=3600,"));
    }
    running.reload(&configure(&bench, ISSUING, "max_connections: 7\nmax_http_age: 2m\n"));
    assert_eq!(health(&running), "configuration: new settings wait for a restart\n");
    let response = client::get(running.address(), "/crl/issuing.crl");
    assert!(response.header("cache-control").contains("max-age=120,"));
    running.reload(&configure(&bench, ISSUING, ""));
    assert_eq!(health(&running), "ok\n");
    running.stop();
}
