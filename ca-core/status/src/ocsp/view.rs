//! Reading responses, as a relying party does.

use ca_domain::{KeyIdentifier, ReasonCode, Timestamp};
use const_oid::db::rfc6960::{ID_PKIX_OCSP_BASIC, ID_PKIX_OCSP_EXTENDED_REVOKE};
use der::referenced::OwnedToRef;
use der::{Decode, Encode};
use x509_cert::Certificate;
use x509_ocsp::{
    BasicOcspResponse, CertId, CertStatus, OcspResponse, OcspResponseStatus, ResponderId, SingleResponse,
};

use super::request::check_lengths;
use super::respond::ErrorStatus;
use super::signer::check_delegate;
use crate::StatusError;

/// A verified response.
#[derive(Clone, Debug)]
pub struct OcspView {
    basic: BasicOcspResponse,
}

/// What a response says about one certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ViewStatus {
    /// The status.
    pub state: ViewState,
    /// Since when it is known to be right.
    pub this_update: Timestamp,
    /// When newer information is there at the latest.
    pub next_update: Option<Timestamp>,
}

/// The three statuses of RFC 6960, section 2.2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ViewState {
    /// Good.
    Good,
    /// Revoked or held.
    Revoked {
        /// When.
        at: Timestamp,
        /// Why; unspecified without a reason.
        reason: ReasonCode,
    },
    /// Not known to the responder.
    Unknown,
}

fn unacceptable(what: impl Into<String>) -> StatusError {
    StatusError::ResponseUnacceptable(what.into())
}

/// The error that an unsuccessful response states; none for a successful one.
///
/// # Errors
/// Not a DER OCSPResponse.
pub fn error_status(der: &[u8]) -> Result<Option<ErrorStatus>, StatusError> {
    check_lengths(der)?;
    Ok(match OcspResponse::from_der(der)?.response_status {
        OcspResponseStatus::Successful => None,
        OcspResponseStatus::MalformedRequest => Some(ErrorStatus::MalformedRequest),
        OcspResponseStatus::InternalError => Some(ErrorStatus::InternalError),
        OcspResponseStatus::TryLater => Some(ErrorStatus::TryLater),
        OcspResponseStatus::SigRequired => Some(ErrorStatus::SigRequired),
        OcspResponseStatus::Unauthorized => Some(ErrorStatus::Unauthorized),
    })
}

impl OcspView {
    /// Reads a response and checks that `issuer` or its delegate signed it: the
    /// responderID, the delegate's entitlement and validity at `now`, and the
    /// signature.
    ///
    /// # Errors
    /// An error response, or whichever of these is wrong.
    pub fn parse_and_verify(der: &[u8], issuer: &Certificate, now: Timestamp) -> Result<Self, StatusError> {
        if let Some(status) = error_status(der)? {
            return Err(unacceptable(format!("it is the error {}", status.name())));
        }
        let bytes = OcspResponse::from_der(der)?
            .response_bytes
            .filter(|bytes| bytes.response_type == ID_PKIX_OCSP_BASIC)
            .ok_or_else(|| unacceptable("it is not a basic response"))?;
        check_lengths(bytes.response.as_bytes())?;
        let basic = BasicOcspResponse::from_der(bytes.response.as_bytes())?;

        let signer = if is_responder(issuer, &basic)? {
            issuer
        } else {
            let mut embedded = basic.certs.iter().flatten();
            let delegate = embedded
                .find(|certificate| is_responder(certificate, &basic).unwrap_or(false))
                .ok_or_else(|| unacceptable("its signer is neither the issuer nor embedded"))?;
            check_delegate(delegate, issuer)?;
            delegate
        };
        let validity = &signer.tbs_certificate.validity;
        if now < validity.not_before.into() || now > validity.not_after.into() {
            return Err(unacceptable("its signer's certificate is not valid now"));
        }
        let signature =
            basic.signature.as_bytes().ok_or_else(|| unacceptable("its signature has odd bits"))?;
        let key = signer.tbs_certificate.subject_public_key_info.to_der()?;
        ca_signing::verify(&key, &basic.signature_algorithm, &basic.tbs_response_data.to_der()?, signature)?;
        Ok(Self { basic })
    }

    /// The decoded response.
    #[must_use]
    pub const fn basic(&self) -> &BasicOcspResponse {
        &self.basic
    }

    /// When it was signed.
    #[must_use]
    pub fn produced_at(&self) -> Timestamp {
        self.basic.tbs_response_data.produced_at.0.into()
    }

    /// The nonce's octets.
    #[must_use]
    pub fn nonce(&self) -> Option<Vec<u8>> {
        self.basic.nonce().map(|nonce| nonce.0.as_bytes().to_vec())
    }

    /// Whether it has the extended-revoke extension (RFC 6960, section 4.4.8).
    #[must_use]
    pub fn has_extended_revoke(&self) -> bool {
        let mut extensions = self.basic.tbs_response_data.response_extensions.iter().flatten();
        extensions.any(|extension| extension.extn_id == ID_PKIX_OCSP_EXTENDED_REVOKE)
    }

    /// What it says about a certificate, asked for by exactly this CertID; none
    /// if it says nothing.
    ///
    /// Whether the answer is fresh is for the caller to judge.
    #[must_use]
    pub fn status(&self, id: &CertId) -> Option<ViewStatus> {
        self.basic.tbs_response_data.responses.iter().find(|single| single.cert_id == *id).map(view_status)
    }
}

fn view_status(single: &SingleResponse) -> ViewStatus {
    let state = match single.cert_status {
        CertStatus::Good(_) => ViewState::Good,
        CertStatus::Unknown(_) => ViewState::Unknown,
        CertStatus::Revoked(info) => {
            let code = info.revocation_reason.and_then(|reason| u8::try_from(reason as u32).ok());
            let reason = code.and_then(ReasonCode::from_code).unwrap_or(ReasonCode::Unspecified);
            ViewState::Revoked { at: info.revocation_time.0.into(), reason }
        }
    };
    ViewStatus {
        state,
        this_update: single.this_update.0.into(),
        next_update: single.next_update.map(|time| time.0.into()),
    }
}

fn is_responder(certificate: &Certificate, basic: &BasicOcspResponse) -> Result<bool, StatusError> {
    let tbs = &certificate.tbs_certificate;
    Ok(match &basic.tbs_response_data.responder_id {
        ResponderId::ByName(name) => name.to_der()? == tbs.subject.to_der()?,
        ResponderId::ByKey(hash) => {
            hash.as_bytes() == KeyIdentifier::of_spki(&tbs.subject_public_key_info.owned_to_ref()).0
        }
    })
}
