//! What an authority is published with: its certificate and chain, and its key.
//!
//! What cannot be opened is an alarm and is tried again until it can; nobody else's CRLs
//! wait for it, and what was published of this authority goes on being served. Without its
//! certificate that is done with the one that was published with it.

mod step;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ca_service::{Alarms, Authority, Bell, Clock, Errands, LedgerView, ServiceError};
use ca_signing::SigningKey;
use ca_status::StatusTable;

use crate::catalogue::{Asset, Catalogue, Content};
use crate::certificates;
use crate::config::{self, AuthorityConfig};
use crate::distribute::{self, Distributor};
use crate::interest::Interest;
use crate::key::KeyFile;
use crate::shelf::Shelf;
use crate::sign::{CrlSigner, Means};
use crate::targets::item::Owners;
use crate::task::Work;
use crate::trial::Party;
use step::{Outcome, Step};

/// The alarms of an authority's certificate and key begin so.
const TOPICS: [&str; 2] = ["certificate", "key"];

/// Why a key is opened anew.
const OTHER_KEY: &str = "the certificate is another, and the key of that is not open yet";

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
    /// Where files are read.
    pub errands: Errands,
}

/// An authority, and the files of its certificates by path.
type Found = (Authority, Vec<(String, Asset)>);

/// Opens what one authority needs. Files are touched on threads of their own alone, and what is open is not
/// looked at again: a file system that hangs holds up neither the start nor what is signed.
pub struct Opener {
    config: AuthorityConfig,
    kit: Kit,
    /// Wakes who does the work.
    bell: Bell,
    authority: Option<Authority>,
    /// The files of certificates by path.
    certificates: Vec<(String, Asset)>,
    certificate_step: Step<Found>,
    /// None where nothing is signed.
    key_file: Option<Arc<Mutex<KeyFile>>>,
    key: Option<Arc<dyn SigningKey>>,
    key_step: Step<Arc<dyn SigningKey>>,
}

impl Opener {
    /// One that has opened nothing yet; `bell` wakes who does the work.
    #[must_use]
    pub fn new(config: AuthorityConfig, kit: Kit, bell: Bell) -> Self {
        let key_file = match &config.work {
            config::Work::Sign { key, passphrase, .. } => Some(KeyFile::new(key, passphrase)),
            config::Work::Distribute { .. } => None,
        };
        let now = kit.clock.now();
        let certificates = std::iter::once(&config.certificate).chain(&config.chain);
        Self {
            certificate_step: Step::new(certificates.map(PathBuf::as_path), now),
            key_step: Step::new(key_file.iter().flat_map(KeyFile::files), now),
            config,
            kit,
            bell,
            authority: None,
            certificates: Vec::new(),
            key_file: key_file.map(|file| Arc::new(Mutex::new(file))),
            key: None,
        }
    }

    /// Tries once to open what all of them need, side by side. What hangs is left behind.
    pub fn open_all(openers: &mut [Self]) {
        let party = Party::default();
        for opener in openers.iter_mut() {
            opener.begin_certificates(&party);
        }
        party.wait(|| openers.iter().all(|opener| opener.certificate_step.is_idle()));
        for opener in openers.iter_mut() {
            opener.settle_certificates();
            opener.begin_key(&party);
        }
        party.wait(|| openers.iter().all(|opener| opener.key_step.is_idle()));
        openers.iter_mut().for_each(Self::settle_key);
    }

    /// Why something is not open whose alarm is none that `may_be`.
    pub fn fault(&mut self, may_be: &dyn Fn(&str) -> bool) -> Option<ServiceError> {
        let faults = [&mut self.certificate_step.fault, &mut self.key_step.fault];
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
        self.certificate_step.fault.as_ref().map(ToString::to_string)
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
                let beyond = lists.iter().find_map(|list| list.schedule.beyond_norm());
                if let Some(what) = beyond.filter(|_| !authority.is_root()) {
                    let name = &self.config.name;
                    tracing::warn!(authority = name, what, "CRLs beyond the S/MIME BR, section 4.9.7");
                }
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
        let before = self.authority.as_ref().map(|authority| authority.der.clone());
        let party = Party::default();
        if self.certificate_step.fault.is_some() {
            if self.begin_certificates(&party) {
                party.wait(|| self.certificate_step.is_idle());
            }
            self.settle_certificates();
            if self.certificate_step.fault.is_none() {
                self.certificate_step.fault = self.write().err();
            }
        }
        if self.begin_key(&party) {
            party.wait(|| self.key_step.is_idle());
        }
        self.settle_key();
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
            ("the certificate cannot be used; what was published stays", &self.certificate_step.fault),
            ("the key cannot be opened, so nothing is signed", &self.key_step.fault),
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

    /// Whether nothing is left to open.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.certificate_step.fault.is_none() && self.key_step.fault.is_none()
    }

    fn begin_certificates(&mut self, party: &Party) -> bool {
        let (config, directory) = (self.config.clone(), self.kit.shelf.directory().to_owned());
        let is_new = self.authority.is_none();
        let work = move || match certificates::load(&config) {
            Ok(found) => Outcome { found: Some(found), fault: None },
            Err(error) => {
                let known = is_new.then(|| certificates::published(&config, &directory)).flatten();
                Outcome { found: known, fault: Some(error) }
            }
        };
        let now = self.kit.clock.now();
        self.certificate_step.begin(&self.kit.errands, (&self.bell, party), now, work)
    }

    fn settle_certificates(&mut self) {
        let mut found = self.certificate_step.settle(self.kit.clock.now());
        if found.is_none() && self.authority.is_none() {
            // While it hangs, what was published before does.
            found = certificates::last(&self.config.name, self.kit.shelf.directory());
        }
        let Some((authority, files)) = found else { return };
        for (path, asset) in &files {
            self.kit.catalogue.put(format!("/{path}"), asset.clone());
        }
        self.kit.owners.put(&self.config.name, &authority);
        self.certificates = files;
        self.authority = Some(authority);
    }

    fn begin_key(&mut self, party: &Party) -> bool {
        let (Some(file), Some(authority)) = (&self.key_file, &self.authority) else { return false };
        match &self.key {
            Some(key) if key.public_key_der() == authority.spki_der => return false,
            Some(_) => {
                self.key = None;
                self.key_step.renew(OTHER_KEY);
            }
            None => {}
        }
        let (file, authority) = (file.clone(), authority.clone());
        let work = move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.open(&authority).map(|key| -> Arc<dyn SigningKey> { Arc::new(key) }).into()
        };
        let now = self.kit.clock.now();
        self.key_step.begin(&self.kit.errands, (&self.bell, party), now, work)
    }

    fn settle_key(&mut self) {
        let Some(key) = self.key_step.settle(self.kit.clock.now()) else { return };
        match &self.authority {
            Some(authority) if key.public_key_der() == authority.spki_der => self.key = Some(key),
            // The certificate is another since that began.
            _ => self.key_step.renew(OTHER_KEY),
        }
    }
}
