//! How long something lasts, and when that must be said.

use ca_domain::Timestamp;
use ca_service::Span;

const WEEK: u64 = 7 * 86_400;

/// The first and the last second in which something may be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Life {
    /// The first second.
    pub from: Timestamp,
    /// The last second.
    pub to: Timestamp,
}

impl Life {
    fn length(self) -> u64 {
        self.to.seconds_since(self.from)
    }

    /// When the successor is asked for: at half of the life, so that the authority
    /// has a sixth of it before two thirds are used.
    #[must_use]
    pub fn half(self) -> Timestamp {
        self.from.saturating_add(self.length() / 2)
    }

    /// When there is an alarm if no successor has come: `configured` before the
    /// end, or else a third of the life, and at least a week where that leaves
    /// time for the successor. Never before [`Life::half`].
    #[must_use]
    pub fn warning(self, configured: Option<Span>) -> Timestamp {
        let length = self.length();
        let before = match configured {
            Some(span) => span.as_secs().min(length / 2),
            None => (length / 3).max(WEEK.min(length * 2 / 5)),
        };
        self.to.saturating_sub(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alarm_comes_long_before_the_end_and_after_the_request() {
        let from = Timestamp::from_unix(1_800_000_000).unwrap();
        for (days, before) in [(90, 30 * 24), (30, 10 * 24), (20, 7 * 24), (10, 4 * 24), (1, 9)] {
            let life = Life { from, to: from.saturating_add(days * 86_400) };
            let left = life.to.seconds_since(life.warning(None));
            assert_eq!(left / 3_600, before, "{days} days");
            assert!(life.half() < life.warning(None));
            assert!(life.half() <= life.warning(Some(Span::days(365))));
        }
        let life = Life { from, to: from.saturating_add(90 * 86_400) };
        assert_eq!(life.to.seconds_since(life.warning(Some(Span::days(3)))), 3 * 86_400);
    }
}
