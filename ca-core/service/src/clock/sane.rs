//! A clock that survives steps of the system's clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ca_domain::Timestamp;

use super::{Clock, Jump, Jumps, SystemClock};

/// Seconds by which the time of day may leave the time that has passed: what clocks are
/// set by in passing.
const STEP: i64 = 5 * 60;
/// Seconds by which it may leave it without a word.
const JUMP: i64 = 60;
/// Seconds by which the clocks of authority and daemon may differ.
const SKEW: u64 = 10 * 60;
/// Seconds for which a step forward is remembered: it may be taken back.
const DOUBT: i64 = 60 * 60;

/// The time of day, held against the time that has passed.
///
/// A small step is followed. A large one is reported by [`Clock::trouble`]:
///
/// - Back: it is not followed. Time goes on as it did, so that nothing old becomes
///   fresh and nothing is signed in the past; until the clock is right again, or the
///   daemon is restarted.
/// - Forward: it is followed, since a machine that slept has it too. A ledger that
///   is too old by the new time is not relied upon, so a clock that is years ahead
///   signs nothing. If the step is taken back within an hour, that is followed, too.
///
/// It is never more than ten minutes earlier than a time that was witnessed.
pub struct SaneClock {
    wall: Box<dyn Clock>,
    /// Seconds that have passed since some moment; they never step.
    passed: Box<dyn Fn() -> i64 + Send + Sync>,
    /// The time of day less the seconds passed, as it is believed.
    offset: AtomicI64,
    doubt: Mutex<Doubt>,
    /// The time of day less the seconds passed, as it was seen last.
    seen: AtomicI64,
    jumped: Mutex<Jumped>,
}

#[derive(Clone, Copy, Default)]
struct Jumped {
    count: u64,
    /// By how many seconds the last was, and the seconds passed at it.
    last: Option<(i64, i64)>,
}

#[derive(Default)]
struct Doubt {
    /// The offset before a step forward, and the seconds passed at it.
    before: Option<(i64, i64)>,
    trouble: Option<String>,
}

impl SaneClock {
    /// The clock of the system, held against its monotonic clock.
    #[must_use]
    pub fn system() -> Self {
        let start = Instant::now();
        let passed = move || i64::try_from(start.elapsed().as_secs()).unwrap_or(i64::MAX);
        Self::new(SystemClock, passed)
    }

    /// The clock `wall`, held against the seconds that `passed` counts.
    pub fn new(wall: impl Clock, passed: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        let offset = seconds(wall.now()) - passed();
        Self {
            wall: Box::new(wall),
            passed: Box::new(passed),
            offset: AtomicI64::new(offset),
            doubt: Mutex::default(),
            seen: AtomicI64::new(offset),
            jumped: Mutex::default(),
        }
    }

    /// Counts a jump, whether it is followed or not.
    fn note(&self, wall: i64, passed: i64) {
        let seen = self.seen.load(Ordering::Acquire);
        let by = wall - passed - seen;
        if by.abs() <= 1 {
            return;
        }
        // One thread counts it.
        let first =
            self.seen.compare_exchange(seen, wall - passed, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if first && by.abs() > JUMP {
            let mut jumped = self.jumped.lock().unwrap_or_else(PoisonError::into_inner);
            *jumped = Jumped { count: jumped.count + 1, last: Some((by, passed)) };
        }
    }

    fn doubt(&self) -> MutexGuard<'_, Doubt> {
        self.doubt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of day has left the time that has passed.
    fn stepped(&self, wall: i64, passed: i64) -> i64 {
        let mut doubt = self.doubt();
        let expected = passed + self.offset.load(Ordering::Acquire);
        if wall > expected {
            doubt.before.get_or_insert((expected - passed, passed));
            doubt.trouble = Some(format!(
                "it went forward by {} seconds beyond the time that passed; it is followed",
                wall - expected
            ));
        } else if doubt.before.is_some_and(|(offset, _)| (wall - passed - offset).abs() <= STEP) {
            *doubt = Doubt::default();
        } else {
            let trouble = "went back against the time that passed and is not followed; set it right, or \
                restart the daemon if it is right now";
            doubt.trouble = Some(format!("the clock of {} {trouble}", timestamp(wall)));
            return expected;
        }
        self.offset.store(wall - passed, Ordering::Release);
        wall
    }
}

impl Clock for SaneClock {
    fn now(&self) -> Timestamp {
        let (wall, passed) = (seconds(self.wall.now()), (self.passed)());
        self.note(wall, passed);
        let offset = self.offset.load(Ordering::Acquire);
        let step = wall - passed - offset;
        if step.abs() > STEP {
            return timestamp(self.stepped(wall, passed));
        }
        // Both count whole seconds, and not at the same moment.
        if step.abs() > 1 {
            let _ = self.offset.compare_exchange(offset, offset + step, Ordering::AcqRel, Ordering::Relaxed);
        }
        timestamp(wall)
    }

    fn witness(&self, signed: Timestamp) {
        let (wall, passed) = (seconds(self.wall.now()), (self.passed)());
        let mut doubt = self.doubt();
        self.offset.fetch_max(seconds(signed.saturating_sub(SKEW)) - passed, Ordering::AcqRel);
        let step = wall - passed - self.offset.load(Ordering::Acquire);
        // It agrees again, and a step forward was long enough ago.
        if step.abs() <= STEP && doubt.before.is_none_or(|(_, at)| passed - at > DOUBT) {
            *doubt = Doubt::default();
        }
    }

