//! `ca notify`.

use clap::Args;

pub(super) const EXAMPLES: &str = "\
Examples:
  ca notify --dry-run
  ca notify --within 30d,7d --to-admin

The mail server, senders and thresholds are in notify.yaml in the home directory.
A notice that the server has taken is never sent again.";

/// What is told to whom.
#[derive(Args, Debug)]
pub(crate) struct NotifyArgs {
    /// Show what would be sent, and send nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How long before the expiry, as 30d,14d,7d,1d [default: those of notify.yaml].
    #[arg(long, value_name = "DURATIONS", value_delimiter = ',', value_parser = crate::input::duration)]
    pub(crate) within: Vec<u64>,
    /// Only the people whose certificates expire.
    #[arg(long, conflicts_with = "to_admin")]
    pub(crate) to_person: bool,
    /// Only the administrators.
    #[arg(long)]
    pub(crate) to_admin: bool,
    /// Send again what may or may not have been sent when a run was interrupted.
    #[arg(long)]
    pub(crate) repeat_doubtful: bool,
}
