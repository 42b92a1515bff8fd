//! The CRL publisher: follows the ledger, signs CRLs or takes them from files,
//! and publishes them with the authorities' certificates (RFC 5280, section 5).
//!
//! It can sign CRLs and nothing else: it has no code that issues certificates,
//! and in mode `distribute` not even a key. Each authority has a thread of its
//! own, so that a failing one delays no other.
//!
//! ```text
//! crl/NAME.crl     the CRL, DER             ca/NAME.crt     the certificate, DER
//! crl/NAME.pem     the same, PEM            ca/NAME.p7c     certificate and chain, PKCS#7
//! crl/bundle.pem   all CRLs, PEM            chain/NAME.pem  certificate and chain, PEM
//! ```
//!
//! An authority may have CRLs of parts (`NAME-0-of-16`), by kind (`NAME-users`,
//! `NAME-authorities`) or by reason beside that of everything, and each a delta
//! CRL (`NAME-delta`); see [`lists`].

pub mod age;
pub mod alarms;
pub mod backoff;
pub mod catalogue;
pub mod certificates;
pub mod config;
pub mod distribute;
pub mod file_body;
pub mod http;
pub mod interest;
pub mod key;
pub mod lists;
pub mod metrics;
pub mod opener;
pub mod packed;
pub mod pem;
pub mod published;
pub mod pulse;
pub mod ranges;
pub mod reload;
pub mod schedule;
pub mod shelf;
pub mod sign;
pub mod status;
pub mod targets;
pub mod task;
pub mod tenure;
pub mod trial;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use ca_service::{
    Access, Alarms, Bell, Clock, FileWatch, LedgerFollower, LedgerView, Limits, Metrics, Reload, Running,
    ServiceError, Span, StateDir, Wake, Worker, follow,
};
use ca_status::StatusTable;
use ca_status::crl::CrlScope;

use alarms::metrics::Tally;
use alarms::queue::Queues;
use alarms::teller::{self, Setting, Teller};
use catalogue::Catalogue;
use config::{AuthorityConfig, Config, LedgerConfig, Work};
use http::Shell;
use interest::Interest;
use metrics::Meters;
use opener::{Kit, Opener};
use pulse::Pulse;
use reload::{Live, Reloadable};
use shelf::Shelf;
use status::Board;
use targets::item::Owners;
use targets::pool::{Common, Depot, Pool};
use task::{Shared, Task};
use tenure::Tenure;
use trial::{Party, Trial};

/// A CRL takes time on a slow line.
const CONNECTION: Duration = Duration::from_secs(600);
/// A start waits so long for a ledger from which nothing comes.
const LEDGER: Duration = Duration::from_secs(10);

/// Where a publisher says how it is; stays when a new configuration comes.
#[derive(Clone, Debug)]
pub struct Watched {
    alarms: Alarms,
    metrics: Metrics,
    meters: Meters,
    targets: Common,
    tally: Tally,
    queues: Queues,
    board: Board,
    /// Which authorities this process publishes for.
    tenure: Tenure,
    /// Whether the work for them goes on.
    pulse: Pulse,
}

/// A publisher that is set up.
pub struct Daemon {
    config: Config,
    clock: Arc<dyn Clock>,
    watched: Watched,
    view: Arc<LedgerView<StatusTable>>,
    catalogue: Arc<Catalogue>,
    shelf: Arc<Shelf>,
    interest: Interest,
    follower: Option<LedgerFollower<StatusTable>>,
    tasks: Vec<Task>,
    targets: Pool,
    tellers: Vec<Teller>,
}

impl Daemon {
    /// Sets the publisher up: reads certificates and opens keys.
    /// Nothing is written before [`Daemon::tick`] or [`Daemon::start`]. A certificate,
    /// chain, key or passphrase that is unusable is an alarm, and is tried again; so is what a
    /// target or a way to tell alarms needs.
    ///
    /// # Errors
    /// The ledger's key or what is kept of its position is unusable.
    pub fn open(config: Config, clock: Arc<dyn Clock>) -> Result<Self, ServiceError> {
        Self::set_up(config, clock, Access::Keep)
    }

