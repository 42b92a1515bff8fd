//! What a use-case can answer instead of its result.

use std::path::PathBuf;

use ca_domain::csr::CsrError;
use ca_domain::key_check::KeyError;
use ca_domain::lint::LintReport;
use ca_domain::mailbox::{DomainError, MailboxError};
use ca_domain::profile::ProfileError;
use ca_domain::template::{NarrowError, TemplateError};
use ca_domain::{ReasonCode, SerialNumber, SerialNumberError, TransitionError};
use ca_escrow::EscrowError;
use ca_files::FileError;
use ca_index::IndexError;
use ca_ldap::LdapError;
use ca_ledger::LedgerError;
use ca_signing::SigningError;

use crate::people::BadLine;

/// The result of a use-case.
pub type Result<T> = std::result::Result<T, AuthorityError>;

/// The kind of a refusal; programs turn it into their exit status.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorClass {
    /// Another process holds the lock.
    Busy,
    /// The machine, a file or a key failed.
    Failed,
    /// What was named does not exist.
    NotFound,
    /// A rule of the authority forbids it.
    Refused,
    /// The request itself is malformed.
    Usage,
}

/// Why a use-case did not happen. Messages read "what happened; what to do".
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A name that is taken.
    #[error("authority {0:?} exists already; choose another name")]
    AuthorityExists(String),
    /// A name with characters that do not belong into paths and URLs.
    #[error(
        "{0:?} cannot be the name of an authority; use 1 to 64 of a-z, 0-9, '-' and '_', beginning with a letter"
    )]
    AuthorityName(String),
    /// An authority without a private key in this home.
    #[error(
        "authority {0:?} has no key in this home; run this where its key is, or import the key's certificate"
    )]
    AuthorityWithoutKey(String),
    /// A certificate that does not belong to the key that waits for it.
    #[error("the certificate does not fit {name:?}: {why}; ask for the one made from its request")]
    CertificateMismatch {
        /// The authority.
        name: String,
        /// What does not fit.
        why: String,
    },
    /// A malformed certification request, or one without proof of possession.
    #[error(transparent)]
    Csr(#[from] CsrError),
    /// Encoding of a structure failed.
    #[error("cannot encode or decode {what}: {source}; please report this")]
    Der {
        /// Which structure.
        what: &'static str,
        /// The encoder's answer.
        source: der::Error,
    },
    /// A malformed host name.
    #[error(transparent)]
    Domain(#[from] DomainError),
    /// A key that cannot be archived or recovered.
    #[error(transparent)]
    Escrow(#[from] EscrowError),
    /// A file that cannot be read or written, or a lock that is held.
    #[error(transparent)]
    File(#[from] FileError),
    /// `ca init` on a home that exists.
    #[error("{0} holds an authority already; choose another directory with --home")]
    HomeExists(String),
    /// No home where one was looked for.
    #[error("{0} holds no authority; run `ca init` first, or name the directory with --home")]
    HomeMissing(String),
    /// The index failed, after one rebuild.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A malformed ca.yaml.
    #[error("{path} is not a valid configuration: {what}; mend the file")]
    Config {
        /// The file.
        path: String,
        /// What is wrong, with its line.
        what: String,
    },
    /// Input that cannot be what it should be.
    #[error("{0}")]
    Input(String),
    /// A public key that must not be certified.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key that somebody else uses, or that was compromised.
    #[error("this key must not be certified: {0}; make a new key")]
    KeyReuse(String),
    /// A directory failed, or a text that is no LDIF.
    #[error(transparent)]
    Ldap(#[from] LdapError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Lines of a table that cannot be used, every one of them.
    #[error("{} of {file} cannot be used; mend them, nothing was changed{}", count(lines), listed(lines))]
    Lines {
        /// The table.
        file: String,
        /// The lines at fault, in their order.
        lines: Vec<BadLine>,
    },
    /// The linter blocked the certificate.
    #[error(transparent)]
    Lint(#[from] LintReport),
    /// A malformed address or host name.
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
    /// No certificate, authority or template of that name.
    #[error("{0}")]
    NotFound(String),
    /// A certificate or CRL is in the ledger, but its file could not be put in place.
    #[error(
        "{what} was issued and stands in the ledger, but {}; the finished file is {}: rename it, or revoke and issue again",
        source.what(), kept.display()
    )]
    Published {
        /// What was issued.
        what: String,
        /// What failed.
        source: FileError,
        /// Where the file is.
        kept: PathBuf,
    },
    /// The authority was recorded, but its files have not got their name yet.
    #[error(
        "authority {name:?} was recorded in the ledger, but {}; run `ca ledger heartbeat` when the disk is sound, it completes the authority", source.what()
    )]
    Unnamed {
        /// The authority.
        name: String,
        /// What failed.
        source: FileError,
    },
    /// A record of the ledger that cannot be read as what it must be.
    #[error("{0}")]
    Damaged(String),
    /// The template does not fit the request.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A reason that cannot be used for this certificate.
    #[error("{reason} cannot be used for {what}; {todo}")]
    Reason {
        /// The reason.
        reason: ReasonCode,
        /// For what.
        what: String,
        /// What to use.
        todo: &'static str,
    },
    /// A rule of the authority forbids it.
    #[error("{0}")]
    Refused(String),
    /// A malformed serial number.
    #[error(transparent)]
    Serial(#[from] SerialNumberError),
    /// A key failed, or its passphrase is wrong.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// A CRL could not be built or read.
    #[error("CRL of {authority:?}: {what}")]
    Crl {
        /// The authority.
        authority: String,
        /// What is wrong.
        what: String,
    },
    /// Name constraints that the template does not allow.
    #[error(transparent)]
    Narrow(#[from] NarrowError),
    /// No usable answer for a staple; what was on the disk is still there.
    #[error("{0}")]
    Staple(String),
    /// A malformed template.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A revocation that the state of the certificate does not allow.
    #[error("certificate {serial}: {source}")]
    Transition {
        /// The certificate.
        serial: SerialNumber,
        /// Why not.
        source: TransitionError,
    },
}

fn count(lines: &[BadLine]) -> String {
    let numbers: std::collections::BTreeSet<u64> = lines.iter().map(|bad| bad.line).collect();
    if numbers.len() == 1 { "a line".to_owned() } else { format!("{} lines", numbers.len()) }
}

fn listed(lines: &[BadLine]) -> String {
    lines.iter().map(|bad| format!("\n  line {}: {}", bad.line, bad.what)).collect()
}

impl AuthorityError {
    /// The kind of the refusal.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Escrow(error) => escrow_class(error),
            Self::File(FileError::Busy { .. }) | Self::Index(IndexError::Busy { .. }) => ErrorClass::Busy,
            Self::NotFound(_) | Self::HomeMissing(_) => ErrorClass::NotFound,
            Self::AuthorityExists(_)
            | Self::AuthorityWithoutKey(_)
            | Self::CertificateMismatch { .. }
            | Self::HomeExists(_)
            | Self::Key(_)
            | Self::KeyReuse(_)
            | Self::Lint(_)
            | Self::Narrow(_)
            | Self::Profile(_)
            | Self::Reason { .. }
            | Self::Refused(_)
            | Self::Transition { .. } => ErrorClass::Refused,
            // A request that can be read, but whose key or signature may not be.
            Self::Csr(CsrError::Key(_) | CsrError::Possession) => ErrorClass::Refused,
            Self::AuthorityName(_)
            | Self::Csr(_)
            | Self::Domain(_)
            | Self::Input(_)
            | Self::Ldap(LdapError::Ldif { .. })
            | Self::Lines { .. }
            | Self::Mailbox(_)
            | Self::Serial(_)
            | Self::Template(_) => ErrorClass::Usage,
            Self::Config { .. }
            | Self::Crl { .. }
            | Self::Der { .. }
            | Self::File(_)
            | Self::Index(_)
            | Self::Ldap(_)
            | Self::Ledger(_)
            | Self::Damaged(_)
            | Self::Published { .. }
            | Self::Signing(_)
            | Self::Staple(_)
            | Self::Unnamed { .. } => ErrorClass::Failed,
        }
    }

    /// What to do about it, for messages that only say what happened.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Csr(_) | Self::Key(_) => "make a new key and a new request",
            Self::Domain(_) | Self::Mailbox(_) => "correct the name, nothing was changed",
            Self::Escrow(_) => "nothing was recovered or changed",
            Self::File(_) => "check the path, its permissions and the disk",
            Self::Index(_) => "run `ca index rebuild`",
            Self::Ledger(_) => "run `ca ledger verify`",
            Self::Lint(_) => "change the request or the template, nothing was signed",
            Self::Profile(_) => "correct the request, or choose another template",
            Self::Serial(_) => "see `ca cert list`",
            Self::Signing(_) => "try again with the right passphrase, nothing was changed",
            Self::Template(_) => "mend the file, then check it with `ca template check`",
            Self::Transition { .. } => "see `ca cert show`",
            _ => "see `ca help`",
        }
    }

    pub(crate) fn der(what: &'static str) -> impl FnOnce(der::Error) -> Self {
        move |source| Self::Der { what, source }
    }
}

/// What the operator gave is refused; what the machine did failed.
fn escrow_class(error: &EscrowError) -> ErrorClass {
    match error {
        EscrowError::AgentMissing(_) => ErrorClass::NotFound,
        EscrowError::AgentName(_) => ErrorClass::Usage,
        EscrowError::ArchiveChanged { .. }
        | EscrowError::Backend(_)
        | EscrowError::Der { .. }
        | EscrowError::File(_)
        | EscrowError::Format { .. }
        | EscrowError::NoRsaEncryption { .. }
        | EscrowError::Policy { .. }
        | EscrowError::Signing(_) => ErrorClass::Failed,
        _ => ErrorClass::Refused,
    }
}
