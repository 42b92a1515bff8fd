//! The authority's own CRLs: signed on schedule and after changes of status.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ca_domain::{SerialNumber, Timestamp};
use ca_service::watch::Fingerprint;
use ca_service::{Alarms, Authority, Clock, LedgerView, Span, Trust};
use ca_signing::SigningKey;
use ca_status::StatusTable;
use ca_status::crl::{CrlNumber, CrlParams, next_number, write_crl};

use crate::schedule::{Schedule, Window, pause};
use crate::shelf::{PublishError, Published, Shelf};

/// Files and clocks are looked at this often whatever the schedule says.
const LONGEST_WAIT: Span = Span::seconds(5);
/// A CRL may be late by this before it is an alarm of its own.
const LATE: u64 = 60;

/// When the first change of status was seen that no CRL shows. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Pending(Arc<Mutex<Option<Timestamp>>>);

impl Pending {
    /// Notes a change seen at `now`; an earlier one counts.
    pub fn note(&self, now: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(now);
    }

    fn since(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put_back(&self, since: Option<Timestamp>) {
        if let Some(since) = since {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(since);
        }
    }
}

/// Why no CRL was signed.
#[derive(Debug, thiserror::Error)]
enum SignError {
    #[error("the authority's certificate is valid from {0} to {1}, it signs nothing now")]
    AuthorityNotValid(Timestamp, Timestamp),
    #[error("the ledger cannot be trusted now ({0:?}), see its own alarm")]
    Ledger(Trust),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Status(#[from] ca_status::StatusError),
}

/// Signs the CRLs of one authority.
pub struct CrlSigner {
    /// The NAME of its files.
    pub name: String,
    /// The authority.
    pub authority: Authority,
    /// Its key.
    pub key: Box<dyn SigningKey>,
    /// When it signs.
    pub schedule: Schedule,
    /// Where the CRLs go.
    pub shelf: Arc<Shelf>,
    /// What is revoked.
    pub view: Arc<LedgerView<StatusTable>>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Where alarms go.
    pub alarms: Alarms,
    /// The changes of status since the last CRL.
    pub pending: Pending,
    /// What it remembers.
    pub memory: Memory,
}

/// What a signer remembers from one call to the next.
#[derive(Debug, Default)]
pub struct Memory {
    last: Option<Published>,
    /// The highest number seen, should the file be lost.
    floor: Option<CrlNumber>,
    file: Option<Fingerprint>,
    looked: bool,
    failures: u32,
    /// After a failure: not before this time.
    pause_until: Option<Timestamp>,
}

impl CrlSigner {
    /// Signs and publishes a CRL if one is due; how long to wait for the next call.
    pub fn tick(&mut self) -> Span {
        let now = self.clock.now();
        self.look_at_file(now);
        let due = self.due(now);
        let paused = self
            .memory
            .pause_until
            .is_some_and(|until| now < until && until.seconds_since(now) <= LONGEST_WAIT.as_secs().max(60));
        if due > now {
            // Also when somebody else published what was due.
            self.rest();
        } else if !paused {
            let changed = self.pending.take();
            match self.issue(now) {
                Ok(published) => self.succeeded(published, now),
                Err(error) => {
                    self.pending.put_back(changed);
                    self.failed(&error, now);
                }
            }
        }
        self.check_age(now);
        let next = self.memory.pause_until.unwrap_or_else(|| self.due(now));
        Span::seconds(next.seconds_since(now).max(1)).min(LONGEST_WAIT)
    }

    fn due(&self, now: Timestamp) -> Timestamp {
        let last = self.memory.last.as_ref().map(|last| last.window);
        self.schedule.due(last, self.pending.since(), now)
    }

    /// Reads the published file at the start and when somebody else replaced it,
    /// `ca crl issue` for example.
    fn look_at_file(&mut self, now: Timestamp) {
        let file = Fingerprint::of(&self.shelf.path(&self.name));
        if self.memory.looked && file == self.memory.file {
            return;
        }
        (self.memory.looked, self.memory.file) = (true, file);
        match self.shelf.load(&self.name, &self.authority) {
            Ok(Some(found)) => {
                tracing::info!(authority = self.name, number = %found.number, "found a published CRL");
                self.remember(found, now);
                if !self.is_shown() {
                    self.pending.note(now);
                }
                self.alarms.clear(&self.topic("file"));
            }
            Ok(None) => self.memory.last = None,
            Err(error) => {
                self.alarms.raise(
                    &self.topic("file"),
                    "the published CRL is unusable and is replaced",
                    error,
                );
                self.memory.last = None;
            }
        }
    }

