//! From request bytes to response bytes.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use ca_domain::{KeyIdentifier, SerialNumber, Timestamp};
use ca_ledger::Entry;
use x509_cert::Certificate;
use x509_ocsp::CertId;

use super::request::{self, Budget, RequestView};
use super::respond::{self, CertState, ErrorStatus, SingleStatus};
use super::{CertHash, CertIdForm, IssuerIds, ResponseSigner};
use crate::{Change, StatusError, StatusTable};

/// How long, in seconds, a shared cache may keep an answer about a certificate
/// that the responder has not seen: the ledger may show it any moment.
pub const NEVER_ISSUED_MAX_AGE: u64 = 60;

/// What is said about a serial that the authority never issued. Never "good"
/// (RFC 6960, section 2.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NeverIssued {
    /// The status "unknown".
    #[default]
    Unknown,
    /// The unsigned error "unauthorized" (RFC 5019, section 2.2.3).
    Unauthorized,
    /// Revoked: on hold since 1970-01-01, with the extended-revoke extension.
    Revoked,
}

/// What becomes of nonces.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NoncePolicy {
    /// Sent back; such an answer is signed for this request alone.
    #[default]
    Echo,
    /// Left out, so that every answer can be cached.
    Ignore,
    /// Sent back; a request without one is answered "unauthorized".
    Require,
}

/// How a responder answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AnswerPolicy {
    /// Seconds from thisUpdate to nextUpdate.
    pub validity: u64,
    /// What is said about serials never issued.
    pub never_issued: NeverIssued,
    /// What becomes of nonces.
    pub nonce: NoncePolicy,
    /// What one request may cost.
    pub budget: Budget,
}

impl Default for AnswerPolicy {
    /// 24 hours, unknown, echo, the default budget.
    fn default() -> Self {
        Self {
            validity: 24 * 60 * 60,
            never_issued: NeverIssued::default(),
            nonce: NoncePolicy::default(),
            budget: Budget::default(),
        }
    }
}

/// The signers of the authorities.
pub type SignerMap = HashMap<KeyIdentifier, Arc<ResponseSigner>>;

/// The kind of an answer, for logs and counters.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AnswerClass {
    /// One certificate: good.
    Good,
    /// One certificate: revoked or held.
    Revoked,
    /// One certificate: never issued here, whatever the policy made of it.
    Unknown,
    /// Several certificates.
    Several,
    /// An unsigned error.
    Error(ErrorStatus),
}

/// How long shared caches may keep an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CacheInfo {
    /// Last-Modified.
    pub this_update: Timestamp,
    /// Expires.
    pub next_update: Timestamp,
    /// Seconds from thisUpdate that a cache may keep it: up to nextUpdate, less
    /// for a certificate never seen.
    pub max_age: u64,
}

/// A response and what the server has to know about it.
#[derive(Debug)]
pub struct Answer {
    /// The DER OCSPResponse.
    pub der: Vec<u8>,
    /// Whether and how long it may be kept; none for an error and for an answer
    /// with a nonce.
    pub cacheable: Option<CacheInfo>,
    /// Its kind.
    pub class: AnswerClass,
    /// Why it is an error, for the log.
    pub problem: Option<StatusError>,
}

impl Answer {
    /// An error answer without a cause.
    #[must_use]
    pub fn error(status: ErrorStatus) -> Self {
        let class = AnswerClass::Error(status);
        Self { der: status.der().to_vec(), cacheable: None, class, problem: None }
    }
}

impl From<StatusError> for Answer {
    /// The error answer that a failure calls for.
    fn from(problem: StatusError) -> Self {
        let status = match &problem {
            StatusError::RequestTooLarge { .. }
            | StatusError::MalformedRequest(_)
            | StatusError::TooManyCertIds { .. }
            | StatusError::UnknownCriticalExtension(_) => ErrorStatus::MalformedRequest,
            StatusError::NotAuthoritative | StatusError::NonceRequired => ErrorStatus::Unauthorized,
            StatusError::NoSigner(_) | StatusError::SignerNotValid { .. } => ErrorStatus::TryLater,
            _ => ErrorStatus::InternalError,
        };
        Self { problem: Some(problem), ..Self::error(status) }
    }
}

/// Under which key a signed answer may be kept for the next such request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CacheKey {
    /// The issuing authority.
    pub authority: KeyIdentifier,
    /// The certificate; a [`Change`] with this authority and serial ends the answer.
    pub serial: SerialNumber,
    /// How it was asked for: each form has its own answer.
    pub form: CertIdForm,
}

