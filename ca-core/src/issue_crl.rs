//! Issuing a CRL by hand: at a ceremony for an offline root, or in an emergency.

use std::io::Cursor;
use std::path::PathBuf;

use ca_domain::{Detail, Timestamp};
use ca_files::{Mode, StagedFile};
use ca_ledger::{EntryKind, NewEntry};
use ca_status::StatusTable;
use ca_status::crl::{self, CrlNumber, CrlParams, CrlView};
use sha2::{Digest, Sha256};

use crate::authority::{Authority, AuthorityKey};
use crate::certify::detail_bytes;
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};

/// What `ca crl issue` is told.
pub struct IssueCrl<'a> {
    /// Who issues.
    pub issuer: &'a AuthorityKey,
    /// Days from thisUpdate to nextUpdate.
    pub days: u32,
    /// Where the CRL goes, DER.
    pub out: Option<PathBuf>,
    /// Who does it.
    pub actor: &'a str,
}

/// A CRL that was issued.
#[derive(Clone, Debug)]
pub struct IssuedCrl {
    /// CRLNumber, hexadecimal.
    pub number: String,
    /// Certificates on it.
    pub entries: u64,
    /// thisUpdate.
    pub this_update: Timestamp,
    /// nextUpdate.
    pub next_update: Timestamp,
    /// The files written.
    pub files: Vec<PathBuf>,
    /// DER.
    pub der: Vec<u8>,
}

/// Days that a CRL of a CA that issues to people may be valid (norm: 10 days),
/// and one of a root (12 months), S/MIME BR section 4.9.7.
pub const MAX_DAYS: (u32, u32) = (10, 365);

/// Whether a CRL of `authority` may be valid for so many days; see [`MAX_DAYS`].
///
/// # Errors
/// It may not.
pub fn check_days(authority: &Authority, days: u32) -> Result<()> {
    let most = if authority.is_root() { MAX_DAYS.1 } else { MAX_DAYS.0 };
    if (1..=most).contains(&days) {
        return Ok(());
    }
    Err(AuthorityError::Refused(format!(
        "a CRL of {:?} is valid for 1 to {most} days, not {days} (S/MIME BR, section 4.9.7)",
        authority.name()
    )))
}

/// Issues a full CRL and records it.
///
/// # Errors
/// A validity beyond the rules, a key that fails, or a failing disk. No CRL was
/// recorded then, unless the error is [`AuthorityError::Published`].
pub fn issue_crl(home: &Home, request: &IssueCrl<'_>, now: Timestamp, wait: &Wait<'_>) -> Result<IssuedCrl> {
    let authority = &request.issuer.authority;
    let name = authority.name();
    check_days(authority, request.days)?;
    let bad = |what: String| AuthorityError::Crl { authority: name.to_owned(), what };
    if let Some(path) = request.out.as_deref().filter(|path| path.is_dir()) {
        return Err(AuthorityError::Refused(format!("{} is a directory; name a file", path.display())));
    }
    let mut writer = home.writer(wait)?;
    let key_id = authority.key_id()?;
    let mut table = StatusTable::new();
    let mut last: Option<(u64, Timestamp)> = None;
    let reader = writer.ledger.reader();
    for item in reader.entries(0..reader.checkpoint().size) {
        let (position, entry) = item?;
        table.apply(position, &entry).map_err(|error| bad(error.to_string()))?;
        if entry.kind == EntryKind::CrlIssued && entry.authority == key_id {
            last = Some((position, entry.time));
        }
    }
    let last_number = last.map(|(position, _)| number_of(&reader.detail(position)?)).transpose()?;
    let number = crl::next_number(now, last_number).map_err(|error| bad(error.to_string()))?;
    let next_update = now.saturating_add(u64::from(request.days) * 86_400).min(authority.validity().1);
    let params = CrlParams::for_authority(authority.certificate(), number, now, next_update)
        .map_err(|error| bad(error.to_string()))?;
    let previous = last.map(|(_, this_update)| this_update);
    let mut der = Cursor::new(Vec::new());
    crl::write_crl(&params, table.revoked_for_crl(&key_id, previous), &request.issuer.key, &mut der)
        .map_err(|error| bad(error.to_string()))?;
    let der = der.into_inner();
    // What leaves is what a relying party accepts.
    let view =
        CrlView::parse_and_verify(&der, authority.certificate()).map_err(|error| bad(error.to_string()))?;
    let entries = view.count().map_err(|error| bad(error.to_string()))?;
    let number = hex::encode(number.as_be_bytes());
    let write = |path: &PathBuf| StagedFile::write_apart(path, &der, Mode::Public, &number);
    let staged = request.out.as_ref().map(write).transpose()?;
    let detail = Detail::CrlIssued {
        authority: name.to_owned(),
        number: number.clone(),
        sha256: hex::encode(Sha256::digest(&der)),
        actor: request.actor.to_owned(),
    };
    let entry = NewEntry {
        kind: EntryKind::CrlIssued,
        time: now,
        authority: key_id,
        serial: None,
        not_after: None,
        reason: None,
        invalidity_date: None,
        detail: detail_bytes(&detail)?,
    };
    StagedFile::sync_names(&staged)?;
    writer.commit(vec![(entry, detail)], now, wait.warn)?;
    let mut files = Vec::new();
    if let Some(file) = staged {
        let kept = file.temporary().to_owned();
        let what = format!("CRL {number} of {name:?}");
        files.push(file.publish().map_err(|source| AuthorityError::Published { what, source, kept })?);
    }
    Ok(IssuedCrl { number, entries, this_update: now, next_update, files, der })
}

/// The CRLNumber of a recorded CRL, big-endian.
fn number_of(detail: &[u8]) -> Result<CrlNumber> {
    let damaged =
        || AuthorityError::Damaged("a CRL's detail record is damaged; run `ca ledger verify`".into());
    match Detail::from_bytes(detail) {
        Ok(Detail::CrlIssued { number, .. }) => {
            let bytes = hex::decode(number).map_err(|_| damaged())?;
            CrlNumber::from_be_bytes(&bytes).map_err(|_| damaged())
        }
        _ => Err(damaged()),
    }
}
