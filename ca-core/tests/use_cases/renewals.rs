//! Renewal, leaving, a new address.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use ca_core::batch::{BatchKind, BatchRequest, Expiring, expiring_table, issue_batch};
use ca_core::domain::{KeyAlgorithm, ReasonCode, RevocationState, SerialNumber, Timestamp, Transition};
use ca_core::files::fault::{self, Failure};
use ca_core::issue::Issued;
use ca_core::pair::{Escrow, Pair};
use ca_core::people;
use ca_core::person::{EncryptionFate, RenameRequest, dossier, plan_leave, plan_rename, rename};
use ca_core::renew::{Candidate, RenewFiles, RenewRequest, RenewTarget, RenewalKey, find, renew};
use ca_core::revoke::{Target, plan};
use ca_core::signing::Passphrase;
use ca_core::signing::pkcs12::Pkcs12Profile;
use ca_core::{AuthorityKey, ErrorClass, Result};

use crate::common::{self, Fixture, PAIR, now, pair_files, wait};

const ALICE: &str = "alice@example.test";

fn later(days: u64) -> Timestamp {
    now().saturating_add(days * 86_400)
}

fn pair(fixture: &Fixture, issuer: &AuthorityKey, mailbox: &str, file: &str) -> Pair {
    common::pair(fixture, issuer, mailbox, PAIR, Escrow::None, &pair_files(fixture, file)).unwrap()
}

fn files(pkcs12: Option<&Path>, certificates: Option<&Path>) -> RenewFiles {
    RenewFiles {
        pkcs12: pkcs12.map(Path::to_owned),
        certificates: certificates.map(Path::to_owned),
        profile: Pkcs12Profile::Modern,
        password: Some(Passphrase::from_string("pw for tests".into())),
        replace: false,
    }
}

fn renew_with(
    fixture: &Fixture,
    issuer: &AuthorityKey,
    candidates: &[Candidate],
    key: RenewalKey,
    supersede: bool,
    files: &RenewFiles,
) -> Result<Vec<Issued>> {
    let request = RenewRequest {
        issuer,
        candidates,
        key,
        days: None,
        supersede,
        escrow: Escrow::None,
        files,
        actor: "tester",
    };
    renew(&fixture.home, &request, later(700), &wait())
}

fn mailbox(fixture: &Fixture, mailbox: &str, at: Timestamp) -> Result<Vec<Candidate>> {
    Ok(find(&fixture.home, &RenewTarget::Mailbox(mailbox.into()), at, &wait())?.candidates)
}

fn state(fixture: &Fixture, of: &str, serial: SerialNumber) -> RevocationState {
    let all = dossier(&fixture.home, of, later(700), &wait()).unwrap().certificates;
    all.iter().find(|one| one.record.serial == serial).unwrap().record.state
}

fn revoke(fixture: &Fixture, serial: SerialNumber, reason: ReasonCode) {
    let transition = Transition::Revoke { reason, invalidity_date: None };
    let plan = plan(&fixture.home, &Target::Serials(vec![serial]), transition, now(), &wait()).unwrap();
    plan.execute("tester", None, now(), &wait()).unwrap();
}

#[test]
fn a_renewal_has_the_names_and_another_key_and_is_not_renewed_twice() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let old = pair(&fixture, &issuer, ALICE, "old.p12");
    let candidates = mailbox(&fixture, ALICE, later(700)).unwrap();
    assert_eq!(candidates.len(), 2);
    let path = fixture.path("new.p12");
    let key = RenewalKey::New(Some(KeyAlgorithm::P256));
    let new = renew_with(&fixture, &issuer, &candidates, key, false, &files(Some(&path), None)).unwrap();
    assert_eq!(new.len(), 2);
    assert!(new[0].not_after > old.signing.not_after && path.is_file());
    let all = dossier(&fixture.home, ALICE, later(700), &wait()).unwrap().certificates;
    assert_eq!(all.len(), 4);
    let subject = |at: usize| all[at].certificate.tbs_certificate.subject.to_string();
    assert_eq!((subject(0), subject(1)), (subject(2), subject(3)));
    assert_ne!(all[0].record.key, all[2].record.key);
    assert_eq!(all[0].record.template, all[2].record.template);
    // The old ones stay, and have a successor now.
    assert_eq!(state(&fixture, ALICE, old.signing.serial), RevocationState::Good);
    let again = mailbox(&fixture, ALICE, later(700)).unwrap();
    let serials: Vec<_> = again.iter().map(|candidate| candidate.old.record.serial).collect();
    assert_eq!(serials, [new[0].serial, new[1].serial]);
    let expiring = find(&fixture.home, &RenewTarget::Expiring(later(800)), later(700), &wait());
    assert_eq!(expiring.unwrap_err().class(), ErrorClass::NotFound);
}

