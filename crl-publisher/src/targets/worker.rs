//! The thread of a target: decides when its courier goes, and says how it is.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ca_domain::Timestamp;
use ca_service::{Alarms, Bell, Clock, Errand, Errands, FileWatch, ServiceError, Span, Wake, Worker};

use super::courier::scan;
use super::report::{Report, Reports};
use super::{Courier, TargetError};
use crate::trial::{Party, Trial};

/// The published directory is looked at this often even without file events.
const POLL: Duration = Duration::from_secs(5);
/// What is under way has this long to end when the daemon ends.
const FAREWELL: Duration = Duration::from_millis(500);
/// Files that an alarm names.
const NAMED: usize = 5;

/// A target and what its thread needs.
pub struct TargetWorker {
    /// The target's name.
    pub name: String,
    /// Wakes the thread, and ends it.
    pub bell: Bell,
    /// Who goes there.
    pub courier: Arc<Mutex<Courier>>,
    /// The published directory.
    pub directory: PathBuf,
    /// How long it may be behind before there is an alarm.
    pub alarm_after: Span,
    /// How long a round may take before there is an alarm.
    pub hangs_after: Span,
    /// How it is.
    pub reports: Reports,
    /// Where couriers run.
    pub errands: Errands,
    /// Where alarms go.
    pub alarms: Alarms,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

impl TargetWorker {
    /// Delivers what is due, in this thread: for tests.
    pub fn tick(&self) {
        self.courier.lock().unwrap_or_else(PoisonError::into_inner).round(&|| false);
        self.judge();
    }

    /// What the state file says; nothing is asked of the target.
    #[must_use]
    pub fn survey(&self) -> Report {
        self.courier.lock().unwrap_or_else(PoisonError::into_inner).survey()
    }

    /// Begins to read what the target needs of this machine.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn look(&self, party: &Party) -> Result<Trial<Result<(), String>>, ServiceError> {
        self.try_out(party, "files of", Courier::ready)
    }

    /// Begins to look for the place or program that the target is.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn seek(&self, party: &Party) -> Result<Trial<Result<(), String>>, ServiceError> {
        self.try_out(party, "place of", |courier| courier.there())
    }

    fn try_out(
        &self,
        party: &Party,
        what: &str,
        work: impl FnOnce(&mut Courier) -> Result<(), String> + Send + 'static,
    ) -> Result<Trial<Result<(), String>>, ServiceError> {
        let courier = self.courier.clone();
        let name = format!("{what} target {}", self.name);
        Trial::begin((&self.errands, &name), (&self.bell, party), self.clock.now(), move || {
            work(&mut courier.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }

    /// Says in an alarm that the place or program is not there, unless it has another already.
    pub fn tell_missing(&self, what: impl std::fmt::Display) {
        if self.alarms.detail(&self.topic()).is_none() {
            self.raise("a target is not there", what);
        }
    }

    /// Reports how it is, also in an alarm.
    pub fn tell(&self, report: Report) {
        self.reports.put(&self.name, report);
        self.judge();
    }

    /// What its alarm is called.
    #[must_use]
    pub fn topic(&self) -> String {
        topic(&self.name)
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(self) -> Result<Worker, ServiceError> {
        let bell = self.bell.clone();
        Worker::spawn(format!("target {}", self.name), bell.clone(), move || self.run(&bell))
    }

    fn run(&self, bell: &Bell) {
        let directories = ["crl", "ca"].map(|sub| self.directory.join(sub));
        let mut watch = FileWatch::extensions(&directories, &["crl", "crt"], bell.clone());
        let (mut seen, mut errand): (_, Option<Errand>) = (None, None);
        let mut wait = Duration::ZERO;
        while bell.wait(wait) != Wake::Stopped {
            watch.refresh();
            if errand.as_ref().is_some_and(Errand::is_over)
                && let Some(ended) = errand.take()
                && !ended.join()
            {
                self.raise("a target's courier ended in a panic", "report this; it is tried again");
            }
            if let Some(under_way) = &errand {
                wait = POLL;
                if under_way.age() > self.hangs_after.as_duration() {
                    let what =
                        format!("no end after {} s; nothing else waits for it", under_way.age().as_secs());
                    self.raise("a target hangs", what);
                }
                continue;
            }
            self.judge();
            let found = scan(&self.directory).map_err(|error: TargetError| error.to_string());
            let next = self.reports.of(&self.name).next;
            let now = self.clock.now();
            if seen.as_ref() != Some(&found) || next.is_some_and(|next| next <= now) {
                seen = Some(found);
                errand = self.begin(bell);
                wait = POLL;
            } else {
                let left = next.map_or(POLL, |next| Duration::from_secs(next.seconds_since(now).max(1)));
                wait = POLL.min(left);
            }
        }
        // What can be stopped ends at once; nobody waits for the rest.
        let deadline = Instant::now() + FAREWELL;
        while errand.as_ref().is_some_and(|errand| !errand.is_over()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn begin(&self, bell: &Bell) -> Option<Errand> {
        let (courier, stop) = (self.courier.clone(), bell.clone());
        let work = move || {
            courier.lock().unwrap_or_else(PoisonError::into_inner).round(&|| stop.is_stopped());
        };
        let begun = self.errands.begin(&format!("to {}", self.name), bell.clone(), work);
        begun.inspect_err(|error| self.raise("a target cannot be served", error)).ok()
    }

    fn raise(&self, summary: &'static str, what: impl std::fmt::Display) {
        self.alarms.raise(&topic(&self.name), summary, what);
    }

    /// Says in an alarm how the target was at the last look.
    pub fn judge(&self) {
        match fault(&self.reports.of(&self.name), self.alarm_after, self.clock.now()) {
            Some((summary, what)) => self.raise(summary, what),
            None => self.alarms.clear(&topic(&self.name)),
        }
    }
}

fn topic(name: &str) -> String {
    format!("target {name}")
}

/// What is wrong with a target, for everybody and in detail.
fn fault(report: &Report, alarm_after: Span, now: Timestamp) -> Option<(&'static str, String)> {
    if let Some(what) = &report.unready {
        return Some(("a target lacks a secret or certificate, so nothing gets there", what.clone()));
    }
    let late = |since: Timestamp| since.saturating_add(alarm_after.as_secs()) <= now;
    let overdue: Vec<_> = report.behind.iter().filter(|file| file.refused || late(file.since)).collect();
    let summary = if overdue.iter().any(|file| file.refused) {
        "a target does not take a CRL"
    } else if !overdue.is_empty() {
        "a target is behind"
    } else {
        let trouble = report.trouble.clone()?;
        return Some(("a target cannot be served", trouble));
    };
    let mut what = String::new();
    for file in overdue.iter().take(NAMED) {
        let error = if file.error.is_empty() { "not tried yet" } else { &file.error };
        // Writing to a string does not fail.
        let _ = write!(what, "{} since {}: {error}; ", file.path, file.since);
    }
    if overdue.len() > NAMED {
        let _ = write!(what, "and {} more; ", overdue.len() - NAMED);
    }
    what.push_str("it is tried again by itself");
    Some((summary, what))
}
