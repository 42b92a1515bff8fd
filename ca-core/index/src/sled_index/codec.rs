//! The values: a checksum, then fields one after the other. Integers are LEB128
//! and texts have their length before them. The format is private to this
//! cache; [`super::layout::FORMAT`] changes with it.

use ca_domain::{KeyIdentifier, ReasonCode, RevocationState, SerialNumber, SpkiHash, Timestamp};
use sha2::{Digest, Sha256};

use super::layout;
use crate::{Applied, AuthorityRecord, CertificateRecord, Fingerprint};

/// Octets of the checksum before each value.
const CHECKSUM: usize = 8;

/// What the index says about itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Meta {
    pub(super) applied: Applied,
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) totals: Totals,
}

/// A sum over all pairs but the meta pair: it does not depend on their order,
/// and changes with any one of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Totals {
    pub(super) records: u64,
    pub(super) pairs: u64,
    pub(super) sum: u128,
}

impl Totals {
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.records = self.records.wrapping_add(u64::from(key.starts_with(layout::RECORDS)));
        self.pairs = self.pairs.wrapping_add(1);
        self.sum = self.sum.wrapping_add(hash_pair(key, value));
    }

    pub(super) fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.records = self.records.wrapping_sub(u64::from(key.starts_with(layout::RECORDS)));
        self.pairs = self.pairs.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(hash_pair(key, value));
    }
}

fn hash_pair(key: &[u8], value: &[u8]) -> u128 {
    let hash: [u8; 32] = Sha256::new()
        .chain_update((key.len() as u64).to_be_bytes())
        .chain_update(key)
        .chain_update(value)
        .finalize()
        .into();
    hash.iter().take(16).fold(0, |sum, octet| sum << 8 | u128::from(*octet))
}

fn checksum(key: &[u8], body: &[u8]) -> [u8; CHECKSUM] {
    let hash: [u8; 32] =
        Sha256::new().chain_update(key).chain_update([0]).chain_update(body).finalize().into();
    let mut checksum = [0; CHECKSUM];
    checksum.copy_from_slice(&hash[..CHECKSUM]);
    checksum
}

/// The value of `key`: the checksum makes it valid for no other key.
pub(super) fn seal(key: &[u8], body: &[u8]) -> Vec<u8> {
    [&checksum(key, body), body].concat()
}

/// The body of a value; none if it is not what was stored under `key`.
pub(super) fn unseal<'a>(key: &[u8], value: &'a [u8]) -> Option<&'a [u8]> {
    let (stored, body) = value.split_at_checked(CHECKSUM)?;
    (stored == checksum(key, body)).then_some(body)
}

impl Meta {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(layout::FORMAT.to_be_bytes());
        put(&mut out, self.applied.size);
        put_hash(&mut out, self.applied.root);
        put_hash(&mut out, self.fingerprint);
        put(&mut out, self.totals.records);
        put(&mut out, self.totals.pairs);
        out.extend(self.totals.sum.to_be_bytes());
        out
    }

    /// The format number that stands before everything else in every format.
    pub(super) fn format(body: &[u8]) -> Option<u16> {
        Some(u16::from_be_bytes(*body.first_chunk()?))
    }

    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        let mut input = Input(body);
        input.array::<2>()?;
        let applied = Applied { size: input.number()?, root: input.hash()? };
        let fingerprint = input.hash()?;
        let (records, pairs) = (input.number()?, input.number()?);
        let sum = u128::from_be_bytes(input.array()?);
        input.end(Self { applied, fingerprint, totals: Totals { records, pairs, sum } })
    }
}

/// The body of a record; `template` and `authority` are their numbers.
pub(super) fn encode_record(record: &CertificateRecord, template: u32, authority: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    match record.state {
        RevocationState::Good => out.push(0),
        RevocationState::Held { at } => {
            out.push(1);
            put(&mut out, at.as_unix());
        }
        RevocationState::Revoked { at, reason, invalidity_date } => {
            out.push(2 + u8::from(invalidity_date.is_some()));
            put(&mut out, at.as_unix());
            out.push(reason.code());
            if let Some(date) = invalidity_date {
                put(&mut out, date.as_unix());
            }
        }
    }
    put(&mut out, template.into());
    put(&mut out, authority.into());
    put_bytes(&mut out, record.serial.as_be_bytes());
    out.extend(record.key.0);
    put(&mut out, record.not_before.as_unix());
    put(&mut out, record.not_after.as_unix());
    for names in [&record.mailboxes, &record.dns_names] {
        put(&mut out, names.len() as u64);
        names.iter().for_each(|name| put_bytes(&mut out, name.as_bytes()));
    }
    // The person is nearly always one of the names: then its number is enough.
    let mut names = record.mailboxes.iter().chain(&record.dns_names);
    match names.position(|name| *name == record.person) {
        Some(place) => put(&mut out, place as u64 + 1),
        None => {
            put(&mut out, 0);
            put_bytes(&mut out, record.person.as_bytes());
        }
    }
    out
}

