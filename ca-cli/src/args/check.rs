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
    /// Fetch and verify what the URLs in certificates promise: CRLs, issuers, OCSP.
    #[command(after_help = "\
Examples:
  ca check urls alice.pem --chain chain.pem
  ca check urls issuing --margin 2d
  ca check urls --json mail.pem | jq '.urls[] | select(.verdict != \"ok\")'

It asks as a relying party does, for the certificate and each of its issuers: by
plain HTTP, without following redirections, with verified signatures. Of an
authority these are also the URLs that it writes into certificates; whether its
OCSP responder answers is seen with a certificate that it issued.

Exit status: 0 all is well; 1 something is wrong or expiring; 4 no URL.")]
    Urls(UrlsArgs),
}

#[derive(Args, Debug)]
pub(crate) struct UrlsArgs {
    /// A file (PEM or DER), its issuers may follow in it; or an authority of this home.
    #[arg(value_name = "FILE|AUTHORITY")]
    pub(crate) target: String,
    /// The issuers of a certificate from a file, PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) chain: Option<PathBuf>,
    /// What ends sooner than this is expiring.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = crate::input::duration)]
    pub(crate) margin: u64,
    /// How long each answer may take.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = crate::input::duration)]
    pub(crate) timeout: u64,
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
