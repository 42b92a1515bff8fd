//! Checks of RSA keys.

use der::{Decode, Encode};
use num_bigint::BigUint;

use super::{KeyError, roca};
use crate::{KeyAlgorithm, RsaPublicKey};

/// Rounds of Fermat's method (S/MIME BR 6.1.1.3 asks for at least 100).
const FERMAT_ROUNDS: u32 = 100;
/// Primes below this may not divide a modulus (S/MIME BR 6.1.6).
const SMALL_FACTOR_BOUND: u32 = 752;

/// Checks a DER RSAPublicKey.
pub(super) fn check(der: &[u8]) -> Result<KeyAlgorithm, KeyError> {
    let key = RsaPublicKey::from_der(der).map_err(KeyError::Malformed)?;
    if key.to_der().map_err(KeyError::Malformed)? != der {
        return Err(KeyError::Encoding);
    }
    let modulus = BigUint::from_bytes_be(key.modulus.as_bytes());
    let algorithm = match modulus.bits() {
        2048 => KeyAlgorithm::Rsa2048,
        3072 => KeyAlgorithm::Rsa3072,
        4096 => KeyAlgorithm::Rsa4096,
        other => return Err(KeyError::ModulusSize(other)),
    };
    let exponent = BigUint::from_bytes_be(key.public_exponent.as_bytes());
    if !exponent.bit(0) || exponent < BigUint::from(65537_u32) || exponent.bits() > 256 {
        return Err(KeyError::Exponent);
    }
    if !modulus.bit(0) {
        return Err(KeyError::EvenModulus);
    }
    if let Some(prime) = odd_primes_below(SMALL_FACTOR_BOUND).find(|prime| divides(*prime, &modulus)) {
        return Err(KeyError::SmallFactor(prime));
    }
    if roca::has_fingerprint(&modulus) {
        return Err(KeyError::Roca);
    }
    if has_close_primes(&modulus) {
        return Err(KeyError::ClosePrimes);
    }
    Ok(algorithm)
}

fn divides(prime: u32, number: &BigUint) -> bool {
    (number % prime) == BigUint::ZERO
}

/// The odd primes below a small bound, ascending.
pub(super) fn odd_primes_below(bound: u32) -> impl Iterator<Item = u32> {
    (3..bound).step_by(2).filter(|n| (3..*n).step_by(2).take_while(|d| d * d <= *n).all(|d| n % d != 0))
}

/// Whether Fermat's method factors a modulus within its rounds: its two
/// factors are then closer than those of random primes ever are.
fn has_close_primes(modulus: &BigUint) -> bool {
    let mut a = modulus.sqrt();
    if &(&a * &a) < modulus {
        a += 1_u32;
    }
    (0..FERMAT_ROUNDS).any(|_| {
        let square = &a * &a - modulus;
        a += 1_u32;
        // Squares are 0, 1, 4 or 9 modulo 16: most candidates end here.
        let low = square.iter_u32_digits().next().unwrap_or(0) & 15;
        if ![0, 1, 4, 9].contains(&low) {
            return false;
        }
        let root = square.sqrt();
        &root * &root == square
    })
}
