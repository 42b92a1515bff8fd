//! `ca renew`, `ca person`, and what pairs and batches add to `ca issue`.

use std::path::PathBuf;

use ca_core::domain::{KeyAlgorithm, ReasonCode};
use ca_core::person::EncryptionFate;
use clap::{Args, Subcommand, ValueEnum};

use super::PassphraseArgs;
use super::certificate::{ActArgs, ConfirmArgs};
use super::pkcs12::{P12Args, needs_file};
use crate::input;

pub(super) const RENEW_EXAMPLES: &str = "\
Examples:
  ca renew 4f0c... --p12 alice.p12 --p12-password-file alice.password
  ca renew --email alice@example.test --p12 alice.p12 --supersede
  ca renew 4f0c... --same-key --out alice.pem
  ca renew --expiring-within 30d --authority issuing --out renewed-2026-11
  ca renew --batch people.csv --authority issuing --out renewed

Names and template are those of the old certificate. It stays valid unless --supersede is given, and
old encryption certificates always do. With --out DIR the same command goes on after a crash.";

/// A pair of certificates in one act.
#[derive(Args, Debug)]
pub(crate) struct PairArgs {
    /// Issue a pair: one certificate for signing, one for encryption; both or neither.
    #[arg(long, conflicts_with_all = ["template", "escrow", "out_key", "out_chain", "dns"])]
    pub(crate) pair: bool,
    /// The template of the signing certificate [default: that of ca.yaml].
    #[arg(long, value_name = "NAME", requires = "pair")]
    pub(crate) signing_template: Option<String>,
    /// The template of the encryption certificate [default: that of ca.yaml].
    #[arg(long, value_name = "NAME", requires = "pair")]
    pub(crate) encryption_template: Option<String>,
    /// Where a PKCS#12 file with the signing key alone goes.
    #[arg(long, value_name = "FILE", requires = "pair", conflicts_with = "p12")]
    pub(crate) signing_p12: Option<PathBuf>,
    /// Where a PKCS#12 file with the encryption key alone goes.
    #[arg(long, value_name = "FILE", requires = "pair", conflicts_with = "p12")]
    pub(crate) encryption_p12: Option<PathBuf>,
    /// Where the encryption certificate goes, PEM; --out is for the signing certificate.
    #[arg(long, value_name = "FILE", requires = "pair")]
    pub(crate) out_encryption: Option<PathBuf>,
    /// Do not archive the encryption key: mail is lost with it.
    #[arg(long, requires = "pair")]
    pub(crate) no_escrow: bool,
}

/// Many people in one run.
#[derive(Args, Debug)]
pub(crate) struct BatchArgs {
    /// A table of people, CSV with a header; --out is the directory of this batch. The
    /// same command goes on after a crash.
    #[arg(long, value_name = "FILE", requires = "pair", requires = "out",
        conflicts_with_all = ["email", "csr", "p12", "signing_p12", "encryption_p12", "out_encryption"])]
    pub(crate) batch: Option<PathBuf>,
    /// Print a table to begin with, and do nothing else.
    #[arg(long, exclusive = true)]
    pub(crate) sample: bool,
    /// Look at every line of the table, and issue nothing.
    #[arg(long, requires = "batch")]
    pub(crate) dry_run: bool,
    /// Issue to people who have valid certificates of these templates as well.
    #[arg(long, requires = "batch")]
    pub(crate) again: bool,
    /// Tells batches of the same table and options apart.
    #[arg(long, value_name = "TEXT", requires = "batch")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// How a batch runs.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// A shell command that gets the passwords on standard input, as lines of address,
    /// file and password with tabs between [default: the file passwords.csv, mode 0600].
    #[arg(long, value_name = "COMMAND")]
    pub(crate) password_program: Option<String>,
    /// Threads that make keys [default: one a processor].
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
}

impl RunArgs {
    pub(crate) fn workers(&self) -> usize {
        self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into))
    }
}

