//! A line a request, for those that are chosen. It names nobody: no address and
//! no serial number unless the configuration asks for them.

use std::net::IpAddr;
use std::time::Duration;

use ca_service::request_log::{RequestLogConfig, Sampler};
use ca_status::ocsp::{AnswerClass, Budget, request};

use crate::metrics::{Method, Outcome, Recorder, Source};

/// Writes the lines.
#[derive(Debug)]
pub struct RequestLog {
    config: RequestLogConfig,
    sampler: Sampler,
}

/// What a line may say.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// How the request came.
    pub method: Method,
    /// How it ended.
    pub outcome: Outcome,
    /// From a request that is read whole to its answer.
    pub latency: Duration,
    /// Of the answer's body.
    pub bytes: u64,
    /// The DER request, if one was read.
    pub request: Option<&'a [u8]>,
    /// The client.
    pub client: IpAddr,
}

impl RequestLog {
    /// A log as `config` says.
    #[must_use]
    pub fn new(config: RequestLogConfig) -> Self {
        Self { sampler: Sampler::new(&config), config }
    }

    /// Writes a line if its request is chosen. `recorder` knows the authorities' names.
    pub fn note(&self, line: Line<'_>, recorder: &Recorder) {
        let is_error = matches!(
            line.outcome,
            Outcome::Refused(_) | Outcome::Answered { class: AnswerClass::Error(_), .. }
        );
        let Some(left_out) = self.sampler.choose(is_error) else { return };
        let (source, authority) = match line.outcome {
            Outcome::Answered { source, authority, .. } => (source, authority),
            Outcome::Refused(_) => (Source::Unsigned, None),
        };
        let authority = authority.and_then(|at| recorder.authorities().get(at)).map(|(_, name)| name);
        let serial = line.request.filter(|_| self.config.serial).and_then(serials);
        let client = self.config.client_address.shown(line.client);
        tracing::info!(
            method = line.method.name(),
            result = line.outcome.result(),
            source = source.name(),
            authority,
            latency_us = u64::try_from(line.latency.as_micros()).unwrap_or(u64::MAX),
            bytes = line.bytes,
            serial,
            client = client.map(tracing::field::display),
            left_out = (left_out > 0).then_some(left_out),
            "request"
        );
    }
}

/// The serial numbers that a request asks for, in hexadecimal.
fn serials(request: &[u8]) -> Option<String> {
    let parsed = request::parse(request, &Budget::default()).ok()?;
    let of = |id: &ca_status::ocsp::CertId| hex::encode(id.serial_number.as_bytes());
    Some(parsed.cert_ids.iter().map(of).collect::<Vec<_>>().join(","))
}
