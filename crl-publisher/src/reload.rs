//! A new configuration taken while serving.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::Request;
use ca_service::{Access, Clock, Crew, LedgerView, ServiceError};
use ca_status::StatusTable;
use tower::ServiceExt;

use crate::alarms::teller::Teller;
use crate::config::Config;
use crate::shelf::Shelf;
use crate::{Daemon, Watched};

/// What is served and shown now. Clones are the same.
#[derive(Clone)]
pub struct Live(Arc<ArcSwap<Parts>>);

struct Parts {
    router: Router,
    shelf: Arc<Shelf>,
    view: Arc<LedgerView<StatusTable>>,
}

impl Parts {
    fn of(daemon: &Daemon) -> Self {
        Self { router: daemon.router(), shelf: daemon.shelf.clone(), view: daemon.view.clone() }
    }
}

impl Live {
    /// What `daemon` serves.
    #[must_use]
    pub fn of(daemon: &Daemon) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Parts::of(daemon))))
    }

    /// Answers each request with what is served when it comes.
    pub fn router(&self) -> Router {
        let live = self.clone();
        Router::new().fallback(async move |request: Request| {
            let router = live.0.load().router.clone();
            router.oneshot(request).await
        })
    }

    /// The shelf in use.
    pub fn shelf(&self) -> impl Fn() -> Arc<Shelf> + Send + 'static {
        let live = self.clone();
        move || live.0.load().shelf.clone()
    }

    /// The view of the ledger in use.
    pub fn view(&self) -> impl Fn() -> Arc<LedgerView<StatusTable>> + Send + 'static {
        let live = self.clone();
        move || live.0.load().view.clone()
    }
}

/// A publisher that serves, and can take another configuration.
pub struct Reloadable {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) watched: Watched,
    pub(crate) live: Live,
    pub(crate) crew: Crew,
}

impl Reloadable {
    /// Takes the configuration at `path` if all of it can be used: certificates,
    /// keys, passphrases. What could not be opened until now may wait on. Returns the settings that wait for a restart.
    ///
    /// # Errors
    /// Something is unusable; then the old one goes on. A passphrase that came
    /// from a descriptor cannot be read again.
    pub fn take(&mut self, path: &Path) -> Result<Vec<&'static str>, ServiceError> {
        self.check_pulse()?;
        let mut config = Config::load(path)?;
        let waiting = config.keep_fixed(&self.config);
        // What is not open now cannot be lost; all else must open.
        let known = self.watched.alarms.list();
        let may_be = |alarm: &str| known.iter().any(|(topic, _)| topic == alarm);
        let mut next =
            Daemon::open_on(config.clone(), self.clock.clone(), self.watched.clone(), Access::Keep, &may_be)?;
        next.prepare()?;
        next.read_ledger();
        // One at a time signs: the next reads what the last has published. What is
        // served stays meanwhile.
        self.crew.stop();
        self.watched.alarms.clear_all("");
        let names = config.authorities.iter().map(|authority| authority.name.clone()).collect();
        self.watched.tenure.keep_only(&names);
        self.watched.board.keep_only(&names);
        next.targets.judge();
        next.tellers.iter().for_each(Teller::judge);
        let parts = Parts::of(&next);
        let workers = next.spawn()?;
        self.live.0.store(Arc::new(parts));
        self.crew.start(workers);
        self.config = config;
        Ok(waiting)
    }

    /// A thread that hangs cannot be stopped, and two must not publish for one authority.
    fn check_pulse(&self) -> Result<(), ServiceError> {
        let now = self.clock.now();
        let authority = self.watched.pulse.hanging(now).into_iter().next();
        let authority = authority.map(|(name, since)| (format!("authority {name}"), since));
        let ledger = || self.live.view()().hanging(now).map(|since| ("ledger".to_owned(), since));
        authority.or_else(ledger).map_or(Ok(()), |(topic, since)| {
            let what = format!("it hangs since {since}; reload when it goes on, or restart");
            Err(ServiceError::Unready { topic, what })
        })
    }
}
