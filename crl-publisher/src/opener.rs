//! What an authority is published with: its certificate and chain, and its key.
//!
//! What cannot be opened is an alarm and is tried again until it can; nobody else's CRLs
//! wait for it, and what was published of this authority goes on being served. Without its
//! certificate that is done with the one that was published with it.

use std::path::PathBuf;
use std::sync::Arc;

use ca_domain::Timestamp;
use ca_service::watch::Fingerprint;
use ca_service::{Alarms, Authority, Bell, Clock, LedgerView, ServiceError};
use ca_signing::SigningKey;
use ca_status::StatusTable;

use crate::catalogue::{Asset, Catalogue, Content};
use crate::certificates;
use crate::config::{self, AuthorityConfig};
use crate::distribute::{self, Distributor};
use crate::interest::Interest;
use crate::key::KeyFile;
use crate::schedule::pause;
use crate::shelf::Shelf;
use crate::sign::{CrlSigner, Means};
use crate::targets::item::Owners;
use crate::task::Work;

/// No pause between two attempts is longer.
const LONGEST_PAUSE: u64 = 60;
/// The alarms of an authority's certificate and key begin so.
const TOPICS: [&str; 2] = ["certificate", "key"];

/// What the authorities of a publisher share.
#[derive(Clone)]
pub struct Kit {
    /// Where CRLs and certificates go.
    pub shelf: Arc<Shelf>,
    /// What is served.
    pub catalogue: Arc<Catalogue>,
    /// What is revoked.
    pub view: Arc<LedgerView<StatusTable>>,
    /// Who is told of changes.
    pub interest: Interest,
    /// Whose files go to targets.
    pub owners: Owners,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Where alarms go.
    pub alarms: Alarms,
}

/// Opens what one authority needs.
pub struct Opener {
    config: AuthorityConfig,
    kit: Kit,
    /// Wakes who does the work.
    bell: Bell,
    authority: Option<Authority>,
    /// The files of certificates by path.
    certificates: Vec<(String, Asset)>,
    certificate_fault: Option<ServiceError>,
    /// None where nothing is signed.
    key_file: Option<KeyFile>,
    key: Option<Arc<dyn SigningKey>>,
    key_fault: Option<ServiceError>,
    /// The files at the last attempt.
    seen: Vec<Option<Fingerprint>>,
    failures: u32,
    retry_at: Timestamp,
}

impl Opener {
    /// Tries once to open all; `bell` wakes who does the work.
    #[must_use]
    pub fn new(config: AuthorityConfig, kit: Kit, bell: Bell) -> Self {
        let key_file = match &config.work {
            config::Work::Sign { key, passphrase, .. } => Some(KeyFile::new(key, passphrase)),
            config::Work::Distribute { .. } => None,
        };
        let retry_at = kit.clock.now();
        let mut opener = Self {
            config,
            kit,
            bell,
            authority: None,
            certificates: Vec::new(),
            certificate_fault: None,
            key_file,
            key: None,
            key_fault: None,
            seen: Vec::new(),
            failures: 0,
            retry_at,
        };
        opener.attempt();
        opener
    }

    /// Why something is not open whose alarm is none that `may_be`.
    pub fn fault(&mut self, may_be: &dyn Fn(&str) -> bool) -> Option<ServiceError> {
        let faults = [&mut self.certificate_fault, &mut self.key_fault];
        let mut all = TOPICS.into_iter().zip(faults);
        all.find_map(|(topic, fault)| fault.take_if(|_| !may_be(&format!("{topic} {}", self.config.name))))
    }

