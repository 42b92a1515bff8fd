//! OCSP requests about one certificate.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use ca_core::domain::SerialNumber;
use ca_core::status::ocsp::{CertHash, IssuerIds};
use der::{DecodePem, Encode};
use x509_cert::Certificate;
use x509_cert::ext::AsExtension;
use x509_cert::name::Name;
use x509_ocsp::ext::Nonce;
use x509_ocsp::{CertId, OcspRequest, Request, TbsRequest, Version};

use crate::{Result, fail};

/// Writes requests about the certificates of one issuer, with SHA-1 CertIDs.
#[derive(Debug)]
pub struct Asker {
    ids: IssuerIds,
}

impl Asker {
    /// Asks about certificates of `issuer`.
    ///
    /// # Errors
    /// None for an authority's certificate.
    pub fn new(issuer: &Certificate) -> Result<Self> {
        Ok(Self { ids: IssuerIds::of(issuer)? })
    }

    /// Asks about certificates of DIR/ca.pem.
    ///
    /// # Errors
    /// It is not a certificate.
    pub fn of_dir(dir: &Path) -> Result<Self> {
        Self::new(&Certificate::from_pem(std::fs::read(dir.join("ca.pem"))?)?)
    }

    /// What the answer will name the certificate with.
    ///
    /// # Errors
    /// None for a serial number.
    pub fn id(&self, serial: &SerialNumber) -> Result<CertId> {
        Ok(self.ids.cert_id(CertHash::Sha1, serial)?)
    }

    /// A request in DER, with a nonce or without.
    ///
    /// # Errors
    /// None for a serial number and a nonce of 1 to 128 bytes.
    pub fn request(&self, serial: &SerialNumber, nonce: Option<&[u8]>) -> Result<Vec<u8>> {
        let nonce = match nonce {
            Some(bytes) => Some(vec![Nonce::new(bytes)?.to_extension(&Name::default(), &[])?]),
            None => None,
        };
        let request = OcspRequest {
            tbs_request: TbsRequest {
                version: Version::V1,
                requestor_name: None,
                request_list: vec![Request { req_cert: self.id(serial)?, single_request_extensions: None }],
                request_extensions: nonce,
            },
            optional_signature: None,
        };
        Ok(request.to_der()?)
    }
}

/// The request `body` as a message to an HTTP server.
#[must_use]
pub fn post(body: &[u8]) -> Vec<u8> {
    let head =
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/ocsp-request\r\nContent-Length: ";
    let mut message = format!("{head}{}\r\n\r\n", body.len()).into_bytes();
    message.extend(body);
    message
}

/// A line of an `index.txt`, as `openssl ca` writes it.
#[derive(Clone, Copy, Debug)]
pub struct Indexed {
    /// Whose line it is.
    pub serial: SerialNumber,
    /// Whether it says so.
    pub revoked: bool,
}

/// The certificates of DIR/index.txt.
///
/// # Errors
/// The file cannot be opened; then, for each line, that it is not one.
pub fn index(dir: &Path) -> Result<impl Iterator<Item = Result<Indexed>>> {
    let lines = BufReader::new(File::open(dir.join("index.txt"))?).lines();
    Ok(lines.map(|line| {
        let line = line?;
        // V or R, notAfter, revocation time, serial, file, subject.
        let fields: Vec<_> = line.split('\t').collect();
        let [flag, _, _, serial, ..] = fields[..] else {
            return Err(fail(format!("index.txt: {line:?}")));
        };
        Ok(Indexed { serial: SerialNumber::parse(serial)?, revoked: flag == "R" })
    }))
}
