//! How the targets are: for alarms, metrics and `--check`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ca_domain::Timestamp;

/// A file that a target does not have yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Behind {
    /// Its path below the published directory.
    pub path: String,
    /// Since when the target has not had what is published.
    pub since: Timestamp,
    /// Failures in a row.
    pub failures: u32,
    /// Why it failed last; empty before the first time.
    pub error: String,
    /// Whether somebody has to do something before it can succeed.
    pub refused: bool,
}

/// How a target is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// How many files it has as they are published.
    pub current: usize,
    /// What it does not have.
    pub behind: Vec<Behind>,
    /// When something was last delivered or found there.
    pub last_success: Option<Timestamp>,
    /// When there is something to do again, if nothing changes.
    pub next: Option<Timestamp>,
    /// What is wrong here, not at the target.
    pub trouble: Option<String>,
    /// Which secret or certificate it lacks: nothing is delivered without it.
    pub unready: Option<String>,
}

/// The reports of all targets, and what happened since the start. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Reports {
    shared: Arc<Mutex<BTreeMap<String, Entry>>>,
}

/// What is shown of a target.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// How it is.
    pub report: Report,
    /// Files delivered since the start.
    pub delivered: u64,
    /// Attempts that failed since the start.
    pub failed: u64,
}

impl Reports {
    /// Puts a new report of a target in the place of the last.
    pub fn put(&self, name: &str, report: Report) {
        self.lock().entry(name.to_owned()).or_default().report = report;
    }

    /// Counts an attempt.
    pub fn count(&self, name: &str, delivered: bool) {
        let mut entries = self.lock();
        let entry = entries.entry(name.to_owned()).or_default();
        if delivered {
            entry.delivered += 1;
        } else {
            entry.failed += 1;
        }
    }

    /// The report of a target.
    #[must_use]
    pub fn of(&self, name: &str) -> Report {
        self.lock().get(name).map(|entry| entry.report.clone()).unwrap_or_default()
    }

    /// All of them, by name.
    #[must_use]
    pub fn list(&self) -> Vec<(String, Entry)> {
        self.lock().iter().map(|(name, entry)| (name.clone(), entry.clone())).collect()
    }

    /// Forgets the targets that are not among `names`.
    pub fn keep(&self, names: &[String]) {
        self.lock().retain(|name, _| names.contains(name));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
