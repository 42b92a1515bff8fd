//! The status as it is known, and how far to trust it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ca_domain::Timestamp;
use ca_ledger::Checkpoint;

use crate::{Alarms, Span};

/// Whether what is known of the ledger may be relied upon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trust {
    /// It is verified and fresh.
    Current,
    /// It was never read.
    NotRead,
    /// It was replaced, forked, damaged, or is signed by somebody else.
    Refused,
    /// Its checkpoint is older than allowed: the authority is silent.
    Stale,
    /// It could not be read for longer than allowed.
    Unreadable,
}

/// The status as of the last good checkpoint. The follower writes, others read.
#[derive(Debug)]
pub struct LedgerView<T> {
    table: RwLock<T>,
    /// Counted up whenever the table may change.
    version: AtomicU64,
    standing: Standing,
    /// Both in seconds; a new configuration changes them.
    max_age: AtomicU64,
    max_unreadable: AtomicU64,
}

/// Written by the follower alone, so that each field is right by itself at any
/// moment, and readers need no lock.
#[derive(Debug)]
struct Standing {
    /// The time of the last checkpoint that was read whole, in seconds; [`NEVER`].
    checkpoint: AtomicU64,
    /// Its number of entries.
    entries: AtomicU64,
    /// When the ledger was last read without error or first gave no answer, in seconds.
    read_at: AtomicU64,
    unreadable: AtomicBool,
    /// Since when it is being read without an answer, in seconds; [`NEVER`].
    asking_since: AtomicU64,
    refused: AtomicBool,
}

const NEVER: u64 = u64::MAX;
/// A read that takes longer hangs.
const HANGS: Span = Span::minutes(5);

impl<T> LedgerView<T> {
    /// A view of nothing yet. It is trusted while the checkpoint is at most
    /// `max_age` old, and while reading it has failed, or hung, for at most `max_unreadable`.
    #[must_use]
    pub fn new(table: T, max_age: Span, max_unreadable: Span) -> Self {
        let standing = Standing {
            checkpoint: AtomicU64::new(NEVER),
            entries: AtomicU64::new(0),
            read_at: AtomicU64::new(0),
            unreadable: AtomicBool::new(false),
            asking_since: AtomicU64::new(NEVER),
            refused: AtomicBool::new(false),
        };
        let view = Self {
            table: RwLock::new(table),
            version: AtomicU64::new(0),
            standing,
            max_age: AtomicU64::default(),
            max_unreadable: AtomicU64::default(),
        };
        view.set_limits(max_age, max_unreadable);
        view
    }

    /// Changes how long it is trusted; see [`LedgerView::new`].
    pub fn set_limits(&self, max_age: Span, max_unreadable: Span) {
        self.max_age.store(max_age.as_secs(), Ordering::Relaxed);
        self.max_unreadable.store(max_unreadable.as_secs(), Ordering::Relaxed);
    }

    /// Changes something about the table that no entry says. Readers wait meanwhile.
    pub fn adjust(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.write());
    }

    /// The table. The follower waits while it is held.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of times that the table was changed. What was read from the table
    /// at one version is right as long as the version is the same. It takes no lock;
    /// while the table is held it does not change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// How far to trust the table at `now`. It takes no lock.
    #[must_use]
    pub fn trust(&self, now: Timestamp) -> Trust {
        let Standing { checkpoint, read_at, unreadable, asking_since, refused, .. } = &self.standing;
        if refused.load(Ordering::Acquire) {
            return Trust::Refused;
        }
        let checkpoint = checkpoint.load(Ordering::Acquire);
        if checkpoint == NEVER {
            return Trust::NotRead;
        }
        if now.as_unix().saturating_sub(checkpoint) > self.max_age().as_secs() {
            return Trust::Stale;
        }
        let limit = self.max_unreadable.load(Ordering::Relaxed);
        let too_long =
            |since: &AtomicU64| now.as_unix().saturating_sub(since.load(Ordering::Acquire)) > limit;
        // A read that hangs fails nobody; it is seen from here alone.
        if (unreadable.load(Ordering::Acquire) && too_long(read_at)) || too_long(asking_since) {
            return Trust::Unreadable;
        }
        Trust::Current
    }

    /// Since when reading the ledger hangs, if it does at `now`.
    #[must_use]
    pub fn hanging(&self, now: Timestamp) -> Option<Timestamp> {
        let since = self.standing.asking_since.load(Ordering::Acquire);
        let limit = self.max_unreadable.load(Ordering::Relaxed).min(HANGS.as_secs());
        let hangs = since != NEVER && now.as_unix().saturating_sub(since) > limit;
        if hangs { Timestamp::from_unix(since).ok() } else { None }
    }

    /// Raises the alarm of the ledger if reading it hangs at `now`: the follower, which hangs
    /// with it, cannot. It goes on with that alarm when the read ends.
    pub fn tell_hang(&self, now: Timestamp, alarms: &Alarms) {
        if let Some(since) = self.hanging(now) {
            let what =
                format!("reading it hangs since {since}; see to the file system or server that it is on");
            alarms.raise(super::TOPIC, "the ledger cannot be read", what);
        }
    }

    /// The number of entries of the last checkpoint that was read whole, and its time.
    #[must_use]
    pub fn position(&self) -> Option<(u64, Timestamp)> {
        let time = match self.standing.checkpoint.load(Ordering::Acquire) {
            NEVER => return None,
            seconds => Timestamp::from_unix(seconds).ok()?,
        };
        Some((self.standing.entries.load(Ordering::Acquire), time))
    }

    /// The age of a checkpoint up to which it is trusted.
    pub(super) fn max_age(&self) -> Span {
        Span::seconds(self.max_age.load(Ordering::Relaxed))
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, T> {
        let table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        self.version.fetch_add(1, Ordering::AcqRel);
        table
    }

    /// The table holds all of `checkpoint`.
    pub(super) fn is_read(&self, checkpoint: &Checkpoint, now: Timestamp) {
        self.standing.entries.store(checkpoint.size, Ordering::Release);
        self.standing.checkpoint.store(checkpoint.time.as_unix(), Ordering::Release);
        self.standing.read_at.store(now.as_unix(), Ordering::Release);
        self.standing.unreadable.store(false, Ordering::Release);
        self.standing.refused.store(false, Ordering::Release);
    }

    /// The ledger is being read, and gave no answer since then; or is not being read.
    pub(super) fn is_asked(&self, since: Option<Timestamp>) {
        let since = since.map_or(NEVER, Timestamp::as_unix);
        self.standing.asking_since.store(since, Ordering::Release);
    }

    /// It gave no answer since then.
    pub(super) fn is_unreadable(&self, since: Timestamp) {
        if !self.standing.unreadable.load(Ordering::Acquire) {
            self.standing.read_at.store(since.as_unix(), Ordering::Release);
            self.standing.unreadable.store(true, Ordering::Release);
        }
    }

    pub(super) fn is_refused(&self) {
        self.standing.refused.store(true, Ordering::Release);
    }
}
