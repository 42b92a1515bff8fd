//! Taking a new configuration while serving.

use std::fmt;
use std::path::Path;

use prometheus::Gauge;

use crate::{Alarms, Metrics, ServiceError};

const TOPIC: &str = "configuration";

type Take = Box<dyn FnMut(&Path) -> Result<Vec<&'static str>, ServiceError> + Send>;

/// Takes a new configuration, whole or not at all.
pub struct Reload {
    alarms: Alarms,
    taken: Gauge,
    take: Take,
}

impl Reload {
    /// Calls `take` with the configuration file for each new configuration.
    ///
    /// It changes nothing if it fails. It returns the settings that are new in
    /// the file, and that only a restart can change.
    ///
    /// # Errors
    /// [`ServiceError::Metrics`] is a mistake in a name.
    pub fn new(
        alarms: &Alarms,
        metrics: &Metrics,
        take: impl FnMut(&Path) -> Result<Vec<&'static str>, ServiceError> + Send + 'static,
    ) -> Result<Self, ServiceError> {
        let help = "Whether the last configuration that was read was taken (1) or refused (0).";
        let taken = metrics.gauge("chancery_config_last_reload_successful", help)?;
        taken.set(1.0);
        Ok(Self { alarms: alarms.clone(), taken, take: Box::new(take) })
    }

    /// Takes the configuration in the file at `path`, or says in an alarm why not.
    pub fn run(&mut self, path: &Path) {
        match (self.take)(path) {
            Ok(waiting) if waiting.is_empty() => {
                self.alarms.clear(TOPIC);
                self.taken.set(1.0);
                tracing::info!("the new configuration is in use");
            }
            Ok(waiting) => {
                self.taken.set(1.0);
                let what = format!("the old values stay for {}; all else is in use", waiting.join(", "));
                self.alarms.raise(TOPIC, "new settings wait for a restart", what);
            }
            Err(error) => {
                self.taken.set(0.0);
                self.alarms.raise(TOPIC, "the new configuration was refused, the old one stays", error);
            }
        }
    }
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").finish_non_exhaustive()
    }
}
