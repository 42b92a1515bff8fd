//! Which answers a server may hand on.

use super::*;
use crate::ocsp::staple::{Staple, StapleSubject};
use crate::testing::key_usage;
use x509_cert::ext::pkix::KeyUsages;

struct Served {
    site: Site,
    subject: StapleSubject,
}

impl Served {
    fn new(number: u64) -> Self {
        let site = Site::new(KeyAlgorithm::P256);
        let end = now().saturating_add(90 * DAY);
        let usage = vec![key_usage(KeyUsages::DigitalSignature)];
        let server = site.authority.issue(KeyAlgorithm::P256, serial(number), end, usage);
        let subject = StapleSubject::new(&server.certificate, [&site.authority.certificate]).unwrap();
        Self { site, subject }
    }

    fn answer(&self) -> Vec<u8> {
        self.site.answer(self.subject.request()).der
    }

    fn judge(&self, der: &[u8]) -> Result<Staple, String> {
        self.subject.judge(der, now()).map_err(|error| error.to_string())
    }
}

#[test]
fn good_and_revoked_are_handed_on() {
    let good = Served::new(5);
    let staple = good.judge(&good.answer()).unwrap();
    assert_eq!(staple.state, ViewState::Good);
    assert_eq!(staple.next_update.seconds_since(staple.this_update), DAY);
    assert_eq!(staple.renew_at().seconds_since(staple.this_update), DAY / 2);
    let revoked = Served::new(7);
    let staple = revoked.judge(&revoked.answer()).unwrap();
    assert!(matches!(staple.state, ViewState::Revoked { reason: ReasonCode::KeyCompromise, .. }));
}

#[test]
fn nothing_else_is() {
    let served = Served::new(5);
    let good = served.answer();
    for status in [ErrorStatus::TryLater, ErrorStatus::Unauthorized, ErrorStatus::MalformedRequest] {
        assert!(served.judge(status.der()).unwrap_err().contains(status.name()));
    }
    let other = Served::new(7);
    assert!(served.judge(&other.answer()).is_err(), "another authority of the same name");
    let about_six = served.site.answer(&served.site.request(&[6], None)).der;
    assert!(served.judge(&about_six).unwrap_err().contains("not about this certificate"));
    let never = Served::new(99);
    assert!(never.judge(&never.answer()).unwrap_err().contains("does not know"));
    assert!(served.judge(b"no answer").is_err());
    let mut altered = good.clone();
    let middle = altered.len() / 4;
    altered[middle] ^= 1;
    assert!(served.judge(&altered).is_err());

    let staple = served.judge(&good).unwrap();
    let at = |time| served.subject.judge(&good, time).map_err(|error| error.to_string());
    assert!(at(staple.next_update.saturating_sub(1)).is_ok());
    assert!(at(staple.next_update).unwrap_err().contains("it ended on"));
    assert!(at(staple.this_update.saturating_sub(300)).is_ok());
    assert!(at(staple.this_update.saturating_sub(301)).unwrap_err().contains("a clock is wrong"));
}

#[test]
fn an_older_answer_does_not_replace_a_newer_one() {
    let served = Served::new(5);
    let old = served.judge(&served.answer()).unwrap();
    let mut new = old.clone();
    new.der.push(0);
    assert!(new.replaces(&old));
    new.this_update = new.this_update.saturating_sub(1);
    assert!(!new.replaces(&old) && old.replaces(&new));
    assert!(!old.replaces(&old.clone()));
}

#[test]
fn the_issuer_must_have_signed_the_certificate() {
    let served = Served::new(5);
    let end = now().saturating_add(DAY);
    let server = served.site.authority.issue(KeyAlgorithm::P256, serial(5), end, Vec::new());
    let namesake = Holder::authority(KeyAlgorithm::P256, "CN=Toy,O=Chancery Test,C=DE");
    let error = StapleSubject::new(&server.certificate, [&namesake.certificate]).unwrap_err();
    assert!(error.to_string().contains("issuer"));
    let both = [&namesake.certificate, &served.site.authority.certificate];
    assert!(StapleSubject::new(&server.certificate, both).is_ok());
}
