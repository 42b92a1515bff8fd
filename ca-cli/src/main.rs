//! `ca`: the command line of the authority.
//!
//! Thin: it parses, asks, calls a use-case of [`ca_core`] and reports.

mod args;
mod command;
mod context;
mod error;
mod input;
mod operator;
mod passphrase;
mod plan;
mod report;

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches};

use crate::args::Cli;
use crate::context::Context;

fn main() -> ExitCode {
    // Libraries that make files of their own, the index, keep them private.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let parsed = Cli::command().try_get_matches().and_then(|matches| {
        let cli = Cli::from_arg_matches(&matches)?;
        Ok((cli, words(&matches)))
    });
    let (cli, words) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return error::usage(&error),
    };
    let context = Context::new(&cli.global, words);
    match command::run(cli.command, &context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => error.report(cli.global.json),
    }
}

/// The words of the command, `ca authority create`: without arguments, which may
/// hold a name or an address.
fn words(matches: &ArgMatches) -> String {
    let mut words = "ca".to_owned();
    let mut level = matches;
    while let Some((name, below)) = level.subcommand() {
        words.push(' ');
        words.push_str(name);
        level = below;
    }
    words
}
