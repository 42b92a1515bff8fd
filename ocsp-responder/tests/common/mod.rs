//! A responder with an authority, a signer and a ledger.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "helpers of tests, each uses a part")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca_domain::{ReasonCode, SerialNumber, Timestamp};
use ca_files::{Mode, write_atomic};
use ca_service::fixture::client::{self, Response, eventually};
use ca_service::fixture::{TestAuthority, TestLedger};
use ca_service::{Clock, ManualClock, Running};
use ca_status::ocsp::{CertHash, CertId, ErrorStatus, IssuerIds, OcspView, ViewState, request, view};
use ocsp_responder::Daemon;
use ocsp_responder::config::Config;

pub const DAY: u64 = 86_400;

pub struct Bench {
    pub ca: TestAuthority,
    pub ledger: TestLedger,
    pub clock: ManualClock,
    /// The value of the setting `ledger`.
    pub ledger_at: String,
    running: Option<Running>,
}

impl Bench {
    /// A responder that serves, with these lines more in its configuration.
    pub fn new(more: &str) -> Self {
        let mut bench = Self::idle();
        bench.start(more);
        bench
    }

    /// The same, not yet started.
    pub fn idle() -> Self {
        Self::at(Timestamp::parse("2026-11-20T08:00:00Z").unwrap())
    }

    /// The same, at another time.
    pub fn at(now: Timestamp) -> Self {
        let ca = TestAuthority::new("Issuing CA");
        let ledger = TestLedger::new(now);
        let ledger_at = "ledger".to_owned();
        let bench = Self { ca, ledger, clock: ManualClock::at(now), ledger_at, running: None };
        bench.write("ca.pem", bench.ca.pem().as_bytes());
        bench.ca.write_delegate(&bench.signer(), now.saturating_sub(DAY), now.saturating_add(90 * DAY));
        bench
    }

    pub fn signer(&self) -> PathBuf {
        self.ledger.home().join("signer")
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.ledger.home().join(name);
        write_atomic(&path, bytes, Mode::Public).unwrap();
        path
    }

    pub fn config(&self, more: &str) -> Config {
        Config::load(&self.configure(more)).unwrap()
    }

    /// Writes the configuration with these lines more; a further authority may come first.
    pub fn configure(&self, more: &str) -> PathBuf {
        self.configure_of(&format!("  - certificate: ca.pem\n    signer: signer\n{more}"))
    }

    /// Writes a configuration with these authorities, and what comes after them.
    pub fn configure_of(&self, authorities: &str) -> PathBuf {
        let text = format!(
            "listen: 127.0.0.1:0\nledger: {}\nledger_vkey: \"{}\"\nauthorities:\n{authorities}",
            self.ledger_at,
            self.ledger.vkey()
        );
        self.write("ocsp-responder.yaml", text.as_bytes())
    }

    /// Changes the configuration while it serves, as SIGHUP does.
    pub fn reload(&mut self, more: &str) {
        let path = self.configure(more);
        self.running.as_mut().unwrap().reload(&path);
    }

    /// The same with exactly these authorities.
    pub fn reload_of(&mut self, authorities: &str) {
        let path = self.configure_of(authorities);
        self.running.as_mut().unwrap().reload(&path);
    }

    pub fn start(&mut self, more: &str) {
        self.start_with(more, Arc::new(self.clock.clone()));
    }

    pub fn start_with(&mut self, more: &str, clock: Arc<dyn Clock>) {
        self.serve(self.config(more), clock);
    }

    /// Starts with exactly these authorities.
    pub fn start_of(&mut self, authorities: &str) {
        let config = Config::load(&self.configure_of(authorities)).unwrap();
        self.serve(config, Arc::new(self.clock.clone()));
    }

    fn serve(&mut self, config: Config, clock: Arc<dyn Clock>) {
        self.stop();
        let listen = config.listen;
        self.running = Some(Daemon::open(config, clock).unwrap().start(listen).unwrap());
    }

    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().address()
    }

    /// What `/metrics` says.
    pub fn metrics(&self) -> String {
        let address = self.running.as_ref().unwrap().metrics_address().unwrap();
        let response = client::get(address, "/metrics");
        assert_eq!(response.status, 200);
        assert_eq!(response.header("content-type"), "text/plain; version=0.0.4");
        String::from_utf8(response.body).unwrap()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How many signatures it has made.
    pub fn signatures(&self) -> u64 {
        let text = self.metrics();
        let mut lines = text.lines();
        let line = lines.find(|line| line.starts_with("chancery_ocsp_signatures_total ")).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    pub fn issue(&mut self) -> SerialNumber {
        let now = self.now();
        self.ledger.issue(self.ca.id(), now)
    }

    pub fn issue_many(&mut self, count: usize) -> Vec<SerialNumber> {
        let now = self.now();
        self.ledger.issue_many(self.ca.id(), count, now)
    }

    pub fn revoke(&mut self, serial: &SerialNumber) {
        let now = self.now();
        self.ledger.revoke(self.ca.id(), *serial, ReasonCode::KeyCompromise, now);
    }

    pub fn cert_id(&self, hash: CertHash, serial: &SerialNumber) -> CertId {
        IssuerIds::of(&self.ca.authority.certificate).unwrap().cert_id(hash, serial).unwrap()
    }

    /// A DER request for one certificate.
    pub fn request(&self, serial: &SerialNumber) -> Vec<u8> {
        request::build(&[self.cert_id(CertHash::Sha1, serial)], None).unwrap()
    }

    pub fn post(&self, der: &[u8]) -> Response {
        let headers = [("Content-Type", "application/ocsp-request")];
        client::request(self.address(), "POST", "/", &headers, der)
    }

    pub fn get(&self, der: &[u8]) -> Response {
        client::get(self.address(), &path_of(der))
    }

    /// The verified answer about a certificate.
    pub fn verified(&self, response: &Response) -> OcspView {
        assert_eq!(response.status, 200);
        OcspView::parse_and_verify(&response.body, &self.ca.authority.certificate, self.now()).unwrap()
    }

    /// The verified state of a certificate, asked by POST.
    pub fn state(&self, serial: &SerialNumber) -> ViewState {
        let view = self.verified(&self.post(&self.request(serial)));
        view.status(&self.cert_id(CertHash::Sha1, serial)).unwrap().state
    }

    /// The error that a request about a certificate gets, if any.
    pub fn error(&self, serial: &SerialNumber) -> Option<ErrorStatus> {
        view::error_status(&self.post(&self.request(serial)).body).unwrap()
    }

    pub fn wait_for_state(&self, serial: &SerialNumber, wanted: impl Fn(ViewState) -> bool) {
        eventually("the new state", || {
            if self.error(serial).is_some() {
                return None;
            }
            wanted(self.state(serial)).then_some(())
        });
    }

    pub fn wait_for_error(&self, serial: &SerialNumber, wanted: Option<ErrorStatus>) {
        eventually("the error status", || (self.error(serial) == wanted).then_some(()));
    }

    pub fn health(&self) -> (u16, String) {
        let response = client::get(self.address(), "/healthz");
        (response.status, String::from_utf8(response.body).unwrap())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop();
    }
}

pub fn wait_for(what: &str, met: impl Fn() -> bool) {
    eventually(what, || met().then_some(()));
}

pub fn path_of(der: &[u8]) -> String {
    format!("/{}", STANDARD.encode(der))
}
