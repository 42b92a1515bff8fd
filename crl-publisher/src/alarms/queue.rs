//! What is to be told, and what was: `state_dir/alarms/NAME.json`.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ca_domain::Timestamp;
use ca_files::{FileError, Mode, create_private_dir, read_private, write_atomic};
use ca_service::{Alarm, Span};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What waits at most; the oldest is given up for the newest.
const MAX_WAITING: usize = 1_000;
const VERSION: u32 = 1;

/// Why something is told.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Occasion {
    /// An alarm is over.
    Cleared,
    /// An alarm was raised, or is another now.
    Raised,
    /// An alarm still lasts.
    Repeated,
}

/// Something to tell.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Names the event; the same when it is told twice.
    pub id: String,
    /// Why it is told.
    pub event: Occasion,
    /// What the alarm is about.
    pub topic: String,
    /// What is or was wrong.
    pub summary: String,
    /// The same in detail; empty when it is over.
    pub detail: String,
    /// Since when.
    pub since: Timestamp,
    /// When this happened.
    pub at: Timestamp,
}

/// An alarm that people were told of.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Open {
    summary: String,
    since: Timestamp,
    told: Timestamp,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct State {
    version: u32,
    /// Counts events, so that each has another identifier.
    sequence: u64,
    open: BTreeMap<String, Open>,
    waiting: VecDeque<Event>,
    /// Failures in a row.
    failures: u32,
    /// Why it failed last.
    error: String,
}

/// The queues of a daemon, by name: a new configuration goes on with those of the old. Clones are
/// the same.
#[derive(Clone, Debug, Default)]
pub struct Queues {
    shared: Arc<Mutex<HashMap<&'static str, SharedQueue>>>,
}

/// A queue that whoever notes alarms and whoever sends have in common.
pub type SharedQueue = Arc<Mutex<Queue>>;

impl Queues {
    /// The queue `name`, read if it was not before.
    #[must_use]
    pub fn get(&self, state_dir: &Path, name: &'static str, host: &str) -> SharedQueue {
        let mut queues = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let load = || Arc::new(Mutex::new(Queue::load(state_dir, name, host)));
        queues.entry(name).or_insert_with(load).clone()
    }
}

/// When an alarm is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rules {
    /// How long it must last.
    pub after: Span,
    /// How often it is told again; never without it.
    pub repeat: Option<Span>,
}

/// The queue of one way to tell people.
#[derive(Debug)]
pub struct Queue {
    path: PathBuf,
    /// Where this runs, for identifiers.
    host: String,
    state: State,
    /// Alarms that do not last long enough yet.
    young: BTreeMap<String, Timestamp>,
    retry_at: Option<Timestamp>,
}

impl Queue {
    /// Reads the queue `name`; one that is not there or damaged is empty.
    #[must_use]
    pub fn load(state_dir: &Path, name: &str, host: &str) -> Self {
        let path = state_dir.join("alarms").join(format!("{name}.json"));
        let state = match read_private(&path) {
            Ok(bytes) => serde_json::from_slice::<State>(&bytes).map_err(|error| error.to_string()),
            Err(error) if error.is_not_found() => Ok(State::default()),
            Err(error) => Err(error.to_string()),
        };
        let state = state.unwrap_or_else(|what| {
            tracing::warn!(path = %path.display(), what, "a queue of alarms cannot be used; it begins anew");
            State::default()
        });
        Self { path, host: host.to_owned(), state, young: BTreeMap::new(), retry_at: None }
    }

