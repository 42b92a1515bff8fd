//! Judging what was fetched.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca_domain::Timestamp;
use ca_status::ocsp::{StapleSubject, ViewState};
use der::Decode;
use x509_cert::Certificate;

use super::fetch::{Wanted, fetch};
use super::{UrlCheck, UrlKind, UrlOptions, Verdict};
use crate::check_certificate::signed_by;

/// Bytes of what is fetched here at most.
const MAX_OTHER: u64 = 64 << 10;

/// The longest URL of a request by GET (RFC 5019, section 5).
const MAX_GET: usize = 255;

/// The URL of an OCSP request by GET (RFC 6960, appendix A.1); none if it is too long.
fn get_url(url: &str, request: &[u8]) -> Option<String> {
    let encoded = STANDARD.encode(request).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let whole = format!("{}/{encoded}", url.trim_end_matches('/'));
    (whole.len() <= MAX_GET).then_some(whole)
}

/// What is there and until when, or why it is wrong.
pub(super) type Found = Result<(String, Timestamp), String>;

/// Judges what an issuer has published.
pub(super) struct Judge<'a> {
    pub(super) options: &'a UrlOptions,
    pub(super) issuer: &'a Certificate,
}

impl Judge<'_> {
    /// OCSP answers about `certificate`: by POST, and by GET as most clients ask (RFC 5019,
    /// section 5), unless that makes a URL longer than they ask with.
    pub(super) fn ocsp(&self, subject: &str, url: &str, certificate: &Certificate) -> Vec<UrlCheck> {
        let by_post = |url: &str| {
            let asked = self.question(certificate)?;
            self.answer(url, Some(("application/ocsp-request", asked.request())), &asked)
        };
        let mut checks = vec![("POST", report(subject, UrlKind::Ocsp, url, self.options, by_post))];
        let asked = self.question(certificate);
        if let Some(whole) = asked.as_ref().ok().and_then(|asked| get_url(url, asked.request())) {
            let by_get = |_: &str| self.answer(&whole, None, &asked?);
            checks.push(("GET", report(subject, UrlKind::Ocsp, url, self.options, by_get)));
        }
        let named = |(method, check): (&str, UrlCheck)| UrlCheck {
            detail: format!("{method}: {}", check.detail),
            ..check
        };
        checks.into_iter().map(named).collect()
    }

    fn question(&self, certificate: &Certificate) -> Result<StapleSubject, String> {
        StapleSubject::new(certificate, [self.issuer]).map_err(|error| error.to_string())
    }

    fn answer(&self, url: &str, post: Option<(&'static str, &[u8])>, asked: &StapleSubject) -> Found {
        let wanted = Wanted { types: &["application/ocsp-response"], limit: MAX_OTHER, post };
        let der = fetch(url, &wanted, self.options.timeout)?;
        let answer = asked.judge(&der, self.options.now).map_err(|error| error.to_string())?;
        let what = match answer.state {
            ViewState::Revoked { reason, .. } => format!("this certificate is revoked ({reason})"),
            _ => "this certificate is good".to_owned(),
        };
        Ok((what, answer.next_update))
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

pub(super) fn not_pem(body: &[u8]) -> Result<(), String> {
    if body.starts_with(b"-----BEGIN") {
        return Err("it is PEM; it must be DER (RFC 5280, sections 4.2.1.13 and 4.2.2.1)".into());
    }
    Ok(())
}

/// Only plain HTTP is fetched.
pub(super) fn report(
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