    /// The authority's NAME.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// `sign` or `distribute`.
    #[must_use]
    pub const fn mode(&self) -> &'static str {
        if self.key_file.is_some() { "sign" } else { "distribute" }
    }

    /// What is wrong with the certificate, if nothing can be done without it.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        self.certificate_fault.as_ref().map(ToString::to_string)
    }

    /// The work that can be done with what is open.
    #[must_use]
    pub fn work(&self) -> Work {
        let Some(authority) = self.authority.clone() else { return Work::Closed };
        let Kit { shelf, view, clock, alarms, .. } = self.kit.clone();
        match &self.config.work {
            config::Work::Distribute { source, remind } => Work::Distribute(Box::new(Distributor {
                name: self.config.name.clone(),
                authority,
                source: source.clone(),
                shelf,
                clock,
                alarms,
                remind: *remind,
                memory: distribute::Memory::default(),
            })),
            config::Work::Sign { lists, .. } => {
                let means = Means { authority, key: self.key.clone(), shelf, view, clock, alarms };
                let signers: Vec<CrlSigner> =
                    lists.iter().map(|list| CrlSigner::new(list.clone(), means.clone())).collect();
                self.kit.interest.set(&self.config.name, &signers, &self.bell);
                Work::Sign(signers)
            }
        }
    }

    /// Tries again what could not be opened, if it is time or a file is another. New
    /// work, if the old cannot go on.
    pub fn retry(&mut self, work: &mut Work) -> Option<Work> {
        if self.is_open() {
            return None;
        }
        let now = self.kit.clock.now();
        let paused = now < self.retry_at && self.retry_at.seconds_since(now) <= LONGEST_PAUSE;
        let before = self.authority.as_ref().map(|authority| authority.der.clone());
        if !paused || self.look() != self.seen {
            self.attempt();
            if self.certificate_fault.is_none() {
                self.certificate_fault = self.write().err();
            }
        }
        self.tell();
        if self.authority.as_ref().map(|authority| &authority.der) != before.as_ref() {
            return Some(self.work());
        }
        if let (Work::Sign(signers), Some(key)) = (work, &self.key) {
            signers.iter_mut().for_each(|signer| signer.set_key(key));
        }
        None
    }

    /// Says in alarms what is not open.
    pub fn tell(&self) {
        let alarms = &self.kit.alarms;
        let name = &self.config.name;
        let told = [
            ("the certificate cannot be used; what was published stays", &self.certificate_fault),
            ("the key cannot be opened, so nothing is signed", &self.key_fault),
        ];
        for (topic, (summary, fault)) in TOPICS.into_iter().zip(told) {
            let topic = format!("{topic} {name}");
            match fault {
                Some(error) => alarms.raise(&topic, summary, error),
                None => alarms.clear(&topic),
            }
        }
    }

    /// Writes the certificates.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self) -> Result<(), ServiceError> {
        for (path, asset) in &self.certificates {
            if let Content::Memory(octets) = &asset.content {
                self.kit.shelf.write(path, octets)?;
            }
        }
        Ok(())
    }

    /// The files that are watched.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let key = self.key_file.iter().flat_map(KeyFile::files).map(PathBuf::from);
        std::iter::once(self.config.certificate.clone()).chain(self.config.chain.clone()).chain(key).collect()
    }

    const fn is_open(&self) -> bool {
        self.certificate_fault.is_none() && self.key_fault.is_none()
    }

    fn look(&self) -> Vec<Option<Fingerprint>> {
        self.files().iter().map(|file| Fingerprint::of(file)).collect()
    }

    fn attempt(&mut self) {
        self.seen = self.look();
        self.open_certificates();
        self.open_key();
        self.failures = if self.is_open() { 0 } else { self.failures.saturating_add(1) };
        self.retry_at = self.kit.clock.now().saturating_add(pause(self.failures).as_secs());
    }

    fn open_certificates(&mut self) {
        let found = match certificates::load(&self.config) {
            Ok(found) => {
                self.certificate_fault = None;
                Some(found)
            }
            Err(error) => {
                self.certificate_fault = Some(error);
                let is_new = self.authority.is_none();
                is_new.then(|| certificates::published(&self.config, self.kit.shelf.directory())).flatten()
            }
        };
        let Some((authority, files)) = found else { return };
        for (path, asset) in &files {
            self.kit.catalogue.put(format!("/{path}"), asset.clone());
        }
        self.kit.owners.put(&self.config.name, &authority);
        self.certificates = files;
        self.authority = Some(authority);
    }

    fn open_key(&mut self) {
        let (Some(file), Some(authority)) = (&mut self.key_file, &self.authority) else { return };
        if self.key.as_ref().is_some_and(|key| key.public_key_der() == authority.spki_der) {
            return;
        }
        let opened = file.open(authority);
        self.key = None;
        match opened {
            Ok(key) => {
                self.key = Some(Arc::new(key));
                self.key_fault = None;
            }
            Err(error) => self.key_fault = Some(error),
        }
    }
}
