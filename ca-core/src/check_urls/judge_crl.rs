//! Judging CRLs that were fetched, full and delta ones.

use std::io::Cursor;

use ca_domain::SerialNumber;
use ca_status::StatusError;
use ca_status::crl::{CLOCK_TOLERANCE, CrlNumber, CrlReader, point_urls};
use const_oid::db::rfc5280::ID_CE_BASIC_CONSTRAINTS;
use x509_cert::Certificate;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;

use super::fetch::{Wanted, fetch};
use super::judge::{Found, Judge, not_pem, report};
use super::{UrlCheck, UrlKind, crl_urls, extension};

/// Bytes of a CRL at most: it is in memory.
const MAX_CRL: u64 = 1 << 30;

type Fetched = CrlReader<Cursor<Vec<u8>>>;

/// What a full CRL says to those who check its delta CRL.
struct Base {
    number: CrlNumber,
    scope: Option<IssuingDistributionPoint>,
}

impl Judge<'_> {
    /// A CRL of the issuer that speaks for `certificate`, if one is given, and the
    /// delta CRLs that it names.
    pub(super) fn crl(&self, subject: &str, url: &str, certificate: Option<&Certificate>) -> Vec<UrlCheck> {
        let mut base = None;
        let mut freshest = Vec::new();
        let check = report(subject, UrlKind::Crl, url, self.options, |url: &str| {
            let (found, crl) = self.fetch_crl(url, certificate, false)?;
            let frame = crl.frame();
            let number = frame.number().ok().flatten();
            base = number.map(|number| Base { number, scope: frame.scope().ok().flatten() });
            freshest = frame.freshest().map_err(|error| format!("its freshestCRL: {error}"))?;
            found
        });
        let deltas = freshest.iter().map(|url| self.delta(subject, url, certificate, base.as_ref()));
        std::iter::once(check).chain(deltas.collect::<Vec<_>>()).collect()
    }

    /// A delta CRL that `certificate` names, or another one of the issuer does.
    pub(super) fn freshest(&self, subject: &str, url: &str, certificate: Option<&Certificate>) -> UrlCheck {
        self.delta(subject, url, certificate, None)
    }

    fn delta(
        &self,
        subject: &str,
        url: &str,
        certificate: Option<&Certificate>,
        base: Option<&Base>,
    ) -> UrlCheck {
        report(subject, UrlKind::DeltaCrl, url, self.options, |url: &str| {
            let (found, crl) = self.fetch_crl(url, certificate, true)?;
            let of = crl.frame().base().ok().flatten();
            let scope = crl.frame().scope().ok().flatten();
            // RFC 5280, section 5.2.4: it applies to its base, and to later full CRLs of the scope.
            match (base, of) {
                (Some(base), Some(of)) if of > base.number => {
                    Err(format!("the delta CRL changes CRL {of}; the full CRL is older: {}", base.number))
                }
                (Some(base), _) if scope != base.scope => {
                    Err("the delta CRL has another issuing distribution point than the full CRL".into())
                }
                _ => found,
            }
        })
    }

    fn fetch_crl(
        &self,
        url: &str,
        certificate: Option<&Certificate>,
        is_delta: bool,
    ) -> Result<(Found, Fetched), String> {
        let wanted = Wanted { types: &["application/pkix-crl"], limit: MAX_CRL, post: None };
        let der = fetch(url, &wanted, self.options.timeout)?;
        not_pem(&der)?;
        let text = |error: StatusError| error.to_string();
        let mut crl = CrlReader::open(Cursor::new(der)).map_err(text)?;
        crl.accept(self.issuer).map_err(text)?;
        let found = self.judge_crl(&mut crl, url, certificate, is_delta);
        Ok((found, crl))
    }

    fn judge_crl(
        &self,
        crl: &mut Fetched,
        url: &str,
        certificate: Option<&Certificate>,
        is_delta: bool,
    ) -> Found {
        let (now, text) = (self.options.now, |error: StatusError| error.to_string());
        let frame = crl.frame().clone();
        let end = frame.next_update.ok_or("the CRL has no nextUpdate")?;
        match (frame.base().map_err(text)?.is_some(), is_delta) {
            (true, false) => return Err("it is a delta CRL; here belongs the full one".into()),
            (false, true) => return Err("it is a full CRL; here belongs the delta CRL".into()),
            _ => {}
        }
        if end <= now {
            return Err(format!("the CRL expired on {end}"));
        }
        if frame.this_update > now.saturating_add(CLOCK_TOLERANCE) {
            return Err(format!("the CRL begins on {}, in the future", frame.this_update));
        }
        if let Some(scope) = frame.scope().map_err(text)? {
            covers(&scope, url, certificate, is_delta)?;
        }
        let serial = certificate.map(|one| SerialNumber::try_from(&one.tbs_certificate.serial_number));
        let serial = serial.and_then(Result::ok);
        let (mut count, mut entry) = (0, None);
        for listed in crl.entries().map_err(text)? {
            let listed = listed.map_err(text)?;
            count += 1;
            entry = entry.or((Some(listed.serial) == serial).then_some(listed));
        }
        let number = frame.number().map_err(text)?.unwrap_or_default();
        let mut what = format!("number {number}, {count} entries");
        if let Some(entry) = entry {
            what.push_str(&format!(", this certificate is revoked ({})", entry.reason));
        }
        Ok((what, end))
    }
}

/// RFC 5280, section 6.3.3, (b) (2). A delta CRL names the place of its base.
fn covers(
    scope: &IssuingDistributionPoint,
    url: &str,
    certificate: Option<&Certificate>,
    is_delta: bool,
) -> Result<(), String> {
    let places = point_urls(scope.distribution_point.as_ref());
    let wanted = match (is_delta, certificate) {
        (false, _) => Some(vec![url.to_owned()]),
        (true, Some(certificate)) => Some(crl_urls(certificate)),
        (true, None) => None,
    };
    if let Some(wanted) = wanted
        && scope.distribution_point.is_some()
        && !places.iter().any(|place| wanted.contains(place))
    {
        return Err(format!("the CRL is for {}, another place", places.join(", ")));
    }
    if scope.only_some_reasons.is_some() {
        return Err("the CRL is for some reasons only: what is revoked for others is not on it".into());
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
