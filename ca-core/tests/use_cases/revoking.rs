//! Revoking, holding, releasing, and CRLs by hand.

use ca_core::domain::{ReasonCode, RevocationState, SerialNumber, Transition};
use ca_core::issue_crl::{IssueCrl, issue_crl};
use ca_core::revoke::{Target, plan};
use ca_core::status::crl::CrlView;
use ca_core::{AuthorityError, ErrorClass, Result};

use crate::common::{Fixture, now, wait};

pub(crate) fn act(fixture: &Fixture, target: &Target, transition: Transition) -> Result<usize> {
    let plan = plan(&fixture.home, target, transition, now(), &wait())?;
    Ok(plan.execute("tester", None, now(), &wait())?.len())
}

pub(crate) fn revoke(reason: ReasonCode) -> Transition {
    Transition::Revoke { reason, invalidity_date: None }
}

#[test]
fn a_mailbox_is_revoked_whole_and_once() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    fixture.issue_p256(&issuer, "alice@example.test");
    fixture.issue_p256(&issuer, "alice@example.test");
    fixture.issue_p256(&issuer, "bob@example.test");
    let alice = Target::Mailbox("Alice@Example.Test".into());
    assert_eq!(act(&fixture, &alice, revoke(ReasonCode::AffiliationChanged)).unwrap(), 2);
    let again = act(&fixture, &alice, revoke(ReasonCode::AffiliationChanged)).unwrap_err();
    assert_eq!(again.class(), ErrorClass::NotFound, "{again}");
    let nobody = act(&fixture, &Target::Mailbox("eve@example.test".into()), Transition::Hold).unwrap_err();
    assert_eq!(nobody.class(), ErrorClass::NotFound);
}

#[test]
fn serials_are_all_or_nothing() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let one = fixture.issue_p256(&issuer, "alice@example.test").serial;
    let two = fixture.issue_p256(&issuer, "bob@example.test").serial;
    act(&fixture, &Target::Serials(vec![two]), revoke(ReasonCode::Superseded)).unwrap();
    let before = fixture.size();
    let error = act(&fixture, &Target::Serials(vec![one, two]), revoke(ReasonCode::Superseded)).unwrap_err();
    assert!(matches!(error, AuthorityError::Transition { .. }), "{error}");
    let unknown = SerialNumber::parse("0a").unwrap();
    let error = act(&fixture, &Target::Serials(vec![one, unknown]), Transition::Hold).unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound);
    assert_eq!(fixture.size(), before);
}

#[test]
fn a_plan_that_is_dropped_changes_nothing() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let serial = fixture.issue_p256(&issuer, "alice@example.test").serial;
    let before = fixture.size();
    let plan = plan(&fixture.home, &Target::Serials(vec![serial]), Transition::Hold, now(), &wait()).unwrap();
    assert_eq!(plan.steps[0].after, RevocationState::Held { at: now() });
    drop(plan);
    assert_eq!(fixture.size(), before);
}

#[test]
fn an_authoritys_certificate_is_revoked_but_never_suspended() {
    let fixture = Fixture::with_authorities();
    let serial = ca_core::Authority::load(&fixture.home, "issuing").unwrap().serial().unwrap();
    let target = Target::Serials(vec![serial]);
    assert_eq!(act(&fixture, &target, Transition::Hold).unwrap_err().class(), ErrorClass::Refused);
    assert_eq!(act(&fixture, &target, revoke(ReasonCode::CaCompromise)).unwrap(), 1);
}

#[test]
fn crls_by_hand_list_what_is_revoked_and_their_numbers_rise() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let held = fixture.issue_p256(&issuer, "alice@example.test").serial;
    act(&fixture, &Target::Serials(vec![held]), Transition::Hold).unwrap();
    let request = IssueCrl { issuer: &issuer, days: 7, out: Some(fixture.path("a.crl")), actor: "tester" };
    let first = issue_crl(&fixture.home, &request, now(), &wait()).unwrap();
    assert_eq!(first.entries, 1);
    let view = CrlView::parse_and_verify(&first.der, issuer.authority.certificate()).unwrap();
    let entry = view.lookup(&held).unwrap().unwrap();
    assert_eq!(entry.reason, ReasonCode::CertificateHold);
    act(&fixture, &Target::Serials(vec![held]), Transition::Release).unwrap();
    // The same second, and then a clock that went back a day: the number rises all the same.
    let second = issue_crl(&fixture.home, &request, now(), &wait()).unwrap();
    let third = issue_crl(&fixture.home, &request, now().saturating_sub(86_400), &wait());
    assert_eq!(second.entries, 0);
    assert!(second.number > first.number);
    assert!(third.unwrap().number > second.number);
    let long = IssueCrl { issuer: &issuer, days: 11, out: None, actor: "tester" };
    assert_eq!(issue_crl(&fixture.home, &long, now(), &wait()).unwrap_err().class(), ErrorClass::Refused);
}
