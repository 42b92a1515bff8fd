//! Counting without a place that all processors write.
//!
//! A counter that two processors count up in turn costs each of them more than
//! the rest of the recording. So each thread counts for itself, and the counts are
//! put together when somebody asks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use prometheus::local::{LocalHistogram, LocalIntCounter};
use prometheus::{Histogram, IntCounter};

/// Counts of requests and their latency, in parts.
#[derive(Debug)]
pub(super) struct Tally {
    parts: Box<[Part]>,
}

/// What some threads counted: one, unless there are more threads than parts. Two parts
/// share no cache line.
#[derive(Debug)]
#[repr(align(128))]
struct Part(Mutex<Counts>);

#[derive(Debug)]
struct Counts {
    requests: Box<[LocalIntCounter]>,
    latency: LocalHistogram,
}

/// Threads that have counted.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
}

impl Tally {
    /// Counts for these counters.
    pub(super) fn new(requests: &[IntCounter], latency: &Histogram) -> Self {
        let part = |_| {
            let requests = requests.iter().map(IntCounter::local).collect();
            Part(Mutex::new(Counts { requests, latency: latency.local() }))
        };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { parts: (0..processors).map(part).collect() }
    }

    /// Counts one request, for the counter at `slot`.
    pub(super) fn add(&self, slot: usize, latency: Duration) {
        let thread = THREAD.with(|thread| *thread);
        let Some(part) = self.parts.get(thread % self.parts.len().max(1)) else { return };
        let counts = part.counts();
        if let Some(counter) = counts.requests.get(slot) {
            counter.inc();
        }
        counts.latency.observe(latency.as_secs_f64());
    }

    /// Puts the counts together in the counters that are shown.
    pub(super) fn flush(&self) {
        for part in &self.parts {
            let counts = part.counts();
            counts.requests.iter().for_each(LocalIntCounter::flush);
            counts.latency.flush();
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Part {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All tallies in use. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Tallies(Arc<Mutex<Vec<Weak<Tally>>>>);

impl Tallies {
    /// Adds one.
    pub(super) fn add(&self, tally: &Arc<Tally>) {
        self.list().push(Arc::downgrade(tally));
    }

    /// Puts all counts together.
    pub(super) fn flush(&self) {
        self.list().retain(|tally| tally.upgrade().inspect(|tally| tally.flush()).is_some());
    }

    fn list(&self) -> MutexGuard<'_, Vec<Weak<Tally>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
