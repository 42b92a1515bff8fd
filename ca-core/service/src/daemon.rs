//! The life of a service: options, readiness, worker threads, signals, drain.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::{Bell, Limits, ServiceError, log, server};

/// Who watches needs few connections.
const METRICS_CONNECTIONS: usize = 16;

/// The options that every daemon has.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The configuration file (YAML).
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Check the configuration and everything it names, then end: 0 if all is well, 1 if not.
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

/// A daemon that serves.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    runtime: Runtime,
    stop: watch::Sender<bool>,
    servers: Vec<tokio::task::JoinHandle<()>>,
    metrics: Option<SocketAddr>,
    workers: Vec<Worker>,
}

impl Running {
    /// Listens at `address` and serves `app`; `workers` end with the daemon.
    ///
    /// # Errors
    /// The address is taken, or the runtime cannot be started.
    pub fn start(
        address: SocketAddr,
        app: Router,
        limits: Limits,
        workers: Vec<Worker>,
    ) -> Result<Self, ServiceError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|source| ServiceError::Os { action: "start the runtime", source })?;
        let (listener, address) = bind(&runtime, address, "listen")?;
        let (stop, stopped) = watch::channel(false);
        let servers = vec![runtime.spawn(server::serve(listener, app, limits, stopped))];
        Ok(Self { address, runtime, stop, servers, metrics: None, workers })
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
        for worker in &self.workers {
            worker.bell.stop();
        }
        for worker in self.workers {
            if worker.thread.join().is_err() {
                tracing::error!(worker = worker.name, "a worker ended in a panic");
            }
        }
        self.runtime.shutdown_timeout(Duration::from_secs(1));
    }

    /// Tells the service manager, waits for SIGTERM or SIGINT, then drains and ends.
    ///
    /// # Errors
    /// Signals cannot be handled, or a worker died: its files would not be
    /// followed any more, so the daemon must not go on as if nothing happened.
    pub fn until_signal(self) -> Result<(), ServiceError> {
        let ended = self.runtime.block_on(wait(&self.workers));
        tell(&[NotifyState::Stopping]);
        tracing::info!("stopping");
        self.stop();
        ended
    }
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

async fn wait(workers: &[Worker]) -> Result<(), ServiceError> {
    let os = |source| ServiceError::Os { action: "handle signals", source };
    let mut terminate = signal(SignalKind::terminate()).map_err(os)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(os)?;
    tell(&[NotifyState::Ready]);
    let watchdog = sd_notify::watchdog_enabled();
    let every = watchdog.map_or(Duration::from_secs(1), |limit| (limit / 3).min(Duration::from_secs(1)));
    let mut tick = tokio::time::interval(every);
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = tick.tick() => {
                if let Some(dead) = workers.iter().find(|worker| worker.thread.is_finished()) {
                    tracing::error!(worker = dead.name, "ALARM: a worker died; the daemon ends");
                    return Err(ServiceError::Os {
                        action: "keep all workers alive",
                        source: io::Error::other("see the log for its panic"),
                    });
                }
                if watchdog.is_some() {
                    tell(&[NotifyState::Watchdog]);
                }
            }
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager was not told");
    }
}
