//! What a daemon measures, in the text format of Prometheus.
//!
//! A counter is got once and counted up without a lock. What is known elsewhere
//! anyway (alarms, ages) is read when somebody asks. Nothing here is for the
//! public: a daemon shows it only at an address of its own.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ca_domain::Timestamp;
use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry, TextEncoder,
};

use crate::{Alarms, Clock, LedgerView, ServiceError, Trust};

const TRUST: [(Trust, &str); 5] = [
    (Trust::Current, "current"),
    (Trust::NotRead, "not_read"),
    (Trust::Refused, "refused"),
    (Trust::Stale, "stale"),
    (Trust::Unreadable, "unreadable"),
];

type Reader = Box<dyn Fn() + Send>;

/// The measurements of a daemon. Clones are the same.
#[derive(Clone, Default)]
pub struct Metrics {
    registry: Registry,
    readers: Arc<Mutex<Vec<Reader>>>,
}

impl Metrics {
    /// The measurements that every daemon has: what it is, since when it runs,
    /// and its alarms.
    ///
    /// # Errors
    /// [`ServiceError::Metrics`] is a mistake in a name.
    pub fn new(daemon: &str, alarms: &Alarms, started: Timestamp) -> Result<Self, ServiceError> {
        let metrics = Self::default();
        let help = "What runs; the value is 1.";
        let build = metrics.gauges("chancery_build_info", help, &["daemon", "version"])?;
        build.with_label_values(&[daemon, env!("CARGO_PKG_VERSION")]).set(1.0);
        let help = "When the daemon started, in seconds since 1970.";
        metrics.gauge("process_start_time_seconds", help)?.set(seconds(started));
        let count = metrics.gauge("chancery_alarms", "How many alarms there are.")?;
        let help = "An alarm that is raised, by topic; the value is 1.";
        let each = metrics.gauges("chancery_alarm", help, &["topic"])?;
        let board = alarms.clone();
        metrics.on_scrape(move || {
            let raised = board.list();
            count.set(as_float(raised.len()));
            each.reset();
            for (topic, _) in &raised {
                each.with_label_values(&[topic.as_str()]).set(1.0);
            }
        });
        Ok(metrics)
    }

