//! Signing one CRL, full or delta, and publishing it.

use ca_domain::Timestamp;
use ca_service::Trust;
use ca_service::watch::Fingerprint;
use ca_status::crl::{CrlNumber, CrlParams, CrlScope, next_number, write_crl};
use ca_status::{RevokedEntry, StatusError};

use super::{CrlSigner, Means};
use crate::published::Published;
use crate::schedule::{Schedule, Window};
use crate::shelf::PublishError;

/// Why no CRL was signed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignError {
    #[error("the key cannot be opened, see its own alarm")]
    NoKey,
    #[error("the authority's certificate is valid from {0} to {1}, it signs nothing now")]
    AuthorityNotValid(Timestamp, Timestamp),
    #[error("the ledger cannot be trusted now ({0:?}), see its own alarm")]
    Ledger(Trust),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Status(#[from] StatusError),
}

impl CrlSigner {
    /// Signs and publishes a full CRL.
    pub(super) fn issue_full(&mut self, now: Timestamp) -> Result<(), SignError> {
        let last = self.full.last.as_ref();
        let mut params = self.params(&self.plan.schedule, None, now)?;
        params.scope = match self.plan.scope {
            // It stays what it was, or clients would take it for another CRL.
            CrlScope::All => last.map(|last| last.frame.scope()).transpose()?.flatten(),
            _ => self.plan.scope.point(self.plan.url.as_deref())?,
        };
        params.freshest = self.plan.delta.iter().map(|delta| delta.url.clone()).collect();
        let previous = last.map(|last| last.window.this_update);
        let Means { authority, view, shelf, .. } = &self.means;
        let key = self.means.key.as_deref().ok_or(SignError::NoKey)?;
        let mut position = 0;
        let published = shelf.issue(&self.plan.name, authority, last, now, |out| {
            let table = view.read();
            position = table.next_index();
            let revoked = table.revoked_in(&authority.key_id, &self.plan.scope, previous);
            write_crl(&params, revoked, key, out)
        })?;
        if let Some(changes) = &mut self.pending.lock().changes {
            changes.forget_before(position);
        }
        self.full.file = Some(Fingerprint::of(&shelf.path(&self.plan.name)));
        self.full.last = Some(published.clone());
        self.succeeded(&published, now);
        Ok(())
    }

    /// Signs and publishes a delta CRL, with the number of the full CRL that was
    /// signed just now, if one was.
    pub(super) fn issue_delta(&mut self, number: Option<CrlNumber>, now: Timestamp) -> Result<(), SignError> {
        let (Some(delta), Some(full)) = (&self.delta, &self.full.last) else { return Ok(()) };
        let number = number.filter(|number| delta.last.as_ref().is_none_or(|last| last.number < *number));
        let mut params = self.params(&delta.schedule, number, now)?;
        params.base = Some(full.number);
        params.scope = full.frame.scope()?;
        let Means { authority, view, shelf, .. } = &self.means;
        let key = self.means.key.as_deref().ok_or(SignError::NoKey)?;
        let (name, last) = (delta.name.clone(), delta.last.as_ref());
        let published = shelf.issue(&name, authority, last, now, |out| {
            let table = view.read();
            let inner = self.pending.lock();
            let changes = inner.changes.as_ref();
            let entries = changes.map(|changes| {
                changes.entries(&table, &authority.key_id, &self.plan.scope, params.this_update)
            });
            drop(inner);
            write_crl(&params, entries.unwrap_or_default().into_iter(), key, out)
        })?;
        let file = Some(Fingerprint::of(&shelf.path(&name)));
        if let Some(delta) = &mut self.delta {
            delta.file = file;
            delta.last = Some(published.clone());
        }
        self.succeeded(&published, now);
        Ok(())
    }

    /// What both kinds say; the next number unless one is given.
    fn params(
        &self,
        schedule: &Schedule,
        number: Option<CrlNumber>,
        now: Timestamp,
    ) -> Result<CrlParams, SignError> {
        let Means { authority, view, .. } = &self.means;
        let trust = view.trust(now);
        if trust != Trust::Current {
            return Err(SignError::Ledger(trust));
        }
        if !authority.is_valid_at(now) {
            return Err(SignError::AuthorityNotValid(authority.not_before(), authority.not_after()));
        }
        let Window { this_update, next_update } = schedule.window(now);
        let number = number.map_or_else(|| next_number(this_update, self.floor), Ok)?;
        let mut params = CrlParams::for_authority(&authority.certificate, number, this_update, next_update)?;
        params.next_publish = Some(schedule.due(Some(Window { this_update, next_update }), None, now));
        Ok(params)
    }

    fn succeeded(&mut self, published: &Published, now: Timestamp) {
        self.result = Some((now, None));
        let delta = self.delta.as_ref().filter(|_| published.base.is_some());
        let name = delta.map_or(&self.full.name, |delta| &delta.name);
        tracing::info!(
            crl = name,
            number = %published.number,
            next_update = %published.window.next_update,
            bytes = published.length,
            "published a CRL"
        );
        self.means.alarms.clear(&format!("file {name}"));
        self.remember(published, now);
    }
}

/// Whether a published delta CRL lists exactly these entries.
pub(super) fn lists(delta: &Published, wanted: &[RevokedEntry]) -> bool {
    let same = |listed: Option<Result<ca_status::crl::CrlEntry, StatusError>>,
                wanted: Option<&RevokedEntry>| {
        match (listed, wanted) {
            (None, None) => true,
            // The time of a release is that of the CRL.
            (Some(Ok(listed)), Some(wanted)) => {
                (listed.serial, listed.reason) == (wanted.serial, wanted.reason)
            }
            _ => false,
        }
    };
    let Ok(mut reader) = delta.reader() else { return false };
    let Ok(mut listed) = reader.entries() else { return false };
    wanted.iter().all(|wanted| same(listed.next(), Some(wanted))) && same(listed.next(), None)
}
