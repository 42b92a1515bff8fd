//! The life of a service: options, readiness, worker threads, signals, drain.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::Router;
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::server::{self, Handler};
use crate::{Bell, Limits, Reload, ServiceError, log};

/// Who watches needs few connections.
const METRICS_CONNECTIONS: usize = 16;
/// A daemon that ends waits so long for its workers: shorter than the service manager waits for it.
const FAREWELL: Duration = Duration::from_secs(60);
/// How often it looks whether they have ended.
const LOOK: Duration = Duration::from_millis(5);

/// The options that every daemon has.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The configuration file (YAML).
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Check the configuration and everything it names, then end: 0 if all is well, 1 if not.
    /// Nothing is written.
    #[arg(long)]
    pub check: bool,
    /// Listen here instead of at the configured address; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// How log lines on standard error look.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: log::Format,
}

/// A thread of a daemon that lives until it is told to stop.
#[derive(Debug)]
pub struct Worker {
    name: String,
    bell: Bell,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts `work`, which returns when `bell` says [`Wake::Stopped`](crate::Wake::Stopped).
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn spawn(
        name: impl Into<String>,
        bell: Bell,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<Self, ServiceError> {
        let name = name.into();
        let thread = std::thread::Builder::new()
            .name(name.clone())
            .spawn(work)
            .map_err(|source| ServiceError::Os { action: "start a thread", source })?;
        Ok(Self { name, bell, thread })
    }
}

/// The workers of a daemon. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Crew {
    workers: Arc<Mutex<Vec<Worker>>>,
}

impl Crew {
    /// Puts new workers in the place of those that were stopped.
    pub fn start(&self, workers: Vec<Worker>) {
        self.lock().extend(workers);
    }

    /// Ends all workers and waits for their end.
    pub fn stop(&self) {
        let workers = std::mem::take(&mut *self.lock());
        for worker in &workers {
            worker.bell.stop();
        }
        for worker in workers {
            if worker.thread.join().is_err() {
                tracing::error!(worker = worker.name, "a worker ended in a panic");
            }
        }
    }

    /// Ends all workers and waits for their end, at most for `limit`: what hangs ends with the process.
    pub fn end(&self, limit: Duration) {
        let workers = std::mem::take(&mut *self.lock());
        for worker in &workers {
            worker.bell.stop();
        }
        let deadline = Instant::now() + limit;
        for worker in workers {
            while !worker.thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(LOOK);
            }
            if !worker.thread.is_finished() {
                tracing::error!(worker = worker.name, "a worker hangs and is not waited for");
            } else if worker.thread.join().is_err() {
                tracing::error!(worker = worker.name, "a worker ended in a panic");
            }
        }
    }

    /// Whether all work; a crew without workers was not started again.
    fn is_alive(&self) -> bool {
        let workers = self.lock();
        let dead = workers.iter().find(|worker| worker.thread.is_finished());
        if let Some(dead) = dead {
            tracing::error!(worker = dead.name, "ALARM: a worker died; the daemon ends");
        }
        dead.is_none() && !workers.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A daemon that serves.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    runtime: Runtime,
    stop: watch::Sender<bool>,
    servers: Vec<tokio::task::JoinHandle<()>>,
    metrics: Option<SocketAddr>,
    reload: Option<Reload>,
    crew: Crew,
}

/// The signals that a daemon heeds, from when this exists.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Heeds the signals for a daemon.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn handled_by(running: &Running) -> Result<Self, ServiceError> {
        let _context = running.runtime.enter();
        let heed =
            |kind| signal(kind).map_err(|source| ServiceError::Os { action: "handle signals", source });
        Ok(Self {
            terminate: heed(SignalKind::terminate())?,
            interrupt: heed(SignalKind::interrupt())?,
            hangup: heed(SignalKind::hangup())?,
        })
    }
}

