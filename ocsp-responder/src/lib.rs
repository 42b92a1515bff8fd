//! The OCSP responder: follows the ledger and answers for its authorities
//! (RFC 6960, RFC 5019, RFC 9654).
//!
//! It holds a delegated signing key for each authority and nothing else: no CA
//! key unless it is told to, no database, no code that issues. These run beside each other: a thread
//! that follows the ledger into the status table, a thread that follows the signers'
//! files, two threads that keep files for servers that staple, and the HTTP server.

pub mod answer;
pub mod cache;
pub mod config;
pub mod http;
pub mod intake;
pub mod kept;
pub mod metrics;
pub mod presigned;
pub mod rate;
pub mod renew;
pub mod request_log;
pub mod setup;
pub mod signer;
pub mod staple;
pub mod state;

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use ca_service::follow::Applied;
use ca_service::{
    Access, Alarms, Clock, FileWatch, LedgerFollower, LedgerView, Limits, Metrics, Reload, Running,
    ServiceError, StateDir, Trust, Wake, Worker,
};
use ca_status::StatusTable;
use ca_status::ocsp::Responder;

use config::Config;
use http::Front;
use setup::Setup;
use state::StateFile;

/// The signers' files are looked at this often even without file events.
const SIGNER_POLL: Duration = Duration::from_secs(2);

/// A responder that is set up and has read the ledger once.
pub struct Daemon {
    clock: Arc<dyn Clock>,
    alarms: Alarms,
    metrics: Metrics,
    reload: Reload,
    follower: LedgerFollower<Responder>,
    state: Option<StateFile>,
    setup: Arc<Setup>,
}

/// A follower of the ledger that goes on where the last one was, if that was kept.
fn follower(
    config: &Config,
    access: Access,
    view: &Arc<LedgerView<Responder>>,
    clock: &Arc<dyn Clock>,
    alarms: &Alarms,
) -> Result<(LedgerFollower<Responder>, Option<StateFile>), ServiceError> {
    let (view, clock, alarms) = (|| view.clone(), || clock.clone(), || alarms.clone());
    let Some(dir) = &config.state_dir else {
        let source = config.ledger.open()?;
        return Ok((LedgerFollower::open(source, &config.ledger_vkey, view(), clock(), alarms())?, None));
    };
    let dir = StateDir::new(dir, access);
    let (mut file, state) = StateFile::open(dir, &alarms())?;
    let resumed = state.and_then(|(position, table)| {
        view().adjust(|responder| responder.set_table(table));
        let source = config.ledger.open().ok()?;
        LedgerFollower::resume(source, &config.ledger_vkey, &position, view(), clock(), alarms())
            .inspect_err(|error| tracing::warn!(%error, "the state file is not used; the ledger is read"))
            .ok()
    });
    let follower = match resumed {
        Some(follower) => follower,
        None => {
            if let Some(file) = &mut file {
                file.forget();
            }
            view().adjust(|responder| responder.set_table(StatusTable::new()));
            LedgerFollower::open(config.ledger.open()?, &config.ledger_vkey, view(), clock(), alarms())?
        }
    };
    Ok((follower.remember(dir)?, file))
}

impl Daemon {
    /// Sets the responder up. What can mend itself (a ledger or signer that is
    /// missing or unusable now) raises an alarm and is answered with tryLater.
    ///
    /// # Errors
    /// The authorities' certificates or the ledger's key are unusable.
    pub fn open(config: Config, clock: Arc<dyn Clock>) -> Result<Self, ServiceError> {
        Self::set_up(config, clock, Access::Keep)
    }

    /// What would be wrong, if it were started now. Nothing is written.
    ///
    /// # Errors
    /// As [`Daemon::open`].
    pub fn check(config: Config, clock: Arc<dyn Clock>) -> Result<Alarms, ServiceError> {
        Self::set_up(config, clock, Access::Look).map(|daemon| daemon.alarms)
    }

    fn set_up(config: Config, clock: Arc<dyn Clock>, access: Access) -> Result<Self, ServiceError> {
        let alarms = Alarms::new();
        let metrics = Metrics::new("ocsp-responder", &alarms, clock.now())?;
        let setup = Arc::new(Setup::new(config.clone(), clock.clone(), alarms.clone(), &metrics)?);
        let (mut follower, mut state) = follower(&config, access, setup.view(), &clock, &alarms)?;
        follower.tick(|_| {});
        if let Some(state) = &mut state {
            state.keep(&follower, &alarms);
        }
        let anew = setup.clone();
        let reload = Reload::new(&alarms, &metrics, move |path| anew.take(path))?;
        Ok(Self { clock, alarms, metrics, reload, follower, state, setup })
    }

    /// The HTTP interface.
    #[must_use]
    pub fn front(&self) -> Front {
        let (view, clock) = (self.setup.view().clone(), self.clock.clone());
        let shell = self.setup.shell.clone();
        let health = self.alarms.routes(move || {
            let now = clock.now();
            view.trust(now) == Trust::Current && shell.load().desk.can_answer(now)
        });
        Front::new(self.setup.shell.clone(), health)
    }

    /// Serves at `address` and follows the ledger and the signers from now on.
    ///
    /// # Errors
    /// The address is taken, or a thread cannot be started.
    pub fn start(self, address: SocketAddr) -> Result<Running, ServiceError> {
        let app = self.front();
        let config = self.setup.config().clone();
        // Enough for the longest GET, every octet of it percent-encoded.
        let head_bytes = config.max_request_bytes * 4 + 16 * 1024;
        let connections = config.max_connections;
        let per_source = config.max_connections_per_source.unwrap_or(Limits::share(connections));
        let limits = Limits { connections, per_source, head_bytes, ..Limits::default() };
        let (shell, now) = (self.setup.shell.clone(), self.clock.clone());
        let (bell, setup, clock) = (self.setup.bell.clone(), self.setup, self.clock);
        let changed = setup.staple_bell.clone();
        let staples = staple::spawn(&setup.staples, changed.clone(), setup.shell.clone())?;
        let signers = Worker::spawn("signers", bell.clone(), move || {
            let keeper = || setup.keeper.lock().unwrap_or_else(PoisonError::into_inner);
            let mut files = keeper().files();
            let mut watch = FileWatch::new(&files, bell.clone());
            loop {
                keeper().tend(clock.now());
                setup.view().tell_hang(clock.now(), setup.alarms());
                if bell.wait(SIGNER_POLL) == Wake::Stopped {
                    break;
                }
                let now_named = keeper().files();
                if now_named != files {
                    files = now_named;
                    watch = FileWatch::new(&files, bell.clone());
                }
                watch.refresh();
                keeper().tick(clock.now());
            }
        })?;
        let renewal = renew::spawn(shell.clone(), now.clone())?;
        let replace = move |changes: &[Applied]| {
            shell.load().desk.replace(changes, now.now());
            changed.ring();
        };
        let (mut state, alarms) = (self.state, self.alarms);
        let keep = move |follower: &LedgerFollower<Responder>| {
            if let Some(state) = &mut state {
                state.keep(follower, &alarms);
            }
        };
        let mut workers = vec![self.follower.spawn(replace, keep)?, signers, renewal];
        workers.extend(staples);
        let running = Running::start(address, app, limits, workers)?.with_reload(self.reload);
        match config.metrics_listen {
            Some(address) => running.with_metrics(address, self.metrics.routes()),
            None => Ok(running),
        }
    }
}
