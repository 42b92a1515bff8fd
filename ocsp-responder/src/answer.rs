//! From a DER request to a DER answer, from memory where possible.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::body::Bytes;
use ca_domain::{KeyIdentifier, RevocationState, SerialNumber, Timestamp};
use ca_service::{Alarms, LedgerView, Trust};
use ca_status::ocsp::answer::CacheKey;
use ca_status::ocsp::{
    Answer, AnswerClass, AnswerPolicy, CertId, ErrorStatus, NoncePolicy, Resolved, Responder, ResponseSigner,
    SimpleRequest, SimpleRequests, request,
};
use tokio::sync::Semaphore;

use crate::cache::Cache;
use crate::kept::{Given, Parts, Signed};
use crate::metrics::{Meters, Outcome, Recorder, Source};
use crate::presigned::{PresignedSet, Shelved};
use crate::rate::RateLimit;
use crate::signer::SignerSet;

/// Answers that may wait for a slow signature; more are told to try later.
const QUEUE: usize = 256;

/// An answer on its way to the client.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Signed, and anybody's who asks the same.
    Shared {
        /// The answer.
        given: Given,
        /// Whether it was in memory.
        source: Source,
    },
    /// Signed for one request.
    Own {
        /// The DER OCSPResponse.
        body: Bytes,
        /// Its kind.
        class: AnswerClass,
        /// The index of its authority in the recorder.
        authority: Option<usize>,
    },
    /// An unsigned error.
    Error(ErrorStatus),
}

/// Who asks, and when.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// The address of the client, or of the proxy before it.
    pub address: IpAddr,
    /// The time of day.
    pub now: Timestamp,
    /// The same moment on the clock that never steps.
    pub instant: Instant,
}

/// Answers requests. It decides; it does no HTTP.
#[derive(Debug)]
pub struct Desk {
    pub(crate) view: Arc<LedgerView<Responder>>,
    pub(crate) signers: SignerSet,
    /// Those that are answered from memory without being parsed.
    simple: SimpleRequests,
    pub(crate) presigned: PresignedSet,
    pub(crate) cache: Arc<Cache<CacheKey, Signed>>,
    /// Kept answers that a change made wrong and that take long to sign.
    pub(crate) pending: Arc<Mutex<Vec<CacheKey>>>,
    policy: AnswerPolicy,
    own_answers: Option<RateLimit>,
    alarms: Alarms,
    meters: Meters,
    recorder: Recorder,
    /// Answers that wait for a slow signature or are being signed.
    queue: Arc<Semaphore>,
    /// Answers being signed with slow keys: as many as there are processors.
    hands: Arc<Semaphore>,
}

