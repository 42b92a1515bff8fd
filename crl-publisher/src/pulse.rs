//! Whether the work for an authority goes on: a thread that hangs, with its source on a dead file
//! server for example, cannot say so itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ca_domain::Timestamp;
use ca_service::{Alarms, Bell, Clock, ServiceError, Span, Wake, Worker};

/// Whatever is done takes less.
const HANGS: Span = Span::minutes(10);
/// Who hangs is looked for this often.
const LOOK: Duration = Duration::from_secs(5);

/// Since when each authority's thread is at work. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<Mutex<BTreeMap<String, Timestamp>>>);

/// Work for an authority, until this is dropped.
#[derive(Debug)]
pub struct Beat {
    pulse: Pulse,
    name: String,
}

impl Pulse {
    /// The work for the authority `name` begins.
    #[must_use]
    pub fn begin(&self, name: &str, now: Timestamp) -> Beat {
        self.lock().insert(name.to_owned(), now);
        Beat { pulse: self.clone(), name: name.to_owned() }
    }

    /// Who hangs at `now`, and since when.
    #[must_use]
    pub fn hanging(&self, now: Timestamp) -> Vec<(String, Timestamp)> {
        let hangs = |since: &Timestamp| now.seconds_since(*since) >= HANGS.as_secs();
        let lock = self.lock();
        lock.iter().filter(|(_, since)| hangs(since)).map(|(name, since)| (name.clone(), *since)).collect()
    }

    /// Starts the thread that says in alarms who hangs.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn watch(&self, alarms: Alarms, clock: Arc<dyn Clock>) -> Result<Worker, ServiceError> {
        let (pulse, bell) = (self.clone(), Bell::new());
        Worker::spawn("pulse", bell.clone(), move || {
            let mut told: BTreeSet<String> = BTreeSet::new();
            while bell.wait(LOOK) != Wake::Stopped {
                let hanging = pulse.hanging(clock.now());
                let mut now_told = BTreeSet::new();
                for (name, since) in hanging {
                    let topic = format!("hang {name}");
                    let what = format!(
                        "nothing comes of it since {since}: see to the file systems that its files are on"
                    );
                    alarms.raise(
                        &topic,
                        "the work for an authority hangs, and its CRLs are not renewed",
                        what,
                    );
                    now_told.insert(topic);
                }
                told.difference(&now_told).for_each(|topic| alarms.clear(topic));
                told = now_told;
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.pulse.lock().remove(&self.name);
    }
}
