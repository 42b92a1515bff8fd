//! Makes a home with many certificates.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use ca_core::domain::KeyAlgorithm;
use ca_core::inventory::rebuild_index;
use chancery_benches::home::{Bench, wait};
use chancery_benches::sample::seconds;
use chancery_benches::table::note;
use chancery_benches::{Result, forge};
use clap::Parser;

/// Makes DIR/home, a home with a P-256 root `root-issuing`, the authority
/// `issuing` and N certificates, and DIR/passphrase, which unlocks both.
#[derive(Debug, Parser)]
struct Cli {
    /// Certificates to issue.
    #[arg(long, value_name = "N")]
    count: usize,
    /// Certificates of one person, all with the same key.
    #[arg(long, value_name = "N", default_value_t = 10)]
    per_person: usize,
    /// Leave the index to the first command that needs it.
    #[arg(long)]
    no_index: bool,
    /// A new directory.
    dir: PathBuf,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("make-home: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let bench = Bench::create(&cli.dir)?;
    bench.authorities("issuing", KeyAlgorithm::P256)?;
    let began = Instant::now();
    let mut told = 0;
    forge::fill(&bench, cli.count, cli.per_person, &mut |done| {
        if done >= told + 100_000 {
            told = done;
            note(&format!("{done} certificates after {}", seconds(began.elapsed().as_secs_f64())));
        }
    })?;
    let took = began.elapsed().as_secs_f64();
    note(&format!("{} certificates in {}", cli.count, seconds(took)));
    if !cli.no_index {
        let began = Instant::now();
        let entries = rebuild_index(bench.home(), &wait())?;
        note(&format!("index of {entries} entries in {}", seconds(began.elapsed().as_secs_f64())));
    }
    Ok(())
}