    /// What is wrong with what is published, and would be if it were started now. Nothing is written.
    ///
    /// # Errors
    /// As [`Daemon::open`].
    pub fn check(config: Config, clock: Arc<dyn Clock>) -> Result<Alarms, ServiceError> {
        let mut daemon = Self::set_up(config, clock, Access::Look)?;
        daemon.read_ledger();
        daemon.survey()?;
        daemon.targets.seek()?;
        Ok(daemon.watched.alarms)
    }

    /// Looks at what is published and offered, which may be on a dead file system.
    fn survey(&mut self) -> Result<(), ServiceError> {
        let (party, errands) = (Party::default(), self.watched.targets.errands());
        let mut trials = Vec::new();
        for mut task in std::mem::take(&mut self.tasks) {
            let (topic, bell) = (format!("crl {}", task.name()), task.bell());
            let trial =
                Trial::begin((&errands, &topic), (&bell, &party), self.clock.now(), move || task.survey())?;
            trials.push((topic, trial));
        }
        party.wait(|| trials.iter().all(|(_, trial)| trial.is_over()));
        for (topic, trial) in trials {
            if trial.take().is_none() {
                self.watched.alarms.raise(
                    &topic,
                    "what is published or offered cannot be read",
                    trial.hang(),
                );
            }
        }
        Ok(())
    }

    fn set_up(config: Config, clock: Arc<dyn Clock>, access: Access) -> Result<Self, ServiceError> {
        let alarms = Alarms::new();
        let metrics = Metrics::new("crl-publisher", &alarms, clock.now())?;
        let meters = Meters::new(&metrics)?;
        let watched = Watched {
            alarms,
            metrics,
            meters,
            targets: Common::default(),
            tally: Tally::default(),
            queues: Queues::default(),
            board: Board::default(),
            tenure: Tenure::new(&config.directory),
            pulse: Pulse::default(),
        };
        Self::open_on(config, clock, watched, access, &|_| true)
    }

    /// The same, with alarms and metrics that are there already. What
    /// cannot be opened must have an alarm that `may_be`.
    fn open_on(
        config: Config,
        clock: Arc<dyn Clock>,
        watched: Watched,
        access: Access,
        may_be: &dyn Fn(&str) -> bool,
    ) -> Result<Self, ServiceError> {
        let alarms = watched.alarms.clone();
        let catalogue = Arc::new(Catalogue::new());
        let whole = config.authorities.iter().filter(|authority| match &authority.work {
            Work::Distribute { .. } => true,
            Work::Sign { lists, .. } => lists.iter().any(|list| list.scope == CrlScope::All),
        });
        let bundled = whole.map(|authority| authority.name.clone()).collect();
        let shelf = Arc::new(Shelf::new(&config.directory, bundled, catalogue.clone()));
        let view = Arc::new(LedgerView::new(
            StatusTable::new(),
            config.max_checkpoint_age,
            config.max_checkpoint_age,
        ));
        let open = |ledger: &LedgerConfig| {
            let (view, clock, alarms) = (view.clone(), clock.clone(), alarms.clone());
            let follower = LedgerFollower::open(ledger.place.open()?, &ledger.vkey, view, clock, alarms)?;
            match &ledger.state_dir {
                Some(dir) => follower.remember(StateDir::new(dir, access)),
                None => Ok(follower),
            }
        };
        let follower = config.ledger.as_ref().map(open).transpose()?;
        let shared = Shared {
            tenure: watched.tenure.clone(),
            pulse: watched.pulse.clone(),
            board: watched.board.clone(),
            alarms: alarms.clone(),
            view: view.clone(),
            clock: clock.clone(),
        };
        let (interest, owners) = (Interest::default(), Owners::default());
        let kit = Kit {
            shelf: shelf.clone(),
            catalogue: catalogue.clone(),
            view: view.clone(),
            interest: interest.clone(),
            owners: owners.clone(),
            clock: clock.clone(),
            alarms: alarms.clone(),
            errands: watched.targets.errands(),
        };
        let bells: Vec<Bell> = config.authorities.iter().map(|_| Bell::new()).collect();
        let opener =
            |(entry, bell): (&AuthorityConfig, &Bell)| Opener::new(entry.clone(), kit.clone(), bell.clone());
        let mut openers: Vec<Opener> = config.authorities.iter().zip(&bells).map(opener).collect();
        Opener::open_all(&mut openers);
        let mut tasks = Vec::new();
        for (mut opener, bell) in openers.into_iter().zip(bells) {
            if let Some(fault) = opener.fault(may_be) {
                return Err(fault);
            }
            opener.tell();
            let status = config.directory.join(format!(".{}.status.json", opener.name()));
            tasks.push(Task::new(opener, bell, shared.clone(), status));
        }
        let targets = match &config.state_dir {
            Some(state_dir) => {
                let depot = Depot { directory: &config.directory, state_dir, owners };
                Pool::open(&config.targets, &depot, &watched.targets, (&alarms, may_be), &clock)?
            }
            None => Pool::default(),
        };
        let tellers = match (&config.alarms, &config.state_dir) {
            (Some(told), Some(state_dir)) => {
                let setting = Setting {
                    alarms: alarms.clone(),
                    errands: watched.targets.errands(),
                    queues: watched.queues.clone(),
                    tally: watched.tally.clone(),
                    clock: clock.clone(),
                };
                teller::open(told, state_dir, &setting, may_be)?
            }
            _ => Vec::new(),
        };
        Ok(Self {
            config,
            clock,
            watched,
            view,
            catalogue,
            shelf,
            interest,
            follower,
            tasks,
            targets,
            tellers,
        })
    }

