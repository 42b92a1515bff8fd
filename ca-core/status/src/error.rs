//! The errors of this room.

use ca_domain::{KeyIdentifier, SerialNumber, Timestamp, TransitionError};
use ca_signing::SigningError;
use const_oid::ObjectIdentifier;

/// What can go wrong with status tables, CRLs and OCSP messages.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// A ledger entry that is not the next one.
    #[error("ledger entry {got} came where entry {expected} was due; feed the entries in order from 0")]
    OutOfOrder {
        /// The position that was due.
        expected: u64,
        /// The position that came.
        got: u64,
    },
    /// A ledger entry without a field that its kind requires.
    #[error("ledger entry {position} has no {field}; run `ca ledger verify`")]
    IncompleteEntry {
        /// Where in the ledger.
        position: u64,
        /// What is missing.
        field: &'static str,
    },
    /// A serial issued twice by one authority.
    #[error("ledger entry {position} issues serial {serial} of authority {authority} a second time")]
    DuplicateSerial {
        /// Where in the ledger.
        position: u64,
        /// The issuer.
        authority: KeyIdentifier,
        /// The serial.
        serial: SerialNumber,
    },
    /// A status change of a certificate that was never issued.
    #[error("ledger entry {position} changes serial {serial}, which authority {authority} never issued")]
    NeverIssued {
        /// Where in the ledger.
        position: u64,
        /// The issuer.
        authority: KeyIdentifier,
        /// The serial.
        serial: SerialNumber,
    },
    /// A status change that the certificate's state does not allow.
    #[error("ledger entry {position} cannot change serial {serial}: {cause}")]
    Transition {
        /// Where in the ledger.
        position: u64,
        /// The serial.
        serial: SerialNumber,
        /// Why not.
        #[source]
        cause: TransitionError,
    },

    /// CRL numbers are at most 20 octets (RFC 5280, section 5.2.3).
    #[error(
        "a CRL number has at most 20 octets (RFC 5280, section 5.2.3); this authority can number no more"
    )]
    CrlNumber,
    /// CRL parameters that contradict each other.
    #[error("the CRL cannot be written: {0}")]
    CrlParameters(&'static str),
    /// The revoked list was different when it was read again.
    #[error("the revoked list changed while the CRL was written; write it again")]
    CrlListChanged,
    /// A CRL that this suite does not accept.
    #[error("not an acceptable CRL: {0}")]
    CrlUnacceptable(String),
    /// The input failed.
    #[error("the CRL could not be read: {0}; check the disk")]
    CrlRead(#[source] std::io::Error),
    /// The output failed.
    #[error("the CRL could not be written out: {0}; check the disk")]
    Io(#[from] std::io::Error),

    /// More request bytes than allowed.
    #[error("an OCSP request of {got} bytes is over the limit of {limit}")]
    RequestTooLarge {
        /// Its length.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// Not a DER OCSPRequest, or a field of it breaks RFC 6960 or RFC 9654.
    #[error("not an OCSP request: {0}")]
    MalformedRequest(String),
    /// More certificates in one request than allowed.
    #[error("the OCSP request asks for {got} certificates at once; at most {limit} are answered")]
    TooManyCertIds {
        /// How many.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// A critical request extension that is not understood.
    #[error("the OCSP request has a critical extension {0}, which is not supported")]
    UnknownCriticalExtension(ObjectIdentifier),
    /// The request names no authority of this responder, or more than one.
    #[error("the OCSP request is not for one authority of this responder")]
    NotAuthoritative,
    /// The policy demands a nonce and there is none.
    #[error("the OCSP request has no nonce; this responder requires one")]
    NonceRequired,
    /// No signer for the authority.
    #[error("no OCSP signer for authority {0}; issue one with `ca ocsp-signer issue`")]
    NoSigner(KeyIdentifier),
    /// The signer's certificate is not valid now.
    #[error(
        "the OCSP signer's certificate is valid from {not_before} to {not_after}, not at {now}; \
         issue a new one with `ca ocsp-signer issue`"
    )]
    SignerNotValid {
        /// Its first second.
        not_before: Timestamp,
        /// Its last second.
        not_after: Timestamp,
        /// The time of the answer.
        now: Timestamp,
    },
    /// A certificate and key that may not sign OCSP responses for the authority.
    #[error("this certificate cannot sign OCSP responses: {0}")]
    SignerUnfit(&'static str),
    /// Who issued a certificate is not known.
    #[error("the issuer of the certificate is not among those given")]
    IssuerMissing,
    /// A request for a signer certificate that asks for something else.
    #[error("this is no request for an OCSP signer: {0}")]
    SignerRequest(&'static str),
    /// A response that a relying party must not accept.
    #[error("the OCSP response is not acceptable: {0}")]
    ResponseUnacceptable(String),

    /// A structure that is not valid DER or not encodable.
    #[error("invalid DER: {0}")]
    Der(#[from] der::Error),
    /// A signature could not be made or is wrong.
    #[error(transparent)]
    Signing(#[from] SigningError),
}
