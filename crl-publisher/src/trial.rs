//! Reading files that may be on a dead file system: on a thread of its own, and waited for only
//! for a while.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ca_domain::Timestamp;
use ca_service::{Bell, Errand, Errands, ServiceError, Wake};

/// Nobody waits for longer than this after the last of several trials that ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// Trials that are waited for together. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Party {
    bell: Bell,
}

impl Party {
    /// Waits until all are `over`, or until none has ended for a while: what hangs
    /// does not hold up the rest for long, and what is slow but many is waited for.
    pub fn wait(&self, over: impl Fn() -> bool) {
        self.wait_for(PATIENCE, over);
    }

    /// The same with so much patience.
    pub fn wait_for(&self, patience: Duration, over: impl Fn() -> bool) {
        while !over() && self.bell.wait(patience) == Wake::Rung {}
    }

    /// Who waits looks whether all are over, and has patience again.
    pub fn go_on(&self) {
        self.bell.ring();
    }
}

/// Something that is tried, and what came of it.
#[derive(Debug)]
pub struct Trial<T> {
    errand: Errand,
    found: Arc<Mutex<Option<T>>>,
    since: Timestamp,
}

impl<T: Send + 'static> Trial<T> {
    /// Begins `work` at `now`, after the last that is called so. `bell` rings at its end, and `party` may wait
    /// for it.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn begin(
        (errands, name): (&Errands, &str),
        (bell, party): (&Bell, &Party),
        now: Timestamp,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Self, ServiceError> {
        let found = Arc::new(Mutex::new(None));
        let (result, party) = (found.clone(), party.bell.clone());
        let work = move || {
            let made = work();
            *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
            party.ring();
        };
        let errand = errands.begin(name, bell.clone(), work)?;
        Ok(Self { errand, found, since: now })
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.errand.is_over() || self.found.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// What came of it; none if it has not ended, or ended in a panic.
    #[must_use]
    pub fn take(&self) -> Option<T> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// In words, that it has not ended.
    #[must_use]
    pub fn hang(&self) -> String {
        format!("reading hangs since {}; see to the file system that it is on", self.since)
    }
}

impl<T: Send + 'static> Trial<Result<T, String>> {
    /// What came of it; that it has not ended is a failure, too.
    ///
    /// # Errors
    /// Why it failed, or that it hangs.
    pub fn end(&self) -> Result<T, String> {
        self.take().unwrap_or_else(|| Err(self.hang()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn trial<T: Send + 'static>(
        errands: &Errands,
        party: &Party,
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Trial<T> {
        let now = Timestamp::from_unix(0).unwrap();
        Trial::begin((errands, name), (&Bell::new(), party), now, work).unwrap()
    }

    #[test]
    fn what_hangs_holds_up_nothing_for_long() {
        let (errands, party) = (Errands::default(), Party::default());
        let (release, wait) = mpsc::channel::<u8>();
        let hangs = trial(&errands, &party, "a", move || wait.recv().unwrap_or_default());
        let ends = trial(&errands, &party, "b", || 2);
        party.wait(|| hangs.is_over() && ends.is_over());
        assert_eq!((ends.take(), hangs.take(), hangs.is_over()), (Some(2), None, false));
        assert!(hangs.hang().contains("since 1970"), "{}", hangs.hang());
        release.send(1).unwrap();
        party.wait(|| hangs.is_over());
        assert_eq!(hangs.take(), Some(1));
    }

    #[test]
    fn a_panic_is_an_end_without_a_result() {
        let (errands, party) = (Errands::default(), Party::default());
        let bell = Bell::new();
        let now = Timestamp::from_unix(0).unwrap();
        let work = || -> u8 { panic!("on purpose") };
        let bad = Trial::begin((&errands, "a"), (&bell, &party), now, work).unwrap();
        assert_eq!(bell.wait(Duration::from_secs(60)), Wake::Rung);
        assert!(bad.is_over() && bad.take().is_none());
    }
}