#[test]
fn a_template_says_how_long_old_and_new_overlap() {
    let fixture = Fixture::with_authorities();
    for name in ["smime-signing", "smime-encryption"] {
        let path = fixture.home.templates_dir().join(format!("{name}.yaml"));
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}\nrenewal: {{ overlap_days: 20 }}\n")).unwrap();
    }
    let issuer = fixture.unlock("issuing");
    let old = pair(&fixture, &issuer, ALICE, "old.p12");
    // They end after 730 days, and are renewed on day 700.
    let candidates = mailbox(&fixture, ALICE, later(700)).unwrap();
    let path = fixture.path("new.p12");
    let attempt = |candidates: &[Candidate], supersede| {
        let key = RenewalKey::New(Some(KeyAlgorithm::P256));
        renew_with(&fixture, &issuer, candidates, key, supersede, &files(Some(&path), None))
    };
    let before = fixture.size();
    let early = attempt(&candidates, false).unwrap_err();
    assert_eq!(early.class(), ErrorClass::Refused);
    assert!(
        early.to_string().contains("overlap_days") && early.to_string().contains("--supersede"),
        "{early}"
    );
    let (signing, encryption) = candidates.split_at(1);
    let never = attempt(encryption, true).unwrap_err().to_string();
    assert!(!never.contains("--supersede"), "nothing supersedes what encrypts: {never}");
    let dir = fixture.path("none");
    for (supersede, people) in [(false, 0), (true, 1)] {
        let expiring = Expiring { authority: "issuing", before: later(760), supersede };
        let table = expiring_table(&fixture.home, &dir, expiring, false, later(700), &wait());
        let lines = table.map_or(0, |table| String::from_utf8(table).unwrap().lines().count() - 1);
        assert_eq!(lines, people);
    }
    assert_eq!(fixture.size(), before);
    attempt(signing, true).unwrap();
    assert!(matches!(state(&fixture, ALICE, old.signing.serial), RevocationState::Revoked { .. }));
    assert!(candidates[1].refuse_overlap(false, later(711)).is_ok());
}

#[test]
fn superseding_ends_what_signs_and_nothing_else() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let old = pair(&fixture, &issuer, ALICE, "old.p12");
    let candidates = mailbox(&fixture, ALICE, later(700)).unwrap();
    let before = fixture.size();
    let path = fixture.path("new.p12");
    let key = RenewalKey::New(Some(KeyAlgorithm::P256));
    renew_with(&fixture, &issuer, &candidates, key, true, &files(Some(&path), None)).unwrap();
    assert_eq!(fixture.size(), before + 3);
    let RevocationState::Revoked { reason, .. } = state(&fixture, ALICE, old.signing.serial) else {
        panic!()
    };
    assert_eq!(reason, ReasonCode::Superseded);
    assert_eq!(state(&fixture, ALICE, old.encryption.serial), RevocationState::Good);
}

#[test]
fn the_same_key_stays_where_the_template_allows_it_alone() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let old = pair(&fixture, &issuer, ALICE, "old.p12");
    let path = fixture.path("new.pem");
    let target = RenewTarget::Serials(vec![old.signing.serial]);
    let look = || find(&fixture.home, &target, later(700), &wait()).unwrap().candidates;
    let out = files(None, Some(&path));
    let error = renew_with(&fixture, &issuer, &look(), RenewalKey::Same, false, &out).unwrap_err();
    assert!(error.to_string().contains("same_key: allowed"), "{error}");
    let template = fixture.home.templates_dir().join("smime-signing.yaml");
    let text = fs::read_to_string(&template).unwrap();
    fs::write(&template, format!("{text}\nrenewal:\n  same_key: allowed\n")).unwrap();
    let new = renew_with(&fixture, &issuer, &look(), RenewalKey::Same, false, &out).unwrap();
    let all = dossier(&fixture.home, ALICE, now(), &wait()).unwrap().certificates;
    assert_eq!(all[0].record.key, all[2].record.key);
    assert_eq!(all[2].record.serial, new[0].serial);
    assert!(fs::read_to_string(&path).unwrap().starts_with("-----BEGIN CERTIFICATE"));
}

