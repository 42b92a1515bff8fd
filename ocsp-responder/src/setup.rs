//! What follows from the configuration, and a new one taken while serving.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use ca_service::{Alarms, Authority, Bell, Clock, LedgerView, Metrics, ServiceError};
use ca_status::StatusError;
use ca_status::ocsp::{AnswerPolicy, Budget, NeverIssued, NoncePolicy, Responder, ResponseSigner};

use crate::answer::Desk;
use crate::config::{AuthorityConfig, Config, NeverIssuedRule, NonceRule, Source};
use crate::http::{HttpAge, Shell};
use crate::metrics::{self, Meters};
use crate::presigned::{PresignedKeeper, PresignedSet};
use crate::rate::RateLimit;
use crate::request_log::RequestLog;
use crate::signer::{Delegate, NO_SIGNER, SignerKeeper, SignerSet, open_own};
use crate::staple::{self, SharedKeeper, StapleKeeper};

/// Topics of the signers' alarms begin so.
const SIGNER_TOPICS: &str = "signer ";
/// A source may have the answers of so many seconds signed at once.
const BURST_SECONDS: u32 = 4;

/// The part of a responder that the configuration makes, and can make anew.
/// What is known of the ledger stays.
pub struct Setup {
    clock: Arc<dyn Clock>,
    alarms: Alarms,
    meters: Meters,
    view: Arc<LedgerView<Responder>>,
    config: Mutex<Config>,
    /// The authorities' certificates, in DER.
    certificates: Mutex<Vec<Vec<u8>>>,
    /// What requests are answered by; each takes what is there when it comes.
    pub shell: Arc<ArcSwap<Shell>>,
    /// The signers of the same configuration.
    pub keeper: Arc<Mutex<SignerKeeper>>,
    /// Rung when the signers' files are others.
    pub bell: Bell,
    /// The files with answers for servers.
    pub staples: SharedKeeper,
    /// Rung when the staples are others, or a status may have changed.
    pub staple_bell: Bell,
}

impl Setup {
    /// Sets up what `config` says.
    ///
    /// # Errors
    /// An authority's certificate is unusable. Signers may come later.
    pub fn new(
        config: Config,
        clock: Arc<dyn Clock>,
        alarms: Alarms,
        metrics: &Metrics,
    ) -> Result<Self, ServiceError> {
        let meters = Meters::new(metrics)?;
        let authorities = load_authorities(&config)?;
        let view = LedgerView::new(Responder::new(), config.max_checkpoint_age, config.max_unreadable);
        let view = Arc::new(view);
        answer_for(&view, &config, authorities.iter())?;
        let own = own_signers(&config, &authorities, &|_, _| None)?;
        let (signers, mut keeper) =
            sources(&config, &authorities, own, &PresignedSet::default(), &view, &alarms)?;
        keeper.tick(clock.now());
        let counting = (meters.clone(), meters.recorder(&metrics::names(&authorities)));
        let (entries, policy) = (config.cache_entries, policy(&config));
        let desk = Desk::new(view.clone(), signers, policy, entries, rate(&config), alarms.clone(), counting);
        let shell = Arc::new(ArcSwap::from_pointee(shell(&config, desk, &clock)));
        let seen = view.clone();
        metrics.observe_ledger(move || seen.clone(), &clock)?;
        metrics::observe(metrics, &shell)?;
        let staples = StapleKeeper::new(&config.staples, &authorities, alarms.clone());
        let (staples, staple_bell) = (Arc::new(Mutex::new(staples)), Bell::new());
        let certificates = Mutex::new(authorities.iter().map(|authority| authority.der.clone()).collect());
        let (config, keeper) = (Mutex::new(config), Arc::new(Mutex::new(keeper)));
        let bell = Bell::new();
        Ok(Self {
            clock,
            alarms,
            meters,
            view,
            config,
            certificates,
            shell,
            keeper,
            bell,
            staples,
            staple_bell,
        })
    }

