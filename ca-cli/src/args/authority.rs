//! `ca authority`.

use std::path::PathBuf;

use ca_core::domain::KeyAlgorithm;
use ca_core::domain::template::{ConstraintNames, DomainPattern, NameConstraintSection};
use ca_core::export::Format;
use clap::{Args, Subcommand, ValueEnum};

use super::{NameArgs, PassphraseArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum AuthorityCommand {
    /// Create a root, or an authority below one in this home.
    #[command(after_help = "\
Examples:
  ca authority create root --template root-ca --common-name 'Example Root' --organization Example --country DE
  ca authority create issuing --template issuing-ca --parent root --common-name 'Example Mail CA' --organization Example --country DE")]
    Create(Box<CreateArgs>),
    /// Make a key and a request for an authority whose issuer is elsewhere.
    #[command(after_help = "\
Example:
  ca authority csr issuing --template issuing-ca --common-name 'Example Mail CA' --organization Example --country DE --out issuing.csr")]
    Csr(Box<CsrArgs>),
    /// Sign such a request: run this in the offline root's home.
    #[command(after_help = "\
Example:
  ca authority sign --parent root --template issuing-ca --csr issuing.csr --out issuing.pem \\
     --common-name 'Example Mail CA' --organization Example --country DE")]
    Sign(Box<SignArgs>),
    /// Import the certificate that came back, or an offline root's certificate.
    #[command(after_help = "\
Examples:
  ca authority import issuing --certificate issuing.pem
  ca authority import root --certificate root.pem")]
    Import(ImportArgs),
    /// List the authorities of this home.
    List,
    /// Show one authority.
    Show {
        /// Its name.
        name: String,
    },
    /// Export an authority's certificate.
    #[command(after_help = "Example:\n  ca authority export issuing --format chain --out chain.pem")]
    Export {
        /// Its name.
        name: String,
        #[command(flatten)]
        form: ExportArgs,
    },
}

/// How a certificate is exported.
#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// The form.
    #[arg(long, value_enum, default_value_t = ExportFormat::Pem)]
    pub(crate) format: ExportFormat,
    /// The file; standard output without it.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the file if it exists.
    #[arg(long)]
    pub(crate) force: bool,
}

/// A form of export.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ExportFormat {
    /// The certificate, PEM.
    Pem,
    /// The certificate, DER.
    Der,
    /// The certificate and its issuers, PKCS#7 certs-only, DER.
    P7b,
    /// The certificate and its issuers, PEM.
    Chain,
}

impl From<ExportFormat> for Format {
    fn from(format: ExportFormat) -> Self {
        match format {
            ExportFormat::Chain => Self::Chain,
            ExportFormat::Der => Self::Der,
            ExportFormat::P7b => Self::P7b,
            ExportFormat::Pem => Self::Pem,
        }
    }
}

/// Name constraints of an authority, within those of its template.
#[derive(Args, Debug, Default)]
pub(crate) struct ConstraintArgs {
    /// Certify mailboxes in this domain only; .example.test is every domain below
    /// example.test. May be repeated.
    #[arg(long, value_name = "DOMAIN")]
    permit_mailbox_domain: Vec<DomainPattern>,
    /// Never certify mailboxes in this domain. May be repeated.
    #[arg(long, value_name = "DOMAIN")]
    exclude_mailbox_domain: Vec<DomainPattern>,
    /// Certify this host name and those below it only. May be repeated.
    #[arg(long, value_name = "NAME")]
    permit_dns: Vec<DomainPattern>,
    /// Never certify this host name and those below it. May be repeated.
    #[arg(long, value_name = "NAME")]
    exclude_dns: Vec<DomainPattern>,
}

impl ConstraintArgs {
    /// As templates have them.
    pub(crate) fn section(&self) -> NameConstraintSection {
        let names = |rfc822: &[DomainPattern], dns: &[DomainPattern]| ConstraintNames {
            rfc822: rfc822.to_vec(),
            dns: dns.to_vec(),
        };
        NameConstraintSection {
            permitted: names(&self.permit_mailbox_domain, &self.permit_dns),
            excluded: names(&self.exclude_mailbox_domain, &self.exclude_dns),
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    /// Its name: a-z, 0-9, '-' and '_'. It goes into URLs.
    pub(crate) name: String,
    /// root-ca, issuing-ca or one of your own.
    #[arg(long, value_name = "NAME")]
    pub(crate) template: String,
    /// Its issuer.
    #[arg(long, value_name = "NAME")]
    pub(crate) parent: Option<String>,
    /// The key to make [default: the template's].
    #[arg(long, value_name = "ALGORITHM")]
    pub(crate) key: Option<KeyAlgorithm>,
    #[command(flatten)]
    pub(crate) subject: NameArgs,
    #[command(flatten)]
    pub(crate) constraints: ConstraintArgs,
    /// Validity [default: the template's].
    #[arg(long)]
    pub(crate) days: Option<u32>,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    /// A file with the passphrase of the parent's key, mode 0600.
    #[arg(long, value_name = "FILE", conflicts_with = "parent_passphrase_fd")]
    pub(crate) parent_passphrase_file: Option<PathBuf>,
    /// An open descriptor to read the passphrase of the parent's key from.
    #[arg(long, value_name = "N")]
    pub(crate) parent_passphrase_fd: Option<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct CsrArgs {
    /// Its name in this home.
    pub(crate) name: String,
    /// issuing-ca or one of your own.
    #[arg(long, value_name = "NAME")]
    pub(crate) template: String,
    /// The key to make [default: the template's].
    #[arg(long, value_name = "ALGORITHM")]
    pub(crate) key: Option<KeyAlgorithm>,
    #[command(flatten)]
    pub(crate) subject: NameArgs,
    /// Where the request goes, PEM; standard output without it.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

#[derive(Args, Debug)]
pub(crate) struct SignArgs {
    /// Who signs.
    #[arg(long, value_name = "NAME")]
    pub(crate) parent: String,
    /// issuing-ca or one of your own.
    #[arg(long, value_name = "NAME")]
    pub(crate) template: String,
    /// The request; its key is used, and its subject is shown.
    #[arg(long, value_name = "FILE")]
    pub(crate) csr: PathBuf,
    /// Where the certificate and its issuers go, PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) subject: NameArgs,
    #[command(flatten)]
    pub(crate) constraints: ConstraintArgs,
    /// Validity [default: the template's].
    #[arg(long)]
    pub(crate) days: Option<u32>,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// Its name in this home.
    pub(crate) name: String,
    /// The certificate, PEM or DER; issuers may follow in the same PEM file.
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: PathBuf,
    /// Its issuers up to the root, PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) chain: Option<PathBuf>,
}
