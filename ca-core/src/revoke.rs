//! Revoking, holding and releasing: a plan first, then one commit.

use std::collections::BTreeMap;

use ca_domain::{Detail, ReasonCode, RevocationState, SerialNumber, Timestamp, Transition};
use ca_index::{CertificateRecord, Filter, Index};
use ca_ledger::{EntryKind, LedgerReader, NewEntry};
use der::Decode;
use x509_cert::Certificate;
use x509_cert::ext::pkix::BasicConstraints;

use crate::certify::{detail_bytes, from_base64};
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait, Writer};
use crate::people::{BadLine, Person};

/// Which certificates.
#[derive(Clone, Debug)]
pub enum Target {
    /// All of a mailbox's that are neither expired nor in the wanted state.
    Mailbox(String),
    /// Likewise, of everybody in a table.
    People {
        /// Who.
        people: Vec<Person>,
        /// The table's name, for messages.
        file: String,
    },
    /// These.
    Serials(Vec<SerialNumber>),
}

/// One certificate and what happens to it.
#[derive(Clone, Debug)]
pub struct Step {
    /// The certificate.
    pub record: CertificateRecord,
    /// Its state afterwards.
    pub after: RevocationState,
}

/// What would be done: shown to the operator, then carried out or dropped.
pub struct Plan {
    writer: Writer,
    transition: Transition,
    /// The certificates that change, in the order of the request.
    pub steps: Vec<Step>,
    /// Those of the mailbox that stay as they are, with the reason.
    pub skipped: Vec<(SerialNumber, String)>,
}