/// The record of a body, with the numbers of its template and authority: their
/// names are for the caller to fill in.
pub(super) fn decode_record(position: u64, body: &[u8]) -> Option<(CertificateRecord, u32, u32)> {
    let mut input = Input(body);
    let state = match input.octet()? {
        0 => RevocationState::Good,
        1 => RevocationState::Held { at: input.time()? },
        tag @ (2 | 3) => RevocationState::Revoked {
            at: input.time()?,
            reason: ReasonCode::from_code(input.octet()?)?,
            invalidity_date: if tag == 3 { Some(input.time()?) } else { None },
        },
        _ => return None,
    };
    let template = input.number()?.try_into().ok()?;
    let authority = input.number()?.try_into().ok()?;
    let serial = SerialNumber::from_be_bytes(input.bytes()?).ok()?;
    let key = SpkiHash(input.array()?);
    let (not_before, not_after) = (input.time()?, input.time()?);
    let (mailboxes, dns_names) = (input.texts()?, input.texts()?);
    let person = match input.number()? {
        0 => input.text()?,
        place => {
            let place = usize::try_from(place - 1).ok()?;
            mailboxes.iter().chain(&dns_names).nth(place)?.clone()
        }
    };
    let record = CertificateRecord {
        position,
        authority: KeyIdentifier([0; 20]),
        serial,
        template: String::new(),
        person,
        mailboxes,
        dns_names,
        key,
        not_before,
        not_after,
        state,
    };
    input.end((record, template, authority))
}

pub(super) fn encode_authority(authority: &AuthorityRecord) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, authority.position);
    out.extend(authority.key_id.0);
    out
}

pub(super) fn decode_authority(name: &str, body: &[u8]) -> Option<AuthorityRecord> {
    let mut input = Input(body);
    let position = input.number()?;
    let key_id = KeyIdentifier(input.array()?);
    input.end(AuthorityRecord { name: name.to_owned(), position, key_id })
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend(bytes);
}

fn put_hash(out: &mut Vec<u8>, hash: Option<[u8; 32]>) {
    out.push(u8::from(hash.is_some()));
    out.extend(hash.into_iter().flatten());
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn octet(&mut self) -> Option<u8> {
        self.array().map(|[octet]| octet)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let octet = self.octet()?;
            number |= u64::from(octet & 0x7f) << shift;
            if octet < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn time(&mut self) -> Option<Timestamp> {
        Timestamp::from_unix(self.number()?).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        self.take(len)
    }

    fn text(&mut self) -> Option<String> {
        std::str::from_utf8(self.bytes()?).ok().map(str::to_owned)
    }

    fn texts(&mut self) -> Option<Vec<String>> {
        let count = self.number()?;
        (0..count).map(|_| self.text()).collect()
    }

    fn hash(&mut self) -> Option<Option<[u8; 32]>> {
        match self.octet()? {
            0 => Some(None),
            1 => self.array().map(Some),
            _ => None,
        }
    }

    /// `value`, if nothing is left over.
    fn end<T>(self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_valid_under_its_own_key_only() {
        let value = seal(b"Rone", b"body");
        assert_eq!(unseal(b"Rone", &value), Some(b"body".as_slice()));
        assert_eq!(unseal(b"Rtwo", &value), None);
        for place in 0..value.len() {
            let mut changed = value.clone();
            changed[place] ^= 1;
            assert_eq!(unseal(b"Rone", &changed), None, "octet {place}");
        }
        assert_eq!(unseal(b"Rone", &value[..7]), None);
    }

    #[test]
    fn numbers_of_every_length() {
        for number in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put(&mut out, number);
            assert_eq!(Input(&out).number(), Some(number));
            assert_eq!(Input(&out[..out.len() - 1]).number(), None);
        }
    }

    #[test]
    fn meta_round_trips_and_nothing_may_follow() {
        let totals = Totals { records: 1, pairs: 2, sum: u128::MAX };
        for applied in [Applied::default(), Applied::at(7, [9; 32])] {
            let meta = Meta { applied, fingerprint: applied.root, totals };
            let mut body = meta.encode();
            assert_eq!(Meta::format(&body), Some(layout::FORMAT));
            assert_eq!(Meta::decode(&body), Some(meta));
            body.push(0);
            assert_eq!(Meta::decode(&body), None);
        }
    }

    #[test]
    fn totals_do_not_depend_on_order() {
        let (mut one, mut other) = (Totals::default(), Totals::default());
        one.add(b"Ra", b"1");
        one.add(b"b", b"2");
        other.add(b"b", b"2");
        other.add(b"c", b"3");
        other.add(b"Ra", b"1");
        assert_ne!(one, other);
        other.remove(b"c", b"3");
        assert_eq!(one, other);
    }
}
