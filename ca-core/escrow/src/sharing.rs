//! Splitting a key-encryption key: Shamir's scheme over GF(2^8), byte by byte.
//!
//! The polynomials' coefficients come from the operating system's random generator.

use core::convert::Infallible;

use rand_core_10::{TryCryptoRng, TryRng};
use vsss_rs::Gf256;
use zeroize::Zeroizing;

use crate::EscrowError;

/// The size of a key-encryption key and of a share's value, in bytes.
pub const KEK_LEN: usize = 32;

/// Shares that one key can have.
pub const MAX_SHARES: usize = 16;

/// A point of the polynomials: `x`, and one y for each byte of the secret.
#[derive(Clone, Eq, PartialEq)]
pub struct Point {
    /// The x coordinate, 1 to 255.
    pub x: u8,
    /// The y coordinates.
    pub y: Zeroizing<[u8; KEK_LEN]>,
}

impl std::fmt::Debug for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Point").field("x", &self.x).finish_non_exhaustive()
    }
}

/// Splits `secret` into `count` points, any `threshold` of which give it back.
/// With the threshold one every point is the secret itself.
///
/// # Errors
/// [`EscrowError::Threshold`] for numbers that make no sense; no random bytes.
pub fn split(secret: &[u8; KEK_LEN], threshold: u8, count: usize) -> Result<Vec<Point>, EscrowError> {
    if threshold == 0 || usize::from(threshold) > count || count > MAX_SHARES {
        return Err(EscrowError::Threshold { threshold, agents: count });
    }
    if threshold == 1 {
        let point = |x| Point { x, y: Zeroizing::new(*secret) };
        return Ok((1..).take(count).map(point).collect());
    }
    // Drawn before, so that a failing generator is an error and never a weak share.
    let mut pool = Pool::fill(KEK_LEN * (usize::from(threshold) - 1))?;
    let shares = Gf256::split_bytes(usize::from(threshold), count, secret, &mut pool);
    let shares = Zeroizing::new(shares.map_err(|_| EscrowError::Threshold { threshold, agents: count })?);
    if pool.ran_dry {
        return Err(EscrowError::Backend("more random bytes were wanted than had been drawn"));
    }
    shares.iter().map(|share| point(share)).collect()
}

fn point(share: &[u8]) -> Result<Point, EscrowError> {
    let strange = || EscrowError::Backend("the shares have another form than expected");
    let (x, y) = share.split_first().ok_or_else(strange)?;
    let y: [u8; KEK_LEN] = y.try_into().map_err(|_| strange())?;
    Ok(Point { x: *x, y: Zeroizing::new(y) })
}

/// Gives the secret back that `points` were split from, if there are at least
/// `threshold` of them; other points give another value, which only a check of
/// what it opens can tell.
///
/// # Errors
/// [`EscrowError::TooFew`] with fewer than `threshold` different points.
pub fn combine(points: &[Point], threshold: u8) -> Result<Zeroizing<[u8; KEK_LEN]>, EscrowError> {
    let mut distinct: Vec<&Point> = Vec::new();
    for point in points {
        if !distinct.iter().any(|other| other.x == point.x) {
            distinct.push(point);
        }
    }
    let (wanted, found) = (usize::from(threshold), distinct.len());
    let [first, ..] = distinct.as_slice() else {
        return Err(EscrowError::TooFew { wanted, found });
    };
    if found < wanted {
        return Err(EscrowError::TooFew { wanted, found });
    }
    if threshold == 1 {
        return Ok(first.y.clone());
    }
    let shares: Zeroizing<Vec<Vec<u8>>> = Zeroizing::new(
        distinct.iter().take(wanted).map(|point| [&[point.x], point.y.as_slice()].concat()).collect(),
    );
    let secret = Gf256::combine_bytes(shares.as_slice())
        .map(Zeroizing::new)
        .map_err(|_| EscrowError::Backend("the shares cannot be combined"))?;
    let secret: [u8; KEK_LEN] = secret
        .as_slice()
        .try_into()
        .map_err(|_| EscrowError::Backend("the shares give a key of another size"))?;
    Ok(Zeroizing::new(secret))
}

/// Random bytes drawn beforehand, since the library's generator may not fail.
struct Pool {
    bytes: Zeroizing<Vec<u8>>,
    ran_dry: bool,
}

impl Pool {
    /// Enough for `draws` draws of the largest kind.
    fn fill(draws: usize) -> Result<Self, EscrowError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(draws * size_of::<u64>()));
        for _ in 0..draws {
            bytes.extend_from_slice(&ca_signing::random::<{ size_of::<u64>() }>()?);
        }
        Ok(Self { bytes, ran_dry: false })
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        self.fill_from(&mut taken);
        taken
    }

    fn fill_from(&mut self, target: &mut [u8]) {
        for byte in target {
            match self.bytes.pop() {
                Some(random) => *byte = random,
                // The shares are thrown away then.
                None => self.ran_dry = true,
            }
        }
    }
}

impl TryRng for Pool {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_ne_bytes(self.take()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_ne_bytes(self.take()))
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        self.fill_from(target);
        Ok(())
    }
}

impl TryCryptoRng for Pool {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_threshold_of_them_give_the_secret_and_fewer_do_not(
            secret in any::<[u8; KEK_LEN]>(),
            threshold in 1_u8..=8,
            more in 0_usize..=8,
            order in any::<prop::sample::Index>(),
        ) {
            let count = usize::from(threshold) + more;
            let mut points = split(&secret, threshold, count).unwrap();
            let middle = order.index(count);
            points.rotate_left(middle);
            prop_assert_eq!(*combine(&points[..usize::from(threshold)], threshold).unwrap(), secret);
            prop_assert_eq!(*combine(&points, threshold).unwrap(), secret);
            let few = combine(&points[..usize::from(threshold) - 1], threshold).unwrap_err();
            prop_assert!(matches!(few, EscrowError::TooFew { .. }), "{}", few);
            let twice = vec![points[0].clone(); usize::from(threshold)];
            prop_assert_eq!(combine(&twice, threshold).is_ok(), threshold == 1);
            if threshold > 1 {
                // One share less, and a polynomial of lower degree: another value.
                let lower = combine(&points[..usize::from(threshold) - 1], threshold - 1).unwrap();
                prop_assert_ne!(*lower, secret);
                let mut changed = points.clone();
                changed[0].y[7] ^= 1;
                prop_assert_ne!(*combine(&changed[..usize::from(threshold)], threshold).unwrap(), secret);
            }
        }
    }

    #[test]
    fn one_share_alone_takes_every_value() {
        // The first byte of the first share of one secret: all 256 values come.
        let mut seen = [false; 256];
        for _ in 0..10_000 {
            let points = split(&[7; KEK_LEN], 2, 3).unwrap();
            seen[usize::from(points[0].y[0])] = true;
        }
        assert!(seen.iter().all(|seen| *seen), "a value that never comes tells something");
    }

    #[test]
    fn senseless_numbers_are_refused() {
        for (threshold, count) in [(0, 3), (4, 3), (2, 1), (2, MAX_SHARES + 1)] {
            assert!(split(&[0; KEK_LEN], threshold, count).is_err(), "{threshold} of {count}");
        }
        assert!(combine(&[], 2).is_err());
    }
}
