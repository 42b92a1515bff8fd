//! `ca maintain`: signers certified on request, the ledger kept alive.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use ca_core::config::maintain::SignerConfig;
use ca_core::domain::{KeyAlgorithm, ReasonCode, Timestamp};
use ca_core::files::fault::{self, Failure};
use ca_core::maintain::{HeartbeatOutcome, Maintain, MaintainReport, SignerOutcome, maintain};
use ca_core::revoke::Target;
use ca_core::signing::{Passphrase, SoftwareKey};
use ca_core::status::ocsp::{ResponseSigner, signer_request};
use ca_core::{Authority, Home, Result};
use x509_cert::Certificate;
use x509_cert::der::DecodePem;
use x509_cert::der::pem::LineEnding;

use crate::common::{Fixture, now, passphrase, wait};
use crate::revoking::{act, revoke};

const DAY: u64 = 86_400;

/// A home that certifies the signer of `issuing` on request, for 30 days.
struct Site {
    fixture: Fixture,
    home: Home,
}

impl Site {
    fn new() -> Self {
        let fixture = Fixture::with_authorities();
        fs::create_dir(fixture.path("inbox")).unwrap();
        let path = fixture.home.root().join("ca.yaml");
        let mut text = fs::read_to_string(&path).unwrap();
        let (request, certificate) = (fixture.path("inbox/i.next.csr"), fixture.path("inbox/i.next.crt"));
        text += &format!(
            "maintain:\n  ocsp_signers:\n    - authority: issuing\n      request: {}\n      certificate: {}\n",
            request.display(),
            certificate.display()
        );
        fs::write(&path, text).unwrap();
        let home = Home::open(fixture.home.root()).unwrap();
        Self { fixture, home }
    }

    fn request(&self) -> PathBuf {
        self.fixture.path("inbox/i.next.csr")
    }

    fn certificate(&self) -> PathBuf {
        self.fixture.path("inbox/i.next.crt")
    }

    /// Puts a new request there; its key.
    fn ask(&self) -> SoftwareKey {
        let key = SoftwareKey::generate(KeyAlgorithm::P256).unwrap();
        let authority = Authority::load(&self.home, "issuing").unwrap();
        self.put(&signer_request::create(&key, authority.key_id().unwrap()).unwrap());
        key
    }

    fn put(&self, der: &[u8]) {
        let pem = der::pem::encode_string("CERTIFICATE REQUEST", LineEnding::LF, der).unwrap();
        fs::write(self.request(), pem).unwrap();
    }

    fn run_with(
        &self,
        dry_run: bool,
        at: Timestamp,
        open: &dyn Fn(&SignerConfig) -> Result<Passphrase>,
    ) -> MaintainReport {
        let request = Maintain { dry_run, passphrase: open, actor: "timer" };
        maintain(&self.home, &request, at, &wait())
    }

    fn run(&self, at: Timestamp) -> MaintainReport {
        self.run_with(false, at, &|_| Ok(passphrase()))
    }

    fn outcome(&self, at: Timestamp) -> SignerOutcome {
        let mut report = self.run(at);
        report.signers.pop().unwrap().1
    }

    fn why(&self, at: Timestamp) -> String {
        match self.outcome(at) {
            SignerOutcome::Failed(error) => error.to_string(),
            other => format!("it did not fail: {other:?}"),
        }
    }

    fn size(&self) -> u64 {
        self.fixture.size()
    }

    /// That the certificate in its place makes the key a signer.
    fn check(&self, key: SoftwareKey) {
        let certificate = Certificate::from_pem(fs::read(self.certificate()).unwrap()).unwrap();
        let authority = Authority::load(&self.home, "issuing").unwrap();
        ResponseSigner::new(std::sync::Arc::new(key), &certificate, authority.certificate()).unwrap();
    }
}

#[test]
fn a_request_is_certified_once() {
    let site = Site::new();
    assert!(matches!(site.outcome(now()), SignerOutcome::NoRequest));
    let key = site.ask();
    let before = site.size();
    let dry = site.run_with(true, now(), &|_| panic!("a dry run opens no key"));
    assert!(matches!(dry.signers[0].1, SignerOutcome::Due));
    assert_eq!(site.size(), before);
    assert!(!site.certificate().exists());

    let SignerOutcome::Issued { serial, not_after } = site.outcome(now()) else { panic!() };
    assert_eq!(not_after.seconds_since(now()) / DAY, 29);
    assert_eq!(site.size(), before + 1);
    site.check(key);
    // Again, and again without the file: the run before was killed before it was named.
    let nothing = |_: &SignerConfig| panic!("no key is opened for what is done");
    let again = site.run_with(false, now().saturating_add(60), &nothing);
    assert!(matches!(again.signers[0].1, SignerOutcome::Waiting { serial: s } if s == serial));
    let there = fs::read(site.certificate()).unwrap();
    fs::remove_file(site.certificate()).unwrap();
    let again = site.run_with(false, now().saturating_add(60), &nothing);
    assert!(matches!(again.signers[0].1, SignerOutcome::Delivered { serial: s, .. } if s == serial));
    assert_eq!(fs::read(site.certificate()).unwrap(), there);
    assert_eq!(site.size(), before + 1);
}

#[test]
fn two_runs_at_once_issue_one_certificate() {
    let site = Site::new();
    let key = site.ask();
    let before = site.size();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let outcome = site.outcome(now());
                assert!(!matches!(outcome, SignerOutcome::Failed(_)), "{outcome:?}");
            });
        }
    });
    assert_eq!(site.size(), before + 1);
    site.check(key);
}

