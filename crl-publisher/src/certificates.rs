//! The authorities' certificates, in the forms that clients fetch.

use std::fs;
use std::path::Path;

use axum::body::Bytes;
use ca_service::{Authority, ServiceError, authority};
use cms::content_info::ContentInfo;
use der::Encode;
use x509_cert::Certificate;

use crate::catalogue::Asset;
use crate::config::AuthorityConfig;
use crate::pem::to_pem;
use crate::shelf::PEM_TYPE;

/// The media type of DER certificates (RFC 2585, section 4.1).
pub const CERTIFICATE_TYPE: &str = "application/pkix-cert";
/// RFC 5280, section 4.2.2.1, RFC 8551, section 3.2.2.
const CERTS_ONLY_TYPE: &str = "application/pkcs7-mime; smime-type=certs-only";

/// The authority, and the files that are made of its certificates, by path.
///
/// # Errors
/// Its certificate or chain is unusable.
pub fn load(config: &AuthorityConfig) -> Result<(Authority, Vec<(String, Asset)>), ServiceError> {
    let authority = Authority::load(&config.certificate)?;
    let files = render(config, &authority)?;
    Ok((authority, files))
}

/// The same as far as it was published in `directory` before: when the certificate cannot be
/// used now. The certificate itself is taken from its file all the same if only the chain is bad.
#[must_use]
pub fn published(config: &AuthorityConfig, directory: &Path) -> Option<(Authority, Vec<(String, Asset)>)> {
    match Authority::load(&config.certificate) {
        Ok(authority) => Some(beside(&config.name, authority, directory)),
        Err(_) => last(&config.name, directory),
    }
}

/// The authority `name` as it was published in `directory` before; no other file is looked at.
#[must_use]
pub fn last(name: &str, directory: &Path) -> Option<(Authority, Vec<(String, Asset)>)> {
    let authority = Authority::load(&directory.join(format!("ca/{name}.crt"))).ok()?;
    Some(beside(name, authority, directory))
}

/// An authority with the published files beside its certificate.
fn beside(name: &str, authority: Authority, directory: &Path) -> (Authority, Vec<(String, Asset)>) {
    let own = format!("ca/{name}.crt");
    let asset = |kind, octets: Vec<u8>| Asset::new(kind, octets.into(), authority.not_before(), None);
    let mut files = vec![(own, asset(CERTIFICATE_TYPE, authority.der.clone()))];
    for (path, kind) in [(format!("ca/{name}.p7c"), CERTS_ONLY_TYPE), (format!("chain/{name}.pem"), PEM_TYPE)]
    {
        let file = directory.join(&path);
        if let (Ok(()), Ok(octets)) = (ca_files::check_trusted(&file).map(drop), fs::read(&file)) {
            files.push((path, asset(kind, octets)));
        }
    }
    (authority, files)
}

/// Makes `ca/NAME.crt`, `ca/NAME.p7c` and `chain/NAME.pem`, by path.
///
/// # Errors
/// The chain file is unusable or does not lead on from the authority.
fn render(config: &AuthorityConfig, authority: &Authority) -> Result<Vec<(String, Asset)>, ServiceError> {
    let name = &config.name;
    let source = config.chain.as_ref().unwrap_or(&config.certificate);
    let refuse = |what: String| ServiceError::Certificate { path: source.clone(), what };
    let chain = match &config.chain {
        Some(path) => complete(authority, authority::load_certificates(path)?).map_err(refuse)?,
        None => vec![authority.certificate.clone()],
    };
    let unusable = |error: der::Error| refuse(error.to_string());
    let p7c = certs_only(chain.clone()).map_err(unusable)?;
    let mut pem = String::new();
    for certificate in &chain {
        let der = certificate.to_der().map_err(unusable)?;
        pem.push_str(&to_pem("CERTIFICATE", &der).map_err(|error| refuse(error.to_string()))?);
    }
    let files = [
        (format!("ca/{name}.crt"), CERTIFICATE_TYPE, Bytes::from(authority.der.clone())),
        (format!("ca/{name}.p7c"), CERTS_ONLY_TYPE, p7c.into()),
        (format!("chain/{name}.pem"), PEM_TYPE, pem.into()),
    ];
    let asset = |kind, body| Asset::new(kind, body, authority.not_before(), None);
    Ok(files.into_iter().map(|(path, kind, body)| (path, asset(kind, body))).collect())
}

/// The chain beginning with the authority, whether or not the file has it. Each
/// certificate must be named as the issuer of the one before.
fn complete(authority: &Authority, mut chain: Vec<Certificate>) -> Result<Vec<Certificate>, String> {
    if chain.first() != Some(&authority.certificate) {
        chain.insert(0, authority.certificate.clone());
    }
    for pair in chain.windows(2) {
        let [child, parent] = pair else { continue };
        if child.tbs_certificate.issuer != parent.tbs_certificate.subject {
            return Err(format!(
                "{} follows {}, which it did not issue; order the chain from the authority up to its root",
                parent.tbs_certificate.subject, child.tbs_certificate.subject
            ));
        }
    }
    Ok(chain)
}

/// A degenerate SignedData with certificates only (RFC 5652, section 5.1).
fn certs_only(chain: Vec<Certificate>) -> der::Result<Vec<u8>> {
    ContentInfo::try_from(chain)?.to_der()
}
