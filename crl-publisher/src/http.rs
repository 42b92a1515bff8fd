//! Serving the catalogue (RFC 5280, section 4.2.1.13; RFC 2585).

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ca_domain::Timestamp;
use ca_service::Clock;
use ca_service::conditional::{http_date, is_unchanged};

use crate::catalogue::{Asset, Catalogue, Content};
use crate::file_body::FileBody;
use crate::metrics::Meters;

/// Certificates hardly ever change.
const CERTIFICATE_AGE: u64 = 86_400;
/// When a CRL is overdue caches ask again after this, not all the time.
const OVERDUE_AGE: u64 = 60;

/// What the handler needs.
#[derive(Clone)]
pub struct Shell {
    /// The served files.
    pub catalogue: Arc<Catalogue>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// How long HTTP caches may keep a CRL, in seconds.
    pub max_http_age: u64,
    /// Counts requests.
    pub meters: Meters,
}

/// Every path is looked up in the catalogue.
pub fn routes(shell: Shell) -> Router {
    Router::new().fallback(handle).with_state(shell)
}

async fn handle(State(shell): State<Shell>, request: Request) -> Response {
    let response = answer(&shell, &request);
    shell.meters.record(response.status());
    response
}

fn answer(shell: &Shell, request: &Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let allow = [(header::ALLOW, "GET, HEAD")];
        return (StatusCode::METHOD_NOT_ALLOWED, allow).into_response();
    }
    match shell.catalogue.find(request.uri().path()) {
        Some(asset) => respond(&asset, request.headers(), shell.clock.now(), shell.max_http_age),
        None => (StatusCode::NOT_FOUND, [(header::CACHE_CONTROL, "no-cache")]).into_response(),
    }
}

fn respond(asset: &Asset, request: &HeaderMap, now: Timestamp, max_http_age: u64) -> Response {
    let age = match asset.fresh_until {
        None => CERTIFICATE_AGE,
        Some(until) => until.seconds_since(now).max(OVERDUE_AGE).min(max_http_age),
    };
    let mut headers = HeaderMap::new();
    let modified = http_date(asset.modified);
    let control = format!("public, max-age={age}, no-transform, must-revalidate");
    let fields =
        [(header::ETAG, &asset.tag), (header::LAST_MODIFIED, &modified), (header::CACHE_CONTROL, &control)];
    for (name, value) in fields {
        // All our values are ASCII.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    if is_unchanged(request, &asset.tag, asset.modified) {
        return (StatusCode::NOT_MODIFIED, headers, Body::empty()).into_response();
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    let body = match &asset.content {
        Content::Memory(octets) => Body::from(octets.clone()),
        Content::File { file, length } => Body::new(FileBody::new(file.clone(), 0..*length)),
    };
    (StatusCode::OK, headers, body).into_response()
}
