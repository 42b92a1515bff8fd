//! Judging what was fetched.

use ca_domain::{SerialNumber, Timestamp};
use ca_status::crl::{CLOCK_TOLERANCE, CrlView, point_urls};
use ca_status::ocsp::{StapleSubject, ViewState};
use const_oid::db::rfc5280::ID_CE_BASIC_CONSTRAINTS;
use der::Decode;
use x509_cert::Certificate;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;

use super::fetch::{Wanted, fetch};
use super::{UrlCheck, UrlKind, UrlOptions, Verdict, extension};
use crate::check_certificate::signed_by;

/// Bytes of a CRL, and of anything else, at most.
const MAX_CRL: u64 = 256 << 20;
const MAX_OTHER: u64 = 64 << 10;

/// What is there and until when, or why it is wrong.
type Found = Result<(String, Timestamp), String>;

/// Judges what an issuer has published.
pub(super) struct Judge<'a> {
    pub(super) options: &'a UrlOptions,
    pub(super) issuer: &'a Certificate,
}

impl Judge<'_> {
    /// A CRL of the issuer that speaks for `certificate`, if one is given.
    pub(super) fn crl(&self, subject: &str, url: &str, certificate: Option<&Certificate>) -> UrlCheck {
        let found = |url: &str| {
            let wanted = Wanted { types: &["application/pkix-crl"], limit: MAX_CRL, post: None };
            let der = fetch(url, &wanted, self.options.timeout)?;
            self.judge_crl(&der, url, certificate)
        };
        report(subject, UrlKind::Crl, url, self.options, found)
    }

    fn judge_crl(&self, der: &[u8], url: &str, certificate: Option<&Certificate>) -> Found {
        let now = self.options.now;
        not_pem(der)?;
        let view = CrlView::parse_and_verify(der, self.issuer).map_err(|error| error.to_string())?;
        let (begin, end) = (view.this_update(), view.next_update());
        if end <= now {
            return Err(format!("the CRL expired on {end}"));
        }
        if begin > now.saturating_add(CLOCK_TOLERANCE) {
            return Err(format!("the CRL begins on {begin}, in the future"));
        }
        if let Some(scope) = view.scope() {
            covers(scope, url, certificate)?;
        }
        let count = view.count().map_err(|error| error.to_string())?;
        let mut what = format!("number {}, {count} entries", view.number());
        let serial = certificate.map(|one| SerialNumber::try_from(&one.tbs_certificate.serial_number));
        if let Some(Ok(serial)) = serial
            && let Some(entry) = view.lookup(&serial).map_err(|error| error.to_string())?
        {
            what.push_str(&format!(", this certificate is revoked ({})", entry.reason));
        }
        Ok((what, end))
    }

    /// An OCSP answer about `certificate`.
    pub(super) fn ocsp(&self, subject: &str, url: &str, certificate: &Certificate) -> UrlCheck {
        let found = |url: &str| {
            let asked = StapleSubject::new(certificate, [self.issuer]).map_err(|error| error.to_string())?;
            let post = Some(("application/ocsp-request", asked.request()));
            let wanted = Wanted { types: &["application/ocsp-response"], limit: MAX_OTHER, post };
            let der = fetch(url, &wanted, self.options.timeout)?;
            let answer = asked.judge(&der, self.options.now).map_err(|error| error.to_string())?;
            let what = match answer.state {
                ViewState::Revoked { reason, .. } => format!("this certificate is revoked ({reason})"),
                _ => "this certificate is good".to_owned(),
            };
            Ok((what, answer.next_update))
        };
        report(subject, UrlKind::Ocsp, url, self.options, found)
    }

    /// The issuer's own certificate, byte for byte.
    pub(super) fn itself(&self, subject: &str, url: &str, own: &[u8]) -> UrlCheck {
        let found = |url: &str| {
            let (der, certificate) = certificate_at(url, self.options)?;
            if der == own {
                Ok(described(&certificate))
            } else {
                Err(format!("it is another certificate of {}", certificate.tbs_certificate.subject))
            }
        };
        report(subject, UrlKind::Issuer, url, self.options, found)
    }
}

