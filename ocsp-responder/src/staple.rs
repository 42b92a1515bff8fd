//! Staples: the answers about some certificates, in files for the servers that
//! hand them on (Exim, HAProxy, nginx).
//!
//! One thread keeps the files up to date, another runs the commands that tell the
//! servers: a command that hangs delays neither answers nor files.

pub mod config;
mod slot;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ca_domain::Timestamp;
use ca_service::{Alarms, Authority, Bell, FileWatch, ServiceError, Wake, Worker};

pub use config::StapleConfig;
use slot::{Reload, Slot};

use crate::answer::Asker;
use crate::http::Shell;

/// The files are looked at this often even without events.
const POLL: Duration = Duration::from_secs(1);

/// Topics of the alarms about staples begin so.
pub const TOPICS: &str = "staple ";

/// Keeps the files of all staples.
#[derive(Debug)]
pub struct StapleKeeper {
    slots: Vec<Slot>,
    alarms: Alarms,
}

impl StapleKeeper {
    /// A keeper of the staples that `configured` names, for certificates of
    /// `authorities`. A certificate that cannot be used raises an alarm; it may
    /// come later.
    #[must_use]
    pub fn new(configured: &[StapleConfig], authorities: &[Authority], alarms: Alarms) -> Self {
        let issuers: Vec<_> = authorities.iter().map(|authority| authority.certificate.clone()).collect();
        let mut slots: Vec<_> = configured.iter().map(|entry| Slot::new(entry, &issuers)).collect();
        for slot in &mut slots {
            slot.load(&alarms);
        }
        Self { slots, alarms }
    }

    /// Brings every file up to date with what `ask` answers to a request at `now`.
    fn tick(&mut self, ask: &dyn Fn(&[u8]) -> Vec<u8>, now: Timestamp) {
        for slot in &mut self.slots {
            slot.tick(ask, now, &self.alarms);
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        self.slots.iter().flat_map(Slot::files).collect()
    }

    fn reloads(&self) -> Vec<Arc<Mutex<Reload>>> {
        self.slots.iter().filter_map(|slot| slot.reload.clone()).collect()
    }
}

/// The keeper in use; another takes its place with a new configuration.
pub type SharedKeeper = Arc<Mutex<StapleKeeper>>;

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the files from now on, in threads of their own, with the answers that
/// clients get. `bell` wakes them when a status may have changed.
///
/// # Errors
/// A thread cannot be started.
pub fn spawn(
    keeper: &SharedKeeper,
    bell: Bell,
    shell: Arc<ArcSwap<Shell>>,
) -> Result<[Worker; 2], ServiceError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|source| ServiceError::Os { action: "start the runtime of the staples", source })?;
    let replaced = Bell::new();
    let commands = Worker::spawn("staple commands", replaced.clone(), {
        let (keeper, bell) = (keeper.clone(), replaced.clone());
        move || {
            while bell.wait(POLL) != Wake::Stopped {
                run_commands(&keeper, &bell);
            }
        }
    })?;
    let keeper = keeper.clone();
    let files = Worker::spawn("staples", bell.clone(), move || {
        let mut watched = lock(&keeper).files();
        let mut watch = FileWatch::new(&watched, bell.clone());
        loop {
            let shell = shell.load_full();
            let (address, now) = (Ipv4Addr::LOCALHOST.into(), shell.clock.now());
            let asker = Asker { address, now, instant: Instant::now() };
            let ask = |request: &[u8]| runtime.block_on(shell.desk.answer(request, asker)).body().to_vec();
            let files = {
                let mut keeper = lock(&keeper);
                keeper.tick(&ask, now);
                keeper.files()
            };
            replaced.ring();
            if files == watched {
                watch.refresh();
            } else {
                watch = FileWatch::new(&files, bell.clone());
                watched = files;
            }
            if bell.wait(POLL) == Wake::Stopped {
                return;
            }
        }
    })?;
    Ok([commands, files])
}

fn run_commands(keeper: &Mutex<StapleKeeper>, bell: &Bell) {
    let (reloads, alarms) = {
        let keeper = lock(keeper);
        (keeper.reloads(), keeper.alarms.clone())
    };
    for reload in reloads {
        lock(&reload).tick(&alarms, || bell.is_stopped());
        // Meanwhile the configuration may have let it go.
        if !lock(keeper).reloads().iter().any(|other| Arc::ptr_eq(other, &reload)) {
            alarms.clear(lock(&reload).topic());
        }
    }
}
