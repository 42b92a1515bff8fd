//! `ca request`.

use std::path::PathBuf;

use ca_core::domain::KeyAlgorithm;
use clap::{Args, Subcommand, ValueEnum};

use super::{OutputArgs, PassphraseArgs, SubjectArgs};

/// What can be done with requests.
#[derive(Debug, Subcommand)]
pub(crate) enum RequestCommand {
    /// Ask for a certificate: the options of `ca issue`, without the files.
    #[command(after_help = "\
Examples:
  ca request submit --authority issuing --template board-signing --email alice@example.test --csr alice.csr
  ca request submit --authority issuing --template board-encryption --email alice@example.test

Without --csr the key is made at the approval, where the files are named.")]
    Submit(Box<SubmitArgs>),
    /// List requests.
    List {
        /// Only those in this state.
        #[arg(long, value_enum)]
        state: Option<State>,
    },
    /// Show one request.
    Show {
        /// Its identifier.
        id: String,
    },
    /// Approve a request of another person, and issue.
    #[command(after_help = "\
Examples:
  ca request approve 0a1b2c3d4e5f6071 --out alice.pem
  ca request approve 0a1b2c3d4e5f6071 --p12 alice.p12 --p12-password-file alice.password")]
    Approve(Box<ApproveArgs>),
    /// Reject a request, or take one's own back.
    Reject {
        /// Its identifier.
        id: String,
        /// Why, for the ledger's private record.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// What is asked for.
#[derive(Args, Debug)]
pub(crate) struct SubmitArgs {
    /// Who is to issue.
    #[arg(long, value_name = "NAME")]
    pub(crate) authority: String,
    /// What is to be issued; see `ca template list`.
    #[arg(long, value_name = "NAME")]
    pub(crate) template: String,
    #[command(flatten)]
    pub(crate) subject: SubjectArgs,
    /// A certification request, PEM or DER, `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    pub(crate) csr: Option<PathBuf>,
    /// The key to make at the approval [default: the template's].
    #[arg(long, value_name = "ALGORITHM")]
    pub(crate) key: Option<KeyAlgorithm>,
    /// Archive the key that is made at the approval for the recovery agents.
    #[arg(long, conflicts_with = "csr")]
    pub(crate) escrow: bool,
    /// Validity [default: the template's].
    #[arg(long)]
    pub(crate) days: Option<u32>,
}

/// What is approved, and where the files go.
#[derive(Args, Debug)]
pub(crate) struct ApproveArgs {
    /// Its identifier.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum State {
    /// Nobody decided yet.
    Open,
    /// A certificate was issued.
    Approved,
    /// Nothing will be issued.
    Rejected,
}

impl State {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Open => "open",
            Self::Rejected => "rejected",
        }
    }
}
