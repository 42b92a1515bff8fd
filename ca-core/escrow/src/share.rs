//! A share as it is sealed to an agent.

use der::asn1::OctetString;
use der::{Decode, Encode, Sequence};
use zeroize::Zeroizing;

use crate::EscrowError;
use crate::sharing::{KEK_LEN, Point};

/// One share of a key-encryption key:
///
/// ```asn1
/// Share ::= SEQUENCE {
///     version  INTEGER (1),
///     set      OCTET STRING (SIZE (16)),   -- of the archive
///     index    INTEGER (1..255),           -- x
///     value    OCTET STRING (SIZE (32)) }  -- y, one octet for each of the key
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Share {
    pub(crate) set: [u8; 16],
    pub(crate) point: Point,
}

#[derive(Sequence)]
struct Wire {
    version: u8,
    set: OctetString,
    index: u8,
    value: OctetString,
}

impl Share {
    pub(crate) fn to_der(&self) -> Result<Zeroizing<Vec<u8>>, EscrowError> {
        let encode = || -> der::Result<Zeroizing<Vec<u8>>> {
            let wire = Wire {
                version: 1,
                set: OctetString::new(self.set)?,
                index: self.point.x,
                value: OctetString::new(self.point.y.as_slice())?,
            };
            let der = wire.to_der().map(Zeroizing::new);
            let _ = Zeroizing::new(wire.value.into_bytes());
            der
        };
        encode().map_err(EscrowError::der("a share"))
    }

    pub(crate) fn from_der(bytes: &[u8]) -> Result<Self, EscrowError> {
        let strange = |why: String| EscrowError::Format { what: "a share", why };
        let wire = Wire::from_der(bytes).map_err(|error| strange(error.to_string()))?;
        let value = Zeroizing::new(wire.value.into_bytes());
        if wire.version != 1 || wire.index == 0 {
            return Err(strange("version or index is out of range".into()));
        }
        let set = <[u8; 16]>::try_from(wire.set.as_bytes());
        let y = <[u8; KEK_LEN]>::try_from(value.as_slice());
        match (set, y) {
            (Ok(set), Ok(y)) => Ok(Self { set, point: Point { x: wire.index, y: Zeroizing::new(y) } }),
            _ => Err(strange("a field has the wrong length".into())),
        }
    }
}