#[test]
fn what_was_revoked_is_not_renewed_not_even_at_the_last_moment() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let old = pair(&fixture, &issuer, ALICE, "old.p12");
    let candidates = mailbox(&fixture, ALICE, now()).unwrap();
    revoke(&fixture, old.signing.serial, ReasonCode::KeyCompromise);
    let before = fixture.size();
    let path = fixture.path("new.p12");
    let key = RenewalKey::New(Some(KeyAlgorithm::P256));
    let error =
        renew_with(&fixture, &issuer, &candidates, key, false, &files(Some(&path), None)).unwrap_err();
    assert!(error.to_string().contains("cannot be renewed"), "{error}");
    assert!(!path.exists() && fixture.size() == before);
    let target = RenewTarget::Serials(vec![old.signing.serial]);
    let error = find(&fixture.home, &target, now(), &wait()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Refused, "{error}");
    // The other half of the pair is still there to renew.
    assert_eq!(mailbox(&fixture, ALICE, now()).unwrap().len(), 1);
}

#[test]
fn what_expires_is_renewed_in_a_directory_that_a_second_call_goes_on_with() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let [_, _, _, dan] = ["alice", "bob", "carl", "dan"]
        .map(|name| pair(&fixture, &issuer, &format!("{name}@example.test"), &format!("{name}.p12")));
    let out = fixture.path("renewed");
    let run = |at: Timestamp| {
        let expiring = Expiring { authority: "issuing", before: later(760), supersede: false };
        let table = expiring_table(&fixture.home, &out, expiring, true, at, &wait())?;
        let request = BatchRequest {
            issuer: &issuer,
            kind: BatchKind::Renew { supersede: true, before: Some(later(760)) },
            table_hash: [7; 32],
            table_name: "people.csv",
            key: Some(KeyAlgorithm::P256),
            days: None,
            escrow: Escrow::None,
            profile: Pkcs12Profile::Modern,
            name: None,
            out: &out,
            password_program: None,
            workers: 2,
            actor: "tester",
        };
        let table = people::parse(&table, "people.csv").unwrap();
        issue_batch(&fixture.home, &request, table, &|| Ok(at), &wait())
    };
    // The disk fails when the batch has begun and nobody has anything.
    let before = fixture.size();
    for step in 0.. {
        fault::arm(step, Failure::Once(ErrorKind::StorageFull));
        let result = run(later(700));
        fault::disarm();
        assert!(result.is_err() && fixture.size() == before, "step {step}");
        if out.join("batch.json").exists() {
            break;
        }
    }
    // What is revoked meanwhile does not hold up the others.
    revoke(&fixture, dan.signing.serial, ReasonCode::KeyCompromise);
    revoke(&fixture, dan.encryption.serial, ReasonCode::KeyCompromise);
    let before = fixture.size();
    let report = run(later(700)).unwrap();
    assert_eq!((report.people, report.issued), (4, 3));
    assert_eq!(fixture.size(), before + 9, "two certificates and one revocation each");
    assert!(out.join("bob@example.test.p12").is_file() && out.join("passwords.csv").is_file());
    assert_eq!(run(later(701)).unwrap().issued, 0);
    assert_eq!(fixture.size(), before + 9);
}

#[test]
fn a_leaver_signs_no_more_and_the_mark_stays() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let theirs = pair(&fixture, &issuer, ALICE, "alice.p12");
    pair(&fixture, &issuer, "bob@example.test", "bob.p12");
    let leave = |fate| {
        let reason = ReasonCode::AffiliationChanged;
        plan_leave(&fixture.home, "Alice@Example.Test", reason, fate, now(), &wait())
    };
    let plan = leave(EncryptionFate::Keep).unwrap();
    assert_eq!(plan.revoked.len(), 1);
    assert_eq!(plan.revoked[0].record.serial, theirs.signing.serial);
    assert_eq!(plan.kept[0].0.serial, theirs.encryption.serial);
    plan.execute("tester", Some("last day"), now(), &wait()).unwrap();
    let found = dossier(&fixture.home, ALICE, now(), &wait()).unwrap();
    assert_eq!((found.left.len(), found.left[0].note.as_deref()), (1, Some("last day")));
    assert_eq!(state(&fixture, ALICE, theirs.encryption.serial), RevocationState::Good);
    // What runs on is not renewed, in no way; nor does anybody leave twice.
    let serials = RenewTarget::Serials(vec![theirs.encryption.serial]);
    let error = find(&fixture.home, &serials, now(), &wait()).unwrap_err();
    assert!(error.to_string().contains("who left on"), "{error}");
    assert_eq!(mailbox(&fixture, ALICE, now()).unwrap_err().class(), ErrorClass::NotFound);
    let expiring = find(&fixture.home, &RenewTarget::Expiring(later(800)), later(700), &wait()).unwrap();
    assert!(expiring.candidates.iter().all(|one| one.old.record.person == "bob@example.test"));
    let again = leave(EncryptionFate::Keep).err().unwrap();
    assert!(again.class() == ErrorClass::Refused && again.to_string().contains("left on"), "{again}");
    // Later it is decided that the other one ends, too.
    let plan = leave(EncryptionFate::Revoke).unwrap();
    assert_eq!(plan.revoked[0].record.serial, theirs.encryption.serial);
    plan.execute("tester", None, now(), &wait()).unwrap();
    let bob = dossier(&fixture.home, "bob@example.test", now(), &wait()).unwrap();
    assert!(bob.left.is_empty());
    assert!(bob.certificates.iter().all(|one| one.record.state == RevocationState::Good));
    assert!(dossier(&fixture.home, "eve@example.test", now(), &wait()).is_err());
    // An address is the same one however its domain is written.
    pair(&fixture, &issuer, "jürgen@bücher.example.test", "jürgen.p12");
    let (reason, fate) = (ReasonCode::AffiliationChanged, EncryptionFate::Keep);
    let plan = plan_leave(&fixture.home, "Jürgen@BÜCHER.example.test", reason, fate, now(), &wait()).unwrap();
    assert_eq!(plan.revoked.len(), 1);
    drop(plan);
    // Who comes back is issued to anew, and renewed again.
    pair(&fixture, &issuer, ALICE, "back.p12");
    assert_eq!(mailbox(&fixture, ALICE, later(700)).unwrap().len(), 2);
    assert_eq!(leave(EncryptionFate::Keep).unwrap().revoked.len(), 1);
}

