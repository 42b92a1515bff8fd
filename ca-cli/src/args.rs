//! The command line. Help, completions and man pages are made from it.

mod authority;
mod certificate;
mod check;
mod crl;
mod escrow;
mod export;
mod ledger;
mod maintain;
mod notify;
mod ocsp;
mod person;
mod pkcs12;
mod presign;
mod publish;
mod request;

use std::path::PathBuf;

use ca_core::domain::microsoft::{SecurityIdentifier, Upn};
use clap::{Args, Parser, Subcommand};

pub(crate) use authority::{
    AuthorityCommand, ConstraintArgs, CreateArgs, CsrArgs, ExportArgs, ExportFormat, ImportArgs, SignArgs,
};
pub(crate) use certificate::{
    ActArgs, CertCommand, IssueArgs, ListArgs, OutputArgs, ReleaseArgs, RevokeArgs, TargetArgs,
};
pub(crate) use check::{CheckArgs, CheckCommand, UrlsArgs};
pub(crate) use crl::{CrlCommand, IssueCrlArgs};
pub(crate) use escrow::{
    AgentCommand, CompleteArgs, ContributeArgs, EscrowCommand, HistoryCommand, HistoryExportArgs,
    KeyFilesArgs, RecoverArgs, RequestPassphraseArgs, ThresholdArgs, WantedArgs,
};
pub(crate) use export::{
    BundleArgs, BundleFormat, ExchangeArgs, ExportCommand, IntuneArgs, KeySourceArgs, MailServerKind,
    MailserverArgs, MobileconfigArgs, SstArgs, TrustArgs,
};
pub(crate) use ledger::{IndexCommand, LedgerCommand, OcspSignerCommand, TemplateCommand};
pub(crate) use maintain::MaintainArgs;
pub(crate) use notify::NotifyArgs;
pub(crate) use ocsp::{OcspCommand, StapleArgs};
pub(crate) use person::{LeaveArgs, NewKeyArgs, PersonCommand, RenameArgs, RenewArgs, RunArgs};
pub(crate) use presign::PresignArgs;
pub(crate) use publish::{PublishCommand, PublishLdapArgs, PublishObjectArgs, PublishSmimeaArgs};
pub(crate) use request::{ApproveArgs, RequestCommand, SubmitArgs};

const AFTER_HELP: &str = "\
Examples:
  ca init --crl-url http://pki.example.test --aia-url http://pki.example.test --ocsp-url http://ocsp.example.test/
  ca authority create root --template root-ca --common-name 'Example Root' --organization Example --country DE
  ca issue --authority issuing --template smime-dual --email alice@example.test --p12 alice.p12
  ca revoke --email alice@example.test --reason keyCompromise

Exit status:
  0  done
  1  failed: a file, a key or the machine
  2  usage: the command line or an input file is malformed
  3  refused by policy: a name, key, request, template or state that may not be; nothing was changed
  4  not found
  5  busy: another process holds the lock";

/// A certification authority for mail.
#[derive(Debug, Parser)]
#[command(name = "ca", version, about = "A certification authority for mail", after_help = AFTER_HELP, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args, Debug)]
pub(crate) struct Global {
    /// The authority's home directory [default: ~/.chancery].
    #[arg(long, global = true, env = "CA_HOME", value_name = "DIR")]
    home: Option<PathBuf>,
    /// Print results, and errors on stderr, as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print nothing but errors and what was asked for.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// How long to wait for another process that holds the lock, in seconds.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) lock_timeout: u64,
}

