//! When a certificate is valid.

use x509_cert::time::Validity;

use super::error::ProfileError;
use super::issuer::IssuerContext;
use crate::Timestamp;
use crate::template::Template;

const DAY: u64 = 86_400;

/// notBefore and notAfter; both seconds are within (RFC 5280, section 4.1.2.5), so
/// that n days are n x 86,400 - 1 seconds apart.
pub(super) fn validity(
    template: &Template,
    issuer: Option<&IssuerContext>,
    now: Timestamp,
    asked: Option<u32>,
) -> Result<Validity, ProfileError> {
    let days = asked.unwrap_or_else(|| template.default_days());
    let maximum = template.maximum_days();
    if days == 0 {
        return Err(ProfileError::DaysZero { maximum });
    }
    if days > maximum {
        let template = template.name().to_owned();
        return Err(ProfileError::DaysBeyondTemplate { days, template, maximum });
    }
    let mut start = now.saturating_sub(template.backdate_seconds());
    if let Some(issuer) = issuer {
        if now < issuer.not_before {
            return Err(ProfileError::IssuerNotYetValid(issuer.not_before));
        }
        if now > issuer.not_after {
            return Err(ProfileError::IssuerExpired(issuer.not_after));
        }
        start = start.max(issuer.not_before);
    }
    let mut end = start.saturating_add(u64::from(days) * DAY - 1);
    if let Some(issuer) = issuer.filter(|issuer| end > issuer.not_after) {
        if asked.is_some() {
            return Err(ProfileError::DaysBeyondIssuer { days, issuer_end: issuer.not_after });
        }
        end = issuer.not_after;
    }
    Ok(Validity { not_before: start.to_x509(), not_after: end.to_x509() })
}
