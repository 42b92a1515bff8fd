//! When a CRL is due: arithmetic only, no clock.

mod calendar;
mod file;
#[cfg(test)]
mod tests;

use ca_domain::Timestamp;
use ca_service::Span;
use sha2::{Digest, Sha256};

pub use calendar::Calendar;
pub use file::{ScheduleFile, Usual};

/// A thisUpdate further ahead than this means that a clock was wrong.
const AHEAD: u64 = 300;
/// S/MIME BR, section 4.9.7, for CRLs of people's certificates: nextUpdate is not later than this after
/// thisUpdate, and the next CRL is issued within the other.
const NORM: (Span, Span) = (Span::days(10), Span::days(7));
/// The pause after a failure doubles up to this.
const LONGEST_PAUSE: u64 = 60;

/// What a scheduled CRL follows.
#[derive(Clone, Debug)]
pub enum Rhythm {
    /// So long after the one before.
    Every(Span),
    /// At fixed times.
    At(Calendar),
}

/// When the CRLs of an authority are signed, and for how long. It comes from a
/// [`ScheduleFile`], so that its times fit each other.
#[derive(Clone, Debug)]
pub struct Schedule {
    validity: Span,
    rhythm: Rhythm,
    jitter: Span,
    overlap: Span,
    backdate: Span,
    after_revocation: Option<Span>,
    min_interval: Span,
    margin: Span,
    /// Whose jitter it is.
    list: String,
}

/// The times of a CRL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// Its thisUpdate.
    pub this_update: Timestamp,
    /// Its nextUpdate.
    pub next_update: Timestamp,
}

impl Schedule {
    /// The same for the CRL of this name, whose jitter differs from that of others.
    #[must_use]
    pub fn for_list(&self, name: &str) -> Self {
        Self { list: name.to_owned(), ..self.clone() }
    }

    /// nextUpdate less thisUpdate.
    #[must_use]
    pub const fn validity(&self) -> Span {
        self.validity
    }

    /// The next CRL is out this long before the old one ends, at the latest.
    #[must_use]
    pub const fn overlap(&self) -> Span {
        self.overlap
    }

    /// thisUpdate lies this far back, for clients whose clocks are slow.
    #[must_use]
    pub const fn backdate(&self) -> Span {
        self.backdate
    }

    /// From a change of status to the CRL that shows it; none waits for the schedule.
    #[must_use]
    pub const fn after_revocation(&self) -> Option<Span> {
        self.after_revocation
    }

    /// It is an alarm when a CRL is not renewed and has only this time left.
    #[must_use]
    pub const fn margin(&self) -> Span {
        self.margin
    }

    /// What the S/MIME Baseline Requirements do not allow, if the CRLs are of people's certificates.
    #[must_use]
    pub fn beyond_norm(&self) -> Option<String> {
        let (validity, apart) = NORM;
        let period = match &self.rhythm {
            Rhythm::Every(interval) => *interval,
            Rhythm::At(calendar) => calendar.longest_gap().unwrap_or_default(),
        };
        if self.validity > validity {
            Some(format!("they are valid for {}, and {validity} is the limit", self.validity))
        } else if period > apart {
            Some(format!("up to {period} pass from one to the next, and {apart} is the limit"))
        } else {
            None
        }
    }

    /// The times of a CRL that is signed at `now`.
    #[must_use]
    pub fn window(&self, now: Timestamp) -> Window {
        let this_update = now.saturating_sub(self.backdate.as_secs());
        Window { this_update, next_update: this_update.saturating_add(self.validity.as_secs()) }
    }

    /// When the next CRL is due: now, if the result is not later than `now`.
    ///
    /// `last` is the published CRL, `changed` the time of the first change of
    /// status that it does not show. Further changes do not put the time off. A run
    /// that was missed is due at once.
    #[must_use]
    pub fn due(&self, last: Option<Window>, changed: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let Some(last) = last else { return now };
        if last.this_update > now.saturating_add(AHEAD) {
            // Signed by a clock that ran ahead: clients refuse it until then.
            return now;
        }
        let signed = last.this_update.saturating_add(self.backdate.as_secs());
        let by_overlap = last.next_update.saturating_sub(self.overlap.as_secs());
        let scheduled = self.next_run(signed).min(by_overlap);
        match (changed, self.after_revocation) {
            (Some(changed), Some(after)) => {
                let soon = changed.saturating_add(after.as_secs());
                let apart = match self.min_interval.as_secs() {
                    // One that was signed elsewhere may have another backdate: it keeps nothing waiting.
                    0 => soon,
                    seconds => signed.saturating_add(seconds),
                };
                scheduled.min(soon.max(apart))
            }
            _ => scheduled,
        }
    }

    /// The first run after a CRL that was signed then.
    fn next_run(&self, signed: Timestamp) -> Timestamp {
        let (run, period) = match &self.rhythm {
            Rhythm::Every(interval) => (signed.saturating_add(interval.as_secs()), signed),
            Rhythm::At(calendar) => {
                let run = calendar.next(signed);
                (run, run)
            }
        };
        run.saturating_add(self.jitter_of(period))
    }

    /// Seconds by which the run of a period is late, from 0 to the jitter; a restart
    /// finds the same.
    fn jitter_of(&self, period: Timestamp) -> u64 {
        if self.jitter.as_secs() == 0 {
            return 0;
        }
        let digest = Sha256::new().chain_update(period.as_unix().to_be_bytes()).chain_update(&self.list);
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(digest.finalize());
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) % (self.jitter.as_secs() + 1)
    }
}

/// How long to wait after so many failures in a row.
#[must_use]
pub fn pause(failures: u32) -> Span {
    Span::seconds(1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX).min(LONGEST_PAUSE))
}
