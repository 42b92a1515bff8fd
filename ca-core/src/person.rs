//! A person over the years: everything about a mailbox, leaving, a new address.

use std::collections::BTreeSet;

use ca_domain::mailbox::Mailbox;
use ca_domain::{Detail, ReasonCode, RevocationState, SerialNumber, Timestamp, Transition};
use ca_index::{CertificateRecord, Filter, Index, lookup_key};
use ca_ledger::{EntryKind, NewEntry};

use crate::certify::detail_bytes;
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait, Writer};
use crate::inventory::{Inventory, Issuance};
use crate::renew::candidate::select;
use crate::renew::signs;
use crate::request::{self, Request};
use crate::revoke::{Step, acts_of};
use crate::templates;

pub(crate) mod record;
mod rename;

pub use record::{Export, Left, Recovery};
pub use rename::{RenamePlan, RenameRequest, plan_rename, rename};

/// Everything about a mailbox.
#[derive(Clone, Debug)]
pub struct Dossier {
    /// The certificates that name it, in the order of the ledger.
    pub certificates: Vec<Issuance>,
    /// When the person left, if that is recorded.
    pub left: Vec<Left>,
    /// The recoveries of the person's keys.
    pub recoveries: Vec<Recovery>,
    /// The exports of the person's keys into files for devices.
    pub exports: Vec<Export>,
    /// What was asked for in the person's name and needs, or had, a second person.
    pub requests: Vec<Request>,
}

/// Everything about `mailbox`.
///
/// # Errors
/// No certificate and no request names it, or the ledger is damaged.
pub fn dossier(home: &Home, mailbox: &str, now: Timestamp, wait: &Wait<'_>) -> Result<Dossier> {
    let mut inventory = Inventory::open(home, wait)?;
    let filter = Filter { mailbox: Some(mailbox.to_owned()), ..Filter::default() };
    let records = select(&mut inventory, &filter, now, wait)?;
    let names = |request: &Request| request.document.mailboxes.iter().any(|named| is_same(named, mailbox));
    let requests: Vec<_> = request::list(home)?.into_iter().filter(names).collect();
    let marks = match records.first().map(|record| record.position) {
        Some(first) => record::marks(inventory.ledger(), first, mailbox, wait)?,
        None if requests.is_empty() => return Err(nobody(mailbox)),
        None => record::Marks::default(),
    };
    let certificates =
        records.into_iter().map(|record| inventory.issuance(record)).collect::<Result<Vec<_>>>()?;
    let record::Marks { left, recoveries, exports } = marks;
    Ok(Dossier { certificates, left, recoveries, exports, requests })
}

/// Whether two texts are one mailbox, however its domain and letter case are written.
#[must_use]
pub fn is_same(one: &str, other: &str) -> bool {
    lookup_key(one) == lookup_key(other)
}

fn nobody(mailbox: &str) -> AuthorityError {
    AuthorityError::NotFound(format!("no certificate names {mailbox}; see `ca cert list`"))
}

/// What happens to the encryption certificates of somebody who leaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EncryptionFate {
    /// They are valid until they expire, so that nobody's mail bounces.
    Keep,
    /// They are revoked as well.
    Revoke,
}

/// What leaving means for a mailbox; shown, then carried out or dropped.
pub struct LeavePlan {
    writer: Writer,
    mailbox: String,
    transition: Transition,
    /// The certificates that are revoked.
    pub revoked: Vec<Step>,
    /// Those that stay as they are, with the reason.
    pub kept: Vec<(CertificateRecord, String)>,
}