    /// How far the ledger was read, and how far it is trusted, by the view in use.
    ///
    /// # Errors
    /// The names are taken: called twice.
    pub fn observe_ledger<T: Send + Sync + 'static>(
        &self,
        view: impl Fn() -> Arc<LedgerView<T>> + Send + 'static,
        clock: &Arc<dyn Clock>,
    ) -> Result<(), ServiceError> {
        let entries = self.gauge("chancery_ledger_entries", "Ledger entries that were read and verified.")?;
        let help = "The time of the last good checkpoint, in seconds since 1970.";
        let time = self.gauge("chancery_ledger_checkpoint_timestamp_seconds", help)?;
        let help = "How old the last good checkpoint is, by the clock here.";
        let age = self.gauge("chancery_ledger_checkpoint_age_seconds", help)?;
        let help = "Whether the ledger is relied upon: 1 for what is so, 0 for all else.";
        let trust = self.gauges("chancery_ledger_trust", help, &["state"])?;
        let clock = clock.clone();
        self.on_scrape(move || {
            let (view, now) = (view(), clock.now());
            let current = view.trust(now);
            for (state, name) in TRUST {
                trust.with_label_values(&[name]).set(if state == current { 1.0 } else { 0.0 });
            }
            if let Some((size, of)) = view.position() {
                entries.set(as_float(size));
                time.set(seconds(of));
                age.set(as_float(now.seconds_since(of)));
            }
        });
        Ok(())
    }

    /// How often the clock jumped.
    ///
    /// # Errors
    /// The name is taken: called twice.
    pub fn observe_clock(&self, clock: &Arc<dyn Clock>) -> Result<(), ServiceError> {
        let help = "How often the time of day left the time that passed by more than a minute.";
        let jumps = self.counter("chancery_clock_jumps_total", help)?;
        let clock = clock.clone();
        self.on_scrape(move || jumps.inc_by(clock.jumps().count.saturating_sub(jumps.get())));
        Ok(())
    }

    /// Reads values with `reader` before they are shown. One reader runs at a time.
    pub fn on_scrape(&self, reader: impl Fn() + Send + 'static) {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(reader));
    }

    /// A counter.
    ///
    /// # Errors
    /// The name is no name or is taken; so for all others.
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, ServiceError> {
        self.register(IntCounter::new(name, help))
    }

    /// A counter for each combination of labels.
    ///
    /// # Errors
    /// As for [`Metrics::counter`].
    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, ServiceError> {
        self.register(IntCounterVec::new(Opts::new(name, help), labels))
    }

    /// A value that goes up and down.
    ///
    /// # Errors
    /// As for [`Metrics::counter`].
    pub fn gauge(&self, name: &str, help: &str) -> Result<Gauge, ServiceError> {
        self.register(Gauge::new(name, help))
    }

    /// Such a value for each combination of labels.
    ///
    /// # Errors
    /// As for [`Metrics::counter`].
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, ServiceError> {
        self.register(GaugeVec::new(Opts::new(name, help), labels))
    }

    /// Durations, counted in buckets up to the given seconds.
    ///
    /// # Errors
    /// As for [`Metrics::counter`].
    pub fn durations(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, ServiceError> {
        self.register(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())))
    }

    fn register<C: Collector + Clone + 'static>(
        &self,
        collector: prometheus::Result<C>,
    ) -> Result<C, ServiceError> {
        let collector = collector?;
        self.registry.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    /// All of it, as Prometheus reads it.
    ///
    /// # Errors
    /// The text cannot be made; a bug.
    pub fn text(&self) -> Result<String, ServiceError> {
        // Held to the end: what one scrape resets another must not see empty.
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        for read in &*readers {
            read();
        }
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }

    /// `/metrics`.
    pub fn routes(&self) -> Router {
        let metrics = self.clone();
        Router::new().route("/metrics", get(async move || metrics.page()))
    }

    fn page(&self) -> Response {
        let headers = [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT), (header::CACHE_CONTROL, "no-store")];
        match self.text() {
            Ok(text) => (StatusCode::OK, headers, text).into_response(),
            Err(error) => {
                tracing::error!(%error, "metrics cannot be shown");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// A time as Prometheus has it: seconds since 1970.
#[must_use]
pub fn seconds(time: Timestamp) -> f64 {
    as_float(time.as_unix())
}

/// A number as Prometheus has it. Above 2^53 the last digits are lost.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "numbers that people read from a graph")]
pub fn as_float(number: impl TryInto<u64>) -> f64 {
    number.try_into().map_or(f64::NAN, |number| number as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_come_and_go() {
        let alarms = Alarms::new();
        let metrics = Metrics::new("test", &alarms, Timestamp::from_unix(1_800_000_000).unwrap()).unwrap();
        let text = metrics.text().unwrap();
        assert!(text.contains("\nchancery_alarms 0\n") && !text.contains("chancery_alarm{"), "{text}");
        assert!(text.contains("\nprocess_start_time_seconds 1800000000\n"), "{text}");
        assert!(text.contains(&format!("daemon=\"test\",version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION"))));
        alarms.raise("ledger", "it is old", "9 days");
        let text = metrics.text().unwrap();
        assert!(text.contains("\nchancery_alarms 1\n"), "{text}");
        assert!(text.contains("\nchancery_alarm{topic=\"ledger\"} 1\n"), "{text}");
        alarms.clear("ledger");
        assert!(!metrics.text().unwrap().contains("topic=\"ledger\""));
    }

    #[test]
    fn a_name_is_given_once() {
        let metrics = Metrics::default();
        metrics.counter("a_total", "A.").unwrap();
        assert!(matches!(metrics.counter("a_total", "A."), Err(ServiceError::Metrics(_))));
    }
}
