//! How many connections each source has, so that none takes them all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The connections of every source that has any.
#[derive(Debug)]
pub(super) struct Sources {
    limit: usize,
    held: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection; it counts until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    sources: Arc<Sources>,
    source: IpAddr,
}

impl Sources {
    /// Each source may have `limit` connections.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, held: Mutex::default() })
    }

    /// A place for a connection from `address`; none if its source has enough.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let source = source(address);
        let mut held = self.held();
        let count = held.entry(source).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Place { sources: self.clone(), source })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.sources.held();
        if let Some(count) = held.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.source);
            }
        }
    }
}

/// The IPv4 address, or the 64 bits of an IPv6 address that one subscriber has at least.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_has_its_share() {
        let sources = Sources::new(2);
        let admit = |address: &str| sources.admit(address.parse().unwrap());
        let first = admit("192.0.2.1").unwrap();
        let _second = admit("::ffff:192.0.2.1").unwrap();
        assert!(admit("192.0.2.1").is_none());
        assert!(admit("192.0.2.2").is_some());
        let _held = [admit("2001:db8:1::1").unwrap(), admit("2001:db8:1::ffff").unwrap()];
        assert!(admit("2001:db8:1:0:7::").is_none());
        assert!(admit("2001:db8:1:1::1").is_some());
        drop(first);
        assert!(admit("192.0.2.1").is_some());
        assert_eq!(sources.held().len(), 2, "who has none is forgotten");
    }
}