    /// What is known of the ledger.
    #[must_use]
    pub const fn view(&self) -> &Arc<LedgerView<Responder>> {
        &self.view
    }

    /// Where alarms go.
    #[must_use]
    pub const fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// The configuration in use.
    pub fn config(&self) -> MutexGuard<'_, Config> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the configuration at `path` if all of it can be used. Requests under
    /// way are answered by the old one. Returns the settings that wait for a restart.
    ///
    /// # Errors
    /// The configuration or something that it names is unusable; nothing is changed.
    pub fn take(&self, path: &Path) -> Result<Vec<&'static str>, ServiceError> {
        let mut config = Config::load(path)?;
        let mut old = self.config();
        let waiting = config.keep_fixed(&old);
        // The authorities' certificates may be others under the same names.
        let authorities = load_authorities(&config)?;
        self.try_signers(&config, &authorities)?;
        let policy = policy(&config);
        let desk = self.shell.load().desk.clone();
        let known = desk.recorder().authorities().iter().map(|(id, _)| id);
        // A passphrase may be there to be read only once.
        let in_use = |entry: &AuthorityConfig, authority: &Authority| {
            let signer = desk.signer(&authority.key_id)?;
            let same = old.authorities.contains(entry) && signer.not_after() == authority.not_after();
            same.then(|| (*signer).clone())
        };
        let own = own_signers(&config, &authorities, &in_use)?;
        let mut certificates = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        let given: Vec<_> = authorities.iter().map(|authority| authority.der.clone()).collect();
        let same = config.authorities == old.authorities
            && *certificates == given
            && config.signer_warning == old.signer_warning
            && known.eq(authorities.iter().map(|authority| &authority.key_id));
        let keeps = same
            && (config.cache_entries, config.response_validity) == (old.cache_entries, old.response_validity);
        if keeps {
            self.shell.store(Arc::new(shell(&config, desk.with_policy(policy, rate(&config)), &self.clock)));
        } else {
            // Nobody may be answered for without a signer: those that go are
            // known until the new signers are in use, those that come from now on.
            let before = load_authorities(&old).unwrap_or_default();
            answer_for(&self.view, &config, authorities.iter().chain(&before))?;
            self.alarms.clear_all(SIGNER_TOPICS);
            let (signers, mut keeper) =
                sources(&config, &authorities, own, &desk.presigned, &self.view, &self.alarms)?;
            keeper.tick(self.clock.now());
            *self.keeper.lock().unwrap_or_else(PoisonError::into_inner) = keeper;
            self.bell.ring();
            let counting = (self.meters.clone(), self.meters.recorder(&metrics::names(&authorities)));
            let (view, alarms) = (self.view.clone(), self.alarms.clone());
            let (entries, rate) = (config.cache_entries, rate(&config));
            let desk = Desk::new(view, signers, policy, entries, rate, alarms, counting);
            self.shell.store(Arc::new(shell(&config, desk, &self.clock)));
            answer_for(&self.view, &config, authorities.iter())?;
        }
        if !same || config.staples != old.staples {
            let mut staples = self.staples.lock().unwrap_or_else(PoisonError::into_inner);
            self.alarms.clear_all(staple::TOPICS);
            *staples = StapleKeeper::new(&config.staples, &authorities, self.alarms.clone());
        }
        self.staple_bell.ring();
        self.view.set_limits(config.max_checkpoint_age, config.max_unreadable);
        *certificates = given;
        *old = config;
        Ok(waiting)
    }

    /// Refuses signers that are unusable and were not so before.
    fn try_signers(&self, config: &Config, authorities: &[Authority]) -> Result<(), ServiceError> {
        let trial = Alarms::trial();
        let (_, mut keeper) =
            sources(config, authorities, Vec::new(), &self.shell.load().desk.presigned, &self.view, &trial)?;
        keeper.tick(self.clock.now());
        let known = self.alarms.list();
        match trial.list().into_iter().find(|alarm| alarm.1 == NO_SIGNER && !known.contains(alarm)) {
            Some((topic, _)) => {
                let what = trial.detail(&topic).unwrap_or_default();
                Err(ServiceError::Signer(what))
            }
            None => Ok(()),
        }
    }
}

