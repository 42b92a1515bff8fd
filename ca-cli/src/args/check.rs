//! `ca check`.

use std::path::PathBuf;

use ca_core::domain::KeyAlgorithm;
use ca_core::domain::clients::Client;
use ca_core::domain::mailbox::Mailbox;
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum CheckCommand {
    /// Tell which mail client takes a certificate, and which norms it breaks.
    #[command(after_help = "\
Examples:
  ca check cert alice.pem --chain chain.pem
  ca check cert 4f0c... --client thunderbird --client outlook
  ca check cert smime-dual --authority issuing --key p256

Clients: outlook, exchange-online, apple-mail, thunderbird, gpgsm, android.
The exit status is 3 if a client refuses that was named with --client.")]
    Cert(Box<CheckArgs>),
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// A file (PEM or DER), a template's name, or a serial number.
    #[arg(value_name = "FILE|SERIAL|TEMPLATE")]
    pub(crate) target: String,
    /// Only this client, which must take it. May be repeated.
    #[arg(long, value_name = "CLIENT")]
    pub(crate) client: Vec<Client>,
    /// The issuers of a certificate from a file, PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) chain: Option<PathBuf>,
    /// Who would issue from a template [default: the first that may].
    #[arg(long, value_name = "NAME")]
    pub(crate) authority: Option<String>,
    /// The key of an example from a template [default: the template's].
    #[arg(long, value_name = "ALGORITHM")]
    pub(crate) key: Option<KeyAlgorithm>,
    /// The mailbox of an example from a template, user@example.test by default.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: Option<Mailbox>,
}
