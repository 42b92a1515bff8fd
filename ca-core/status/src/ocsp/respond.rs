//! OCSP responses: building and signing them, and the constant error answers.

use ca_domain::{ReasonCode, RevocationState, Timestamp};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc6960::{ID_PKIX_OCSP_BASIC, ID_PKIX_OCSP_EXTENDED_REVOKE, ID_PKIX_OCSP_NONCE};
use der::asn1::{AnyRef, BitStringRef, Null, OctetString, OctetStringRef};
use der::{Decode, Encode, Sequence, Tag};
use spki::AlgorithmIdentifierOwned;
use x509_cert::ext::Extension;
use x509_ocsp::ext::Nonce;
use x509_ocsp::{
    CertId, CertStatus, OcspGeneralizedTime, OcspResponseStatus, ResponderId, ResponseData, RevokedInfo,
    SingleResponse, Version,
};

use super::ResponseSigner;
use crate::StatusError;
use crate::crl::wire_reason;

/// An unsigned error answer (RFC 6960, section 4.2.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ErrorStatus {
    /// The request breaks the rules.
    MalformedRequest,
    /// The responder is broken.
    InternalError,
    /// The status cannot be told now.
    TryLater,
    /// The request must be signed.
    SigRequired,
    /// The responder does not answer for this certificate (RFC 5019, section 2.2.3).
    Unauthorized,
}

impl ErrorStatus {
    /// The DER OCSPResponse.
    #[must_use]
    pub const fn der(self) -> &'static [u8] {
        match self {
            Self::MalformedRequest => &[0x30, 0x03, 0x0a, 0x01, 0x01],
            Self::InternalError => &[0x30, 0x03, 0x0a, 0x01, 0x02],
            Self::TryLater => &[0x30, 0x03, 0x0a, 0x01, 0x03],
            Self::SigRequired => &[0x30, 0x03, 0x0a, 0x01, 0x05],
            Self::Unauthorized => &[0x30, 0x03, 0x0a, 0x01, 0x06],
        }
    }

    /// The name of RFC 6960.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MalformedRequest => "malformedRequest",
            Self::InternalError => "internalError",
            Self::TryLater => "tryLater",
            Self::SigRequired => "sigRequired",
            Self::Unauthorized => "unauthorized",
        }
    }
}

/// The DER OCSPResponse of an error.
#[must_use]
pub const fn error_response(status: ErrorStatus) -> &'static [u8] {
    status.der()
}

/// What is said about one certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CertState {
    /// Issued, and neither revoked nor held.
    Good,
    /// Revoked or held.
    Revoked {
        /// When.
        at: Timestamp,
        /// Why; `CertificateHold` for a held one.
        reason: ReasonCode,
    },
    /// Not known here.
    Unknown,
    /// Never issued, and said to be revoked: on hold since 1970, with the
    /// extended-revoke extension (RFC 6960, sections 2.2 and 4.4.8).
    NeverIssued,
}

impl From<RevocationState> for CertState {
    fn from(state: RevocationState) -> Self {
        match state {
            RevocationState::Good => Self::Good,
            RevocationState::Held { at } => Self::Revoked { at, reason: ReasonCode::CertificateHold },
            RevocationState::Revoked { at, reason, .. } => Self::Revoked { at, reason },
        }
    }
}

impl CertState {
    fn wire(self) -> Result<CertStatus, StatusError> {
        let (at, reason) = match self {
            Self::Good => return Ok(CertStatus::good()),
            Self::Unknown => return Ok(CertStatus::unknown()),
            Self::Revoked { at, reason } => (at, reason),
            Self::NeverIssued => (Timestamp::EPOCH, ReasonCode::CertificateHold),
        };
        let revocation_reason = wire_reason(reason)?;
        Ok(CertStatus::Revoked(RevokedInfo { revocation_time: time(at), revocation_reason }))
    }
}

/// One answer of a response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SingleStatus {
    /// The certificate, exactly as it was asked for.
    pub cert_id: CertId,
    /// What is said about it.
    pub state: CertState,
    /// Since when this is known to be right.
    pub this_update: Timestamp,
    /// When newer information is there at the latest; never later than the
    /// signer's notAfter, see [`ResponseSigner::next_update`].
    pub next_update: Timestamp,
}

