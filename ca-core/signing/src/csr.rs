//! Certification requests for our own keys (PKCS#10, RFC 2986).

use der::asn1::BitString;
use der::{Decode, Encode};
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::name::Name;
use x509_cert::request::{CertReq, CertReqInfo, Version};

use crate::{SigningError, SigningKey};

/// A request for `subject`, signed with `key`: DER of CertificationRequest.
///
/// It carries no attributes: what a certificate says comes from the template of
/// the authority that signs it.
///
/// # Errors
/// The key refuses to sign, or the name cannot be encoded.
pub fn create(key: &dyn SigningKey, subject: &Name) -> Result<Vec<u8>, SigningError> {
    let der = || SigningError::der("the certification request");
    let info = CertReqInfo {
        version: Version::V1,
        subject: subject.clone(),
        public_key: SubjectPublicKeyInfoOwned::from_der(key.public_key_der()).map_err(der())?,
        attributes: Default::default(),
    };
    let signature = key.sign(&info.to_der().map_err(der())?)?;
    let request = CertReq {
        info,
        algorithm: key.signature_algorithm().identifier(),
        signature: BitString::from_bytes(&signature).map_err(der())?,
    };
    request.to_der().map_err(der())
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;
    use crate::testing::{self, openssl};
    use crate::verify_signed;

    #[test]
    fn openssl_accepts_the_request_of_every_key() {
        let dir = tempfile::tempdir().unwrap();
        let subject = Name::from_str("CN=Example Issuing CA,O=Example,C=DE").unwrap();
        for key in testing::keys() {
            let der = create(key, &subject).unwrap();
            verify_signed(&der, key.public_key_der()).unwrap();
            let file = dir.path().join("request.der");
            std::fs::write(&file, &der).unwrap();
            let file = file.to_str().unwrap();
            let told = openssl(&["req", "-inform", "DER", "-in", file, "-verify", "-noout", "-subject"]);
            assert!(told.contains("verify OK"), "{told}");
            assert!(told.contains("CN = Example Issuing CA"), "{told}");
        }
    }
}
