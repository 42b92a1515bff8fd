//! What the ledger says of a person beside certificates. The index does not have it:
//! such entries are few, and the entries are quickly read.

use std::collections::HashMap;

use ca_domain::{Detail, SerialNumber, Timestamp};
use ca_index::lookup_key;
use ca_ledger::{Entry, EntryKind, LedgerReader};

use super::is_same;
use crate::error::Result;
use crate::home::Wait;

/// The record of a person who left.
#[derive(Clone, Debug)]
pub struct Left {
    /// When.
    pub at: Timestamp,
    /// Its entry in the ledger.
    pub position: u64,
    /// Who recorded it.
    pub actor: String,
    /// A remark.
    pub note: Option<String>,
}

/// Something that was done about a person's keys.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// When.
    pub at: Timestamp,
    /// Its entry in the ledger.
    pub position: u64,
    /// The recovery's identifier.
    pub request: String,
    /// The agents that recovered a key; none while it was only asked for.
    pub agents: Option<Vec<String>>,
    /// Who asked, or completed it.
    pub actor: String,
}

/// An export of one of a person's keys into a file for devices.
#[derive(Clone, Debug)]
pub struct Export {
    /// When.
    pub at: Timestamp,
    /// Its entry in the ledger.
    pub position: u64,
    /// The certificate of the key.
    pub serial: Option<SerialNumber>,
    /// For what: `appleProfile`, `intune`.
    pub form: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Who did it.
    pub actor: String,
}

/// Marks, recoveries and exports of one mailbox, in the order of the ledger.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) left: Vec<Left>,
    pub(super) recoveries: Vec<Recovery>,
    pub(super) exports: Vec<Export>,
}

/// Reads what names `mailbox` from the position `from` on.
pub(super) fn marks(ledger: &LedgerReader, from: u64, mailbox: &str, wait: &Wait<'_>) -> Result<Marks> {
    let mut found = Marks::default();
    let kinds = [
        EntryKind::PersonLeft,
        EntryKind::RecoveryRequested,
        EntryKind::KeyRecovered,
        EntryKind::KeyExported,
    ];
    each(ledger, from, &kinds, wait, |position, entry, detail| {
        let at = entry.time;
        match detail {
            Detail::PersonLeft { person, actor, note } if is_same(&person, mailbox) => {
                found.left.push(Left { at, position, actor, note });
            }
            Detail::RecoveryRequested { person, request, actor, .. } if is_same(&person, mailbox) => {
                found.recoveries.push(Recovery { at, position, request, agents: None, actor });
            }
            Detail::KeyRecovered { person, request, agents, actor, .. } if is_same(&person, mailbox) => {
                found.recoveries.push(Recovery { at, position, request, agents: Some(agents), actor });
            }
            Detail::KeyExported { person, form, sha256, actor } if is_same(&person, mailbox) => {
                found.exports.push(Export { at, position, serial: entry.serial, form, sha256, actor });
            }
            _ => {}
        }
    })?;
    Ok(found)
}

/// Who left: mailbox as it is looked up, and the last mark with its position.
#[derive(Debug, Default)]
pub(crate) struct Leavers(HashMap<String, (u64, Timestamp)>);

impl Leavers {
    /// Reads the marks from the position `from` on.
    pub(crate) fn read(ledger: &LedgerReader, from: u64, wait: &Wait<'_>) -> Result<Self> {
        let mut found = HashMap::new();
        each(ledger, from, &[EntryKind::PersonLeft], wait, |position, entry, detail| {
            if let Detail::PersonLeft { person, .. } = detail {
                found.insert(lookup_key(&person), (position, entry.time));
            }
        })?;
        Ok(Self(found))
    }

    /// When the person of a certificate at `position` of the ledger left, if that was
    /// after it: who comes back gets a new one.
    pub(crate) fn left_after(&self, person: &str, position: u64) -> Option<Timestamp> {
        let (mark, at) = self.0.get(&lookup_key(person))?;
        (*mark > position).then_some(*at)
    }
}

fn each(
    ledger: &LedgerReader,
    from: u64,
    kinds: &[EntryKind],
    wait: &Wait<'_>,
    mut visit: impl FnMut(u64, Entry, Detail),
) -> Result<()> {
    let total = ledger.size().saturating_sub(from);
    for (count, found) in (1..).zip(ledger.entries(from..ledger.size())) {
        let (position, entry) = found?;
        if count % 4096 == 0 {
            (wait.progress)(count, total);
        }
        if kinds.contains(&entry.kind)
            && let Ok(detail) = Detail::from_bytes(&ledger.detail(position)?)
        {
            visit(position, entry, detail);
        }
    }
    Ok(())
}
