//! Approving and rejecting.

use ca_domain::{Detail, KeyIdentifier, Timestamp};
use ca_ledger::{EntryKind, LedgerReader, NewEntry};

use super::record::{load, load_with};
use super::{Operator, Request, RequestState};
use crate::authority::{Authority, AuthorityKey};
use crate::certify::detail_bytes;
use crate::error::{AuthorityError, Result};
use crate::escrow;
use crate::home::{Home, Wait};
use crate::issue::{self, IssueRequest, Issued, Output, SubjectKey};
use crate::templates;

/// What `ca request approve` is told.
pub struct Approve<'a> {
    /// Which request.
    pub id: &'a str,
    /// The authority that the request names.
    pub issuer: &'a AuthorityKey,
    /// The files to deliver.
    pub outputs: &'a [Output],
    /// Who approves: another person than who asked.
    pub operator: Operator<'a>,
}

impl Request {
    /// Refuses what cannot be approved by this person, before anybody is asked for
    /// a passphrase.
    ///
    /// # Errors
    /// The request is decided, the person asked for it, or the template or the
    /// authority's key is not the one of the submission.
    pub fn check_approvable(&self, home: &Home, operator: Operator<'_>) -> Result<()> {
        self.check_open()?;
        let document = &self.document;
        if document.requester == operator.uid {
            return Err(AuthorityError::Refused(format!(
                "request {} was submitted by the same person (uid {}); another person must approve it",
                document.id, operator.uid
            )));
        }
        if templates::load(home, &document.template)?.hash_hex() != document.template_hash {
            return Err(AuthorityError::Refused(format!(
                "template {:?} was changed after request {} was submitted; reject it and submit again",
                document.template, document.id
            )));
        }
        let key = Authority::load(home, &document.authority)?.key_id()?;
        if hex::encode(key.0) != document.authority_key {
            return Err(AuthorityError::Refused(format!(
                "authority {:?} has another key than when request {} was submitted; reject it and submit again",
                document.authority, document.id
            )));
        }
        Ok(())
    }

    fn check_open(&self) -> Result<()> {
        let id = &self.document.id;
        let decided = match &self.state {
            RequestState::Open => return Ok(()),
            RequestState::Approved { at, actor, serial, .. } => {
                format!("request {id} was approved by {actor} at {at}; see `ca cert show {serial}`")
            }
            RequestState::Rejected { at, actor, .. } => {
                format!("request {id} was rejected by {actor} at {at}; submit a new one")
            }
        };
        Err(AuthorityError::Refused(decided))
    }
}

/// Approves a request and issues its certificate, in one act of the ledger.
///
/// # Errors
/// As [`Request::check_approvable`] and [`issue::issue`]; nothing was issued
/// then, unless the error is [`AuthorityError::Published`].
pub fn approve(home: &Home, act: &Approve<'_>, now: Timestamp, wait: &Wait<'_>) -> Result<Issued> {
    let request = load(home, act.id)?;
    request.check_approvable(home, act.operator)?;
    let document = &request.document;
    if act.issuer.authority.name() != document.authority {
        return Err(AuthorityError::Input(format!(
            "request {} is for authority {:?}; unlock that one",
            document.id, document.authority
        )));
    }
    let template = templates::load(home, &document.template)?;
    if template.hash_hex() != document.template_hash {
        return Err(AuthorityError::Refused(format!(
            "template {:?} has just been changed; try again",
            document.template
        )));
    }
    let key = match document.csr()? {
        Some(csr) => SubjectKey::Csr(Box::new(csr)),
        None => SubjectKey::Generate(document.key),
    };
    let issue_request = IssueRequest {
        issuer: act.issuer,
        template: &template,
        subject: &document.subject()?,
        key,
        days: document.days,
        outputs: act.outputs,
        actor: act.operator.actor,
    };
    let policy = document.escrow.then(|| escrow::policy_for_sealing(home, now)).transpose()?;
    let prepared = issue::prepare_approved(home, &issue_request, policy.as_ref(), now)?;
    let detail = Detail::RequestApproved {
        request: document.id.clone(),
        sha256: request.sha256.clone(),
        requester: document.requester,
        approver: act.operator.uid,
        actor: act.operator.actor.to_owned(),
    };
    let mut entry = entry(EntryKind::RequestApproved, act.issuer.authority.key_id()?, &detail, now)?;
    entry.serial = Some(prepared.serial());
    // Under the lock once more: somebody may have decided in the meantime.
    let still_open = |ledger: &LedgerReader| unchanged(home, ledger, &request);
    let mut issued =
        issue::commit_after(home, vec![(entry, detail)], &still_open, vec![prepared], now, wait)?;
    issued.pop().ok_or_else(|| AuthorityError::Input("nothing was issued".into()))
}

/// Rejects a request. Who asked may do it too, to take the request back.
///
/// # Errors
/// There is no such open request; else busy, a damaged ledger, or a failing disk.
pub fn reject(
    home: &Home,
    id: &str,
    reason: &str,
    operator: Operator<'_>,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Request> {
    let mut writer = home.writer(wait)?;
    let request = load_with(home, writer.ledger.reader(), id)?;
    request.check_open()?;
    let document = &request.document;
    let detail = Detail::RequestRejected {
        request: document.id.clone(),
        sha256: request.sha256.clone(),
        requester: document.requester,
        rejecter: operator.uid,
        reason: reason.to_owned(),
        actor: operator.actor.to_owned(),
    };
    let position = document.position;
    let authority = writer.ledger.reader().entry(position)?.authority;
    let entry = entry(EntryKind::RequestRejected, authority, &detail, now)?;
    writer.commit(vec![(entry, detail)], now, wait.warn)?;
    let state = RequestState::Rejected {
        at: now,
        by: operator.uid,
        actor: operator.actor.to_owned(),
        reason: reason.to_owned(),
    };
    Ok(Request { state, ..request })
}

fn unchanged(home: &Home, ledger: &LedgerReader, before: &Request) -> Result<()> {
    let now = load_with(home, ledger, &before.document.id)?;
    now.check_open()?;
    if now.sha256 == before.sha256 {
        return Ok(());
    }
    Err(AuthorityError::Refused(format!(
        "request {} has just been changed; look at it again",
        before.document.id
    )))
}

fn entry(kind: EntryKind, authority: KeyIdentifier, detail: &Detail, now: Timestamp) -> Result<NewEntry> {
    Ok(NewEntry {
        kind,
        time: now,
        authority,
        serial: None,
        not_after: None,
        reason: None,
        invalidity_date: None,
        detail: detail_bytes(detail)?,
    })
}
