//! The next key and the request for its certificate. The key never leaves this host.

use ca_domain::KeyAlgorithm;
use ca_files::{Mode, write_atomic};
use ca_service::Authority;
use ca_signing::{SigningKey, SoftwareKey};
use ca_status::ocsp::signer_request;
use der::pem::LineEnding;
use spki::SubjectPublicKeyInfoRef;
use x509_cert::der::Decode;
use x509_cert::request::CertReq;

use super::files::{Files, read_limited};

/// Makes sure that a key and a request for it wait for the authority; whether
/// something had to be made.
pub(super) fn ensure(files: &Files, authority: &Authority) -> Result<bool, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    // A key that cannot be read, or that others could read, signs nothing: a new one.
    let known = SoftwareKey::load(&files.next_key, None).ok();
    let key = match known {
        Some(key) if asks_for(files, &key) => return Ok(false),
        Some(key) => key,
        None => {
            let key = SoftwareKey::generate(like(authority)).map_err(|error| text(&error))?;
            let pem = key.to_plain_pem().map_err(|error| text(&error))?;
            // The key first: a request is worth nothing without it.
            write_atomic(&files.next_key, pem.as_bytes(), Mode::Private).map_err(|error| text(&error))?;
            key
        }
    };
    let der = signer_request::create(&key, authority.key_id).map_err(|error| text(&error))?;
    let pem =
        der::pem::encode_string("CERTIFICATE REQUEST", LineEnding::LF, &der).map_err(|error| text(&error))?;
    write_atomic(&files.request, pem.as_bytes(), Mode::Public).map_err(|error| text(&error))?;
    Ok(true)
}

/// Whether the request that waits is for this key.
fn asks_for(files: &Files, key: &SoftwareKey) -> bool {
    let Ok(Some(bytes)) = read_limited(&files.request) else { return false };
    let Ok((label, der)) = der::pem::decode_vec(&bytes) else { return false };
    let request = CertReq::from_der(&der);
    label == "CERTIFICATE REQUEST"
        && request.is_ok_and(|request| {
            use der::Encode;
            request.info.public_key.to_der().is_ok_and(|spki| spki == key.public_key_der())
        })
}

/// A key of the authority's family: a client that reads the authority's
/// certificates can read the answers.
fn like(authority: &Authority) -> KeyAlgorithm {
    let spki = SubjectPublicKeyInfoRef::try_from(authority.spki_der.as_slice());
    match spki.ok().and_then(|spki| KeyAlgorithm::of_spki(&spki)) {
        Some(KeyAlgorithm::P384) => KeyAlgorithm::P384,
        Some(algorithm) if algorithm.is_rsa() => KeyAlgorithm::Rsa3072,
        _ => KeyAlgorithm::P256,
    }
}
