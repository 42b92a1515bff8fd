//! One file per group of commands.

mod authority;
mod cert;
mod check;
mod crl;
mod escrow;
mod export;
mod init;
mod issue;
mod ledger;
mod maintain;
mod manual;
mod notify;
mod ocsp;
mod pair;
mod person;
mod presign;
mod publish;
mod renew;
mod request;
mod revoke;
mod template;

use crate::args::{Command, IndexCommand};
use crate::context::Context;
use crate::error::Result;

/// Runs one command.
pub(crate) fn run(command: Command, context: &Context) -> Result<()> {
    match command {
        Command::Authority(command) => authority::run(command, context),
        Command::Cert(command) => cert::run(command, context),
        Command::Check(command) => check::run(command, context),
        Command::Completions { shell } => manual::completions(shell, context),
        Command::Crl(command) => crl::run(command, context),
        Command::Escrow(command) => escrow::run(command, context),
        Command::Export(command) => export::run(command, context),
        Command::History(command) => escrow::history(command, context),
        Command::Hold(args) => revoke::hold(&args, context),
        Command::Index(IndexCommand::Rebuild) => ledger::rebuild_index(context),
        Command::Init(args) => init::run(&args, context),
        Command::Issue(args) => issue::run(&args, context),
        Command::Ledger(command) => ledger::run(command, context),
        Command::Maintain(args) => maintain::run(&args, context),
        Command::Man { out } => manual::pages(out.as_deref(), context),
        Command::Notify(args) => notify::run(&args, context),
        Command::Ocsp(command) => ocsp::run(command, context),
        Command::OcspSigner(command) => crl::ocsp_signer(command, context),
        Command::Person(command) => person::run(command, context),
        Command::Publish(command) => publish::run(command, context),
        Command::Release(args) => revoke::release(&args, context),
        Command::Renew(args) => renew::run(&args, context),
        Command::Request(command) => request::run(command, context),
        Command::Revoke(args) => revoke::revoke(&args, context),
        Command::Template(command) => template::run(command, context),
    }
}