    /// Takes note of the alarms that there are. Those that are gone are over only if `settled`:
    /// a daemon that has just started does not know all of them yet. Whether something is new.
    pub fn observe(&mut self, raised: &[Alarm], rules: Rules, settled: bool, now: Timestamp) -> bool {
        let before = self.state.sequence;
        self.young.retain(|topic, _| raised.iter().any(|alarm| alarm.topic == *topic));
        for alarm in raised {
            let event = |event, since| Event {
                id: String::new(),
                event,
                topic: alarm.topic.clone(),
                summary: alarm.summary.to_owned(),
                detail: alarm.detail.clone(),
                since,
                at: now,
            };
            let event = match self.state.open.get(&alarm.topic) {
                None => {
                    let since = *self.young.entry(alarm.topic.clone()).or_insert(now);
                    if since.saturating_add(rules.after.as_secs()) > now {
                        continue;
                    }
                    event(Occasion::Raised, since)
                }
                Some(open) if open.summary != alarm.summary => event(Occasion::Raised, open.since),
                Some(open)
                    if rules.repeat.is_some_and(|every| {
                        open.told.saturating_add(every.as_secs()) <= now || open.told > now
                    }) =>
                {
                    event(Occasion::Repeated, open.since)
                }
                Some(_) => continue,
            };
            let open = Open { summary: event.summary.clone(), since: event.since, told: now };
            self.state.open.insert(alarm.topic.clone(), open);
            self.push(event);
        }
        let over: Vec<String> = if settled {
            let is_raised = |topic: &String| raised.iter().any(|alarm| alarm.topic == *topic);
            self.state.open.keys().filter(|topic| !is_raised(topic)).cloned().collect()
        } else {
            Vec::new()
        };
        for topic in over {
            if let Some(Open { summary, since, .. }) = self.state.open.remove(&topic) {
                let (id, detail) = (String::new(), String::new());
                self.push(Event { id, event: Occasion::Cleared, topic, summary, detail, since, at: now });
            }
        }
        self.state.sequence != before
    }

    fn push(&mut self, mut event: Event) {
        self.state.sequence += 1;
        let text = format!("{} {} {} {:?}", self.host, self.path.display(), self.state.sequence, event);
        event.id = hex::encode(&Sha256::digest(text)[..16]);
        if self.state.waiting.len() >= MAX_WAITING {
            self.state.waiting.pop_front();
            tracing::warn!("too many alarms wait to be told; the oldest is given up");
        }
        self.state.waiting.push_back(event);
    }

    /// What is to be told next, if it is time.
    #[must_use]
    pub fn due(&self, most: usize, now: Timestamp) -> Vec<Event> {
        if self.retry_at.is_some_and(|at| at > now) {
            return Vec::new();
        }
        self.state.waiting.iter().take(most).cloned().collect()
    }

    /// These were told.
    pub fn told(&mut self, events: &[Event]) {
        self.state.waiting.retain(|waiting| !events.iter().any(|event| event.id == waiting.id));
        self.state.failures = 0;
        self.state.error.clear();
        self.retry_at = None;
    }

    /// They were not; the pause is for this number of failures in a row.
    pub fn failed(&mut self, error: String, pause: impl FnOnce(u32) -> Span, now: Timestamp) {
        self.state.failures = self.state.failures.saturating_add(1);
        self.state.error = error;
        self.retry_at = Some(now.saturating_add(pause(self.state.failures).as_secs()));
    }

