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
    setting: Setting,
}

/// A teller for each way that `config` names. Nothing is sent or written.
///
/// # Errors
/// A file that it names is missing, unsafe or not what it must be.
pub fn open(config: &AlarmsConfig, state_dir: &Path, setting: &Setting) -> Result<Vec<Teller>, ServiceError> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut channels: Vec<(&'static str, Box<dyn Channel>)> = Vec::new();
    if let Some(mail) = &config.mail {
        if let Some(path) = &mail.smtp.password_file {
            ca_files::check_private(path)?;
        }
        channels.push(("mail", Box::new(Mail::new(mail.clone(), &host))));
    }
    if let Some(webhook) = &config.webhook {
        channels.push(("webhook", Box::new(Webhook::new(webhook.clone(), &host)?)));
    }
    let teller = |(name, channel)| Teller::new(name, channel, (state_dir, &host), config.rules, setting);
    Ok(channels.into_iter().map(teller).collect())
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
            setting: setting.clone(),
        };
        let teller = Self {
            name,
            setting: setting.clone(),
            shared: Arc::new(shared),
            started,
            rules,
            bell: Bell::new(),
        };
        teller.shared.judge();
        teller
    }

    /// Looks at the alarms and tells what is due, in this thread: for tests.
    pub fn tick(&self) {
        self.observe();
        self.shared.send(&|| false);
        self.shared.judge();
    }

    fn observe(&self) {
        let own = format!("{TOPIC} {}", self.name);
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
        let mut wait = Duration::ZERO;
        while self.bell.wait(wait) != Wake::Stopped {
            wait = POLL;
            if errand.as_ref().is_some_and(Errand::is_over) {
                let _ = errand.take().map(Errand::join);
            }
            self.observe();
            self.shared.judge();
            let now = self.setting.clock.now();
            if errand.is_none() && !self.shared.queue().due(1, now).is_empty() {
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

    /// Tells what is due, until `stopped` says so. The queue is free meanwhile.
    fn send(&self, stopped: &dyn Fn() -> bool) {
        let mut channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        let (channel, backoff) = &mut *channel;
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
        let topic = format!("{TOPIC} {}", self.name);
        match self.queue().fault() {
            Some(what) => self.setting.alarms.raise(&topic, "alarms cannot be told", what),
            None => self.setting.alarms.clear(&topic),
        }
    }
}