#[test]
fn only_requests_for_a_signer_of_that_authority() {
    let site = Site::new();
    let before = site.size();
    let key = SoftwareKey::generate(KeyAlgorithm::P256).unwrap();
    let root = Authority::load(&site.home, "root").unwrap().key_id().unwrap();
    let other = signer_request::create(&key, root).unwrap();
    site.put(&other);
    assert!(site.why(now()).contains("not that of an OCSP signer of this authority"));
    // The proof of possession is broken.
    site.ask();
    let mut der =
        signer_request::create(&key, Authority::load(&site.home, "issuing").unwrap().key_id().unwrap())
            .unwrap();
    *der.last_mut().unwrap() ^= 1;
    site.put(&der);
    assert!(site.why(now()).contains("possession"));
    fs::write(site.request(), "nonsense").unwrap();
    assert!(site.why(now()).contains("PKCS#10"));
    site.ask();
    fs::set_permissions(site.request(), fs::Permissions::from_mode(0o666)).unwrap();
    assert!(site.why(now()).contains("can be changed by others"));
    fs::remove_file(site.request()).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", site.request()).unwrap();
    assert!(site.why(now()).contains("cannot open"));
    // The key of a compromised certificate.
    fs::remove_file(site.request()).unwrap();
    site.ask();
    let SignerOutcome::Issued { serial, .. } = site.outcome(now()) else { panic!() };
    let target = Target::Serials(vec![serial]);
    act(&site.fixture, &target, revoke(ReasonCode::KeyCompromise)).unwrap();
    assert!(site.why(now()).contains("was revoked"));
    assert_eq!(site.size(), before + 2);
}

#[test]
fn what_is_due_and_cannot_be_done_fails_and_the_rest_is_done() {
    let site = Site::new();
    site.ask();
    let wrong = site.run_with(false, now().saturating_add(DAY), &|_| {
        Ok(Passphrase::from_string("wrong passphrase".into()))
    });
    assert_eq!(wrong.failures().count(), 1);
    assert!(matches!(wrong.heartbeat, HeartbeatOutcome::Signed { .. }));
    // Where the certificate should go is a directory: nothing is issued.
    let (later, before) = (now().saturating_add(DAY), site.size());
    fs::create_dir(site.certificate()).unwrap();
    assert!(site.why(later).contains("is a directory"));
    assert_eq!(site.size(), before);
    fs::remove_dir(site.certificate()).unwrap();
    assert!(matches!(site.outcome(later), SignerOutcome::Issued { .. }));
}

#[test]
fn a_disk_that_fails_at_any_step_costs_no_second_certificate() {
    let site = Site::new();
    let mut ended = false;
    for step in 0..200 {
        // Each on a day of its own, far enough for the next to be due.
        let at = now().saturating_add(step * 11 * DAY);
        let key = site.ask();
        let before = site.size();
        fault::arm(step, Failure::Once(std::io::ErrorKind::StorageFull));
        let first = site.outcome(at);
        fault::disarm();
        let again = site.outcome(at);
        assert!(!matches!(again, SignerOutcome::Failed(_)), "step {step}: {first:?}, then {again:?}");
        assert_eq!(site.size(), before + 1, "step {step}: {first:?}, then {again:?}");
        site.check(key);
        ended = step > 20 && matches!(first, SignerOutcome::Issued { .. });
        if ended {
            break;
        }
    }
    assert!(ended);
}

#[test]
fn a_responder_that_asks_without_end_is_stopped() {
    let site = Site::new();
    for _ in 0..3 {
        site.ask();
        assert!(matches!(site.outcome(now()), SignerOutcome::Issued { .. }));
    }
    site.ask();
    assert!(site.why(now().saturating_add(DAY)).contains("too many"));
    let later = now().saturating_add(11 * DAY);
    assert!(matches!(site.outcome(later), SignerOutcome::Issued { .. }));
}

#[test]
fn a_request_that_does_not_come_is_missed() {
    let site = Site::new();
    site.ask();
    site.outcome(now());
    fs::remove_file(site.request()).unwrap();
    assert!(matches!(site.outcome(now().saturating_add(24 * DAY)), SignerOutcome::NoRequest));
    assert!(site.why(now().saturating_add(26 * DAY)).contains("there is no request"));
    // The old request, once more: its certificate is over.
    site.ask();
    site.outcome(now().saturating_add(26 * DAY));
    assert!(site.why(now().saturating_add(60 * DAY)).contains("has expired"));
}

#[test]
fn the_heartbeat_comes_when_it_is_due() {
    let site = Site::new();
    let signed = site.home.ledger().unwrap().checkpoint().time;
    let later = signed.saturating_add(6 * 3_600);
    assert!(matches!(site.run(later.saturating_sub(1)).heartbeat, HeartbeatOutcome::NotDue));
    let dry = site.run_with(true, later, &|_| panic!());
    assert!(matches!(dry.heartbeat, HeartbeatOutcome::Due));
    let HeartbeatOutcome::Signed { size } = site.run(later).heartbeat else { panic!() };
    assert_eq!(site.home.ledger().unwrap().checkpoint().time, later);
    assert_eq!(size, site.size());
    assert!(matches!(site.run(later).heartbeat, HeartbeatOutcome::NotDue));
    // A certificate is a sign of life.
    site.ask();
    let next = later.saturating_add(6 * 3_600);
    let report = site.run(next);
    assert!(matches!(report.signers[0].1, SignerOutcome::Issued { .. }));
    assert!(matches!(report.heartbeat, HeartbeatOutcome::NotDue));
}