    /// What is wrong now: nothing, if the configuration and all it names are in order.
    #[must_use]
    pub fn alarms(&self) -> &Alarms {
        &self.watched.alarms
    }

    /// Makes the directory and writes the certificates.
    ///
    /// # Errors
    /// A directory or file cannot be written.
    pub fn prepare(&self) -> Result<(), ServiceError> {
        self.shelf.prepare()?;
        self.tasks.iter().try_for_each(Task::prepare)
    }

    /// Reads what is new in the ledger, in this thread.
    pub(crate) fn read_ledger(&mut self) {
        if let Some(follower) = &mut self.follower {
            follower.tick(reaction(self.interest.clone(), self.view.clone(), self.clock.clone()));
        }
    }

    /// Does what is due now, in this thread: for tests. [`Daemon::prepare`] comes first.
    pub fn tick(&mut self) {
        self.read_ledger();
        for task in &mut self.tasks {
            task.tick();
        }
    }

    /// Takes to the targets what is due, one after another: for tests.
    pub fn deliver(&self) {
        self.targets.tick();
    }

    /// Tells people of alarms, if that is due: for tests.
    pub fn tell(&self) {
        self.tellers.iter().for_each(Teller::tick);
    }

    /// The HTTP interface.
    pub fn router(&self) -> Router {
        let shell = Shell {
            catalogue: self.catalogue.clone(),
            clock: self.clock.clone(),
            max_http_age: self.config.max_http_age.as_secs(),
            scratch: Arc::from(self.config.directory.as_path()),
            meters: self.watched.meters.clone(),
        };
        // Old files are better than none, and those of one authority wait for no other's.
        let shelf = self.shelf.clone();
        self.watched.alarms.routes(move || !shelf.is_empty()).merge(http::routes(shell))
    }

