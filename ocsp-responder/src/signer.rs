//! The signers of answers: loaded, checked, and replaced without a restart.

mod files;
mod life;
mod own;
mod request;
mod slot;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use ca_domain::{KeyIdentifier, Timestamp};
use ca_service::{Alarms, Authority, Span};
use ca_status::ocsp::ResponseSigner;

use crate::presigned::PresignedKeeper;
use slot::Slot;

pub use life::Life;
pub use own::open_own;

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

    /// Uses `signer` from now on, in place of the one before.
    pub fn replace(&self, signer: ResponseSigner) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::AcqRel);
        current.insert(signer.authority(), Arc::new(signer));
    }
}

/// A delegated signer that is kept up to date.
#[derive(Clone, Debug)]
pub struct Delegate {
    /// Whom it answers for.
    pub authority: Authority,
    /// Its files without their endings.
    pub prefix: PathBuf,
    /// Whether the next key and the request for its certificate are made here.
    pub request_next: bool,
    /// How long before its end there is an alarm; see [`Life::warning`].
    pub warning: Option<Span>,
}

/// Keeps a [`SignerSet`] up to date with the files.
#[derive(Debug)]
pub struct SignerKeeper {
    slots: Vec<Slot>,
    set: SignerSet,
    /// Where there is no signer, but what one has signed.
    presigned: PresignedKeeper,
    alarms: Alarms,
}

impl SignerKeeper {
    /// A keeper of these signers, and of answers that others signed.
    #[must_use]
    pub fn new(signers: Vec<Delegate>, set: SignerSet, presigned: PresignedKeeper, alarms: Alarms) -> Self {
        Self { slots: signers.into_iter().map(Slot::new).collect(), set, presigned, alarms }
    }

    /// The files that it reads.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.slots.iter().flat_map(Slot::watched).chain(self.presigned.files()).collect()
    }

    /// Loads what is new, and writes nothing.
    ///
    /// A pair that does not fit leaves the old one in use: with an alarm at once
    /// if there is none, otherwise when the same files are still bad at the next
    /// call, since two files are not replaced in one step.
    pub fn tick(&mut self, now: Timestamp) {
        for slot in &mut self.slots {
            slot.look(now, &self.set, &self.alarms);
        }
        self.presigned.tick(now);
    }

    /// Puts the files in order: a new pair in use takes the place of the old one,
    /// and the next certificate is requested in time.
    pub fn tend(&mut self, now: Timestamp) {
        for slot in &mut self.slots {
            slot.tend(now, &self.alarms);
        }
    }
}
