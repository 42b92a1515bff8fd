//! What the ledger says of requests.

use std::collections::BTreeMap;
use std::fs;

use ca_domain::Detail;
use ca_files::{check_private, read_private};
use ca_ledger::{EntryKind, LedgerReader};

use super::document::{Document, directory, is_id, path, sha256};
use super::{Request, RequestState};
use crate::error::{AuthorityError, Result};
use crate::home::Home;
use crate::init::io;

/// Every request, in the order of submission.
///
/// # Errors
/// A request file that was changed or that others can read, or a damaged ledger.
pub fn list(home: &Home) -> Result<Vec<Request>> {
    let dir = directory(home);
    if !dir.exists() {
        return Ok(Vec::new());
    }
    check_private(&dir)?;
    let ledger = home.ledger()?;
    let mut found = Vec::new();
    for entry in fs::read_dir(&dir).map_err(io("read", &dir))? {
        let name = entry.map_err(io("read", &dir))?.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".json")).filter(|id| is_id(id));
        if let Some(id) = id {
            found.extend(submitted(home, &ledger, id)?);
        }
    }
    found.sort_by_key(|(document, _)| document.position);
    let Some((first, _)) = found.first() else { return Ok(Vec::new()) };
    let mut states = decisions(&ledger, first.position)?;
    let with_state = |(document, sha256): (Document, String)| {
        let state = states.remove(&document.id).unwrap_or(RequestState::Open);
        Request { document, sha256, state }
    };
    Ok(found.into_iter().map(with_state).collect())
}

/// One request.
///
/// # Errors
/// There is none of that identifier; else as [`list`].
pub fn load(home: &Home, id: &str) -> Result<Request> {
    load_with(home, &home.ledger()?, id)
}

/// One request, as a ledger that is open already knows it.
pub(super) fn load_with(home: &Home, ledger: &LedgerReader, id: &str) -> Result<Request> {
    let missing = || AuthorityError::NotFound(format!("there is no request {id:?}; see `ca request list`"));
    if !is_id(id) || !path(home, id).exists() {
        return Err(missing());
    }
    check_private(&directory(home))?;
    let (document, sha256) = submitted(home, ledger, id)?.ok_or_else(missing)?;
    let state = decisions(ledger, document.position)?.remove(id).unwrap_or(RequestState::Open);
    Ok(Request { document, sha256, state })
}

/// The file of a request and its hash; none if a crash came between the file and
/// the ledger's entry, so that it was never submitted.
fn submitted(home: &Home, ledger: &LedgerReader, id: &str) -> Result<Option<(Document, String)>> {
    let path = path(home, id);
    let bytes = read_private(&path)?;
    let changed = || {
        AuthorityError::Refused(format!(
            "{} is not what was submitted; put the file of that day back, or reject and submit again",
            path.display()
        ))
    };
    let document = Document::from_bytes(&bytes, &path).map_err(|_| changed())?;
    if document.id != id {
        return Err(changed());
    }
    if document.position >= ledger.checkpoint().size {
        return Ok(None);
    }
    if ledger.entry(document.position)?.kind != EntryKind::RequestSubmitted {
        return Ok(None);
    }
    match detail(ledger, document.position)? {
        Detail::RequestSubmitted { request, sha256: recorded, .. } if request == id => {
            let hash = sha256(&bytes);
            if recorded == hash { Ok(Some((document, hash))) } else { Err(changed()) }
        }
        _ => Ok(None),
    }
}

/// The decisions from a position of the ledger on, by request.
fn decisions(ledger: &LedgerReader, from: u64) -> Result<BTreeMap<String, RequestState>> {
    let mut found = BTreeMap::new();
    for item in ledger.entries(from..ledger.checkpoint().size) {
        let (position, entry) = item?;
        if !matches!(entry.kind, EntryKind::RequestApproved | EntryKind::RequestRejected) {
            continue;
        }
        match (detail(ledger, position)?, entry.serial) {
            (Detail::RequestApproved { request, approver, actor, .. }, Some(serial)) => {
                let state = RequestState::Approved { at: entry.time, by: approver, actor, serial };
                found.insert(request, state);
            }
            (Detail::RequestRejected { request, rejecter, actor, reason, .. }, None) => {
                let state = RequestState::Rejected { at: entry.time, by: rejecter, actor, reason };
                found.insert(request, state);
            }
            _ => return Err(damaged()),
        }
    }
    Ok(found)
}

fn detail(ledger: &LedgerReader, position: u64) -> Result<Detail> {
    Detail::from_bytes(&ledger.detail(position)?).map_err(|_| damaged())
}

fn damaged() -> AuthorityError {
    AuthorityError::Refused("the record of a request is damaged; run `ca ledger verify`".into())
}
