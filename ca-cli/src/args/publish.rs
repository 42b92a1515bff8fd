//! `ca publish`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum PublishCommand {
    /// Make directories hold the current certificates: OpenLDAP, Active Directory.
    #[command(after_help = "\
Examples:
  ca publish ldap --dry-run                      # what would change, value by value
  ca publish ldap                                # change it
  ca publish ldap --email alice@example.test     # one person
  ca publish ldap --ldif changes.ldif            # write the changes for an import by hand
  ca publish ldap --from export.ldif --ldif changes.ldif   # the same, without a connection

The directories are described in publish.yaml of the home. Values that this authority did not issue
are never touched. What is done stays done: after a failure run it again. See docs/directories.md.")]
    Ldap(PublishLdapArgs),
}

#[derive(Args, Debug)]
pub(crate) struct PublishLdapArgs {
    /// This directory of publish.yaml; may be repeated [default: all].
    #[arg(long, value_name = "NAME")]
    pub(crate) directory: Vec<String>,
    /// The person with this mailbox; may be repeated [default: everybody].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: Vec<String>,
    /// Show the difference and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write the changes as LDIF, and change nothing in the directory.
    #[arg(long, value_name = "FILE")]
    pub(crate) ldif: Option<PathBuf>,
    /// Read the entries from an LDIF export, not from the directory.
    #[arg(long, value_name = "FILE", requires = "ldif")]
    pub(crate) from: Option<PathBuf>,
    /// Replace the LDIF file if it exists.
    #[arg(long, requires = "ldif")]
    pub(crate) force: bool,
}
