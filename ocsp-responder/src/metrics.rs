//! What the responder measures, and how a request is recorded.
//!
//! All counters are got when the responder is set up; to record a request is to
//! find one in an array of the thread's own and count it up, without an allocation.

mod tally;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ca_domain::KeyIdentifier;
use ca_service::metrics::{as_float, seconds};
use ca_service::{Authority, Metrics, ServiceError};
use ca_status::ocsp::{AnswerClass, ErrorStatus};
use prometheus::{Histogram, IntCounter, IntCounterVec};

use crate::http::Shell;
use tally::{Tallies, Tally};

/// The upper ends of the buckets of latency, in seconds.
const BUCKETS: [f64; 12] =
    [0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0];

/// How a request came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// GET or HEAD (RFC 6960, appendix A.1).
    Get,
    /// POST.
    Post,
    /// Any other; refused.
    Other,
}

/// Where the bytes of an answer came from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Source {
    /// Signed before, from memory.
    Cache,
    /// Signed for this request.
    Signed,
    /// Not signed: an error.
    #[default]
    Unsigned,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// With an OCSP response.
    Answered {
        /// Its kind.
        class: AnswerClass,
        /// Whose signer answered, as an index into the meter's authorities.
        authority: Option<usize>,
        /// Where the bytes came from.
        source: Source,
    },
    /// With a plain HTTP status: it did not get as far as OCSP.
    Refused(u16),
}

/// The words for [`Outcome`] in metrics and logs.
const CERTIFICATE_RESULTS: [&str; 4] = ["good", "revoked", "unknown", "several"];
const ERRORS: [&str; 5] =
    ["malformed_request", "internal_error", "try_later", "sig_required", "unauthorized"];
/// HTTP statuses that a request can be refused with; any other counts as the first.
const REFUSALS: [(u16, &str); 7] = [
    (400, "http_400"),
    (404, "http_404"),
    (405, "http_405"),
    (408, "http_408"),
    (413, "http_413"),
    (414, "http_414"),
    (415, "http_415"),
];
const METHODS: [&str; 3] = ["get", "post", "other"];
const SIGNED_SOURCES: [&str; 2] = ["cache", "signed"];
/// Counters a method without an authority has.
const PLAIN: usize = ERRORS.len() + REFUSALS.len();
/// Counters an authority has.
const PER_AUTHORITY: usize = 2 * CERTIFICATE_RESULTS.len() * SIGNED_SOURCES.len();

impl Method {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => METHODS[0],
            Self::Post => METHODS[1],
            Self::Other => METHODS[2],
        }
    }
}

impl Source {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cache => SIGNED_SOURCES[0],
            Self::Signed => SIGNED_SOURCES[1],
            Self::Unsigned => "none",
        }
    }
}

impl Outcome {
    /// The word for the result.
    #[must_use]
    pub fn result(&self) -> &'static str {
        match self {
            Self::Answered { class: AnswerClass::Error(error), .. } => ERRORS[error_index(*error)],
            Self::Answered { class, .. } => CERTIFICATE_RESULTS[class_index(*class)],
            Self::Refused(status) => REFUSALS[refusal_index(*status)].1,
        }
    }
}

fn error_index(error: ErrorStatus) -> usize {
    match error {
        ErrorStatus::MalformedRequest => 0,
        ErrorStatus::InternalError => 1,
        ErrorStatus::TryLater => 2,
        ErrorStatus::SigRequired => 3,
        ErrorStatus::Unauthorized => 4,
    }
}

fn class_index(class: AnswerClass) -> usize {
    match class {
        AnswerClass::Good => 0,
        AnswerClass::Revoked => 1,
        AnswerClass::Unknown => 2,
        AnswerClass::Several | AnswerClass::Error(_) => 3,
    }
}

fn refusal_index(status: u16) -> usize {
    REFUSALS.iter().position(|(code, _)| *code == status).unwrap_or(0)
}

/// All that the responder counts. Clones are the same.
#[derive(Clone, Debug)]
pub struct Meters {
    requests: IntCounterVec,
    latency: Histogram,
    tallies: Tallies,
    /// Signatures made.
    pub signed: IntCounter,
    /// Answers that could not be signed.
    pub sign_failed: IntCounter,
    /// Answers that were told to try later because too many waited.
    pub shed: IntCounter,
    /// Requests with a nonce that were over their source's rate.
    pub nonces_limited: IntCounter,
}

