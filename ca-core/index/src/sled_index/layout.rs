//! The keys. The first byte names a table; numbers are big-endian, so that the
//! order of keys is the order of numbers.
//!
//! | table | key after its byte | value |
//! |---|---|---|
//! | `M` meta | | [`super::codec::Meta`] |
//! | `R` records | position | record |
//! | `N` by serial | serial, 20 octets; position | |
//! | `E` by name | lookup key; 0x00; position | |
//! | `K` by key | first 16 octets of the SPKI hash; position | |
//! | `T` by template | template number, 4; position | |
//! | `A` by authority | authority number, 4; position | |
//! | `X` by expiry | notAfter, 8; position | |
//! | `H` held, `V` revoked | position | |
//! | `t` templates | number, 4 | name |
//! | `a` authorities | number, 4 | key identifier |
//! | `n` named authorities | name | position, key identifier |

use ca_domain::{KeyIdentifier, RevocationState, SerialNumber, SpkiHash, Timestamp};

use crate::CertificateRecord;

/// Number of this layout and of the values' encoding. Any other is rebuilt.
pub(super) const FORMAT: u16 = 2;

pub(super) const META: &[u8] = b"M";
pub(super) const RECORDS: &[u8] = b"R";
pub(super) const HELD: &[u8] = b"H";
pub(super) const REVOKED: &[u8] = b"V";
pub(super) const EXPIRY: &[u8] = b"X";
pub(super) const TEMPLATES: &[u8] = b"t";
pub(super) const AUTHORITIES: &[u8] = b"a";
pub(super) const NAMED: &[u8] = b"n";

/// Octets of a position at the end of a key.
const POSITION: usize = 8;

pub(super) fn record(position: u64) -> Vec<u8> {
    join(&[RECORDS, &position.to_be_bytes()])
}

pub(super) fn by_serial(serial: SerialNumber) -> Vec<u8> {
    join(&[b"N", serial.padded()])
}

pub(super) fn by_name(lookup_key: &str) -> Vec<u8> {
    join(&[b"E", lookup_key.as_bytes(), &[0]])
}

pub(super) fn by_key(key: SpkiHash) -> Vec<u8> {
    join(&[b"K", &key.0[..16]])
}

pub(super) fn by_template(number: u32) -> Vec<u8> {
    join(&[b"T", &number.to_be_bytes()])
}

pub(super) fn by_authority(number: u32) -> Vec<u8> {
    join(&[b"A", &number.to_be_bytes()])
}

pub(super) fn by_expiry(not_after: Timestamp) -> Vec<u8> {
    join(&[EXPIRY, &not_after.as_unix().to_be_bytes()])
}

/// The table of a state; none for good certificates, which are most.
pub(super) const fn by_state(state: &RevocationState) -> Option<&'static [u8]> {
    match state {
        RevocationState::Good => None,
        RevocationState::Held { .. } => Some(HELD),
        RevocationState::Revoked { .. } => Some(REVOKED),
    }
}

pub(super) fn template(number: u32) -> Vec<u8> {
    join(&[TEMPLATES, &number.to_be_bytes()])
}

pub(super) fn authority(number: u32) -> Vec<u8> {
    join(&[AUTHORITIES, &number.to_be_bytes()])
}

pub(super) fn named(name: &str) -> Vec<u8> {
    join(&[NAMED, name.as_bytes()])
}

/// A secondary key: prefix and position.
pub(super) fn with_position(prefix: &[u8], position: u64) -> Vec<u8> {
    join(&[prefix, &position.to_be_bytes()])
}

/// The position of a key that is `prefix` and a position, and nothing between.
pub(super) fn position_after(prefix: &[u8], key: &[u8]) -> Option<u64> {
    key.strip_prefix(prefix)?.try_into().ok().map(u64::from_be_bytes)
}

/// notAfter and position of a key by expiry.
pub(super) fn expiry_and_position(key: &[u8]) -> Option<(u64, u64)> {
    let (expiry, position) = key.strip_prefix(EXPIRY)?.split_at_checked(POSITION)?;
    Some((u64::from_be_bytes(expiry.try_into().ok()?), u64::from_be_bytes(position.try_into().ok()?)))
}

/// The number of a key of templates or authorities.
pub(super) fn number_after(prefix: &[u8], key: &[u8]) -> Option<u32> {
    key.strip_prefix(prefix)?.try_into().ok().map(u32::from_be_bytes)
}

/// Every secondary key of a record, except that of its state.
pub(super) fn secondary(record: &CertificateRecord, template: u32, authority: u32) -> Vec<Vec<u8>> {
    let mut prefixes = vec![
        by_serial(record.serial),
        by_key(record.key),
        by_template(template),
        by_authority(authority),
        by_expiry(record.not_after),
    ];
    prefixes.extend(record.name_keys().iter().map(|key| by_name(key)));
    prefixes.iter().map(|prefix| with_position(prefix, record.position)).collect()
}

/// `authority` as octets, for values.
pub(super) fn key_id(octets: &[u8]) -> Option<KeyIdentifier> {
    octets.try_into().ok().map(KeyIdentifier)
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}
