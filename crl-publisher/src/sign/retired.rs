//! The delta CRL of a list that is to have none any more: `delta` was switched off.
//!
//! Full CRLs name it no longer and have greater numbers, so nobody applies it to them (RFC 5280, sections
//! 5.2.4 and 6.3.3). Full CRLs from before, in caches, and certificates may name it: for them it stays
//! published until it ends. Then somebody has to remove it.

use ca_domain::Timestamp;
use ca_service::watch::Fingerprint;
use ca_status::crl::CrlNumber;

use super::Means;
use crate::lists::{DELTA_SUFFIX, ListPlan};
use crate::published::Published;
use crate::status::CrlStatus;

/// The delta CRL that a list had.
#[derive(Debug)]
pub(super) struct Retired {
    name: String,
    /// The file that was looked at last; nothing before the first look.
    file: Option<Option<Fingerprint>>,
    last: Option<Published>,
}

impl Retired {
    /// That of a list, if none is to be made.
    pub(super) fn of(plan: &ListPlan) -> Option<Self> {
        let name = format!("{}{DELTA_SUFFIX}", plan.name);
        plan.delta.is_none().then_some(Self { name, file: None, last: None })
    }

    /// Looks whether the file is there, and serves it. Its number.
    pub(super) fn look(&mut self, means: &Means, is_standby: bool, now: Timestamp) -> Option<CrlNumber> {
        let shelf = &means.shelf;
        let file = Fingerprint::of(&shelf.path(&self.name));
        if self.file != Some(file) {
            self.file = Some(file);
            // What is no delta CRL of this authority is somebody else's.
            let found = shelf.load(&self.name, &means.authority).ok().flatten();
            let found = found.filter(|published| published.base.is_some());
            match (&found, &self.last) {
                (Some(delta), _) => self.serve(delta, means, is_standby),
                (None, Some(_)) => shelf.withdraw(&self.name),
                (None, None) => {}
            }
            if found.is_none() && self.last.is_some() {
                means.alarms.clear(&self.topic());
            }
            self.last = found;
        }
        self.judge(means, now);
        self.last.as_ref().map(|last| last.number)
    }

    fn serve(&self, delta: &Published, means: &Means, is_standby: bool) {
        let (name, until) = (&self.name, delta.window.next_update);
        tracing::warn!(crl = name, %until, "`delta` is off: this delta CRL is made no more, and stays until it ends");
        let served = if is_standby {
            means.shelf.follow(name, delta, until)
        } else {
            means.shelf.show(name, delta, until)
        };
        if let Err(error) = served {
            tracing::warn!(crl = name, %error, "it cannot be served");
        }
    }

    /// Says in an alarm if it has ended and is still there, for `--check`, too.
    pub(super) fn survey(&mut self, means: &Means, now: Timestamp) {
        let found = means.shelf.load(&self.name, &means.authority).ok().flatten();
        self.last = found.filter(|published| published.base.is_some());
        self.judge(means, now);
    }

    fn judge(&self, means: &Means, now: Timestamp) {
        let Some(until) = self.last.as_ref().map(|last| last.window.next_update) else { return };
        if until <= now {
            let what = format!("it ended on {until}; {}", self.to_do(means));
            means.alarms.raise(&self.topic(), "a delta CRL that is made no more has ended", what);
        } else {
            means.alarms.clear(&self.topic());
        }
    }

    fn to_do(&self, means: &Means) -> String {
        let path = means.shelf.path(&self.name);
        format!(
            "`delta` is off, so it is made no more: take `freshest_crl` out of the templates, and once it has ended remove \
             {} (and .pem) and what targets have of it; or set `delta` again",
            path.display()
        )
    }

    fn topic(&self) -> String {
        format!("crl {}", self.name)
    }

    /// Forgets what it knows of the file.
    pub(super) fn forget(&mut self) {
        self.file = None;
    }

    /// How it is, if it is there.
    pub(super) fn status(&self, means: &Means) -> Option<CrlStatus> {
        let last = self.last.as_ref()?;
        Some(CrlStatus {
            name: self.name.clone(),
            kind: "delta",
            number: Some(last.number.to_string()),
            this_update: Some(last.window.this_update),
            next_update: Some(last.window.next_update),
            entries: Some(last.entries),
            bytes: Some(last.length),
            to_do: Some(self.to_do(means)),
            ..CrlStatus::default()
        })
    }
}