impl Running {
    /// Listens at `address` and serves `app`; `workers` end with the daemon.
    ///
    /// # Errors
    /// The address is taken, or the runtime cannot be started.
    pub fn start(
        address: SocketAddr,
        app: impl Handler,
        limits: Limits,
        workers: Vec<Worker>,
    ) -> Result<Self, ServiceError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|source| ServiceError::Os { action: "start the runtime", source })?;
        let (listener, address) = bind(&runtime, address, "listen")?;
        let (stop, stopped) = watch::channel(false);
        let crew = Crew::default();
        crew.start(workers);
        let servers = vec![runtime.spawn(server::serve(listener, app, limits, stopped))];
        Ok(Self { address, runtime, stop, servers, metrics: None, reload: None, crew })
    }

    /// Serves `app` at a second address, for those who watch the daemon.
    ///
    /// # Errors
    /// The address is taken. The daemon was stopped then.
    pub fn with_metrics(mut self, address: SocketAddr, app: Router) -> Result<Self, ServiceError> {
        match bind(&self.runtime, address, "metrics_listen") {
            Ok((listener, address)) => {
                let limits = Limits { connections: METRICS_CONNECTIONS, ..Limits::default() };
                let stopped = self.stop.subscribe();
                self.servers.push(self.runtime.spawn(server::serve(listener, app, limits, stopped)));
                self.metrics = Some(address);
                Ok(self)
            }
            Err(error) => {
                self.stop();
                Err(error)
            }
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it shows metrics, if it does.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Drains the connections and ends the workers.
    pub fn stop(self) {
        // Without a receiver the server has ended already.
        let _ = self.stop.send(true);
        for server in self.servers {
            let _ = self.runtime.block_on(server);
        }
        self.crew.end(FAREWELL);
        self.runtime.shutdown_timeout(Duration::from_secs(1));
    }

    /// Its workers.
    #[must_use]
    pub fn crew(&self) -> Crew {
        self.crew.clone()
    }

    /// Takes new configurations with `reload` from now on.
    #[must_use]
    pub fn with_reload(self, reload: Reload) -> Self {
        Self { reload: Some(reload), ..self }
    }

    /// Takes the configuration at `path`, as SIGHUP does.
    pub fn reload(&mut self, path: &Path) {
        match &mut self.reload {
            Some(reload) => reload.run(path),
            None => tracing::warn!("a new configuration needs a restart here"),
        }
    }

    /// Tells the service manager, waits for SIGTERM or SIGINT, then drains and
    /// ends. SIGHUP takes the configuration at `config` anew.
    ///
    /// # Errors
    /// A worker died: its files would not be followed any more, so the daemon
    /// must not go on as if nothing happened.
    pub fn until_signal(mut self, mut signals: Signals, config: &Path) -> Result<(), ServiceError> {
        tell(&[NotifyState::Ready]);
        let ended = loop {
            match self.runtime.block_on(wait(&mut signals, &self.crew)) {
                Event::End => break Ok(()),
                Event::WorkerDied => {
                    break Err(ServiceError::Os {
                        action: "keep all workers alive",
                        source: io::Error::other("see the log for its panic"),
                    });
                }
                Event::Reload => {
                    tell_reloading();
                    self.reload(config);
                    tell(&[NotifyState::Ready]);
                }
            }
        };
        tell(&[NotifyState::Stopping]);
        tracing::info!("stopping");
        self.stop();
        ended
    }
}

/// What a daemon waits for.
enum Event {
    End,
    Reload,
    WorkerDied,
}

/// Binds the address that `setting` chose; with the address that it became.
fn bind(
    runtime: &Runtime,
    address: SocketAddr,
    setting: &'static str,
) -> Result<(TcpListener, SocketAddr), ServiceError> {
    let refused = |source| ServiceError::Listen { address, setting, source };
    let listener = runtime.block_on(TcpListener::bind(address)).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

async fn wait(signals: &mut Signals, crew: &Crew) -> Event {
    let watchdog = sd_notify::watchdog_enabled();
    let every = watchdog.map_or(Duration::from_secs(1), |limit| (limit / 3).min(Duration::from_secs(1)));
    let mut tick = tokio::time::interval(every);
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return Event::End,
            _ = signals.interrupt.recv() => return Event::End,
            _ = signals.hangup.recv() => return Event::Reload,
            _ = tick.tick() => {
                if !crew.is_alive() {
                    return Event::WorkerDied;
                }
                if watchdog.is_some() {
                    tell(&[NotifyState::Watchdog]);
                }
            }
        }
    }
}

/// The service manager wants the time with it, to tell this reload from one before.
fn tell_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(time) => tell(&[NotifyState::Reloading, time]),
        Err(error) => tracing::warn!(%error, "the service manager was not told"),
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager was not told");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::Wake;

    #[test]
    fn an_end_does_not_wait_for_what_hangs() {
        let crew = Crew::default();
        let (release, wait) = mpsc::channel::<()>();
        let (ended, end) = mpsc::channel();
        let good = Bell::new();
        let bell = good.clone();
        let work = move || while bell.wait(Duration::from_secs(60)) != Wake::Stopped {};
        let hangs = move || {
            let _ = wait.recv();
            ended.send(()).unwrap();
        };
        crew.start(vec![
            Worker::spawn("hangs", Bell::new(), hangs).unwrap(),
            Worker::spawn("good", good, work).unwrap(),
        ]);
        crew.end(Duration::ZERO);
        assert!(end.try_recv().is_err(), "it hangs on");
        release.send(()).unwrap();
        end.recv().unwrap();
    }
}
