//! Pairs and batches of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use ca_core::batch::{BatchKind, BatchReport, BatchRequest, issue_batch};
use ca_core::domain::{Detail, KeyAlgorithm};
use ca_core::pair::{Escrow, Pair, PairFiles};
use ca_core::people;
use ca_core::signing::pkcs12::Pkcs12Profile;
use ca_core::{AuthorityError, AuthorityKey, ErrorClass, Result, templates};
use sha2::{Digest, Sha256};

use crate::common::{self, Fixture, PAIR, now, pair_files, wait};

fn pair(
    fixture: &Fixture,
    issuer: &AuthorityKey,
    templates_of: (&str, &str),
    escrow: Escrow,
    files: &PairFiles,
) -> Result<Pair> {
    common::pair(fixture, issuer, "alice@example.test", templates_of, escrow, files)
}

#[test]
fn a_pair_is_two_entries_of_one_act_and_one_file() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let before = fixture.size();
    let done = pair(&fixture, &issuer, PAIR, Escrow::None, &pair_files(&fixture, "alice.p12")).unwrap();
    assert_eq!((done.signing.position, done.encryption.position), (before, before + 1));
    assert_eq!(done.signing.files, [fixture.path("alice.p12")]);
    // A file that is there stays, and neither of the two is issued.
    let again = pair(&fixture, &issuer, PAIR, Escrow::None, &pair_files(&fixture, "alice.p12")).unwrap_err();
    assert_eq!(again.class(), ErrorClass::Refused, "{again}");
    assert_eq!(fixture.size(), before + 2);
}

#[test]
fn without_recovery_agents_a_pair_is_refused_unless_asked_for() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let before = fixture.size();
    let error =
        pair(&fixture, &issuer, PAIR, Escrow::Agents, &pair_files(&fixture, "alice.p12")).unwrap_err();
    assert!(error.to_string().contains("--no-escrow"), "{error}");
    for (templates_of, says) in [
        (("smime-dual", "smime-encryption"), "encryption as well"),
        (("smime-signing", "smime-dual"), "signing as well"),
    ] {
        let error =
            pair(&fixture, &issuer, templates_of, Escrow::None, &pair_files(&fixture, "x.p12")).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(fixture.size(), before);
    assert!(!fixture.path("alice.p12").exists());
}

pub(crate) fn batch(
    fixture: &Fixture,
    issuer: &AuthorityKey,
    table: &str,
    out: &Path,
) -> Result<BatchReport> {
    batch_with(fixture, issuer, table, out, |_| ())
}

fn batch_with<'a>(
    fixture: &'a Fixture,
    issuer: &'a AuthorityKey,
    table: &str,
    out: &'a Path,
    change: impl FnOnce(&mut BatchRequest<'a>),
) -> Result<BatchReport> {
    let load = |name| templates::load(&fixture.home, name).map(Arc::new);
    let mut request = BatchRequest {
        issuer,
        kind: BatchKind::Issue { signing: load(PAIR.0)?, encryption: load(PAIR.1)?, again: false },
        table_hash: Sha256::digest(table).into(),
        table_name: "people.csv",
        key: Some(KeyAlgorithm::P256),
        days: None,
        escrow: Escrow::None,
        profile: Pkcs12Profile::Modern,
        name: None,
        out,
        password_program: None,
        workers: 2,
        actor: "tester",
    };
    change(&mut request);
    let table = people::parse(table.as_bytes(), "people.csv")?;
    issue_batch(&fixture.home, &request, table, &|| Ok(now()), &wait())
}

fn table(count: usize) -> String {
    let lines: Vec<_> = (0..count).map(|n| format!("person{n}@example.test,Person {n}\n")).collect();
    format!("email,common_name\n{}", lines.concat())
}

fn passwords(out: &Path) -> Vec<[String; 3]> {
    let text = fs::read_to_string(out.join("passwords.csv")).unwrap();
    let row = |line: &str| {
        let fields: Vec<_> = line.split(',').map(str::to_owned).collect();
        fields.try_into().unwrap()
    };
    text.lines().skip(1).map(row).collect()
}

#[test]
fn everybody_gets_one_file_and_one_password_and_the_same_call_again_does_nothing() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let out = fixture.path("out");
    let before = fixture.size();
    let report = batch(&fixture, &issuer, &table(70), &out).unwrap();
    assert_eq!((report.people, report.issued, report.completed), (70, 70, 0));
    assert_eq!(fixture.size(), before + 140);
    let rows = passwords(&out);
    assert_eq!(rows.len(), 70);
    assert_eq!(rows[0][..2], ["person0@example.test", "person0@example.test.p12"]);
    assert_eq!(rows.iter().map(|row| &row[2]).collect::<BTreeSet<_>>().len(), 70);
    for row in &rows {
        assert!(out.join(&row[1]).is_file());
    }
    assert!(!out.join("journal").exists(), "the journal has passwords in it");
    let report = batch(&fixture, &issuer, &table(70), &out).unwrap();
    assert_eq!((report.people, report.issued), (70, 0));
    assert_eq!(fixture.size(), before + 140);
}

