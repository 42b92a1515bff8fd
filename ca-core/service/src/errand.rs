//! Work that may hang: on a server that does not answer, or a file system that is gone.
//!
//! It gets a thread of its own, so that whoever asked for it can go on, or end,
//! without it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{Bell, ServiceError};

/// One errand at a time for each name, also across configurations: what hangs is
/// not begun again beside itself. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Errands {
    turns: Arc<Mutex<HashMap<String, Arc<Mutex<()>>>>>,
}

/// An errand under way.
#[derive(Debug)]
pub struct Errand {
    thread: JoinHandle<()>,
    over: Arc<AtomicBool>,
    begun: Instant,
}

impl Errands {
    /// Begins `work` after the last errand of this name has ended. `bell` rings at its end.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn begin(
        &self,
        name: &str,
        bell: Bell,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<Errand, ServiceError> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = turns.entry(name.to_owned()).or_default().clone();
        drop(turns);
        let over = Arc::new(AtomicBool::new(false));
        let end = End { over: over.clone(), bell };
        let work = move || {
            let _end = end;
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            work();
        };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
            .map_err(|source| ServiceError::Os { action: "start a thread", source })?;
        Ok(Errand { thread, over, begun: Instant::now() })
    }
}

/// The end of an errand, also in a panic.
struct End {
    over: Arc<AtomicBool>,
    bell: Bell,
}

impl Drop for End {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        self.bell.ring();
    }
}

impl Errand {
    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// How long it has been under way.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Waits for its end: whether it ended well, not in a panic.
    #[must_use]
    pub fn join(self) -> bool {
        self.thread.join().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::Wake;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn one_that_hangs_holds_up_its_own_name_only() {
        let errands = Errands::default();
        let (release, wait) = mpsc::channel::<()>();
        let bell = Bell::new();
        let hangs = errands.begin("a", Bell::new(), move || wait.recv().unwrap_or_default()).unwrap();
        let (done, order) = mpsc::channel();
        let later = done.clone();
        let next = errands.begin("a", bell.clone(), move || later.send("a").unwrap_or_default()).unwrap();
        let other = errands.begin("b", Bell::new(), move || done.send("b").unwrap_or_default()).unwrap();
        assert!(other.join());
        assert_eq!(order.recv().unwrap(), "b");
        assert!(!hangs.is_over() && !next.is_over());
        release.send(()).unwrap();
        assert_eq!(bell.wait(LONG), Wake::Rung);
        assert_eq!(order.recv().unwrap(), "a");
        assert!(hangs.join() && next.join());
    }

    #[test]
    fn a_panic_is_told_and_blocks_nobody() {
        let errands = Errands::default();
        let bell = Bell::new();
        let bad = errands.begin("a", bell.clone(), || panic!("on purpose")).unwrap();
        assert_eq!(bell.wait(LONG), Wake::Rung);
        assert!(!bad.join());
        assert!(errands.begin("a", bell, || {}).unwrap().join());
    }
}
