//! The requests that nearly all clients send: one certificate, no signature, and no
//! extension or a nonce. They are recognised, not parsed: they equal octet for octet
//! what the encoder writes for this certificate, but for the serial and the nonce.
//!
//! Whatever differs in one octet is left to [`request::parse`], which alone decides
//! what is malformed. To parse takes five times as many instructions as all else
//! that an answer from memory needs of this crate, and a fifteenth of what it takes
//! to sign one.

use std::sync::Arc;

use ca_domain::SerialNumber;
use der::Encode;

use super::answer::CacheKey;
use super::{CertIdForm, IssuerIds, RequestView, request};

/// Octets of a serial, with the zero in front that keeps it positive.
const SERIALS: std::ops::RangeInclusive<usize> = 1..=SerialNumber::MAX_LEN;
/// Octets of a nonce; none without one. Libraries send 16 or 32 (RFC 9654, section 2.1).
const NONCES: [usize; 4] = [0, 8, 16, 32];

/// Recognises the simple requests about some issuers. Clones are the same.
#[derive(Clone, Debug)]
pub struct SimpleRequests {
    /// By the length of the request.
    forms: Arc<[Vec<Form>]>,
}

/// All of a request but the serial and the nonce.
#[derive(Debug)]
struct Form {
    before_serial: Vec<u8>,
    before_nonce: Vec<u8>,
    nonce: usize,
    issuer: IssuerIds,
    id: CertIdForm,
}

/// What a simple request asks for. Whether the certificate was issued is not looked at.
#[derive(Clone, Copy, Debug)]
pub struct SimpleRequest<'a> {
    issuer: &'a IssuerIds,
    /// The key under which an answer without a nonce is kept.
    pub key: CacheKey,
    /// The nonce's octets.
    pub nonce: Option<&'a [u8]>,
}

impl SimpleRequest<'_> {
    /// The same as [`request::parse`] gives.
    #[must_use]
    pub fn view(&self) -> Option<RequestView> {
        let id = self.issuer.cert_id_in(self.key.form, &self.key.serial).ok()?;
        Some(RequestView { cert_ids: vec![id], nonce: self.nonce.map(<[u8]>::to_vec), signed: false })
    }
}

impl SimpleRequests {
    /// Those about certificates of these issuers.
    #[must_use]
    pub fn about(issuers: &[IssuerIds]) -> Self {
        let mut forms: Vec<Vec<Form>> = Vec::new();
        for issuer in issuers {
            for id in CertIdForm::ALL {
                for (serial, nonce) in SERIALS.flat_map(|serial| NONCES.map(|nonce| (serial, nonce))) {
                    // What cannot be encoded is not recognised.
                    let Some(form) = Form::new(issuer, id, serial, nonce) else { continue };
                    let whole = form.before_serial.len() + serial + form.before_nonce.len() + nonce;
                    if forms.len() <= whole {
                        forms.resize_with(whole + 1, Vec::new);
                    }
                    if let Some(forms) = forms.get_mut(whole) {
                        forms.push(form);
                    }
                }
            }
        }
        // Those without a nonce are the most: they are tried first.
        forms.iter_mut().for_each(|forms| forms.sort_by_key(|form| form.nonce));
        Self { forms: forms.into() }
    }

    /// What a request asks for, if it is a simple one.
    #[must_use]
    pub fn read<'a>(&'a self, request: &'a [u8]) -> Option<SimpleRequest<'a>> {
        self.forms.get(request.len())?.iter().find_map(|form| form.read(request))
    }
}

impl Form {
    /// From a request about a serial of some length; any stands for all.
    fn new(issuer: &IssuerIds, form: CertIdForm, serial: usize, nonce: usize) -> Option<Self> {
        let number = SerialNumber::from_be_bytes(&vec![1; serial]).ok()?;
        let id = issuer.cert_id_in(form, &number).ok()?;
        let octets = vec![1; nonce];
        let whole =
            request::build(std::slice::from_ref(&id), (nonce > 0).then_some(octets.as_slice())).ok()?;
        let id = id.to_der().ok()?;
        // The serial ends the CertID, the nonce the request.
        let serial_end = whole.windows(id.len()).position(|part| part == id)? + id.len();
        Some(Self {
            before_serial: whole.get(..serial_end.checked_sub(serial)?)?.to_vec(),
            before_nonce: whole.get(serial_end..whole.len().checked_sub(nonce)?)?.to_vec(),
            nonce,
            issuer: issuer.clone(),
            id: form,
        })
    }

    /// A request of this length.
    fn read<'a>(&'a self, request: &'a [u8]) -> Option<SimpleRequest<'a>> {
        let rest = request.strip_prefix(self.before_serial.as_slice())?;
        let (rest, nonce) = rest.split_at_checked(rest.len().checked_sub(self.nonce)?)?;
        let serial = rest.strip_suffix(self.before_nonce.as_slice())?;
        // DER: positive, and no octet more than needed.
        let canonical = match *serial {
            [0] => false,
            [0, second, ..] => second >= 0x80,
            [first, ..] => first < 0x80,
            [] => false,
        };
        let serial = canonical.then(|| SerialNumber::from_be_bytes(serial).ok()).flatten()?;
        let key = CacheKey { authority: self.issuer.authority(), serial, form: self.id };
        Some(SimpleRequest { issuer: &self.issuer, key, nonce: (!nonce.is_empty()).then_some(nonce) })
    }
}
