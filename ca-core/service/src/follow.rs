//! Following the ledger into a status table, and saying how far to trust it.

mod http;
mod memory;
mod place;
mod sink;
mod view;

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ca_domain::Timestamp;
use ca_ledger::layout::{CHECKPOINT, TileId};
use ca_ledger::{DirectorySource, Entry, EntryKind, FollowError, Follower, LedgerError, Source, SourceError};
use ca_status::Change;

use memory::Memory;

use crate::{Alarms, Bell, Clock, FileWatch, ServiceError, Span, StateDir, Wake, Worker, clock};

pub use http::HttpSource;
pub use place::{LedgerPlace, Remote};
pub use sink::Sink;
pub use view::{LedgerView, Trust};

/// A checkpoint in a directory is looked at this often even without file events.
const POLL: Duration = Duration::from_secs(1);
/// A server that cannot be reached is asked again after this time at most, or the
/// configured one if that is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Clocks differ by less.
const SKEW: Span = Span::minutes(10);
const TOPIC: &str = "ledger";

/// What one ledger entry did to a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Applied {
    /// The certificate and its state from now on.
    pub change: Change,
    /// Whether the certificate was issued just now.
    pub is_new: bool,
}

/// Where a ledger is followed from.
pub struct LedgerSource {
    source: Box<dyn Source + Send>,
    /// A file whose change means that there may be something new.
    watched: Option<PathBuf>,
    poll: Duration,
}

impl LedgerSource {
    /// The ledger in a directory, the one with the file `checkpoint`.
    #[must_use]
    pub fn directory(dir: &Path) -> Self {
        let watched = Some(dir.join(CHECKPOINT));
        Self { source: Box::new(DirectorySource::new(dir)), watched, poll: POLL }
    }

    /// A source elsewhere, which is asked every `poll`, and less often while it fails.
    pub fn remote(source: impl Source + Send + 'static, poll: Duration) -> Self {
        Self { source: Box::new(source), watched: None, poll }
    }
}

/// Reads nothing more once the daemon ends, however much is still to be read.
struct Stoppable {
    source: Box<dyn Source + Send>,
    bell: Bell,
}

impl Stoppable {
    fn check(&self, path: impl FnOnce() -> String) -> Result<(), SourceError> {
        if self.bell.is_stopped() {
            return Err(SourceError::Failed { path: path(), what: "the daemon ends".to_owned() });
        }
        Ok(())
    }
}

impl Source for Stoppable {
    fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
        self.check(|| CHECKPOINT.to_owned())?;
        self.source.checkpoint()
    }

    fn tile(&self, id: TileId) -> Result<Vec<u8>, SourceError> {
        self.check(|| id.path())?;
        self.source.tile(id)
    }
}

/// Reads a ledger into a [`LedgerView`].
pub struct LedgerFollower<T> {
    follower: Follower<Stoppable>,
    watched: Option<PathBuf>,
    poll: Duration,
    /// Polls that failed since the last good one.
    failures: u32,
    memory: Option<Memory>,
    bell: Bell,
    view: Arc<LedgerView<T>>,
    clock: Arc<dyn Clock>,
    alarms: Alarms,
}

impl<T: Sink> LedgerFollower<T> {
    /// A follower of the ledger in `source`, signed by `vkey`, into a view whose table
    /// is empty; nothing is read yet.
    ///
    /// # Errors
    /// `vkey` is no verification key.
    pub fn open(
        source: LedgerSource,
        vkey: &str,
        view: Arc<LedgerView<T>>,
        clock: Arc<dyn Clock>,
        alarms: Alarms,
    ) -> Result<Self, ServiceError> {
        Self::with(source, view, clock, alarms, |source| Follower::new(source, vkey))
    }

    /// A follower that goes on where another one was: `position` is what its
    /// [`LedgerFollower::position`] gave, and the view has the table of that moment. The
    /// view is trusted after the first tick that could read the ledger.
    ///
    /// # Errors
    /// `vkey` is no verification key; the position is none of this ledger; the table is
    /// not the one of this position.
    pub fn resume(
        source: LedgerSource,
        vkey: &str,
        position: &[u8],
        view: Arc<LedgerView<T>>,
        clock: Arc<dyn Clock>,
        alarms: Alarms,
    ) -> Result<Self, ServiceError> {
        let this =
            Self::with(source, view, clock, alarms, |source| Follower::resume(source, vkey, position))?;
        let (table, saved) = (this.view.read().next_index(), this.follower.applied());
        if table == saved {
            return Ok(this);
        }
        let what = format!("it is of {saved} entries, the table beside it of {table}");
        Err(ServiceError::Position(LedgerError::Position(what).to_string()))
    }

    fn with(
        source: LedgerSource,
        view: Arc<LedgerView<T>>,
        clock: Arc<dyn Clock>,
        alarms: Alarms,
        follower: impl FnOnce(Stoppable) -> Result<Follower<Stoppable>, LedgerError>,
    ) -> Result<Self, ServiceError> {
        let bell = Bell::new();
        let LedgerSource { source, watched, poll } = source;
        let follower = follower(Stoppable { source, bell: bell.clone() }).map_err(|error| match error {
            LedgerError::Position(_) => ServiceError::Position(error.to_string()),
            other => ServiceError::LedgerKey(other.to_string()),
        })?;
        Ok(Self { follower, watched, poll, failures: 0, memory: None, bell, view, clock, alarms })
    }

