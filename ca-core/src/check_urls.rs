//! Whether relying parties get what the URLs in certificates promise: every CRL,
//! issuer's certificate and OCSP answer of a chain is fetched and verified.

mod fetch;
mod judge;
mod judge_crl;
mod sample;

use std::path::Path;
use std::time::Duration;

use ca_domain::Timestamp;
use ca_status::crl::point_urls;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{
    ID_AD_CA_ISSUERS, ID_AD_OCSP, ID_CE_CRL_DISTRIBUTION_POINTS, ID_CE_FRESHEST_CRL,
    ID_PE_AUTHORITY_INFO_ACCESS,
};
use der::Decode;
use x509_cert::Certificate;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AuthorityInfoAccessSyntax, CrlDistributionPoints, FreshestCrl};

use crate::authority::Authority;
use crate::check_certificate::{MAX_PATH, is_root, issuers};
use crate::error::{AuthorityError, Result};
use crate::home::Home;
use crate::import_authority::read_certificates;
use judge::Judge;

/// What a URL is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UrlKind {
    /// The certificate of the issuer (caIssuers).
    Issuer,
    /// A CRL (cRLDistributionPoints).
    Crl,
    /// A delta CRL (freshestCRL).
    DeltaCrl,
    /// An OCSP responder.
    Ocsp,
}

impl UrlKind {
    /// One word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::Crl => "crl",
            Self::DeltaCrl => "delta-crl",
            Self::Ocsp => "ocsp",
        }
    }
}

/// What was found at a URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// What should be there.
    Ok,
    /// What should be there, but it ends soon.
    Expiring,
    /// Something else, or nothing.
    Wrong,
    /// It could not be checked here.
    Unchecked,
}

impl Verdict {
    /// One word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Expiring => "expiring",
            Self::Wrong => "wrong",
            Self::Unchecked => "unchecked",
        }
    }
}

/// One URL of one certificate.
#[derive(Clone, Debug)]
pub struct UrlCheck {
    /// The subject of the certificate that names it, or of the authority that will.
    pub certificate: String,
    /// What it is for.
    pub kind: UrlKind,
    /// The URL.
    pub url: String,
    /// What was found.
    pub verdict: Verdict,
    /// What is there, or why it is wrong.
    pub detail: String,
    /// When what is there ends.
    pub until: Option<Timestamp>,
}

/// How to check.
#[derive(Clone, Copy, Debug)]
pub struct UrlOptions {
    /// The time that things are judged at.
    pub now: Timestamp,
    /// What ends within so many seconds is expiring.
    pub margin: u64,
    /// How long each answer may take.
    pub timeout: Duration,
}

/// Checks the URLs of the first certificate of a file and of its issuers. These are
/// looked for in the same file, in `chain`, in the home, and at the URL of the issuer.
///
/// # Errors
/// A file cannot be read or holds no certificate.
pub fn check_file(
    home: Option<&Home>,
    file: &Path,
    chain: Option<&Path>,
    options: &UrlOptions,
) -> Result<Vec<UrlCheck>> {
    let paths: Vec<&Path> = std::iter::once(file).chain(chain).collect();
    let mut certificates = read_certificates(&paths)?;
    for authority in home.map(Authority::all).transpose()?.unwrap_or_default() {
        certificates.extend(authority.full_chain());
    }
    let decoded = certificates.iter().map(|der| Certificate::from_der(der));
    let decoded = decoded.collect::<std::result::Result<Vec<_>, _>>().map_err(|error| {
        AuthorityError::Input(format!(
            "{} is not a certificate: {error}; give a certificate, PEM or DER",
            file.display()
        ))
    })?;
    match decoded.split_first() {
        Some((first, pool)) => Ok(check_chain(first, pool, options)),
        None => Err(AuthorityError::Input(format!("{} holds no certificate", file.display()))),
    }
}

/// Checks the URLs that an authority writes into certificates, and those of its own
/// certificate and of its issuers. Its responder is asked about the certificate that it issued last.
///
/// # Errors
/// There is no authority of this name, or the ledger cannot be read.
pub fn check_authority(home: &Home, name: &str, options: &UrlOptions) -> Result<Vec<UrlCheck>> {
    let authority = Authority::load(home, name)?;
    let own = authority.certificate();
    let urls = home.config().urls.of(name);
    let judge = Judge { options, issuer: own };
    let subject = own.tbs_certificate.subject.to_string();
    let mut found = Vec::new();
    for url in &urls.ca_issuers {
        found.push(judge.itself(&subject, url, authority.der()));
    }
    for url in all_of(&urls.crl, urls.shards) {
        found.extend(judge.crl(&subject, &url, None));
    }
    for url in all_of(&urls.delta_crl, urls.shards) {
        // Most have been found where a full CRL names them.
        if !found.iter().any(|check| check.kind == UrlKind::DeltaCrl && check.url == url) {
            found.push(judge.freshest(&subject, &url, None));
        }
    }
    if !urls.ocsp.is_empty() {
        let newest = sample::newest(home, &authority, options.now)?;
        found.extend(urls.ocsp.iter().flat_map(|url| match &newest {
            Some(certificate) => judge.ocsp(&subject, url, certificate),
            None => {
                let why = "there is no certificate of this authority to ask about yet";
                vec![unchecked(&subject, UrlKind::Ocsp, url, why)]
            }
        }));
    }
    let chain = authority.chain().iter().map(|der| Certificate::from_der(der));
    let pool = chain
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(AuthorityError::der("an issuer's certificate"))?;
    found.extend(check_chain(own, &pool, options));
    Ok(found)
}

