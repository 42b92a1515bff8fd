//! Who is told of changes of status: the lists of the authorities that are open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ca_domain::{KeyIdentifier, Timestamp};
use ca_service::Bell;
use ca_service::follow::Applied;
use ca_status::StatusTable;
use ca_status::crl::CrlScope;

use crate::sign::{CrlSigner, Pending};

/// The lists, by the key of their authority. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Interest(Arc<Mutex<HashMap<KeyIdentifier, Vec<Listed>>>>);

#[derive(Debug)]
struct Listed {
    /// The NAME of the authority.
    owner: String,
    scope: CrlScope,
    pending: Pending,
    /// Wakes who signs it.
    bell: Bell,
}

impl Interest {
    /// Tells `signers` of changes from now on, and no others that had this owner.
    pub fn set(&self, owner: &str, signers: &[CrlSigner], bell: &Bell) {
        let mut lists = self.lock();
        lists.values_mut().for_each(|lists| lists.retain(|listed| listed.owner != owner));
        for signer in signers {
            lists.entry(signer.authority().key_id).or_default().push(Listed {
                owner: owner.to_owned(),
                scope: signer.plan().scope.clone(),
                pending: signer.pending(),
                bell: bell.clone(),
            });
        }
    }

    /// Tells the lists that show them of the `changes`, seen at `now`.
    pub fn tell(&self, changes: &[Applied], table: &StatusTable, now: Timestamp) {
        let lists = self.lock();
        // A new certificate is on no CRL; all other changes are.
        for change in changes.iter().filter(|applied| !applied.is_new).map(|applied| &applied.change) {
            for listed in lists.get(&change.authority).into_iter().flatten() {
                if table.covers(&change.authority, &listed.scope, &change.serial) {
                    listed.pending.note(change, now);
                    listed.bell.ring();
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KeyIdentifier, Vec<Listed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
