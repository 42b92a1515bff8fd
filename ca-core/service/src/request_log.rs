//! Which requests are logged, and how much of the client: little, and never so
//! many that a disk fills.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use serde::Deserialize;

/// What the configuration says about the log of requests.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct RequestLogConfig {
    /// The share of requests without an error that is logged, from 0 to 1.
    #[serde(default)]
    pub sample: f64,
    /// The share of the others, from 0 to 1.
    #[serde(default = "all")]
    pub sample_errors: f64,
    /// Lines a second, at most.
    #[serde(default = "default_lines")]
    pub max_per_second: u32,
    /// Whether the serial number asked for is logged: who has the ledger knows whose it is.
    #[serde(default)]
    pub serial: bool,
    /// What is logged of the client's address.
    #[serde(default)]
    pub client_address: ClientAddress,
}

const fn all() -> f64 {
    1.0
}
const fn default_lines() -> u32 {
    20
}

impl RequestLogConfig {
    /// Checks the shares.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), &'static str> {
        let is_share = |share: f64| (0.0..=1.0).contains(&share);
        if is_share(self.sample) && is_share(self.sample_errors) {
            Ok(())
        } else {
            Err("request_log: sample and sample_errors are shares, from 0 to 1")
        }
    }
}

/// What is logged of a client's address.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum ClientAddress {
    /// Nothing.
    #[default]
    Off,
    /// The network: 24 bits of IPv4, 48 bits of IPv6.
    Prefix,
    /// All of it.
    Full,
}

impl ClientAddress {
    /// What is logged of `address`.
    #[must_use]
    pub fn shown(self, address: IpAddr) -> Option<IpAddr> {
        match (self, address.to_canonical()) {
            (Self::Off, _) => None,
            (Self::Full, address) => Some(address),
            (Self::Prefix, IpAddr::V4(v4)) => {
                Some(Ipv4Addr::from_bits(v4.to_bits() & (u32::MAX << 8)).into())
            }
            (Self::Prefix, IpAddr::V6(v6)) => {
                Some(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 80)).into())
            }
        }
    }
}

/// Chooses the requests that are logged.
#[derive(Debug)]
pub struct Sampler {
    good: Share,
    errors: Share,
    max_per_second: u32,
    begun: Instant,
    /// The second since `begun` above, the lines in it below.
    lines: AtomicU64,
    left_out: AtomicU64,
}

impl Sampler {
    /// A sampler that chooses as `config` says.
    #[must_use]
    pub fn new(config: &RequestLogConfig) -> Self {
        Self {
            good: Share::new(config.sample),
            errors: Share::new(config.sample_errors),
            max_per_second: config.max_per_second,
            begun: Instant::now(),
            lines: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
        }
    }

    /// Whether this request is logged; with the number of lines that the limit
    /// has left out since the last one.
    pub fn choose(&self, is_error: bool) -> Option<u64> {
        let share = if is_error { &self.errors } else { &self.good };
        if !share.takes() {
            return None;
        }
        if self.has_room(self.begun.elapsed().as_secs()) {
            Some(self.left_out.swap(0, Ordering::Relaxed))
        } else {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            None
        }
    }

    fn has_room(&self, second: u64) -> bool {
        let next = |lines: u64| {
            let used = if lines >> 32 == second { lines & u64::from(u32::MAX) } else { 0 };
            (used < u64::from(self.max_per_second)).then_some((second << 32) | (used + 1))
        };
        self.lines.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

/// A share of what happens, spread evenly.
#[derive(Debug)]
struct Share {
    step: u32,
    is_all: bool,
    sum: AtomicU32,
}

impl Share {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share is from 0 to 1, and the cast saturates"
    )]
    fn new(share: f64) -> Self {
        let step = (share * (f64::from(u32::MAX) + 1.0)) as u32;
        Self { step, is_all: share >= 1.0, sum: AtomicU32::new(0) }
    }

    /// One is taken each time that the sum runs over.
    fn takes(&self) -> bool {
        if self.is_all || self.step == 0 {
            return self.is_all;
        }
        let before = self.sum.fetch_add(self.step, Ordering::Relaxed);
        before.checked_add(self.step).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(share: f64, of: u32) -> usize {
        let share = Share::new(share);
        (0..of).filter(|_| share.takes()).count()
    }

    #[test]
    fn shares_are_exact() {
        assert_eq!(taken(0.0, 1000), 0);
        assert_eq!(taken(1.0, 1000), 1000);
        assert_eq!(taken(0.25, 1000), 250);
        assert!((9..=10).contains(&taken(0.01, 1000)));
        assert!((699..=700).contains(&taken(0.7, 1000)));
    }

    #[test]
    fn no_flood_of_lines() {
        let config = RequestLogConfig {
            sample: 0.0,
            sample_errors: 1.0,
            max_per_second: 3,
            serial: false,
            client_address: ClientAddress::Off,
        };
        let sampler = Sampler::new(&config);
        assert_eq!((0..10).filter(|_| sampler.has_room(5)).count(), 3);
        assert_eq!((0..10).filter(|_| sampler.has_room(6)).count(), 3);
        assert!(sampler.choose(false).is_none());
        let mut errors = config;
        errors.max_per_second = 0;
        let closed = Sampler::new(&errors);
        assert!((0..10).all(|_| closed.choose(true).is_none()));
        assert_eq!(closed.left_out.load(Ordering::Relaxed), 10);
        errors.sample_errors = 1.5;
        assert!(errors.check().is_err());
    }

    #[test]
    fn addresses_are_cut() {
        let of = |rule: ClientAddress, text: &str| rule.shown(text.parse().unwrap()).map(|a| a.to_string());
        assert_eq!(of(ClientAddress::Off, "192.0.2.77"), None);
        assert_eq!(of(ClientAddress::Prefix, "192.0.2.77").as_deref(), Some("192.0.2.0"));
        assert_eq!(of(ClientAddress::Prefix, "::ffff:192.0.2.77").as_deref(), Some("192.0.2.0"));
        assert_eq!(of(ClientAddress::Prefix, "2001:db8:1:2::7").as_deref(), Some("2001:db8:1::"));
        assert_eq!(of(ClientAddress::Full, "2001:db8:1:2::7").as_deref(), Some("2001:db8:1:2::7"));
    }
}
