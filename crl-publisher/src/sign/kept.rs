//! What a signer remembers of one file.

use ca_domain::Timestamp;
use ca_service::watch::Fingerprint;

use crate::published::Published;
use crate::schedule::{Schedule, Window};

/// A full CRL or a delta CRL, as it was published last.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) name: String,
    pub(super) schedule: Schedule,
    pub(super) last: Option<Published>,
    /// The file that was looked at last; nothing before the first look.
    pub(super) file: Option<Option<Fingerprint>>,
    /// Whether the files that are made of it could not be written.
    pub(super) is_unshown: bool,
}

impl Kept {
    pub(super) const fn new(name: String, schedule: Schedule) -> Self {
        Self { name, schedule, last: None, file: None, is_unshown: false }
    }

    /// From when on it is an alarm that it was not renewed.
    pub(super) fn renew_by(&self, window: Window) -> Timestamp {
        window.next_update.saturating_sub(self.schedule.margin().as_secs())
    }

    /// When the next one is due, if the first change that it does not show was seen then.
    pub(super) fn due(&self, changed: Option<Timestamp>, now: Timestamp) -> Timestamp {
        self.schedule.due(self.last.as_ref().map(|last| last.window), changed, now)
    }
}
