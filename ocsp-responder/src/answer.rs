//! From a DER request to a DER answer, from memory where possible.

use std::sync::Arc;

use axum::body::Bytes;
use ca_domain::{KeyIdentifier, RevocationState, Timestamp};
use ca_service::conditional::entity_tag;
use ca_service::{Alarms, Clock, LedgerView, Trust};
use ca_status::ocsp::answer::CacheKey;
use ca_status::ocsp::{
    Answer, AnswerClass, AnswerPolicy, CacheInfo, ErrorStatus, Resolved, Responder, ResponseSigner, request,
};
use tokio::sync::Semaphore;

use crate::cache::Cache;
use crate::metrics::{Meters, Outcome, Recorder, Source};
use crate::signer::SignerSet;

/// Answers that may wait for a signature; more are told to try later.
const QUEUE: usize = 256;
const EIGHT_HOURS: u64 = 8 * 3_600;
const FOUR_DAYS: u64 = 4 * 86_400;

/// An answer on its way to the client.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The DER OCSPResponse.
    pub body: Bytes,
    /// Whether and how long it may be kept.
    pub keeping: Keeping,
    /// Its kind.
    pub class: AnswerClass,
    /// Whose signer answered, by its index in the recorder; of a signed answer.
    pub authority: Option<usize>,
    /// Where the bytes came from.
    pub source: Source,
}

/// What HTTP caches may do with an answer.
#[derive(Clone, Debug)]
pub enum Keeping {
    /// Nothing: it was signed for one request.
    Never,
    /// Ask again each time: it is an error.
    Recheck,
    /// Keep it.
    Shared {
        /// Its times.
        info: CacheInfo,
        /// Its entity tag.
        tag: String,
    },
}

/// A signed answer in memory, with all that must still hold when it is used.
#[derive(Debug)]
struct Signed {
    body: Bytes,
    tag: String,
    info: CacheInfo,
    class: AnswerClass,
    state: RevocationState,
    signer: Arc<ResponseSigner>,
    authority: Option<usize>,
    renew_at: Timestamp,
}

/// Answers requests. It decides; it does no HTTP.
#[derive(Debug)]
pub struct Desk {
    view: Arc<LedgerView<Responder>>,
    signers: SignerSet,
    cache: Arc<Cache<CacheKey, Signed>>,
    policy: AnswerPolicy,
    alarms: Alarms,
    meters: Meters,
    recorder: Recorder,
    /// Answers that wait or are being signed.
    queue: Arc<Semaphore>,
    /// Answers being signed: as many as there are processors.
    hands: Arc<Semaphore>,
}

