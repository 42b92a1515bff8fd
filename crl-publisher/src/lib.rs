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

pub mod alarms;
pub mod backoff;
pub mod catalogue;
pub mod certificates;
pub mod config;
pub mod distribute;
pub mod file_body;
pub mod http;
pub mod key;
pub mod lists;
pub mod metrics;
pub mod packed;
pub mod pem;
pub mod published;
pub mod ranges;
pub mod reload;
pub mod schedule;
pub mod shelf;
pub mod sign;
pub mod status;
pub mod targets;
pub mod task;
pub mod tenure;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use ca_domain::KeyIdentifier;
use ca_service::{
    Alarms, Authority, Bell, Clock, FileWatch, LedgerFollower, LedgerView, Limits, Metrics, Reload, Running,
    ServiceError, Span, Wake, Worker, follow,
};
use ca_status::StatusTable;
use ca_status::crl::CrlScope;

use alarms::metrics::Tally;
use alarms::queue::Queues;
use alarms::teller::{self, Setting, Teller};
use catalogue::{Asset, Catalogue, Content};
use config::{Config, LedgerConfig, Work};
use distribute::Distributor;
use http::Shell;
use lists::ListPlan;
use metrics::Meters;
use reload::{Live, Reloadable};
use shelf::Shelf;
use sign::{CrlSigner, Means, Pending};
use status::Board;
use targets::item::Owner;
use targets::pool::{Common, Depot, Pool};
use task::{Shared, Task};
use tenure::Tenure;

/// A CRL takes time on a slow line.
const CONNECTION: Duration = Duration::from_secs(600);

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
}

/// A publisher that is set up and has read the ledger once.
pub struct Daemon {
    config: Config,
    clock: Arc<dyn Clock>,
    watched: Watched,
    view: Arc<LedgerView<StatusTable>>,
    catalogue: Arc<Catalogue>,
    shelf: Arc<Shelf>,
    /// The authorities' certificates by path.
    certificates: Vec<(String, Asset)>,
    follower: Option<LedgerFollower<StatusTable>>,
    tasks: Vec<Task>,
    targets: Pool,
    tellers: Vec<Teller>,
}

