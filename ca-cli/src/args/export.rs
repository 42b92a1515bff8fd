//! `ca export`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::escrow::RequestPassphraseArgs;
use super::pkcs12::{P12Args, P12PasswordArgs, P12Profile, of_files};

#[derive(Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// Export roots and intermediates as other programs and systems install them.
    #[command(after_help = "\
Examples:
  ca export bundle --format pem --out authorities.pem
  ca export bundle --format p12 --p12-password-file store.password --out trust.p12
  ca export bundle --format debian --out package && dpkg-deb --build --root-owner-group package ca.deb
  ca export bundle --format windows --authority issuing --out trust.ps1
  ca export bundle --format firefox --out policies

p12, debian and firefox hold the roots alone: intermediates come with mails and from servers.")]
    Bundle(BundleArgs),
    /// Export the virtual certificate collection of Exchange, and the script that uploads it.
    #[command(after_help = "\
Example:
  ca export sst --authority issuing --out exchange.sst

The script lies beside it, exchange.ps1. See docs/exchange.md.")]
    Sst(SstArgs),
    /// Export what Exchange needs: its collection of authorities, and scripts that upload it and set up Outlook on the web.
    #[command(after_help = "\
Example:
  ca export exchange --authority issuing --out exchange

For Exchange Online and Exchange Server alike. See docs/exchange.md.")]
    Exchange(ExchangeArgs),
    /// Export a profile for Apple's devices: authorities, a person's keys, a mail account.
    #[command(after_help = "\
Examples:
  ca export mobileconfig --email alice@example.test --p12 alice.p12 --out alice.mobileconfig
  ca export mobileconfig --email alice@example.test --p12 alice.p12 --p12 alice-history.p12 \\
     --imap mail.example.test --smtp mail.example.test --sign-p12 it.p12 --out alice.mobileconfig
  ca export mobileconfig --email alice@example.test --p12 alice.p12 --exchange outlook.office365.com --oauth \\
     --out alice.mobileconfig

All keys of the files must open with the same password; the device asks for it. See docs/apple.md.")]
    Mobileconfig(Box<MobileconfigArgs>),
    /// Export encryption keys for Microsoft Intune: PFX files, and what imports them.
    #[command(after_help = "\
Examples:
  ca export intune --email alice@example.test --p12 alice.p12 --p12 alice-history.p12 --out intune
  ca export intune --batch batch-2026-11/passwords.csv --connector-key connector.blob --out intune
  ca escrow recover --batch people.csv --out request.json      # then `ca escrow contribute` by the agents
  ca export intune --batch people.csv --share share-anna.json --share share-bert.json \\
     --connector-key connector.blob --out intune

A table has the columns email, file and password, and upn if wanted; `ca issue --batch` writes one. With --share,
file and password may be left out.
With the connector's public key no password is in clear in any file. See docs/intune.md.")]
    Intune(Box<IntuneArgs>),
    /// Export TLS settings for a mail server, with the programs that bring certificates, CRLs and OCSP answers.
    #[command(after_help = "\
Examples:
  ca export mailserver --for exim                            # print the settings
  ca export mailserver --for dovecot --clients issuing --dir /etc/dovecot/tls --out /etc/dovecot/tls
  /etc/dovecot/tls/install mail.chain mail.key               # the renewal hook
  /etc/dovecot/tls/refresh                                   # every hour

See docs/mail-servers.md.")]
    Mailserver(MailserverArgs),
}

#[derive(Args, Debug)]
#[group(id = "whose", required = true, multiple = false, args = ["email", "batch"])]
pub(crate) struct IntuneArgs {
    /// Whose keys.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: Option<String>,
    /// A table of files and their passwords, CSV with a header, mode 0600.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["p12", "p12_password_file", "p12_password_fd", "upn"])]
    pub(crate) batch: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keys: KeySourceArgs,
    /// The user principal name [default: that of the newest certificate, else the address].
    #[arg(long, value_name = "NAME")]
    pub(crate) upn: Option<String>,
    /// The directory, mode 0700.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The public key of the certificate connector: what Export-IntunePublicKey wrote, or PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) connector_key: Option<PathBuf>,
    /// The key storage provider of that key.
    #[arg(
        long,
        value_name = "NAME",
        requires = "connector_key",
        default_value = "Microsoft Software Key Storage Provider"
    )]
    pub(crate) provider: String,
    /// The name of that key.
    #[arg(long, value_name = "NAME", requires = "connector_key", default_value = "PFXEncryptionKey")]
    pub(crate) key_name: String,
    /// Export keys that only sign as well.
    #[arg(long)]
    pub(crate) signing: bool,
    /// Which programs read the PFX files.
    #[arg(long, value_enum, default_value_t = P12Profile::Compat)]
    pub(crate) p12_profile: P12Profile,
    /// Replace files that exist.
    #[arg(long)]
    pub(crate) force: bool,
}

/// The private keys of a person, as they were delivered.
#[derive(Args, Debug)]
#[command(mut_args(of_files))]
pub(crate) struct KeySourceArgs {
    /// A PKCS#12 file with keys of the person, mode 0600; may be repeated.
    #[arg(long, value_name = "FILE")]
    pub(crate) p12: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) password: P12PasswordArgs,
    /// A contribution of a recovery agent, for keys out of the archive; repeated, one a file.
    #[arg(long, value_name = "FILE")]
    pub(crate) share: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrase: RequestPassphraseArgs,
    /// Export although archived encryption keys of the person are in none of the files.
    #[arg(long)]
    pub(crate) partial: bool,
}

