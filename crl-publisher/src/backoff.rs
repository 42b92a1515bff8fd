//! How long to wait after a failure.

use ca_service::Span;

/// The first pause.
const FIRST: u64 = 5;

/// Pauses that double up to a limit, each shortened at random by up to a half, so that
/// many publishers do not come back to a server in the same moment.
pub struct Backoff {
    longest: Span,
    random: Box<dyn FnMut() -> u32 + Send>,
}

impl Backoff {
    /// Pauses of at most `longest`, with numbers that `random` draws.
    #[must_use]
    pub fn new(longest: Span, random: Box<dyn FnMut() -> u32 + Send>) -> Self {
        Self { longest, random }
    }

    /// With numbers of the operating system.
    #[must_use]
    pub fn system(longest: Span) -> Self {
        // Without randomness the pause is as long as it may be.
        Self::new(longest, Box::new(|| getrandom::u32().unwrap_or(u32::MAX)))
    }

    /// The pause after so many failures in a row.
    pub fn pause(&mut self, failures: u32) -> Span {
        let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(32));
        let most = doubled.min(self.longest.as_secs()).max(1);
        let least = most.div_ceil(2);
        let share = (most - least) * u64::from((self.random)()) / u64::from(u32::MAX);
        Span::seconds(least + share)
    }

    /// The longest pause.
    #[must_use]
    pub const fn longest(&self) -> Span {
        self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(random: u32) -> Vec<u64> {
        let mut backoff = Backoff::new(Span::minutes(5), Box::new(move || random));
        [1, 2, 3, 7, 8, 1000, u32::MAX].map(|failures| backoff.pause(failures).as_secs()).to_vec()
    }

    #[test]
    fn doubles_up_to_the_limit_and_is_shortened_by_half_at_most() {
        assert_eq!(pauses(u32::MAX), [5, 10, 20, 300, 300, 300, 300]);
        assert_eq!(pauses(0), [3, 5, 10, 150, 150, 150, 150]);
        let middle = pauses(u32::MAX / 2);
        assert!(middle[0] >= 3 && middle[3] > 150 && middle[3] < 300, "{middle:?}");
    }
}
