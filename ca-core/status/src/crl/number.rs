//! CRL numbers.

use std::fmt;

use ca_domain::Timestamp;
use der::asn1::Uint;

use crate::StatusError;

/// A CRLNumber: a number of at most 20 octets that rises from one CRL of an
/// authority to the next (RFC 5280, section 5.2.3).
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CrlNumber {
    /// Left-padded with zeros, so that the order is the numeric one.
    bytes: [u8; Self::MAX_LEN],
}

impl CrlNumber {
    /// Octets at most.
    pub const MAX_LEN: usize = 20;

    /// Reads a big-endian magnitude; leading zeros are allowed, no octets mean 0.
    ///
    /// # Errors
    /// A number of 2^159 or more, which needs more than 20 octets in DER.
    pub fn from_be_bytes(magnitude: &[u8]) -> Result<Self, StatusError> {
        let start = magnitude.iter().position(|b| *b != 0).unwrap_or(magnitude.len());
        let minimal = &magnitude[start..];
        if minimal.len() > Self::MAX_LEN || (minimal.len() == Self::MAX_LEN && minimal[0] >= 0x80) {
            return Err(StatusError::CrlNumber);
        }
        let mut bytes = [0; Self::MAX_LEN];
        bytes[Self::MAX_LEN - minimal.len()..].copy_from_slice(minimal);
        Ok(Self { bytes })
    }

    /// The minimal big-endian magnitude, 1 to 20 octets.
    #[must_use]
    pub fn as_be_bytes(&self) -> &[u8] {
        let start = self.bytes.iter().position(|b| *b != 0).unwrap_or(Self::MAX_LEN - 1);
        &self.bytes[start..]
    }

    /// The number after this one.
    ///
    /// # Errors
    /// None is left of at most 20 octets.
    pub fn successor(mut self) -> Result<Self, StatusError> {
        for byte in self.bytes.iter_mut().rev() {
            let (sum, carry) = byte.overflowing_add(1);
            *byte = sum;
            if !carry {
                break;
            }
        }
        if self.bytes[0] >= 0x80 { Err(StatusError::CrlNumber) } else { Ok(self) }
    }

    /// The DER INTEGER.
    pub(crate) fn to_uint(self) -> der::Result<Uint> {
        Uint::new(self.as_be_bytes())
    }
}

impl From<u64> for CrlNumber {
    fn from(number: u64) -> Self {
        let mut bytes = [0; Self::MAX_LEN];
        bytes[Self::MAX_LEN - 8..].copy_from_slice(&number.to_be_bytes());
        Self { bytes }
    }
}

/// Lower-case hexadecimal without separators.
impl fmt::Display for CrlNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_be_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CrlNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CrlNumber({self})")
    }
}

/// The number of a new CRL: one more than the last published one, and at least
/// the seconds of its thisUpdate since 1970.
///
/// It needs no stored counter, and neither a lost last CRL nor a clock that
/// stepped back can make it fall or repeat, short of both at once.
///
/// # Errors
/// No number of at most 20 octets is left.
pub fn next_number(this_update: Timestamp, last: Option<CrlNumber>) -> Result<CrlNumber, StatusError> {
    let by_time = CrlNumber::from(this_update.as_unix());
    match last {
        Some(last) => Ok(last.successor()?.max(by_time)),
        None => Ok(by_time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(seconds).unwrap()
    }

    #[test]
    fn numbers_rise_whatever_the_clock_does() {
        assert_eq!(next_number(at(1000), None).unwrap(), CrlNumber::from(1000));
        assert_eq!(next_number(at(1000), Some(CrlNumber::from(999))).unwrap(), CrlNumber::from(1000));
        assert_eq!(next_number(at(1000), Some(CrlNumber::from(1000))).unwrap(), CrlNumber::from(1001));
        assert_eq!(next_number(at(5), Some(CrlNumber::from(0xffff))).unwrap(), CrlNumber::from(0x1_0000));
    }

    #[test]
    fn twenty_octets_are_the_limit() {
        let mut largest = [0xff; 20];
        largest[0] = 0x7f;
        let largest = CrlNumber::from_be_bytes(&largest).unwrap();
        assert!(matches!(largest.successor(), Err(StatusError::CrlNumber)));
        assert!(CrlNumber::from_be_bytes(&[0x80; 20]).is_err());
        assert!(CrlNumber::from_be_bytes(&[1; 21]).is_err());
        assert_eq!(CrlNumber::from_be_bytes(&[0; 30]).unwrap(), CrlNumber::default());
        assert_eq!(CrlNumber::default().as_be_bytes(), [0]);
        assert_eq!(CrlNumber::from(0x0102).to_string(), "0102");
    }
}
