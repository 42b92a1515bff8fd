//! The one place where a daemon reads the time of day.

mod sane;

pub use sane::SaneClock;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use ca_domain::Timestamp;

use crate::Alarms;

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

    /// The jumps of the clock, as far as it can know.
    fn jumps(&self) -> Jumps {
        Jumps::default()
    }
}

/// The jumps of a clock since the daemon started: how often the time of day left the
/// time that passed by more than a minute. A machine that slept jumps, too.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Jumps {
    /// How many there were.
    pub count: u64,
    /// The last.
    pub last: Option<Jump>,
}

/// A jump of a clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Jump {
    /// By how many seconds, forward or back.
    pub by: i64,
    /// How many seconds have passed since it was seen.
    pub ago: u64,
}

/// The topic of alarms about the clock.
pub const TOPIC: &str = "clock";
/// Seconds for which a jump stays an alarm.
const TOLD: u64 = 15 * 60;

/// Raises the alarm `clock` while the clock is wrong, and for a quarter of an hour
/// after each jump; takes it down otherwise.
pub fn check(clock: &dyn Clock, alarms: &Alarms) {
    let summary = "the clock here jumped";
    match (clock.trouble(), clock.jumps().last) {
        (Some(trouble), _) => alarms.raise(TOPIC, summary, trouble),
        (None, Some(Jump { by, ago })) if ago < TOLD => {
            alarms.raise(TOPIC, summary, format_args!("by {by} seconds against the time that passed"));
        }
        _ => alarms.clear(TOPIC),
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