/// The low octets of a serial are random enough to tell certificates apart.
impl Hash for CacheKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [.., a, b, c, d, e, f, g, h] = *self.serial.padded();
        let form = u64::from(self.form.null_parameters) + 2 * u64::from(self.form.hash == CertHash::Sha256);
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]).rotate_left(2) ^ form);
    }
}

/// A request whose answer is known but not signed.
#[derive(Clone, Debug)]
pub struct Resolved {
    authority: KeyIdentifier,
    singles: Vec<(CertId, CertState)>,
    /// Of the only certificate, if there is one and it was issued.
    issued: Option<(SerialNumber, CertIdForm)>,
    /// Whether every certificate was issued by the authority.
    all_issued: bool,
    nonce: Option<Vec<u8>>,
}

/// The status table and the authorities that are answered for.
#[derive(Clone, Debug, Default)]
pub struct Responder {
    table: StatusTable,
    issuers: Vec<IssuerIds>,
}

impl Responder {
    /// A responder that answers for nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers from now on for certificates issued by the holder of `certificate`.
    ///
    /// # Errors
    /// A certificate whose name cannot be encoded.
    pub fn add_authority(&mut self, certificate: &Certificate) -> Result<KeyIdentifier, StatusError> {
        let ids = IssuerIds::of(certificate)?;
        let authority = ids.authority();
        if !self.issuers.contains(&ids) {
            self.issuers.push(ids);
        }
        Ok(authority)
    }

    /// Answers from now on for these authorities only. The status table has all
    /// that the ledger names, so nothing is read again.
    ///
    /// # Errors
    /// As for [`Responder::add_authority`]; nothing is changed then.
    pub fn set_authorities<'a>(
        &mut self,
        certificates: impl IntoIterator<Item = &'a Certificate>,
    ) -> Result<(), StatusError> {
        let mut issuers = Vec::new();
        for certificate in certificates {
            let ids = IssuerIds::of(certificate)?;
            if !issuers.contains(&ids) {
                issuers.push(ids);
            }
        }
        self.issuers = issuers;
        Ok(())
    }

    /// Puts another status table in place of the one that is there.
    pub fn set_table(&mut self, table: StatusTable) {
        self.table = table;
    }

    /// The status table.
    #[must_use]
    pub const fn table(&self) -> &StatusTable {
        &self.table
    }

    /// Applies a ledger entry; see [`StatusTable::apply`].
    ///
    /// # Errors
    /// Those of [`StatusTable::apply`].
    pub fn apply(&mut self, index: u64, entry: &Entry) -> Result<Option<Change>, StatusError> {
        self.table.apply(index, entry)
    }

    /// Leaves a ledger entry out; see [`StatusTable::skip`].
    ///
    /// # Errors
    /// Those of [`StatusTable::skip`].
    pub fn skip(&mut self, index: u64) -> Result<(), StatusError> {
        self.table.skip(index)
    }

    /// Answers a request at `now`. Whatever the bytes, there is an answer.
    #[must_use]
    pub fn answer(
        &self,
        request: &[u8],
        now: Timestamp,
        signers: &SignerMap,
        policy: &AnswerPolicy,
    ) -> Answer {
        let resolved = request::parse(request, &policy.budget).and_then(|view| self.resolve(view, policy));
        match resolved {
            Ok(resolved) => match signers.get(&resolved.authority) {
                Some(signer) => resolved.sign(signer, now, policy),
                None => StatusError::NoSigner(resolved.authority).into(),
            },
            Err(problem) => problem.into(),
        }
    }

    /// The issuers that are answered for.
    #[must_use]
    pub fn issuers(&self) -> &[IssuerIds] {
        &self.issuers
    }

    /// What is to be said for a key, as if it were asked for now; none if the
    /// certificate was not issued or the authority is not ours.
    #[must_use]
    pub fn resolve_key(&self, key: &CacheKey) -> Option<Resolved> {
        let issuer = self.issuers.iter().find(|issuer| issuer.authority() == key.authority)?;
        let status = self.table.status(&key.authority, &key.serial)?;
        Some(Resolved {
            authority: key.authority,
            singles: vec![(issuer.cert_id_in(key.form, &key.serial).ok()?, status.state.into())],
            issued: Some((key.serial, key.form)),
            all_issued: true,
            nonce: None,
        })
    }

    /// Looks up what a request asks for.
    ///
    /// One signer answers for one authority, so a request that names two of
    /// ours is refused. Issuers that are not ours make single entries unknown.
    ///
    /// # Errors
    /// No authority of ours or several, a missing nonce that the policy
    /// requires, or a serial never issued where the policy is `Unauthorized`.
    pub fn resolve(&self, request: RequestView, policy: &AnswerPolicy) -> Result<Resolved, StatusError> {
        let nonce = match policy.nonce {
            NoncePolicy::Ignore => None,
            NoncePolicy::Echo => request.nonce,
            NoncePolicy::Require => Some(request.nonce.ok_or(StatusError::NonceRequired)?),
        };
        let mut authority = None;
        let mut found = Vec::with_capacity(request.cert_ids.len());
        for id in request.cert_ids {
            let known = self.issuers.iter().find_map(|issuer| Some((issuer.authority(), issuer.form(&id)?)));
            let issuer = known.map(|(authority, _)| authority);
            if issuer.is_some() && authority.is_some() && issuer != authority {
                return Err(StatusError::NotAuthoritative);
            }
            authority = authority.or(issuer);
            // A serial outside the range of certificates was issued by nobody.
            let serial = SerialNumber::try_from(&id.serial_number).ok();
            let status = issuer.zip(serial).and_then(|(issuer, serial)| self.table.status(&issuer, &serial));
            let form = known.map(|(_, form)| form);
            found.push((id, issuer, status.and(serial).zip(form), status.map(|status| status.state)));
        }
        let authority = authority.ok_or(StatusError::NotAuthoritative)?;

        let all_issued = found.iter().all(|(_, _, issued, _)| issued.is_some());
        let issued = match found.as_slice() {
            [(_, _, issued, _)] => *issued,
            _ => None,
        };
        let mut singles = Vec::with_capacity(found.len());
        for (id, issuer, _, state) in found {
            let state = match (state, policy.never_issued) {
                (Some(state), _) => state.into(),
                (None, NeverIssued::Unauthorized) => return Err(StatusError::NotAuthoritative),
                (None, NeverIssued::Revoked) if issuer.is_some() => CertState::NeverIssued,
                (None, NeverIssued::Revoked | NeverIssued::Unknown) => CertState::Unknown,
            };
            singles.push((id, state));
        }
        Ok(Resolved { authority, singles, issued, all_issued, nonce })
    }
}

