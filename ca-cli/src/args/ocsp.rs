//! `ca ocsp`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::presign::{self, PresignArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum OcspCommand {
    /// Sign the answers for all certificates of an authority ahead, at the ceremony of an offline root.
    #[command(after_help = presign::EXAMPLES)]
    Presign(PresignArgs),
    /// Write the OCSP answer of a server's certificate to the file that the server staples.
    #[command(after_help = "\
Examples:
  ca ocsp staple --cert /etc/exim4/mail.pem --out /var/lib/exim-ocsp/mail.ocsp
  ca ocsp staple --cert /etc/haproxy/mail.pem --reload-command 'systemctl reload haproxy'
  ca ocsp staple --cert mail.pem --issuer issuing.pem --url http://ocsp.example.test/
  ca ocsp staple --cert mail.pem --check --min-left 4h

Run it from a timer, on the machine of the server; it needs no home. It asks the
responder that the certificate names, verifies the answer, and replaces the file
if the answer is another one and not older. An error never replaces an answer.

Exit status: 0 the file holds a fresh answer, good; 3 the file holds a fresh
answer, revoked: give the server another certificate; 1 there is no usable
answer, or the reload command failed; with --check 1 also if too little is left.")]
    Staple(StapleArgs),
}

#[derive(Args, Debug)]
pub(crate) struct StapleArgs {
    /// The server's certificate, PEM or DER; its chain and key may follow in the same file.
    #[arg(long, value_name = "FILE")]
    pub(crate) cert: PathBuf,
    /// The issuer's certificate, if it does not follow the server's [default: CERT.issuer, if it is there].
    #[arg(long, value_name = "FILE")]
    pub(crate) issuer: Option<PathBuf>,
    /// The responder [default: the one that the certificate names].
    #[arg(long, value_name = "URL", conflicts_with = "check")]
    pub(crate) url: Option<String>,
    /// Where the answer goes, DER [default: CERT.ocsp, where HAProxy looks for it].
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Run by /bin/sh when the file was replaced; $CHANGED_FILE is its name.
    #[arg(long, value_name = "COMMAND", conflicts_with = "check")]
    pub(crate) reload_command: Option<String>,
    /// How long the responder may take.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = crate::input::duration)]
    pub(crate) timeout: u64,
    /// Ask nobody and change nothing: tell what the file holds.
    #[arg(long)]
    pub(crate) check: bool,
    /// With --check: fail if the answer ends sooner.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = crate::input::duration, requires = "check")]
    pub(crate) min_left: u64,
}