fn load_authorities(config: &Config) -> Result<Vec<Authority>, ServiceError> {
    config.authorities.iter().map(|entry| Authority::load(&entry.certificate)).collect()
}

fn answer_for<'a>(
    view: &LedgerView<Responder>,
    config: &Config,
    authorities: impl Iterator<Item = &'a Authority>,
) -> Result<(), ServiceError> {
    let mut set = Ok(());
    view.adjust(|responder| {
        set = responder.set_authorities(authorities.map(|authority| &authority.certificate));
    });
    set.map_err(|error| unusable(config, &error))
}

fn unusable(config: &Config, error: &StatusError) -> ServiceError {
    let path = config.authorities.first().map(|entry| entry.certificate.clone()).unwrap_or_default();
    ServiceError::Certificate { path, what: error.to_string() }
}

/// Who signs and what is signed already, and the keeper of both. Nothing is read yet.
fn sources(
    config: &Config,
    authorities: &[Authority],
    own: Vec<ResponseSigner>,
    before: &PresignedSet,
    view: &Arc<LedgerView<Responder>>,
    alarms: &Alarms,
) -> Result<((SignerSet, PresignedSet), SignerKeeper), ServiceError> {
    let (set, presigned) = (SignerSet::default(), PresignedSet::default());
    own.into_iter().for_each(|signer| set.replace(signer));
    let (mut delegates, mut directories) = (Vec::new(), Vec::new());
    for (index, (entry, authority)) in config.authorities.iter().zip(authorities).enumerate() {
        match &entry.source {
            Source::Delegate { prefix, request_next } => delegates.push(Delegate {
                authority: authority.clone(),
                prefix: prefix.clone(),
                request_next: *request_next,
                warning: config.signer_warning,
            }),
            Source::Presigned { directory } => {
                directories.push((index, authority.clone(), directory.clone()));
            }
            Source::Authority { .. } => {}
        }
    }
    let (warning, kept) = (config.signer_warning, presigned.clone());
    let shelves = PresignedKeeper::new(directories, warning, before, kept, view.clone(), alarms.clone());
    let shelves = shelves.map_err(|error| unusable(config, &error))?;
    let keeper = SignerKeeper::new(delegates, set.clone(), shelves, alarms.clone());
    Ok(((set, presigned), keeper))
}

/// The authorities that sign themselves; one that is `in_use` is not opened again.
fn own_signers(
    config: &Config,
    authorities: &[Authority],
    in_use: &dyn Fn(&AuthorityConfig, &Authority) -> Option<ResponseSigner>,
) -> Result<Vec<ResponseSigner>, ServiceError> {
    let mut signers = Vec::new();
    for (entry, authority) in config.authorities.iter().zip(authorities) {
        if let Source::Authority { key, passphrase } = &entry.source {
            signers.push(match in_use(entry, authority) {
                Some(signer) => signer,
                None => open_own(key, passphrase, authority)?,
            });
        }
    }
    Ok(signers)
}

fn policy(config: &Config) -> AnswerPolicy {
    AnswerPolicy {
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
    }
}

fn rate(config: &Config) -> Option<RateLimit> {
    let rate = config.signatures_per_source;
    RateLimit::new(rate, rate.saturating_mul(BURST_SECONDS))
}

fn shell(config: &Config, desk: Desk, clock: &Arc<dyn Clock>) -> Shell {
    Shell {
        desk: Arc::new(desk),
        clock: clock.clone(),
        path: config.path.as_str().into(),
        max_request_bytes: config.max_request_bytes,
        max_http_age: HttpAge::new(config.max_http_age.as_secs()),
        log: config.request_log.map(RequestLog::new),
    }
}