/// Works out what is revoked when the person at `mailbox` leaves, under the lock.
/// Archived keys stay in the archive in every case.
///
/// # Errors
/// No certificate names the mailbox; the person left already, and nothing is to be
/// revoked.
pub fn plan_leave(
    home: &Home,
    mailbox: &str,
    reason: ReasonCode,
    encryption: EncryptionFate,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<LeavePlan> {
    let transition = Transition::Revoke { reason, invalidity_date: None };
    let mut writer = home.writer(wait)?;
    let records = writer.ask(wait, |index| index.by_mailbox(mailbox))?;
    if records.is_empty() {
        return Err(nobody(mailbox));
    }
    let mut plan =
        LeavePlan { writer, mailbox: mailbox.to_owned(), transition, revoked: Vec::new(), kept: Vec::new() };
    for record in records {
        let only_encrypts = templates::load(home, &record.template).is_ok_and(|template| !signs(&template));
        let why = if !is_same(&record.person, mailbox) {
            Some(format!("is {}'s, who also has this address", record.person))
        } else if record.is_expired(now) {
            Some(format!("expired on {}", record.not_after))
        } else if only_encrypts && encryption == EncryptionFate::Keep {
            Some(format!("encrypts, and runs until {}", record.not_after))
        } else {
            None
        };
        match (why, record.state.apply(transition, now)) {
            (Some(why), _) => plan.kept.push((record, why)),
            (None, Ok(after)) => plan.revoked.push(Step { record, after }),
            (None, Err(error)) => plan.kept.push((record, error.to_string())),
        }
    }
    if plan.revoked.is_empty() {
        let positions = || plan.kept.iter().map(|(record, _)| record.position);
        let ledger = plan.writer.ledger.reader();
        let marks = record::marks(ledger, positions().min().unwrap_or_default(), mailbox, wait)?.left;
        // Who came back and has new certificates can leave again.
        if let Some(left) = marks.last().filter(|left| positions().all(|position| position < left.position)) {
            return Err(AuthorityError::Refused(format!(
                "{mailbox} left on {} (ledger entry {}), and nothing is left to revoke; nothing was changed",
                left.at, left.position
            )));
        }
    }
    Ok(plan)
}

impl LeavePlan {
    /// Revokes, and records that the person left, in one act. When it returns, that
    /// is durable. Returns what was revoked.
    ///
    /// # Errors
    /// A reason that does not fit; the ledger refused. Nothing was changed then.
    pub fn execute(
        mut self,
        actor: &str,
        note: Option<&str>,
        now: Timestamp,
        wait: &Wait<'_>,
    ) -> Result<Vec<Step>> {
        let serials: Vec<SerialNumber> = self.revoked.iter().map(|step| step.record.serial).collect();
        let mut acts = acts_of(&mut self.writer, &serials, self.transition, actor, now, wait)?;
        let records = self.revoked.iter().map(|step| &step.record);
        let latest = records.chain(self.kept.iter().map(|(record, _)| record)).max_by_key(|one| one.position);
        let Some(latest) = latest else { return Err(nobody(&self.mailbox)) };
        let detail = Detail::PersonLeft {
            person: self.mailbox.clone(),
            actor: actor.to_owned(),
            note: note.map(str::to_owned),
        };
        let entry = NewEntry {
            kind: EntryKind::PersonLeft,
            time: now,
            authority: latest.authority,
            serial: None,
            not_after: None,
            reason: None,
            invalidity_date: None,
            detail: detail_bytes(&detail)?,
        };
        acts.push((entry, detail));
        self.writer.commit(acts, now, wait.warn)?;
        Ok(self.revoked)
    }
}

/// The mailboxes of certificates that are still good: where somebody can be reached.
pub(crate) fn refuse_taken(writer: &mut Writer, to: &Mailbox, from: &str, wait: &Wait<'_>) -> Result<()> {
    let records = writer.ask(wait, |index| index.by_mailbox(to.as_str()))?;
    let others: BTreeSet<_> = records
        .iter()
        .filter(|record| matches!(record.state, RevocationState::Good))
        .map(|record| lookup_key(&record.person))
        .filter(|person| *person != lookup_key(from))
        .collect();
    match others.first() {
        None => Ok(()),
        Some(other) => Err(AuthorityError::Refused(format!(
            "{to} has certificates of its own (of {other}); look at them with `ca person show --email {to}`, and \
             revoke them first if it is the same person"
        ))),
    }
}
