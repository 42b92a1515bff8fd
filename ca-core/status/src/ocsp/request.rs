//! OCSP requests: reading them within a budget, and writing them.

use const_oid::db::rfc6960::{ID_PKIX_OCSP_BASIC, ID_PKIX_OCSP_NONCE, ID_PKIX_OCSP_RESPONSE};
use der::asn1::{OctetStringRef, SequenceRef};
use der::{Decode, Encode, ErrorKind, Header, Reader, Sequence, SliceReader};
use x509_cert::ext::Extension;
use x509_ocsp::ext::AcceptableResponses;
use x509_ocsp::{CertId, OcspRequest, Request, TbsRequest};

use super::respond::nonce_extension;
use crate::StatusError;

/// The longest nonce that is not malformed (RFC 9654, section 2.1).
pub const MAX_NONCE: usize = 128;

/// What one request may cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Budget {
    /// Bytes of the request.
    pub max_bytes: usize,
    /// Certificates asked for in one request.
    pub max_cert_ids: usize,
}

impl Default for Budget {
    /// 10,000 bytes and 64 certificates.
    fn default() -> Self {
        Self { max_bytes: 10_000, max_cert_ids: 64 }
    }
}

/// What a request asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestView {
    /// The certificates, at least one, exactly as asked for.
    pub cert_ids: Vec<CertId>,
    /// The nonce's octets, 1 to 128.
    pub nonce: Option<Vec<u8>>,
    /// Whether the request is signed. The signature is not checked: anybody may
    /// ask (RFC 6960, section 4.1.2).
    pub signed: bool,
}

/// OCSPRequest (RFC 6960, section 4.1.1) with its signature left packed.
#[derive(Sequence)]
struct RequestRef<'a> {
    tbs_request: TbsRequest,
    #[asn1(context_specific = "0", optional = "true", tag_mode = "EXPLICIT")]
    optional_signature: Option<SequenceRef<'a>>,
}

/// Reads a DER OCSPRequest.
///
/// # Errors
/// Over budget, not DER, no certificate, a nonce that is empty or longer than
/// [`MAX_NONCE`], a repeated extension, or a critical one that is unknown; all
/// of them are answered with malformedRequest.
pub fn parse(bytes: &[u8], budget: &Budget) -> Result<RequestView, StatusError> {
    if bytes.len() > budget.max_bytes {
        return Err(StatusError::RequestTooLarge { got: bytes.len(), limit: budget.max_bytes });
    }
    let request = check_lengths(bytes).and_then(|()| RequestRef::from_der(bytes));
    let request = request.map_err(|e| StatusError::MalformedRequest(e.to_string()))?;
    let signed = request.optional_signature.is_some();
    let TbsRequest { request_list, request_extensions, .. } = request.tbs_request;
    if request_list.is_empty() {
        return Err(malformed("it asks for no certificate"));
    }
    if request_list.len() > budget.max_cert_ids {
        return Err(StatusError::TooManyCertIds { got: request_list.len(), limit: budget.max_cert_ids });
    }
    let nonce = request_nonce(request_extensions.as_deref().unwrap_or_default())?;
    let mut cert_ids = Vec::with_capacity(request_list.len());
    for single in request_list {
        let extensions = single.single_request_extensions.iter().flatten();
        if let Some(extension) = extensions.into_iter().find(|extension| extension.critical) {
            return Err(StatusError::UnknownCriticalExtension(extension.extn_id));
        }
        cert_ids.push(single.req_cert);
    }
    Ok(RequestView { cert_ids, nonce, signed })
}

/// Constructed elements within each other; requests and responses have a dozen.
const MAX_DEPTH: usize = 32;

/// Refuses an element that says to be longer than what it is in, and elements too
/// deep within each other. The decoder takes memory for the stated length of an
/// OCTET STRING or ANY, up to 256 MiB, before it looks how much is there.
pub(super) fn check_lengths(bytes: &[u8]) -> der::Result<()> {
    let mut reader = SliceReader::new(bytes)?;
    // Where the elements end that the next one is in.
    let mut ends = vec![reader.remaining_len()];
    while let Some(end) = ends.last().copied() {
        if reader.position() == end {
            ends.pop();
            continue;
        }
        let header = Header::decode(&mut reader)?;
        let its_end = (reader.position() + header.length)?;
        if its_end > end {
            return Err(reader.error(ErrorKind::Length { tag: header.tag }));
        }
        if !header.tag.is_constructed() {
            reader.read_slice(header.length)?;
        } else if ends.len() <= MAX_DEPTH {
            ends.push(its_end);
        } else {
            return Err(reader.error(ErrorKind::Overlength));
        }
    }
    Ok(())
}

fn malformed(what: &str) -> StatusError {
    StatusError::MalformedRequest(what.to_owned())
}

fn request_nonce(extensions: &[Extension]) -> Result<Option<Vec<u8>>, StatusError> {
    let mut nonce = None;
    for (at, extension) in extensions.iter().enumerate() {
        if extensions[..at].iter().any(|earlier| earlier.extn_id == extension.extn_id) {
            return Err(malformed("it has an extension twice"));
        }
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            ID_PKIX_OCSP_NONCE => nonce = Some(nonce_octets(value)?),
            ID_PKIX_OCSP_RESPONSE if extension.critical => {
                let types = AcceptableResponses::from_der(value)
                    .map_err(|_| malformed("its list of response types is not DER"))?;
                if !types.0.contains(&ID_PKIX_OCSP_BASIC) {
                    return Err(malformed("it accepts no basic response"));
                }
            }
            oid if extension.critical => return Err(StatusError::UnknownCriticalExtension(oid)),
            _ => {}
        }
    }
    Ok(nonce)
}

fn nonce_octets(value: &[u8]) -> Result<Vec<u8>, StatusError> {
    let nonce = OctetStringRef::from_der(value).map_err(|_| malformed("its nonce is not an OCTET STRING"))?;
    match nonce.as_bytes() {
        [] => Err(malformed("its nonce is empty")),
        bytes if bytes.len() > MAX_NONCE => Err(malformed("its nonce is longer than 128 octets")),
        bytes => Ok(bytes.to_vec()),
    }
}

/// Writes an unsigned DER OCSPRequest for these certificates.
///
/// # Errors
/// A nonce or list too long for DER.
pub fn build(cert_ids: &[CertId], nonce: Option<&[u8]>) -> Result<Vec<u8>, StatusError> {
    let single = |id: &CertId| Request { req_cert: id.clone(), single_request_extensions: None };
    let tbs_request = TbsRequest {
        request_list: cert_ids.iter().map(single).collect(),
        request_extensions: nonce
            .map(|nonce| Ok::<_, StatusError>(vec![nonce_extension(nonce)?]))
            .transpose()?,
        ..TbsRequest::default()
    };
    Ok(OcspRequest { tbs_request, optional_signature: None }.to_der()?)
}
