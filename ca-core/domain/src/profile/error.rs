//! Why a certificate may not be built.

use crate::template::SubjectAttribute;
use crate::{KeyAlgorithm, Timestamp};

/// Why a certificate may not be built. Messages read "what happened; what to do".
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields are what the messages say")]
pub enum ProfileError {
    /// A value that cannot stand in that attribute.
    #[error("{attribute}: {what}")]
    AttributeValue { attribute: SubjectAttribute, what: String },
    /// A mailbox that the issuing authority's policy refuses.
    #[error(
        "the issuing authority does not certify mailboxes in {domain} ({mailbox}); see its mailbox_domains in ca.yaml"
    )]
    AuthorityDomain { mailbox: String, domain: String },
    /// The request brings a key, but the template forbids that.
    #[error("template {0:?} does not take keys from requests; let the authority generate the key")]
    CsrForbidden(String),
    /// A validity of no days.
    #[error("0 days make no certificate; use 1 to {maximum}")]
    DaysZero { maximum: u32 },
    /// More days than the template allows.
    #[error("{days} days are more than template {template:?} allows; use at most {maximum}")]
    DaysBeyondTemplate { days: u32, template: String, maximum: u32 },
    /// The days asked for end after the issuer.
    #[error("{days} days would outlive the issuer, which ends on {issuer_end}; use fewer, or leave them out")]
    DaysBeyondIssuer { days: u32, issuer_end: Timestamp },
    /// A name that was given twice.
    #[error("{0} was given twice; give it once")]
    DuplicateName(String),
    /// A structure that cannot be encoded.
    #[error("cannot encode the certificate: {0}; please report this")]
    Encoding(der::Error),
    /// The authority's key may not be generated here.
    #[error("template {0:?} forbids that the authority generates the key; send a request with --csr")]
    GenerationForbidden(String),
    /// The issuer's time is over.
    #[error("the issuer expired on {0}; issue from its successor")]
    IssuerExpired(Timestamp),
    /// A certificate that is not a certification authority's.
    #[error("the issuer's certificate cannot issue: {0}; use a certification authority's")]
    IssuerNotAuthority(String),
    /// The issuer's time has not come.
    #[error("the issuer is not valid before {0}; check the clock")]
    IssuerNotYetValid(Timestamp),
    /// A public key that cannot be read.
    #[error("the public key is malformed: {0}; make a new key")]
    Key(der::Error),
    /// A public key that is not in DER.
    #[error("the public key is not in DER; make the request with another tool")]
    KeyEncoding,
    /// A key algorithm that the template does not list.
    #[error("template {template:?} does not take {algorithm} keys; use one of {allowed}")]
    KeyNotAllowed { algorithm: KeyAlgorithm, template: String, allowed: String },
    /// A mailbox that the template's policy refuses.
    #[error(
        "template {template:?} does not certify mailboxes in {domain} ({mailbox}); see its mailbox_domains"
    )]
    MailboxDomain { mailbox: String, domain: String, template: String },
    /// A value that the template needs.
    #[error("template {template:?} needs {what}; give it")]
    Missing { template: String, what: String },
    /// The issuer's name constraints refuse a name.
    #[error("the issuer's name constraints do not permit {0}; issue from another authority")]
    NameConstraints(String),
    /// An authority without any attribute in its subject.
    #[error("template {0:?} gives the authority no name; give at least its common_name")]
    NamelessAuthority(String),
    /// No subject and no alternative name.
    #[error("template {0:?} gives the certificate no name at all; give a name or an address")]
    Nameless(String),
    /// Everything but a root needs an issuer.
    #[error("template {0:?} needs an issuer; name the authority that issues")]
    NoIssuer(String),
    /// A configured URL is missing.
    #[error(
        "the issuer has no {what} URL, but template {template:?} has it in every certificate; set it under urls in ca.yaml"
    )]
    NoUrl { what: &'static str, template: String },
    /// The issuer's path length leaves no room.
    #[error("the issuer's pathLenConstraint of {issuer} does not permit this authority below it; {todo}")]
    PathLength { issuer: u8, todo: String },
    /// A purpose that the issuer does not have.
    #[error(
        "the issuer may not issue for {purpose}: its own certificate is limited to {issuer}; issue from another authority"
    )]
    Purpose { purpose: String, issuer: String },
    /// A root that shall be issued by another.
    #[error("template {0:?} makes a self-signed root, which has no issuer; use a subordinate template")]
    RootWithIssuer(String),
    /// A root's signature is by its own key.
    #[error(
        "the root's key is {algorithm}, but another kind of key would sign it; sign with the root's own key"
    )]
    SignatureOfRoot { algorithm: KeyAlgorithm },
    /// Names that the template would leave out.
    #[error("template {template:?} has no place for {what}; leave it out or use another template")]
    Unused { template: String, what: String },
    /// A key of no algorithm that we know.
    #[error("the key is of no kind that template {template:?} takes; use one of {allowed}")]
    UnknownKey { template: String, allowed: String },
    /// A URL that cannot stand in a certificate.
    #[error("{0:?} cannot be in a certificate; use a plain http:// URL in ASCII")]
    Url(String),
}