impl Meters {
    /// Registers what the responder counts.
    ///
    /// # Errors
    /// A name is taken: called twice.
    pub fn new(metrics: &Metrics) -> Result<Self, ServiceError> {
        let tallies = Tallies::default();
        let all = tallies.clone();
        metrics.on_scrape(move || all.flush());
        Ok(Self {
            tallies,
            requests: metrics.counters(
                "chancery_ocsp_requests_total",
                "Requests answered, by method, result, where the answer came from, and authority.",
                &["method", "result", "source", "authority"],
            )?,
            latency: metrics.durations(
                "chancery_ocsp_request_duration_seconds",
                "From a request that is read whole to its answer.",
                &BUCKETS,
            )?,
            signed: metrics.counter("chancery_ocsp_signatures_total", "Signatures made.")?,
            sign_failed: metrics
                .counter("chancery_ocsp_signatures_failed_total", "Answers that could not be signed.")?,
            shed: metrics.counter(
                "chancery_ocsp_shed_total",
                "Answers of tryLater because too many waited for a signature.",
            )?,
            nonces_limited: metrics.counter(
                "chancery_ocsp_nonces_limited_total",
                "Requests told to try later because their source wanted too many signatures.",
            )?,
        })
    }

    /// The recorder for these authorities, in the order of their indices.
    /// Counters of an authority that had one before go on.
    #[must_use]
    pub fn recorder(&self, authorities: &[(KeyIdentifier, String)]) -> Recorder {
        let counter = |method, result, source, authority| {
            self.requests.with_label_values(&[method, result, source, authority])
        };
        let mut counters = Vec::with_capacity(METHODS.len() * PLAIN + authorities.len() * PER_AUTHORITY);
        for method in METHODS {
            for result in ERRORS.into_iter().chain(REFUSALS.map(|(_, name)| name)) {
                counters.push(counter(method, result, Source::Unsigned.name(), ""));
            }
        }
        for (_, name) in authorities {
            for method in &METHODS[..2] {
                for result in CERTIFICATE_RESULTS {
                    for source in SIGNED_SOURCES {
                        counters.push(counter(method, result, source, name));
                    }
                }
            }
        }
        let tally = Arc::new(Tally::new(&counters, &self.latency));
        self.tallies.add(&tally);
        Recorder { tally, authorities: authorities.into() }
    }
}

/// How an authority is called in metrics and logs: its common name, or the
/// identifier of its key if it has none or shares it with one before.
#[must_use]
pub fn names<'a>(authorities: impl IntoIterator<Item = &'a Authority>) -> Vec<(KeyIdentifier, String)> {
    let mut names: Vec<(KeyIdentifier, String)> = Vec::new();
    for authority in authorities {
        let known = |name: &String| names.iter().any(|(_, other)| other == name);
        let name = authority.common_name().filter(|name| !known(name));
        names.push((authority.key_id, name.unwrap_or_else(|| authority.key_id.to_string())));
    }
    names
}

/// Shows what the desk and the signers know when somebody asks.
///
/// # Errors
/// A name is taken: called twice.
pub fn observe(metrics: &Metrics, shell: &Arc<ArcSwap<Shell>>) -> Result<(), ServiceError> {
    let cached = metrics.gauge("chancery_ocsp_cache_entries", "Signed answers in memory.")?;
    let queued = "Answers that wait for a signature or are being signed.";
    let queued = metrics.gauge("chancery_ocsp_sign_queue", queued)?;
    let not_after = "When the certificate of an authority's OCSP signer ends, in seconds since 1970.";
    let not_after = metrics.gauges("chancery_ocsp_signer_not_after_seconds", not_after, &["authority"])?;
    let shell = shell.clone();
    metrics.on_scrape(move || {
        let desk = shell.load().desk.clone();
        cached.set(as_float(desk.cached()));
        queued.set(as_float(desk.queued()));
        not_after.reset();
        for (authority, name) in desk.recorder().authorities() {
            if let Some(signer) = desk.signer(authority) {
                not_after.with_label_values(&[name.as_str()]).set(seconds(signer.not_after()));
            }
        }
    });
    Ok(())
}

/// Records requests about a fixed list of authorities.
#[derive(Clone, Debug)]
pub struct Recorder {
    tally: Arc<Tally>,
    authorities: Box<[(KeyIdentifier, String)]>,
}

