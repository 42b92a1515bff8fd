//! The extensions of a CRL (RFC 5280, section 5.2).

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{
    ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_CRL_NUMBER, ID_CE_DELTA_CRL_INDICATOR, ID_CE_FRESHEST_CRL,
    ID_CE_ISSUING_DISTRIBUTION_POINT,
};
use der::asn1::{ContextSpecific, OctetString};
use der::{Encode, TagMode, TagNumber};
use x509_cert::ext::pkix::AuthorityKeyIdentifier;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::{Extension, Extensions};

use super::CrlParams;
use super::scope::{check_scope, uri_point};
use crate::StatusError;

/// Microsoft's Next CRL Publish.
pub(super) const NEXT_PUBLISH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.21.4");

pub(super) fn extension(
    oid: ObjectIdentifier,
    critical: bool,
    value: &impl Encode,
) -> der::Result<Extension> {
    Ok(Extension { extn_id: oid, critical, extn_value: OctetString::new(value.to_der()?)? })
}

pub(super) fn crl_extensions(params: &CrlParams) -> Result<ContextSpecific<Extensions>, StatusError> {
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
    if let Some(base) = params.base {
        if base > params.number {
            return Err(StatusError::CrlParameters("a delta CRL changes a CRL that is newer than itself"));
        }
        if !params.freshest.is_empty() {
            return Err(StatusError::CrlParameters("a delta CRL has no delta CRL of its own"));
        }
        value.push(extension(ID_CE_DELTA_CRL_INDICATOR, true, &base.to_uint()?)?);
    }
    if let Some(scope) = &params.scope {
        check_scope(scope)?;
        // Not by AsExtension: x509-cert 0.2.5 has the wrong identifier for it.
        value.push(extension(ID_CE_ISSUING_DISTRIBUTION_POINT, true, scope)?);
    }
    if !params.freshest.is_empty() {
        let point = |url: &String| {
            let distribution_point = Some(uri_point(url)?);
            Ok(DistributionPoint { distribution_point, reasons: None, crl_issuer: None })
        };
        let points: Vec<_> = params.freshest.iter().map(point).collect::<Result<_, StatusError>>()?;
        value.push(extension(ID_CE_FRESHEST_CRL, false, &points)?);
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
