//! Importing an authority's certificate: the answer to a request, or an offline root's.

use std::io::Read;
use std::path::Path;

use ca_domain::csr::VerifiedRequest;
use ca_domain::key_check::check_public_key;
use ca_domain::profile::{AuthorityUrls, IssuerContext};
use ca_domain::{SerialNumber, Timestamp};
use ca_files::{FileError, read_private};
use der::{Decode, Encode};
use x509_cert::Certificate;

use crate::authority::{self, Authority};
use crate::create_authority::{Created, publish, stage};
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};
use crate::init::io;

/// Imports an authority's certificate: the answer to a request made here, or the
/// certificate of an authority whose key is elsewhere, an offline root for example.
///
/// # Errors
/// The certificate is not a CA's, does not fit the waiting key, or its chain does
/// not verify; nothing was changed then.
pub fn import_authority(
    home: &Home,
    name: &str,
    certificates: &[Vec<u8>],
    actor: &str,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Authority> {
    authority::check_name(name)?;
    let mismatch =
        |why: &str| AuthorityError::CertificateMismatch { name: name.to_owned(), why: why.to_owned() };
    let Some((leaf, chain)) = certificates.split_first() else {
        return Err(AuthorityError::Input(
            "the file holds no certificate; give the signed certificate, PEM or DER".into(),
        ));
    };
    let certificate = Certificate::from_der(leaf).map_err(AuthorityError::der("the certificate"))?;
    verify_chain(name, leaf, chain, now)?;
    let tbs = &certificate.tbs_certificate;
    let spki_der = tbs.subject_public_key_info.to_der().map_err(AuthorityError::der("a public key"))?;
    let checked = check_public_key(&spki_der)?;

    let mut writer = home.writer(wait)?;
    let dir = home.authorities_dir().join(name);
    if dir.join(authority::CERTIFICATE).exists() {
        return Err(AuthorityError::AuthorityExists(name.to_owned()));
    }
    refuse_other_name(home, name, leaf, &spki_der)?;
    let key_pem = dir.join(authority::KEY);
    let key = if key_pem.exists() {
        if waiting_key(home, name)? != spki_der {
            return Err(mismatch("it certifies another key than the one that waits here"));
        }
        Some(read_private(&key_pem)?)
    } else {
        None
    };
    let staging = stage(home, name, leaf, chain, key.as_deref())?;
    let serial = SerialNumber::try_from(&tbs.serial_number)?;
    let created = Created { name, template: None, actor };
    let act = created.act_of(leaf, serial, tbs.validity.not_after.into(), checked.key_id, now)?;
    writer.commit(vec![act], now, wait.warn)?;
    replace_waiting(home, &staging, name)
        .map_err(|source| AuthorityError::Unnamed { name: name.to_owned(), source })?;
    Authority::load(home, name)
}

/// A certificate goes where its key waits, and only to one name.
fn refuse_other_name(home: &Home, name: &str, leaf: &[u8], spki_der: &[u8]) -> Result<()> {
    for other in Authority::waiting(home)?.iter().filter(|other| *other != name) {
        if waiting_key(home, other)? == spki_der {
            return Err(AuthorityError::CertificateMismatch {
                name: name.to_owned(),
                why: format!("its key waits under the name {other:?}; run `ca authority import {other}`"),
            });
        }
    }
    match Authority::all(home)?.iter().find(|other| other.der() == leaf) {
        Some(other) => Err(AuthorityError::AuthorityExists(other.name().to_owned())),
        None => Ok(()),
    }
}

/// The public key of an authority that waits for its certificate.
fn waiting_key(home: &Home, name: &str) -> Result<Vec<u8>> {
    let path = home.authorities_dir().join(name).join(authority::REQUEST);
    let request = std::fs::read(&path).map_err(io("read", &path))?;
    Ok(VerifiedRequest::from_pem(&request, &crate::verify_callback)?.public_key_der().to_vec())
}

/// Puts the staged directory, which has the key, in the place of the one that waited.
pub(crate) fn replace_waiting(home: &Home, staging: &Path, name: &str) -> std::result::Result<(), FileError> {
    let waiting = home.authorities_dir().join(name);
    match std::fs::remove_dir_all(&waiting) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::Io { action: "remove", path: waiting, source })
        }
        _ => publish(home, staging, name),
    }
}

/// Every certificate is a CA's, has not expired and is signed by the next; the last signed itself.
fn verify_chain(name: &str, leaf: &[u8], chain: &[Vec<u8>], now: Timestamp) -> Result<()> {
    let mismatch = |why: String| AuthorityError::CertificateMismatch { name: name.to_owned(), why };
    let decode = |der: &[u8]| Certificate::from_der(der).map_err(AuthorityError::der("a certificate"));
    let mut subject = decode(leaf)?;
    for (depth, issuer_der) in chain.iter().map(Vec::as_slice).chain([&[][..]]).enumerate() {
        if IssuerContext::of_certificate(&subject, AuthorityUrls::default()).is_err() {
            return Err(mismatch(format!("certificate {depth} is not a CA certificate")));
        }
        if Timestamp::from(subject.tbs_certificate.validity.not_after) < now {
            return Err(mismatch(format!("certificate {depth} has expired")));
        }
        let issuer = if issuer_der.is_empty() { subject.clone() } else { decode(issuer_der)? };
        if subject.tbs_certificate.issuer != issuer.tbs_certificate.subject {
            return Err(mismatch(format!(
                "certificate {depth} was issued by {}, which is missing; give the issuers up to the root with --chain",
                subject.tbs_certificate.issuer
            )));
        }
        let spki = issuer
            .tbs_certificate
            .subject_public_key_info
            .to_der()
            .map_err(AuthorityError::der("a public key"))?;
        ca_signing::verify_certificate(&subject, &spki)
            .map_err(|_| mismatch(format!("the signature of certificate {depth} is wrong")))?;
        subject = issuer;
    }
    Ok(())
}

/// Bytes of a file of certificates at most.
const MAX_CERTIFICATES: u64 = 1 << 20;

fn read_limited(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(io("open", path))?;
    file.take(MAX_CERTIFICATES + 1).read_to_end(&mut bytes).map_err(io("read", path))?;
    if bytes.len() as u64 > MAX_CERTIFICATES {
        return Err(AuthorityError::Input(format!(
            "{} is larger than {MAX_CERTIFICATES} bytes; is it the right file?",
            path.display()
        )));
    }
    Ok(bytes)
}

/// Reads the certificates of files, PEM or DER, in order.
///
/// # Errors
/// A file cannot be read or holds no certificate.
pub fn read_certificates(paths: &[&Path]) -> Result<Vec<Vec<u8>>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for path in paths {
        let bytes = read_limited(path)?;
        let found = match std::str::from_utf8(&bytes) {
            Ok(text) if text.contains("-----BEGIN") => authority::pem_certificates(text, path)?,
            _ => vec![bytes],
        };
        for der in found {
            if !all.contains(&der) {
                all.push(der);
            }
        }
    }
    Ok(all)
}

/// Reads one certificate, PEM or DER.
///
/// # Errors
/// The file cannot be read or is not a certificate.
pub fn read_certificate(path: &Path) -> Result<Certificate> {
    let not_one =
        |why: String| AuthorityError::Input(format!("{} is not a certificate: {why}", path.display()));
    match read_certificates(&[path])?.as_slice() {
        [der] => Certificate::from_der(der).map_err(|error| not_one(error.to_string())),
        found => Err(not_one(format!("it holds {}", found.len()))),
    }
}
