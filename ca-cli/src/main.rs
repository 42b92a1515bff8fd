//! `ca`: the command line of the authority.
//!
//! Thin: it parses, asks, calls a use-case of [`ca_core`] and reports.

mod args;
mod command;
mod context;
mod error;
mod input;
mod passphrase;
mod plan;
mod report;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::context::Context;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return error::usage(&error),
    };
    let context = Context::new(&cli.global);
    match command::run(cli.command, &context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => error.report(cli.global.json),
    }
}
