//! The thread of one way to tell people of alarms.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ca_domain::Timestamp;
use ca_service::{Alarm, Alarms, Bell, Clock, Errand, Errands, ServiceError, Span, Wake, Worker};

use super::Channel;
use super::config::AlarmsConfig;
use super::mail::Mail;
use super::metrics::Tally;
use super::queue::{Queue, Queues, Rules};
use super::webhook::Webhook;
use crate::backoff::Backoff;
use crate::trial::{Party, Trial};

/// Time passes for alarms that have to last.
const POLL: Duration = Duration::from_secs(5);
/// A daemon knows all its alarms so long after its start.
const SETTLED: u64 = 60;
/// The longest pause after failures.
const RETRY: Span = Span::minutes(5);
/// Alarms about telling alarms begin so; no way tells of its own.
const TOPIC: &str = "alarms";
/// What is under way has this long to end when the daemon ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// What tellers need besides their configuration.
#[derive(Clone)]
pub struct Setting {
    /// The alarms to tell of.
    pub alarms: Alarms,
    /// Where sending runs.
    pub errands: Errands,
    /// What is to be told.
    pub queues: Queues,
    /// What is measured.
    pub tally: Tally,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

/// Tells people of alarms in one way.
pub struct Teller {
    name: &'static str,
    setting: Setting,
    shared: Arc<Shared>,
    started: Timestamp,
    rules: Rules,
    bell: Bell,
}

struct Shared {
    name: &'static str,
    queue: Arc<Mutex<Queue>>,
    channel: Mutex<(Box<dyn Channel>, Backoff)>,
    /// Which secret or certificate the channel lacks.
    unready: Mutex<Option<String>>,
    setting: Setting,
}

/// A teller for each way that `config` names. Nothing is sent or written. A way whose secret or
/// certificate is missing, unsafe or not what it must be has an alarm, which must be one that `may_be`.
///
/// # Errors
/// It is none that may be.
pub fn open(
    config: &AlarmsConfig,
    state_dir: &Path,
    setting: &Setting,
    may_be: &dyn Fn(&str) -> bool,
) -> Result<Vec<Teller>, ServiceError> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut channels: Vec<(&'static str, Box<dyn Channel>)> = Vec::new();
    if let Some(mail) = &config.mail {
        channels.push(("mail", Box::new(Mail::new(mail.clone(), &host))));
    }
    if let Some(webhook) = &config.webhook {
        channels.push(("webhook", Box::new(Webhook::new(webhook.clone(), &host))));
    }
    let teller = |(name, channel)| Teller::new(name, channel, (state_dir, &host), config.rules, setting);
    let tellers: Vec<Teller> = channels.into_iter().map(teller).collect();
    let party = Party::default();
    let looks = tellers.iter().map(|teller| teller.look(&party)).collect::<Result<Vec<_>, _>>()?;
    party.wait(|| looks.iter().all(Trial::is_over));
    for (teller, trial) in tellers.iter().zip(looks) {
        let unready = trial.end().err();
        if let Some(what) = &unready
            && !may_be(&teller.shared.topic())
        {
            return Err(ServiceError::Unready { topic: teller.shared.topic(), what: what.clone() });
        }
        teller.shared.set_unready(unready);
    }
    tellers.iter().for_each(Teller::judge);
    Ok(tellers)
}

impl Teller {
    fn new(
        name: &'static str,
        channel: Box<dyn Channel>,
        (state_dir, host): (&Path, &str),
        rules: Rules,
        setting: &Setting,
    ) -> Self {
        let queue = setting.queues.get(state_dir, name, host);
        // Shown from the start, before there is anything to tell.
        let waiting = queue.lock().unwrap_or_else(PoisonError::into_inner).len();
        setting.tally.waiting(name, waiting);
        let started = setting.clock.now();
        let shared = Shared {
            name,
            queue,
            channel: Mutex::new((channel, Backoff::system(RETRY))),
            unready: Mutex::default(),
            setting: setting.clone(),
        };
        Self { name, setting: setting.clone(), shared: Arc::new(shared), started, rules, bell: Bell::new() }
    }

    /// Begins to read what the channel needs of this machine.
    fn look(&self, party: &Party) -> Result<Trial<Result<(), String>>, ServiceError> {
        let (errands, shared) = (&self.setting.errands, self.shared.clone());
        let name = format!("files of {TOPIC} {}", self.name);
        Trial::begin((errands, &name), (&self.bell, party), self.setting.clock.now(), move || {
            shared.channel.lock().unwrap_or_else(PoisonError::into_inner).0.ready()
        })
    }

