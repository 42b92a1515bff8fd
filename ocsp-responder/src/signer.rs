//! The delegated signers: loaded, checked, and replaced without a restart.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use ca_domain::{KeyIdentifier, Timestamp};
use ca_service::watch::Fingerprint;
use ca_service::{Alarms, Authority, Span, authority};
use ca_signing::SoftwareKey;
use ca_status::ocsp::ResponseSigner;

/// An alarm is raised this long before a signer ends, or in the last quarter of
/// its life if that is shorter.
const WARN_BEFORE: Span = Span::days(3);

/// The summary of the alarm of an authority without a signer.
pub const NO_SIGNER: &str = "there is no usable OCSP signer";

/// The signers in use, by authority. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct SignerSet {
    current: Arc<RwLock<HashMap<KeyIdentifier, Arc<ResponseSigner>>>>,
    /// Counted up whenever a signer is replaced.
    generation: Arc<AtomicU64>,
}

impl SignerSet {
    /// The signer of an authority.
    #[must_use]
    pub fn find(&self, authority: &KeyIdentifier) -> Option<Arc<ResponseSigner>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).get(authority).cloned()
    }

    /// The number of times that a signer was replaced: the signers are the same
    /// as long as it is.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn replace(&self, signer: ResponseSigner) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::AcqRel);
        current.insert(signer.authority(), Arc::new(signer));
    }
}

/// Keeps a [`SignerSet`] up to date with the files.
#[derive(Debug)]
pub struct SignerKeeper {
    slots: Vec<Slot>,
    set: SignerSet,
    alarms: Alarms,
}

/// The files of one signer.
#[derive(Debug)]
struct Slot {
    authority: Authority,
    key: PathBuf,
    certificate: PathBuf,
    topic: String,
    /// Of the pair in use.
    loaded: Option<[Option<Fingerprint>; 2]>,
    /// Of a pair that was refused, so that only a pair that stays bad alarms.
    refused: Option<[Option<Fingerprint>; 2]>,
    /// First and last second of the signer's certificate.
    life: Option<(Timestamp, Timestamp)>,
}

impl SignerKeeper {
    /// A keeper of the signers at `prefix.key` and `prefix.crt` of each authority.
    #[must_use]
    pub fn new(signers: Vec<(Authority, PathBuf)>, set: SignerSet, alarms: Alarms) -> Self {
        let slots = signers.into_iter().map(|(authority, prefix)| Slot::new(authority, &prefix)).collect();
        Self { slots, set, alarms }
    }

    /// The files that it reads.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.slots.iter().flat_map(|slot| [slot.key.clone(), slot.certificate.clone()]).collect()
    }

    /// Loads what is new. A pair that does not fit leaves the old one in use:
    /// with an alarm at once if there is none, otherwise when the same files are
    /// still bad at the next call, since two files are not replaced in one step.
    pub fn tick(&mut self, now: Timestamp) {
        for slot in &mut self.slots {
            let files = [Fingerprint::of(&slot.key), Fingerprint::of(&slot.certificate)];
            if slot.loaded != Some(files) {
                match slot.load(now) {
                    Ok(signer) => {
                        tracing::info!(
                            topic = slot.topic,
                            not_after = %signer.not_after(),
                            "signer in use"
                        );
                        slot.loaded = Some(files);
                        slot.refused = None;
                        slot.life = Some((signer.not_before(), signer.not_after()));
                        self.set.replace(signer);
                        self.alarms.clear(&slot.topic);
                    }
                    Err(problem) => {
                        let settled = slot.refused == Some(files);
                        slot.refused = Some(files);
                        if slot.loaded.is_none() {
                            self.alarms.raise(&slot.topic, NO_SIGNER, problem);
                        } else if settled {
                            let what = "the new OCSP signer cannot be used, the old one stays";
                            self.alarms.raise(&slot.topic, what, problem);
                        }
                        continue;
                    }
                }
            }
            slot.check_life(now, &self.alarms);
        }
    }
}

impl Slot {
    fn new(authority: Authority, prefix: &Path) -> Self {
        let with = |extension: &str| {
            let mut name = prefix.as_os_str().to_owned();
            name.push(extension);
            PathBuf::from(name)
        };
        let name = prefix.file_name().unwrap_or(prefix.as_os_str()).to_string_lossy();
        Self {
            topic: format!("signer {name}"),
            authority,
            key: with(".key"),
            certificate: with(".crt"),
            loaded: None,
            refused: None,
            life: None,
        }
    }

    fn load(&self, now: Timestamp) -> Result<ResponseSigner, String> {
        let key = SoftwareKey::load(&self.key, None).map_err(|error| error.to_string())?;
        let certificates =
            authority::load_certificates(&self.certificate).map_err(|error| error.to_string())?;
        let path = self.certificate.display();
        let certificate = certificates.first().ok_or_else(|| format!("{path} holds no certificate"))?;
        let signer = ResponseSigner::new(Arc::new(key), certificate, &self.authority.certificate)
            .map_err(|error| format!("{path}: {error}; issue one with `ca ocsp-signer issue`"))?;
        if signer.delegate().is_none() {
            return Err(format!(
                "{path} is the authority's own certificate, whose key must not be here; \
                 issue a delegate with `ca ocsp-signer issue`"
            ));
        }
        signer.next_update(now, 0).map_err(|error| format!("{path}: {error}"))?;
        Ok(signer)
    }

    fn check_life(&self, now: Timestamp, alarms: &Alarms) {
        let Some((from, to)) = self.life else { return };
        let left = to.seconds_since(now);
        if left == 0 {
            alarms.raise(&self.topic, "the OCSP signer has expired", format!("it ended on {to}"));
        } else if left < WARN_BEFORE.as_secs().min(to.seconds_since(from) / 4) {
            let todo = format!("it ends on {to}; issue the next with `ca ocsp-signer issue`");
            alarms.raise(&self.topic, "the OCSP signer expires soon", todo);
        } else {
            alarms.clear(&self.topic);
        }
    }
}
