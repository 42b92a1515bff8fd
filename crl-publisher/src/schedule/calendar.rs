//! Fixed times of the day, week or month in a time zone.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ca_domain::Timestamp;
use ca_service::Span;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Zoned;
use jiff::tz::TimeZone;

/// Where the times are sampled from: any day does.
const SAMPLED_FROM: i64 = 1_767_225_600;
/// So many times are sampled, over so many seconds at most.
const SAMPLES: usize = 400;
const SAMPLED_FOR: u64 = 5 * 366 * 86_400;

/// The times that a cron expression of five fields names: minute, hour, day of the
/// month, month, day of the week.
///
/// A fixed time that the clocks of the zone skip in spring is the first moment after the gap;
/// one that comes twice in autumn is the first.
pub struct Calendar {
    cron: Arc<Cron>,
    zone: TimeZone,
    text: String,
    /// What was asked last: a tick asks the same many times.
    memo: Mutex<Option<(Timestamp, Timestamp)>>,
}

impl Calendar {
    /// Reads an expression for a zone of the IANA database; without one it is UTC.
    ///
    /// # Errors
    /// Which of both cannot be used, and why.
    pub fn new(at: &str, zone: Option<&str>) -> Result<Self, String> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(at).map_err(|error| {
            format!(
                "at: {at:?} is not minute, hour, day of the month, month and day of the week: {error}; \
                 write for example \"30 2 * * *\""
            )
        })?;
        let zone_name = zone.unwrap_or("UTC");
        let zone = TimeZone::get(zone_name)
            .map_err(|error| format!("time_zone: {error}; write for example Europe/Berlin"))?;
        let text = format!("{at} {zone_name}");
        Ok(Self { cron: Arc::new(cron), zone, text, memo: Mutex::default() })
    }

    /// The first time after `then`; the end of time if there is none.
    #[must_use]
    pub fn next(&self, then: Timestamp) -> Timestamp {
        let mut memo = self.memo.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked, found)) = *memo
            && asked == then
        {
            return found;
        }
        let found = self.find(then).unwrap_or(Timestamp::MAX);
        *memo = Some((then, found));
        found
    }

    fn find(&self, then: Timestamp) -> Option<Timestamp> {
        let seconds = i64::try_from(then.as_unix()).ok()?;
        let from = jiff::Timestamp::from_second(seconds).ok()?.to_zoned(self.zone.clone());
        let found: Zoned = self.cron.find_next_occurrence(&from, false).ok()?;
        // Never again what was found before, whatever the clocks of the zone do.
        let found = u64::try_from(found.timestamp().as_second()).ok()?;
        Timestamp::from_unix(found).ok().filter(|found| *found > then)
    }

    /// The longest time between two, in a sample of at least some weeks.
    ///
    /// # Errors
    /// It names less than two times in five years.
    pub fn longest_gap(&self) -> Result<Span, String> {
        let start = u64::try_from(SAMPLED_FROM).ok().and_then(|start| Timestamp::from_unix(start).ok());
        let mut last = self.next(start.unwrap_or(Timestamp::EPOCH));
        let end = last.saturating_add(SAMPLED_FOR);
        let mut longest = 0;
        for _ in 0..SAMPLES {
            let next = self.next(last);
            if next > end {
                break;
            }
            longest = longest.max(next.seconds_since(last));
            last = next;
        }
        match longest {
            0 => Err(format!("at: {:?} hardly ever comes", self.text)),
            longest => Ok(Span::seconds(longest)),
        }
    }
}

impl Clone for Calendar {
    fn clone(&self) -> Self {
        let Self { cron, zone, text, .. } = self;
        Self { cron: cron.clone(), zone: zone.clone(), text: text.clone(), memo: Mutex::default() }
    }
}

impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Calendar").field(&self.text).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times after `from`, in UTC.
    fn times(at: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let calendar = Calendar::new(at, Some(zone)).unwrap();
        let mut then = Timestamp::parse(from).unwrap();
        (0..count)
            .map(|_| {
                then = calendar.next(then);
                then.to_string()
            })
            .collect()
    }

    #[test]
    fn lists_ranges_steps_and_names() {
        assert_eq!(
            times("*/20 6-7,22 * * MON-FRI", "UTC", "2026-11-27T06:30:00Z", 5),
            [
                "2026-11-27T06:40:00Z",
                "2026-11-27T07:00:00Z",
                "2026-11-27T07:20:00Z",
                "2026-11-27T07:40:00Z",
                "2026-11-27T22:00:00Z"
            ]
        );
        assert_eq!(
            times("0 4 1 JAN,JUL *", "UTC", "2026-11-27T06:30:00Z", 2),
            ["2027-01-01T04:00:00Z", "2027-07-01T04:00:00Z"]
        );
    }

    #[test]
    fn summer_time_in_berlin() {
        // The clocks skip from 2 to 3 on 28 March, and go from 3 back to 2 on 31 October 2027.
        assert_eq!(
            times("30 2 * * *", "Europe/Berlin", "2027-03-26T12:00:00Z", 3),
            ["2027-03-27T01:30:00Z", "2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"]
        );
        assert_eq!(
            times("30 2 * * *", "Europe/Berlin", "2027-10-29T12:00:00Z", 3),
            ["2027-10-30T00:30:00Z", "2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z"]
        );
        assert_eq!(
            times("0 * * * *", "Europe/Berlin", "2027-03-28T00:00:00Z", 2),
            ["2027-03-28T01:00:00Z", "2027-03-28T02:00:00Z"]
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let refused = |at: &str, zone: Option<&str>| Calendar::new(at, zone).unwrap_err();
        for at in ["", "* * * *", "* * * * * *", "60 * * * *", "0 0 * * FREITAG", "*/0 * * * *", "-1 * * * *"]
        {
            assert!(refused(at, None).contains("at:"), "{at}");
        }
        assert!(refused("0 0 * * *", Some("Europe/Bielefeld")).contains("time_zone"));
        assert!(Calendar::new("0 0 30 2 *", None).unwrap().longest_gap().is_err());
    }

    #[test]
    fn the_longest_gap() {
        let gap = |at: &str, zone| Calendar::new(at, Some(zone)).unwrap().longest_gap().unwrap();
        assert_eq!(gap("0 0 * * *", "UTC"), Span::days(1));
        assert_eq!(gap("0 4 * * *", "Europe/Berlin"), Span::hours(25));
        assert_eq!(gap("0 4 * * 1-5", "UTC"), Span::days(3));
        assert_eq!(gap("0 4 1 */3 *", "UTC"), Span::days(92));
    }
}