impl Resolved {
    /// The authority whose signer must sign.
    #[must_use]
    pub const fn authority(&self) -> KeyIdentifier {
        self.authority
    }

    /// The kind of the answer.
    #[must_use]
    pub fn class(&self) -> AnswerClass {
        match self.singles.as_slice() {
            [(_, CertState::Good)] => AnswerClass::Good,
            [(_, CertState::Revoked { .. })] => AnswerClass::Revoked,
            [(_, CertState::Unknown | CertState::NeverIssued)] => AnswerClass::Unknown,
            _ => AnswerClass::Several,
        }
    }

    /// Under which key the signed answer may be kept: for one issued
    /// certificate, without a nonce. Serials never issued have none, or anybody
    /// could fill the memory.
    #[must_use]
    pub fn cache_key(&self) -> Option<CacheKey> {
        let (serial, form) = self.issued.filter(|_| self.nonce.is_none())?;
        Some(CacheKey { authority: self.authority, serial, form })
    }

    /// Signs the answer. A failure becomes an error answer with its cause.
    #[must_use]
    pub fn sign(&self, signer: &ResponseSigner, now: Timestamp, policy: &AnswerPolicy) -> Answer {
        self.try_sign(signer, now, policy).unwrap_or_else(Answer::from)
    }

    fn try_sign(
        &self,
        signer: &ResponseSigner,
        now: Timestamp,
        policy: &AnswerPolicy,
    ) -> Result<Answer, StatusError> {
        if signer.authority() != self.authority {
            return Err(StatusError::NoSigner(self.authority));
        }
        let this_update = now;
        let next_update = signer.next_update(now, policy.validity)?;
        let single = |(cert_id, state): &(CertId, CertState)| SingleStatus {
            cert_id: cert_id.clone(),
            state: *state,
            this_update,
            next_update,
        };
        let singles: Vec<_> = self.singles.iter().map(single).collect();
        let der = respond::build(&singles, signer, now, self.nonce.as_deref())?;
        let whole = next_update.seconds_since(this_update);
        let max_age = if self.all_issued { whole } else { whole.min(NEVER_ISSUED_MAX_AGE) };
        let cacheable = self.nonce.is_none().then_some(CacheInfo { this_update, next_update, max_age });
        Ok(Answer { der, cacheable, class: self.class(), problem: None })
    }
}