impl Global {
    pub(crate) fn home(&self) -> PathBuf {
        match &self.home {
            Some(home) => home.clone(),
            None => std::env::home_dir().unwrap_or_default().join(".chancery"),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a home: ledger, templates, configuration.
    #[command(after_help = "\
Example:
  ca init --crl-url http://pki.example.test --aia-url http://pki.example.test --ocsp-url http://ocsp.example.test/

The URLs go into every certificate. One without a path gets the publisher's path
(/crl/NAME.crl, /ca/NAME.crt); {authority} in a URL stands for the issuer's name.")]
    Init(InitArgs),
    /// Create and export authorities, offline roots included.
    #[command(subcommand)]
    Authority(AuthorityCommand),
    /// Show and check certificate templates.
    #[command(subcommand)]
    Template(TemplateCommand),
    /// Issue a certificate from a request, or with a key made here.
    #[command(after_help = certificate::ISSUE_EXAMPLES)]
    Issue(Box<IssueArgs>),
    /// Issue successors of certificates.
    #[command(after_help = person::RENEW_EXAMPLES)]
    Renew(Box<RenewArgs>),
    /// Show a person, record that they left, give them a new address.
    #[command(subcommand)]
    Person(PersonCommand),
    /// Ask for certificates that a second person approves.
    #[command(subcommand)]
    Request(RequestCommand),
    /// List, show and export what was issued.
    #[command(subcommand)]
    Cert(CertCommand),
    /// Find out who takes a certificate, which norms it breaks, and whether its URLs work.
    #[command(subcommand)]
    Check(CheckCommand),
    /// Revoke certificates for ever.
    #[command(after_help = certificate::REVOKE_EXAMPLES)]
    Revoke(RevokeArgs),
    /// Suspend certificates; `ca release` takes it back.
    #[command(after_help = "Example:\n  ca hold --email alice@example.test")]
    Hold(ReleaseArgs),
    /// Export what other machines and services need: trust, keys, settings.
    #[command(subcommand)]
    Export(ExportCommand),
    /// Archive encryption keys for recovery agents, and recover them with their help.
    #[command(subcommand)]
    Escrow(EscrowCommand),
    /// All encryption keys of a person, old ones included.
    #[command(subcommand)]
    History(HistoryCommand),
    /// Take a suspension back.
    #[command(after_help = "Example:\n  ca release 4f0c...")]
    Release(ReleaseArgs),
    /// Issue CRLs by hand; how those of the publisher stand; show, compare and verify files.
    #[command(subcommand)]
    Crl(CrlCommand),
    /// Keep OCSP answers for servers that staple them, and sign those of an offline root ahead.
    #[command(subcommand)]
    Ocsp(OcspCommand),
    /// Make the certificates that OCSP answers are signed with.
    #[command(subcommand, name = "ocsp-signer")]
    OcspSigner(OcspSignerCommand),
    /// Certify the OCSP signers that responders ask for, and keep the ledger alive; run by a timer.
    #[command(after_help = maintain::EXAMPLES)]
    Maintain(MaintainArgs),
    /// Mail people and administrators about what expires soon; run by a timer.
    #[command(after_help = notify::EXAMPLES)]
    Notify(NotifyArgs),
    /// Publish certificates where the senders of mail look for them; run by a timer.
    #[command(subcommand)]
    Publish(PublishCommand),
    /// Verify, show and prove what the ledger holds.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Look after the index, which can be rebuilt at any time.
    #[command(subcommand)]
    Index(IndexCommand),
    /// Print completions for a shell.
    #[command(after_help = "Example:\n  ca completions bash > /etc/bash_completion.d/ca")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the man page, or write one page a command.
    #[command(after_help = "Examples:\n  ca man | man -l -\n  ca man --out /usr/local/share/man/man1")]
    Man {
        /// A directory for all pages.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct InitArgs {
    /// The ledger's origin, a name without scheme [default: HOST/chancery/RANDOM].
    #[arg(long, value_name = "NAME")]
    pub(crate) origin: Option<String>,
    /// Where CRLs will be: http://HOST or a pattern with {authority}.
    #[arg(long, value_name = "URL")]
    pub(crate) crl_url: Option<String>,
    /// Where the authorities' certificates will be: http://HOST or a pattern.
    #[arg(long, value_name = "URL")]
    pub(crate) aia_url: Option<String>,
    /// Where the OCSP responder will be.
    #[arg(long, value_name = "URL")]
    pub(crate) ocsp_url: Option<String>,
}

/// The passphrase of the issuing authority's key.
#[derive(Args, Debug)]
pub(crate) struct PassphraseArgs {
    /// A file with the passphrase of the authority's key on its first line, mode 0600.
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_fd")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// An open descriptor to read the passphrase from.
    #[arg(long, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
}

/// Attributes of a distinguished name; the template says which are used.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct NameArgs {
    /// commonName.
    #[arg(long, visible_alias = "cn", value_name = "TEXT")]
    pub(crate) common_name: Option<String>,
    /// organizationName.
    #[arg(long, value_name = "TEXT")]
    pub(crate) organization: Option<String>,
    /// organizationalUnitName.
    #[arg(long, value_name = "TEXT")]
    pub(crate) organizational_unit: Option<String>,
    /// countryName, two letters.
    #[arg(long, value_name = "CC")]
    pub(crate) country: Option<String>,
    /// stateOrProvinceName.
    #[arg(long, value_name = "TEXT")]
    pub(crate) state: Option<String>,
    /// localityName.
    #[arg(long, value_name = "TEXT")]
    pub(crate) locality: Option<String>,
    /// givenName.
    #[arg(long, value_name = "TEXT")]
    pub(crate) given_name: Option<String>,
    /// surname.
    #[arg(long, value_name = "TEXT")]
    pub(crate) surname: Option<String>,
    /// pseudonym.
    #[arg(long, value_name = "TEXT")]
    pub(crate) pseudonym: Option<String>,
    /// title.
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    /// organizationIdentifier, as NTRDE-DEK1101R.HRB123456 or VATDE-123456789.
    #[arg(long, value_name = "TEXT")]
    pub(crate) organization_identifier: Option<String>,
    /// userId.
    #[arg(long, value_name = "TEXT")]
    pub(crate) user_id: Option<String>,
}

/// Whom a certificate names.
#[derive(Args, Debug, Default)]
pub(crate) struct SubjectArgs {
    /// A mailbox; the first is the primary one. May be repeated.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: Vec<String>,
    /// A host name. May be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) dns: Vec<String>,
    /// The user principal name of a Windows domain, as alice@corp.example.test.
    #[arg(long, value_name = "NAME")]
    pub(crate) upn: Option<Upn>,
    /// The security identifier of the account in a Windows domain, as S-1-5-21-...
    #[arg(long, value_name = "SID")]
    pub(crate) sid: Option<SecurityIdentifier>,
    #[command(flatten)]
    pub(crate) name: NameArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        super::Cli::command().debug_assert();
    }
}
