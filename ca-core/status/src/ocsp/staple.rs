//! Answers that a server hands on to its clients: OCSP stapling (RFC 6066,
//! section 8; RFC 8446, section 4.4.2.1).
//!
//! A stapled answer speaks for nobody but its certificate, and lies on a disk
//! until it is replaced. So it is judged more strictly than one that was just asked for.

use ca_domain::{SerialNumber, Timestamp};
use const_oid::db::rfc5280::ID_AD_OCSP;
use der::Encode;
use x509_cert::Certificate;
use x509_cert::ext::pkix::AuthorityInfoAccessSyntax;
use x509_cert::ext::pkix::name::GeneralName;
use x509_ocsp::CertId;

use super::{CertHash, IssuerIds, OcspView, ViewState, request};
use crate::StatusError;

/// Clocks differ by less, in seconds.
const SKEW: u64 = 300;

/// A certificate that answers are wanted for.
#[derive(Clone, Debug)]
pub struct StapleSubject {
    issuer: Certificate,
    id: CertId,
    request: Vec<u8>,
}

/// A verified answer about one certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Staple {
    /// The DER OCSPResponse.
    pub der: Vec<u8>,
    /// Good or revoked; never unknown.
    pub state: ViewState,
    /// Since when it is known to be right.
    pub this_update: Timestamp,
    /// When it ends: clients take it no longer.
    pub next_update: Timestamp,
}

fn unacceptable(what: impl Into<String>) -> StatusError {
    StatusError::ResponseUnacceptable(what.into())
}

impl StapleSubject {
    /// The certificate, with the one of `issuers` whose key signed it.
    ///
    /// The CertID is of SHA-1: HAProxy and older clients look for no other.
    ///
    /// # Errors
    /// [`StatusError::IssuerMissing`], or a serial number that no authority gives.
    pub fn new<'a>(
        certificate: &Certificate,
        issuers: impl IntoIterator<Item = &'a Certificate>,
    ) -> Result<Self, StatusError> {
        let tbs = &certificate.tbs_certificate;
        let issuer = issuers
            .into_iter()
            .filter(|issuer| issuer.tbs_certificate.subject == tbs.issuer)
            .find(|issuer| {
                let key = issuer.tbs_certificate.subject_public_key_info.to_der();
                key.is_ok_and(|key| ca_signing::verify_certificate(certificate, &key).is_ok())
            })
            .ok_or(StatusError::IssuerMissing)?
            .clone();
        let serial = SerialNumber::try_from(&tbs.serial_number)
            .map_err(|error| unacceptable(format!("the certificate's serial number: {error}")))?;
        let id = IssuerIds::of(&issuer)?.cert_id(CertHash::Sha1, &serial)?;
        let request = request::build(std::slice::from_ref(&id), None)?;
        Ok(Self { issuer, id, request })
    }

    /// The DER request for an answer, without a nonce.
    #[must_use]
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// Judges an answer at `now`: who signed it, whether it is about this
    /// certificate, and whether clients will take it.
    ///
    /// # Errors
    /// Anything but an answer good or revoked that is valid now and says until when.
    pub fn judge(&self, der: &[u8], now: Timestamp) -> Result<Staple, StatusError> {
        let view = OcspView::parse_and_verify(der, &self.issuer, now)?;
        let status = view.status(&self.id).ok_or_else(|| unacceptable("it is not about this certificate"))?;
        if status.state == ViewState::Unknown {
            return Err(unacceptable("it says that the responder does not know this certificate"));
        }
        if status.this_update.seconds_since(now) > SKEW {
            return Err(unacceptable(format!(
                "it begins on {}, and it is {now}: a clock is wrong",
                status.this_update
            )));
        }
        let next_update =
            status.next_update.ok_or_else(|| unacceptable("it does not say until when it is valid"))?;
        if next_update <= now {
            return Err(unacceptable(format!("it ended on {next_update}")));
        }
        Ok(Staple { der: der.to_vec(), state: status.state, this_update: status.this_update, next_update })
    }
}

impl Staple {
    /// Half its life: the time to have the next one.
    #[must_use]
    pub fn renew_at(&self) -> Timestamp {
        self.this_update.saturating_add(self.next_update.seconds_since(self.this_update) / 2)
    }

    /// Whether it is another answer than `old`, and not an older one that a cache
    /// or an attacker kept: a revocation is not taken back by what was said before it.
    #[must_use]
    pub fn replaces(&self, old: &Self) -> bool {
        self.der != old.der && self.this_update >= old.this_update
    }
}

/// The first HTTP URL of an OCSP responder that a certificate names (RFC 5280,
/// section 4.2.2.1).
#[must_use]
pub fn responder_url(certificate: &Certificate) -> Option<String> {
    let (_, access) = certificate.tbs_certificate.get::<AuthorityInfoAccessSyntax>().ok()??;
    access.0.into_iter().filter(|entry| entry.access_method == ID_AD_OCSP).find_map(|entry| {
        match entry.access_location {
            GeneralName::UniformResourceIdentifier(url) if url.as_str().starts_with("http://") => {
                Some(url.to_string())
            }
            _ => None,
        }
    })
}
