//! The OCSP responder: follows the ledger and answers for its authorities
//! (RFC 6960, RFC 5019, RFC 9654).
//!
//! It holds a delegated signing key for each authority and nothing else: no CA
//! key, no database, no code that issues. Three things run beside each other:
//! a thread that follows the ledger into the status table, a thread that follows
//! the signers' files, and the HTTP server.

pub mod answer;
pub mod cache;
pub mod config;
pub mod http;
pub mod intake;
pub mod metrics;
pub mod signer;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use ca_service::{
    Alarms, Authority, Bell, Clock, FileWatch, LedgerFollower, LedgerView, Limits, Metrics, Running,
    ServiceError, Trust, Wake, Worker,
};
use ca_status::ocsp::{AnswerPolicy, Budget, NeverIssued, NoncePolicy, Responder};

use answer::Desk;
use config::{Config, NeverIssuedRule, NonceRule};
use http::Shell;
use metrics::Meters;
use signer::{SignerKeeper, SignerSet};

/// The signers' files are looked at this often even without file events.
const SIGNER_POLL: Duration = Duration::from_secs(2);

/// A responder that is set up and has read the ledger once.
pub struct Daemon {
    config: Config,
    clock: Arc<dyn Clock>,
    alarms: Alarms,
    view: Arc<LedgerView<Responder>>,
    follower: LedgerFollower<Responder>,
    keeper: SignerKeeper,
    desk: Arc<Desk>,
    metrics: Metrics,
}

impl Daemon {
    /// Sets the responder up. What can mend itself (a ledger or signer that is
    /// missing or unusable now) raises an alarm and is answered with tryLater.
    ///
    /// # Errors
    /// The authorities' certificates or the ledger's key are unusable.
    pub fn open(config: Config, clock: Arc<dyn Clock>) -> Result<Self, ServiceError> {
        let alarms = Alarms::new();
        let metrics = Metrics::new("ocsp-responder", &alarms, clock.now())?;
        let mut responder = Responder::new();
        let mut signers = Vec::new();
        for entry in &config.authorities {
            let authority = Authority::load(&entry.certificate)?;
            responder.add_authority(&authority.certificate).map_err(|error| ServiceError::Certificate {
                path: entry.certificate.clone(),
                what: error.to_string(),
            })?;
            signers.push((authority, entry.signer.clone()));
        }
        let names = metrics::names(signers.iter().map(|(authority, _)| authority));
        let set = SignerSet::default();
        let mut keeper = SignerKeeper::new(signers, set.clone(), alarms.clone());
        let view = Arc::new(LedgerView::new(responder, config.max_checkpoint_age, config.max_unreadable));
        let mut follower = LedgerFollower::open(
            &config.ledger,
            &config.ledger_vkey,
            view.clone(),
            clock.clone(),
            alarms.clone(),
        )?;
        let policy = AnswerPolicy {
            validity: config.response_validity.as_secs(),
            never_issued: match config.never_issued {
                NeverIssuedRule::Revoked => NeverIssued::Revoked,
                NeverIssuedRule::Unauthorized => NeverIssued::Unauthorized,
                NeverIssuedRule::Unknown => NeverIssued::Unknown,
            },
            nonce: match config.nonce {
                NonceRule::Echo => NoncePolicy::Echo,
                NonceRule::Ignore => NoncePolicy::Ignore,
                NonceRule::Require => NoncePolicy::Require,
            },
            budget: Budget { max_bytes: config.max_request_bytes, ..Budget::default() },
        };
        let meters = Meters::new(&metrics)?;
        let recorder = meters.recorder(&names);
        let counting = (meters, recorder);
        let desk = Desk::new(view.clone(), set, policy, config.cache_entries, alarms.clone(), counting);
        let desk = Arc::new(desk);
        metrics.observe_ledger(&view, &clock)?;
        metrics::observe(&metrics, &desk)?;
        keeper.tick(clock.now());
        follower.tick();
        Ok(Self { config, clock, alarms, view, follower, keeper, desk, metrics })
    }

    /// What is wrong now: nothing, if the configuration and all it names are in order.
    #[must_use]
    pub fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// The HTTP interface.
    pub fn router(&self) -> Router {
        let (view, clock) = (self.view.clone(), self.clock.clone());
        let health = self.alarms.routes(move || view.trust(clock.now()) == Trust::Current);
        let shell = Shell {
            desk: self.desk.clone(),
            clock: self.clock.clone(),
            path: self.config.path.as_str().into(),
            max_request_bytes: self.config.max_request_bytes,
            max_http_age: self.config.max_http_age.as_secs(),
        };
        health.merge(http::routes(shell))
    }

    /// Serves at `address` and follows the ledger and the signers from now on.
    ///
    /// # Errors
    /// The address is taken, or a thread cannot be started.
    pub fn start(self, address: SocketAddr) -> Result<Running, ServiceError> {
        let app = self.router();
        let watched = self.config.metrics_listen.map(|address| (address, self.metrics.routes()));
        // Enough for the longest GET, every octet of it percent-encoded.
        let head_bytes = self.config.max_request_bytes * 4 + 16 * 1024;
        let limits = Limits { connections: self.config.max_connections, head_bytes, ..Limits::default() };
        let Self { clock, follower, mut keeper, .. } = self;
        let bell = Bell::new();
        let signers = Worker::spawn("signers", bell.clone(), move || {
            let mut watch = FileWatch::new(&keeper.files(), bell.clone());
            while bell.wait(SIGNER_POLL) != Wake::Stopped {
                watch.refresh();
                keeper.tick(clock.now());
            }
        })?;
        let workers = vec![follower.spawn(|_| {})?, signers];
        let running = Running::start(address, app, limits, workers)?;
        match watched {
            Some((address, app)) => running.with_metrics(address, app),
            None => Ok(running),
        }
    }
}
