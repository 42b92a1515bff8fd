//! What the command of a daemon does: read, check or serve, and end.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use crate::daemon::Signals;
use crate::{Alarms, Clock, Options, Running, SaneClock, ServiceError, log};

/// A daemon that is set up and does not serve yet.
pub struct Prepared<F> {
    /// Where its configuration says to listen.
    pub listen: SocketAddr,
    /// Serves at an address.
    pub start: F,
}

/// Runs the daemon that `prepare` sets up until a signal ends it. Where it is only to be
/// checked, that is done by `check`, which tells what is wrong and writes nothing.
pub fn run<F: FnOnce(SocketAddr) -> Result<Running, ServiceError>>(
    name: &str,
    options: &Options,
    check: impl FnOnce(Arc<dyn Clock>) -> Result<Alarms, ServiceError>,
    prepare: impl FnOnce(Arc<dyn Clock>) -> Result<Prepared<F>, ServiceError>,
) -> ExitCode {
    log::start(options.log_format);
    let clock = Arc::new(SaneClock::system());
    let ended = if options.check {
        check(clock).map(|alarms| judge(&alarms, options))
    } else {
        prepare(clock).and_then(|daemon| serve(daemon, options))
    };
    ended.unwrap_or_else(|error| {
        eprintln!("{name}: {error}");
        ExitCode::FAILURE
    })
}

fn judge(alarms: &Alarms, options: &Options) -> ExitCode {
    let alarms = alarms.snapshot();
    for alarm in &alarms {
        eprintln!("{}: {}: {}", alarm.topic, alarm.summary, alarm.detail);
    }
    if !alarms.is_empty() {
        return ExitCode::FAILURE;
    }
    println!("{} is in order", options.config.display());
    ExitCode::SUCCESS
}

fn serve<F: FnOnce(SocketAddr) -> Result<Running, ServiceError>>(
    daemon: Prepared<F>,
    options: &Options,
) -> Result<ExitCode, ServiceError> {
    let running = (daemon.start)(options.listen.unwrap_or(daemon.listen))?;
    // Who reads the address may send a signal at once.
    let signals = Signals::handled_by(&running)?;
    println!("listening on {}", running.address());
    if let Some(address) = running.metrics_address() {
        println!("metrics at {address}");
    }
    running.until_signal(signals, &options.config)?;
    Ok(ExitCode::SUCCESS)
}
