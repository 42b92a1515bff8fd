//! Validators and conditional requests (RFC 9110, sections 8.8 and 13).

use std::time::SystemTime;

use axum::http::{HeaderMap, header};
use ca_domain::Timestamp;
use sha2::{Digest, Sha256};

/// A strong entity tag: the content's SHA-256, quoted.
#[must_use]
pub fn entity_tag(content: &[u8]) -> String {
    // 128 bits are plenty to tell contents apart.
    format!("\"{}\"", hex::encode(&Sha256::digest(content)[..16]))
}

/// A time as HTTP writes it (RFC 9110, section 5.6.7).
#[must_use]
pub fn http_date(time: Timestamp) -> String {
    httpdate::fmt_http_date(SystemTime::from(time))
}

/// Whether the client has this content already, so that 304 is the answer.
///
/// If-None-Match is decisive where it is sent; If-Modified-Since counts only
/// without it (RFC 9110, section 13.2.2).
#[must_use]
pub fn is_unchanged(request: &HeaderMap, tag: &str, modified: Timestamp) -> bool {
    let mut tags = request.get_all(header::IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        return tags.filter_map(|value| value.to_str().ok()).any(|value| matches_tag(value, tag));
    }
    let Some(since) = request.get(header::IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    httpdate::parse_http_date(since).is_ok_and(|since| SystemTime::from(modified) <= since)
}

fn matches_tag(list: &str, tag: &str) -> bool {
    // Our tags have no comma. The weak comparison ignores the W/ prefix.
    list.split(',').map(str::trim).any(|item| item == "*" || item.trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn tags_decide_before_dates() {
        let at = Timestamp::parse("2026-11-23T08:00:00Z").unwrap();
        let tag = entity_tag(b"x");
        let date = http_date(at);
        assert_eq!(date, "Mon, 23 Nov 2026 08:00:00 GMT");
        let other = "\"other\"";
        let list = format!("{other}, W/{tag}");
        for (pairs, unchanged) in [
            (vec![], false),
            (vec![(header::IF_NONE_MATCH, tag.as_str())], true),
            (vec![(header::IF_NONE_MATCH, list.as_str())], true),
            (vec![(header::IF_NONE_MATCH, "*")], true),
            (vec![(header::IF_NONE_MATCH, other)], false),
            (vec![(header::IF_NONE_MATCH, other), (header::IF_MODIFIED_SINCE, date.as_str())], false),
            (vec![(header::IF_MODIFIED_SINCE, date.as_str())], true),
            (vec![(header::IF_MODIFIED_SINCE, "Mon, 23 Nov 2026 07:59:59 GMT")], false),
            (vec![(header::IF_MODIFIED_SINCE, "yesterday")], false),
        ] {
            assert_eq!(is_unchanged(&headers(&pairs), &tag, at), unchanged, "{pairs:?}");
        }
    }
}
