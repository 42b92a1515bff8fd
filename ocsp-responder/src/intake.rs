//! Getting the request's DER out of an HTTP request (RFC 6960, appendix A.1).

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Padding may be missing: some clients strip it from the path.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why an HTTP request carries no OCSP request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unusable {
    /// Not the encoding that a path carries, or nothing at all.
    Malformed,
    /// Longer than allowed.
    TooLong,
}

/// Decodes the base64 request in the raw path of a GET, below `prefix`.
///
/// Lenient where clients differ: one or more slashes before the request, any
/// octet percent-encoded or not, the URL-safe alphabet, a space where a proxy
/// took a plus for one, missing padding.
///
/// # Errors
/// [`Unusable`] for anything else.
pub fn from_path(raw: &str, prefix: &str, limit: usize) -> Result<Vec<u8>, Unusable> {
    let rest = raw.strip_prefix(prefix).ok_or(Unusable::Malformed)?;
    // A request is a SEQUENCE, so its base64 begins with M: a slash is never its own.
    let encoded = rest.strip_prefix('/').ok_or(Unusable::Malformed)?.trim_start_matches('/');
    // Every octet percent-encoded makes three characters of one of four for three.
    if encoded.len() > limit.saturating_mul(4) + 12 {
        return Err(Unusable::TooLong);
    }
    let text = percent_decode(encoded.as_bytes()).ok_or(Unusable::Malformed)?;
    let start = text.iter().position(|b| *b != b'/').ok_or(Unusable::Malformed)?;
    let der = BASE64.decode(&text[start..]).map_err(|_| Unusable::Malformed)?;
    match der.len() {
        0 => Err(Unusable::Malformed),
        length if length > limit => Err(Unusable::TooLong),
        _ => Ok(der),
    }
}

fn percent_decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        };
        out.push(match byte {
            b' ' | b'-' => b'+',
            b'_' => b'/',
            other => other,
        });
    }
    Some(out)
}

/// Whether a POST says that its body is an OCSP request; no content type counts as yes.
#[must_use]
pub fn is_request_type(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return true };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    // Old clients leave the type of their HTTP library.
    ["application/ocsp-request", "application/octet-stream", "application/x-www-form-urlencoded"]
        .iter()
        .any(|known| essence.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD as ENCODER;

    use super::*;

    /// Bytes whose base64 has a plus, a slash and padding.
    const DER: &[u8] = &[0x30, 0x03, 0xff, 0xfb, 0xef, 0xbe, 0xff, 0xff, 0xff, 0xfb];

    #[test]
    fn clients_encode_in_many_ways() {
        let plain = ENCODER.encode(DER);
        assert!(plain.contains('+') && plain.contains('/') && plain.ends_with('='), "{plain}");
        let all: String = plain.bytes().map(|b| format!("%{b:02x}")).collect();
        let some = plain.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
        for (path, prefix) in [
            (format!("/{plain}"), ""),
            (format!("//{plain}"), ""),
            (format!("/%2F{plain}"), ""),
            (format!("/{some}"), ""),
            (format!("/{all}"), ""),
            (format!("/{}", plain.trim_end_matches('=')), ""),
            (format!("/{}", plain.replace('+', "-").replace('/', "_")), ""),
            (format!("/{}", plain.replace('+', "%20")), ""),
            (format!("/ocsp/{plain}"), "/ocsp"),
            (format!("/ocsp//{some}"), "/ocsp"),
        ] {
            assert_eq!(from_path(&path, prefix, 100).as_deref(), Ok(DER), "{path}");
        }
    }

    #[test]
    fn the_rest_is_malformed() {
        let bad = ["", "/", "//", "/%", "/%%", "/%ZZ", "/%4", "/==MAMB", "/MA MB*", "/%2F", "/M", "/é", "x"];
        for path in bad {
            assert_eq!(from_path(path, "", 100), Err(Unusable::Malformed), "{path}");
        }
        assert_eq!(from_path("/other/MAMKAQE=", "/ocsp", 100), Err(Unusable::Malformed));
        assert_eq!(from_path("/ocspMAMKAQE=", "/ocsp", 100), Err(Unusable::Malformed));
    }

    #[test]
    fn length_is_limited() {
        let path = format!("/{}", ENCODER.encode([0x30; 101]));
        assert_eq!(from_path(&path, "", 100), Err(Unusable::TooLong));
        assert!(from_path(&path, "", 101).is_ok());
        assert_eq!(from_path(&format!("/{}", "M".repeat(10_000)), "", 100), Err(Unusable::TooLong));
    }

    #[test]
    fn content_types() {
        for good in [None, Some("application/ocsp-request"), Some("Application/OCSP-Request; charset=x")] {
            assert!(is_request_type(good), "{good:?}");
        }
        assert!(!is_request_type(Some("text/html")));
    }
}
