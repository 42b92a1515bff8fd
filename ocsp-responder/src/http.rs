//! OCSP over HTTP (RFC 6960, appendix A; RFC 5019, sections 5 and 6).
//!
//! Requests are answered on hyper's own types: for an answer from memory, a
//! router and its boxed bodies cost more than the answer. What is no OCSP goes to
//! the router.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use ca_domain::Timestamp;
use ca_service::conditional::{http_date, is_unchanged};
use ca_service::{Clock, Handler, Peer};
use ca_status::ocsp::{AnswerClass, ErrorStatus};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body as _, Incoming};

use crate::answer::{Asker, Desk, Reply};
use crate::intake::{self, Unusable};
use crate::kept::Given;
use crate::metrics::{self, Outcome, Source};
use crate::request_log::{Line, RequestLog};

/// A request body that does not arrive in this time is not waited for.
const BODY_TIME: Duration = Duration::from_secs(10);
const RESPONSE_TYPE: HeaderValue = HeaderValue::from_static("application/ocsp-response");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// A response of the shell or of the router beside it.
type Answered = Response<Either<Full<Bytes>, Body>>;

/// What requests are answered by. A new configuration puts another in its place.
pub struct Shell {
    /// Answers requests.
    pub desk: Arc<Desk>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// The path under which requests come; empty for the root.
    pub path: Box<str>,
    /// The longest request, in DER bytes.
    pub max_request_bytes: usize,
    /// How long HTTP caches may keep an answer.
    pub max_http_age: HttpAge,
    /// Writes a line for some requests.
    pub log: Option<RequestLog>,
}

/// How long HTTP caches may keep an answer at most.
#[derive(Clone, Debug)]
pub struct HttpAge {
    seconds: u64,
    /// The header that says it: that of nearly all answers.
    control: HeaderValue,
}

impl HttpAge {
    /// At most so many seconds.
    #[must_use]
    pub fn new(seconds: u64) -> Self {
        Self { seconds, control: lasting(seconds) }
    }

    fn control(&self, seconds: u64) -> HeaderValue {
        if seconds == self.seconds {
            self.control.clone()
        } else {
            HeaderValue::try_from(control(seconds)).unwrap_or(NO_CACHE)
        }
    }
}

fn control(seconds: u64) -> String {
    format!("max-age={seconds}, public, no-transform, must-revalidate")
}

/// A value whose clones nobody counts: processors would take turns at one count. Each
/// is made once, and there is one for a configuration.
fn lasting(seconds: u64) -> HeaderValue {
    static MADE: Mutex<BTreeMap<u64, &str>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let text = made.entry(seconds).or_insert_with(|| control(seconds).leak());
    HeaderValue::from_static(text)
}

/// The paths that are no requests. The base64 of a request begins with M.
const ROUTED: [&str; 2] = ["/healthz", "/readyz"];

/// Takes requests to the shell that is there when they come.
#[derive(Clone)]
pub struct Front {
    current: Arc<ArcSwap<Shell>>,
    router: Router,
}

impl Front {
    /// Answers by `current`, and with `router` what is asked of the daemon itself.
    #[must_use]
    pub const fn new(current: Arc<ArcSwap<Shell>>, router: Router) -> Self {
        Self { current, router }
    }
}

impl Handler for Front {
    type Body = Either<Full<Bytes>, Body>;

    fn empty() -> Self::Body {
        Either::Left(Full::default())
    }

    async fn handle(&self, request: Request<Incoming>, peer: &Peer) -> Answered {
        if ROUTED.contains(&request.uri().path()) {
            return Handler::handle(&self.router, request, peer).await.map(Either::Right);
        }
        // One request is answered by one configuration.
        let shell = self.current.load();
        let (head, body) = request.into_parts();
        let form = match head.method {
            Method::GET | Method::HEAD => metrics::Method::Get,
            Method::POST => metrics::Method::Post,
            _ => metrics::Method::Other,
        };
        let der = match form {
            // HEAD is GET without the body, which the server leaves out.
            metrics::Method::Get => shell.read_get(&head.uri),
            metrics::Method::Post => shell.read_post(&head, body, peer).await,
            metrics::Method::Other => Err(Refusal::Status(StatusCode::METHOD_NOT_ALLOWED)),
        };
        // How long a client takes to send its request says nothing about us.
        let begun = Instant::now();
        let (outcome, response) = match &der {
            Ok(der) => {
                let asker = Asker { address: peer.address().ip(), now: shell.clock.now(), instant: begun };
                let reply = shell.desk.answer(der, asker).await;
                // Validators of a client are for what it fetches (RFC 9110, section 13.1.2).
                let validators = (form == metrics::Method::Get).then_some(&head.headers);
                (reply.outcome(), respond(reply, validators, asker.now, &shell.max_http_age))
            }
            Err(refusal) => (refusal.outcome(), refusal.response()),
        };
        let latency = begun.elapsed();
        shell.desk.recorder().record(form, outcome, latency);
        if let Some(log) = &shell.log {
            let bytes = response.body().size_hint().exact().unwrap_or_default();
            let (request, client) = (der.as_deref().ok(), peer.address().ip());
            let line = Line { method: form, outcome, latency, bytes, request, client };
            log.note(line, shell.desk.recorder());
        }
        response.map(Either::Left)
    }
}

