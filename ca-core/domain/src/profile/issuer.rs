//! What an issuer's certificate says about the certificates below it.

use const_oid::db::rfc5280::ANY_EXTENDED_KEY_USAGE;
use der::Decode;
use der::asn1::ObjectIdentifier;
use spki::SubjectPublicKeyInfoRef;
use x509_cert::Certificate;
use x509_cert::certificate::Version;
use x509_cert::ext::pkix::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, NameConstraints, SubjectKeyIdentifier,
};
use x509_cert::name::Name;

use super::error::ProfileError;
use crate::template::{KeyPurpose, MailboxDomains, Template, TemplateKind};
use crate::{KeyIdentifier, SerialNumber, Shard, Timestamp};

/// Where relying parties find what an authority publishes; http URLs in ASCII.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AuthorityUrls {
    /// Its CRL; [`AuthorityUrls::crls_of`] fills in what depends on the certificate.
    pub crl: Vec<String>,
    /// Its delta CRL, likewise.
    pub delta_crl: Vec<String>,
    /// Into how many parts its certificates fall, each with a CRL of its own; none:
    /// there is one for all.
    pub shards: Option<u16>,
    /// Its certificate, DER.
    pub ca_issuers: Vec<String>,
    /// Its OCSP responder.
    pub ocsp: Vec<String>,
}

impl AuthorityUrls {
    /// The URLs for one certificate: `{shard}` stands for the number of its part,
    /// `{shards}` for how many there are, `{kind}` for `users` or `authorities`.
    /// None: a URL speaks of parts, and there are none.
    #[must_use]
    pub fn crls_of(&self, urls: &[String], serial: &SerialNumber, is_authority: bool) -> Option<Vec<String>> {
        let shard = self.shards.and_then(|count| Shard::of(serial, count));
        let kind = if is_authority { "authorities" } else { "users" };
        let of_certificate = |url: &String| {
            let url = url.replace("{kind}", kind);
            match shard {
                Some(shard) => Some(
                    url.replace("{shard}", &shard.index().to_string())
                        .replace("{shards}", &shard.count().to_string()),
                ),
                None => (!url.contains("{shard")).then_some(url),
            }
        };
        urls.iter().map(of_certificate).collect()
    }
}

/// An issuer, as its certificate describes it.
#[derive(Clone, Debug)]
pub struct IssuerContext {
    /// Its subject: the issuer of what it signs, byte for byte.
    pub name: Name,
    /// Its subject key identifier as the certificate has it, which is not a SHA-1
    /// in every foreign certificate.
    pub key_id: Vec<u8>,
    /// The first second of its validity.
    pub not_before: Timestamp,
    /// The last second of its validity.
    pub not_after: Timestamp,
    /// Its key purposes; none: it is not limited.
    pub extended_key_usage: Option<Vec<ObjectIdentifier>>,
    /// CA certificates that may follow below it; none: no limit.
    pub path_length: Option<u8>,
    /// What it may name; none: everything.
    pub name_constraints: Option<NameConstraints>,
    /// What the authorities above it may name: their constraints bind as well (RFC
    /// 5280, section 6.1.4 g).
    pub inherited_constraints: Vec<NameConstraints>,
    /// Whose mailboxes it certifies, beside what a template permits.
    pub mailbox_domains: MailboxDomains,
    /// Where its CRL, certificate and OCSP responder are.
    pub urls: AuthorityUrls,
}