    /// Why nothing can be told, if it cannot.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        (self.state.failures > 0).then_some(&self.state.error)
    }

    /// Forgets the pause after a failure: something was changed.
    pub fn retry_now(&mut self) {
        self.retry_at = None;
    }

    /// How many events wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.state.waiting.is_empty()
    }

    /// Writes it durably.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&mut self) -> Result<(), FileError> {
        self.state.version = VERSION;
        let encoded = |error: serde_json::Error| FileError::Io {
            action: "encode",
            path: self.path.clone(),
            source: error.into(),
        };
        let bytes = serde_json::to_vec_pretty(&self.state).map_err(encoded)?;
        if let Some(directory) = self.path.parent() {
            if let Some(above) = directory.parent() {
                create_private_dir(above)?;
            }
            create_private_dir(directory)?;
        }
        write_atomic(&self.path, &bytes, Mode::Private)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(1_800_000_000 + seconds).unwrap()
    }

    fn alarm(topic: &str, summary: &'static str) -> Alarm {
        Alarm { topic: topic.into(), summary, detail: "in detail".into() }
    }

    const RULES: Rules = Rules { after: Span::seconds(10), repeat: Some(Span::hours(1)) };

    fn told(queue: &mut Queue, now: u64) -> Vec<(Occasion, String)> {
        let due = queue.due(100, at(now));
        queue.told(&due);
        due.into_iter().map(|event| (event.event, format!("{}: {}", event.topic, event.summary))).collect()
    }

    #[test]
    fn once_raised_repeated_and_once_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let mut queue = Queue::load(&state, "mail", "h");
        let old = [alarm("crl a", "it is old")];
        queue.observe(&old, RULES, true, at(0));
        queue.observe(&old, RULES, true, at(9));
        assert_eq!(told(&mut queue, 9), []);
        queue.observe(&[], RULES, true, at(9));
        queue.observe(&old, RULES, true, at(10));
        assert_eq!(told(&mut queue, 10), [], "it has to last");
        queue.observe(&old, RULES, true, at(20));
        queue.observe(&old, RULES, true, at(21));
        assert_eq!(told(&mut queue, 21), [(Occasion::Raised, "crl a: it is old".into())]);
        // It gets worse, and lasts.
        let gone = [alarm("crl a", "it has expired")];
        queue.observe(&gone, RULES, true, at(30));
        assert_eq!(told(&mut queue, 30), [(Occasion::Raised, "crl a: it has expired".into())]);
        queue.observe(&gone, RULES, true, at(30 + 3_599));
        assert_eq!(told(&mut queue, 3_629), []);
        queue.observe(&gone, RULES, true, at(30 + 3_600));
        assert_eq!(told(&mut queue, 3_630), [(Occasion::Repeated, "crl a: it has expired".into())]);

        // A restart neither tells it again nor takes it for over before it knows.
        queue.save().unwrap();
        let mut queue = Queue::load(&state, "mail", "h");
        queue.observe(&[], RULES, false, at(3_700));
        queue.observe(&gone, RULES, false, at(3_720));
        assert_eq!(told(&mut queue, 3_720), []);
        queue.observe(&[], RULES, true, at(3_800));
        queue.observe(&[], RULES, true, at(3_801));
        assert_eq!(told(&mut queue, 3_801), [(Occasion::Cleared, "crl a: it has expired".into())]);
    }

    #[test]
    fn what_could_not_be_told_waits_also_across_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let rules = Rules { after: Span::seconds(0), repeat: None };
        let mut queue = Queue::load(&state, "mail", "h");
        queue.observe(&[alarm("a", "x"), alarm("b", "y")], rules, true, at(0));
        queue.observe(&[alarm("b", "y")], rules, true, at(1));
        let before = queue.due(100, at(1));
        assert_eq!(before.len(), 3);
        assert!(before[0].id != before[1].id && before[1].id != before[2].id);
        queue.failed("no server".into(), |failures| Span::seconds(u64::from(failures) * 5), at(1));
        assert_eq!((queue.due(100, at(5)).len(), queue.due(100, at(6)).len()), (0, 3));
        assert_eq!(queue.fault(), Some("no server"));
        queue.save().unwrap();
        let mut queue = Queue::load(&state, "mail", "h");
        assert_eq!(queue.due(100, at(2)), before);
        assert_eq!(queue.due(1, at(2)), before[..1]);
        queue.told(&before[..2]);
        assert_eq!((queue.len(), queue.fault()), (1, None));
        for count in 0..MAX_WAITING as u64 {
            queue.observe(&[], rules, true, at(10 + 2 * count));
            queue.observe(&[alarm("b", "y")], rules, true, at(11 + 2 * count));
        }
        assert_eq!(queue.len(), MAX_WAITING);
    }
}
