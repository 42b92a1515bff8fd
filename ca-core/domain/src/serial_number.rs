//! Certificate serial numbers (RFC 5280, section 4.1.2.2).

use std::fmt;

use x509_cert::serial_number::SerialNumber as DerSerialNumber;

/// A positive serial number of at most 20 octets, as its minimal big-endian
/// magnitude.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SerialNumber {
    /// Left-padded with zeros.
    bytes: [u8; Self::MAX_LEN],
}

/// A number that cannot be a serial.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SerialNumberError {
    /// Zero, negative, or longer than 20 octets.
    #[error("a serial number is positive and has at most 20 octets (RFC 5280, section 4.1.2.2)")]
    OutOfRange,
    /// Not hexadecimal.
    #[error("{0:?} is not a serial number: write it in hexadecimal, colons allowed")]
    Syntax(String),
}

impl SerialNumber {
    /// Octets at most.
    pub const MAX_LEN: usize = 20;

    /// A serial from 20 random octets: 158 of their bits are used.
    ///
    /// The top bit is clear so that the number is positive in 20 octets, the
    /// next is set so that the length never varies.
    #[must_use]
    pub const fn from_random(mut random: [u8; Self::MAX_LEN]) -> Self {
        random[0] = (random[0] & 0x7f) | 0x40;
        Self { bytes: random }
    }

    /// Reads a big-endian magnitude; leading zeros are allowed.
    ///
    /// # Errors
    /// Zero, or a number of 2^159 or more.
    pub fn from_be_bytes(magnitude: &[u8]) -> Result<Self, SerialNumberError> {
        let start = magnitude.iter().position(|b| *b != 0).ok_or(SerialNumberError::OutOfRange)?;
        let minimal = &magnitude[start..];
        if minimal.len() > Self::MAX_LEN || (minimal.len() == Self::MAX_LEN && minimal[0] >= 0x80) {
            return Err(SerialNumberError::OutOfRange);
        }
        let mut bytes = [0; Self::MAX_LEN];
        bytes[Self::MAX_LEN - minimal.len()..].copy_from_slice(minimal);
        Ok(Self { bytes })
    }

    /// Reads hexadecimal, upper or lower case, colons and a `0x` prefix allowed.
    ///
    /// # Errors
    /// Text that is not hexadecimal, or a number out of range.
    pub fn parse(text: &str) -> Result<Self, SerialNumberError> {
        let syntax = || SerialNumberError::Syntax(text.chars().take(64).collect());
        let digits: String = text.trim().trim_start_matches("0x").chars().filter(|c| *c != ':').collect();
        if digits.is_empty() || digits.len() > 64 {
            return Err(syntax());
        }
        let even = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits };
        let bytes = hex::decode(even).map_err(|_| syntax())?;
        Self::from_be_bytes(&bytes)
    }

    /// The minimal big-endian magnitude, 1 to 20 octets.
    #[must_use]
    pub fn as_be_bytes(&self) -> &[u8] {
        let start = self.bytes.iter().position(|b| *b != 0).unwrap_or(Self::MAX_LEN - 1);
        &self.bytes[start..]
    }

    /// The contents octets of the DER INTEGER (X.690, section 8.3), 1 to 20: the
    /// magnitude, after a zero if it would be negative otherwise.
    #[must_use]
    pub fn integer_octets(&self) -> &[u8] {
        let first = self.bytes.iter().position(|b| *b != 0).unwrap_or(Self::MAX_LEN - 1);
        // In 20 octets the top bit is clear.
        let start = if self.bytes[first] >= 0x80 { first.saturating_sub(1) } else { first };
        &self.bytes[start..]
    }

    /// The left-padded form; its order is the numeric order.
    #[must_use]
    pub const fn padded(&self) -> &[u8; Self::MAX_LEN] {
        &self.bytes
    }

    /// The DER INTEGER.
    ///
    /// # Errors
    /// None for a value of this type; the encoder's signature asks for it.
    pub fn to_der(&self) -> der::Result<DerSerialNumber> {
        DerSerialNumber::new(self.as_be_bytes())
    }
}

impl TryFrom<&DerSerialNumber> for SerialNumber {
    type Error = SerialNumberError;

    fn try_from(serial: &DerSerialNumber) -> Result<Self, SerialNumberError> {
        let bytes = serial.as_bytes();
        if bytes.first().is_some_and(|b| *b >= 0x80) {
            return Err(SerialNumberError::OutOfRange);
        }
        Self::from_be_bytes(bytes)
    }
}

/// Lower-case hexadecimal without separators.
impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_be_bytes()))
    }
}

impl fmt::Debug for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SerialNumber({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_serials_are_positive_and_twenty_octets() {
        for fill in [0x00, 0x7f, 0x80, 0xff] {
            let serial = SerialNumber::from_random([fill; 20]);
            assert_eq!(serial.as_be_bytes().len(), 20);
            assert!(serial.as_be_bytes()[0] < 0x80);
            assert_eq!(SerialNumber::try_from(&serial.to_der().unwrap()).unwrap(), serial);
        }
    }

    #[test]
    fn integer_octets_are_those_of_der() {
        for length in 1..=20 {
            for first in [0x01, 0x7f, 0x80, 0xff] {
                let mut magnitude = vec![0xa5; length];
                magnitude[0] = first;
                let Ok(serial) = SerialNumber::from_be_bytes(&magnitude) else {
                    assert!(length == 20 && first >= 0x80);
                    continue;
                };
                let der = der::Encode::to_der(&serial.to_der().unwrap()).unwrap();
                assert_eq!(serial.integer_octets(), &der[2..]);
            }
        }
    }

    #[test]
    fn text_forms_agree() {
        let a = SerialNumber::parse("0A:bc:01").unwrap();
        assert_eq!(a, SerialNumber::parse("0xabc01").unwrap());
        assert_eq!(a.to_string(), "0abc01");
        assert!(matches!(SerialNumber::parse("00"), Err(SerialNumberError::OutOfRange)));
        assert!(matches!(SerialNumber::parse("alice"), Err(SerialNumberError::Syntax(_))));
        assert!(SerialNumber::from_be_bytes(&[0x80; 20]).is_err());
        assert!(SerialNumber::from_be_bytes(&[1; 21]).is_err());
    }
}