fn time(time: Timestamp) -> OcspGeneralizedTime {
    OcspGeneralizedTime(time.to_generalized())
}

pub(super) fn nonce_extension(nonce: &[u8]) -> Result<Extension, StatusError> {
    let value = Nonce::new(nonce)?.to_der()?;
    Ok(Extension { extn_id: ID_PKIX_OCSP_NONCE, critical: false, extn_value: OctetString::new(value)? })
}

/// The ResponseData: what the signer signs.
///
/// # Errors
/// A nextUpdate beyond the signer's notAfter, or a reason that belongs in delta
/// CRLs only.
pub fn response_data(
    singles: &[SingleStatus],
    signer: &ResponseSigner,
    produced_at: Timestamp,
    nonce: Option<&[u8]>,
) -> Result<ResponseData, StatusError> {
    let mut responses = Vec::with_capacity(singles.len());
    for single in singles {
        if single.next_update > signer.not_after() {
            return Err(StatusError::SignerUnfit("it expires before the response does"));
        }
        responses.push(SingleResponse {
            cert_id: single.cert_id.clone(),
            cert_status: single.state.wire()?,
            this_update: time(single.this_update),
            next_update: Some(time(single.next_update)),
            single_extensions: None,
        });
    }
    let mut extensions = Vec::new();
    if let Some(nonce) = nonce {
        extensions.push(nonce_extension(nonce)?);
    }
    if singles.iter().any(|single| single.state == CertState::NeverIssued) {
        let extn_value = OctetString::new(Null.to_der()?)?;
        extensions.push(Extension { extn_id: ID_PKIX_OCSP_EXTENDED_REVOKE, critical: false, extn_value });
    }
    Ok(ResponseData {
        version: Version::V1,
        responder_id: ResponderId::ByKey(OctetString::new(signer.key_hash().0)?),
        produced_at: time(produced_at),
        responses,
        response_extensions: (!extensions.is_empty()).then_some(extensions),
    })
}

/// BasicOCSPResponse (RFC 6960, section 4.2.1), its parts encoded already.
#[derive(Sequence)]
struct BasicRef<'a> {
    tbs_response_data: AnyRef<'a>,
    signature_algorithm: AlgorithmIdentifierOwned,
    signature: BitStringRef<'a>,
    #[asn1(context_specific = "0", optional = "true", tag_mode = "EXPLICIT")]
    certs: Option<AnyRef<'a>>,
}

/// ResponseBytes.
#[derive(Sequence)]
struct ResponseBytesRef<'a> {
    response_type: ObjectIdentifier,
    response: OctetStringRef<'a>,
}

/// OCSPResponse.
#[derive(Sequence)]
struct ResponseRef<'a> {
    response_status: OcspResponseStatus,
    #[asn1(context_specific = "0", optional = "true", tag_mode = "EXPLICIT")]
    response_bytes: Option<ResponseBytesRef<'a>>,
}

/// Builds and signs a DER OCSPResponse with these answers. A delegated signer's
/// certificate is embedded.
///
/// # Errors
/// Those of [`response_data`], or a failed signature.
pub fn build(
    singles: &[SingleStatus],
    signer: &ResponseSigner,
    produced_at: Timestamp,
    nonce: Option<&[u8]>,
) -> Result<Vec<u8>, StatusError> {
    let tbs = response_data(singles, signer, produced_at, nonce)?.to_der()?;
    let signature = signer.key().sign(&tbs)?;
    let basic = BasicRef {
        // What was signed is what is sent: it is not encoded a second time.
        tbs_response_data: AnyRef::from_der(&tbs)?,
        signature_algorithm: signer.key().signature_algorithm().identifier(),
        signature: BitStringRef::from_bytes(&signature)?,
        certs: signer.delegate_der().map(|der| AnyRef::new(Tag::Sequence, der)).transpose()?,
    }
    .to_der()?;
    let response =
        ResponseBytesRef { response_type: ID_PKIX_OCSP_BASIC, response: OctetStringRef::new(&basic)? };
    let response_status = OcspResponseStatus::Successful;
    Ok(ResponseRef { response_status, response_bytes: Some(response) }.to_der()?)
}