/// Works out what `transition` does to `target`, under the lock.
///
/// A serial that cannot make the transition is an error: an explicit request is
/// carried out whole or not at all. For a mailbox such certificates are skipped.
///
/// # Errors
/// No such certificate, or a transition that its state or kind forbids.
pub fn plan(
    home: &Home,
    target: &Target,
    transition: Transition,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Plan> {
    let mut writer = home.writer(wait)?;
    let records = match target {
        Target::Serials(serials) => by_serials(&mut writer, serials, wait)?,
        Target::Mailbox(mailbox) => by_mailbox(&mut writer, mailbox, wait)?,
        Target::People { people, file } => by_people(&mut writer, people, file, wait)?,
    };
    let mut steps = Vec::new();
    let mut skipped = Vec::new();
    for record in records {
        let lenient = !matches!(target, Target::Serials(_));
        if lenient && record.not_after < now {
            skipped.push((record.serial, format!("expired on {}", record.not_after)));
            continue;
        }
        check_reason(writer.ledger.reader(), &record, transition)?;
        match record.state.apply(transition, now) {
            Ok(after) => steps.push(Step { record, after }),
            Err(error) if lenient => skipped.push((record.serial, error.to_string())),
            Err(source) => return Err(AuthorityError::Transition { serial: record.serial, source }),
        }
    }
    if steps.is_empty() {
        let what = match target {
            Target::Mailbox(mailbox) => format!("no certificate of {mailbox} can be changed"),
            Target::People { file, .. } => format!("no certificate of the people in {file} can be changed"),
            Target::Serials(_) => "no serial number was given".to_owned(),
        };
        return Err(AuthorityError::NotFound(format!("{what}; see `ca cert list`")));
    }
    Ok(Plan { writer, transition, steps, skipped })
}

impl Plan {
    /// Commits the plan. When it returns, every step is durable.
    ///
    /// # Errors
    /// The ledger refused; nothing was changed then.
    pub fn execute(
        mut self,
        actor: &str,
        note: Option<&str>,
        now: Timestamp,
        wait: &Wait<'_>,
    ) -> Result<Vec<Step>> {
        let detail = Detail::StatusChanged { actor: actor.to_owned(), note: note.map(str::to_owned) };
        let acts = self
            .steps
            .iter()
            .map(|step| {
                Ok((entry(&step.record, self.transition, now, detail_bytes(&detail)?), detail.clone()))
            })
            .collect::<Result<Vec<_>>>()?;
        self.writer.commit(acts, now, wait.warn)?;
        Ok(self.steps)
    }
}

/// The acts that change these certificates, for a commit that holds other acts as
/// well; checked under the lock.
///
/// # Errors
/// No such certificate, or a change that its state or kind forbids.
pub(crate) fn acts_of(
    writer: &mut Writer,
    serials: &[SerialNumber],
    transition: Transition,
    actor: &str,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Vec<(NewEntry, Detail)>> {
    let detail = Detail::StatusChanged { actor: actor.to_owned(), note: None };
    by_serials(writer, serials, wait)?
        .iter()
        .map(|record| {
            check_reason(writer.ledger.reader(), record, transition)?;
            if let Err(source) = record.state.apply(transition, now) {
                return Err(AuthorityError::Transition { serial: record.serial, source });
            }
            Ok((entry(record, transition, now, detail_bytes(&detail)?), detail.clone()))
        })
        .collect()
}

fn entry(record: &CertificateRecord, transition: Transition, now: Timestamp, detail: Vec<u8>) -> NewEntry {
    let (kind, reason, invalidity_date) = match transition {
        Transition::Hold => (EntryKind::Held, Some(ReasonCode::CertificateHold), None),
        Transition::Release => (EntryKind::Released, None, None),
        Transition::Revoke { reason, invalidity_date } => (EntryKind::Revoked, Some(reason), invalidity_date),
    };
    NewEntry {
        kind,
        time: now,
        authority: record.authority,
        serial: Some(record.serial),
        not_after: Some(record.not_after),
        reason,
        invalidity_date,
        detail,
    }
}

fn by_serials(
    writer: &mut Writer,
    serials: &[SerialNumber],
    wait: &Wait<'_>,
) -> Result<Vec<CertificateRecord>> {
    let mut records: Vec<CertificateRecord> = Vec::new();
    for serial in serials {
        let found = writer.ask(wait, |index| index.by_serial(*serial))?;
        if found.is_empty() {
            return Err(AuthorityError::NotFound(format!(
                "no certificate has serial number {serial}; see `ca cert list`"
            )));
        }
        for record in found {
            // Named twice in a file of serials: once is enough.
            if !records.iter().any(|known| known.position == record.position) {
                records.push(record);
            }
        }
    }
    Ok(records)
}

fn by_mailbox(writer: &mut Writer, mailbox: &str, wait: &Wait<'_>) -> Result<Vec<CertificateRecord>> {
    let filter = Filter { mailbox: Some(mailbox.to_owned()), ..Filter::default() };
    let records = writer.ask(wait, |index| index.select(&filter, Timestamp::EPOCH, None))?;
    if records.is_empty() {
        return Err(AuthorityError::NotFound(format!("no certificate names {mailbox}; see `ca cert list`")));
    }
    Ok(records)
}

/// Everybody must have a certificate: a line without is more likely misspelt.
fn by_people(
    writer: &mut Writer,
    people: &[Person],
    file: &str,
    wait: &Wait<'_>,
) -> Result<Vec<CertificateRecord>> {
    let mut found = BTreeMap::new();
    let mut lines = Vec::new();
    for person in people {
        match by_mailbox(writer, person.mailbox(), wait) {
            // Somebody's second address may be somebody else's line.
            Ok(records) => found.extend(records.into_iter().map(|record| (record.position, record))),
            Err(error @ AuthorityError::NotFound(_)) => {
                lines.push(BadLine { line: person.line, what: error.to_string() });
            }
            Err(error) => return Err(error),
        }
    }
    if lines.is_empty() {
        return Ok(found.into_values().collect());
    }
    Err(AuthorityError::Lines { file: file.to_owned(), lines })
}

/// cACompromise is for authorities, certificateHold never (CRL profile of the
/// S/MIME BR, section 7.2.2).
fn check_reason(ledger: &LedgerReader, record: &CertificateRecord, transition: Transition) -> Result<()> {
    let refuse = |reason, todo| {
        let what = format!("certificate {} of {}", record.serial, record.person);
        Err(AuthorityError::Reason { reason, what, todo })
    };
    match transition {
        Transition::Hold if is_authority(ledger, record)? => refuse(
            ReasonCode::CertificateHold,
            "an authority cannot be suspended, only revoked (S/MIME BR, section 7.2.2)",
        ),
        Transition::Revoke { reason: ReasonCode::CaCompromise, .. } if !is_authority(ledger, record)? => {
            refuse(
                ReasonCode::CaCompromise,
                "it is the reason for an authority's certificate; use keyCompromise",
            )
        }
        _ => Ok(()),
    }
}

/// By its certificate: an authority that was signed for another home has no
/// directory in this one.
fn is_authority(ledger: &LedgerReader, record: &CertificateRecord) -> Result<bool> {
    let damaged = |what: String| {
        AuthorityError::Damaged(format!("entry {}: {what}; run `ca ledger verify`", record.position))
    };
    let detail =
        Detail::from_bytes(&ledger.detail(record.position)?).map_err(|error| damaged(error.to_string()))?;
    let Detail::CertificateIssued { certificate, .. } = detail else {
        return Err(damaged("it holds no certificate".into()));
    };
    let certificate =
        Certificate::from_der(&from_base64(&certificate)?).map_err(AuthorityError::der("a certificate"))?;
    let constraints = certificate.tbs_certificate.get::<BasicConstraints>();
    Ok(constraints.map_err(AuthorityError::der("basicConstraints"))?.is_some_and(|(_, found)| found.ca))
}
