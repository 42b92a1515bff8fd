//! OCSP over HTTP (RFC 6960, appendix A; RFC 5019, sections 5 and 6).

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ca_domain::Timestamp;
use ca_service::Clock;
use ca_service::conditional::{http_date, is_unchanged};
use ca_status::ocsp::{AnswerClass, CacheInfo, ErrorStatus};

use crate::answer::{Desk, Keeping, Reply};
use crate::intake::{self, Unusable};
use crate::metrics::{self, Outcome, Source};

/// A request body that does not arrive in this time is not waited for.
const BODY_TIME: Duration = Duration::from_secs(10);
const RESPONSE_TYPE: HeaderValue = HeaderValue::from_static("application/ocsp-response");

/// What the handler needs. A new configuration puts another in its place.
#[derive(Clone)]
pub struct Shell {
    /// Answers requests.
    pub desk: Arc<Desk>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// The path under which requests come; empty for the root.
    pub path: Arc<str>,
    /// The longest request, in DER bytes.
    pub max_request_bytes: usize,
    /// How long HTTP caches may keep an answer, in seconds.
    pub max_http_age: u64,
}

/// Every path that is no other route's is an OCSP request: base64 has slashes.
pub fn routes(shell: Arc<ArcSwap<Shell>>) -> Router {
    Router::new().fallback(handle).with_state(shell)
}

async fn handle(State(current): State<Arc<ArcSwap<Shell>>>, request: Request) -> Response {
    // One request is answered by one configuration.
    let shell = current.load_full();
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let form = match method {
        Method::GET | Method::HEAD => metrics::Method::Get,
        Method::POST => metrics::Method::Post,
        _ => metrics::Method::Other,
    };
    let der = match method {
        // HEAD is GET without the body, which the server leaves out.
        Method::GET | Method::HEAD => from_get(&request, &shell),
        Method::POST => from_post(request, &shell).await,
        _ => Err(Refusal::Status(StatusCode::METHOD_NOT_ALLOWED)),
    };
    // How long a client takes to send its request says nothing about us.
    let begun = Instant::now();
    let (outcome, response) = match der {
        Ok(der) => {
            let reply = shell.desk.answer(&der, &*shell.clock).await;
            (reply.outcome(), respond(reply, &headers, shell.clock.now(), shell.max_http_age))
        }
        Err(refusal) => (refusal.outcome(), refusal.into_response()),
    };
    shell.desk.recorder().record(form, outcome, begun.elapsed());
    response
}

fn from_get(request: &Request, shell: &Shell) -> Result<Vec<u8>, Refusal> {
    if request.uri().query().is_some() {
        return Err(Refusal::Malformed);
    }
    intake::from_path(request.uri().path(), &shell.path, shell.max_request_bytes).map_err(Refusal::from)
}

async fn from_post(request: Request, shell: &Shell) -> Result<Vec<u8>, Refusal> {
    check_post(&request, shell)?;
    let body = axum::body::to_bytes(request.into_body(), shell.max_request_bytes);
    match tokio::time::timeout(BODY_TIME, body).await {
        Ok(Ok(body)) if body.is_empty() => Err(Refusal::Malformed),
        Ok(Ok(body)) => Ok(body.to_vec()),
        Ok(Err(error)) if is_length_limit(&error) => Err(Refusal::Status(StatusCode::PAYLOAD_TOO_LARGE)),
        Ok(Err(_)) => Err(Refusal::Status(StatusCode::BAD_REQUEST)),
        Err(_) => Err(Refusal::Status(StatusCode::REQUEST_TIMEOUT)),
    }
}

/// Refuses what need not be read.
fn check_post(request: &Request, shell: &Shell) -> Result<(), Refusal> {
    if !request.uri().path().starts_with(&*shell.path) {
        return Err(Refusal::Status(StatusCode::NOT_FOUND));
    }
    let text = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
    if !intake::is_request_type(text(header::CONTENT_TYPE)) {
        return Err(Refusal::Status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let length = text(header::CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
    if length.is_some_and(|length| length > shell.max_request_bytes as u64) {
        return Err(Refusal::Status(StatusCode::PAYLOAD_TOO_LARGE));
    }
    Ok(())
}

fn is_length_limit(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.to_string() == "length limit exceeded" {
            return true;
        }
        cause = error.source();
    }
    false
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
}

impl From<Unusable> for Refusal {
    fn from(why: Unusable) -> Self {
        match why {
            Unusable::Malformed => Self::Malformed,
            Unusable::TooLong => Self::Status(StatusCode::URI_TOO_LONG),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Malformed => return respond(Reply::malformed(), &HeaderMap::new(), Timestamp::EPOCH, 0),
            Self::Status(status) => status,
        };
        let mut response = (status, [(header::CACHE_CONTROL, "no-cache")]).into_response();
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
        }
        response
    }
}

/// The HTTP form of a reply (RFC 5019, section 6.2).
fn respond(reply: Reply, request: &HeaderMap, now: Timestamp, max_http_age: u64) -> Response {
    // Clients read an OCSP error only from a 200; a request that is none gets 400.
    let status = match reply.class {
        AnswerClass::Error(ErrorStatus::MalformedRequest) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, RESPONSE_TYPE);
    match reply.keeping {
        Keeping::Never => {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        Keeping::Recheck => {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        Keeping::Shared { info, tag } => {
            insert(&mut headers, header::ETAG, &tag);
            shared_headers(&mut headers, info, now, max_http_age);
            if is_unchanged(request, &tag, info.this_update) {
                headers.remove(header::CONTENT_TYPE);
                return (StatusCode::NOT_MODIFIED, headers, Body::empty()).into_response();
            }
        }
    }
    (status, headers, Body::from(reply.body)).into_response()
}

fn shared_headers(headers: &mut HeaderMap, info: CacheInfo, now: Timestamp, max_http_age: u64) {
    let age = max_http_age.min(info.max_age).min(info.next_update.seconds_since(now));
    // A serial never seen may be issued any moment: no cache keeps that for a day.
    let whole = info.next_update.seconds_since(info.this_update);
    let expires = if info.max_age < whole { now.saturating_add(age) } else { info.next_update };
    insert(headers, header::LAST_MODIFIED, &http_date(info.this_update));
    insert(headers, header::EXPIRES, &http_date(expires));
    let control = format!("max-age={age}, public, no-transform, must-revalidate");
    insert(headers, header::CACHE_CONTROL, &control);
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    // All our values are ASCII.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
