//! Writing a CRL of any length in constant memory.

use std::io::Write;

use ca_domain::{KeyIdentifier, ReasonCode, Timestamp};
use ca_signing::SigningKey;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{
    ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_CRL_NUMBER, ID_CE_CRL_REASONS, ID_CE_INVALIDITY_DATE,
    ID_CE_ISSUING_DISTRIBUTION_POINT, ID_CE_SUBJECT_KEY_IDENTIFIER,
};
use der::asn1::{BitStringRef, ContextSpecific, Ia5String, OctetString};
use der::referenced::OwnedToRef;
use der::{Encode, Header, Length, Tag, TagMode, TagNumber};
use x509_cert::crl::RevokedCert;
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, CrlReason, SubjectKeyIdentifier};
use x509_cert::ext::{Extension, Extensions};
use x509_cert::name::Name;
use x509_cert::{Certificate, Version};

use super::CrlNumber;
use crate::{RevokedEntry, StatusError};

/// What a CRL says besides its list.
#[derive(Clone, Debug)]
pub struct CrlParams {
    /// The authority's subject, byte for byte.
    pub issuer: Name,
    /// The authority's subjectKeyIdentifier.
    pub authority_key_id: Vec<u8>,
    /// Higher than that of any earlier CRL of the authority; see [`super::next_number`].
    pub number: CrlNumber,
    /// The time of issue.
    pub this_update: Timestamp,
    /// When the next CRL is there at the latest.
    pub next_update: Timestamp,
    /// The scope, for a CRL that does not cover all that the authority issued,
    /// or that names its place; see [`distribution_point`].
    pub scope: Option<IssuingDistributionPoint>,
    /// When the next CRL is planned; Windows fetches it then, not only at nextUpdate.
    pub next_publish: Option<Timestamp>,
}

/// Microsoft's Next CRL Publish.
pub(super) const NEXT_PUBLISH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.21.4");

impl CrlParams {
    /// The parameters of a full CRL of the authority with this certificate.
    ///
    /// # Errors
    /// A subjectKeyIdentifier that is not valid DER.
    pub fn for_authority(
        certificate: &Certificate,
        number: CrlNumber,
        this_update: Timestamp,
        next_update: Timestamp,
    ) -> Result<Self, StatusError> {
        let issuer = certificate.tbs_certificate.subject.clone();
        let authority_key_id = authority_key_id(certificate)?;
        Ok(Self {
            issuer,
            authority_key_id,
            number,
            this_update,
            next_update,
            scope: None,
            next_publish: None,
        })
    }
}

/// The subjectKeyIdentifier of a certificate; SHA-1 of the key bits without one.
pub(super) fn authority_key_id(certificate: &Certificate) -> Result<Vec<u8>, StatusError> {
    let tbs = &certificate.tbs_certificate;
    let mut extensions = tbs.extensions.iter().flatten();
    match extensions.find(|extension| extension.extn_id == ID_CE_SUBJECT_KEY_IDENTIFIER) {
        Some(extension) => {
            let identifier: SubjectKeyIdentifier = decode(extension.extn_value.as_bytes())?;
            Ok(identifier.0.as_bytes().to_vec())
        }
        None => Ok(KeyIdentifier::of_spki(&tbs.subject_public_key_info.owned_to_ref()).0.to_vec()),
    }
}

fn decode<'a, T: der::Decode<'a>>(bytes: &'a [u8]) -> Result<T, StatusError> {
    Ok(T::from_der(bytes)?)
}

/// A scope that names the URI where the CRL is published and limits nothing.
///
/// # Errors
/// A URI that is not ASCII.
pub fn distribution_point(uri: &str) -> Result<IssuingDistributionPoint, StatusError> {
    let name = GeneralName::UniformResourceIdentifier(Ia5String::new(uri)?);
    Ok(IssuingDistributionPoint {
        distribution_point: Some(DistributionPointName::FullName(vec![name])),
        only_contains_user_certs: false,
        only_contains_ca_certs: false,
        only_some_reasons: None,
        indirect_crl: false,
        only_contains_attribute_certs: false,
    })
}

/// The URIs of a distribution point.
#[must_use]
pub fn point_urls(point: Option<&DistributionPointName>) -> Vec<String> {
    let Some(DistributionPointName::FullName(names)) = point else { return Vec::new() };
    let url = |name: &GeneralName| match name {
        GeneralName::UniformResourceIdentifier(url) => Some(url.to_string()),
        _ => None,
    };
    names.iter().filter_map(url).collect()
}

