//! The request that nearly all clients send: one certificate, no extension, no
//! signature. Read without copying, so that an answer from memory costs little.
//!
//! Whatever is not of this form is left to [`request::parse`](super::request::parse),
//! which alone decides what is malformed. What is of this form reads the same there.

use der::asn1::{AnyRef, IntRef, OctetStringRef, SequenceOf};
use der::{Decode, Sequence};
use spki::AlgorithmIdentifierRef;

use ca_domain::SerialNumber;

/// CertID (RFC 6960, section 4.1.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Sequence)]
pub(super) struct CertIdRef<'a> {
    pub(super) hash_algorithm: AlgorithmIdentifierRef<'a>,
    pub(super) issuer_name_hash: OctetStringRef<'a>,
    pub(super) issuer_key_hash: OctetStringRef<'a>,
    serial_number: IntRef<'a>,
}

impl CertIdRef<'_> {
    /// The serial; none for one that no certificate can have.
    pub(super) fn serial(&self) -> Option<SerialNumber> {
        let bytes = self.serial_number.as_bytes();
        // IntRef leaves a leading zero in place, and so the sign visible.
        if bytes.first().is_none_or(|b| *b >= 0x80) { None } else { SerialNumber::from_be_bytes(bytes).ok() }
    }
}

/// Request without extensions.
#[derive(Clone, Copy, Debug, Sequence)]
struct SingleRef<'a> {
    req_cert: CertIdRef<'a>,
}

/// TBSRequest of version 1, not named explicitly, without requestor and extensions.
#[derive(Clone, Debug, Sequence)]
struct TbsRef<'a> {
    request_list: SequenceOf<SingleRef<'a>, 1>,
}

/// OCSPRequest without a signature.
#[derive(Clone, Debug, Sequence)]
struct RequestRef<'a> {
    tbs_request: TbsRef<'a>,
}

/// Reads a request of the simple form; none if it has another.
pub(super) fn parse(bytes: &[u8]) -> Option<CertIdRef<'_>> {
    let request = RequestRef::from_der(bytes).ok()?;
    request.tbs_request.request_list.get(0).map(|single| single.req_cert)
}

/// Whether the hash parameters are the NULL that most clients write; none if
/// they are something else than NULL or absent.
pub(super) fn null_parameters(parameters: Option<AnyRef<'_>>) -> Option<bool> {
    parameters.map_or(Some(false), |any| any.is_null().then_some(true))
}
