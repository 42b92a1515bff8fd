//! The OCSP responder's command.

use std::process::ExitCode;

use ca_service::Options;
use ca_service::run::{Prepared, run};
use clap::Parser;
use ocsp_responder::Daemon;
use ocsp_responder::config::Config;

/// An answer from memory is a dozen small allocations and little else.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Answers OCSP requests from the ledger.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "\
Example:
  ocsp-responder --config ocsp-responder.yaml --check
  ocsp-responder --config ocsp-responder.yaml

When it serves it prints `listening on ADDRESS:PORT`. SIGTERM drains and ends it,
SIGHUP takes the configuration anew if it is in order.
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
    let check = |clock| Daemon::check(Config::load(&options.config)?, clock);
    run("ocsp-responder", &options, check, |clock| {
        let config = Config::load(&options.config)?;
        let listen = config.listen;
        let daemon = Daemon::open(config, clock)?;
        Ok(Prepared { listen, start: |address| daemon.start(address) })
    })
}