    /// Publishes what is due, then serves at `address` and follows the ledger.
    ///
    /// # Errors
    /// The address is taken, or a thread cannot be started.
    pub fn start(self, address: SocketAddr) -> Result<Running, ServiceError> {
        self.prepare()?;
        let connections = self.config.max_connections;
        let per_source = self.config.max_connections_per_source.unwrap_or(Limits::share(connections));
        let limits = Limits { connections, per_source, connection: CONNECTION, ..Limits::default() };
        let (config, clock, watched) = (self.config.clone(), self.clock.clone(), self.watched.clone());
        let live = Live::of(&self);
        metrics::observe(&watched.metrics, live.shelf())?;
        watched.tally.observe(&watched.metrics)?;
        metrics::observe_status(&watched.metrics, watched.board.clone())?;
        watched.metrics.observe_clock(&clock)?;
        watched.targets.observe(&watched.metrics, clock.clone())?;
        if config.ledger.is_some() {
            watched.metrics.observe_ledger(live.view(), &clock)?;
        }
        let running = Running::start(address, live.router(), limits, self.spawn()?)?;
        let (metrics, listen) = (watched.metrics.clone(), config.metrics_listen);
        let crew = running.crew();
        let alarms = watched.alarms.clone();
        let status = status::routes(watched.board.clone(), alarms.clone(), clock.clone(), {
            let (live, clock) = (live.clone(), clock.clone());
            move || ledger_status(&live.view()(), &*clock)
        });
        let mut publisher = Reloadable { config, clock, watched, live, crew };
        let running = running.with_reload(Reload::new(&alarms, &metrics, move |path| publisher.take(path))?);
        match listen {
            Some(address) => running.with_metrics(address, metrics.routes().merge(status)),
            None => Ok(running),
        }
    }

    /// Starts the threads that follow the ledger and publish. When it returns the ledger was read, and then
    /// what was due was published, unless that hangs.
    fn spawn(self) -> Result<Vec<Worker>, ServiceError> {
        let mut react = reaction(self.interest, self.view.clone(), self.clock.clone());
        let mut workers = Vec::new();
        if let Some(follower) = self.follower {
            let (party, is_read) = (Party::default(), Arc::new(AtomicBool::new(false)));
            let (reading, read, ticked) = (party.clone(), party.clone(), is_read.clone());
            let react = move |changes: &[follow::Applied]| {
                react(changes);
                reading.go_on();
            };
            let ticked = move |_: &LedgerFollower<StatusTable>| {
                ticked.store(true, Ordering::Release);
                read.go_on();
            };
            workers.push(follower.spawn(react, ticked)?);
            party.wait_for(LEDGER, || is_read.load(Ordering::Acquire));
        }
        let (party, begun) = (Party::default(), Arc::new(AtomicUsize::new(0)));
        let count = self.tasks.len();
        for mut task in self.tasks {
            let bell = task.bell();
            let (mut first, begun) = (Some(party.clone()), begun.clone());
            workers.push(Worker::spawn(task.name().to_owned(), bell.clone(), move || {
                let mut files = task.files();
                let mut watch = FileWatch::new(&files, bell.clone());
                let mut wait = Span::seconds(0);
                while bell.wait(wait.as_duration()) != Wake::Stopped {
                    watch.refresh();
                    wait = task.tick();
                    if let Some(party) = first.take() {
                        begun.fetch_add(1, Ordering::AcqRel);
                        party.go_on();
                    }
                    let now_named = task.files();
                    if now_named != files {
                        files = now_named;
                        watch = FileWatch::new(&files, bell.clone());
                    }
                }
            })?);
        }
        party.wait(|| begun.load(Ordering::Acquire) == count);
        workers.push(self.watched.pulse.watch(self.watched.alarms, self.clock)?);
        workers.extend(self.targets.spawn()?);
        for teller in self.tellers {
            workers.push(teller.spawn()?);
        }
        Ok(workers)
    }
}

/// How far the ledger was read, and whether it is relied upon.
fn ledger_status(view: &LedgerView<StatusTable>, clock: &dyn Clock) -> serde_json::Value {
    let (entries, checkpoint) = view.position().unzip();
    let trust = format!("{:?}", view.trust(clock.now())).to_lowercase();
    let checkpoint = checkpoint.map(|time| time.to_string());
    serde_json::json!({"trust": trust, "entries": entries, "checkpoint": checkpoint})
}

/// What happens when the ledger changed: the lists concerned are told.
fn reaction(
    interest: Interest,
    view: Arc<LedgerView<StatusTable>>,
    clock: Arc<dyn Clock>,
) -> impl FnMut(&[follow::Applied]) + Send + 'static {
    move |changes| interest.tell(changes, &view.read(), clock.now())
}
