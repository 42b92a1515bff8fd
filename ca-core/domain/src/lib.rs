//! The pure rules of the authority: names, serials, validity, key policy,
//! templates, lint and revocation states.
//!
//! Nothing here reads a file, a clock or a source of randomness: time and
//! random bytes come in as arguments.

pub mod algorithm;
pub mod clients;
pub mod csr;
pub mod detail;
pub mod key_check;
pub mod key_id;
pub mod lint;
pub mod mailbox;
pub mod microsoft;
pub mod profile;
pub mod revocation;
pub mod serial_number;
pub mod shard;
pub mod template;
pub mod time;

pub use algorithm::{KeyAlgorithm, RsaPublicKey, SignatureAlgorithm};
pub use csr::{CsrError, VerifiedRequest};
pub use detail::{Detail, KeyOrigin};
pub use key_check::{CheckedKey, KeyError, check_public_key};
pub use key_id::{KeyIdentifier, SpkiHash};
pub use lint::{Finding, LintContext, LintReport, LintedTbs, Severity, SignError, SignedCertificate, lint};
pub use mailbox::{DnsName, DomainError, Mailbox, MailboxError};
pub use microsoft::{MicrosoftNameError, SecurityIdentifier, Upn};
pub use profile::{AuthorityUrls, IssuerContext, ProfileError, SubjectInput};
pub use revocation::{ReasonCode, RevocationState, Transition, TransitionError};
pub use serial_number::{SerialNumber, SerialNumberError};
pub use shard::Shard;
pub use template::{Conformance, Template, TemplateError, TemplateKind};
pub use time::{TimeError, Timestamp};