#[derive(Args, Debug)]
pub(crate) struct MobileconfigArgs {
    /// Whose profile.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: String,
    #[command(flatten)]
    pub(crate) keys: KeySourceArgs,
    /// The profile, mode 0600.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    pub(crate) force: bool,
    /// Put the password of the keys into the profile: only where the profile stays secret.
    #[arg(long)]
    pub(crate) include_password: bool,
    /// The IMAP server of a mail account, over TLS [default port: 993].
    #[arg(long, value_name = "HOST[:PORT]", requires = "smtp", conflicts_with_all = ["exchange", "oauth"])]
    pub(crate) imap: Option<String>,
    /// The SMTP server of the mail account, over TLS [default port: 587].
    #[arg(long, value_name = "HOST[:PORT]", requires = "imap")]
    pub(crate) smtp: Option<String>,
    /// The host of an Exchange account.
    #[arg(long, value_name = "HOST")]
    pub(crate) exchange: Option<String>,
    /// Log in to Exchange with the browser's page, as Exchange Online wants it.
    #[arg(long)]
    pub(crate) oauth: bool,
    /// The name to log in with [default: the address].
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// The sender's name in the mail account.
    #[arg(long, value_name = "TEXT", requires = "imap")]
    pub(crate) full_name: Option<String>,
    /// Encrypt new mail unless the person says otherwise.
    #[arg(long)]
    pub(crate) encrypt_by_default: bool,
    /// The profile's identifier; one that is on a device is replaced [default: made of the address].
    #[arg(long, value_name = "NAME")]
    pub(crate) identifier: Option<String>,
    /// Who is named as the profile's author.
    #[arg(long, value_name = "TEXT")]
    pub(crate) organization: Option<String>,
    /// Sign the profile with the key of this PKCS#12 file, whose certificate this home issued.
    #[arg(long, value_name = "FILE")]
    pub(crate) sign_p12: Option<PathBuf>,
    /// A file with the password of that PKCS#12 file on its first line, mode 0600.
    #[arg(long, value_name = "FILE", requires = "sign_p12", conflicts_with = "sign_p12_password_fd")]
    pub(crate) sign_p12_password_file: Option<PathBuf>,
    /// An open descriptor to read the password of that PKCS#12 file from.
    #[arg(long, value_name = "N", requires = "sign_p12")]
    pub(crate) sign_p12_password_fd: Option<u32>,
}

/// Which authorities.
#[derive(Args, Debug)]
pub(crate) struct TrustArgs {
    /// This authority and all above it; may be repeated [default: every authority of the home].
    #[arg(long, value_name = "NAME")]
    pub(crate) authority: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct BundleArgs {
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// The form.
    #[arg(long, value_enum)]
    pub(crate) format: BundleFormat,
    /// The file, standard output without it; of der, debian and firefox the directory.
    #[arg(long, value_name = "PATH")]
    pub(crate) out: Option<PathBuf>,
    /// Leave intermediates out.
    #[arg(long)]
    pub(crate) roots_only: bool,
    /// Replace files that exist.
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) protection: P12Args,
    /// The Debian package's name [default: ca-certificates- and the first root's name].
    #[arg(long, value_name = "NAME")]
    pub(crate) package: Option<String>,
    /// The Debian package's maintainer.
    #[arg(long, value_name = "TEXT", default_value = "Administrator <root@localhost>")]
    pub(crate) maintainer: String,
    /// Where Firefox and Thunderbird will find the certificates [default: where they look by themselves].
    #[arg(long, value_name = "DIR")]
    pub(crate) installed_in: Option<String>,
}

/// A form of a trust bundle.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum BundleFormat {
    /// One text of PEM certificates.
    Pem,
    /// A directory with a DER file a certificate, for Windows and phones.
    Der,
    /// PKCS#7 certs-only, DER.
    #[value(alias = "p7c")]
    P7b,
    /// A PKCS#12 trust store with the roots: Java 8 and later, OpenSSL.
    P12,
    /// A directory that `dpkg-deb --build` makes a package of: roots for ca-certificates.
    Debian,
    /// A PowerShell script for a group policy or one machine.
    Windows,
    /// A directory with policies.json for Firefox and Thunderbird, and the roots.
    #[value(alias = "thunderbird")]
    Firefox,
}

#[derive(Args, Debug)]
pub(crate) struct ExchangeArgs {
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// The directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Outlook on the web signs every mail.
    #[arg(long)]
    pub(crate) always_sign: bool,
    /// Outlook on the web encrypts every mail.
    #[arg(long)]
    pub(crate) always_encrypt: bool,
    /// Outlook on the web signs and encrypts nothing while a CRL cannot be reached.
    #[arg(long)]
    pub(crate) strict_crl: bool,
    /// How long all CRLs of a chain may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub(crate) crl_timeout: u32,
    /// Replace files that exist.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Args, Debug)]
pub(crate) struct SstArgs {
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// The store; the script gets the same name with .ps1.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Replace files that exist.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Args, Debug)]
pub(crate) struct MailserverArgs {
    /// The server program.
    #[arg(long = "for", value_enum)]
    pub(crate) server: MailServerKind,
    /// Clients need a certificate of this authority; may be repeated [default: they need none].
    #[arg(long, value_name = "AUTHORITY")]
    pub(crate) clients: Vec<String>,
    /// Where the files will be on the server.
    #[arg(long, value_name = "DIR", default_value = "/etc/mail-tls")]
    pub(crate) dir: String,
    /// A directory for all files [default: print the settings alone].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Replace files that exist.
    #[arg(long)]
    pub(crate) force: bool,
}

/// A mail server.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum MailServerKind {
    /// Dovecot 2.3.
    Dovecot,
    /// Exim 4.
    Exim,
    /// HAProxy 2.
    Haproxy,
    /// nginx, for webmail and as a proxy of mail.
    Nginx,
    /// Postfix 3.6 or newer.
    Postfix,
}