impl Desk {
    /// A desk that answers from `view`, signs with `signers` or gives out what is
    /// `presigned`, and keeps about
    /// `cache_entries` answers. `recorder` has the authorities answered for.
    ///
    /// `own_answers` limits the answers that are signed for one request alone.
    #[must_use]
    pub fn new(
        view: Arc<LedgerView<Responder>>,
        (signers, presigned): (SignerSet, PresignedSet),
        policy: AnswerPolicy,
        cache_entries: usize,
        own_answers: Option<RateLimit>,
        alarms: Alarms,
        (meters, recorder): (Meters, Recorder),
    ) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let simple = SimpleRequests::about(view.read().issuers());
        Self {
            view,
            signers,
            simple,
            presigned,
            pending: Arc::default(),
            cache: Arc::new(Cache::new(cache_entries)),
            policy,
            own_answers,
            alarms,
            meters,
            recorder,
            queue: Arc::new(Semaphore::new(QUEUE)),
            hands: Arc::new(Semaphore::new(processors)),
        }
    }

    /// A desk that does the same by another policy, and keeps what was signed.
    #[must_use]
    pub fn with_policy(&self, policy: AnswerPolicy, own_answers: Option<RateLimit>) -> Self {
        Self {
            view: self.view.clone(),
            signers: self.signers.clone(),
            simple: self.simple.clone(),
            presigned: self.presigned.clone(),
            pending: self.pending.clone(),
            cache: self.cache.clone(),
            policy,
            own_answers,
            alarms: self.alarms.clone(),
            meters: self.meters.clone(),
            recorder: self.recorder.clone(),
            queue: self.queue.clone(),
            hands: self.hands.clone(),
        }
    }

    /// Records how requests end.
    #[must_use]
    pub const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// The signer of an authority.
    #[must_use]
    pub fn signer(&self, authority: &KeyIdentifier) -> Option<Arc<ResponseSigner>> {
        self.signers.find(authority)
    }

    /// Whether anything can be answered at `now`: an authority has a signer that is
    /// valid, or answers that were signed ahead.
    #[must_use]
    pub fn can_answer(&self, now: Timestamp) -> bool {
        let mut signers = self.recorder.authorities().iter().filter_map(|(id, _)| self.signer(id));
        signers.any(|signer| (signer.not_before()..=signer.not_after()).contains(&now))
            || self.presigned.has_answers(now)
    }

    /// Signed answers in memory.
    #[must_use]
    pub fn cached(&self) -> usize {
        self.cache.len()
    }

    /// Answers that wait for a signature or are being signed.
    #[must_use]
    pub fn queued(&self) -> usize {
        QUEUE.saturating_sub(self.queue.available_permits())
    }

    /// Answers a DER request. Whatever the bytes, there is an answer.
    pub async fn answer(self: &Arc<Self>, request: &[u8], asker: Asker) -> Reply {
        let simple = self.simple.read(request).filter(|_| request.len() <= self.policy.budget.max_bytes);
        if let Some(reply) = simple.and_then(|simple| self.recall(&simple, asker.now)) {
            return reply;
        }
        let parsed = match simple.and_then(|simple| simple.view()) {
            Some(same) => Ok(same),
            None => request::parse(request, &self.policy.budget),
        };
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(problem) => return Reply::from_error(&problem.into()),
        };
        // A status that may be out of date is no status (RFC 6960, section 2.3).
        let trust = self.view.trust(asker.now);
        if trust != Trust::Current {
            tracing::debug!(?trust, "tryLater");
            return Reply::Error(ErrorStatus::TryLater);
        }
        if let Some(reply) = self.presigned(&parsed.cert_ids, asker.now) {
            return reply;
        }
        let looked_up = {
            let responder = self.view.read();
            responder.resolve(parsed, &self.policy).map(|resolved| {
                let key = resolved.cache_key();
                let status = key.as_ref().and_then(|k| responder.table().status(&k.authority, &k.serial));
                (resolved, key.zip(status.map(|status| status.state)))
            })
        };
        let (resolved, keep) = match looked_up {
            Ok(found) => found,
            Err(problem) => return Reply::from_error(&problem.into()),
        };
        let Some(signer) = self.signers.find(&resolved.authority()) else {
            return Reply::Error(ErrorStatus::TryLater);
        };
        // Where nothing is kept, each answer is signed for its request alone.
        if let Some((key, state)) = keep.as_ref().filter(|_| self.cache.keeps()) {
            if let Some(reply) = self.find((key, *state), &signer, asker.now, None) {
                return reply;
            }
        } else if self.own_answers.as_ref().is_some_and(|rate| !rate.allows(asker.address, asker.instant)) {
            self.meters.nonces_limited.inc();
            return Reply::Error(ErrorStatus::TryLater);
        }
        self.sign(resolved, signer, keep, asker.now).await
    }

    /// The answer of an authority whose answers were signed before, elsewhere.
    fn presigned(&self, cert_ids: &[CertId], now: Timestamp) -> Option<Reply> {
        let state = |authority: &KeyIdentifier, serial: &SerialNumber| {
            Some(self.view.read().table().status(authority, serial)?.state)
        };
        Some(match self.presigned.find(cert_ids, state, now)? {
            Shelved::Answer(given) => Reply::Shared { given, source: Source::Cache },
            Shelved::TryLater => Reply::Error(ErrorStatus::TryLater),
            Shelved::Unauthorized => Reply::Error(ErrorStatus::Unauthorized),
        })
    }

    /// The answer to the request that nearly all clients send, if it is there:
    /// the way that costs least.
    fn recall(&self, simple: &SimpleRequest<'_>, now: Timestamp) -> Option<Reply> {
        let kept = match self.policy.nonce {
            NoncePolicy::Require => false,
            NoncePolicy::Ignore => true,
            NoncePolicy::Echo => simple.nonce.is_none(),
        };
        if !kept || self.view.trust(now) != Trust::Current {
            return None;
        }
        let (key, moment) = (simple.key, self.moment());
        let found = self.cache.find(&key, |signed| signed.serves_at(moment, now).then(|| signed.give()))?;
        if let Some(given) = found {
            return Some(Reply::Shared { given, source: Source::Cache });
        }
        // Something has changed since this answer was last given; its own status?
        let (moment, state) = {
            let responder = self.view.read();
            (self.moment(), responder.table().status(&key.authority, &key.serial)?.state)
        };
        self.find((&key, state), &self.signers.find(&key.authority)?, now, Some(moment))
    }

    /// A number that grows with every change of the ledger's view or of the signers:
    /// as long as it is the same, what was right is right.
    fn moment(&self) -> u64 {
        self.view.version().wrapping_add(self.signers.generation())
    }

    /// The kept answer, if it is right; noted as right at `moment`.
    fn find(
        &self,
        (key, state): (&CacheKey, RevocationState),
        signer: &Arc<ResponseSigner>,
        now: Timestamp,
        moment: Option<u64>,
    ) -> Option<Reply> {
        let look = |signed: &Signed| {
            let right = signed.serves(state, signer, now);
            if let Some(moment) = moment.filter(|_| right) {
                signed.is_right_at(moment);
            }
            right.then(|| signed.give())
        };
        let given = self.cache.find(key, look)??;
        Some(Reply::Shared { given, source: Source::Cache })
    }

    async fn sign(
        self: &Arc<Self>,
        resolved: Resolved,
        signer: Arc<ResponseSigner>,
        keep: Option<(CacheKey, RevocationState)>,
        now: Timestamp,
    ) -> Reply {
        if signer.is_quick() {
            // As many wait as there are connections, and none for long.
            return self.sign_now(&resolved, signer, keep, now);
        }
        let Ok(_place) = self.queue.try_acquire() else {
            self.meters.shed.inc();
            tracing::debug!("more than {QUEUE} answers wait for a signature; a client was told to try later");
            return Reply::Error(ErrorStatus::TryLater);
        };
        let Ok(_hand) = self.hands.acquire().await else { return Reply::Error(ErrorStatus::InternalError) };
        let desk = self.clone();
        let signing = tokio::task::spawn_blocking(move || desk.sign_now(&resolved, signer, keep, now));
        signing.await.unwrap_or(Reply::Error(ErrorStatus::InternalError))
    }

    pub(crate) fn sign_now(
        &self,
        resolved: &Resolved,
        signer: Arc<ResponseSigner>,
        keep: Option<(CacheKey, RevocationState)>,
        now: Timestamp,
    ) -> Reply {
        let answer = resolved.sign(&signer, now, &self.policy);
        if let Some(problem) = &answer.problem {
            self.meters.sign_failed.inc();
            self.alarms.raise("signing", "an answer could not be signed", problem);
            return Reply::from_error(&answer);
        }
        self.alarms.clear("signing");
        self.meters.signed.inc();
        let Answer { der, cacheable, class, .. } = answer;
        let authority = self.recorder.index_of(&resolved.authority());
        let Some(info) = cacheable else {
            return Reply::Own { body: Bytes::from(der), class, authority };
        };
        // Which state was signed is kept beside it: a change of status that
        // happens meanwhile makes this very answer useless.
        let state = keep.map(|(_, state)| state);
        let signed = Signed::new(Parts { der, class, info, authority, signer: Some(signer), state });
        let given = signed.give();
        if let Some((key, _)) = keep {
            self.cache.insert(key, signed);
        }
        Reply::Shared { given, source: Source::Signed }
    }
}

impl Reply {
    fn from_error(answer: &Answer) -> Self {
        if let Some(problem) = &answer.problem {
            tracing::debug!(class = ?answer.class, %problem, "an error answer");
        }
        match answer.class {
            AnswerClass::Error(status) => Self::Error(status),
            // Only errors come here.
            _ => Self::Error(ErrorStatus::InternalError),
        }
    }

    /// The DER OCSPResponse.
    #[must_use]
    pub fn body(&self) -> Bytes {
        match self {
            Self::Shared { given, .. } => given.body.clone(),
            Self::Own { body, .. } => body.clone(),
            Self::Error(status) => Bytes::from_static(status.der()),
        }
    }

    /// What to record of it.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Shared { given, source } => {
                Outcome::Answered { class: given.class, authority: given.authority, source: *source }
            }
            Self::Own { class, authority, .. } => {
                Outcome::Answered { class: *class, authority: *authority, source: Source::Signed }
            }
            Self::Error(status) => Outcome::Answered {
                class: AnswerClass::Error(*status),
                authority: None,
                source: Source::Unsigned,
            },
        }
    }
}
