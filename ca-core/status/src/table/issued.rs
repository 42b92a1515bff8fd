//! The serials of one authority, in as little memory as they need.
//!
//! A library's hash map doubles when it is full: just after that, half of it is
//! empty, and to move everything takes a second at ten million certificates,
//! while readers wait. This one grows by linear hashing (W. Litwin, VLDB 1980):
//! one bucket is split at a time. A record is 25 octets; with all that is around
//! it a certificate costs 28 to 31.

use ca_domain::{SerialNumber, Timestamp};

/// Records in a bucket, on average.
const LOAD: usize = 24;
/// How many more a full bucket makes room for.
const STEP: usize = 4;

const SERIAL: usize = SerialNumber::MAX_LEN;

/// The serial, left-padded, and notAfter in 40 bits, of which the top one tells
/// whether the certificate is revoked or held.
type Record = [u8; SERIAL + 5];

const CHANGED: u8 = 0x80;

/// What is known of an issued certificate here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Known {
    pub(super) not_after: Timestamp,
    /// Whether it is revoked or held.
    pub(super) changed: bool,
}

/// Issued serials.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    buckets: Vec<Vec<Record>>,
    len: usize,
}

impl Default for Issued {
    fn default() -> Self {
        Self { buckets: vec![Vec::new()], len: 0 }
    }
}

impl Issued {
    /// With buckets for so many serials, which need not come.
    pub(super) fn with_capacity(serials: usize) -> Self {
        let buckets = serials.div_ceil(LOAD).max(1);
        Self { buckets: vec![Vec::new(); buckets], len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, serial: &SerialNumber) -> Option<Known> {
        let bucket = self.buckets.get(self.bucket_of(serial.padded()))?;
        bucket.iter().find(|record| record[..SERIAL] == serial.padded()[..]).map(known)
    }

    /// Adds a serial; false if it is there.
    pub(super) fn insert(&mut self, serial: &SerialNumber, not_after: Timestamp) -> bool {
        if self.get(serial).is_some() {
            return false;
        }
        self.add(record(serial, not_after));
        if self.len > self.buckets.len() * LOAD {
            self.split();
        }
        true
    }

    /// Notes whether a serial is revoked or held; without effect if it is not there.
    pub(super) fn set_changed(&mut self, serial: &SerialNumber, changed: bool) {
        let at = self.bucket_of(serial.padded());
        let records = self.buckets.get_mut(at).into_iter().flatten();
        for record in records.filter(|record| record[..SERIAL] == serial.padded()[..]) {
            record[SERIAL] = if changed { record[SERIAL] | CHANGED } else { record[SERIAL] & !CHANGED };
        }
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8; SERIAL], Known)> {
        let records = self.buckets.iter().flatten();
        records.filter_map(|record| Some((record.first_chunk()?, known(record))))
    }

    fn add(&mut self, record: Record) {
        let at = self.bucket_of(record.first_chunk().unwrap_or(&[0; SERIAL]));
        if let Some(bucket) = self.buckets.get_mut(at) {
            if bucket.len() == bucket.capacity() {
                bucket.reserve_exact(STEP);
            }
            bucket.push(record);
            self.len += 1;
        }
    }

    /// Moves some records of the next bucket in turn to a new one.
    fn split(&mut self) {
        let from = self.buckets.len() - self.buckets.len().next_power_of_two() / 2;
        // At a power of two a round begins, with the first bucket.
        let from = if self.buckets.len().is_power_of_two() { 0 } else { from };
        let moved = self.buckets.get_mut(from).map(std::mem::take).unwrap_or_default();
        self.buckets.push(Vec::new());
        self.len -= moved.len();
        for record in moved {
            self.add(record);
        }
    }

    fn bucket_of(&self, serial: &[u8; SERIAL]) -> usize {
        let [.., a, b, c, d, e, f, g, h] = *serial;
        // The low octets of a serial are random, or count up: the multiplication
        // spreads either. Whoever could choose them is the authority itself.
        let hash = u64::from_le_bytes([h, g, f, e, d, c, b, a]).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let hash = usize::try_from(hash).unwrap_or_default();
        let whole = self.buckets.len().next_power_of_two();
        let at = hash & (whole - 1);
        if at < self.buckets.len() { at } else { at - whole / 2 }
    }
}

fn record(serial: &SerialNumber, not_after: Timestamp) -> Record {
    let mut record = [0; SERIAL + 5];
    record[..SERIAL].copy_from_slice(serial.padded());
    record[SERIAL..].copy_from_slice(&compact(not_after));
    record
}

fn known(record: &Record) -> Known {
    let [.., a, b, c, d, e] = *record;
    Known { not_after: expand([a & !CHANGED, b, c, d, e]), changed: a & CHANGED != 0 }
}

/// A time in 40 bits; those of certificates need 38.
pub(super) fn compact(time: Timestamp) -> [u8; 5] {
    let [_, _, _, bytes @ ..] = time.as_unix().to_be_bytes();
    bytes
}

/// The time again. It came from a timestamp, so it is in range.
pub(super) fn expand([a, b, c, d, e]: [u8; 5]) -> Timestamp {
    Timestamp::from_unix(u64::from_be_bytes([0, 0, 0, a, b, c, d, e])).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn serial(number: u64, random: bool) -> SerialNumber {
        if !random {
            return SerialNumber::from_be_bytes(&(number + 1).to_be_bytes()).unwrap();
        }
        let mut bytes = [0; 20];
        let mut state = number.wrapping_add(1).wrapping_mul(0x2545_f491_4f6c_dd1d);
        for byte in &mut bytes {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            *byte = state.to_be_bytes()[3];
        }
        SerialNumber::from_random(bytes)
    }

    #[test]
    fn it_is_a_map() {
        for random in [false, true] {
            for capacity in [0, 1_000, 100_000] {
                let mut issued = Issued::with_capacity(capacity);
                let mut model = HashMap::new();
                for number in 0..10_000 {
                    let (serial, time) =
                        (serial(number % 9_000, random), Timestamp::from_unix(number).unwrap());
                    let new = !model.contains_key(&serial);
                    assert_eq!(issued.insert(&serial, time), new);
                    model.entry(serial).or_insert((time, false));
                    if number % 3 == 0 {
                        issued.set_changed(&serial, number % 2 == 0);
                        model.entry(serial).and_modify(|known| known.1 = number % 2 == 0);
                    }
                }
                assert_eq!(issued.len(), model.len());
                assert_eq!(issued.iter().count(), model.len());
                for (serial, (not_after, changed)) in &model {
                    assert_eq!(issued.get(serial), Some(Known { not_after: *not_after, changed: *changed }));
                }
                assert_eq!(issued.get(&serial(20_000, random)), None);
            }
        }
    }

    #[test]
    fn a_certificate_costs_little() {
        for random in [false, true] {
            let mut issued = Issued::default();
            for number in 0..200_000 {
                issued.insert(&serial(number, random), Timestamp::MAX);
            }
            let bytes: usize = issued.buckets.iter().map(|bucket| bucket.capacity() * 25 + 24).sum();
            assert!(bytes <= 30 * issued.len(), "{} octets each", bytes as f64 / issued.len() as f64);
            let longest = issued.buckets.iter().map(Vec::len).max().unwrap();
            assert!(longest < 8 * LOAD, "{longest}");
        }
    }
}
