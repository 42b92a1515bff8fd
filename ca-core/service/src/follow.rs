//! Following the ledger into a status table, and saying how far to trust it.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use ca_domain::Timestamp;
use ca_ledger::{DirectorySource, Entry, EntryKind, FollowError, Follower};
use ca_status::ocsp::Responder;
use ca_status::{Change, StatusError, StatusTable};

use crate::{Alarms, Bell, Clock, FileWatch, ServiceError, Span, Wake, Worker};

/// The checkpoint is looked at this often even without file events.
const POLL: Duration = Duration::from_secs(1);
/// Entries applied while readers wait.
const CHUNK: usize = 1024;
/// Clocks differ by less.
const SKEW: Span = Span::minutes(10);
const TOPIC: &str = "ledger";

/// What ledger entries are applied to.
pub trait Sink: Send + Sync + 'static {
    /// Applies the entry at `index`; see [`StatusTable::apply`].
    ///
    /// # Errors
    /// Those of [`StatusTable::apply`].
    fn apply(&mut self, index: u64, entry: &Entry) -> Result<Option<Change>, StatusError>;

    /// Leaves the entry at `index` out; see [`StatusTable::skip`].
    ///
    /// # Errors
    /// Those of [`StatusTable::skip`].
    fn skip(&mut self, index: u64) -> Result<(), StatusError>;
}

impl Sink for StatusTable {
    fn apply(&mut self, index: u64, entry: &Entry) -> Result<Option<Change>, StatusError> {
        Self::apply(self, index, entry)
    }
    fn skip(&mut self, index: u64) -> Result<(), StatusError> {
        Self::skip(self, index)
    }
}

impl Sink for Responder {
    fn apply(&mut self, index: u64, entry: &Entry) -> Result<Option<Change>, StatusError> {
        Self::apply(self, index, entry)
    }
    fn skip(&mut self, index: u64) -> Result<(), StatusError> {
        Self::skip(self, index)
    }
}

/// Whether what is known of the ledger may be relied upon.
#[derive(Clone, Debug, Eq, PartialEq)]
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
    standing: Mutex<Standing>,
    /// Both in seconds; a new configuration changes them.
    max_age: AtomicU64,
    max_unreadable: AtomicU64,
}

#[derive(Debug, Default)]
struct Standing {
    /// The time of the last good checkpoint.
    checkpoint: Option<Timestamp>,
    /// Its number of entries.
    entries: u64,
    /// When the ledger was last read without error.
    read_at: Timestamp,
    unreadable: bool,
    refused: bool,
}

