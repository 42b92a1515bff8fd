//! A schedule as it is written, and whether its times fit each other.

use ca_service::Span;
use ca_service::span::SpanOrOff;
use serde::Deserialize;

use super::{Calendar, Rhythm, Schedule};

/// A CRL for longer than this is a slip of the pen; even those of roots, for
/// certificates of CAs, live twelve months at most.
const LONGEST: Span = Span::days(366);
/// As far as AD CS goes: a longer overlap helps nobody.
const MOST_OVERLAP: Span = Span::hours(12);
/// Covers the slow clocks that are about.
const USUAL_BACKDATE: Span = Span::minutes(5);

/// A schedule as it is written. What is not said has a usual value.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleFile {
    /// nextUpdate less thisUpdate.
    pub validity: Option<Span>,
    /// From one scheduled CRL to the next.
    pub interval: Option<Span>,
    /// Or: fixed times, a cron expression of five fields.
    pub at: Option<String>,
    /// The time zone of `at`, as the IANA database names it; UTC if none is said.
    pub time_zone: Option<String>,
    /// A scheduled CRL is late by up to this, each by an amount of its own.
    pub jitter: Option<Span>,
    /// The next CRL is out this long before the old one ends, at the latest.
    pub overlap: Option<Span>,
    /// thisUpdate lies this far back.
    pub backdate: Option<Span>,
    /// From a change of status to the CRL that shows it.
    pub after_revocation: Option<SpanOrOff>,
    /// Between a CRL and the next that a change of status brings about, at least.
    pub min_interval: Option<Span>,
    /// It is an alarm when a CRL is not renewed and has only this time left.
    pub margin: Option<Span>,
}

/// What holds where a file says nothing.
#[derive(Clone, Copy, Debug)]
pub struct Usual {
    /// nextUpdate less thisUpdate.
    pub validity: Span,
    /// From one scheduled CRL to the next.
    pub interval: Span,
    /// From a change of status to the CRL that shows it; none waits for the schedule.
    pub after_revocation: Option<Span>,
}

impl ScheduleFile {
    /// The schedule. Without an overlap it is a tenth of the validity, twelve hours
    /// at most; the usual backdating is five minutes, the usual margin half of the overlap.
    ///
    /// # Errors
    /// What does not fit, and what would.
    pub fn check(&self, usual: Usual) -> Result<Schedule, String> {
        let validity = self.validity.unwrap_or(usual.validity);
        if validity > LONGEST {
            return Err(format!("validity: {validity} is too long, {LONGEST} is the limit"));
        }
        let (rhythm, period, named) = self.rhythm(usual)?;
        let jitter = self.jitter.unwrap_or_default();
        let taken = period.as_secs().saturating_add(jitter.as_secs());
        if period.as_secs() == 0 || taken >= validity.as_secs() {
            let with = if jitter.as_secs() == 0 { String::new() } else { format!(" with jitter {jitter}") };
            return Err(format!(
                "{named}: up to {period}{with} from one CRL to the next; it must be shorter than the validity of \
                 {validity}"
            ));
        }
        let room = Span::seconds(validity.as_secs() - taken);
        let backdate = self.backdate.unwrap_or(USUAL_BACKDATE.min(Span::seconds(room.as_secs() / 4)));
        let rest = Span::seconds(room.as_secs().saturating_sub(backdate.as_secs()));
        let usual_overlap = Span::seconds(validity.as_secs() / 10).min(MOST_OVERLAP).min(rest);
        let overlap = self.overlap.unwrap_or(usual_overlap);
        if overlap > room {
            return Err(format!("overlap: with {named} {period} and validity {validity} at most {room}"));
        }
        if backdate.as_secs().saturating_add(overlap.as_secs()) > room.as_secs() {
            return Err(format!("backdate: {backdate} leaves no room for {named} and overlap in {validity}"));
        }
        let margin = self.margin.unwrap_or(Span::seconds(overlap.as_secs() / 2));
        if margin > overlap {
            return Err(format!("margin: longer than the overlap of {overlap}, it would be an alarm always"));
        }
        let after_revocation = self.after_revocation.map_or(usual.after_revocation, |given| given.0);
        if after_revocation.is_some_and(|after| after > period) {
            return Err(format!("after_revocation: longer than the {named} of {period}; write off instead"));
        }
        let min_interval = self.min_interval.unwrap_or_default();
        if min_interval > period {
            return Err(format!(
                "min_interval: longer than the {named} of {period}; write after_revocation: off"
            ));
        }
        Ok(Schedule {
            validity,
            rhythm,
            jitter,
            overlap,
            backdate,
            after_revocation,
            min_interval,
            margin,
            list: String::new(),
        })
    }

    /// What a CRL follows, at which distance at most, and the setting that says so.
    fn rhythm(&self, usual: Usual) -> Result<(Rhythm, Span, &'static str), String> {
        match (&self.at, self.interval, &self.time_zone) {
            (Some(_), Some(_), _) => Err("at, interval: give one of both".into()),
            (None, _, Some(_)) => Err("time_zone: it belongs to at".into()),
            (Some(at), None, zone) => {
                let calendar = Calendar::new(at, zone.as_deref())?;
                let gap = calendar.longest_gap()?;
                Ok((Rhythm::At(calendar), gap, "at"))
            }
            (None, interval, None) => {
                let interval = interval.unwrap_or(usual.interval);
                Ok((Rhythm::Every(interval), interval, "interval"))
            }
        }
    }

    /// The names of the settings that are given.
    #[must_use]
    pub fn given(&self) -> Vec<&'static str> {
        let all = [
            ("validity", self.validity.is_some()),
            ("interval", self.interval.is_some()),
            ("at", self.at.is_some()),
            ("time_zone", self.time_zone.is_some()),
            ("jitter", self.jitter.is_some()),
            ("overlap", self.overlap.is_some()),
            ("backdate", self.backdate.is_some()),
            ("after_revocation", self.after_revocation.is_some()),
            ("min_interval", self.min_interval.is_some()),
            ("margin", self.margin.is_some()),
        ];
        all.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }
}
