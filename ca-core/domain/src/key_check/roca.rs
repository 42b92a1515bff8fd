//! The fingerprint of ROCA keys (CVE-2017-15361).
//!
//! The flawed library made primes of the form `k·M + (65537^a mod M)`, where M
//! is the product of the first primes. A modulus of two such primes is then
//! itself a power of 65537 modulo M. M's multiplicative group is large and the
//! powers of 65537 are a tiny part of it, so that a random modulus is among
//! them with probability of about 2^-150 (Nemec and others, "The Return of
//! Coppersmith's Attack", ACM CCS 2017, section 2.1).

use num_bigint::BigUint;

use super::rsa::odd_primes_below;

/// M is the product of the 39 primes up to this one: it divides the M of every
/// key size.
const LAST_PRIME: u32 = 167;
/// The order of 65537 modulo M, as its prime powers.
const ORDER: [u32; 13] = [16, 81, 25, 7, 11, 13, 17, 23, 29, 37, 41, 53, 83];

/// Whether a modulus is a power of 65537 modulo M.
pub(super) fn has_fingerprint(modulus: &BigUint) -> bool {
    let m = odd_primes_below(LAST_PRIME + 1).fold(BigUint::from(2_u32), |product, prime| product * prime);
    let order: BigUint = ORDER.iter().product();
    let one = BigUint::from(1_u32);
    let element = modulus % &m;
    if element.modpow(&order, &m) != one {
        return false;
    }
    // Pohlig and Hellman: the discrete logarithm exists if it exists in the
    // subgroup of every prime power of the order.
    ORDER.iter().all(|prime_power| {
        let cofactor = &order / prime_power;
        let generator = BigUint::from(65537_u32).modpow(&cofactor, &m);
        let target = element.modpow(&cofactor, &m);
        let mut power = one.clone();
        (0..*prime_power).any(|_| {
            let found = power == target;
            power = &power * &generator % &m;
            found
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_65537() {
        let m = odd_primes_below(168).fold(BigUint::from(2_u32), |product, prime| product * prime);
        let order: BigUint = ORDER.iter().product();
        assert_eq!(order, BigUint::from(2_454_106_387_091_158_800_u64));
        let generator = BigUint::from(65537_u32);
        assert_eq!(generator.modpow(&order, &m), BigUint::from(1_u32));
        for prime in [2_u32, 3, 5, 7, 11, 13, 17, 23, 29, 37, 41, 53, 83] {
            assert_ne!(generator.modpow(&(&order / prime), &m), BigUint::from(1_u32));
        }
    }
}
