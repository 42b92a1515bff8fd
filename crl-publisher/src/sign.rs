//! The authority's own CRLs: signed on schedule and after changes of status.
//!
//! A list is one CRL and its delta CRL. Both share one sequence of numbers, and
//! when a full CRL is signed a delta CRL with the same number follows at once
//! (RFC 5280, section 5.2.3).

mod issue;
mod kept;
mod pending;
mod retired;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use ca_domain::Timestamp;
use ca_service::watch::Fingerprint;
use ca_service::{Alarms, Authority, Clock, LedgerView, Span, Trust};
use ca_signing::SigningKey;
use ca_status::StatusTable;
use ca_status::crl::{ChangesSince, CrlNumber};

use crate::age;
use crate::lists::ListPlan;
use crate::published::Published;
use crate::schedule::pause;
use crate::shelf::Shelf;
use crate::status::Told;
use issue::SignError;
use kept::Kept;
pub use pending::Pending;
use retired::Retired;

/// Files and clocks are looked at this often whatever the schedule says.
const LONGEST_WAIT: Span = Span::seconds(5);
/// A CRL may be late by this before it is an alarm of its own.
const LATE: u64 = 60;

/// What a signer works with.
#[derive(Clone)]
pub struct Means {
    /// The authority.
    pub authority: Authority,
    /// Its key, once that is open.
    pub key: Option<Arc<dyn SigningKey>>,
    /// Where the CRLs go.
    pub shelf: Arc<Shelf>,
    /// What is revoked.
    pub view: Arc<LedgerView<StatusTable>>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Where alarms go.
    pub alarms: Alarms,
}

/// Signs one CRL of an authority, and its delta CRL.
pub struct CrlSigner {
    means: Means,
    plan: ListPlan,
    pending: Pending,
    full: Kept,
    delta: Option<Kept>,
    /// The delta CRL that there was.
    retired: Option<Retired>,
    /// The highest number seen, should the files be lost.
    floor: Option<CrlNumber>,
    /// Whether what is published was compared with the ledger, since it was found.
    compared: bool,
    failures: u32,
    /// After a failure: not before this time.
    pause_until: Option<Timestamp>,
    /// Another process publishes.
    is_standby: bool,
    /// When something was due last, and why it failed if it did.
    result: Option<(Timestamp, Option<String>)>,
}

impl CrlSigner {
    /// A signer that has looked at nothing yet.
    #[must_use]
    pub fn new(plan: ListPlan, means: Means) -> Self {
        let full = Kept::new(plan.name.clone(), plan.schedule.clone());
        let delta = plan.delta.as_ref().map(|delta| Kept::new(delta.name.clone(), delta.schedule.clone()));
        let pending = Pending::new(delta.is_some());
        let retired = Retired::of(&plan);
        Self {
            means,
            plan,
            pending,
            full,
            delta,
            retired,
            floor: None,
            compared: false,
            failures: 0,
            pause_until: None,
            is_standby: false,
            result: None,
        }
    }

    /// Which CRL it signs.
    #[must_use]
    pub const fn plan(&self) -> &ListPlan {
        &self.plan
    }