#[test]
fn a_new_address_replaces_the_old_one_in_one_act() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let old = pair(&fixture, &issuer, ALICE, "old.p12");
    let before = fixture.size();
    let new_address = "alice.archer@example.test";
    let plan = plan_rename(&fixture.home, ALICE, new_address, now(), &wait()).unwrap();
    let path = fixture.path("new.p12");
    let files = files(Some(&path), None);
    let request = RenameRequest {
        issuer: &issuer,
        key: Some(KeyAlgorithm::P256),
        days: None,
        keep_encryption: false,
        escrow: Escrow::None,
        files: &files,
        actor: "tester",
    };
    let issued = rename(&fixture.home, &plan, &request, now(), &wait()).unwrap();
    assert_eq!((issued.len(), fixture.size()), (2, before + 4));
    assert!(path.is_file());
    let now_theirs = dossier(&fixture.home, new_address, now(), &wait()).unwrap().certificates;
    assert_eq!(now_theirs.len(), 2);
    assert_eq!(now_theirs[0].record.mailboxes, [new_address]);
    assert!(now_theirs[0].certificate.tbs_certificate.subject.to_string().contains(new_address));
    for serial in [old.signing.serial, old.encryption.serial] {
        assert!(matches!(state(&fixture, ALICE, serial), RevocationState::Revoked { .. }));
    }
    assert!(plan_rename(&fixture.home, ALICE, new_address, now(), &wait()).is_err());
}

#[test]
fn a_new_address_that_is_somebody_elses_is_refused() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    pair(&fixture, &issuer, ALICE, "alice.p12");
    pair(&fixture, &issuer, "bob@example.test", "bob.p12");
    let before = fixture.size();
    let plan = plan_rename(&fixture.home, ALICE, "bob@example.test", now(), &wait()).unwrap();
    let path = fixture.path("new.p12");
    let files = files(Some(&path), None);
    let request = RenameRequest {
        issuer: &issuer,
        key: Some(KeyAlgorithm::P256),
        days: None,
        keep_encryption: true,
        escrow: Escrow::None,
        files: &files,
        actor: "tester",
    };
    let error = rename(&fixture.home, &plan, &request, now(), &wait()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Refused, "{error}");
    assert!(!path.exists() && fixture.size() == before);
}

#[test]
fn everybody_in_a_table_is_revoked_or_nobody() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    for name in ["alice", "bob"] {
        pair(&fixture, &issuer, &format!("{name}@example.test"), &format!("{name}.p12"));
    }
    let target = |text: &str| {
        let people = people::parse(text.as_bytes(), "people.csv").unwrap().complete("people.csv").unwrap();
        Target::People { people, file: "people.csv".into() }
    };
    let transition = Transition::Revoke { reason: ReasonCode::CessationOfOperation, invalidity_date: None };
    let act = |text: &str| {
        plan(&fixture.home, &target(text), transition, now(), &wait())?.execute(
            "tester",
            None,
            now(),
            &wait(),
        )
    };
    let error = act("email\nalice@example.test\neve@example.test\n").unwrap_err();
    assert!(error.to_string().contains("line 3: no certificate names eve@example.test"), "{error}");
    assert_eq!(act("email\nalice@example.test\nbob@example.test\n").unwrap().len(), 4);
}