fn check_chain(first: &Certificate, pool: &[Certificate], options: &UrlOptions) -> Vec<UrlCheck> {
    let mut found = Vec::new();
    let mut certificate = first.clone();
    for _ in 0..MAX_PATH {
        let mut issuer = issuers(&certificate, pool).first().map(|issuer| (*issuer).clone());
        if issuer.is_none() && is_root(&certificate) {
            issuer = Some(certificate.clone());
        }
        let subject = certificate.tbs_certificate.subject.to_string();
        for url in access_urls(&certificate, ID_AD_CA_ISSUERS) {
            let (check, fetched) = judge::issuer_of(&certificate, &subject, &url, options);
            found.push(check);
            issuer = issuer.or(fetched);
        }
        let crls = crl_urls(&certificate).into_iter().map(|url| (UrlKind::Crl, url));
        let crls = crls.chain(freshest_urls(&certificate).into_iter().map(|url| (UrlKind::DeltaCrl, url)));
        let ocsp = access_urls(&certificate, ID_AD_OCSP).into_iter().map(|url| (UrlKind::Ocsp, url));
        for (kind, url) in crls.chain(ocsp) {
            found.extend(match (&issuer, kind) {
                (None, _) => {
                    let why = "the issuer's certificate is not known; give --chain";
                    vec![unchecked(&subject, kind, &url, why)]
                }
                (Some(issuer), UrlKind::DeltaCrl) => {
                    vec![Judge { options, issuer }.freshest(&subject, &url, Some(&certificate))]
                }
                (Some(issuer), UrlKind::Ocsp) => Judge { options, issuer }.ocsp(&subject, &url, &certificate),
                (Some(issuer), _) => Judge { options, issuer }.crl(&subject, &url, Some(&certificate)),
            });
        }
        match issuer {
            Some(issuer) if !is_root(&certificate) => certificate = issuer,
            _ => break,
        }
    }
    found
}

fn unchecked(subject: &str, kind: UrlKind, url: &str, why: &str) -> UrlCheck {
    UrlCheck {
        certificate: subject.to_owned(),
        kind,
        url: url.to_owned(),
        verdict: Verdict::Unchecked,
        detail: why.to_owned(),
        until: None,
    }
}

fn extension<T: for<'a> Decode<'a>>(certificate: &Certificate, oid: ObjectIdentifier) -> Option<T> {
    let mut extensions = certificate.tbs_certificate.extensions.iter().flatten();
    let found = extensions.find(|extension| extension.extn_id == oid)?;
    T::from_der(found.extn_value.as_bytes()).ok()
}

fn access_urls(certificate: &Certificate, method: ObjectIdentifier) -> Vec<String> {
    let access: Option<AuthorityInfoAccessSyntax> = extension(certificate, ID_PE_AUTHORITY_INFO_ACCESS);
    let of_method = access.into_iter().flat_map(|access| access.0).filter(|one| one.access_method == method);
    of_method
        .filter_map(|one| match one.access_location {
            GeneralName::UniformResourceIdentifier(url) => Some(url.to_string()),
            _ => None,
        })
        .collect()
}

/// What these URLs become in certificates of all kinds and parts.
fn all_of(urls: &[String], shards: Option<u16>) -> Vec<String> {
    let mut all = Vec::new();
    for url in urls {
        let kinds = ["users", "authorities"].map(|kind| url.replace("{kind}", kind));
        for url in kinds.iter().take(if url.contains("{kind}") { 2 } else { 1 }) {
            match shards {
                None => all.push(url.clone()),
                Some(count) => all.extend((0..count).map(|shard| {
                    url.replace("{shard}", &shard.to_string()).replace("{shards}", &count.to_string())
                })),
            }
        }
    }
    all
}

fn freshest_urls(certificate: &Certificate) -> Vec<String> {
    let points: Option<FreshestCrl> = extension(certificate, ID_CE_FRESHEST_CRL);
    let points = points.into_iter().flat_map(|points| points.0);
    points.flat_map(|point| point_urls(point.distribution_point.as_ref())).collect()
}

fn crl_urls(certificate: &Certificate) -> Vec<String> {
    let points: Option<CrlDistributionPoints> = extension(certificate, ID_CE_CRL_DISTRIBUTION_POINTS);
    let points = points.into_iter().flat_map(|points| points.0);
    points.flat_map(|point| point_urls(point.distribution_point.as_ref())).collect()
}
