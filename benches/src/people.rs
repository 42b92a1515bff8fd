//! People to certify, each with a key.

use ca_core::domain::KeyAlgorithm;
use ca_core::domain::csr::VerifiedRequest;
use ca_core::domain::mailbox::Mailbox;
use ca_core::domain::profile::SubjectInput;
use ca_core::signing::{SigningKey, SoftwareKey, csr};
use der::Decode;
use x509_cert::name::Name;

use crate::{Result, fail};

/// Somebody with a mailbox and a key.
#[derive(Clone, Debug)]
pub struct Person {
    /// The mailbox.
    pub mailbox: String,
    /// The public key, DER SubjectPublicKeyInfo.
    pub spki_der: Vec<u8>,
    /// A request for the key, DER PKCS#10.
    pub request: Vec<u8>,
}

impl Person {
    /// Makes up person `number`, with a P-256 key.
    ///
    /// # Errors
    /// The operating system has no randomness.
    pub fn new(number: usize) -> Result<Self> {
        let key = SoftwareKey::generate(KeyAlgorithm::P256)?;
        let request = csr::create(&key, &Name::default())?;
        let spki_der = key.public_key_der().to_vec();
        Ok(Self { mailbox: mailbox(number), spki_der, request })
    }

    /// The names to certify.
    ///
    /// # Errors
    /// None for a mailbox made here.
    pub fn subject(&self) -> Result<SubjectInput> {
        Ok(SubjectInput { mailboxes: vec![Mailbox::parse(&self.mailbox)?], ..SubjectInput::default() })
    }

    /// The request, its proof of possession checked.
    ///
    /// # Errors
    /// None for a request made here.
    pub fn verified(&self) -> Result<VerifiedRequest> {
        VerifiedRequest::from_bytes(&self.request, &ca_core::verify_callback)
            .map_err(|error| fail(error.to_string()))
    }
}

/// The mailbox of person `number`.
#[must_use]
pub fn mailbox(number: usize) -> String {
    format!("person{number}@example.test")
}

/// The DER of the part of a certificate that is signed: as long a message as a
/// key signs when it issues.
///
/// # Errors
/// Not a certificate.
pub fn signed_part(pem: &str) -> Result<Vec<u8>> {
    use der::{DecodePem, Encode};
    let certificate = x509_cert::Certificate::from_pem(pem)?;
    let der = certificate.tbs_certificate.to_der()?;
    // What is measured is worth nothing if it is not what is issued.
    x509_cert::TbsCertificate::from_der(&der)?;
    Ok(der)
}
