//! `ca crl`.

use std::path::PathBuf;

use ca_core::domain::Timestamp;
use clap::{Args, Subcommand};

use super::PassphraseArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum CrlCommand {
    /// Tell what changed from one CRL of an authority to another.
    #[command(after_help = "\
Examples:
  ca crl diff old.crl new.crl
  ca crl diff --exit-code --json old.crl new.crl

Each difference is a line: + added, - removed, ~ another time or reason. With
--json it is an object a line. Signatures are not verified.

Exit status: 0 compared; 1 with --exit-code, the lists differ; 3 they are of
different authorities.")]
    Diff {
        /// The older one, DER or PEM.
        #[arg(value_name = "OLD")]
        old: PathBuf,
        /// The newer one, DER or PEM.
        #[arg(value_name = "NEW")]
        new: PathBuf,
        /// End with status 1 if the lists differ.
        #[arg(long)]
        exit_code: bool,
    },
    /// Issue a full CRL by hand, at a ceremony for an offline root for example.
    #[command(after_help = "Example:\n  ca crl issue root --days 180 --out root.crl")]
    Issue(IssueCrlArgs),
    /// List the CRLs of a directory, or those that the ledger has.
    #[command(after_help = "\
Examples:
  ca crl list
  ca crl list /var/lib/chancery/published

Without a directory it lists the CRLs that were issued by hand, from the home's ledger.")]
    List {
        /// What crl-publisher publishes, or its crl directory.
        #[arg(value_name = "DIRECTORY")]
        directory: Option<PathBuf>,
    },
    /// Tell whether the published CRLs are in time, and what comes next.
    #[command(after_help = "\
Examples:
  ca crl status
  ca crl status /var/lib/chancery/published
  ca crl status --json | jq '.crls[] | select(.state != \"ok\")'

It reads the published files, and what crl-publisher tells beside them. Without a directory it is the one
in the home's crl-publisher.yaml.

Exit status: 0 all is in time; 3 a CRL is late, ends soon, has expired or is missing,
the last run failed, or nobody publishes; 1 or 2 the directory cannot be read.")]
    Status {
        /// What crl-publisher publishes: the `directory` of its configuration.
        #[arg(value_name = "DIRECTORY")]
        directory: Option<PathBuf>,
    },
    /// Show a CRL of any length, its list entry by entry.
    #[command(after_help = "\
Examples:
  ca crl show issuing.crl
  ca crl show --limit 0 issuing.crl
  ca crl show --json issuing.crl | jq -r 'select(.kind == \"entry\") | .serial'

With --json the CRL, each entry and the end are an object a line. The signature
is not verified; `ca crl verify` does it.")]
    Show {
        /// The CRL, DER or PEM.
        file: PathBuf,
        /// Show so many entries at most.
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
    /// Check whether a CRL may be relied upon.
    #[command(after_help = "\
Examples:
  ca crl verify issuing.crl --issuer issuing.pem
  ca crl verify issuing.crl --issuer issuing.pem --at 2027-01-01T00:00:00Z

Checked are issuer, authority key identifier, key usage of the issuer, signature,
number, validity, critical extensions, and that every entry can be read.

Exit status: 0 it may; 3 it may not; 1 or 2 a file cannot be read.")]
    Verify {
        /// The CRL, DER or PEM.
        file: PathBuf,
        /// The certificate of the authority that should have signed it.
        #[arg(long, value_name = "FILE")]
        issuer: PathBuf,
        /// Judge as of this time [default: now].
        #[arg(long, value_name = "TIME", value_parser = crate::input::timestamp)]
        at: Option<Timestamp>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct IssueCrlArgs {
    /// Whose CRL.
    pub(crate) authority: String,
    /// Where it goes, DER.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Validity in days [default: 180 for a root, 7 for others].
    #[arg(long)]
    pub(crate) days: Option<u32>,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}
