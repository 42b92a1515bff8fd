//! Lengths of time as people write them: `5s`, `90m`, `24h`, `8d`, `2w`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// A whole number of seconds.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Span(u64);

const UNITS: [(char, u64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
/// A century: beyond it is a slip of the pen, and sums stay far from overflow.
const LONGEST: u64 = 100 * 366 * 86_400;

impl Span {
    /// So many seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// So many minutes.
    #[must_use]
    pub const fn minutes(minutes: u64) -> Self {
        Self(minutes * 60)
    }

    /// So many hours.
    #[must_use]
    pub const fn hours(hours: u64) -> Self {
        Self(hours * 3_600)
    }

    /// So many days of 24 hours.
    #[must_use]
    pub const fn days(days: u64) -> Self {
        Self(days * 86_400)
    }

    /// Its seconds.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// The same for the standard library.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

/// Text that is not a length of time.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not a length of time; write a whole number and a unit, as in 5s, 90m, 24h, 8d or 2w")]
pub struct SpanError(String);

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let refuse = || SpanError(text.chars().take(40).collect());
        let unit = text.chars().next_back().ok_or_else(refuse)?;
        let (_, seconds) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(refuse)?;
        let number = text.strip_suffix(unit).unwrap_or_default();
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(refuse());
        }
        let number: u64 = number.parse().map_err(|_| refuse())?;
        let total = number.checked_mul(seconds).filter(|total| *total <= LONGEST).ok_or_else(refuse)?;
        Ok(Self(total))
    }
}

/// With the largest unit that divides it.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, seconds) =
            UNITS.into_iter().find(|(_, s)| self.0 != 0 && self.0.is_multiple_of(*s)).unwrap_or(('s', 1));
        write!(f, "{}{unit}", self.0 / seconds)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A length of time, or the word `off`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SpanOrOff(pub Option<Span>);

impl<'de> Deserialize<'de> for SpanOrOff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "off" {
            return Ok(Self(None));
        }
        text.parse()
            .map(|span| Self(Some(span)))
            .map_err(|error: SpanError| serde::de::Error::custom(format!("{error}, or off")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_units_and_refuses_the_rest() {
        for (text, seconds) in
            [("0s", 0), ("5s", 5), ("90m", 5_400), ("24h", 86_400), ("8d", 691_200), ("2w", 1_209_600)]
        {
            assert_eq!(text.parse::<Span>().unwrap().as_secs(), seconds, "{text}");
        }
        for text in
            ["", "5", "s", "-5s", "+5s", "1.5h", "5 s", "5S", "99999999999999999999d", "200000d", "5ß"]
        {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn shows_the_largest_unit() {
        for text in ["0s", "5s", "90m", "8d", "2w", "1h"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        assert_eq!(Span::hours(24).to_string(), "1d");
    }
}
