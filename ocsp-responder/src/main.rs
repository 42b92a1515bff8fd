//! The OCSP responder's command.

use std::process::ExitCode;
use std::sync::Arc;

use ca_service::{Options, ServiceError, SystemClock, log};
use clap::Parser;
use ocsp_responder::Daemon;
use ocsp_responder::config::Config;

/// Answers OCSP requests from the ledger.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "\
Example:
  ocsp-responder --config ocsp-responder.yaml --check
  ocsp-responder --config ocsp-responder.yaml

When it serves it prints `listening on ADDRESS:PORT`. SIGTERM drains and ends it.
/healthz says what is wrong, /readyz whether status is given. RUST_LOG sets the
log level.

Exit status: 0 ended or checked well, 1 failed, 2 usage."
)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    let options = Cli::parse().options;
    log::start(options.log_format);
    match run(&options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ocsp-responder: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<ExitCode, ServiceError> {
    let config = Config::load(&options.config)?;
    let address = options.listen.unwrap_or(config.listen);
    let daemon = Daemon::open(config, Arc::new(SystemClock))?;
    if options.check {
        let alarms = daemon.alarms().list();
        for (topic, summary) in &alarms {
            eprintln!("{topic}: {summary}");
        }
        if alarms.is_empty() {
            println!("{} is in order", options.config.display());
        }
        return Ok(if alarms.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let running = daemon.start(address)?;
    println!("listening on {}", running.address());
    if let Some(address) = running.metrics_address() {
        println!("metrics at {address}");
    }
    running.until_signal()?;
    Ok(ExitCode::SUCCESS)
}