impl Daemon {
    /// Sets the publisher up: reads certificates, opens keys, reads the ledger.
    /// Nothing is written before [`Daemon::tick`] or [`Daemon::start`].
    ///
    /// # Errors
    /// A certificate, chain, key or passphrase is unusable.
    pub fn open(config: Config, clock: Arc<dyn Clock>) -> Result<Self, ServiceError> {
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
        };
        Self::open_on(config, clock, watched)
    }

    /// The same, with alarms and metrics that are there already.
    fn open_on(config: Config, clock: Arc<dyn Clock>, watched: Watched) -> Result<Self, ServiceError> {
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
                Some(dir) => follower.remember(dir),
                None => Ok(follower),
            }
        };
        let mut follower = config.ledger.as_ref().map(open).transpose()?;
        let shared = Shared {
            tenure: watched.tenure.clone(),
            board: watched.board.clone(),
            alarms: alarms.clone(),
            clock: clock.clone(),
        };
        let (mut tasks, mut certificates, mut owners) = (Vec::new(), Vec::new(), Vec::new());
        for entry in &config.authorities {
            let authority = Authority::load(&entry.certificate)?;
            for (path, asset) in certificates::render(entry, &authority)? {
                catalogue.put(format!("/{path}"), asset.clone());
                certificates.push((path, asset));
            }
            let known = Arc::new(authority.clone());
            owners.push(Owner { name: entry.name.clone(), authority: known });
            let (name, shelf, clock, alarms) =
                (entry.name.clone(), shelf.clone(), clock.clone(), alarms.clone());
            let work = match &entry.work {
                Work::Distribute { source, remind } => task::Work::Distribute(Box::new(Distributor {
                    name,
                    authority,
                    source: source.clone(),
                    shelf,
                    clock,
                    alarms,
                    remind: *remind,
                    memory: distribute::Memory::default(),
                })),
                Work::Sign { key, passphrase, lists } => {
                    let key = Arc::new(key::open(key, passphrase, &authority)?);
                    let means = Means { authority, key, shelf, view: view.clone(), clock, alarms };
                    let signer = |list: &ListPlan| CrlSigner::new(list.clone(), means.clone());
                    task::Work::Sign(lists.iter().map(signer).collect())
                }
            };
            let status = config.directory.join(format!(".{}.status.json", entry.name));
            tasks.push(Task::new(entry.name.clone(), work, shared.clone(), status));
        }
        if let Some(follower) = &mut follower {
            follower.tick(|_| {});
        }
        let targets = match &config.state_dir {
            Some(state_dir) => {
                let depot = Depot { directory: &config.directory, state_dir, owners };
                Pool::open(&config.targets, &depot, &watched.targets, &alarms, &clock)?
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
                teller::open(told, state_dir, &setting)?
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
            certificates,
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
        for (path, asset) in &self.certificates {
            if let Content::Memory(octets) = &asset.content {
                self.shelf.write(path, octets)?;
            }
        }
        Ok(())
    }

    /// Does what is due now: for the start, and for tests. [`Daemon::prepare`] comes first.
    pub fn tick(&mut self) {
        if let Some(follower) = &mut self.follower {
            follower.tick(reaction(&self.tasks, self.view.clone(), self.clock.clone(), Vec::new()));
        }
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
        // Old files are better than none: it serves from the start.
        self.watched.alarms.routes(|| true).merge(http::routes(shell))
    }

    /// Publishes what is due, then serves at `address` and follows the ledger.
    ///
    /// # Errors
    /// The address is taken, or a thread cannot be started.
    pub fn start(mut self, address: SocketAddr) -> Result<Running, ServiceError> {
        self.prepare()?;
        self.tick();
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

    /// Starts the threads that follow the ledger and publish.
    fn spawn(self) -> Result<Vec<Worker>, ServiceError> {
        let bells: Vec<Bell> = self.tasks.iter().map(|_| Bell::new()).collect();
        let react = reaction(&self.tasks, self.view.clone(), self.clock.clone(), bells.clone());
        let mut workers = self.targets.spawn()?;
        for teller in self.tellers {
            workers.push(teller.spawn()?);
        }
        if let Some(follower) = self.follower {
            workers.push(follower.spawn(react, |_| {})?);
        }
        for (mut task, bell) in self.tasks.into_iter().zip(bells) {
            workers.push(Worker::spawn(task.name().to_owned(), bell.clone(), move || {
                let mut watch = FileWatch::new(&task.files(), bell.clone());
                let mut wait = Span::seconds(0);
                while bell.wait(wait.as_duration()) != Wake::Stopped {
                    watch.refresh();
                    wait = task.tick();
                }
            })?);
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
    tasks: &[Task],
    view: Arc<LedgerView<StatusTable>>,
    clock: Arc<dyn Clock>,
    bells: Vec<Bell>,
) -> impl FnMut(&[follow::Applied]) + Send + 'static {
    let mut concerned: HashMap<KeyIdentifier, Vec<(CrlScope, Pending, Option<Bell>)>> = HashMap::new();
    for (at, task) in tasks.iter().enumerate() {
        for signer in task.signers() {
            let entry = concerned.entry(signer.authority().key_id).or_default();
            entry.push((signer.plan().scope.clone(), signer.pending(), bells.get(at).cloned()));
        }
    }
    move |changes| {
        let now = clock.now();
        let table = view.read();
        // A new certificate is on no CRL; all other changes are.
        for change in changes.iter().filter(|applied| !applied.is_new).map(|applied| &applied.change) {
            for (scope, pending, bell) in concerned.get(&change.authority).into_iter().flatten() {
                if !table.covers(&change.authority, scope, &change.serial) {
                    continue;
                }
                pending.note(change, now);
                if let Some(bell) = bell {
                    bell.ring();
                }
            }
        }
    }
}
