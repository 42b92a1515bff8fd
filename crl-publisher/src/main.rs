//! The CRL publisher's command.

use std::process::ExitCode;

use ca_service::Options;
use ca_service::run::{Prepared, run};
use clap::Parser;
use crl_publisher::Daemon;
use crl_publisher::config::Config;

/// Signs and publishes CRLs from the ledger, and serves them over HTTP.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "\
Example:
  crl-publisher --config crl-publisher.yaml --check
  crl-publisher --config crl-publisher.yaml

When it serves it prints `listening on ADDRESS:PORT`. SIGTERM drains and ends it,
SIGHUP takes the configuration anew if it is in order.
/healthz says what is wrong. RUST_LOG sets the
log level.

Exit status: 0 ended or checked well, 1 failed, 2 usage."
)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    let options = Cli::parse().options;
    let check = |clock| Daemon::check(Config::load(&options.config)?, clock);
    run("crl-publisher", &options, check, |clock| {
        let config = Config::load(&options.config)?;
        let listen = config.listen;
        let daemon = Daemon::open(config, clock)?;
        Ok(Prepared { listen, start: |address| daemon.start(address) })
    })
}
