//! What is measured of telling.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ca_service::metrics::as_float;
use ca_service::{Metrics, ServiceError};

/// What was told since the start, and what waits. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    shared: Arc<Mutex<BTreeMap<&'static str, Counts>>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    told: u64,
    failed: u64,
    waiting: usize,
}

impl Tally {
    /// So many events wait.
    pub fn waiting(&self, channel: &'static str, count: usize) {
        self.lock().entry(channel).or_default().waiting = count;
    }

    /// So many events were told.
    pub fn told(&self, channel: &'static str, count: usize) {
        self.lock().entry(channel).or_default().told += count as u64;
    }

    /// Telling failed.
    pub fn failed(&self, channel: &'static str) {
        self.lock().entry(channel).or_default().failed += 1;
    }

    /// Shows it when somebody asks.
    ///
    /// # Errors
    /// A name is taken: called twice.
    pub fn observe(&self, metrics: &Metrics) -> Result<(), ServiceError> {
        let help = "Changes of alarms that people were told of or could not be.";
        let told = metrics.counters("chancery_alarm_messages_total", help, &["channel", "result"])?;
        let help = "Changes of alarms that people were not told of yet.";
        let waiting = metrics.gauges("chancery_alarm_messages_waiting", help, &["channel"])?;
        let tally = self.clone();
        metrics.on_scrape(move || {
            told.reset();
            waiting.reset();
            for (channel, counts) in &*tally.lock() {
                told.with_label_values(&[*channel, "told"]).inc_by(counts.told);
                told.with_label_values(&[*channel, "failed"]).inc_by(counts.failed);
                waiting.with_label_values(&[*channel]).set(as_float(counts.waiting));
            }
        });
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Counts>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
