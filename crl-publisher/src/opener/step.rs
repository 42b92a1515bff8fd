//! One of the things that are opened: tried on a thread of its own, and again until it works.

use std::path::{Path, PathBuf};

use ca_domain::Timestamp;
use ca_service::watch::Fingerprint;
use ca_service::{Bell, Errands, ServiceError};

use crate::schedule::pause;
use crate::trial::{Party, Trial};

/// No pause between two attempts is longer.
const LONGEST_PAUSE: u64 = 60;

/// What came of an attempt.
pub(super) struct Outcome<T> {
    /// What was opened, or does for the time being.
    pub(super) found: Option<T>,
    /// Why it is not what it should be.
    pub(super) fault: Option<ServiceError>,
}

impl<T> From<Result<T, ServiceError>> for Outcome<T> {
    fn from(result: Result<T, ServiceError>) -> Self {
        match result {
            Ok(found) => Self { found: Some(found), fault: None },
            Err(error) => Self { found: None, fault: Some(error) },
        }
    }
}

type Seen = Vec<Option<Fingerprint>>;
/// None if no file is another and the pause is not over.
type Look<T> = Option<(Seen, Outcome<T>)>;

/// Something to open, and how far that is.
pub(super) struct Step<T> {
    files: Vec<PathBuf>,
    /// Under way.
    trial: Option<Trial<Look<T>>>,
    /// Why it is not open, since the last attempt.
    pub(super) fault: Option<ServiceError>,
    /// The files at that.
    seen: Seen,
    failures: u32,
    retry_at: Timestamp,
}

impl<T: Send + 'static> Step<T> {
    /// Something in `files` that is to be opened from `now` on.
    pub(super) fn new<'a>(files: impl IntoIterator<Item = &'a Path>, now: Timestamp) -> Self {
        let files = files.into_iter().map(Path::to_owned).collect();
        Self { files, trial: None, fault: None, seen: Vec::new(), failures: 0, retry_at: now }
    }

    /// Begins to try it with `work`, unless that is under way: whether it begins now.
    pub(super) fn begin(
        &mut self,
        errands: &Errands,
        bells: (&Bell, &Party),
        now: Timestamp,
        work: impl FnOnce() -> Outcome<T> + Send + 'static,
    ) -> bool {
        if self.trial.is_some() {
            return false;
        }
        let paused = now < self.retry_at && self.retry_at.seconds_since(now) <= LONGEST_PAUSE;
        let (files, seen) = (self.files.clone(), self.seen.clone());
        // After what hangs on the same files, and not after what hung on those of another configuration.
        let name = format!("open {files:?}");
        // Nothing here touches a file: the file system may hang.
        let trial = Trial::begin((errands, &name), bells, now, move || {
            let look: Seen = files.iter().map(|file| Fingerprint::of(file)).collect();
            (!paused || look != seen).then(|| (look, work()))
        });
        match trial {
            Ok(trial) => self.trial = Some(trial),
            Err(error) => self.fault = Some(error),
        }
        self.trial.is_some()
    }

    /// Makes the next attempt one without a pause: something else is to be opened now.
    pub(super) fn renew(&mut self, why: &str) {
        self.seen.clear();
        self.fault = Some(self.unready(why.to_owned()));
    }

    fn unready(&self, what: String) -> ServiceError {
        let names: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
        ServiceError::Unready { topic: names.join(", "), what }
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.trial.as_ref().is_none_or(Trial::is_over)
    }

    /// What was found, if an attempt has ended with something; one that has not is a fault.
    pub(super) fn settle(&mut self, now: Timestamp) -> Option<T> {
        let trial = self.trial.take()?;
        if !trial.is_over() {
            self.fault = Some(self.unready(trial.hang()));
            self.seen.clear();
            self.trial = Some(trial);
            return None;
        }
        let Some(result) = trial.take() else {
            self.renew("opening it ended in a panic; report this");
            return None;
        };
        let (look, Outcome { found, fault }) = result?;
        self.seen = look;
        self.failures = if fault.is_none() { 0 } else { self.failures.saturating_add(1) };
        self.retry_at = now.saturating_add(pause(self.failures).as_secs());
        self.fault = fault;
        found
    }
}
