//! Answers that were signed before they are asked for, at the ceremony of an
//! offline root for example: their list, and what makes one of them acceptable.

use ca_domain::{SerialNumber, Timestamp};
use serde::{Deserialize, Serialize};
use x509_cert::Certificate;

use super::{CertHash, IssuerIds, OcspView, ViewState};
use crate::StatusError;

/// The name of the list in the directory of the answers.
pub const MANIFEST: &str = "manifest.json";

/// The list of the answers in a directory. It is not signed: it says what must
/// be there, the answers themselves say what is true.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// The format; 1.
    pub version: u32,
    /// The authority's key identifier, hexadecimal.
    pub authority: String,
    /// Since when the answers are known to be right.
    pub this_update: String,
    /// Until when they may be used.
    pub next_update: String,
    /// The answers.
    pub responses: Vec<ManifestEntry>,
}

/// One answer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ManifestEntry {
    /// Its file in the same directory: a DER OCSPResponse.
    pub file: String,
    /// The certificate's serial number, hexadecimal.
    pub serial: String,
    /// The hash in its CertID: `sha1` or `sha256`.
    pub hash: String,
    /// `good` or `revoked`.
    pub status: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
}

/// What an acceptable answer says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Presigned {
    /// The hash of its CertID.
    pub hash: CertHash,
    /// The certificate.
    pub serial: SerialNumber,
    /// Its status.
    pub state: ViewState,
    /// Since when it is known to be right.
    pub this_update: Timestamp,
    /// Until when it may be used.
    pub next_update: Timestamp,
}

/// Checks one answer at `now`: signed by `issuer` or its delegate, about one
/// certificate of that issuer, current, and bound to no request.
///
/// # Errors
/// The first of these that is not so.
pub fn check(
    der: &[u8],
    issuer: &Certificate,
    ids: &IssuerIds,
    now: Timestamp,
) -> Result<Presigned, StatusError> {
    let refuse = |what: &str| StatusError::ResponseUnacceptable(what.to_owned());
    let view = OcspView::parse_and_verify(der, issuer, now)?;
    if view.nonce().is_some() {
        return Err(refuse("it has a nonce, so it answers one request only"));
    }
    let [single] = view.basic().tbs_response_data.responses.as_slice() else {
        return Err(refuse("it is not about one certificate"));
    };
    let id = &single.cert_id;
    let hash = ids.form(id).map(|form| form.hash);
    let hash = hash.ok_or_else(|| refuse("it is about a certificate of another issuer"))?;
    let serial =
        SerialNumber::try_from(&id.serial_number).map_err(|_| refuse("its serial number is none"))?;
    let status = view.status(id).ok_or_else(|| refuse("it says nothing"))?;
    if status.state == ViewState::Unknown {
        return Err(refuse("it says \"unknown\", which is not worth keeping"));
    }
    let this_update = status.this_update;
    let next_update = status.next_update.ok_or_else(|| refuse("it has no nextUpdate"))?;
    if this_update > now || view.produced_at() > now {
        return Err(refuse("it is from the future; compare the clocks"));
    }
    if next_update <= now {
        return Err(refuse("it has expired"));
    }
    if next_update > Timestamp::from(issuer.tbs_certificate.validity.not_after) {
        return Err(refuse("it outlives the issuer's certificate"));
    }
    Ok(Presigned { hash, serial, state: status.state, this_update, next_update })
}
