//! Whether an object is what it must be.

use cms::cert::CertificateChoices;
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5911, rfc5912};
use der::asn1::OctetString;
use der::{Decode, Encode};
use sha2::{Digest, Sha256, Sha384, Sha512};
use spki::AlgorithmIdentifierOwned;
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectKeyIdentifier;

use crate::error::{AuthorityError, Result};
use crate::publish::holders::{Holder, MailCertificate};
use crate::publish::ours::{Known, Ours};

/// The one who signed an object, if their certificate is ours. The signature is not verified.
pub(in crate::publish) fn signer(value: &[u8], ours: &Ours<'_>) -> Option<Known> {
    let (certificate, ..) = read(value).ok()?;
    ours.issued(&certificate)
}

/// Refuses an object that is not signed by `holder`, or does not have `encryption` in it.
pub(super) fn check(
    value: &[u8],
    holder: &Holder,
    encryption: &MailCertificate,
    ours: &Ours<'_>,
) -> Result<()> {
    let refuse = |why: &str| {
        Err(AuthorityError::Refused(format!(
            "this is not an object for userSMIMECertificate of {}: {why}; nothing was kept",
            holder.mailbox
        )))
    };
    let (certificate, signer, certificates) = match read(value) {
        Ok(read) => read,
        Err(why) => return refuse(why),
    };
    let serial = ours.issued(&certificate).map(|known| known.serial);
    if !holder.certificates.iter().any(|one| one.signs && Some(one.serial) == serial) {
        return refuse("its signer is not a good signing certificate of this person");
    }
    let has = certificates.iter().any(|one| one.to_der().is_ok_and(|der| der == encryption.der));
    if !has {
        return refuse("the newest certificate to encrypt to is not in it");
    }
    match verify(&certificate, &signer) {
        Ok(()) => Ok(()),
        Err(why) => refuse(why),
    }
}

type Parts = (Certificate, SignerInfo, Vec<Certificate>);

fn read(value: &[u8]) -> std::result::Result<Parts, &'static str> {
    let info = ContentInfo::from_der(value).map_err(|_| "it is no PKCS#7 in DER")?;
    let data: SignedData = match info.content_type {
        rfc5911::ID_SIGNED_DATA => info.content.decode_as().map_err(|_| "it is no SignedData")?,
        _ => return Err("it is no SignedData"),
    };
    let certificates: Vec<Certificate> = data
        .certificates
        .iter()
        .flat_map(|set| set.0.iter())
        .filter_map(|choice| match choice {
            CertificateChoices::Certificate(certificate) => Some(certificate.clone()),
            CertificateChoices::Other(_) => None,
        })
        .collect();
    let mut signers = data.signer_infos.0.iter();
    let (Some(signer), None) = (signers.next(), signers.next()) else {
        return Err("it does not have exactly one signer");
    };
    let certificate = certificates.iter().find(|one| is_of(&signer.sid, one));
    let certificate = certificate.ok_or("its signer's certificate is not in it")?.clone();
    Ok((certificate, signer.clone(), certificates))
}

fn is_of(name: &SignerIdentifier, certificate: &Certificate) -> bool {
    let tbs = &certificate.tbs_certificate;
    match name {
        SignerIdentifier::IssuerAndSerialNumber(name) => {
            name.issuer == tbs.issuer && name.serial_number == tbs.serial_number
        }
        SignerIdentifier::SubjectKeyIdentifier(name) => {
            tbs.get::<SubjectKeyIdentifier>().ok().flatten().is_some_and(|(_, found)| found == *name)
        }
    }
}

/// Verifies the signature over empty content (RFC 5652, section 5.4).
fn verify(certificate: &Certificate, signer: &SignerInfo) -> std::result::Result<(), &'static str> {
    let hash = |bytes: &[u8]| match signer.digest_alg.oid {
        rfc5912::ID_SHA_256 => Ok(Sha256::digest(bytes).to_vec()),
        rfc5912::ID_SHA_384 => Ok(Sha384::digest(bytes).to_vec()),
        rfc5912::ID_SHA_512 => Ok(Sha512::digest(bytes).to_vec()),
        _ => Err("its hash is not SHA-256, SHA-384 or SHA-512"),
    };
    let signed = match &signer.signed_attrs {
        None => Vec::new(),
        Some(attributes) => {
            let digest = attributes.iter().find(|one| one.oid == rfc5911::ID_MESSAGE_DIGEST);
            let digest = digest.and_then(|one| one.values.get(0)?.decode_as::<OctetString>().ok());
            if digest.is_none_or(|digest| hash(&[]).is_ok_and(|empty| digest.as_bytes() != empty)) {
                return Err("its signature is not over empty content");
            }
            attributes.to_der().map_err(|_| "its signed attributes cannot be encoded")?
        }
    };
    hash(&[])?;
    let spki = certificate.tbs_certificate.subject_public_key_info.to_der();
    let spki = spki.map_err(|_| "its signer's key cannot be encoded")?;
    ca_signing::verify(&spki, &algorithm(signer), &signed, signer.signature.as_bytes())
        .map_err(|_| "its signature does not verify")
}

/// The signature algorithm; messages may name the bare one of RSA (RFC 3370, section 3.2).
fn algorithm(signer: &SignerInfo) -> AlgorithmIdentifierOwned {
    let with_hash: Option<ObjectIdentifier> = match (signer.signature_algorithm.oid, signer.digest_alg.oid) {
        (rfc5912::RSA_ENCRYPTION, rfc5912::ID_SHA_256) => Some(rfc5912::SHA_256_WITH_RSA_ENCRYPTION),
        (rfc5912::RSA_ENCRYPTION, rfc5912::ID_SHA_384) => Some(rfc5912::SHA_384_WITH_RSA_ENCRYPTION),
        (rfc5912::RSA_ENCRYPTION, rfc5912::ID_SHA_512) => Some(rfc5912::SHA_512_WITH_RSA_ENCRYPTION),
        _ => None,
    };
    match with_hash {
        Some(oid) => {
            AlgorithmIdentifierOwned { oid, parameters: signer.signature_algorithm.parameters.clone() }
        }
        None => signer.signature_algorithm.clone(),
    }
}
