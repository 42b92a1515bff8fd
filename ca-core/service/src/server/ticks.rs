//! The clock of one connection, which ticks a few times within a time limit.
//!
//! A timer of the runtime for each request costs a lock that all connections
//! share, twice: more than an answer from memory. Here the connection has one
//! timer of the runtime, for the next tick; limits are counted in ticks, and are
//! looked at whenever the connection is woken, by the tick at the latest.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

/// Ticks within the shortest limit that it is made for.
const FINENESS: u32 = 8;

/// Counts the ticks. Clones are the same clock.
#[derive(Clone, Debug)]
pub(super) struct Ticks {
    count: Arc<AtomicU32>,
    begun: Instant,
    step: Duration,
}

impl Ticks {
    /// A clock for limits of `shortest` and more.
    pub(super) fn new(shortest: Duration) -> Self {
        let step = (shortest / FINENESS).max(Duration::from_millis(1));
        Self { count: Arc::default(), begun: Instant::now(), step }
    }

    /// Between two ticks.
    pub(super) const fn step(&self) -> Duration {
        self.step
    }

    /// One more has passed; how long they are together.
    pub(super) fn tick(&self) -> Duration {
        self.step * (self.count.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Ready after a time, a tick more at most. It wakes nobody: who waits for it
    /// is woken by the ticks.
    pub(super) fn after(&self, time: Duration) -> Pause {
        let ticks = time.as_nanos().div_ceil(self.step.as_nanos());
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX).saturating_add(1);
        let end = self.count.load(Ordering::Relaxed).saturating_add(ticks);
        Pause { count: self.count.clone(), end }
    }
}

/// A limit in ticks.
#[derive(Debug)]
pub(super) struct Pause {
    count: Arc<AtomicU32>,
    end: u32,
}

impl Pause {
    /// Whether it is over.
    pub(super) fn is_over(&self) -> bool {
        self.count.load(Ordering::Relaxed) >= self.end
    }
}

impl Future for Pause {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.is_over() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Sleep for Pause {}

impl Timer for Ticks {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(self.after(duration))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(self.now()))
    }

    fn now(&self) -> Instant {
        self.begun + self.step * self.count.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_lasts_as_long_as_it_says_and_a_tick_more_at_most() {
        let ticks = Ticks::new(Duration::from_secs(8));
        assert_eq!(ticks.step(), Duration::from_secs(1));
        ticks.tick();
        let pause = ticks.after(Duration::from_secs(8));
        let until = ticks.sleep_until(ticks.now() + Duration::from_secs(8));
        drop(until);
        for _ in 0..8 {
            ticks.tick();
            assert!(!pause.is_over(), "the first tick may have come at once");
        }
        assert_eq!(ticks.tick(), Duration::from_secs(10));
        assert!(pause.is_over());
    }
}
