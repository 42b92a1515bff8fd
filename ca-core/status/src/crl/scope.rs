//! What a CRL covers (RFC 5280, section 5.2.5).

use std::collections::BTreeSet;
use std::ops::Bound;

use ca_domain::{ReasonCode, SerialNumber, Shard};
use der::asn1::Ia5String;
use der::flagset::FlagSet;
use x509_cert::ext::pkix::crl::dp::{IssuingDistributionPoint, Reasons};
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};

use crate::{RevokedEntry, StatusError};

/// Which of an authority's certificates a CRL covers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CrlScope {
    /// All of them.
    All,
    /// Those of one part.
    Shard(Shard),
    /// Those that are not of authorities.
    Users,
    /// Those of authorities.
    Authorities,
    /// All of them, but only what was revoked for one of these reasons. There is
    /// no flag for an unspecified reason.
    Reasons(BTreeSet<ReasonCode>),
}

impl CrlScope {
    /// The end of the CRL's name, after that of the authority: `-3-of-16` for a
    /// part, `-users`, `-authorities`; nothing for a CRL of everything. A CRL by
    /// reason is named otherwise.
    #[must_use]
    pub fn suffix(&self) -> String {
        match self {
            Self::All | Self::Reasons(_) => String::new(),
            Self::Shard(shard) => format!("-{}-of-{}", shard.index(), shard.count()),
            Self::Users => "-users".to_owned(),
            Self::Authorities => "-authorities".to_owned(),
        }
    }

    /// The issuing distribution point, with the URL at which the CRL is published:
    /// the one that the certificates name. A CRL of everything has none.
    ///
    /// # Errors
    /// No URL where one is needed, one that is not ASCII, or no or unusable reasons.
    pub fn point(&self, url: Option<&str>) -> Result<Option<IssuingDistributionPoint>, StatusError> {
        let mut point = match (self, url) {
            (Self::All, _) => return Ok(None),
            (_, Some(url)) => distribution_point(url)?,
            (Self::Shard(_), None) => {
                return Err(StatusError::CrlParameters("the CRL of a part has no URL of its own"));
            }
            (_, None) => IssuingDistributionPoint { distribution_point: None, ..distribution_point("")? },
        };
        match self {
            Self::All | Self::Shard(_) => {}
            Self::Users => point.only_contains_user_certs = true,
            Self::Authorities => point.only_contains_ca_certs = true,
            Self::Reasons(reasons) => point.only_some_reasons = Some(flags(reasons)?),
        }
        Ok(Some(point))
    }

    /// Whether the CRL lists a revoked certificate.
    pub(crate) fn lists(&self, entry: &RevokedEntry, is_of_authority: impl FnOnce() -> bool) -> bool {
        match self {
            Self::Reasons(reasons) => reasons.contains(&entry.reason),
            _ => self.covers(&entry.serial, is_of_authority),
        }
    }

    /// Whether a certificate belongs to the scope, whatever its status is.
    pub(crate) fn covers(&self, serial: &SerialNumber, is_of_authority: impl FnOnce() -> bool) -> bool {
        match self {
            Self::All | Self::Reasons(_) => true,
            Self::Shard(shard) => Shard::of(serial, shard.count()) == Some(*shard),
            Self::Users => !is_of_authority(),
            Self::Authorities => is_of_authority(),
        }
    }

    /// The range of the serials that it covers.
    pub(crate) fn serials(&self) -> (Bound<SerialNumber>, Bound<SerialNumber>) {
        match self {
            Self::Shard(shard) => (
                shard.first().map_or(Bound::Unbounded, Bound::Included),
                shard.end().map_or(Bound::Unbounded, Bound::Excluded),
            ),
            _ => (Bound::Unbounded, Bound::Unbounded),
        }
    }
}

fn flags(reasons: &BTreeSet<ReasonCode>) -> Result<FlagSet<Reasons>, StatusError> {
    let mut flags = FlagSet::default();
    for reason in reasons {
        flags |= match reason {
            ReasonCode::KeyCompromise => Reasons::KeyCompromise,
            ReasonCode::CaCompromise => Reasons::CaCompromise,
            ReasonCode::AffiliationChanged => Reasons::AffiliationChanged,
            ReasonCode::Superseded => Reasons::Superseded,
            ReasonCode::CessationOfOperation => Reasons::CessationOfOperation,
            ReasonCode::CertificateHold => Reasons::CertificateHold,
            ReasonCode::PrivilegeWithdrawn => Reasons::PrivilegeWithdrawn,
            ReasonCode::AaCompromise => Reasons::AaCompromise,
            ReasonCode::Unspecified | ReasonCode::RemoveFromCrl => {
                return Err(StatusError::CrlParameters(
                    "there is no flag for this reason in a CRL by reason",
                ));
            }
        };
    }
    if reasons.is_empty() {
        return Err(StatusError::CrlParameters("a CRL by reason names no reason"));
    }
    Ok(flags)
}

/// A scope that names the URI where the CRL is published and limits nothing.
///
/// # Errors
/// A URI that is not ASCII.
pub fn distribution_point(uri: &str) -> Result<IssuingDistributionPoint, StatusError> {
    Ok(IssuingDistributionPoint {
        distribution_point: Some(uri_point(uri)?),
        only_contains_user_certs: false,
        only_contains_ca_certs: false,
        only_some_reasons: None,
        indirect_crl: false,
        only_contains_attribute_certs: false,
    })
}

pub(super) fn uri_point(uri: &str) -> Result<DistributionPointName, StatusError> {
    let name = GeneralName::UniformResourceIdentifier(Ia5String::new(uri)?);
    Ok(DistributionPointName::FullName(vec![name]))
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

/// The rules of RFC 5280, section 5.2.5, and what this suite does not write.
pub(super) fn check_scope(scope: &IssuingDistributionPoint) -> Result<(), StatusError> {
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
