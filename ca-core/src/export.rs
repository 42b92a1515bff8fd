//! Certificates in the forms that other programs read.

pub mod apple;
mod archive;
pub mod bundle;
mod debian;
pub mod exchange;
pub mod intune;
pub mod keys;
pub mod mailserver;
mod mozilla;
mod powershell;
pub mod sst;
pub mod trust;
mod windows;

use cms::cert::CertificateChoices;
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{CertificateSet, EncapsulatedContentInfo, SignedData, SignerInfos};
use const_oid::db::rfc5911;
use der::asn1::AnyRef;
use der::asn1::SetOfVec;
use der::{Decode, Encode};
use x509_cert::Certificate;

use crate::certify::pem_of;
use crate::error::{AuthorityError, Result};

/// A form of export.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// The certificate and its issuers, PEM.
    Chain,
    /// The certificate, DER.
    Der,
    /// The certificate and its issuers, PKCS#7 certs-only, DER (RFC 8551, section 3.8).
    P7b,
    /// The certificate, PEM.
    Pem,
}

/// `der` and its issuers in the wanted form.
///
/// # Errors
/// A certificate that cannot be decoded.
pub fn export(format: Format, der: &[u8], issuers: &[Vec<u8>]) -> Result<Vec<u8>> {
    let all = || std::iter::once(der.to_vec()).chain(issuers.iter().cloned()).collect::<Vec<_>>();
    match format {
        Format::Chain => Ok(pem_of(&all())?.into_bytes()),
        Format::Der => Ok(der.to_vec()),
        Format::P7b => certs_only(&all()),
        Format::Pem => Ok(pem_of(&[der.to_vec()])?.into_bytes()),
    }
}

/// A degenerate SignedData without signers (RFC 5652, section 5).
///
/// # Errors
/// A certificate that cannot be decoded.
pub fn certs_only(certificates: &[Vec<u8>]) -> Result<Vec<u8>> {
    let encode = AuthorityError::der;
    let mut set = SetOfVec::new();
    for der in certificates {
        let certificate = Certificate::from_der(der).map_err(encode("a certificate"))?;
        set.insert(CertificateChoices::Certificate(certificate)).map_err(encode("a PKCS#7 bundle"))?;
    }
    let signed = SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::new(),
        encap_content_info: EncapsulatedContentInfo { econtent_type: rfc5911::ID_DATA, econtent: None },
        certificates: Some(CertificateSet(set)),
        crls: None,
        signer_infos: SignerInfos(SetOfVec::new()),
    };
    let content = signed.to_der().map_err(encode("a PKCS#7 bundle"))?;
    let info = ContentInfo {
        content_type: rfc5911::ID_SIGNED_DATA,
        content: AnyRef::try_from(content.as_slice()).map_err(encode("a PKCS#7 bundle"))?.into(),
    };
    info.to_der().map_err(encode("a PKCS#7 bundle"))
}
