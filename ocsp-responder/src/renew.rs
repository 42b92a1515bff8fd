//! Keeping kept answers fresh, so that nobody who asks waits for a signature.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use ca_domain::Timestamp;
use ca_service::follow::Applied;
use ca_service::{Bell, Clock, ServiceError, Trust, Wake, Worker};
use ca_status::ocsp::CertIdForm;
use ca_status::ocsp::answer::CacheKey;

use crate::answer::Desk;
use crate::cache::PARTS;
use crate::http::Shell;

/// Between two looks, each at some of the answers.
const PAUSE: Duration = Duration::from_millis(200);
/// Answers looked at in one look, roughly.
const LOOK: usize = 2_000;

impl Desk {
    /// Signs anew what is kept of the certificates that changed: the next who
    /// asks finds the new answer. What is not kept is signed when it is asked for.
    /// What takes long to sign waits for [`Desk::renew`]: the next entries of the
    /// ledger must not.
    pub fn replace(&self, changes: &[Applied], now: Timestamp) {
        for change in changes.iter().filter(|applied| !applied.is_new).map(|applied| applied.change) {
            for form in CertIdForm::ALL {
                let key = CacheKey { authority: change.authority, serial: change.serial, form };
                if self.cache.holds(&key) {
                    if self.signers.find(&key.authority).is_some_and(|signer| signer.is_quick()) {
                        self.sign_anew(&key, now);
                    } else {
                        self.pending.lock().unwrap_or_else(PoisonError::into_inner).push(key);
                    }
                }
            }
        }
    }

    /// Signs anew what is due of some answers, from `part` of the memory on, and
    /// says where to go on.
    pub fn renew(&self, part: usize, now: Timestamp) -> usize {
        if self.view.trust(now) != Trust::Current {
            return part;
        }
        let pending = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        for key in pending {
            self.sign_anew(&key, now);
        }
        let mut seen = 0;
        for step in 0..PARTS {
            let part = (part + step) % PARTS;
            if seen > LOOK {
                return part;
            }
            let (due, all) = self.cache.keys(part, |key, signed, hash| {
                let signer = self.signers.find(&key.authority);
                signer.is_some_and(|signer| signed.is_due(&signer, now, hash.to_le_bytes()[0]))
            });
            seen += all;
            let renewed = due.iter().filter(|key| self.sign_anew(key, now)).count();
            if renewed > 0 {
                tracing::debug!(renewed, "answers signed anew");
            }
        }
        part
    }

    fn sign_anew(&self, key: &CacheKey, now: Timestamp) -> bool {
        let found = {
            let responder = self.view.read();
            let status = responder.table().status(&key.authority, &key.serial);
            responder.resolve_key(key).zip(status)
        };
        let Some(((resolved, status), signer)) = found.zip(self.signers.find(&key.authority)) else {
            return false;
        };
        self.sign_now(&resolved, signer, Some((*key, status.state)), now);
        true
    }
}

/// A thread that keeps the answers of the desk in use fresh.
///
/// # Errors
/// The thread cannot be started.
pub fn spawn(current: Arc<ArcSwap<Shell>>, clock: Arc<dyn Clock>) -> Result<Worker, ServiceError> {
    let bell = Bell::new();
    Worker::spawn("renewal", bell.clone(), move || {
        let mut part = 0;
        while bell.wait(PAUSE) != Wake::Stopped {
            part = current.load_full().desk.renew(part, clock.now());
        }
    })
}
