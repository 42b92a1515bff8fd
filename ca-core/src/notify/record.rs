//! The ledger's record of notices: one entry a run.

use ca_domain::{Detail, KeyIdentifier, Timestamp};
use ca_ledger::{EntryKind, LedgerReader, NewEntry};

use super::journal::{Journal, Sent};
use crate::certify::detail_bytes;
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};

/// Enters what was sent, also by an earlier run that did not get so far.
pub(super) fn record(
    home: &Home,
    journal: &mut Journal,
    actor: &str,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<()> {
    let waiting = journal.unrecorded();
    if waiting.is_empty() {
        return Ok(());
    }
    let mut writer = home.writer(wait)?;
    let known = known(writer.ledger.reader(), &waiting)?;
    let notices: Vec<String> =
        waiting.iter().map(Sent::record).filter(|line| !known.contains(line)).collect();
    if !notices.is_empty() {
        let detail = Detail::NoticesSent { notices, actor: actor.to_owned() };
        let entry = NewEntry {
            kind: EntryKind::NoticesSent,
            time: now,
            // Notices are of no one authority.
            authority: KeyIdentifier([0; 20]),
            serial: None,
            not_after: None,
            reason: None,
            invalidity_date: None,
            detail: detail_bytes(&detail)?,
        };
        writer.commit(vec![(entry, detail)], now, wait.warn)?;
    }
    drop(writer);
    journal.recorded(waiting.into_iter().map(|sent| sent.id).collect(), now)
}

/// What the ledger has already of these: a crash can come between its entry and
/// the line of the log about it.
fn known(ledger: &LedgerReader, waiting: &[Sent]) -> Result<Vec<String>> {
    let Some(oldest) = waiting.iter().map(|sent| sent.at).min() else { return Ok(Vec::new()) };
    let mut known = Vec::new();
    for position in (0..ledger.checkpoint().size).rev() {
        let entry = ledger.entry(position)?;
        if entry.time < oldest {
            break;
        }
        if entry.kind == EntryKind::NoticesSent {
            let detail = Detail::from_bytes(&ledger.detail(position)?).map_err(|_| {
                AuthorityError::Refused("the record of notices is damaged; run `ca ledger verify`".into())
            })?;
            if let Detail::NoticesSent { notices, .. } = detail {
                known.extend(notices);
            }
        }
    }
    Ok(known)
}