#[derive(Args, Debug)]
#[group(id = "renewed", required = true, multiple = false, args = ["serials", "email", "expiring_within", "batch"])]
pub(crate) struct RenewTargetArgs {
    /// Serial numbers, hexadecimal.
    #[arg(value_name = "SERIAL")]
    pub(crate) serials: Vec<String>,
    /// The newest certificate of this mailbox from each template.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: Option<String>,
    /// Everything that expires within this time and has no successor, as 30d.
    #[arg(long, value_name = "DURATION", value_parser = input::duration, requires = "out", requires = "authority")]
    pub(crate) expiring_within: Option<u64>,
    /// The people of a table, CSV with a header.
    #[arg(long, value_name = "FILE", requires = "out", requires = "authority")]
    pub(crate) batch: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct RenewArgs {
    #[command(flatten)]
    pub(crate) target: RenewTargetArgs,
    /// Who issues [default: the authority of the old certificate].
    #[arg(long, value_name = "NAME")]
    pub(crate) authority: Option<String>,
    /// Certify the old key again; the template must allow it.
    #[arg(long, conflicts_with_all = ["key", "csr", "expiring_within", "batch", "p12"])]
    pub(crate) same_key: bool,
    /// A certification request with the new key, PEM or DER; for one certificate.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "expiring_within", "batch", "p12"])]
    pub(crate) csr: Option<PathBuf>,
    /// Revoke old certificates that sign as superseded, in the same act.
    #[arg(long)]
    pub(crate) supersede: bool,
    #[command(flatten)]
    pub(crate) new: NewKeyArgs,
    /// Where the certificates go, PEM; with --expiring-within and --batch the directory
    /// of the batch.
    #[arg(long, value_name = "PATH")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

/// New keys and the file that they are delivered in.
#[derive(Args, Debug)]
#[command(mut_args(needs_file))]
pub(crate) struct NewKeyArgs {
    /// The key to make here [default: the template's].
    #[arg(long, value_name = "ALGORITHM")]
    pub(crate) key: Option<KeyAlgorithm>,
    /// Where the PKCS#12 file with the new keys goes.
    #[arg(long, value_name = "FILE")]
    pub(crate) p12: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) protection: P12Args,
    /// Do not archive new encryption keys: mail is lost with them.
    #[arg(long)]
    pub(crate) no_escrow: bool,
    /// Validity [default: the template's].
    #[arg(long)]
    pub(crate) days: Option<u32>,
    /// Replace output files that exist.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PersonCommand {
    /// Tell everything about a mailbox: certificates, archived keys, whether it left.
    #[command(after_help = "Example:\n  ca person show --email alice@example.test")]
    Show {
        /// The mailbox.
        #[arg(long, value_name = "ADDRESS")]
        email: String,
    },
    /// Revoke what somebody signs with who leaves, and record that they left.
    #[command(after_help = "\
Examples:
  ca person leave --email alice@example.test --encryption keep
  ca person leave --email alice@example.test --encryption revoke --reason cessationOfOperation --dry-run

Archived keys stay in the archive.")]
    Leave(LeaveArgs),
    /// Issue for a new address and supersede the certificates of the old one, in one act.
    #[command(after_help = "\
Example:
  ca person rename --email alice@example.test --to alice.archer@example.test --p12 alice.p12")]
    Rename(Box<RenameArgs>),
}

/// What happens to certificates for encryption.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Fate {
    /// They are valid until they expire.
    Keep,
    /// They are revoked.
    Revoke,
}

impl From<Fate> for EncryptionFate {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Keep => Self::Keep,
            Fate::Revoke => Self::Revoke,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct LeaveArgs {
    /// The mailbox.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: String,
    /// Why certificates are revoked.
    #[arg(long, default_value = "affiliationChanged")]
    pub(crate) reason: ReasonCode,
    /// What happens to certificates that only encrypt.
    #[arg(long, value_enum)]
    pub(crate) encryption: Fate,
    #[command(flatten)]
    pub(crate) act: ActArgs,
}

#[derive(Args, Debug)]
pub(crate) struct RenameArgs {
    /// The old address.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: String,
    /// The new address.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) to: String,
    /// Let old certificates that only encrypt run on.
    #[arg(long)]
    pub(crate) keep_encryption: bool,
    #[command(flatten)]
    pub(crate) new: NewKeyArgs,
    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}
