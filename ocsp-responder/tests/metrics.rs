//! What the responder says about itself.

mod common;

use ca_domain::ReasonCode;
use ca_service::fixture::client;
use ca_status::ocsp::{CertHash, request};
use common::{Bench, DAY};

#[test]
fn requests_ledger_and_signers() {
    let mut bench = Bench::idle();
    let (good, bad) = (bench.issue(), bench.issue());
    let now = bench.now();
    bench.ledger.revoke(bench.ca.id(), bad, ReasonCode::KeyCompromise, now);
    bench.start("metrics_listen: 127.0.0.1:0\n");
    bench.clock.advance(60);
    let (good_request, bad_request) = (bench.request(&good), bench.request(&bad));
    for _ in 0..3 {
        assert_eq!(bench.post(&good_request).status, 200);
    }
    assert_eq!(bench.get(&bad_request).status, 200);
    let unknown = ca_domain::SerialNumber::from_random([7; 20]);
    assert_eq!(bench.post(&bench.request(&unknown)).status, 200);
    let ids = [bench.cert_id(CertHash::Sha1, &good), bench.cert_id(CertHash::Sha1, &bad)];
    assert_eq!(bench.post(&request::build(&ids, None).unwrap()).status, 200);
    assert_eq!(bench.post(b"no DER").status, 400);
    assert_eq!(client::request(bench.address(), "PUT", "/", &[], b"").status, 405);

    let text = bench.metrics();
    let ends = now.saturating_add(90 * DAY).as_unix();
    for line in [
        "chancery_ocsp_requests_total{authority=\"Issuing CA\",method=\"post\",result=\"good\",source=\"signed\"} 1",
        "chancery_ocsp_requests_total{authority=\"Issuing CA\",method=\"post\",result=\"good\",source=\"cache\"} 2",
        "chancery_ocsp_requests_total{authority=\"Issuing CA\",method=\"get\",result=\"revoked\",source=\"signed\"} 1",
        "chancery_ocsp_requests_total{authority=\"Issuing CA\",method=\"post\",result=\"unknown\",source=\"signed\"} 1",
        "chancery_ocsp_requests_total{authority=\"Issuing CA\",method=\"post\",result=\"several\",source=\"signed\"} 1",
        "chancery_ocsp_requests_total{authority=\"\",method=\"post\",result=\"malformed_request\",source=\"none\"} 1",
        "chancery_ocsp_requests_total{authority=\"\",method=\"other\",result=\"http_405\",source=\"none\"} 1",
        "chancery_ocsp_request_duration_seconds_count 8",
        "chancery_ocsp_signatures_total 4",
        "chancery_ocsp_signatures_failed_total 0",
        "chancery_ocsp_shed_total 0",
        "chancery_ocsp_sign_queue 0",
        "chancery_ocsp_cache_entries 2",
        "chancery_ledger_entries 3",
        "chancery_ledger_checkpoint_age_seconds 60",
        "chancery_ledger_trust{state=\"current\"} 1",
        "chancery_ledger_trust{state=\"stale\"} 0",
        "chancery_alarms 0",
        &format!("chancery_ledger_checkpoint_timestamp_seconds {}", now.as_unix()),
        &format!("chancery_ocsp_signer_not_after_seconds{{authority=\"Issuing CA\"}} {ends}"),
        &format!("process_start_time_seconds {}", now.as_unix()),
    ] {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }

    // The ledger falls silent: no status, an alarm, and the numbers say so.
    bench.clock.advance(9 * DAY);
    common::wait_for("the alarm", || bench.health().0 == 503);
    assert_eq!(bench.error(&good), Some(ca_status::ocsp::ErrorStatus::TryLater));
    let text = bench.metrics();
    for line in [
        "chancery_ocsp_requests_total{authority=\"\",method=\"post\",result=\"try_later\",source=\"none\"} 1",
        "chancery_ledger_trust{state=\"stale\"} 1",
        "chancery_alarms 1",
        "chancery_alarm{topic=\"ledger\"} 1",
    ] {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }
}

#[test]
fn ready_means_that_status_is_given() {
    let mut bench = Bench::idle();
    let serial = bench.issue();
    let ready = |bench: &Bench| client::get(bench.address(), "/readyz").status;
    bench.start("");
    assert_eq!((ready(&bench), bench.error(&serial)), (200, None));
    // Without a signer there is no status, however good the ledger is.
    std::fs::remove_file(ca_service::fixture::with_extension(&bench.signer(), "key")).unwrap();
    bench.start("");
    assert_eq!((ready(&bench), bench.error(&serial)), (503, Some(ca_status::ocsp::ErrorStatus::TryLater)));
    assert_eq!(bench.health().0, 503);
    let now = bench.now();
    bench.ca.write_delegate(&bench.signer(), now.saturating_sub(DAY), now.saturating_add(90 * DAY));
    common::wait_for("the signer", || ready(&bench) == 200);
    assert_eq!(bench.error(&serial), None);
    bench.clock.advance(9 * DAY);
    assert_eq!((ready(&bench), bench.error(&serial)), (503, Some(ca_status::ocsp::ErrorStatus::TryLater)));
}

#[test]
fn the_public_address_has_no_metrics() {
    for more in ["", "metrics_listen: 127.0.0.1:0\n"] {
        let bench = Bench::new(more);
        let response = client::get(bench.address(), "/metrics");
        // It is a path like any other: no OCSP request.
        assert_eq!(response.status, 400);
        assert!(!String::from_utf8_lossy(&response.body).contains("chancery"));
    }
}