    /// Looks at the alarms and tells what is due, in this thread: for tests.
    pub fn tick(&self) {
        self.observe();
        self.shared.send(&|| false);
        self.shared.judge();
    }

    /// Says in an alarm if alarms could not be told when that was tried last.
    pub fn judge(&self) {
        self.shared.judge();
    }

    fn observe(&self) {
        let own = self.shared.topic();
        let alarms: Vec<Alarm> =
            self.setting.alarms.snapshot().into_iter().filter(|alarm| alarm.topic != own).collect();
        let now = self.setting.clock.now();
        let settled = now.seconds_since(self.started) >= SETTLED;
        let mut queue = self.shared.queue();
        if queue.observe(&alarms, self.rules, settled, now) {
            self.shared.save(&mut queue);
        }
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(self) -> Result<Worker, ServiceError> {
        let bell = self.bell.clone();
        Worker::spawn(format!("{TOPIC} {}", self.name), bell, move || self.run())
    }

    fn run(&self) {
        self.setting.alarms.ring_on_change(self.bell.clone());
        self.shared.queue().retry_now();
        let mut errand: Option<Errand> = None;
        let mut looked: Option<Instant> = None;
        let mut wait = Duration::ZERO;
        while self.bell.wait(wait) != Wake::Stopped {
            wait = POLL;
            if errand.as_ref().is_some_and(Errand::is_over) {
                let _ = errand.take().map(Errand::join);
            }
            self.observe();
            self.shared.judge();
            let now = self.setting.clock.now();
            let is_due = if self.shared.unready().is_some() {
                // What it lacks is looked for, also if there is nothing to tell.
                looked.is_none_or(|last| last.elapsed() >= POLL)
            } else {
                !self.shared.queue().due(1, now).is_empty()
            };
            if errand.is_none() && is_due {
                looked = Some(Instant::now());
                let (shared, stop) = (self.shared.clone(), self.bell.clone());
                let work = move || shared.send(&|| stop.is_stopped());
                let begun =
                    self.setting.errands.begin(&format!("{TOPIC} {}", self.name), self.bell.clone(), work);
                errand = begun.inspect_err(|error| tracing::error!(%error, "alarms cannot be told")).ok();
            }
        }
        // The last message is let through, but nobody waits long for it.
        let deadline = Instant::now() + FAREWELL;
        while errand.as_ref().is_some_and(|errand| !errand.is_over()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, queue: &mut Queue) {
        self.setting.tally.waiting(self.name, queue.len());
        if let Err(error) = queue.save() {
            tracing::warn!(%error, channel = self.name, "a restart now would tell alarms twice or not at all");
        }
    }

    fn unready(&self) -> Option<String> {
        self.unready.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_unready(&self, what: Option<String>) {
        *self.unready.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    fn topic(&self) -> String {
        format!("{TOPIC} {}", self.name)
    }

    /// Tells what is due, until `stopped` says so, if it has what it needs for that. The queue is free meanwhile.
    fn send(&self, stopped: &dyn Fn() -> bool) {
        let mut channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        let (channel, backoff) = &mut *channel;
        let lacks = channel.ready().err();
        let is_ready = lacks.is_none();
        self.set_unready(lacks);
        if !is_ready {
            return;
        }
        while !stopped() {
            let now = self.setting.clock.now();
            let due = self.queue().due(channel.batch(), now);
            if due.is_empty() {
                return;
            }
            let result = channel.send(&due);
            let mut queue = self.queue();
            match result {
                Ok(()) => {
                    queue.told(&due);
                    self.setting.tally.told(self.name, due.len());
                }
                Err(error) => {
                    tracing::warn!(error, channel = self.name, "alarms were not told");
                    self.setting.tally.failed(self.name);
                    queue.failed(error, |failures| backoff.pause(failures), now);
                }
            }
            self.save(&mut queue);
        }
    }

    /// That alarms cannot be told is an alarm, too, for the other ways.
    fn judge(&self) {
        let (topic, alarms) = (self.topic(), &self.setting.alarms);
        if let Some(what) = self.unready() {
            alarms.raise(&topic, "alarms cannot be told: a secret or certificate is lacking", what);
            return;
        }
        match self.queue().fault() {
            Some(what) => alarms.raise(&topic, "alarms cannot be told", what),
            None => alarms.clear(&topic),
        }
    }
}
