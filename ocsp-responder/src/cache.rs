//! Signed answers kept in memory.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Parts with a lock of their own.
pub const PARTS: usize = 64;

/// A map of bounded size that forgets what was not asked for lately.
///
/// Each part has two generations: new and used values are in the young one;
/// when that is full it becomes the old one, and the old one is dropped.
#[derive(Debug)]
pub struct Cache<K, V> {
    parts: Vec<Mutex<Generations<K, V>>>,
    hasher: RandomState,
    /// Values in one generation of a part.
    limit: usize,
}

#[derive(Debug)]
struct Generations<K, V> {
    young: Values<K, V>,
    old: Values<K, V>,
}

type Values<K, V> = HashMap<Hashed<K>, V, BuildHasherDefault<Known>>;

/// A key with its hash, which the part and the place in it come from: it is made once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Hashed<K> {
    hash: u64,
    key: K,
}

impl<K> Hash for Hashed<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Gives the hash that it is told.
#[derive(Debug, Default)]
struct Known(u64);

impl Hasher for Known {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum.rotate_left(8) ^ u64::from(*byte));
    }
}

impl<K: Copy + Eq + Hash, V> Cache<K, V> {
    /// A cache of about `capacity` values; none are kept with zero.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let part = || Mutex::new(Generations { young: HashMap::default(), old: HashMap::default() });
        Self {
            parts: (0..PARTS).map(|_| part()).collect(),
            hasher: RandomState::new(),
            limit: capacity.div_ceil(2 * PARTS),
        }
    }

    /// Whether it keeps anything at all.
    #[must_use]
    pub const fn keeps(&self) -> bool {
        self.limit > 0
    }

    /// What `look` makes of the value of `key`. The others of its part wait meanwhile.
    pub fn find<T>(&self, key: &K, look: impl FnOnce(&V) -> T) -> Option<T> {
        let key = self.hashed(*key);
        let mut part = self.part(key.hash)?;
        if let Some(value) = part.young.get(&key) {
            return Some(look(value));
        }
        let value = part.old.remove(&key)?;
        let made = look(&value);
        self.put(&mut part, key, value);
        Some(made)
    }

    /// Whether it has a value of `key`; does not count as use.
    pub fn holds(&self, key: &K) -> bool {
        let key = self.hashed(*key);
        self.part(key.hash).is_some_and(|part| part.young.contains_key(&key) || part.old.contains_key(&key))
    }

    /// Keeps `value` under `key`, in place of what was there.
    pub fn insert(&self, key: K, value: V) {
        let key = self.hashed(key);
        if let Some(mut part) = self.part(key.hash) {
            part.old.remove(&key);
            self.put(&mut part, key, value);
        }
    }

    fn put(&self, part: &mut Generations<K, V>, key: Hashed<K>, value: V) {
        if self.limit == 0 {
            return;
        }
        if part.young.len() >= self.limit && !part.young.contains_key(&key) {
            part.old = std::mem::take(&mut part.young);
        }
        part.young.insert(key, value);
    }

    fn hashed(&self, key: K) -> Hashed<K> {
        Hashed { hash: self.hasher.hash_one(key), key }
    }

    /// The part that a hash belongs to, by bits that do not tell the place in it.
    fn part(&self, hash: u64) -> Option<MutexGuard<'_, Generations<K, V>>> {
        let part = self.parts.get(usize::try_from(hash >> 40).unwrap_or_default() % PARTS)?;
        Some(part.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many values it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        let count = |part: &Mutex<Generations<K, V>>| {
            let part = part.lock().unwrap_or_else(PoisonError::into_inner);
            part.young.len() + part.old.len()
        };
        self.parts.iter().map(count).sum()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys in one of the [`PARTS`] whose value is `wanted`, which is also
    /// told a hash of the key; and how many there are in this part.
    pub fn keys(&self, part: usize, wanted: impl Fn(&K, &V, u64) -> bool) -> (Vec<K>, usize) {
        let Some(part) = self.parts.get(part) else { return (Vec::new(), 0) };
        let part = part.lock().unwrap_or_else(PoisonError::into_inner);
        let all = part.young.iter().chain(&part.old);
        let wanted = all.filter(|(hashed, value)| wanted(&hashed.key, value, hashed.hash));
        (wanted.map(|(hashed, _)| hashed.key).collect(), part.young.len() + part.old.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_and_keeps_what_is_used() {
        let cache = Cache::new(1_280);
        cache.insert(u32::MAX, 1);
        for key in 0..10_000 {
            cache.insert(key, key);
            assert!(cache.find(&u32::MAX, |_| ()).is_some(), "lost after {key}");
        }
        assert!(cache.len() <= 1_280, "{}", cache.len());
        assert!(cache.find(&9_999, |_| ()).is_some());
        assert!(cache.find(&0, |_| ()).is_none());
    }

    #[test]
    fn replaces_also_what_grew_old() {
        let cache = Cache::new(128);
        cache.insert(0, "first");
        for key in 1..500 {
            cache.insert(key, "filler");
            cache.insert(0, "second");
            assert_eq!(cache.find(&0, |value| *value), Some("second"));
        }
        assert!(cache.len() <= 128);
    }

    #[test]
    fn none_with_zero() {
        let cache = Cache::new(0);
        cache.insert(1, 1);
        assert!(cache.is_empty());
    }
}
