//! Signed answers kept in memory.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 16;

/// A map of bounded size that forgets what was not asked for lately.
///
/// Each shard has two generations: new and used values are in the young one;
/// when that is full it becomes the old one, and the old one is dropped.
#[derive(Debug)]
pub struct Cache<K, V> {
    shards: Vec<Mutex<Generations<K, V>>>,
    hasher: RandomState,
    /// Values in one generation of a shard.
    limit: usize,
}

#[derive(Debug)]
struct Generations<K, V> {
    young: HashMap<K, Arc<V>>,
    old: HashMap<K, Arc<V>>,
}

impl<K: Eq + Hash, V> Cache<K, V> {
    /// A cache of about `capacity` values; none are kept with zero.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let shard = || Mutex::new(Generations { young: HashMap::new(), old: HashMap::new() });
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: RandomState::new(),
            limit: capacity.div_ceil(2 * SHARDS),
        }
    }

    /// The value of `key`.
    pub fn find(&self, key: &K) -> Option<Arc<V>> {
        let mut shard = self.shard(key)?;
        if let Some(value) = shard.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = shard.old.remove_entry(key)?;
        self.put(&mut shard, key, value.clone());
        Some(value)
    }

    /// Keeps `value` under `key`, in place of what was there.
    pub fn insert(&self, key: K, value: Arc<V>) {
        if let Some(mut shard) = self.shard(&key) {
            shard.old.remove(&key);
            self.put(&mut shard, key, value);
        }
    }

    fn put(&self, shard: &mut Generations<K, V>, key: K, value: Arc<V>) {
        if self.limit == 0 {
            return;
        }
        if shard.young.len() >= self.limit && !shard.young.contains_key(&key) {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert(key, value);
    }

    fn shard(&self, key: &K) -> Option<MutexGuard<'_, Generations<K, V>>> {
        let hash = usize::try_from(self.hasher.hash_one(key) >> 48).unwrap_or_default();
        let shard = self.shards.get(hash % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many values it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        let count = |shard: &Mutex<Generations<K, V>>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.young.len() + shard.old.len()
        };
        self.shards.iter().map(count).sum()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_and_keeps_what_is_used() {
        let cache = Cache::new(320);
        cache.insert(u32::MAX, Arc::new(1));
        for key in 0..10_000 {
            cache.insert(key, Arc::new(key));
            assert!(cache.find(&u32::MAX).is_some(), "lost after {key}");
        }
        assert!(cache.len() <= 320, "{}", cache.len());
        assert!(cache.find(&9_999).is_some());
        assert!(cache.find(&0).is_none());
    }

    #[test]
    fn replaces_also_what_grew_old() {
        let cache = Cache::new(32);
        cache.insert(0, Arc::new("first"));
        for key in 1..500 {
            cache.insert(key, Arc::new("filler"));
            cache.insert(0, Arc::new("second"));
            assert_eq!(cache.find(&0).as_deref(), Some(&"second"));
        }
        assert!(cache.len() <= 32);
    }

    #[test]
    fn none_with_zero() {
        let cache = Cache::new(0);
        cache.insert(1, Arc::new(1));
        assert!(cache.is_empty());
    }
}
