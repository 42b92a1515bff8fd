//! The parts into which an authority's certificates fall, so that no CRL is long.

use crate::SerialNumber;

/// One of the parts: the certificates whose serials lie in one range.
///
/// The serial alone says to which part a certificate belongs, so that nothing has
/// to be kept, and the part never changes. Serials that
/// [`SerialNumber::from_random`] makes fall evenly. The certificate names the
/// CRL of its part in its cRLDistributionPoints.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Shard {
    index: u16,
    count: u16,
}

/// The first serial octets that are random: the top bit is clear, the next is set.
const SPAN: u32 = 62;
const FIRST: u64 = 1 << SPAN;

impl Shard {
    /// Parts at most.
    pub const MOST: u16 = 4096;

    /// Part `index` of `count`, from 0; none if there is no such part.
    #[must_use]
    pub const fn new(index: u16, count: u16) -> Option<Self> {
        if index < count && count <= Self::MOST { Some(Self { index, count }) } else { None }
    }

    /// All parts of `count`; nothing for a count that is not allowed.
    pub fn all(count: u16) -> impl Iterator<Item = Self> {
        (0..count).filter_map(move |index| Self::new(index, count))
    }

    /// The part of `count` to which a certificate belongs.
    #[must_use]
    pub fn of(serial: &SerialNumber, count: u16) -> Option<Self> {
        let top = serial.padded().first_chunk().map_or(0, |top| u64::from_be_bytes(*top));
        // Serials of others may be short: they are all in the first part.
        let place = u128::from(top.saturating_sub(FIRST)) * u128::from(count);
        Self::new(u16::try_from(place >> SPAN).ok()?, count)
    }

    /// Which part it is, from 0.
    #[must_use]
    pub const fn index(self) -> u16 {
        self.index
    }

    /// How many parts there are.
    #[must_use]
    pub const fn count(self) -> u16 {
        self.count
    }

    /// Its lowest serial; none for the first part, which has all below it.
    #[must_use]
    pub fn first(self) -> Option<SerialNumber> {
        Self::start(self.index, self.count)
    }

    /// The lowest serial that is above it; none for the last part.
    #[must_use]
    pub fn end(self) -> Option<SerialNumber> {
        if self.index + 1 == self.count { None } else { Self::start(self.index + 1, self.count) }
    }

    fn start(index: u16, count: u16) -> Option<SerialNumber> {
        if index == 0 {
            return None;
        }
        let offset = (u128::from(index) << SPAN).div_ceil(u128::from(count));
        let mut bytes = [0; SerialNumber::MAX_LEN];
        let top = FIRST + u64::try_from(offset).ok()?;
        bytes.first_chunk_mut::<8>()?.copy_from_slice(&top.to_be_bytes());
        SerialNumber::from_be_bytes(&bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serials at and around every border, and some far from any.
    fn serials(count: u16) -> Vec<SerialNumber> {
        let mut all: Vec<SerialNumber> = (0..=255).map(|n| SerialNumber::from_random([n; 20])).collect();
        all.extend([1_u8, 0x3f, 0x40, 0x7f].map(|n| SerialNumber::from_be_bytes(&[n]).unwrap()));
        for first in Shard::all(count).filter_map(Shard::first) {
            all.push(first);
            let mut below = *first.padded();
            for octet in below.iter_mut().rev() {
                let (less, borrow) = octet.overflowing_sub(1);
                *octet = less;
                if !borrow {
                    break;
                }
            }
            all.push(SerialNumber::from_be_bytes(&below).unwrap());
        }
        all
    }

    #[test]
    fn every_serial_is_in_exactly_one_part() {
        for count in [1, 2, 3, 7, 16, 64, 1000, Shard::MOST] {
            for serial in serials(count) {
                let shard = Shard::of(&serial, count).unwrap();
                let within = |shard: &Shard| {
                    shard.first().is_none_or(|first| serial >= first)
                        && shard.end().is_none_or(|end| serial < end)
                };
                let found: Vec<Shard> = Shard::all(count).filter(within).collect();
                assert_eq!(found, [shard], "{serial} of {count}");
            }
        }
        assert_eq!((Shard::new(3, 3), Shard::new(0, 0), Shard::new(0, 5000)), (None, None, None));
    }

    #[test]
    fn random_serials_fall_evenly() {
        let mut found = [0; 16];
        for n in 0..=u16::MAX {
            let mut bytes = [7; 20];
            bytes[..2].copy_from_slice(&n.to_be_bytes());
            let shard = Shard::of(&SerialNumber::from_random(bytes), 16).unwrap();
            found[usize::from(shard.index())] += 1;
        }
        assert_eq!(found, [4096; 16]);
    }
}
