//! `ca issue`, `ca cert`, `ca revoke`, `ca hold`, `ca release`.

use std::path::PathBuf;

use ca_core::domain::{KeyAlgorithm, ReasonCode, Timestamp};
use ca_core::index::StateFilter;
use clap::{Args, Subcommand, ValueEnum};

use super::authority::ExportArgs;
use super::person::{BatchArgs, PairArgs};
use super::pkcs12::P12Args;
use super::{PassphraseArgs, SubjectArgs};
use crate::input;

pub(super) const ISSUE_EXAMPLES: &str = "\
Examples:
  ca issue --authority issuing --template smime-signing --email alice@example.test --csr alice.csr --out alice.pem
  ca issue --authority issuing --template smime-encryption --email alice@example.test --common-name 'Alice' \\
     --p12 alice.p12 --p12-password-file alice.password
  ca issue --authority issuing --pair --email alice@example.test --p12 alice.p12
  ca issue --sample > people.csv
  ca issue --authority issuing --pair --batch people.csv --out batch-2026-11
  ca issue --authority tls --template mail-server-tls --dns mail.example.test --out-key mail.key --out-chain mail.pem

Of a request only the public key is used. Names come from this command line, all else from the template.";

pub(super) const REVOKE_EXAMPLES: &str = "\
Examples:
  ca revoke 4f0c... --reason superseded
  ca revoke --email alice@example.test --reason keyCompromise --invalidity-date 2026-11-20
  ca revoke --file serials.txt --reason cessationOfOperation --dry-run

Reasons: unspecified, keyCompromise, cACompromise, affiliationChanged, superseded,
cessationOfOperation, privilegeWithdrawn, aACompromise. A suspension is `ca hold`.";

#[derive(Args, Debug)]
pub(crate) struct IssueArgs {
    /// Who issues.
    #[arg(long, value_name = "NAME", required_unless_present = "sample")]
    pub(crate) authority: Option<String>,
    /// What is issued; see `ca template list`.
    #[arg(long, value_name = "NAME", required_unless_present_any = ["pair", "sample"])]
    pub(crate) template: Option<String>,
    #[command(flatten)]
    pub(crate) pair: PairArgs,
    #[command(flatten)]
    pub(crate) batch: BatchArgs,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    /// A certification request, PEM or DER, `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "out_key")]
    pub(crate) csr: Option<PathBuf>,
    /// The key to make here [default: the template's].
    #[arg(long, value_name = "ALGORITHM")]
    pub(crate) key: Option<KeyAlgorithm>,
    /// Archive the key for the recovery agents; for encryption keys made here.
    #[arg(long, conflicts_with = "csr")]
    pub(crate) escrow: bool,
    /// Validity [default: the template's].
    #[arg(long)]
    pub(crate) days: Option<u32>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

/// The files that a certificate is delivered as.
#[derive(Args, Debug)]
pub(crate) struct OutputArgs {
    /// Where the certificate goes, PEM.
    #[arg(long, visible_alias = "out-cert", value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Where the certificate and its issuers go, PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) out_chain: Option<PathBuf>,
    /// Where the generated key goes, PEM without encryption, for servers.
    #[arg(long, value_name = "FILE")]
    pub(crate) out_key: Option<PathBuf>,
    /// Where the PKCS#12 file with the generated key and the chain goes.
    #[arg(long, value_name = "FILE")]
    pub(crate) p12: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) protection: P12Args,
    /// The name that clients show for the key [default: the common name or address].
    #[arg(long, value_name = "TEXT")]
    pub(crate) friendly_name: Option<String>,
    /// Replace output files that exist.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CertCommand {
    /// List certificates.
    #[command(after_help = "\
Examples:
  ca cert list --mailbox alice@example.test
  ca cert list --state good --expiring-within 30d --csv > expiring.csv")]
    List(ListArgs),
    /// Show one certificate.
    Show {
        /// Its serial number, hexadecimal.
        serial: String,
    },
    /// Export one certificate.
    #[command(after_help = "Example:\n  ca cert export 4f0c... --format p7b --out alice.p7b")]
    Export {
        /// Its serial number, hexadecimal.
        serial: String,
        #[command(flatten)]
        form: ExportArgs,
    },
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Only those that name this mailbox.
    #[arg(long, visible_alias = "email", value_name = "ADDRESS")]
    pub(crate) mailbox: Option<String>,
    /// Only those of this template.
    #[arg(long, value_name = "NAME")]
    pub(crate) template: Option<String>,
    /// Only those in this state.
    #[arg(long, value_enum)]
    pub(crate) state: Option<State>,
    /// Only those of this authority.
    #[arg(long, value_name = "NAME")]
    pub(crate) authority: Option<String>,
    /// Only those that expire within this time, as 30d or 12h.
    #[arg(long, value_name = "DURATION", value_parser = input::duration)]
    pub(crate) expiring_within: Option<u64>,
    /// At most so many.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Print comma-separated values.
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
}

/// The state of a certificate.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum State {
    /// Neither revoked nor on hold, and not expired.
    Good,
    /// On hold.
    Held,
    /// Revoked.
    Revoked,
    /// Past notAfter.
    Expired,
}

impl From<State> for StateFilter {
    fn from(state: State) -> Self {
        match state {
            State::Expired => Self::Expired,
            State::Good => Self::Good,
            State::Held => Self::Held,
            State::Revoked => Self::Revoked,
        }
    }
}

/// Which certificates.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct TargetArgs {
    /// Serial numbers, hexadecimal.
    #[arg(value_name = "SERIAL")]
    pub(crate) serials: Vec<String>,
    /// Every unexpired certificate that names this mailbox.
    #[arg(long, visible_alias = "mailbox", value_name = "ADDRESS")]
    pub(crate) email: Option<String>,
    /// A file of serial numbers, one a line, or CSV with them in the first column.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The people of a table, CSV with a header, as `ca issue --batch` takes it.
    #[arg(long, value_name = "FILE")]
    pub(crate) batch: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct RevokeArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    /// Why.
    #[arg(long)]
    pub(crate) reason: ReasonCode,
    /// When the key was lost, if known, as 2026-11-23 or 2026-11-23T08:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = input::timestamp)]
    pub(crate) invalidity_date: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) act: ActArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ReleaseArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) act: ActArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ActArgs {
    /// A remark for the ledger's private record.
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,
}

/// A last look before something is done.
#[derive(Args, Debug)]
pub(crate) struct ConfirmArgs {
    /// Show what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}
