//! Certificates that need two people: one requests, another one approves.
//!
//! A template with `approval: required` issues in no other way. What is to be
//! issued is settled when it is requested: names, template (by its hash), key or
//! request, authority. It is written to `requests/ID.json`, and the ledger has the
//! hash of that file. The approval and the certificate are one act of the ledger,
//! so that no crash lies between them and no request is approved twice.
//!
//! Who a person is, is the caller's to say: a user number of the operating system.

mod decide;
mod document;
mod record;
mod submit;

use ca_domain::template::{Approval, Template};
use ca_domain::{SerialNumber, Timestamp};

use crate::error::{AuthorityError, Result};

pub use decide::{Approve, approve, reject};
pub use document::Document;
pub use record::{list, load};
pub use submit::{Submit, submit};

/// A person at the keyboard, as far as the operating system knows.
#[derive(Clone, Copy, Debug)]
pub struct Operator<'a> {
    /// The user number; two numbers are two people.
    pub uid: u32,
    /// How the ledger's private records name the person.
    pub actor: &'a str,
}

/// A request and what became of it.
#[derive(Clone, Debug)]
pub struct Request {
    /// What was asked for.
    pub document: Document,
    /// SHA-256 of the request file, as the ledger has it, hexadecimal.
    pub sha256: String,
    /// What became of it.
    pub state: RequestState,
}

/// What became of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RequestState {
    /// Nobody decided yet.
    Open,
    /// A certificate was issued.
    Approved {
        /// When.
        at: Timestamp,
        /// The user number of who approved.
        by: u32,
        /// Who did it.
        actor: String,
        /// The certificate.
        serial: SerialNumber,
    },
    /// Nothing will be issued.
    Rejected {
        /// When.
        at: Timestamp,
        /// The user number of who rejected.
        by: u32,
        /// Who did it.
        actor: String,
        /// Why.
        reason: String,
    },
}

impl RequestState {
    /// The word for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Approved { .. } => "approved",
            Self::Open => "open",
            Self::Rejected { .. } => "rejected",
        }
    }
}

/// Refuses to issue from a template that asks for approval.
///
/// # Errors
/// [`AuthorityError::Refused`].
pub fn refuse_unapproved(template: &Template) -> Result<()> {
    match template.approval() {
        Approval::None => Ok(()),
        Approval::Required => Err(AuthorityError::Refused(format!(
            "template {:?} asks for the approval of a second person; use `ca request submit`",
            template.name()
        ))),
    }
}
