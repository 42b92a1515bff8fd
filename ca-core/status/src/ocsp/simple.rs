//! The request that nearly all clients send: one certificate, no extension, no
//! signature. It is recognised, not parsed: it equals octet for octet what the
//! encoder writes for this certificate, up to the serial at its end.
//!
//! Whatever differs in one octet is left to [`request::parse`], which alone decides
//! what is malformed. To parse takes five times as many instructions as all else
//! that an answer from memory needs of this crate.

use std::sync::Arc;

use ca_domain::SerialNumber;

use super::answer::CacheKey;
use super::{CertIdForm, IssuerIds, request};

/// Octets of a serial, with the zero in front that keeps it positive.
const CONTENT: std::ops::RangeInclusive<usize> = 1..=SerialNumber::MAX_LEN;

/// Recognises the simple requests about some issuers. Clones are the same.
#[derive(Clone, Debug)]
pub struct SimpleRequests {
    /// By the length of the request.
    starts: Arc<[Vec<Start>]>,
}

/// All of a request but the serial.
#[derive(Debug)]
struct Start {
    bytes: Vec<u8>,
    issuer: IssuerIds,
    form: CertIdForm,
}

impl SimpleRequests {
    /// Those about certificates of these issuers.
    #[must_use]
    pub fn about(issuers: &[IssuerIds]) -> Self {
        let mut starts: Vec<Vec<Start>> = Vec::new();
        for issuer in issuers {
            for (form, length) in CertIdForm::ALL.into_iter().flat_map(|form| CONTENT.map(move |n| (form, n)))
            {
                // What cannot be encoded is not recognised.
                let Some(mut bytes) = example(issuer, form, length) else { continue };
                let whole = bytes.len();
                bytes.truncate(whole - length);
                if starts.len() <= whole {
                    starts.resize_with(whole + 1, Vec::new);
                }
                if let Some(starts) = starts.get_mut(whole) {
                    starts.push(Start { bytes, issuer: issuer.clone(), form });
                }
            }
        }
        Self { starts: starts.into() }
    }

    /// The key under which the answer to a request is kept, if it is a simple one.
    /// Whether the certificate was issued is not looked at.
    #[must_use]
    pub fn key(&self, request: &[u8]) -> Option<CacheKey> {
        self.starts.get(request.len())?.iter().find_map(|start| {
            let serial = request.strip_prefix(start.bytes.as_slice())?;
            // DER: positive, and no octet more than needed.
            let canonical = match *serial {
                [0] => false,
                [0, second, ..] => second >= 0x80,
                [first, ..] => first < 0x80,
                [] => false,
            };
            let serial = canonical.then(|| SerialNumber::from_be_bytes(serial).ok()).flatten()?;
            Some(CacheKey { authority: start.issuer.authority(), serial, form: start.form })
        })
    }
}

/// A request about a serial of some length; any stands for all.
fn example(issuer: &IssuerIds, form: CertIdForm, length: usize) -> Option<Vec<u8>> {
    let serial = SerialNumber::from_be_bytes(&vec![1; length]).ok()?;
    let id = issuer.cert_id_in(form, &serial).ok()?;
    request::build(&[id], None).ok()
}
