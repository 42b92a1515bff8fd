//! Homes to measure on.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ca_core::config::UrlPatterns;
use ca_core::create_authority::{CreateAuthority, create_authority};
use ca_core::domain::profile::SubjectInput;
use ca_core::domain::template::SubjectAttribute;
use ca_core::domain::{KeyAlgorithm, Timestamp};
use ca_core::files::{Mode, create_private_dir, write_atomic};
use ca_core::init::{InitRequest, init};
use ca_core::signing::{KdfCost, Passphrase, SoftwareKey};
use ca_core::{Authority, AuthorityKey, Home, Wait, templates};

use crate::{Result, fail};

/// The passphrase of every authority's key in these homes.
const PASSPHRASE: &str = "correct horse battery staple";
/// What an administrator would be shown as the one who acts.
pub const ACTOR: &str = "benches";
/// How long anything may wait for another process.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A directory with `home/`, the authority's, and `passphrase`.
#[derive(Clone, Debug)]
pub struct Bench {
    dir: PathBuf,
    home: Home,
}

impl Bench {
    /// Makes a home in `dir`, whose URLs lead nowhere.
    ///
    /// # Errors
    /// The directory is in use, or the disk fails.
    pub fn create(dir: &Path) -> Result<Self> {
        create_private_dir(dir)?;
        write_atomic(&dir.join("passphrase"), PASSPHRASE.as_bytes(), Mode::Private)?;
        let urls = UrlPatterns {
            crl: Some("http://pki.example.test/crl/{authority}.crl".into()),
            ca_issuers: Some("http://pki.example.test/ca/{authority}.crt".into()),
            ocsp: Some("http://ocsp.example.test/".into()),
            ..UrlPatterns::default()
        };
        let request = InitRequest { origin: "benches.example.test".into(), urls };
        let home = init(&dir.join("home"), &request, now()?, &wait())?;
        Ok(Self { dir: dir.to_owned(), home })
    }

    /// Opens what [`Bench::create`] made.
    ///
    /// # Errors
    /// There is no home in `dir`.
    pub fn open(dir: &Path) -> Result<Self> {
        Ok(Self { dir: dir.to_owned(), home: Home::open(&dir.join("home"))? })
    }

    /// The home.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// A path in the directory, outside of the home.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes a root called `root-NAME` and an issuing authority `NAME` below it,
    /// both with keys of `algorithm`.
    ///
    /// # Errors
    /// The names are taken, or the disk fails.
    pub fn authorities(&self, name: &str, algorithm: KeyAlgorithm) -> Result<()> {
        let root = format!("root-{name}");
        self.authority(&root, "root-ca", None, algorithm)?;
        let parent = self.unlock(&root)?;
        self.authority(name, "issuing-ca", Some(&parent), algorithm)
    }

    fn authority(
        &self,
        name: &str,
        template: &str,
        parent: Option<&AuthorityKey>,
        algorithm: KeyAlgorithm,
    ) -> Result<()> {
        let subject = SubjectInput {
            attributes: [
                (SubjectAttribute::CommonName, format!("Benches {name}")),
                (SubjectAttribute::Organization, "Benches".to_owned()),
                (SubjectAttribute::Country, "DE".to_owned()),
            ]
            .into(),
            ..SubjectInput::default()
        };
        let request = CreateAuthority {
            name,
            template: &templates::load(&self.home, template)?,
            parent,
            key: Some(algorithm),
            subject: &subject,
            days: None,
            passphrase: &passphrase(),
            cost: KdfCost::Interactive,
            actor: ACTOR,
        };
        create_authority(&self.home, &request, now()?, &wait())?;
        Ok(())
    }

    /// An authority with its key.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn unlock(&self, name: &str) -> Result<AuthorityKey> {
        Ok(Authority::load(&self.home, name)?.unlock(&passphrase())?)
    }

    /// The key of an authority by itself, to measure what it can do at most.
    ///
    /// # Errors
    /// There is no authority of that name.
    pub fn key(&self, name: &str) -> Result<SoftwareKey> {
        let path = self.home.authorities_dir().join(name).join("key.pem");
        Ok(SoftwareKey::load(&path, Some(&passphrase()))?)
    }
}

/// The passphrase of the authorities' keys.
#[must_use]
pub fn passphrase() -> Passphrase {
    Passphrase::from_string(PASSPHRASE.to_owned())
}

/// How these programs wait for others.
#[must_use]
pub fn wait<'a>() -> Wait<'a> {
    Wait::quiet(PATIENCE, "benches")
}

/// The time.
///
/// # Errors
/// The clock is outside of what certificates can carry.
pub fn now() -> Result<Timestamp> {
    Timestamp::try_from(SystemTime::now()).map_err(|error| fail(error.to_string()))
}
