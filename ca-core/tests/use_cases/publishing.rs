//! Signed objects for directories, whose command was killed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use ca_core::files::fault::{self, Failure};
use ca_core::ldap::entries_of_ldif;
use ca_core::pair::Escrow;
use ca_core::publish::config::PublishConfig;
use ca_core::publish::ldap::{PublishReport, PublishRequest, publish};
use ca_core::{AuthorityKey, Result};

use crate::common::{self, Fixture, PAIR, now, pair_files, wait};

pub(crate) const CONFIG: &str = "\
version: 1
directories:
  - name: staff
    server: {url: 'ldap://127.0.0.1:9', plain: true, bind_dn: cn=ca, password_file: pw}
    base: dc=example,dc=test
    user_smime_certificate: true
";

fn pair(fixture: &Fixture, issuer: &AuthorityKey, file: &str) -> Result<()> {
    let files = pair_files(fixture, file);
    common::pair(fixture, issuer, "alice@example.test", PAIR, Escrow::None, &files).map(drop)
}

pub(crate) fn configure(fixture: &Fixture, text: &str) {
    let config = fixture.home.root().join("publish.yaml");
    fs::write(&config, text).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
}

fn publish_as(fixture: &Fixture, request: &PublishRequest) -> Result<Vec<PublishReport>> {
    let config = PublishConfig::load(&fixture.home)?;
    publish(&fixture.home, &config, request, now(), &wait())
}

/// What a run would publish for alice; how many of these values are signed objects.
fn run(fixture: &Fixture) -> Result<usize> {
    let alice = entries_of_ldif(b"dn: cn=alice,dc=example,dc=test\nmail: alice@example.test\n")?;
    let request = PublishRequest { entries: Some(alice), ..PublishRequest::default() };
    let reports = publish_as(fixture, &request)?;
    let lines = reports.iter().flat_map(|report| &report.changed).flat_map(|entry| &entry.lines);
    Ok(lines.filter(|line| line.attribute == "userSMIMECertificate").count())
}

/// Objects with their names, and temporary files.
fn objects(fixture: &Fixture) -> (usize, usize) {
    let Ok(found) = fs::read_dir(fixture.home.root().join("smime-objects")) else { return (0, 0) };
    let names = found.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let (temporary, named): (Vec<_>, Vec<_>) = names.partition(|name| name.starts_with('.'));
    (named.len(), temporary.len())
}

/// An issuance is killed at each of its steps, and so is the first run after it: every certificate in
/// the ledger has its object then, and no other object is there.
#[test]
fn an_object_is_kept_if_and_only_if_its_certificate_was_issued() {
    let fixture = Fixture::with_authorities();
    configure(&fixture, CONFIG);
    let issuer = fixture.unlock("issuing");
    let (mut pairs, mut completed, mut removed) = (0, 0, 0);
    for step in 0..200 {
        let before = fixture.size();
        fault::arm(step, Failure::Crash);
        let result = pair(&fixture, &issuer, &format!("alice-{step}.p12"));
        fault::disarm();
        let committed = fixture.size() > before;
        pairs += usize::from(committed);
        let (named, temporary) = objects(&fixture);
        if result.is_ok() {
            assert_eq!((named, temporary), (pairs, 0));
            break;
        }
        completed += usize::from(committed && named < pairs);
        removed += usize::from(!committed && temporary > 0);
        for step_of_run in 0..3 {
            fault::arm(step_of_run, Failure::Crash);
            // It ends as it may: the next one counts.
            let _ = run(&fixture);
            fault::disarm();
        }
        assert_eq!(run(&fixture).unwrap(), usize::from(pairs > 0), "step {step}: {committed}");
        assert_eq!(objects(&fixture), (pairs, 0), "step {step}");
    }
    assert!(completed > 0 && removed > 0, "{completed} were completed, {removed} removed");
}

/// A directory that wants a Kerberos ticket hinders only what logs in there, in a build that has no Kerberos.
#[test]
#[cfg(not(feature = "gssapi"))]
fn a_login_that_is_not_in_this_build_is_refused_when_it_is_due() {
    let fixture = Fixture::with_authorities();
    let kerberos =
        CONFIG.replace("'ldap://127.0.0.1:9', plain: true", "'ldaps://dc1.example.test', sasl: gssapi");
    let kerberos = kerberos.replace(", bind_dn: cn=ca, password_file: pw", "");
    let other = CONFIG.split_once("directories:\n").unwrap().1.replace("staff", "other");
    configure(&fixture, &format!("{kerberos}{other}"));
    let issuer = fixture.unlock("issuing");
    pair(&fixture, &issuer, "alice.p12").unwrap();
    assert_eq!(objects(&fixture), (1, 0), "userSMIMECertificate is prepared all the same");

    let of = |name: &str| PublishRequest { directories: vec![name.to_owned()], ..PublishRequest::default() };
    for request in [PublishRequest::default(), of("staff"), PublishRequest { dry_run: true, ..of("staff") }] {
        let error = publish_as(&fixture, &request).unwrap_err().to_string();
        assert!(error.contains("dc1.example.test") && error.contains("--features gssapi"), "{error}");
    }
    // The other directory is not to be had, which its report says, and an export of the first needs no login.
    assert!(publish_as(&fixture, &of("other")).unwrap()[0].stopped.as_deref().unwrap().contains("pw"));
    configure(&fixture, &kerberos);
    assert_eq!(run(&fixture).unwrap(), 1);
}
