//! Serving the catalogue (RFC 5280, section 4.2.1.13; RFC 2585).

use std::ops::Range;
use std::path::Path;
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
use crate::ranges::{Part, requested};

/// Certificates hardly ever change.
const CERTIFICATE_AGE: u64 = 86_400;
/// For so long caches may use one while we cannot be reached.
const CERTIFICATE_SPARE: u64 = 604_800;
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
    /// Where packed files are, without names.
    pub scratch: Arc<Path>,
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
        Some(asset) => respond(&asset, request, shell),
        None => (StatusCode::NOT_FOUND, [(header::CACHE_CONTROL, "no-cache")]).into_response(),
    }
}

fn respond(asset: &Asset, request: &Request, shell: &Shell) -> Response {
    let fields = request.headers();
    // A part is one of the form that the client has the beginning of.
    let packed_tag = format!("{}-gzip\"", asset.tag.trim_end_matches('"'));
    let resumes = |tag: &str| fields.get(header::IF_RANGE).is_some_and(|value| value == tag);
    let wants_packed = takes_gzip(fields) && (!fields.contains_key(header::RANGE) || resumes(&packed_tag));
    let packed = wants_packed.then(|| asset.packed.get(&asset.content, &shell.scratch)).flatten();
    let is_packed = packed.is_some();
    let (content, tag) = match packed {
        // Who has it unpacked already need not get it packed.
        Some(packed) if !has_tag(fields, asset) => (packed, packed_tag),
        _ => (asset.content.clone(), asset.tag.clone()),
    };
    let is_packed = is_packed && tag != asset.tag;

    let mut headers = HeaderMap::new();
    let mut set = |name, value: &str| {
        // All our values are ASCII.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::ETAG, &tag);
    set(header::LAST_MODIFIED, &http_date(asset.modified));
    set(header::CACHE_CONTROL, &cache_control(asset, shell.clock.now(), shell.max_http_age));
    set(header::VARY, "accept-encoding");
    if is_unchanged(fields, &tag, asset.modified) {
        return (StatusCode::NOT_MODIFIED, headers, Body::empty()).into_response();
    }
    set(header::ACCEPT_RANGES, "bytes");
    let length = content.length();
    // A range is defined for GET alone (RFC 9110, section 14.2).
    let part = if request.method() == Method::GET { requested(fields, length, &tag) } else { Part::Whole };
    let (status, range) = match part {
        Part::Whole => (StatusCode::OK, 0..length),
        Part::Of(range) => {
            set(header::CONTENT_RANGE, &format!("bytes {}-{}/{length}", range.start, range.end - 1));
            (StatusCode::PARTIAL_CONTENT, range)
        }
        Part::OutOfReach => {
            set(header::CONTENT_RANGE, &format!("bytes */{length}"));
            return (StatusCode::RANGE_NOT_SATISFIABLE, headers, Body::empty()).into_response();
        }
    };
    set(header::CONTENT_TYPE, asset.content_type);
    if is_packed {
        set(header::CONTENT_ENCODING, "gzip");
    }
    (status, headers, body(content, range)).into_response()
}

fn body(content: Content, range: Range<u64>) -> Body {
    match content {
        Content::Memory(octets) => {
            // What is in memory has a length that fits.
            let at = |position: u64| usize::try_from(position).unwrap_or(octets.len());
            Body::from(octets.slice(at(range.start)..at(range.end)))
        }
        Content::File { file, .. } => Body::new(FileBody::new(file, range)),
    }
}

/// How long caches may keep it, and how long they may use it after that while nobody
/// answers here: never past its end (RFC 5861, section 4).
fn cache_control(asset: &Asset, now: Timestamp, max_http_age: u64) -> String {
    let age = match asset.fresh_until {
        None => CERTIFICATE_AGE,
        Some(until) => until.seconds_since(now).max(OVERDUE_AGE).min(max_http_age),
    };
    let spare = match asset.valid_until {
        None if asset.fresh_until.is_none() => CERTIFICATE_SPARE,
        None => 0,
        Some(until) => until.seconds_since(now).saturating_sub(age),
    };
    let then = if spare == 0 { "must-revalidate".to_owned() } else { format!("stale-if-error={spare}") };
    format!("public, max-age={age}, no-transform, {then}")
}

/// Whether If-None-Match names the form that is not packed.
fn has_tag(request: &HeaderMap, asset: &Asset) -> bool {
    request.contains_key(header::IF_NONE_MATCH) && is_unchanged(request, &asset.tag, asset.modified)
}

/// Whether the client takes gzip (RFC 9110, section 12.5.3): it is named, or `*` is, and not with weight 0.
fn takes_gzip(request: &HeaderMap) -> bool {
    let values = request.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let (mut named, mut any) = (None, None);
    for item in values.flat_map(|value| value.split(',')) {
        let (coding, parameters) = item.split_once(';').unwrap_or((item, ""));
        let weight = parameters.trim().to_ascii_lowercase();
        let weight = weight.strip_prefix("q=").map_or(Some(1.0), |text| text.trim().parse::<f32>().ok());
        let is_taken = weight.is_some_and(|weight| weight > 0.0);
        match coding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => named = Some(is_taken),
            "*" => any = Some(is_taken),
            _ => {}
        }
    }
    named.or(any).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_gzip() {
        for (value, taken) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("br, *", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000, *", false),
            ("*;q=0", false),
            ("gzip;q=x", false),
            ("identity, br", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, value.parse().unwrap())]);
            assert_eq!(takes_gzip(&headers), taken, "{value}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