    /// Whose CRL it signs.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.means.authority
    }

    /// Signs with `key` from now on, and at once what waits for it.
    pub fn set_key(&mut self, key: &Arc<dyn SigningKey>) {
        if self.means.key.is_none() {
            self.means.key = Some(key.clone());
            self.failures = 0;
            self.pause_until = None;
        }
    }

    /// Where changes of status are noted.
    #[must_use]
    pub fn pending(&self) -> Pending {
        self.pending.clone()
    }

    /// Signs and publishes what is due; how long to wait for the next call.
    pub fn tick(&mut self) -> Span {
        let now = self.means.clock.now();
        self.pending.mend(now);
        self.look_at_files(now);
        if !self.compared && self.means.view.trust(now) == Trust::Current {
            self.compare(now);
        }
        let paused = self
            .pause_until
            .is_some_and(|until| now < until && until.seconds_since(now) <= LONGEST_WAIT.as_secs().max(60));
        self.show_again(now);
        if self.due(now) > now {
            // Also when somebody else published what was due.
            self.rest();
        } else if !paused {
            self.work(now);
        }
        self.check_age(now);
        let next = self.pause_until.unwrap_or_else(|| self.due(now));
        Span::seconds(next.seconds_since(now).max(1)).min(LONGEST_WAIT)
    }

    /// Signs what is due. A full CRL that fails keeps no delta CRL from being signed.
    fn work(&mut self, now: Timestamp) {
        let changed = self.pending.take_since();
        let mut result = Ok(());
        if self.full_due(changed, now) <= now {
            result = self.issue_full(now);
        }
        if self.delta_due(changed, now).is_some_and(|due| due <= now) {
            let number = self.full.last.as_ref().filter(|_| result.is_ok()).map(|full| full.number);
            let delta = self.issue_delta(number, now);
            // A full CRL shows the changes as well.
            result = result.and(delta);
        }
        match result {
            Ok(()) => self.rest(),
            Err(error) => {
                self.pending.put_back(changed);
                self.failed(&error, now);
            }
        }
    }

    /// A delta CRL shows changes sooner; without one the full CRL does.
    const fn changed_for_full(&self, changed: Option<Timestamp>) -> Option<Timestamp> {
        match self.plan.schedule.after_revocation() {
            Some(_) => changed,
            None => None,
        }
    }

    /// At once if it names another delta CRL than there is: revocations would be where no client looks.
    fn full_due(&self, changed: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let due = self.full.due(self.changed_for_full(changed), now);
        let Some(last) = &self.full.last else { return due };
        let wanted = self.plan.delta.as_ref().map(|delta| &delta.url);
        let is_named = last.frame.freshest().is_ok_and(|named| named.iter().eq(wanted));
        if is_named { due } else { due.min(now) }
    }

    fn delta_due(&self, changed: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let (delta, full) = (self.delta.as_ref()?, self.full.last.as_ref()?);
        let is_of_full = delta.last.as_ref().is_some_and(|last| last.base == Some(full.number));
        Some(if is_of_full { delta.due(changed, now) } else { now })
    }

    fn due(&self, now: Timestamp) -> Timestamp {
        let changed = self.pending.since();
        let full = self.full_due(changed, now);
        self.delta_due(changed, now).map_or(full, |delta| delta.min(full))
    }

    /// Opens the published files at the start and when somebody else replaced one,
    /// `ca crl issue` for example.
    fn look_at_files(&mut self, now: Timestamp) {
        let Self { means, full, delta, compared, .. } = self;
        let mut found = Vec::new();
        for (kept, is_delta) in
            std::iter::once((full, false)).chain(delta.iter_mut().map(|delta| (delta, true)))
        {
            let file = Fingerprint::of(&means.shelf.path(&kept.name));
            if kept.file == Some(file) {
                continue;
            }
            kept.file = Some(file);
            let topic = format!("file {}", kept.name);
            let is_other = |published: &Published| published.base.is_some() != is_delta;
            match means.shelf.load(&kept.name, &means.authority) {
                Ok(Some(published)) if is_other(&published) => {
                    let what = if is_delta { "it is no delta CRL" } else { "it is a delta CRL" };
                    means.alarms.raise(&topic, "the published CRL is unusable and is replaced", what);
                    kept.last = None;
                }
                Ok(published) => {
                    if let Some(published) = &published {
                        tracing::info!(crl = kept.name, number = %published.number, "found a published CRL");
                        means.alarms.clear(&topic);
                    }
                    kept.last.clone_from(&published);
                    found.extend(published);
                }
                Err(error) => {
                    means.alarms.raise(&topic, "the published CRL is unusable and is replaced", error);
                    kept.last = None;
                }
            }
            *compared = false;
        }
        for published in found {
            self.remember(&published, now);
        }
        // A full CRL must be newer than it, or clients would go on applying it.
        let retired = self.retired.as_mut().and_then(|old| old.look(&self.means, self.is_standby, now));
        self.floor = self.floor.max(retired);
    }

    /// Finds out what changed while nobody looked: by the published list and the
    /// ledger, since nothing else tells.
    fn compare(&mut self, now: Timestamp) {
        let Some(full) = self.full.last.clone() else {
            self.compared = true;
            return;
        };
        let Means { view, authority, .. } = &self.means;
        let (authority, scope, this_update) = (&authority.key_id, &self.plan.scope, full.window.this_update);
        let table = view.read();
        let mut inner = self.pending.lock();
        let mut changes = ChangesSince::default();
        let compared = full
            .reader()
            .and_then(|mut reader| changes.compare(&mut reader, &table, authority, scope, this_update));
        let is_shown = match (compared, &self.delta) {
            (Ok(()), Some(delta)) => {
                let wanted = changes.entries(&table, authority, scope, now);
                // A full CRL that is to tell soon must tell it, too.
                let by_full = self.plan.schedule.after_revocation().is_none() || changes.is_empty();
                by_full && delta.last.as_ref().is_some_and(|delta| issue::lists(delta, &wanted))
            }
            (Ok(()), None) => changes.is_empty(),
            (Err(error), _) => {
                // Nothing can be said about its list: it is replaced.
                tracing::warn!(crl = self.full.name, %error, "the list of the published CRL cannot be compared");
                self.full.last = None;
                false
            }
        };
        if let Some(known) = &mut inner.changes {
            *known = changes;
        }
        drop(inner);
        drop(table);
        if is_shown {
            // Who published it before had seen all that is known now.
            self.pending.take_since();
        } else {
            self.pending.note_difference(now);
        }
        self.compared = true;
    }

    /// Serves a CRL, and never gives out its number again.
    fn remember(&mut self, published: &Published, now: Timestamp) {
        self.floor = self.floor.max(Some(published.number));
        let kept = match &mut self.delta {
            Some(delta) if published.base.is_some() => delta,
            _ => &mut self.full,
        };
        let fresh_until = kept.schedule.due(Some(published.window), None, now);
        let topic = format!("write {}", kept.name);
        let shelf = &self.means.shelf;
        let (result, summary) = if self.is_standby {
            (shelf.follow(&kept.name, published, fresh_until), "what is published cannot be read")
        } else {
            (shelf.show(&kept.name, published, fresh_until), "the PEM form of a CRL could not be written")
        };
        kept.is_unshown = result.is_err();
        match result {
            Ok(()) => self.means.alarms.clear(&topic),
            Err(error) => self.means.alarms.raise(&topic, summary, error),
        }
    }

    /// Tries again what could not be written beside the CRL.
    fn show_again(&mut self, now: Timestamp) {
        let all = std::iter::once(&self.full).chain(&self.delta).filter(|kept| kept.is_unshown);
        for published in all.filter_map(|kept| kept.last.clone()).collect::<Vec<_>>() {
            self.remember(&published, now);
        }
    }

    /// Nothing is due.
    fn rest(&mut self) {
        self.failures = 0;
        self.pause_until = None;
        self.means.alarms.clear(&self.topic("sign"));
    }

    fn failed(&mut self, error: &SignError, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        self.pause_until = Some(now.saturating_add(pause(self.failures).as_secs()));
        self.result = Some((now, Some(error.to_string())));
        self.means.alarms.raise(&self.topic("sign"), "a due CRL could not be published", error);
    }

    fn check_age(&self, now: Timestamp) {
        for kept in std::iter::once(&self.full).chain(&self.delta) {
            let topic = format!("crl {}", kept.name);
            let alarms = &self.means.alarms;
            let Some(last) = &kept.last else {
                alarms.raise(&topic, "there is no CRL", self.means.shelf.path(&kept.name).display());
                continue;
            };
            let due = kept.due(None, now);
            if let Some((summary, what)) = age::fault(last.window, kept.renew_by(last.window), now) {
                alarms.raise(&topic, summary, format!("{what}; the next was due on {due}"));
            } else if due.saturating_add(LATE) < now {
                let what = format!("it was due on {due} and ends on {}", last.window.next_update);
                alarms.raise(&topic, "the next CRL is late", what);
            } else {
                alarms.clear(&topic);
            }
        }
    }

    /// Says in alarms how old its published CRLs are, for `--check`: nothing is signed, served or
    /// written. What is late is none: a start would make it good.
    pub fn survey(&mut self, told: Option<&Told>) {
        let Means { shelf, clock, alarms, .. } = &self.means;
        for kept in std::iter::once(&self.full).chain(&self.delta) {
            let path = shelf.path(&kept.name);
            age::survey((&path, &kept.name), told, |window| kept.renew_by(window), clock.now(), alarms);
        }
        if let Some(retired) = &mut self.retired {
            retired.survey(&self.means, clock.now());
        }
    }

    fn topic(&self, what: &str) -> String {
        format!("{what} {}", self.plan.name)
    }

    /// The published files, which are watched.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let all = std::iter::once(&self.full).chain(&self.delta);
        all.map(|kept| self.means.shelf.path(&kept.name)).collect()
    }
}
