//! The one place where a daemon reads the time of day.

mod sane;

pub use sane::SaneClock;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use ca_domain::Timestamp;

/// Tells the time of day.
pub trait Clock: Send + Sync + 'static {
    /// Now. A system clock outside 1970 to 9999 shows the nearer end.
    fn now(&self) -> Timestamp;

    /// Takes note that somebody who was believed signed something at this time, so
    /// that it is not much earlier now.
    fn witness(&self, signed: Timestamp) {
        let _ = signed;
    }

    /// What is wrong with the clock, as far as it can know.
    fn trouble(&self) -> Option<String> {
        None
    }
}

/// The clock of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now = SystemTime::now();
        Timestamp::try_from(now).unwrap_or(if now < SystemTime::UNIX_EPOCH {
            Timestamp::EPOCH
        } else {
            Timestamp::MAX
        })
    }
}

/// A clock that is set by hand, for tests. Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(AtomicU64::new(now.as_unix())))
    }

    /// Sets the clock, forward or back.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_unix(), Ordering::SeqCst);
    }

    /// Puts the clock forward.
    pub fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }
}