impl Shell {
    fn read_get(&self, uri: &axum::http::Uri) -> Result<Bytes, Refusal> {
        if uri.query().is_some() {
            return Err(Refusal::Malformed);
        }
        Ok(intake::from_path(uri.path(), &self.path, self.max_request_bytes)?.into())
    }

    async fn read_post(
        &self,
        head: &axum::http::request::Parts,
        body: Incoming,
        peer: &Peer,
    ) -> Result<Bytes, Refusal> {
        self.check_post(head, &body)?;
        match peer.within(BODY_TIME, read_whole(body, self.max_request_bytes)).await {
            Some(Ok(body)) if body.is_empty() => Err(Refusal::Malformed),
            Some(read) => read,
            None => Err(Refusal::Status(StatusCode::REQUEST_TIMEOUT)),
        }
    }

    /// Refuses what need not be read.
    fn check_post(&self, head: &axum::http::request::Parts, body: &Incoming) -> Result<(), Refusal> {
        if !head.uri.path().starts_with(&*self.path) {
            return Err(Refusal::Status(StatusCode::NOT_FOUND));
        }
        let text = |name| head.headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        if !intake::is_request_type(text(header::CONTENT_TYPE)) {
            return Err(Refusal::Status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        // The length as stated, if it is.
        if body.size_hint().lower() > self.max_request_bytes as u64 {
            return Err(Refusal::Status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        Ok(())
    }
}

/// A body of `limit` bytes at most. Nearly all come in one piece, which is not copied.
async fn read_whole(mut body: Incoming, limit: usize) -> Result<Bytes, Refusal> {
    let (mut first, mut all) = (Bytes::new(), Vec::new());
    // When all of the stated length is there, nothing more is waited for.
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        let frame = frame.map_err(|_| Refusal::Status(StatusCode::BAD_REQUEST))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len().max(all.len()) + data.len() > limit {
            return Err(Refusal::Status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        if first.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.into() })
}

/// Why a request does not come before the desk.
enum Refusal {
    /// It is no OCSP request; clients that read it get the OCSP error.
    Malformed,
    /// It is refused below OCSP.
    Status(StatusCode),
}

impl Refusal {
    /// What to record of it.
    fn outcome(&self) -> Outcome {
        match self {
            Self::Malformed => Outcome::Answered {
                class: AnswerClass::Error(ErrorStatus::MalformedRequest),
                authority: None,
                source: Source::Unsigned,
            },
            Self::Status(status) => Outcome::Refused(status.as_u16()),
        }
    }

    fn response(&self) -> Response<Full<Bytes>> {
        let status = match self {
            Self::Malformed => return error(ErrorStatus::MalformedRequest),
            Self::Status(status) => *status,
        };
        let mut response = Response::new(Full::default());
        *response.status_mut() = status;
        response.headers_mut().insert(header::CACHE_CONTROL, NO_CACHE);
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
        }
        response
    }
}

impl From<Unusable> for Refusal {
    fn from(why: Unusable) -> Self {
        match why {
            Unusable::Malformed => Self::Malformed,
            Unusable::TooLong => Self::Status(StatusCode::URI_TOO_LONG),
        }
    }
}

/// The HTTP form of a reply (RFC 5019, section 6.2).
fn respond(
    reply: Reply,
    request: Option<&HeaderMap>,
    now: Timestamp,
    limit: &HttpAge,
) -> Response<Full<Bytes>> {
    match reply {
        Reply::Shared { given, .. } => shared(given, request, now, limit),
        Reply::Own { body, .. } => message(body, NO_STORE),
        Reply::Error(status) => error(status),
    }
}

/// An unsigned error. Clients read one only from a 200; a request that is none gets 400.
fn error(status: ErrorStatus) -> Response<Full<Bytes>> {
    let mut response = message(Bytes::from_static(status.der()), NO_CACHE);
    if status == ErrorStatus::MalformedRequest {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    response
}

fn message(body: Bytes, cache_control: HeaderValue) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    // All that come, at once.
    headers.reserve(8);
    headers.insert(header::CONTENT_TYPE, RESPONSE_TYPE);
    headers.insert(header::CACHE_CONTROL, cache_control);
    response
}

fn shared(
    given: Given,
    request: Option<&HeaderMap>,
    now: Timestamp,
    limit: &HttpAge,
) -> Response<Full<Bytes>> {
    let info = given.info;
    // Two answers may be of one second, so that their dates are the same (RFC 9110, section
    // 8.8.2.2): by date alone, only what is older than the client's counts as unchanged.
    let modified = info.this_update.saturating_add(1);
    let tag = || given.tag.to_str().unwrap_or_default();
    let unchanged = request.is_some_and(|request| is_unchanged(request, tag(), modified));
    let age = limit.seconds.min(info.max_age).min(info.next_update.seconds_since(now));
    // A serial never seen may be issued any moment: no cache keeps that for a day.
    let whole = info.next_update.seconds_since(info.this_update);
    let expires = if info.max_age < whole {
        HeaderValue::try_from(http_date(now.saturating_add(age))).unwrap_or(given.modified.clone())
    } else {
        given.expires
    };
    let mut response = message(given.body, limit.control(age));
    let headers = response.headers_mut();
    headers.insert(header::ETAG, given.tag);
    headers.insert(header::LAST_MODIFIED, given.modified);
    headers.insert(header::EXPIRES, expires);
    if unchanged {
        headers.remove(header::CONTENT_TYPE);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Full::default();
    }
    response
}