/// A CRL that was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WrittenCrl {
    /// Its number.
    pub number: CrlNumber,
    /// How many certificates it lists.
    pub entries: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Writes the DER CRL of the `revoked` certificates, signed by `key`, to `out`.
///
/// The list is read three times, for its length, for the signature and for the
/// output, and is never held in memory. Nothing is written before the signature
/// is made. Signers that cannot sign a digest (Ed25519) buffer the list.
///
/// # Errors
/// Contradictory parameters, a failed signature, a list that differs from one
/// reading to the next, a CRL over 256 MiB, or a failure of `out`.
pub fn write_crl<I>(
    params: &CrlParams,
    revoked: I,
    key: &dyn SigningKey,
    out: &mut dyn Write,
) -> Result<WrittenCrl, StatusError>
where
    I: Iterator<Item = RevokedEntry> + Clone,
{
    let algorithm = key.signature_algorithm().identifier().to_der()?;
    let frame = Frame::new(params, &algorithm, revoked.clone())?;

    let mut signer = key.begin();
    frame.write(revoked.clone(), &mut |bytes| {
        signer.update(bytes);
        Ok(())
    })?;
    let signature = signer.finish()?;
    let signature = BitStringRef::from_bytes(&signature)?.to_der()?;

    let total = (frame.total + Length::try_from(algorithm.len())? + Length::try_from(signature.len())?)?;
    let header = Header::new(Tag::Sequence, total)?.to_der()?;
    out.write_all(&header)?;
    frame.write(revoked, &mut |bytes| Ok(out.write_all(bytes)?))?;
    out.write_all(&algorithm)?;
    out.write_all(&signature)?;
    out.flush()?;
    let bytes = (total + Length::try_from(header.len())?)?;
    Ok(WrittenCrl { number: params.number, entries: frame.entries, bytes: u32::from(bytes).into() })
}

/// A TBSCertList without its entries.
struct Frame {
    /// Everything before the first entry, and after the last.
    head: Vec<u8>,
    tail: Vec<u8>,
    /// The entries: how many, and their length together.
    entries: u64,
    list: Length,
    /// The length of the whole, with its header.
    total: Length,
}

impl Frame {
    fn new(
        params: &CrlParams,
        algorithm: &[u8],
        revoked: impl Iterator<Item = RevokedEntry>,
    ) -> Result<Self, StatusError> {
        let mut entries = 0;
        let mut list = Length::ZERO;
        for entry in revoked {
            entries += 1;
            list = (list + revoked_cert(&entry)?.encoded_len()?)?;
        }

        let mut fields = Vec::new();
        Version::V2.encode_to_vec(&mut fields)?;
        fields.extend_from_slice(algorithm);
        params.issuer.encode_to_vec(&mut fields)?;
        params.this_update.to_x509().encode_to_vec(&mut fields)?;
        params.next_update.to_x509().encode_to_vec(&mut fields)?;
        if entries > 0 {
            // An empty list is no list at all: the field is then absent.
            Header::new(Tag::Sequence, list)?.encode_to_vec(&mut fields)?;
        }
        let mut tail = Vec::new();
        crl_extensions(params)?.encode_to_vec(&mut tail)?;

        let inner = (Length::try_from(fields.len())? + list + Length::try_from(tail.len())?)?;
        let mut head = Header::new(Tag::Sequence, inner)?.to_der()?;
        head.append(&mut fields);
        let total = (Length::try_from(head.len())? + list + Length::try_from(tail.len())?)?;
        Ok(Self { head, tail, entries, list, total })
    }

    /// Gives the TBSCertList to `sink` piece by piece.
    fn write(
        &self,
        revoked: impl Iterator<Item = RevokedEntry>,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), StatusError>,
    ) -> Result<(), StatusError> {
        const CHUNK: usize = 16 * 1024;
        let mut buffer = Vec::with_capacity(CHUNK + 256);
        buffer.extend_from_slice(&self.head);
        let (mut entries, mut list) = (0, Length::ZERO);
        for entry in revoked {
            entries += 1;
            list = (list + revoked_cert(&entry)?.encode_to_vec(&mut buffer)?)?;
            if buffer.len() >= CHUNK {
                sink(&buffer)?;
                buffer.clear();
            }
        }
        // The lengths in the header and the signature speak of one and the same list.
        if (entries, list) != (self.entries, self.list) {
            return Err(StatusError::CrlListChanged);
        }
        buffer.extend_from_slice(&self.tail);
        sink(&buffer)
    }
}