impl IssuerContext {
    /// Reads an authority's certificate.
    ///
    /// # Errors
    /// A certificate that is not a certification authority's, or whose extensions
    /// are malformed or repeated.
    pub fn of_certificate(certificate: &Certificate, urls: AuthorityUrls) -> Result<Self, ProfileError> {
        let tbs = &certificate.tbs_certificate;
        let not = |why: &str| ProfileError::IssuerNotAuthority(why.to_owned());
        let malformed = |error: der::Error| ProfileError::IssuerNotAuthority(error.to_string());
        if tbs.version != Version::V3 {
            return Err(not("it is not of version 3"));
        }
        let constraints = tbs.get::<BasicConstraints>().map_err(malformed)?.map(|(_, value)| value);
        let Some(BasicConstraints { ca: true, path_len_constraint }) = constraints else {
            return Err(not("its basicConstraints do not say that it is one"));
        };
        let usage = tbs.get::<KeyUsage>().map_err(malformed)?;
        if usage.is_some_and(|(_, usage)| !usage.key_cert_sign()) {
            return Err(not("its keyUsage lacks keyCertSign"));
        }
        if tbs.subject.is_empty() {
            return Err(not("its subject is empty"));
        }
        let key_id = match tbs.get::<SubjectKeyIdentifier>().map_err(malformed)? {
            Some((_, id)) => id.0.as_bytes().to_vec(),
            None => own_key_id(certificate).map_err(malformed)?,
        };
        let purposes = tbs.get::<ExtendedKeyUsage>().map_err(malformed)?;
        let name_constraints = tbs.get::<NameConstraints>().map_err(malformed)?;
        Ok(Self {
            name: tbs.subject.clone(),
            key_id,
            not_before: tbs.validity.not_before.into(),
            not_after: tbs.validity.not_after.into(),
            extended_key_usage: purposes.map(|(_, purposes)| purposes.0),
            path_length: path_len_constraint,
            name_constraints: name_constraints.map(|(_, constraints)| constraints),
            inherited_constraints: Vec::new(),
            mailbox_domains: MailboxDomains::default(),
            urls,
        })
    }

    /// Adds an authority above the issuer, whose name constraints bind as well.
    ///
    /// # Errors
    /// Constraints that are malformed or repeated.
    pub fn below(mut self, above: &Certificate) -> Result<Self, ProfileError> {
        let found = above
            .tbs_certificate
            .get::<NameConstraints>()
            .map_err(|error| ProfileError::IssuerNotAuthority(error.to_string()))?;
        self.inherited_constraints.extend(found.map(|(_, constraints)| constraints));
        Ok(self)
    }

    /// Its own name constraints and those of the authorities above it.
    pub(super) fn all_constraints(&self) -> impl Iterator<Item = &NameConstraints> {
        self.name_constraints.iter().chain(&self.inherited_constraints)
    }

    /// Key purposes nest: clients refuse one that the issuer does not have.
    ///
    /// OCSPSigning is exempt: it delegates the issuer's own duty (RFC 6960, section
    /// 4.2.2.2), and S/MIME authorities are limited to emailProtection.
    pub(super) fn check_purposes(&self, template: &Template) -> Result<(), ProfileError> {
        let Some(own) = self.extended_key_usage.as_ref().filter(|own| !own.contains(&ANY_EXTENDED_KEY_USAGE))
        else {
            return Ok(());
        };
        let exempt = KeyPurpose::OCSP_SIGNING.oid();
        match template.extended_key_usage().into_iter().find(|oid| *oid != exempt && !own.contains(oid)) {
            None => Ok(()),
            Some(oid) => Err(ProfileError::Purpose {
                purpose: KeyPurpose::from_oid(oid).to_string(),
                issuer: own
                    .iter()
                    .map(|oid| KeyPurpose::from_oid(*oid).to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }

    /// pathLenConstraint (RFC 5280, section 4.2.1.9).
    pub(super) fn check_path(&self, template: &Template) -> Result<(), ProfileError> {
        let Some(own) = self.path_length.filter(|_| template.kind() == TemplateKind::SubordinateCa) else {
            return Ok(());
        };
        match (own, template.path_length()) {
            (0, _) => Err(ProfileError::PathLength {
                issuer: own,
                todo: "issue it from an authority higher up".to_owned(),
            }),
            (own, Some(below)) if below < own => Ok(()),
            (own, _) => Err(ProfileError::PathLength {
                issuer: own,
                todo: format!("use a template with a path_length of at most {}", own - 1),
            }),
        }
    }
}

fn own_key_id(certificate: &Certificate) -> der::Result<Vec<u8>> {
    use der::Encode;
    let der = certificate.tbs_certificate.subject_public_key_info.to_der()?;
    let spki = SubjectPublicKeyInfoRef::from_der(&der)?;
    Ok(KeyIdentifier::of_spki(&spki).0.to_vec())
}