impl<T> LedgerView<T> {
    /// A view of nothing yet. It is trusted while the checkpoint is at most
    /// `max_age` old, and while reading it has failed for at most `max_unreadable`.
    #[must_use]
    pub fn new(table: T, max_age: Span, max_unreadable: Span) -> Self {
        let view = Self {
            table: RwLock::new(table),
            standing: Mutex::default(),
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
        change(&mut self.table.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// The age of a checkpoint up to which it is trusted.
    fn max_age(&self) -> Span {
        Span::seconds(self.max_age.load(Ordering::Relaxed))
    }

    /// The table. The follower waits while it is held.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far to trust the table at `now`.
    #[must_use]
    pub fn trust(&self, now: Timestamp) -> Trust {
        let standing = self.standing();
        if standing.refused {
            return Trust::Refused;
        }
        let Some(checkpoint) = standing.checkpoint else { return Trust::NotRead };
        if now.seconds_since(checkpoint) > self.max_age().as_secs() {
            return Trust::Stale;
        }
        let max_unreadable = self.max_unreadable.load(Ordering::Relaxed);
        if standing.unreadable && now.seconds_since(standing.read_at) > max_unreadable {
            return Trust::Unreadable;
        }
        Trust::Current
    }

    /// The number of entries of the last good checkpoint, and its time.
    #[must_use]
    pub fn position(&self) -> Option<(u64, Timestamp)> {
        let standing = self.standing();
        standing.checkpoint.map(|time| (standing.entries, time))
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one ledger entry did to a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Applied {
    /// The certificate and its state from now on.
    pub change: Change,
    /// Whether the certificate was issued just now.
    pub is_new: bool,
}

/// Reads the ledger in a directory into a [`LedgerView`].
#[derive(Debug)]
pub struct LedgerFollower<T> {
    follower: Follower<DirectorySource>,
    view: Arc<LedgerView<T>>,
    clock: Arc<dyn Clock>,
    alarms: Alarms,
}

impl std::fmt::Debug for dyn Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

impl<T: Sink> LedgerFollower<T> {
    /// A follower of the ledger in `directory`, signed by `vkey`; nothing is read yet.
    ///
    /// # Errors
    /// `vkey` is no verification key.
    pub fn open(
        directory: &Path,
        vkey: &str,
        view: Arc<LedgerView<T>>,
        clock: Arc<dyn Clock>,
        alarms: Alarms,
    ) -> Result<Self, ServiceError> {
        let follower = Follower::new(DirectorySource::new(directory), vkey)
            .map_err(|error| ServiceError::LedgerKey(error.to_string()))?;
        Ok(Self { follower, view, clock, alarms })
    }

    /// Reads what is new and returns what it changed.
    ///
    /// An unreadable ledger leaves the last good state in use for a while; one
    /// that does not verify ends the trust in it at once. Both raise an alarm.
    pub fn tick(&mut self) -> Vec<Applied> {
        let polled = self.follower.poll();
        let now = self.clock.now();
        let changes = match polled {
            Ok(entries) => {
                let changes = self.apply(&entries);
                let mut standing = self.view.standing();
                standing.checkpoint = self.follower.checkpoint().map(|checkpoint| checkpoint.time);
                standing.entries = self.follower.checkpoint().map_or(0, |checkpoint| checkpoint.size);
                standing.read_at = now;
                (standing.unreadable, standing.refused) = (false, false);
                changes
            }
            Err(error) => {
                self.failed(&error, now);
                return Vec::new();
            }
        };
        self.check_age(now);
        changes
    }

    fn apply(&self, entries: &[(u64, Entry)]) -> Vec<Applied> {
        let mut changes = Vec::new();
        for chunk in entries.chunks(CHUNK) {
            let mut table = self.view.table.write().unwrap_or_else(PoisonError::into_inner);
            for (index, entry) in chunk {
                match table.apply(*index, entry) {
                    Ok(change) => {
                        let is_new =
                            matches!(entry.kind, EntryKind::AuthorityCreated | EntryKind::CertificateIssued);
                        changes.extend(change.map(|change| Applied { change, is_new }));
                    }
                    Err(error) => {
                        // Signed by the ledger's key, and still nonsense: a bug of the
                        // writer. Later revocations must be seen all the same.
                        let topic = format!("ledger entry {index}");
                        self.alarms.raise(&topic, "an entry makes no sense and was left out", error);
                        if let Err(error) = table.skip(*index) {
                            self.alarms.raise(&topic, "an entry could not be left out", error);
                        }
                    }
                }
            }
        }
        if !entries.is_empty() {
            tracing::info!(entries = entries.len(), changes = changes.len(), "read the ledger");
        }
        changes
    }

    fn failed(&self, error: &FollowError, now: Timestamp) {
        let mut standing = self.view.standing();
        if error.is_transient() {
            if !standing.unreadable && standing.checkpoint.is_some() {
                standing.read_at = now;
            }
            standing.unreadable = true;
            drop(standing);
            self.alarms.raise(TOPIC, "the ledger cannot be read", error);
        } else {
            standing.refused = true;
            drop(standing);
            self.alarms.raise(TOPIC, "the ledger is refused and not relied upon", error);
        }
    }

    fn check_age(&self, now: Timestamp) {
        let Some(checkpoint) = self.follower.checkpoint() else { return };
        let time = checkpoint.time;
        let age = now.seconds_since(time);
        if age > self.view.max_age().as_secs() {
            let todo = "run `ca ledger heartbeat` there, and by a timer from now on";
            let what = format!("the checkpoint is of {time}, {} is the limit; {todo}", self.view.max_age());
            self.alarms.raise(TOPIC, "the ledger is silent and no longer relied upon", what);
        } else if time.seconds_since(now) > SKEW.as_secs() {
            let what = format!("the checkpoint is of {time}, it is {now} here; set the clocks");
            self.alarms.raise(TOPIC, "the clock here or at the authority is wrong", what);
        } else {
            self.alarms.clear(TOPIC);
        }
    }

    /// Follows in a thread of its own, and calls `changed` with what each poll changed.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn spawn(
        mut self,
        mut changed: impl FnMut(&[Applied]) + Send + 'static,
    ) -> Result<Worker, ServiceError> {
        let bell = Bell::new();
        Worker::spawn("ledger", bell.clone(), move || {
            let checkpoint = self.follower.source().dir().join("checkpoint");
            let mut watch = FileWatch::new(&[checkpoint], bell.clone());
            loop {
                let changes = self.tick();
                if !changes.is_empty() {
                    changed(&changes);
                }
                if bell.wait(POLL) == Wake::Stopped {
                    return;
                }
                watch.refresh();
            }
        })
    }
}
