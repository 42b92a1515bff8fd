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
    /// Keep a signed object of a person, so that userSMIMECertificate can be published.
    #[command(after_help = "\
Examples:
  ca publish object --email alice@example.test --key alice-signing.key
  ca publish object --email alice@example.test --file alice.p7m

The first makes the object with the person's signing key; the second takes one that their mail client made.
Where `publish.yaml` asks for userSMIMECertificate, keys that are made here get theirs when they are issued.")]
    Object(PublishObjectArgs),
    /// Write SMIMEA records: lines for a zone file, a script for nsupdate.
    #[command(after_help = "\
Examples:
  ca publish smimea --domain example.test --zone smimea.zone
  ca publish smimea --domain example.test --zone smimea.zone --nsupdate changes.txt && nsupdate -k key changes.txt
  ca publish smimea --domain example.test --previous axfr.txt --nsupdate changes.txt

The zone file that is there counts as what was published before: records of people who left, and of
certificates that are not good any more, go; records of others stay. See docs/smimea.md.")]
    Smimea(PublishSmimeaArgs),
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

#[derive(Args, Debug)]
pub(crate) struct PublishObjectArgs {
    /// The person's mailbox.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: String,
    /// The person's signing key, PEM, mode 0600.
    #[arg(long, value_name = "FILE", required_unless_present = "file", conflicts_with = "file")]
    pub(crate) key: Option<PathBuf>,
    /// A file with the passphrase of the key on its first line, mode 0600.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) key_passphrase_file: Option<PathBuf>,
    /// An object that was made elsewhere: PKCS#7 signed data over empty content, DER.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct PublishSmimeaArgs {
    /// Mailboxes of this domain; may be repeated [default: all domains].
    #[arg(long, value_name = "NAME")]
    pub(crate) domain: Vec<String>,
    /// Certificates of this authority; may be repeated [default: every authority of the home].
    #[arg(long, value_name = "NAME")]
    pub(crate) authority: Vec<String>,
    /// Certificate usage: 3 (DANE-EE) or 1 (PKIX-EE).
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    pub(crate) usage: u8,
    /// Seconds that resolvers keep a record.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub(crate) ttl: u32,
    /// What was published before [default: the zone file, if it exists].
    #[arg(long, value_name = "FILE")]
    pub(crate) previous: Option<PathBuf>,
    /// Where the lines for the zone file go [default: standard output].
    #[arg(long, value_name = "FILE")]
    pub(crate) zone: Option<PathBuf>,
    /// Where a script for nsupdate goes that makes the changes.
    #[arg(long, value_name = "FILE")]
    pub(crate) nsupdate: Option<PathBuf>,
    /// Show what changes, and write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
