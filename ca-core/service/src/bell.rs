//! Waking a thread: by an event, after a time, or to end.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Why a wait ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wake {
    /// Somebody rang; several rings since the last wait count as one.
    Rung,
    /// The daemon ends.
    Stopped,
    /// The time was over.
    TimedOut,
}

/// A bell that one thread waits for and any can ring. Clones are the same bell.
#[derive(Clone, Debug, Default)]
pub struct Bell {
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Default)]
struct State {
    rung: bool,
    stopped: bool,
}

impl Bell {
    /// A bell that nobody has rung.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes the thread that waits, or lets its next wait return at once.
    pub fn ring(&self) {
        self.lock().rung = true;
        self.shared.1.notify_all();
    }

    /// Ends every wait from now on with [`Wake::Stopped`].
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.shared.1.notify_all();
    }

    /// Whether [`Bell::stop`] was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Waits for a ring, at most for `limit`.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> Wake {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        loop {
            if state.stopped {
                return Wake::Stopped;
            }
            if std::mem::take(&mut state.rung) {
                return Wake::Rung;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Wake::TimedOut;
            }
            state = self.shared.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_before_the_wait_is_not_lost() {
        let bell = Bell::new();
        bell.ring();
        bell.ring();
        assert_eq!(bell.wait(Duration::from_secs(60)), Wake::Rung);
        assert_eq!(bell.wait(Duration::ZERO), Wake::TimedOut);
        bell.ring();
        bell.stop();
        assert_eq!(bell.wait(Duration::from_secs(60)), Wake::Stopped);
    }

    #[test]
    fn another_thread_can_ring() {
        let bell = Bell::new();
        let other = bell.clone();
        let thread = std::thread::spawn(move || other.wait(Duration::from_secs(60)));
        bell.ring();
        assert_eq!(thread.join().unwrap(), Wake::Rung);
    }
}
