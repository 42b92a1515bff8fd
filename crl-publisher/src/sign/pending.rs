//! The changes of status that no CRL shows yet.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ca_domain::Timestamp;
use ca_status::Change;
use ca_status::crl::ChangesSince;

/// What changed since the last CRLs of a list. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Pending(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
pub(super) struct Inner {
    /// When the first change was seen that no CRL shows, full or delta.
    pub(super) since: Option<Timestamp>,
    /// All changes since the full CRL, for a list that has a delta CRL.
    pub(super) changes: Option<ChangesSince>,
}

impl Pending {
    /// Keeps changes for a delta CRL, or not.
    #[must_use]
    pub fn new(has_delta: bool) -> Self {
        let changes = has_delta.then(ChangesSince::default);
        Self(Arc::new(Mutex::new(Inner { since: None, changes })))
    }

    /// Notes a change seen at `now`; an earlier one counts for the time.
    pub fn note(&self, change: &Change, now: Timestamp) {
        let mut inner = self.lock();
        inner.since.get_or_insert(now);
        if let Some(changes) = &mut inner.changes {
            changes.note(change);
        }
    }

    /// Notes that the published CRL is not what it should be.
    pub(super) fn note_difference(&self, now: Timestamp) {
        self.lock().since.get_or_insert(now);
    }

    /// A change that was seen by a clock that ran ahead was seen now.
    pub(super) fn mend(&self, now: Timestamp) {
        let mut inner = self.lock();
        inner.since = inner.since.map(|since| since.min(now));
    }

    pub(super) fn since(&self) -> Option<Timestamp> {
        self.lock().since
    }

    pub(super) fn take_since(&self) -> Option<Timestamp> {
        self.lock().since.take()
    }

    pub(super) fn put_back(&self, since: Option<Timestamp>) {
        if let Some(since) = since {
            self.lock().since = Some(since);
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