fn extension(oid: ObjectIdentifier, critical: bool, value: &impl Encode) -> der::Result<Extension> {
    Ok(Extension { extn_id: oid, critical, extn_value: OctetString::new(value.to_der()?)? })
}

fn crl_extensions(params: &CrlParams) -> Result<ContextSpecific<Extensions>, StatusError> {
    if params.authority_key_id.is_empty() {
        return Err(StatusError::CrlParameters("the authority key identifier is empty"));
    }
    if params.next_update <= params.this_update {
        return Err(StatusError::CrlParameters("nextUpdate is not later than thisUpdate"));
    }
    let key_identifier = Some(OctetString::new(params.authority_key_id.as_slice())?);
    let key = AuthorityKeyIdentifier { key_identifier, ..AuthorityKeyIdentifier::default() };
    let mut value = vec![
        extension(ID_CE_AUTHORITY_KEY_IDENTIFIER, false, &key)?,
        extension(ID_CE_CRL_NUMBER, false, &params.number.to_uint()?)?,
    ];
    if let Some(scope) = &params.scope {
        check_scope(scope)?;
        // Not by AsExtension: x509-cert 0.2.5 has the wrong identifier for it.
        value.push(extension(ID_CE_ISSUING_DISTRIBUTION_POINT, true, scope)?);
    }
    if let Some(next_publish) = params.next_publish {
        if next_publish <= params.this_update || next_publish > params.next_update {
            return Err(StatusError::CrlParameters(
                "the next CRL is not planned between thisUpdate and nextUpdate",
            ));
        }
        value.push(extension(NEXT_PUBLISH, false, &next_publish.to_x509())?);
    }
    Ok(ContextSpecific { tag_number: TagNumber::N0, tag_mode: TagMode::Explicit, value })
}

/// The rules of RFC 5280, section 5.2.5, and what this suite does not write.
fn check_scope(scope: &IssuingDistributionPoint) -> Result<(), StatusError> {
    let only =
        [scope.only_contains_user_certs, scope.only_contains_ca_certs, scope.only_contains_attribute_certs];
    if scope.indirect_crl || scope.only_contains_attribute_certs {
        return Err(StatusError::CrlParameters("indirect and attribute certificate CRLs are not supported"));
    }
    if only.into_iter().filter(|flag| *flag).count() > 1 {
        return Err(StatusError::CrlParameters("the scope has more than one onlyContains flag"));
    }
    if scope.distribution_point.is_none() && scope.only_some_reasons.is_none() && !only.contains(&true) {
        return Err(StatusError::CrlParameters("the issuing distribution point is empty"));
    }
    Ok(())
}

fn revoked_cert(entry: &RevokedEntry) -> Result<RevokedCert, StatusError> {
    let mut extensions = Vec::new();
    if let Some(reason) = wire_reason(entry.reason)? {
        extensions.push(extension(ID_CE_CRL_REASONS, false, &reason)?);
    }
    if let Some(date) = entry.invalidity_date {
        extensions.push(extension(ID_CE_INVALIDITY_DATE, false, &date.to_generalized())?);
    }
    Ok(RevokedCert {
        serial_number: entry.serial.to_der()?,
        revocation_date: entry.at.to_x509(),
        crl_entry_extensions: (!extensions.is_empty()).then_some(extensions),
    })
}

/// The reason as full CRLs and OCSP responses carry it; unspecified is left out.
pub(crate) fn wire_reason(reason: ReasonCode) -> Result<Option<CrlReason>, StatusError> {
    Ok(Some(match reason {
        ReasonCode::Unspecified => return Ok(None),
        ReasonCode::KeyCompromise => CrlReason::KeyCompromise,
        ReasonCode::CaCompromise => CrlReason::CaCompromise,
        ReasonCode::AffiliationChanged => CrlReason::AffiliationChanged,
        ReasonCode::Superseded => CrlReason::Superseded,
        ReasonCode::CessationOfOperation => CrlReason::CessationOfOperation,
        ReasonCode::CertificateHold => CrlReason::CertificateHold,
        ReasonCode::PrivilegeWithdrawn => CrlReason::PrivilegeWithdrawn,
        ReasonCode::AaCompromise => CrlReason::AaCompromise,
        ReasonCode::RemoveFromCrl => {
            return Err(StatusError::CrlParameters("removeFromCRL belongs in delta CRLs only"));
        }
    }))
}