/// The certificate of the issuer of `certificate`, and the check of its URL.
pub(super) fn issuer_of(
    certificate: &Certificate,
    subject: &str,
    url: &str,
    options: &UrlOptions,
) -> (UrlCheck, Option<Certificate>) {
    let mut fetched = None;
    let check = report(subject, UrlKind::Issuer, url, options, |url: &str| {
        let (_, issuer) = certificate_at(url, options)?;
        let name = &issuer.tbs_certificate.subject;
        if *name != certificate.tbs_certificate.issuer || !signed_by(certificate, &issuer) {
            return Err(format!("the certificate of {name} there did not sign this one"));
        }
        let found = described(&issuer);
        if found.1 <= options.now {
            return Err(format!("the certificate of the issuer expired on {}", found.1));
        }
        fetched = Some(issuer);
        Ok(found)
    });
    (check, fetched)
}

fn certificate_at(url: &str, options: &UrlOptions) -> Result<(Vec<u8>, Certificate), String> {
    let wanted = Wanted { types: &["application/pkix-cert"], limit: MAX_OTHER, post: None };
    let der = fetch(url, &wanted, options.timeout)?;
    not_pem(&der)?;
    let certificate = Certificate::from_der(&der).map_err(|error| format!("not a certificate: {error}"))?;
    Ok((der, certificate))
}

fn described(certificate: &Certificate) -> (String, Timestamp) {
    let tbs = &certificate.tbs_certificate;
    (format!("certificate of {}", tbs.subject), tbs.validity.not_after.into())
}

fn not_pem(body: &[u8]) -> Result<(), String> {
    if body.starts_with(b"-----BEGIN") {
        return Err("it is PEM; it must be DER (RFC 5280, sections 4.2.1.13 and 4.2.2.1)".into());
    }
    Ok(())
}

/// RFC 5280, section 6.3.3, (b) (2).
fn covers(
    scope: &IssuingDistributionPoint,
    url: &str,
    certificate: Option<&Certificate>,
) -> Result<(), String> {
    let places = point_urls(scope.distribution_point.as_ref());
    if scope.distribution_point.is_some() && !places.iter().any(|place| place == url) {
        return Err(format!("the CRL is for {}, another place", places.join(", ")));
    }
    let Some(certificate) = certificate else { return Ok(()) };
    let constraints: Option<BasicConstraints> = extension(certificate, ID_CE_BASIC_CONSTRAINTS);
    let is_ca = constraints.is_some_and(|constraints| constraints.ca);
    if scope.only_contains_attribute_certs
        || scope.only_contains_user_certs && is_ca
        || scope.only_contains_ca_certs && !is_ca
    {
        return Err("the CRL does not cover certificates of this kind".into());
    }
    Ok(())
}

/// Only plain HTTP is fetched.
fn report(
    subject: &str,
    kind: UrlKind,
    url: &str,
    options: &UrlOptions,
    found: impl FnOnce(&str) -> Found,
) -> UrlCheck {
    let (verdict, detail, until) = if url.starts_with("http://") {
        match found(url) {
            Ok((what, until)) if until.seconds_since(options.now) < options.margin => {
                (Verdict::Expiring, what, Some(until))
            }
            Ok((what, until)) => (Verdict::Ok, what, Some(until)),
            Err(why) => (Verdict::Wrong, why, None),
        }
    } else if url.starts_with("https://") {
        let why = "it needs TLS, and clients would need revocation data to get revocation data";
        (Verdict::Wrong, why.to_owned(), None)
    } else {
        (Verdict::Unchecked, "only http:// is fetched here".to_owned(), None)
    };
    UrlCheck { certificate: subject.to_owned(), kind, url: url.to_owned(), verdict, detail, until }
}
