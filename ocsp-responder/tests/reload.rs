//! A new configuration is taken while serving, whole or not at all.

mod common;

use ca_domain::{ReasonCode, SerialNumber};
use ca_service::fixture::TestAuthority;
use ca_status::ocsp::{CertHash, ErrorStatus, IssuerIds, OcspView, ViewState, request, view};
use common::{Bench, DAY};

const WATCHED: &str = "metrics_listen: 127.0.0.1:0\n";
const REFUSED: &str = "configuration: the new configuration was refused, the old one stays\n";

fn says(bench: &Bench, line: &str) -> bool {
    bench.metrics().lines().any(|known| known == line)
}

#[test]
fn policy_is_taken_and_what_was_signed_is_kept() {
    let mut bench = Bench::idle();
    let serial = bench.issue();
    bench.start(WATCHED);
    let der = bench.request(&serial);
    let first = bench.get(&der);
    let unknown = bench.request(&SerialNumber::from_random([7; 20]));
    assert_eq!(view::error_status(&bench.post(&unknown).body).unwrap(), None);

    bench.reload(&format!("{WATCHED}never_issued: unauthorized\nmax_http_age: 2m\npath: /ocsp\n"));
    assert_eq!(bench.health(), (200, "ok\n".into()));
    let path = format!("/ocsp{}", common::path_of(&der));
    let second = ca_service::fixture::client::get(bench.address(), &path);
    assert_eq!(second.body, first.body, "signed before, and still kept");
    assert!(second.header("cache-control").starts_with("max-age=120,"));
    assert_eq!(bench.get(&der).status, 400, "no longer its path");

    bench.reload(&format!("{WATCHED}never_issued: unauthorized\nnonce: require\n"));
    assert_eq!(view::error_status(&bench.post(&unknown).body).unwrap(), Some(ErrorStatus::Unauthorized));
    assert_eq!(bench.error(&serial), Some(ErrorStatus::Unauthorized), "no nonce");
    let id = bench.cert_id(CertHash::Sha1, &serial);
    let nonced = bench.post(&request::build(&[id], Some(&[9; 16])).unwrap());
    assert!(bench.verified(&nonced).nonce().is_some());

    // Another validity: what was signed by the old one goes.
    bench.reload(&format!("{WATCHED}response_validity: 2h\n"));
    let renewed = bench.get(&der);
    assert_ne!(renewed.body, first.body);
    let expires = bench.now().saturating_add(2 * 3_600);
    assert_eq!(renewed.header("expires"), ca_service::conditional::http_date(expires));
    assert!(says(&bench, "chancery_config_last_reload_successful 1"));
}

#[test]
fn what_is_wrong_is_refused_whole() {
    let mut bench = Bench::idle();
    let serial = bench.issue();
    bench.start(WATCHED);
    let before = bench.get(&bench.request(&serial)).body;
    for wrong in [
        "nonce: require\nnonsense: 1\n",
        "nonce: require\nresponse_validity: 11d\n",
        "  - certificate: missing.pem\n    signer: signer\nnonce: require\n",
        "  - certificate: ca.pem\n    signer: missing\nnonce: require\n",
        "nonce: [require\n",
    ] {
        bench.reload(&format!("{wrong}{WATCHED}"));
        assert_eq!(bench.health(), (503, REFUSED.into()), "{wrong}");
        assert!(says(&bench, "chancery_config_last_reload_successful 0"));
        assert_eq!(bench.get(&bench.request(&serial)).body, before, "{wrong}");
    }
    bench.reload(WATCHED);
    assert_eq!(bench.health().0, 200);
}

#[test]
fn what_needs_a_restart_is_named_and_the_rest_is_taken() {
    let mut bench = Bench::idle();
    let serial = bench.issue();
    bench.start("");
    bench.reload("metrics_listen: 127.0.0.1:1\nmax_connections: 7\nnonce: require\n");
    let waiting = "configuration: new settings wait for a restart\n";
    assert_eq!(bench.health(), (503, waiting.into()));
    assert_eq!(bench.error(&serial), Some(ErrorStatus::Unauthorized));
    bench.reload("max_checkpoint_age: 1d\n");
    assert_eq!(bench.health().0, 200);
    bench.clock.advance(2 * DAY);
    assert_eq!(bench.error(&serial), Some(ErrorStatus::TryLater));
    bench.reload("max_checkpoint_age: 3d\n");
    assert_eq!(bench.error(&serial), None);
}

#[test]
fn authorities_come_and_go_without_reading_the_ledger_again() {
    let mut bench = Bench::idle();
    let serial = bench.issue();
    let now = bench.now();
    let other = TestAuthority::new("Other CA");
    let theirs = bench.ledger.issue(other.id(), now);
    bench.ledger.revoke(other.id(), theirs, ReasonCode::Superseded, now);
    bench.write("other.pem", other.pem().as_bytes());
    let prefix = bench.ledger.home().join("other");
    bench.start(WATCHED);

    let id = IssuerIds::of(&other.authority.certificate).unwrap().cert_id(CertHash::Sha1, &theirs).unwrap();
    let asked = request::build(std::slice::from_ref(&id), None).unwrap();
    let error = |bench: &Bench| view::error_status(&bench.post(&asked).body).unwrap();
    assert_eq!(error(&bench), Some(ErrorStatus::Unauthorized));

    let both = format!("  - certificate: other.pem\n    signer: other\n{WATCHED}");
    bench.reload(&both);
    assert_eq!(bench.health(), (503, REFUSED.into()), "it has no signer");
    other.write_delegate(&prefix, now.saturating_sub(DAY), now.saturating_add(90 * DAY));
    bench.reload(&both);
    assert_eq!(bench.health().0, 200);
    let response = bench.post(&asked);
    let view = OcspView::parse_and_verify(&response.body, &other.authority.certificate, now).unwrap();
    assert!(matches!(view.status(&id).unwrap().state, ViewState::Revoked { .. }));
    assert_eq!(bench.state(&serial), ViewState::Good);
    assert!(bench.metrics().contains("signer_not_after_seconds{authority=\"Other CA\"}"));

    // Its signer is followed from now on.
    other.write_delegate(&prefix, now.saturating_sub(DAY), now.saturating_add(60 * DAY));
    common::wait_for("the next signer", || {
        let ends = now.saturating_add(60 * DAY).as_unix();
        says(&bench, &format!("chancery_ocsp_signer_not_after_seconds{{authority=\"Other CA\"}} {ends}"))
    });

    bench.reload(WATCHED);
    assert_eq!(error(&bench), Some(ErrorStatus::Unauthorized));
    assert_eq!(bench.state(&serial), ViewState::Good);
    assert!(!bench.metrics().contains("signer_not_after_seconds{authority=\"Other CA\"}"));
}
