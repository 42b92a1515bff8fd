//! `ca escrow`, `ca history`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::pkcs12::{P12Args, of_files};

#[derive(Debug, Subcommand)]
pub(crate) enum EscrowCommand {
    /// Say who the recovery agents are.
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Show or set how many agents a recovery needs.
    #[command(
        after_help = "Example:\n  ca escrow threshold 2\n\nIt counts for keys that are archived from then on."
    )]
    Threshold(ThresholdArgs),
    /// List the archived keys of a person.
    #[command(after_help = "Example:\n  ca escrow list --email alice@example.test")]
    List {
        /// The person's mailbox. May be repeated, for one who had several.
        #[arg(long, value_name = "ADDRESS", required = true)]
        email: Vec<String>,
    },
    /// Ask the agents for archived keys.
    #[command(after_help = "\
Examples:
  ca escrow recover --email alice@example.test --reason 'left, mail is needed' --out request.json
  ca escrow recover 4f0c... --out request.json
  ca escrow recover --batch people.csv --reason 'move to Intune' --out request.json

Send the file to the agents. Each runs `ca escrow contribute`; then run `ca escrow complete`.")]
    Recover(RecoverArgs),
    /// As an agent: give one's shares. Needs the request and one's own key, no home.
    #[command(after_help = "\
Example:
  ca escrow contribute --request request.json --key anna.key --out share-anna.json

Compare the fingerprint with the one that the authority tells you, on another way.")]
    Contribute(ContributeArgs),
    /// Recover the keys with the agents' shares.
    #[command(after_help = "\
Example:
  ca escrow complete --share share-anna.json --share share-bert.json --p12 alice.p12")]
    Complete(CompleteArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Add a recovery agent: an RSA certificate for encryption, whoever issued it.
    #[command(after_help = "Example:\n  ca escrow agent add anna --certificate anna.pem")]
    Add {
        /// A name for the agent: a-z, 0-9, '-', '_'.
        name: String,
        /// The agent's certificate, PEM or DER.
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
    },
    /// List the recovery agents.
    List,
    /// Remove a recovery agent. What was sealed to it before stays sealed to it.
    Remove {
        /// The agent's name.
        name: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct ThresholdArgs {
    /// How many agents a recovery needs.
    pub(crate) threshold: Option<u8>,
    /// Let every agent alone recover every key.
    #[arg(long, conflicts_with = "threshold")]
    pub(crate) threshold_one: bool,
}

/// Whose keys.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct WantedArgs {
    /// The serial number of one certificate, hexadecimal.
    #[arg(value_name = "SERIAL")]
    pub(crate) serial: Option<String>,
    /// All archived keys of this mailbox. May be repeated.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: Vec<String>,
    /// All archived keys of the people of a table, CSV with a header.
    #[arg(long, value_name = "FILE")]
    pub(crate) batch: Option<PathBuf>,
}

/// The passphrase of a request's private key.
#[derive(Args, Debug)]
pub(crate) struct RequestPassphraseArgs {
    /// A file with the passphrase that protects the request until it is completed, mode 0600.
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_fd")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// An open descriptor to read that passphrase from.
    #[arg(long, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct RecoverArgs {
    #[command(flatten)]
    pub(crate) wanted: WantedArgs,
    /// Why; the agents and the ledger see it.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Where the file for the agents goes.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) passphrase: RequestPassphraseArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ContributeArgs {
    /// The file that the authority sent.
    #[arg(long, value_name = "FILE")]
    pub(crate) request: PathBuf,
    /// One's own RSA key, PKCS#8 PEM, mode 0600.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// A file with the passphrase of the key on its first line, mode 0600.
    #[arg(long, value_name = "FILE", conflicts_with = "key_passphrase_fd")]
    pub(crate) key_passphrase_file: Option<PathBuf>,
    /// An open descriptor to read the passphrase of the key from.
    #[arg(long, value_name = "N")]
    pub(crate) key_passphrase_fd: Option<u32>,
    /// Where the contribution goes.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    pub(crate) force: bool,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// The agents' shares, and the files that the keys go to.
#[derive(Args, Debug)]
#[command(mut_args(of_files))]
pub(crate) struct KeyFilesArgs {
    /// One PKCS#12 file with all keys.
    #[arg(long, value_name = "FILE")]
    pub(crate) p12: Option<PathBuf>,
    /// A directory for one PKCS#12 file a key.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) protection: P12Args,
    /// Replace files that exist.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CompleteArgs {
    /// The request's identifier [default: the one that the shares name].
    #[arg(long, value_name = "ID")]
    pub(crate) request: Option<String>,
    /// A contribution of an agent. Repeated, one a file.
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) share: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) files: KeyFilesArgs,
    #[command(flatten)]
    pub(crate) passphrase: RequestPassphraseArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HistoryCommand {
    /// Export all encryption keys of a person, with the recovery agents' help.
    #[command(after_help = "\
Examples:
  ca history export --email alice@example.test --out request.json
  ca history export --email alice@example.test --share share-anna.json --share share-bert.json \\
     --p12 alice-all.p12 --dir alice-keys

Without --share it asks the agents, as `ca escrow recover` does; with their shares it writes the keys.")]
    Export(HistoryExportArgs),
}

#[derive(Args, Debug)]
pub(crate) struct HistoryExportArgs {
    /// The person's mailbox. May be repeated, for one who had several.
    #[arg(long, value_name = "ADDRESS", required = true)]
    pub(crate) email: Vec<String>,
    /// A contribution of an agent. Repeated, one a file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "reason"])]
    pub(crate) share: Vec<PathBuf>,
    /// Where the file for the agents goes, without --share.
    #[arg(long, value_name = "FILE", required_unless_present = "share", conflicts_with_all = ["p12", "dir"])]
    pub(crate) out: Option<PathBuf>,
    /// Why; the agents and the ledger see it.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) files: KeyFilesArgs,
    #[command(flatten)]
    pub(crate) passphrase: RequestPassphraseArgs,
}
