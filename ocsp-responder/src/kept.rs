//! A signed answer, with all that HTTP says about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::body::Bytes;
use axum::http::HeaderValue;
use ca_domain::{RevocationState, Timestamp};
use ca_service::conditional::{entity_tag, http_date};
use ca_status::ocsp::{AnswerClass, CacheInfo, ResponseSigner};

const EIGHT_HOURS: u64 = 8 * 3_600;
const FOUR_DAYS: u64 = 4 * 86_400;

/// A signed answer that others may be given, too.
///
/// Of many answers, few are in a processor's cache when they are asked for. So an answer lies
/// in one piece, without what its signer adds to all, and giving it counts nothing in it:
/// [`Signed::give`] copies.
#[derive(Debug)]
pub struct Signed {
    /// The moment at which it was last found right.
    checked: AtomicU64,
    /// Its times.
    pub info: CacheInfo,
    renew_at: Timestamp,
    /// The index of its authority in the recorder.
    authority: Option<usize>,
    /// The DER OCSPResponse up to the signer's certificate, the entity tag, Last-Modified and
    /// Expires.
    octets: Box<[u8]>,
    /// Where each of these ends.
    ends: [usize; 4],
    /// Whether the signer's certificate belongs behind the first.
    shares: bool,
    class: AnswerClass,
    signer: Option<Arc<ResponseSigner>>,
    /// The state that it tells; none for an answer that is not kept.
    state: Option<RevocationState>,
    asked_for: AtomicBool,
}

/// A copy of a signed answer, for one client.
#[derive(Clone, Debug)]
pub struct Given {
    /// The DER OCSPResponse.
    pub body: Bytes,
    /// Its kind.
    pub class: AnswerClass,
    /// Its times.
    pub info: CacheInfo,
    /// Its entity tag.
    pub tag: HeaderValue,
    /// Last-Modified: thisUpdate.
    pub modified: HeaderValue,
    /// Expires: nextUpdate.
    pub expires: HeaderValue,
    /// The index of its authority in the recorder.
    pub authority: Option<usize>,
}

const UNCHECKED: u64 = u64::MAX;

/// What an answer is made of.
#[derive(Debug)]
pub struct Parts {
    /// The DER OCSPResponse.
    pub der: Vec<u8>,
    /// Its kind.
    pub class: AnswerClass,
    /// Its times.
    pub info: CacheInfo,
    /// The index of its authority in the recorder.
    pub authority: Option<usize>,
    /// Who signed it; none if that was not here.
    pub signer: Option<Arc<ResponseSigner>>,
    /// The state that it tells; none for an answer that is not kept.
    pub state: Option<RevocationState>,
}

impl Signed {
    /// The answer made of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { der, class, info, authority, signer, state } = parts;
        let texts = [entity_tag(&der), http_date(info.this_update), http_date(info.next_update)];
        let mut octets = der;
        let certificate = signer.as_deref().and_then(ResponseSigner::delegate_der).unwrap_or_default();
        let shares = octets.ends_with(certificate);
        if shares {
            octets.truncate(octets.len() - certificate.len());
        }
        let mut ends = [octets.len(); 4];
        for (text, end) in texts.iter().zip(&mut ends[1..]) {
            octets.extend_from_slice(text.as_bytes());
            *end = octets.len();
        }
        Self {
            octets: octets.into(),
            ends,
            shares,
            renew_at: renew_at(info.this_update, info.next_update),
            asked_for: AtomicBool::new(false),
            checked: AtomicU64::new(UNCHECKED),
            class,
            info,
            authority,
            signer,
            state,
        }
    }

    /// A copy for a client.
    #[must_use]
    pub fn give(&self) -> Given {
        let certificate =
            self.signer.as_deref().filter(|_| self.shares).and_then(ResponseSigner::delegate_der);
        let certificate = certificate.unwrap_or_default();
        let (own, texts) = self.octets.split_at(self.ends[0]);
        let octets = Bytes::from([own, certificate, texts].concat());
        let [body, tag, modified, expires] = self.ends.map(|end| end + certificate.len());
        Given {
            body: octets.slice(..body),
            tag: ascii(octets.slice(body..tag)),
            modified: ascii(octets.slice(tag..modified)),
            expires: ascii(octets.slice(modified..expires)),
            class: self.class,
            info: self.info,
            authority: self.authority,
        }
    }

    /// Whether it was found right at this moment of the ledger and the signers
    /// already, and its time is not over: the way that costs least.
    #[must_use]
    pub fn serves_at(&self, moment: u64, now: Timestamp) -> bool {
        self.checked.load(Ordering::Relaxed) == moment
            && (self.info.this_update..self.renew_at).contains(&now)
    }

    /// Notes that it was found right at a moment.
    pub fn is_right_at(&self, moment: u64) {
        self.checked.store(moment, Ordering::Relaxed);
    }

    /// Whether it is still the right answer: the certificate's state, the
    /// signer and the time are as they were signed.
    #[must_use]
    pub fn serves(&self, state: RevocationState, signer: &Arc<ResponseSigner>, now: Timestamp) -> bool {
        let right = self.state == Some(state)
            && self.signed_by(signer)
            && (self.info.this_update..self.renew_at).contains(&now);
        if right && !self.asked_for.load(Ordering::Relaxed) {
            self.asked_for.store(true, Ordering::Relaxed);
        }
        right
    }

    /// Whether to sign it anew before somebody has to wait for that: it was asked
    /// for since it was signed, and its time is nearly over or its signer gone.
    ///
    /// `jitter`, 0 to 255, spreads answers that were signed together.
    #[must_use]
    pub fn is_due(&self, signer: &Arc<ResponseSigner>, now: Timestamp, jitter: u8) -> bool {
        let life = self.renew_at.seconds_since(self.info.this_update);
        // In the last quarter to eighth of its time.
        let lead = life / 8 + life * u64::from(jitter) / (8 * 256);
        let over = now >= self.renew_at.saturating_sub(lead);
        self.asked_for.load(Ordering::Relaxed) && (over || !self.signed_by(signer))
    }

    fn signed_by(&self, signer: &Arc<ResponseSigner>) -> bool {
        self.signer.as_ref().is_some_and(|ours| Arc::ptr_eq(ours, signer))
    }
}

/// A header value; ours are all ASCII.
fn ascii(text: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(text).unwrap_or(HeaderValue::from_static(""))
}

/// When an answer is signed anew at the latest (S/MIME BR 4.9.10): at half its life if that is
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