#[test]
fn a_call_goes_on_where_the_last_one_ended() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let out = fixture.path("out");
    let log = fixture.path("log");
    let program = format!("cat >> {}", log.display());
    let before = fixture.size();
    // The program refuses the first group: it is committed, but not delivered.
    let stop = |request: &mut BatchRequest<'_>| {
        request.password_program = Some("cat > /dev/null; exit 7");
        request.workers = 1;
    };
    let error = batch_with(&fixture, &issuer, &table(100), &out, stop).unwrap_err();
    assert!(error.to_string().contains("password program"), "{error}");
    // A group is 64 people, fewer on a slow machine.
    let first = (fixture.size() - before) / 2;
    assert!((1..=64).contains(&first), "{first}");
    // What a crash between commit and rename would leave.
    let hidden = out.join(".person0@example.test.p12.tmp");
    fs::rename(out.join("person0@example.test.p12"), &hidden).unwrap();
    let report =
        batch_with(&fixture, &issuer, &table(100), &out, |request| request.password_program = Some(&program))
            .unwrap();
    assert_eq!((report.issued, report.completed), (100 - first, first));
    assert!(report.missing.is_empty() && report.passwords.is_none());
    assert_eq!(fixture.size(), before + 200);
    let told = fs::read_to_string(&log).unwrap();
    let people: BTreeSet<_> = told.lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!((told.lines().count(), people.len()), (100, 100));
    assert!(!hidden.exists() && !out.join("passwords.csv").exists());
}

#[test]
fn every_bad_line_is_told_before_anything_is_issued() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let before = fixture.size();
    batch(&fixture, &issuer, "email\nalice@example.test\n", &fixture.path("one")).unwrap();
    let long = "x".repeat(65);
    let text = format!(
        "email,common_name\nbob@example.test,Bob\nnobody,\ncarl@example.test,{long}\nalice@example.test,\n"
    );
    let error = batch(&fixture, &issuer, &text, &fixture.path("two")).unwrap_err();
    let AuthorityError::Lines { lines, .. } = &error else { panic!("{error}") };
    // The name that is too long is so in both certificates.
    assert_eq!(lines.iter().map(|bad| bad.line).collect::<BTreeSet<_>>(), [3, 4, 5].into());
    assert!(error.to_string().contains("give --again"), "{error}");
    assert_eq!(fixture.size(), before + 2);
    assert!(!fixture.path("two").exists());
}

#[test]
fn one_directory_is_one_batch_and_one_batch_is_one_directory() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let (first, second) = (fixture.path("first"), fixture.path("second"));
    batch(&fixture, &issuer, &table(2), &first).unwrap();
    let other = batch(&fixture, &issuer, &table(30), &first).unwrap_err();
    assert!(other.to_string().contains("belongs to another batch"), "{other}");
    let elsewhere = batch(&fixture, &issuer, &table(2), &second).unwrap_err();
    assert!(elsewhere.to_string().contains("for another directory"), "{elsewhere}");
    assert!(!second.exists());
    let named = batch_with(&fixture, &issuer, &table(2), &second, |request| {
        request.name = Some("once more");
        let BatchKind::Issue { again, .. } = &mut request.kind else { return };
        *again = true;
    });
    assert_eq!(named.unwrap().issued, 2);
    fs::create_dir(fixture.path("full")).unwrap();
    fs::write(fixture.path("full/x"), "x").unwrap();
    assert!(batch(&fixture, &issuer, &table(3), &fixture.path("full")).is_err());
}

#[test]
fn the_ledger_says_which_line_of_which_batch_it_was() {
    let fixture = Fixture::with_authorities();
    let issuer = fixture.unlock("issuing");
    let before = fixture.size();
    let report = batch(&fixture, &issuer, &table(1), &fixture.path("out")).unwrap();
    let ledger = fixture.home.ledger().unwrap();
    for position in [before, before + 1] {
        let detail = Detail::from_bytes(&ledger.detail(position).unwrap()).unwrap();
        let Detail::CertificateIssued { batch, .. } = detail else { panic!() };
        assert_eq!(batch, Some(format!("{}:2", report.id)));
    }
}
