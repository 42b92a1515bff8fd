//! The request with which a responder asks for its next signer certificate.
//!
//! It carries a key and says for which authority; all else is decided by the
//! authority. Both sides must agree on what it looks like, so it is made and
//! checked here.

use std::str::FromStr;

use ca_domain::KeyIdentifier;
use ca_domain::csr::VerifiedRequest;
use ca_signing::SigningKey;
use const_oid::db::rfc4519::COMMON_NAME;
use x509_cert::name::Name;

use crate::StatusError;

/// The subject's common name, its only attribute.
fn common_name(authority: KeyIdentifier) -> String {
    format!("OCSP signer {authority}")
}

/// A PKCS#10 request (RFC 2986), DER, for the next signer of `authority`.
///
/// # Errors
/// The key refuses to sign.
pub fn create(key: &dyn SigningKey, authority: KeyIdentifier) -> Result<Vec<u8>, StatusError> {
    let subject = Name::from_str(&format!("CN={}", common_name(authority)))?;
    Ok(ca_signing::csr::create(key, &subject)?)
}

/// Checks that a request asks for an OCSP signer of `authority`, and for nothing
/// else: that subject, and no extensions.
///
/// # Errors
/// [`StatusError::SignerRequest`] with what it asks for besides.
pub fn check(request: &VerifiedRequest, authority: KeyIdentifier) -> Result<(), StatusError> {
    if !request.requested_extensions().is_empty() {
        return Err(StatusError::SignerRequest("it asks for extensions"));
    }
    let rdns = request.requested_subject().map(|name| name.0.as_slice()).unwrap_or_default();
    let mut attributes = rdns.iter().flat_map(|rdn| rdn.0.iter());
    let (Some(only), None) = (attributes.next(), attributes.next()) else {
        return Err(StatusError::SignerRequest("its subject is not a single common name"));
    };
    if only.oid != COMMON_NAME || only.value.value() != common_name(authority).as_bytes() {
        return Err(StatusError::SignerRequest(
            "its subject is not that of an OCSP signer of this authority",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ca_domain::KeyAlgorithm;
    use ca_signing::SoftwareKey;

    use super::*;

    fn verified(der: &[u8]) -> VerifiedRequest {
        let verify = |spki: &[u8], algorithm: &spki::AlgorithmIdentifierOwned, text: &[u8], bits: &[u8]| {
            ca_signing::verify(spki, algorithm, text, bits).is_ok()
        };
        VerifiedRequest::from_der(der, &verify).unwrap()
    }

    #[test]
    fn for_one_authority_and_nothing_else() {
        let key = SoftwareKey::generate(KeyAlgorithm::P256).unwrap();
        let (ours, other) = (KeyIdentifier([7; 20]), KeyIdentifier([8; 20]));
        let request = verified(&create(&key, ours).unwrap());
        check(&request, ours).unwrap();
        check(&request, other).unwrap_err();
        let names =
            ["CN=mail.example.test", "CN=OCSP signer", "C=DE"].map(|text| Name::from_str(text).unwrap());
        for subject in names.into_iter().chain([Name::default()]) {
            let request = verified(&ca_signing::csr::create(&key, &subject).unwrap());
            check(&request, ours).unwrap_err();
        }
        let twice = Name::from_str(&format!("CN={},O=Example", common_name(ours))).unwrap();
        check(&verified(&ca_signing::csr::create(&key, &twice).unwrap()), ours).unwrap_err();
    }
}
