//! `ca maintain`.

use clap::Args;

use super::PassphraseArgs;

pub(super) const EXAMPLES: &str = "\
Examples:
  ca maintain --dry-run
  ca maintain --passphrase-file /etc/chancery/passphrase

What is looked after is in ca.yaml, under `maintain`. Nothing is done twice: run it
as often as you like. The passphrase is read only when a signer is to be certified.";

/// What is done, and with which passphrase.
#[derive(Args, Debug)]
pub(crate) struct MaintainArgs {
    /// Show what is due, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}
