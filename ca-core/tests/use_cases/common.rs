//! A home with a root and an issuing authority, and a clock that stands still.

use std::path::PathBuf;
use std::time::Duration;

use ca_core::config::UrlPatterns;
use ca_core::create_authority::{CreateAuthority, create_authority};
use ca_core::domain::mailbox::Mailbox;
use ca_core::domain::profile::SubjectInput;
use ca_core::domain::template::SubjectAttribute;
use ca_core::domain::{KeyAlgorithm, Timestamp};
use ca_core::init::{InitRequest, init};
use ca_core::issue::{IssueRequest, Issued, Output, SubjectKey, issue};
use ca_core::pair::{Escrow, Pair, PairFiles, PairRequest, issue_pair};
use ca_core::signing::pkcs12::Pkcs12Profile;
use ca_core::signing::{KdfCost, Passphrase};
use ca_core::{Authority, AuthorityKey, Home, Result, Wait, templates};
use tempfile::TempDir;

pub(crate) fn now() -> Timestamp {
    Timestamp::parse("2026-11-23T08:00:00Z").unwrap()
}

/// How long anything waits for another process.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn wait() -> Wait<'static> {
    Wait::quiet(PATIENCE, "test")
}

pub(crate) fn passphrase() -> Passphrase {
    Passphrase::from_string("correct horse".into())
}

pub(crate) fn ca_name(common_name: &str) -> SubjectInput {
    let attributes = [
        (SubjectAttribute::CommonName, common_name.to_owned()),
        (SubjectAttribute::Organization, "Example".to_owned()),
        (SubjectAttribute::Country, "DE".to_owned()),
    ];
    SubjectInput { attributes: attributes.into_iter().collect(), ..SubjectInput::default() }
}

pub(crate) fn person(mailbox: &str) -> SubjectInput {
    SubjectInput { mailboxes: vec![Mailbox::parse(mailbox).unwrap()], ..SubjectInput::default() }
}

pub(crate) fn urls() -> UrlPatterns {
    UrlPatterns {
        crl: Some("http://pki.example.test/crl/{authority}.crl".into()),
        ca_issuers: Some("http://pki.example.test/ca/{authority}.crt".into()),
        ocsp: Some("http://ocsp.example.test/".into()),
        ..UrlPatterns::default()
    }
}

pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) home: Home,
}

impl Fixture {
    /// A home without authorities.
    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let request = InitRequest { origin: "ledger.example.test".into(), urls: urls() };
        let home = init(&dir.path().join("home"), &request, now(), &wait()).unwrap();
        Self { dir, home }
    }

    /// A home with the authorities root and issuing, both P-256.
    pub(crate) fn with_authorities() -> Self {
        let fixture = Self::empty();
        fixture.create("root", "root-ca", None).unwrap();
        let root = fixture.unlock("root");
        fixture.create("issuing", "issuing-ca", Some(&root)).unwrap();
        fixture
    }

    pub(crate) fn create(
        &self,
        name: &str,
        template: &str,
        parent: Option<&AuthorityKey>,
    ) -> Result<Authority> {
        let template = templates::load(&self.home, template)?;
        let request = CreateAuthority {
            name,
            template: &template,
            parent,
            key: Some(KeyAlgorithm::P256),
            subject: &ca_name(name),
            days: None,
            passphrase: &passphrase(),
            cost: KdfCost::Test,
            actor: "tester",
        };
        create_authority(&self.home, &request, now(), &wait())
    }

    pub(crate) fn unlock(&self, name: &str) -> AuthorityKey {
        Authority::load(&self.home, name).unwrap().unlock(&passphrase()).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn issue(
        &self,
        issuer: &AuthorityKey,
        mailbox: &str,
        key: SubjectKey,
        outputs: &[Output],
    ) -> Result<Issued> {
        self.issue_waiting(issuer, mailbox, key, outputs, &wait())
    }

    pub(crate) fn issue_waiting(
        &self,
        issuer: &AuthorityKey,
        mailbox: &str,
        key: SubjectKey,
        outputs: &[Output],
        wait: &Wait<'_>,
    ) -> Result<Issued> {
        let template = templates::load(&self.home, "smime-dual")?;
        let request = IssueRequest {
            issuer,
            template: &template,
            subject: &person(mailbox),
            key,
            days: None,
            outputs,
            actor: "tester",
        };
        issue(&self.home, &request, now(), wait)
    }

    pub(crate) fn issue_p256(&self, issuer: &AuthorityKey, mailbox: &str) -> Issued {
        self.issue(issuer, mailbox, SubjectKey::Generate(Some(KeyAlgorithm::P256)), &[]).unwrap()
    }

    /// The number of ledger entries.
    pub(crate) fn size(&self) -> u64 {
        self.home.ledger().unwrap().checkpoint().size
    }
}

/// The templates of a pair: signing and encryption.
pub(crate) const PAIR: (&str, &str) = ("smime-signing", "smime-encryption");

/// A pair in one PKCS#12 file of this name.
pub(crate) fn pair_files(fixture: &Fixture, both: &str) -> PairFiles {
    PairFiles {
        both: Some(fixture.path(both)),
        signing: None,
        encryption: None,
        signing_certificate: None,
        encryption_certificate: None,
        profile: Pkcs12Profile::Modern,
        password: Some(Passphrase::from_string("pw for tests".into())),
        friendly_name: both.into(),
        replace: false,
    }
}

/// Issues a pair with keys made here.
pub(crate) fn pair(
    fixture: &Fixture,
    issuer: &AuthorityKey,
    mailbox: &str,
    templates_of: (&str, &str),
    escrow: Escrow,
    files: &PairFiles,
) -> Result<Pair> {
    let request = PairRequest {
        issuer,
        signing: &templates::load(&fixture.home, templates_of.0)?,
        encryption: &templates::load(&fixture.home, templates_of.1)?,
        subject: &person(mailbox),
        signing_key: SubjectKey::Generate(Some(KeyAlgorithm::P256)),
        encryption_key: Some(KeyAlgorithm::P256),
        days: None,
        escrow,
        files,
        actor: "tester",
    };
    issue_pair(&fixture.home, &request, now(), &wait())
}
