//! `ca template`, `ca ocsp-signer`, `ca ledger`, `ca index`.

use std::path::PathBuf;

use ca_core::domain::KeyAlgorithm;
use clap::Subcommand;

use super::PassphraseArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum TemplateCommand {
    /// List the templates of this home.
    List,
    /// Print one template.
    Show {
        /// Its name.
        name: String,
    },
    /// Check a template file, in the home or not yet.
    #[command(after_help = "Example:\n  ca template check my-template.yaml")]
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Print the JSON Schema of templates, for editors.
    #[command(after_help = "Example:\n  ca template schema > chancery-template.schema.json")]
    Schema,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OcspSignerCommand {
    /// Issue a signer certificate; the responder takes it over without a restart.
    #[command(after_help = "\
Examples:
  ca ocsp-signer issue --authority issuing --out /etc/ocsp-responder/signers
  ca ocsp-signer issue --authority issuing --csr issuing.csr --out signers")]
    Issue {
        /// Whose certificates the signer answers for.
        #[arg(long, value_name = "NAME")]
        authority: String,
        /// The directory for NAME.key and NAME.crt.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// A request made by the responder's host; the key is made here without it.
        #[arg(long, value_name = "FILE", conflicts_with = "key")]
        csr: Option<PathBuf>,
        /// The key to make [default: of the issuer's family].
        #[arg(long, value_name = "ALGORITHM")]
        key: Option<KeyAlgorithm>,
        /// A template of kind ocsp-signer.
        #[arg(long, value_name = "NAME", default_value = "ocsp-signer")]
        template: String,
        /// Validity [default: the template's].
        #[arg(long)]
        days: Option<u32>,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Verify the whole ledger: signature, tree, every entry and every detail.
    Verify,
    /// Show entries, newest last.
    #[command(after_help = "Examples:\n  ca ledger show --last 20\n  ca ledger show --from 1000 --json")]
    Show {
        /// The first position.
        #[arg(long, value_name = "POSITION")]
        from: Option<u64>,
        /// Only the last N entries.
        #[arg(long, value_name = "N", conflicts_with = "from")]
        last: Option<u64>,
        /// With the private details.
        #[arg(long)]
        details: bool,
    },
    /// Prove that a certificate is in the ledger.
    #[command(after_help = "Example:\n  ca ledger prove 4f0c... > alice.tlog-proof")]
    Prove {
        /// Its serial number, hexadecimal.
        serial: String,
    },
    /// Sign the checkpoint again, so that followers know that the ledger is alive.
    Heartbeat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IndexCommand {
    /// Build the index again from the ledger.
    Rebuild,
}
