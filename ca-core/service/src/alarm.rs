//! What is wrong right now: logged loudly, and shown to whoever watches health.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::Bell;

/// A lasting alarm is logged again after this time.
const REPEAT: Duration = Duration::from_secs(600);

/// The alarms of a daemon, one per topic. Clones are the same board.
#[derive(Clone, Debug, Default)]
pub struct Alarms {
    raised: Arc<Mutex<BTreeMap<String, Raised>>>,
    listeners: Arc<Mutex<Vec<Bell>>>,
    is_trial: bool,
}

/// An alarm that is raised.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alarm {
    /// What it is about.
    pub topic: String,
    /// What is wrong, for everybody.
    pub summary: &'static str,
    /// What exactly is wrong, for administrators.
    pub detail: String,
}

#[derive(Debug)]
struct Raised {
    summary: &'static str,
    detail: String,
    logged: Instant,
}

impl Alarms {
    /// A board without alarms.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A board that logs nothing: to see what would be wrong.
    #[must_use]
    pub fn trial() -> Self {
        Self { is_trial: true, ..Self::default() }
    }

    /// Raises the alarm of `topic`, or keeps it up.
    ///
    /// The summary is shown to anyone over HTTP, so it names no path; the detail
    /// goes to the log, when it is new and every ten minutes after.
    pub fn raise(&self, topic: &str, summary: &'static str, detail: impl Display) {
        let detail = detail.to_string();
        let mut raised = self.lock();
        let now = Instant::now();
        let known = raised.get(topic).is_some_and(|old| old.summary == summary && old.detail == detail);
        if !known || raised.get(topic).is_some_and(|old| now.duration_since(old.logged) >= REPEAT) {
            if !self.is_trial {
                tracing::error!(topic, "ALARM: {summary}: {detail}");
            }
            raised.insert(topic.to_owned(), Raised { summary, detail, logged: now });
            drop(raised);
            if !known {
                self.ring();
            }
        }
    }

    /// Takes the alarm of `topic` down, if there is one.
    pub fn clear(&self, topic: &str) {
        let old = self.lock().remove(topic);
        if let Some(old) = old.filter(|_| !self.is_trial) {
            tracing::info!(topic, "no longer: {}", old.summary);
            self.ring();
        }
    }

    /// Rings `bell` when an alarm is raised, changes or is taken down, until it is stopped.
    pub fn ring_on_change(&self, bell: Bell) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(bell);
    }

    fn ring(&self) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|bell| !bell.is_stopped());
        listeners.iter().for_each(Bell::ring);
    }

    /// All alarms, with what exactly is wrong.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Alarm> {
        let alarm = |(topic, raised): (&String, &Raised)| Alarm {
            topic: topic.clone(),
            summary: raised.summary,
            detail: raised.detail.clone(),
        };
        self.lock().iter().map(alarm).collect()
    }

    /// Takes down the alarms of all topics that begin with `prefix`.
    pub fn clear_all(&self, prefix: &str) {
        for (topic, _) in self.list() {
            if topic.starts_with(prefix) {
                self.clear(&topic);
            }
        }
    }

    /// What exactly is wrong with `topic`; for logs and errors, not for the public.
    #[must_use]
    pub fn detail(&self, topic: &str) -> Option<String> {
        self.lock().get(topic).map(|raised| raised.detail.clone())
    }

    /// The topics and summaries of all alarms.
    #[must_use]
    pub fn list(&self) -> Vec<(String, &'static str)> {
        self.lock().iter().map(|(topic, raised)| (topic.clone(), raised.summary)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Raised>> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `/healthz`: 200 without alarms, otherwise 503 and one line each.
    /// `/readyz`: 200 when `ready` says that clients are served, otherwise 503.
    pub fn routes<S: Clone + Send + Sync + 'static>(
        &self,
        ready: impl Fn() -> bool + Clone + Send + Sync + 'static,
    ) -> Router<S> {
        let board = self.clone();
        Router::new().route("/healthz", get(async move || health(&board.list()))).route(
            "/readyz",
            get(async move || if ready() { plain(StatusCode::OK, "ready\n") } else { not_ready() }),
        )
    }
}

fn health(alarms: &[(String, &'static str)]) -> Response {
    if alarms.is_empty() {
        return plain(StatusCode::OK, "ok\n");
    }
    let lines: String = alarms.iter().map(|(topic, summary)| format!("{topic}: {summary}\n")).collect();
    plain(StatusCode::SERVICE_UNAVAILABLE, lines)
}

fn not_ready() -> Response {
    plain(StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
}

fn plain(status: StatusCode, text: impl Into<String>) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, text.into()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_is_told_of_changes() {
        let alarms = Alarms::new();
        let bell = Bell::new();
        alarms.ring_on_change(bell.clone());
        let rings = || bell.wait(Duration::ZERO) == crate::Wake::Rung;
        alarms.raise("ledger", "it is old", "9 days");
        assert!(rings());
        alarms.raise("ledger", "it is old", "9 days");
        assert!(!rings());
        alarms.raise("ledger", "it is old", "10 days");
        assert!(rings());
        assert_eq!(alarms.snapshot()[0].detail, "10 days");
        alarms.clear("ledger");
        assert!(rings());
        alarms.clear("ledger");
        assert!(!rings());
    }

    #[test]
    fn one_alarm_per_topic() {
        let alarms = Alarms::new();
        alarms.raise("ledger", "it is old", "9 days");
        alarms.raise("ledger", "it cannot be read", "9 days");
        alarms.raise("crl issuing", "it expired", "yesterday");
        assert_eq!(
            alarms.list(),
            [("crl issuing".to_owned(), "it expired"), ("ledger".to_owned(), "it cannot be read")]
        );
        assert_eq!(health(&alarms.list()).status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(alarms.detail("ledger").as_deref(), Some("9 days"));
        alarms.raise("signer a", "it expires", "soon");
        alarms.raise("signer b", "it expires", "soon");
        alarms.clear_all("signer ");
        assert_eq!(alarms.list().len(), 2);
        alarms.clear("ledger");
        alarms.clear("crl issuing");
        alarms.clear("never raised");
        assert_eq!(health(&alarms.list()).status(), StatusCode::OK);
    }
}
