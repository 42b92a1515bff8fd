//! A certificate to ask an authority's responder about.

use ca_domain::{Detail, Timestamp};
use der::Decode;
use x509_cert::Certificate;

use crate::authority::Authority;
use crate::certify::from_base64;
use crate::error::{AuthorityError, Result};
use crate::home::Home;

/// So many entries are looked at in one go, from the end.
const PIECE: u64 = 256;

/// The certificate that the authority issued last and that has not ended yet; none if there is none.
pub(super) fn newest(home: &Home, authority: &Authority, now: Timestamp) -> Result<Option<Certificate>> {
    let (reader, key_id) = (home.ledger()?, authority.key_id()?);
    let mut end = reader.checkpoint().size;
    while end > 0 {
        let start = end.saturating_sub(PIECE);
        let mut found = None;
        for item in reader.entries(start..end) {
            let (position, entry) = item?;
            if entry.kind.is_issuance()
                && entry.authority == key_id
                && entry.not_after.is_some_and(|end| end > now)
            {
                found = Some(position);
            }
        }
        if let Some(position) = found {
            let damaged = |what: String| {
                AuthorityError::Damaged(format!("entry {position}: {what}; run `ca ledger verify`"))
            };
            let detail = Detail::from_bytes(&reader.detail(position)?);
            let Detail::CertificateIssued { certificate, .. } = detail.map_err(|e| damaged(e.to_string()))?
            else {
                return Err(damaged("it holds no certificate".into()));
            };
            let certificate = Certificate::from_der(&from_base64(&certificate)?);
            return certificate.map(Some).map_err(AuthorityError::der("a certificate"));
        }
        end = start;
    }
    Ok(None)
}