impl Recorder {
    /// The index of an authority, for [`Outcome::Answered`].
    #[must_use]
    pub fn index_of(&self, authority: &KeyIdentifier) -> Option<usize> {
        self.authorities.iter().position(|(known, _)| known == authority)
    }

    /// The authorities, with their names.
    #[must_use]
    pub fn authorities(&self) -> &[(KeyIdentifier, String)] {
        &self.authorities
    }

    /// Records a request.
    pub fn record(&self, method: Method, outcome: Outcome, latency: Duration) {
        self.tally.add(Self::slot(method, outcome), latency);
    }

    /// Where the counter is.
    fn slot(method: Method, outcome: Outcome) -> usize {
        let method = method as usize;
        let plain = |at: usize| method * PLAIN + at;
        match outcome {
            Outcome::Refused(status) => plain(ERRORS.len() + refusal_index(status)),
            Outcome::Answered { class: AnswerClass::Error(error), .. } => plain(error_index(error)),
            Outcome::Answered { class, authority, source } => {
                let per_method = CERTIFICATE_RESULTS.len() * SIGNED_SOURCES.len();
                METHODS.len() * PLAIN
                    + authority.unwrap_or_default() * PER_AUTHORITY
                    + method.min(1) * per_method
                    + class_index(class) * SIGNED_SOURCES.len()
                    + usize::from(source == Source::Signed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ca_domain::Timestamp;
    use ca_service::Alarms;

    use super::*;

    #[test]
    fn every_outcome_has_its_own_line() {
        let metrics = Metrics::new("test", &Alarms::new(), Timestamp::EPOCH).unwrap();
        let meters = Meters::new(&metrics).unwrap();
        let names = [(KeyIdentifier([1; 20]), "One".to_owned()), (KeyIdentifier([2; 20]), "Two".to_owned())];
        let recorder = meters.recorder(&names);
        assert_eq!(recorder.index_of(&KeyIdentifier([2; 20])), Some(1));
        assert_eq!(recorder.index_of(&KeyIdentifier([3; 20])), None);
        let mut lines = Vec::new();
        for method in [Method::Get, Method::Post, Method::Other] {
            for class in [
                ErrorStatus::MalformedRequest,
                ErrorStatus::InternalError,
                ErrorStatus::TryLater,
                ErrorStatus::SigRequired,
                ErrorStatus::Unauthorized,
            ] {
                let class = AnswerClass::Error(class);
                let outcome = Outcome::Answered { class, authority: None, source: Source::Unsigned };
                lines.push((method, outcome, "none", ""));
            }
            for status in [400, 404, 405, 408, 413, 414, 415] {
                lines.push((method, Outcome::Refused(status), "none", ""));
            }
        }
        for method in [Method::Get, Method::Post] {
            for class in [AnswerClass::Good, AnswerClass::Revoked, AnswerClass::Unknown, AnswerClass::Several]
            {
                for source in [Source::Cache, Source::Signed] {
                    for (at, (_, name)) in names.iter().enumerate() {
                        let outcome = Outcome::Answered { class, authority: Some(at), source };
                        lines.push((method, outcome, source.name(), name));
                    }
                }
            }
        }
        for (times, (method, outcome, _, _)) in lines.iter().enumerate() {
            for _ in 0..=times {
                recorder.record(*method, *outcome, Duration::from_micros(30));
            }
        }
        // A recorder made anew goes on counting.
        let again = meters.recorder(&names[1..]);
        let outcome =
            Outcome::Answered { class: AnswerClass::Good, authority: Some(0), source: Source::Cache };
        again.record(Method::Get, outcome, Duration::from_micros(30));
        let text = metrics.text().unwrap();
        for (times, (method, outcome, source, authority)) in lines.iter().enumerate() {
            let (method, result) = (method.name(), outcome.result());
            let again = usize::from((method, result, *source, *authority) == ("get", "good", "cache", "Two"));
            let line = format!(
                "chancery_ocsp_requests_total{{authority=\"{authority}\",method=\"{method}\",result=\"{result}\",source=\"{source}\"}} {}\n",
                times + 1 + again
            );
            assert!(text.contains(&line), "{line}{text}");
        }
        let all = lines.len() * (lines.len() + 1) / 2 + 1;
        assert!(text.contains(&format!("chancery_ocsp_request_duration_seconds_count {all}\n")), "{text}");
        assert!(text.contains("bucket{le=\"0.000025\"} 0\n"), "{text}");
    }
}
