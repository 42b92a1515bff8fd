//! How many answers one source may have signed for itself alone.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Sources remembered at once; more share one allowance.
const SOURCES: usize = 65_536;

/// A rate a source. An address of IPv6 counts as its /64: its holder has 2^64 of them.
///
/// Each source has an allowance that fills at the rate and holds one burst (the
/// generic cell rate algorithm: kept is when the allowance will be full again).
#[derive(Debug)]
pub struct RateLimit {
    /// Between two answers in the long run.
    interval: Duration,
    /// How much earlier than that answers may come.
    tolerance: Duration,
    sources: Mutex<HashMap<Source, Instant>>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Source {
    V4([u8; 4]),
    V6([u8; 8]),
    /// Everybody beyond [`SOURCES`].
    Other,
}

impl RateLimit {
    /// `per_second` answers, and `burst` at once; none if the rate is zero,
    /// which means no limit.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Option<Self> {
        let interval = Duration::from_secs(1).checked_div(per_second)?;
        let tolerance = interval * burst.saturating_sub(1);
        Some(Self { interval, tolerance, sources: Mutex::default() })
    }

    /// Whether one more answer for `address` is within its rate at `now`; counts it if so.
    pub fn allows(&self, address: IpAddr, now: Instant) -> bool {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let mut source = Source::of(address);
        if sources.len() >= SOURCES && !sources.contains_key(&source) {
            // Whose allowance is full again need not be remembered.
            sources.retain(|_, full_at| *full_at > now);
            if sources.len() >= SOURCES {
                source = Source::Other;
            }
        }
        let full_at = sources.get(&source).copied().unwrap_or(now).max(now);
        let allowed = full_at.duration_since(now) <= self.tolerance;
        if allowed {
            sources.insert(source, full_at + self.interval);
        }
        allowed
    }
}

impl Source {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn allowed(limit: &RateLimit, from: &str, now: Instant, tries: usize) -> usize {
        (0..tries).filter(|_| limit.allows(address(from), now)).count()
    }

    #[test]
    fn a_burst_then_the_rate() {
        let limit = RateLimit::new(10, 5).unwrap();
        let start = Instant::now();
        assert_eq!(allowed(&limit, "192.0.2.1", start, 100), 5);
        assert_eq!(allowed(&limit, "192.0.2.1", start + Duration::from_millis(200), 100), 2);
        assert_eq!(allowed(&limit, "192.0.2.1", start + Duration::from_secs(60), 100), 5);
        assert!(RateLimit::new(0, 5).is_none());
    }

    #[test]
    fn each_source_has_its_own() {
        let limit = RateLimit::new(1, 1).unwrap();
        let now = Instant::now();
        for from in ["192.0.2.1", "192.0.2.2", "2001:db8:0:1::1", "2001:db8:0:2::1"] {
            assert_eq!(allowed(&limit, from, now, 3), 1, "{from}");
        }
        assert_eq!(allowed(&limit, "::ffff:192.0.2.1", now, 3), 0, "the same as 192.0.2.1");
        assert_eq!(allowed(&limit, "2001:db8:0:1:ffff::7", now, 3), 0, "the same /64");
    }

    #[test]
    fn it_remembers_no_more_than_it_may() {
        let limit = RateLimit::new(1, 1).unwrap();
        let now = Instant::now();
        for n in 0..70_000_u32 {
            limit.allows(IpAddr::from(n.to_be_bytes()), now);
        }
        let known = |limit: &RateLimit| limit.sources.lock().unwrap().len();
        assert!(known(&limit) <= SOURCES + 1);
        assert!(!limit.allows(address("203.0.113.9"), now), "the rest shares one allowance");
        assert!(limit.allows(address("203.0.113.9"), now + Duration::from_secs(2)));
        assert!(known(&limit) < 10, "whoever has waited is forgotten");
    }
}
