//! When a CRL is due: arithmetic only, no clock.

use ca_domain::Timestamp;
use ca_service::Span;

/// A CRL for longer than this is a slip of the pen; even those of roots, for
/// certificates of CAs, live twelve months at most.
const LONGEST: Span = Span::days(366);
/// As far as AD CS goes: a longer overlap helps nobody.
const MOST_OVERLAP: Span = Span::hours(12);
/// Covers the slow clocks that are about.
const USUAL_BACKDATE: Span = Span::minutes(5);
/// A thisUpdate further ahead than this means that a clock was wrong.
const AHEAD: u64 = 300;
/// The pause after a failure doubles up to this.
const LONGEST_PAUSE: u64 = 60;

/// When the CRLs of an authority are signed, and for how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Schedule {
    /// nextUpdate less thisUpdate.
    pub validity: Span,
    /// From one scheduled CRL to the next.
    pub interval: Span,
    /// The next CRL is out this long before the old one ends, at the latest.
    pub overlap: Span,
    /// thisUpdate lies this far back, for clients whose clocks are slow.
    pub backdate: Span,
    /// From a change of status to the CRL that shows it; none waits for the schedule.
    pub after_revocation: Option<Span>,
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
    /// A schedule whose times fit each other. Without an overlap it is a tenth
    /// of the validity, twelve hours at most; the usual backdating is five minutes.
    ///
    /// # Errors
    /// What does not fit, and what would.
    pub fn new(
        validity: Span,
        interval: Span,
        overlap: Option<Span>,
        backdate: Option<Span>,
        after_revocation: Option<Span>,
    ) -> Result<Self, String> {
        if validity > LONGEST {
            return Err(format!("validity: {validity} is too long, {LONGEST} is the limit"));
        }
        if interval.as_secs() == 0 || interval >= validity {
            return Err(format!("interval: it must be shorter than the validity of {validity}"));
        }
        let room = Span::seconds(validity.as_secs() - interval.as_secs());
        let backdate = backdate.unwrap_or(USUAL_BACKDATE.min(Span::seconds(room.as_secs() / 4)));
        let rest = Span::seconds(room.as_secs().saturating_sub(backdate.as_secs()));
        let usual = Span::seconds(validity.as_secs() / 10).min(MOST_OVERLAP).min(rest);
        let overlap = overlap.unwrap_or(usual);
        if overlap > room {
            return Err(format!("overlap: with interval {interval} and validity {validity} at most {room}"));
        }
        if backdate.as_secs().saturating_add(overlap.as_secs()) > room.as_secs() {
            return Err(format!(
                "backdate: {backdate} leaves no room for interval and overlap in {validity}"
            ));
        }
        if after_revocation.is_some_and(|after| after > interval) {
            return Err(format!(
                "after_revocation: longer than the interval of {interval}; write off instead"
            ));
        }
        Ok(Self { validity, interval, overlap, backdate, after_revocation })
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
    /// status that it does not show. Further changes do not put the time off.
    #[must_use]
    pub fn due(&self, last: Option<Window>, changed: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let Some(last) = last else { return now };
        if last.this_update > now.saturating_add(AHEAD) {
            // Signed by a clock that ran ahead: clients refuse it until then.
            return now;
        }
        let by_interval =
            last.this_update.saturating_add(self.backdate.as_secs()).saturating_add(self.interval.as_secs());
        let by_overlap = last.next_update.saturating_sub(self.overlap.as_secs());
        let scheduled = by_interval.min(by_overlap);
        match (changed, self.after_revocation) {
            (Some(changed), Some(after)) => scheduled.min(changed.saturating_add(after.as_secs())),
            _ => scheduled,
        }
    }
}

/// How long to wait after so many failures in a row.
#[must_use]
pub fn pause(failures: u32) -> Span {
    Span::seconds(1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX).min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(1_800_000_000 + seconds).unwrap()
    }

    fn weekly() -> Schedule {
        Schedule::new(Span::days(7), Span::days(1), None, None, Some(Span::seconds(5))).unwrap()
    }

    #[test]
    fn defaults_of_the_overlap() {
        assert_eq!(weekly().overlap, Span::hours(12));
        let day =
            Schedule::new(Span::hours(24), Span::hours(22), None, Some(Span::seconds(0)), None).unwrap();
        assert_eq!(day.overlap, Span::hours(2));
        let root = Schedule::new(Span::days(360), Span::days(90), None, None, None).unwrap();
        assert_eq!(root.overlap, Span::hours(12));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let make = |validity, interval, overlap, after| {
            Schedule::new(
                Span::hours(validity),
                Span::hours(interval),
                overlap,
                Some(Span::minutes(5)),
                after,
            )
        };
        assert!(make(24, 24, None, None).is_err());
        assert!(make(24, 0, None, None).is_err());
        assert!(make(24, 12, Some(Span::hours(13)), None).is_err());
        assert!(make(24, 12, Some(Span::hours(12)), None).is_err(), "no room to backdate");
        assert!(make(24, 12, Some(Span::hours(11)), None).is_ok());
        assert!(make(24, 12, None, Some(Span::hours(13))).is_err());
        assert!(make(24 * 400, 24, None, None).is_err());
        let tight = Schedule::new(Span::seconds(60), Span::seconds(10), None, None, None).unwrap();
        assert_eq!((tight.backdate, tight.overlap), (Span::seconds(12), Span::seconds(6)));
    }

    #[test]
    fn due_at_the_start_by_interval_by_overlap_and_after_a_change() {
        let schedule = weekly();
        let last = schedule.window(at(0));
        assert_eq!(last.next_update.seconds_since(last.this_update), 7 * 86_400);
        assert_eq!(schedule.due(None, None, at(0)), at(0));
        assert_eq!(schedule.due(Some(last), None, at(10)), at(86_400));
        assert_eq!(schedule.due(Some(last), Some(at(100)), at(100)), at(105));
        // A change just before the schedule does not put it off.
        assert_eq!(schedule.due(Some(last), Some(at(86_399)), at(86_399)), at(86_400));
        // An old CRL with another, shorter life is replaced in time.
        let short = Window { next_update: at(13 * 3_600), ..last };
        assert_eq!(schedule.due(Some(short), None, at(10)), at(3_600));
        let off = Schedule { after_revocation: None, ..schedule };
        assert_eq!(off.due(Some(last), Some(at(100)), at(100)), at(86_400));
    }

    #[test]
    fn a_clock_that_was_ahead_is_mended_at_once() {
        let schedule = weekly();
        let last = schedule.window(at(30 * 365 * 86_400));
        assert_eq!(schedule.due(Some(last), None, at(0)), at(0));
        let mended = schedule.window(at(0));
        assert!(schedule.due(Some(mended), None, at(1)) > at(1));
    }

    #[test]
    fn the_next_is_always_out_before_the_old_ends() {
        let schedule = weekly();
        let mut now = at(0);
        for _ in 0..50 {
            let last = schedule.window(now);
            let due = schedule.due(Some(last), None, now);
            assert!(due > now && due.saturating_add(schedule.overlap.as_secs()) <= last.next_update);
            now = due;
        }
    }

    #[test]
    fn pauses_grow_and_stay_short() {
        assert_eq!([1, 2, 3, 7, 100].map(|n| pause(n).as_secs()), [1, 2, 4, 60, 60]);
    }
}
