//! Requests for a part of a file (RFC 9110, section 14).

use std::ops::Range;

use axum::http::{HeaderMap, header};

/// What a request asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part {
    /// These octets.
    Of(Range<u64>),
    /// Octets that there are none of.
    OutOfReach,
    /// All of it: there is no range, several, one that makes no sense, or one of something else.
    Whole,
}

/// The part of a file with this length and strong entity tag that a request asks for.
#[must_use]
pub fn requested(request: &HeaderMap, length: u64, tag: &str) -> Part {
    let text = |name| request.get(name).and_then(|value| value.to_str().ok());
    let mut ranges = request.get_all(header::RANGE).iter();
    let (Some(range), None) = (ranges.next(), ranges.next()) else { return Part::Whole };
    // A date cannot tell two CRLs of one second apart, so a tag it must be.
    if request.contains_key(header::IF_RANGE) && text(header::IF_RANGE) != Some(tag) {
        return Part::Whole;
    }
    range.to_str().ok().and_then(|range| parse(range, length)).unwrap_or(Part::Whole)
}

fn parse(range: &str, length: u64) -> Option<Part> {
    let (unit, spec) = range.split_once('=')?;
    let (first, last) = spec.trim().split_once('-')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let range = if first.is_empty() {
        let count = number(last)?;
        length.saturating_sub(count)..length
    } else {
        let first = number(first)?;
        let end = if last.is_empty() { length } else { number(last)?.saturating_add(1) };
        if end <= first && !last.is_empty() {
            return None;
        }
        first..end.min(length)
    };
    Some(if range.is_empty() { Part::OutOfReach } else { Part::Of(range) })
}

/// Digits alone; what is too long for a number is beyond any file.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(range: &str, if_range: Option<&str>) -> Part {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        if let Some(tag) = if_range {
            headers.insert(header::IF_RANGE, tag.parse().unwrap());
        }
        requested(&headers, 100, "\"a\"")
    }

    #[test]
    fn parts() {
        for (range, expected) in [
            ("bytes=0-0", Part::Of(0..1)),
            ("bytes=10-", Part::Of(10..100)),
            ("BYTES=10-19", Part::Of(10..20)),
            ("bytes=90-1000", Part::Of(90..100)),
            ("bytes=99999999999999999999-", Part::OutOfReach),
            ("bytes=90-99999999999999999999", Part::Of(90..100)),
            ("bytes=-1", Part::Of(99..100)),
            ("bytes=-1000", Part::Of(0..100)),
            ("bytes=-0", Part::OutOfReach),
            ("bytes=100-", Part::OutOfReach),
            ("bytes=100-200", Part::OutOfReach),
            ("bytes=20-10", Part::Whole),
            ("bytes=0-1,5-6", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("octets=0-1", Part::Whole),
            ("bytes", Part::Whole),
        ] {
            assert_eq!(part(range, None), expected, "{range}");
        }
        assert_eq!(part("bytes=0-0", Some("\"a\"")), Part::Of(0..1));
        for other in ["\"b\"", "W/\"a\"", "Fri, 20 Nov 2026 08:00:00 GMT"] {
            assert_eq!(part("bytes=0-0", Some(other)), Part::Whole, "{other}");
        }
        assert_eq!(requested(&HeaderMap::new(), 100, "\"a\""), Part::Whole);
        let twice = [(header::RANGE, "bytes=0-1"), (header::RANGE, "bytes=2-3")];
        let mut headers = HeaderMap::new();
        for (name, value) in twice {
            headers.append(name, value.parse().unwrap());
        }
        assert_eq!(requested(&headers, 100, "\"a\""), Part::Whole);
        assert_eq!(
            requested(&HeaderMap::from_iter([(header::RANGE, "bytes=0-".parse().unwrap())]), 0, "\"a\""),
            Part::OutOfReach
        );
    }
}
