//! Which client takes a certificate, and which norms it breaks: for a file, for an
//! issued certificate, and for an example of what a template makes.

mod example;

use std::path::Path;

use ca_domain::clients::{self, ClientReport};
use ca_domain::lint::{FinishedReport, lint_certificate};
use ca_domain::{RevocationState, SerialNumber, Timestamp};
use der::{Decode, Encode};
use x509_cert::Certificate;
use x509_cert::certificate::TbsCertificate;

use crate::authority::Authority;
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};
use crate::import_authority::read_certificates;
use crate::inventory::Inventory;
pub use example::{Example, check_template};

/// Certificates of a path at most, the first included.
pub(crate) const MAX_PATH: usize = 10;

/// Whether the signature of a certificate is its issuer's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signature {
    /// There is none: an example.
    None,
    /// The issuer's certificate is not known.
    Unknown,
    /// It is the issuer's.
    Verified,
    /// It is not.
    Wrong,
}

impl Signature {
    /// One word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Unknown => "unknown",
            Self::Verified => "verified",
            Self::Wrong => "wrong",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Its subject.
    pub subject: String,
    /// How many of its issuers are known.
    pub issuers: usize,
    /// Whether its signature is right.
    pub signature: Signature,
    /// What the clients do.
    pub clients: Vec<ClientReport>,
    /// Which norms it breaks.
    pub lint: FinishedReport,
}

/// Checks the first certificate of a file, PEM or DER. Its issuers are looked for in
/// the same file, in `chain`, and in the home if there is one.
///
/// # Errors
/// A file cannot be read or holds no certificate.
pub fn check_file(home: Option<&Home>, file: &Path, chain: Option<&Path>, now: Timestamp) -> Result<Checked> {
    let paths: Vec<&Path> = std::iter::once(file).chain(chain).collect();
    let mut certificates = read_certificates(&paths)?;
    if certificates.is_empty() {
        return Err(AuthorityError::Input(format!(
            "{} holds no certificate; give a certificate, PEM or DER",
            file.display()
        )));
    }
    for authority in home.map(Authority::all).transpose()?.unwrap_or_default() {
        certificates.extend(authority.full_chain());
    }
    let unreadable = |error: der::Error| {
        AuthorityError::Input(format!(
            "{} is not a certificate: {error}; give a certificate, PEM or DER",
            file.display()
        ))
    };
    let mut decoded = certificates.iter().map(|der| Certificate::from_der(der).map_err(unreadable));
    let Some(first) = decoded.next().transpose()? else {
        return Err(AuthorityError::Input(format!("{} holds no certificate", file.display())));
    };
    let pool = decoded.collect::<Result<Vec<_>>>()?;
    Ok(check(&first, &pool, false, now))
}

/// Checks a certificate that was issued here.
///
/// # Errors
/// There is none of this serial number, or the ledger is damaged.
pub fn check_serial(home: &Home, serial: SerialNumber, now: Timestamp, wait: &Wait<'_>) -> Result<Checked> {
    let (issuance, chain) = {
        let mut inventory = Inventory::open(home, wait)?;
        let issuance = inventory.by_serial(serial, wait)?;
        let chain = inventory.chain(home, &issuance)?;
        (issuance, chain)
    };
    let pool = chain
        .iter()
        .map(|der| Certificate::from_der(der).map_err(AuthorityError::der("an issuer's certificate")))
        .collect::<Result<Vec<_>>>()?;
    let revoked = issuance.record.state != RevocationState::Good;
    Ok(check(&issuance.certificate, &pool, revoked, now))
}

fn check(certificate: &Certificate, pool: &[Certificate], revoked: bool, now: Timestamp) -> Checked {
    let issuers = issuers(certificate, pool);
    let signature = match issuers.first() {
        Some(issuer) if signed_by(certificate, issuer) => Signature::Verified,
        Some(_) => Signature::Wrong,
        None if is_root(certificate) && signed_by(certificate, certificate) => Signature::Verified,
        None if is_root(certificate) => Signature::Wrong,
        None => Signature::Unknown,
    };
    let tbs: Vec<TbsCertificate> = issuers.iter().map(|issuer| issuer.tbs_certificate.clone()).collect();
    let mut facts = clients::facts(&certificate.tbs_certificate, &tbs, now);
    facts.revoked = revoked;
    facts.forged = signature == Signature::Wrong;
    Checked {
        subject: certificate.tbs_certificate.subject.to_string(),
        issuers: issuers.len(),
        signature,
        clients: clients::assess(&facts),
        lint: lint_certificate(certificate, issuers.first().copied()),
    }
}

pub(crate) fn is_root(certificate: &Certificate) -> bool {
    certificate.tbs_certificate.issuer == certificate.tbs_certificate.subject
}

pub(crate) fn signed_by(certificate: &Certificate, issuer: &Certificate) -> bool {
    let spki = issuer.tbs_certificate.subject_public_key_info.to_der();
    spki.is_ok_and(|spki| ca_signing::verify_certificate(certificate, &spki).is_ok())
}

/// The issuers, nearest first, up to a root or to where none is known. Of several of
/// the right name, one whose key made the signature.
pub(crate) fn issuers<'a>(certificate: &Certificate, pool: &'a [Certificate]) -> Vec<&'a Certificate> {
    let mut path: Vec<&Certificate> = Vec::new();
    let mut last = certificate;
    while !is_root(last) && path.len() < MAX_PATH {
        let mut named = pool
            .iter()
            .filter(|one| one.tbs_certificate.subject == last.tbs_certificate.issuer)
            .filter(|one| !path.contains(one));
        let Some(first) = named.next() else { break };
        let found = if signed_by(last, first) {
            first
        } else {
            named.find(|one| signed_by(last, one)).unwrap_or(first)
        };
        path.push(found);
        last = found;
    }
    path
}