impl Desk {
    /// A desk that answers from `view`, signs with `signers` and keeps about
    /// `cache_entries` answers. `recorder` has the authorities answered for.
    #[must_use]
    pub fn new(
        view: Arc<LedgerView<Responder>>,
        signers: SignerSet,
        policy: AnswerPolicy,
        cache_entries: usize,
        alarms: Alarms,
        (meters, recorder): (Meters, Recorder),
    ) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            view,
            signers,
            cache: Arc::new(Cache::new(cache_entries)),
            policy,
            alarms,
            meters,
            recorder,
            queue: Arc::new(Semaphore::new(QUEUE)),
            hands: Arc::new(Semaphore::new(processors)),
        }
    }

    /// A desk that does the same by another policy, and keeps what was signed.
    #[must_use]
    pub fn with_policy(&self, policy: AnswerPolicy) -> Self {
        Self {
            view: self.view.clone(),
            signers: self.signers.clone(),
            cache: self.cache.clone(),
            policy,
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

    /// Answers a DER request at the time of `clock`. Whatever the bytes, there
    /// is an answer.
    pub async fn answer(self: &Arc<Self>, request: &[u8], clock: &dyn Clock) -> Reply {
        let now = clock.now();
        let parsed = match request::parse(request, &self.policy.budget) {
            Ok(parsed) => parsed,
            Err(problem) => return Reply::from_error(problem.into()),
        };
        // A status that may be out of date is no status (RFC 6960, section 2.3).
        let trust = self.view.trust(now);
        if trust != Trust::Current {
            tracing::debug!(?trust, "tryLater");
            return Reply::error(ErrorStatus::TryLater);
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
            Err(problem) => return Reply::from_error(problem.into()),
        };
        let Some(signer) = self.signers.find(&resolved.authority()) else {
            return Reply::error(ErrorStatus::TryLater);
        };
        if let Some((key, state)) = &keep
            && let Some(signed) = self.cache.find(key)
            && signed.serves(*state, &signer, now)
        {
            return signed.reply();
        }
        self.sign(resolved, signer, keep, now).await
    }

    async fn sign(
        self: &Arc<Self>,
        resolved: Resolved,
        signer: Arc<ResponseSigner>,
        keep: Option<(CacheKey, RevocationState)>,
        now: Timestamp,
    ) -> Reply {
        let Ok(_place) = self.queue.try_acquire() else {
            self.meters.shed.inc();
            tracing::warn!("more than {QUEUE} answers wait for a signature; a client was told to try later");
            return Reply::error(ErrorStatus::TryLater);
        };
        let Ok(_hand) = self.hands.acquire().await else { return Reply::error(ErrorStatus::InternalError) };
        let desk = self.clone();
        let signing = tokio::task::spawn_blocking(move || desk.sign_now(&resolved, signer, keep, now));
        signing.await.unwrap_or_else(|_| Reply::error(ErrorStatus::InternalError))
    }

    fn sign_now(
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
            return Reply::from_error(answer);
        }
        self.alarms.clear("signing");
        self.meters.signed.inc();
        let body = Bytes::from(answer.der);
        let authority = self.recorder.index_of(&resolved.authority());
        let (class, source) = (answer.class, Source::Signed);
        let Some(info) = answer.cacheable else {
            return Reply { body, keeping: Keeping::Never, class, authority, source };
        };
        let tag = entity_tag(&body);
        if let Some((key, state)) = keep {
            // Which state was signed is kept beside it: a change of status that
            // happens meanwhile makes this very entry useless.
            let renew_at = renew_at(info.this_update, info.next_update);
            let (body, tag) = (body.clone(), tag.clone());
            let signed = Signed { body, tag, info, class, state, signer, authority, renew_at };
            self.cache.insert(key, Arc::new(signed));
        }
        Reply { body, keeping: Keeping::Shared { info, tag }, class, authority, source }
    }
}

impl Signed {
    fn serves(&self, state: RevocationState, signer: &Arc<ResponseSigner>, now: Timestamp) -> bool {
        self.state == state
            && Arc::ptr_eq(&self.signer, signer)
            && (self.info.this_update..self.renew_at).contains(&now)
    }

    fn reply(&self) -> Reply {
        Reply {
            body: self.body.clone(),
            keeping: Keeping::Shared { info: self.info, tag: self.tag.clone() },
            class: self.class,
            authority: self.authority,
            source: Source::Cache,
        }
    }
}

impl Reply {
    fn error(status: ErrorStatus) -> Self {
        Self::from_error(Answer::error(status))
    }

    /// The unsigned error that a request without an OCSP request gets.
    #[must_use]
    pub fn malformed() -> Self {
        Self::error(ErrorStatus::MalformedRequest)
    }

    fn from_error(answer: Answer) -> Self {
        if let Some(problem) = &answer.problem {
            tracing::debug!(class = ?answer.class, %problem, "an error answer");
        }
        Self {
            body: Bytes::from(answer.der),
            keeping: Keeping::Recheck,
            class: answer.class,
            authority: None,
            source: Source::Unsigned,
        }
    }

    /// What to record of it.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        Outcome::Answered { class: self.class, authority: self.authority, source: self.source }
    }
}

/// When an answer is signed anew (S/MIME BR 4.9.10): at half its life if that is
/// under 16 hours, otherwise 8 hours before its end and after 4 days at most.
fn renew_at(this_update: Timestamp, next_update: Timestamp) -> Timestamp {
    let life = next_update.seconds_since(this_update);
    if life < 2 * EIGHT_HOURS {
        this_update.saturating_add(life / 2)
    } else {
        next_update.saturating_sub(EIGHT_HOURS).min(this_update.saturating_add(FOUR_DAYS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_leaves_time() {
        let start = Timestamp::from_unix(1_800_000_000).unwrap();
        for (hours, renewed_after) in [(1, 1_800), (15, 27_000), (16, 28_800), (24, 57_600), (240, 345_600)] {
            let end = start.saturating_add(hours * 3_600);
            assert_eq!(renew_at(start, end).seconds_since(start), renewed_after, "{hours} h");
        }
    }
}