    /// Whether the published CRL lists exactly what is revoked, expired
    /// certificates aside.
    fn is_shown(&self) -> bool {
        let Some(last) = &self.memory.last else { return false };
        let Ok(listed) = last.serials() else { return false };
        let table = self.view.read();
        if table.next_index() == 0 {
            // Nothing was read yet; what comes first are changes like any other.
            return true;
        }
        let revoked: BTreeMap<SerialNumber, Timestamp> = table
            .revoked_for_crl(&self.authority.key_id, Some(last.window.this_update))
            .map(|entry| (entry.serial, entry.at))
            .collect();
        let known = |serial: &SerialNumber| {
            let status = table.status(&self.authority.key_id, serial);
            status.is_some_and(|status| status.state != ca_domain::RevocationState::Good)
        };
        revoked.iter().all(|(serial, at)| listed.get(serial) == Some(at)) && listed.keys().all(known)
    }

    fn issue(&self, now: Timestamp) -> Result<Published, SignError> {
        let trust = self.view.trust(now);
        if trust != Trust::Current {
            return Err(SignError::Ledger(trust));
        }
        if !self.authority.is_valid_at(now) {
            return Err(SignError::AuthorityNotValid(
                self.authority.not_before(),
                self.authority.not_after(),
            ));
        }
        let last = self.memory.last.as_ref();
        let Window { this_update, next_update } = self.schedule.window(now);
        let floor = self.memory.floor.max(last.map(|last| last.number));
        let number = next_number(this_update, floor)?;
        let mut params =
            CrlParams::for_authority(&self.authority.certificate, number, this_update, next_update)?;
        // The scope stays what it was, or clients would take it for another CRL.
        params.scope = last.map(Published::scope).transpose()?.flatten();
        params.next_publish = Some(self.schedule.due(Some(Window { this_update, next_update }), None, now));
        let previous = last.map(|last| last.window.this_update);
        let mut der = Vec::new();
        {
            let table = self.view.read();
            let revoked = table.revoked_for_crl(&self.authority.key_id, previous);
            write_crl(&params, revoked, &*self.key, &mut der)?;
        }
        Ok(self.shelf.replace(&self.name, &self.authority, last, &der, now)?)
    }

    fn succeeded(&mut self, published: Published, now: Timestamp) {
        tracing::info!(
            authority = self.name,
            number = %published.number,
            next_update = %published.window.next_update,
            bytes = published.der.len(),
            "published a CRL"
        );
        self.memory.file = Fingerprint::of(&self.shelf.path(&self.name));
        self.rest();
        self.alarms.clear(&self.topic("file"));
        self.remember(published, now);
    }

    /// Nothing is due.
    fn rest(&mut self) {
        self.memory.failures = 0;
        self.memory.pause_until = None;
        self.alarms.clear(&self.topic("sign"));
    }

    fn remember(&mut self, published: Published, now: Timestamp) {
        self.memory.floor = self.memory.floor.max(Some(published.number));
        let fresh_until = self.schedule.due(Some(published.window), None, now);
        let topic = self.topic("write");
        match self.shelf.show(&self.name, &published, fresh_until) {
            Ok(()) => self.alarms.clear(&topic),
            Err(error) => self.alarms.raise(&topic, "the PEM form of a CRL could not be written", error),
        }
        self.memory.last = Some(published);
    }

    fn failed(&mut self, error: &SignError, now: Timestamp) {
        self.memory.failures = self.memory.failures.saturating_add(1);
        self.memory.pause_until = Some(now.saturating_add(pause(self.memory.failures).as_secs()));
        self.alarms.raise(&self.topic("sign"), "a due CRL could not be published", error);
    }

    fn check_age(&self, now: Timestamp) {
        let topic = self.topic("crl");
        let Some(last) = &self.memory.last else {
            self.alarms.raise(&topic, "there is no CRL", self.shelf.path(&self.name).display());
            return;
        };
        let Window { next_update, .. } = last.window;
        let due = self.schedule.due(Some(last.window), None, now);
        if next_update <= now {
            self.alarms.raise(&topic, "the CRL has expired", format!("it ended on {next_update}"));
        } else if due.saturating_add(LATE) < now {
            let what = format!("it was due on {due} and ends on {next_update}");
            self.alarms.raise(&topic, "the next CRL is late", what);
        } else {
            self.alarms.clear(&topic);
        }
    }

    fn topic(&self, what: &str) -> String {
        format!("{what} {}", self.name)
    }

    /// The published file, which is watched.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.shelf.path(&self.name)
    }
}
