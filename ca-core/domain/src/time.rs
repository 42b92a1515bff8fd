//! Points in time with the resolution of certificates: whole seconds, UTC.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use der::DateTime;
use der::asn1::{GeneralizedTime, UtcTime};
use serde::{Deserialize, Serialize};
use x509_cert::time::Time;

/// Seconds since 1970-01-01T00:00:00Z.
///
/// The earliest value is the epoch; the latest is 9999-12-31T23:59:59Z, the
/// last that GeneralizedTime can carry (RFC 5280, section 4.1.2.5.2).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

/// A time that certificates cannot carry.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TimeError {
    /// Before 1970 or after 9999.
    #[error("the time is outside 1970-01-01 to 9999-12-31; check the system clock")]
    OutOfRange,
    /// Text that is not an RFC 3339 UTC time or a date.
    #[error("not a time: write it as 2026-11-23T08:00:00Z or 2026-11-23")]
    Syntax,
}

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// 9999-12-31T23:59:59Z.
    pub const MAX: Self = Self(253_402_300_799);

    /// The time `seconds` after the epoch.
    ///
    /// # Errors
    /// [`TimeError::OutOfRange`] after the year 9999.
    pub const fn from_unix(seconds: u64) -> Result<Self, TimeError> {
        if seconds > Self::MAX.0 { Err(TimeError::OutOfRange) } else { Ok(Self(seconds)) }
    }

    /// Reads `2026-11-23T08:00:00Z`, or `2026-11-23` as its first second.
    ///
    /// # Errors
    /// [`TimeError::Syntax`] for any other text.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let full = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
        let date: DateTime = full.parse().map_err(|_| TimeError::Syntax)?;
        Self::from_unix(date.unix_duration().as_secs())
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn as_unix(self) -> u64 {
        self.0
    }

    /// This time plus `seconds`, at most [`Timestamp::MAX`].
    #[must_use]
    pub const fn saturating_add(self, seconds: u64) -> Self {
        let sum = self.0.saturating_add(seconds);
        if sum > Self::MAX.0 { Self::MAX } else { Self(sum) }
    }

    /// This time less `seconds`, at least the epoch.
    #[must_use]
    pub const fn saturating_sub(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }

    /// Seconds from `earlier` to this time; zero if `earlier` is later.
    #[must_use]
    pub const fn seconds_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The broken-down time.
    #[must_use]
    pub fn date_time(self) -> DateTime {
        // Every value of the type is in DateTime's range.
        DateTime::from_unix_duration(Duration::from_secs(self.0)).unwrap_or(DateTime::INFINITY)
    }

    /// UTCTime up to 2049, GeneralizedTime from 2050 (RFC 5280, section 4.1.2.5).
    #[must_use]
    pub fn to_x509(self) -> Time {
        match UtcTime::from_date_time(self.date_time()) {
            Ok(utc) => Time::UtcTime(utc),
            Err(_) => Time::GeneralTime(self.to_generalized()),
        }
    }

    /// GeneralizedTime without fractional seconds.
    #[must_use]
    pub fn to_generalized(self) -> GeneralizedTime {
        GeneralizedTime::from_date_time(self.date_time())
    }
}

impl From<Time> for Timestamp {
    fn from(time: Time) -> Self {
        Self(time.to_unix_duration().as_secs())
    }
}

impl From<GeneralizedTime> for Timestamp {
    fn from(time: GeneralizedTime) -> Self {
        Self(time.to_unix_duration().as_secs())
    }
}

impl TryFrom<SystemTime> for Timestamp {
    type Error = TimeError;

    fn try_from(time: SystemTime) -> Result<Self, TimeError> {
        let since = time.duration_since(UNIX_EPOCH).map_err(|_| TimeError::OutOfRange)?;
        Self::from_unix(since.as_secs())
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_secs(time.0)
    }
}

/// RFC 3339 in UTC: `2026-11-23T08:00:00Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.date_time(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc_time_ends_with_2049() {
        let last = Timestamp::parse("2049-12-31T23:59:59Z").unwrap();
        assert!(matches!(last.to_x509(), Time::UtcTime(_)));
        assert!(matches!(last.saturating_add(1).to_x509(), Time::GeneralTime(_)));
        assert_eq!(Timestamp::from(last.to_x509()), last);
    }

    #[test]
    fn text_round_trips() {
        let time = Timestamp::parse("2026-11-23T08:00:07Z").unwrap();
        assert_eq!(time.to_string(), "2026-11-23T08:00:07Z");
        assert_eq!(Timestamp::parse("2026-11-23").unwrap().to_string(), "2026-11-23T00:00:00Z");
        assert_eq!(Timestamp::parse("tomorrow"), Err(TimeError::Syntax));
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(Timestamp::MAX.saturating_add(1), Timestamp::MAX);
    }
}
