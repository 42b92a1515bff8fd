//! From a template, an issuer and names to the certificate that is to be signed.
//!
//! Extensions come from the template, in one fixed order; names from the
//! authorised input; the requester brings the public key and nothing else. Every
//! structure is a type of `x509-cert`; lint looks at the result before it is
//! signed.

use der::{Decode, Encode};
use spki::{SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef};
use x509_cert::certificate::{TbsCertificate, Version};
use x509_cert::name::Name;

use crate::template::{Template, TemplateKind};
use crate::{KeyAlgorithm, KeyIdentifier, SerialNumber, SignatureAlgorithm, Timestamp};

mod attribute;
mod constraints;
mod error;
mod extensions;
mod issuer;
mod names;
#[cfg(test)]
mod tests;
mod validity;

pub(crate) use attribute::check_attribute_value;
pub use error::ProfileError;
pub use issuer::{AuthorityUrls, IssuerContext};
pub use names::SubjectInput;

/// Builds the certificate to be signed.
///
/// * `issuer`: none for a self-signed root, and only for that.
/// * `spki_der`: the DER SubjectPublicKeyInfo; its bytes are in the certificate
///   as they are.
/// * `now`: the time of issuance; notBefore is earlier by the template's backdating,
///   but never before the issuer's.
/// * `days`: validity; none for the template's default. The last second counts: a
///   day after notBefore is 86,399 seconds later. A default that goes beyond the
///   issuer's end is cut there; days that were asked for are refused.
/// * `signature`: what the issuer's key signs with (the root's own key for a root).
///
/// # Errors
/// [`ProfileError`] says what the template, the issuer or the names forbid.
#[expect(clippy::too_many_arguments, reason = "each is a different part of one certificate")]
pub fn build(
    template: &Template,
    issuer: Option<&IssuerContext>,
    subject: &SubjectInput,
    spki_der: &[u8],
    serial: SerialNumber,
    now: Timestamp,
    days: Option<u32>,
    signature: SignatureAlgorithm,
) -> Result<TbsCertificate, ProfileError> {
    match (template.kind(), issuer) {
        (TemplateKind::RootCa, Some(_)) => {
            return Err(ProfileError::RootWithIssuer(template.name().to_owned()));
        }
        (TemplateKind::RootCa, None) | (_, Some(_)) => {}
        (_, None) => return Err(ProfileError::NoIssuer(template.name().to_owned())),
    }
    let spki = SubjectPublicKeyInfoRef::from_der(spki_der).map_err(ProfileError::Key)?;
    let algorithm = key_algorithm(template, &spki)?;
    let key_id = KeyIdentifier::of_spki(&spki);
    if issuer.is_none() && SignatureAlgorithm::of_key(algorithm) != signature {
        return Err(ProfileError::SignatureOfRoot { algorithm });
    }
    if let Some(issuer) = issuer {
        issuer.check_purposes(template)?;
        issuer.check_path(template)?;
    }
    let name = names::subject(template, subject)?;
    if name.is_empty() && template.kind().is_authority() {
        return Err(ProfileError::NamelessAuthority(template.name().to_owned()));
    }
    let alternative = names::alternative(template, issuer, subject)?;
    for constraints in issuer.into_iter().flat_map(IssuerContext::all_constraints) {
        constraints::check(constraints, subject)?;
    }
    let validity = validity::validity(template, issuer, now, days)?;
    let parts = extensions::Parts {
        template,
        issuer,
        algorithm,
        key_id,
        subject: &name,
        alternative,
        input: subject,
        serial,
    };
    let extensions = extensions::build(parts)?;
    let subject_public_key_info = SubjectPublicKeyInfoOwned::from_der(spki_der).map_err(ProfileError::Key)?;
    if subject_public_key_info.to_der().map_err(ProfileError::Key)? != spki_der {
        return Err(ProfileError::KeyEncoding);
    }
    Ok(TbsCertificate {
        version: Version::V3,
        serial_number: serial.to_der().map_err(ProfileError::Encoding)?,
        signature: signature.identifier(),
        issuer: issuer.map_or_else(|| name.clone(), |issuer| issuer.name.clone()),
        validity,
        subject: name,
        subject_public_key_info,
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: Some(extensions),
    })
}

/// The subject that `template` gives to these names: for a certification request
/// that waits for another authority.
///
/// # Errors
/// Names that the template refuses, as in [`build`].
pub fn subject_name(template: &Template, subject: &SubjectInput) -> Result<Name, ProfileError> {
    names::subject(template, subject)
}

fn key_algorithm(
    template: &Template,
    spki: &SubjectPublicKeyInfoRef<'_>,
) -> Result<KeyAlgorithm, ProfileError> {
    let algorithm = KeyAlgorithm::of_spki(spki).ok_or_else(|| ProfileError::UnknownKey {
        template: template.name().to_owned(),
        allowed: allowed(template),
    })?;
    accept(template, algorithm)
}

fn accept(template: &Template, algorithm: KeyAlgorithm) -> Result<KeyAlgorithm, ProfileError> {
    if template.key_algorithms().contains(&algorithm) {
        return Ok(algorithm);
    }
    Err(ProfileError::KeyNotAllowed {
        algorithm,
        template: template.name().to_owned(),
        allowed: allowed(template),
    })
}

fn allowed(template: &Template) -> String {
    template.key_algorithms().iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(", ")
}

impl Template {
    /// The algorithm of a key that the authority generates: the one asked for, or
    /// the default.
    ///
    /// # Errors
    /// The template forbids generated keys, or that algorithm.
    pub fn choose_key(&self, asked: Option<KeyAlgorithm>) -> Result<KeyAlgorithm, ProfileError> {
        if !self.key_generation().is_allowed() {
            return Err(ProfileError::GenerationForbidden(self.name().to_owned()));
        }
        accept(self, asked.unwrap_or_else(|| self.default_key_algorithm()))
    }

    /// Whether a certification request may bring the key.
    ///
    /// # Errors
    /// The template forbids it.
    pub fn accept_csr(&self) -> Result<(), ProfileError> {
        if self.csr().is_allowed() { Ok(()) } else { Err(ProfileError::CsrForbidden(self.name().to_owned())) }
    }
}