    /// Keeps its position in a file below `dir`, unless that is only read, and refuses from
    /// now on a ledger that is older than the one seen by whoever kept it there before.
    ///
    /// # Errors
    /// The directory cannot be made or is not private; there is a position that is
    /// none of this ledger. A missing file is a new beginning.
    pub fn remember(mut self, dir: StateDir<'_>) -> Result<Self, ServiceError> {
        dir.prepare(&self.alarms)?;
        let memory = Memory::new(dir.path());
        if let Some(position) = memory.read()? {
            let refuse = |error| ServiceError::Position(format!("{}: {error}", memory.path().display()));
            self.follower = self.follower.remember(&position).map_err(refuse)?;
        }
        self.memory = dir.is_kept().then_some(memory);
        Ok(self)
    }

    /// The view that it writes.
    #[must_use]
    pub const fn view(&self) -> &Arc<LedgerView<T>> {
        &self.view
    }

    /// The position that belongs to the table as it is now, for
    /// [`LedgerFollower::resume`]; none while the table is behind a verified checkpoint.
    /// As nobody else writes the table, the two are one state until the next tick.
    #[must_use]
    pub fn position(&self) -> Option<Vec<u8>> {
        let size = self.follower.checkpoint()?.size;
        if self.follower.applied() == size { self.follower.position() } else { None }
    }

    /// Whether the daemon ends.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.bell.is_stopped()
    }

    /// Reads what is new, and calls `changed` with what it changed, a few hundred
    /// entries at a time; readers of the view wait for no more than these.
    ///
    /// An unreadable ledger leaves the last good state in use for a while; one
    /// that does not verify ends the trust in it at once. Both raise an alarm.
    pub fn tick(&mut self, mut changed: impl FnMut(&[Applied])) {
        let Self { follower, view, clock, alarms, .. } = self;
        let mut asked = clock.now();
        view.is_asked(Some(asked));
        let mut changes = Vec::new();
        let (before, mut count) = (follower.applied(), 0);
        let polled = follower.poll(|first, entries| {
            asked = clock.now();
            view.is_asked(Some(asked));
            changes.clear();
            apply(view, alarms, first, entries, &mut changes);
            count += changes.len();
            if !changes.is_empty() {
                changed(&changes);
            }
        });
        let new = follower.applied() - before;
        if new > 0 {
            tracing::info!(entries = new, changes = count, "read the ledger");
        }
        match polled {
            Ok(()) => self.succeeded(),
            Err(_) if self.bell.is_stopped() => {}
            Err(error) => self.failed(&error, asked),
        }
        // Only now: what hung until it failed is trusted in no moment between.
        self.view.is_asked(None);
        clock::check(&*self.clock, &self.alarms);
    }

    fn succeeded(&mut self) {
        self.failures = 0;
        let Some(checkpoint) = self.follower.checkpoint() else { return };
        self.clock.witness(checkpoint.time);
        let now = self.clock.now();
        self.view.is_read(checkpoint, now);
        self.check_age(checkpoint.time, now);
        if let Some(memory) = &mut self.memory {
            memory.keep(&self.follower, false, &self.alarms);
        }
    }

    /// The ledger gave no answer `since` then.
    fn failed(&mut self, error: &FollowError, since: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        if error.is_transient() {
            self.view.is_unreadable(since);
            self.alarms.raise(TOPIC, "the ledger cannot be read", error);
        } else {
            self.view.is_refused();
            self.alarms.raise(TOPIC, "the ledger is refused and not relied upon", error);
        }
    }

    fn check_age(&self, time: Timestamp, now: Timestamp) {
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

    /// How long to wait before the next tick: longer and longer while a server fails,
    /// and not the same for all that lost it in the same moment.
    fn pause(&self) -> Duration {
        if self.failures == 0 || self.watched.is_some() {
            return self.poll;
        }
        let pause = self.poll.saturating_mul(1 << self.failures.min(10)).min(self.poll.max(LONGEST_PAUSE));
        // Chance that nobody needs to be safe from.
        let chance = RandomState::new().hash_one(self.failures) % 512;
        pause.mul_f64(0.5 + chance as f64 / 1024.0)
    }

    /// Follows in a thread of its own. It calls `changed` as [`LedgerFollower::tick`]
    /// does, and `ticked` after each tick and before the end: the moments to save
    /// position and table.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn spawn(
        mut self,
        mut changed: impl FnMut(&[Applied]) + Send + 'static,
        mut ticked: impl FnMut(&Self) + Send + 'static,
    ) -> Result<Worker, ServiceError> {
        let bell = self.bell.clone();
        Worker::spawn("ledger", bell.clone(), move || {
            let mut watch = self.watched.clone().map(|file| FileWatch::new(&[file], bell.clone()));
            loop {
                self.tick(&mut changed);
                ticked(&self);
                if bell.wait(self.pause()) == Wake::Stopped {
                    ticked(&self);
                    if let Some(memory) = &mut self.memory {
                        memory.keep(&self.follower, true, &self.alarms);
                    }
                    return;
                }
                if let Some(watch) = &mut watch {
                    watch.refresh();
                }
            }
        })
    }
}

/// Applies entries, of which the first is at `first`, while readers wait.
fn apply<T: Sink>(
    view: &LedgerView<T>,
    alarms: &Alarms,
    first: u64,
    entries: &[Entry],
    changes: &mut Vec<Applied>,
) {
    let mut table = view.write();
    for (index, entry) in (first..).zip(entries) {
        match table.apply(index, entry) {
            Ok(change) => {
                let is_new = entry.kind == EntryKind::AuthorityCreated || entry.kind.is_issuance();
                changes.extend(change.map(|change| Applied { change, is_new }));
            }
            Err(error) => {
                // Signed by the ledger's key, and still nonsense: a bug of the
                // writer. Later revocations must be seen all the same.
                let topic = format!("ledger entry {index}");
                alarms.raise(&topic, "an entry makes no sense and was left out", error);
                if let Err(error) = table.skip(index) {
                    alarms.raise(&topic, "an entry could not be left out", error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
