//! Watching another process publish, and taking over from it.

use super::CrlSigner;
use super::issue::SignError;
use super::retired::Retired;
use crate::status::CrlStatus;

impl CrlSigner {
    /// Looks at what another process publishes, and serves it. Nothing is signed.
    pub fn watch(&mut self) {
        self.is_standby = true;
        let now = self.means.clock.now();
        self.look_at_files(now);
        let found = std::iter::once(&self.full).chain(&self.delta).filter_map(|kept| kept.last.clone());
        // The files made of a CRL come after it.
        for published in found.collect::<Vec<_>>() {
            self.remember(&published, now);
        }
        self.rest();
        self.check_age(now);
    }

    /// Forgets what it knows of the files: another process wrote them, and may have
    /// left something half done.
    pub fn take_over(&mut self) {
        self.is_standby = false;
        self.compared = false;
        for kept in std::iter::once(&mut self.full).chain(&mut self.delta) {
            kept.file = None;
            self.means.shelf.tidy(&kept.name);
        }
        self.retired.iter_mut().for_each(Retired::forget);
    }

    /// How its CRL and delta CRL are.
    #[must_use]
    pub fn status(&self, now: ca_domain::Timestamp) -> Vec<CrlStatus> {
        let pending_since = if self.is_standby { None } else { self.pending.since() };
        let failed = self.result.as_ref().and_then(|(_, error)| error.clone());
        // It is known before something is due.
        let no_key = || self.means.key.is_none().then(|| SignError::NoKey.to_string());
        let error = failed.or_else(no_key);
        let of = |kept: &super::Kept, kind, changed| {
            let last = kept.last.as_ref();
            CrlStatus {
                name: kept.name.clone(),
                kind,
                number: last.map(|last| last.number.to_string()),
                this_update: last.map(|last| last.window.this_update),
                next_update: last.map(|last| last.window.next_update),
                entries: last.map(|last| last.entries),
                bytes: last.map(|last| last.length),
                next_run: last.map(|_| kept.due(changed, now)),
                renew_by: last.map(|last| kept.renew_by(last.window)),
                last_run: self.result.as_ref().map(|(time, _)| *time),
                error: error.clone(),
                pending_since,
                to_do: None,
            }
        };
        let full = of(&self.full, "full", self.changed_for_full(pending_since));
        std::iter::once(full)
            .chain(self.delta.iter().map(|delta| of(delta, "delta", pending_since)))
            .chain(self.retired.iter().filter_map(|retired| retired.status(&self.means)))
            .collect()
    }
}