    fn trouble(&self) -> Option<String> {
        self.doubt().trouble.clone()
    }

    fn jumps(&self) -> Jumps {
        let Jumped { count, last } = *self.jumped.lock().unwrap_or_else(PoisonError::into_inner);
        let ago = |at| u64::try_from((self.passed)() - at).unwrap_or(0);
        Jumps { count, last: last.map(|(by, at)| Jump { by, ago: ago(at) }) }
    }
}

fn seconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_unix()).unwrap_or(i64::MAX)
}

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_unix(u64::try_from(seconds).unwrap_or(0)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Alarms, ManualClock};

    const START: u64 = 1_795_000_000;
    const DAY: u64 = 86_400;

    struct Bench {
        wall: ManualClock,
        passed: Arc<AtomicI64>,
        clock: SaneClock,
    }

    impl Bench {
        fn new() -> Self {
            let wall = ManualClock::at(at(0));
            let passed = Arc::new(AtomicI64::new(7));
            let count = passed.clone();
            let clock = SaneClock::new(wall.clone(), move || count.load(Ordering::SeqCst));
            Self { wall, passed, clock }
        }

        /// Time passes on both clocks.
        fn pass(&self, seconds: u64) {
            self.wall.advance(seconds);
            self.passed.fetch_add(i64::try_from(seconds).unwrap(), Ordering::SeqCst);
        }

        fn set(&self, seconds: u64) {
            self.wall.set(at(seconds));
        }

        fn shows(&self, seconds: u64, trouble: Option<&str>) {
            assert_eq!(self.clock.now(), at(seconds));
            let found = self.clock.trouble().unwrap_or_default();
            assert!(found.contains(trouble.unwrap_or_default()), "{found}");
            assert_eq!(found.is_empty(), trouble.is_none(), "{found}");
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(START + seconds).unwrap()
    }

    #[test]
    fn small_steps_are_followed() {
        let bench = Bench::new();
        bench.shows(0, None);
        bench.pass(10 * DAY);
        for step in [200, 500, 300, 1, 100] {
            bench.set(10 * DAY + step);
            bench.shows(10 * DAY + step, None);
        }
    }

    #[test]
    fn a_day_back_is_not_followed() {
        let bench = Bench::new();
        bench.pass(2 * DAY);
        bench.shows(2 * DAY, None);
        bench.set(DAY);
        bench.shows(2 * DAY, Some("went back"));
        bench.pass(DAY / 2);
        bench.shows(2 * DAY + DAY / 2, Some("went back"));
        bench.set(2 * DAY + DAY / 2 + 20);
        bench.shows(2 * DAY + DAY / 2 + 20, Some("went back"));
        bench.clock.witness(at(2 * DAY));
        bench.shows(2 * DAY + DAY / 2 + 20, None);
    }

    #[test]
    fn jumps_are_counted_and_told_for_a_while() {
        let bench = Bench::new();
        let alarms = Alarms::new();
        let told = || {
            bench.clock.now();
            super::super::check(&bench.clock, &alarms);
            (bench.clock.jumps().count, alarms.list().len())
        };
        bench.pass(DAY);
        bench.set(DAY + 59);
        assert_eq!(told(), (0, 0));
        bench.set(DAY + 200);
        assert_eq!(told(), (1, 1));
        assert_eq!(alarms.detail("clock").unwrap(), "by 141 seconds against the time that passed");
        bench.pass(14 * 60);
        assert_eq!(told(), (1, 1));
        bench.pass(60);
        assert_eq!(told(), (1, 0));
        // One that is not followed counts once, and again when it is taken back.
        bench.set(0);
        assert_eq!((told(), told()), ((2, 1), (2, 1)));
        bench.set(DAY + 200 + 900);
        assert_eq!(told(), (3, 1));
    }

    #[test]
    fn thirty_years_ahead_and_back_again() {
        let bench = Bench::new();
        let years = 30 * 365 * DAY;
        bench.pass(100);
        bench.set(years);
        bench.shows(years, Some("forward"));
        bench.clock.witness(at(0));
        bench.pass(60);
        bench.shows(years + 60, Some("forward"));
        bench.set(160);
        bench.shows(160, None);
        // Once it was ahead for long, the way back asks for a person.
        bench.set(years);
        bench.shows(years, Some("forward"));
        bench.pass(2 * DAY);
        bench.clock.witness(at(0));
        bench.shows(years + 2 * DAY, None);
        bench.set(2 * DAY);
        bench.shows(years + 2 * DAY, Some("went back"));
    }

    #[test]
    fn not_earlier_than_what_was_signed() {
        let bench = Bench::new();
        bench.clock.witness(at(DAY));
        bench.shows(DAY - SKEW, Some("went back"));
        bench.pass(50);
        bench.shows(DAY - SKEW + 50, Some("went back"));
        bench.set(DAY);
        bench.clock.witness(at(DAY));
        assert_eq!(bench.clock.now(), at(DAY));
    }
}
