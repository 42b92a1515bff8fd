//! The entries of a CRL, encoded one after the other.
//!
//! Ten million are encoded for one signature, so what repeats is encoded once: the
//! headers by what is in them, the date by day, the extensions by reason. All of it
//! comes from `der`; here it is put together, and the six digits of the time of day
//! are put into a date.

use std::borrow::Cow;

use ca_domain::{ReasonCode, Timestamp};
use const_oid::db::rfc5280::{ID_CE_CRL_REASONS, ID_CE_INVALIDITY_DATE};
use der::{Encode, Header, Length, Tag};
use x509_cert::ext::pkix::CrlReason;

use super::extensions::extension;
use crate::{RevokedEntry, StatusError};

const DAY: u64 = 86_400;

/// Encodes entries, and remembers what repeats.
pub(super) struct EntryEncoder {
    heads: Heads,
    days: Days,
    extensions: EntryExtensions,
}

impl EntryEncoder {
    /// removeFromCRL belongs in delta CRLs only.
    pub(super) const fn new(is_delta: bool) -> Self {
        let extensions = EntryExtensions { is_delta, by_reason: [const { None }; 11] };
        Self { heads: Heads(Vec::new()), days: Days(Vec::new()), extensions }
    }

    /// How many octets the entry takes.
    pub(super) fn length(&mut self, entry: &RevokedEntry) -> Result<u64, StatusError> {
        let serial = entry.serial.integer_octets().len();
        let rest = self.days.midnight(entry.at)?.len() + self.extensions.of(entry)?.len();
        Ok((self.heads.of(serial, rest)?.len() + serial + rest) as u64)
    }

    /// Appends the entry to `out`; its length.
    pub(super) fn encode(&mut self, entry: &RevokedEntry, out: &mut Vec<u8>) -> Result<u64, StatusError> {
        let serial = entry.serial.integer_octets();
        let (midnight, extensions) = (self.days.midnight(entry.at)?, self.extensions.of(entry)?);
        let head = self.heads.of(serial.len(), midnight.len() + extensions.len())?;
        let start = out.len();
        for part in [head, serial, midnight] {
            out.extend_from_slice(part);
        }
        set_time_of_day(out, entry.at);
        out.extend_from_slice(&extensions);
        Ok((out.len() - start) as u64)
    }
}

/// The headers of an entry and its serial, by the octets of the serial and of the rest.
struct Heads(Vec<Vec<Option<Vec<u8>>>>);

impl Heads {
    fn of(&mut self, serial: usize, rest: usize) -> Result<&[u8], StatusError> {
        let head = place(place(&mut self.0, serial), rest);
        Ok(match head {
            Some(head) => head,
            None => head.insert(encode_head(serial, rest)?),
        })
    }
}

/// The place in a list that grows as needed.
fn place<T: Default>(list: &mut Vec<T>, at: usize) -> &mut T {
    if list.len() <= at {
        list.resize_with(at + 1, T::default);
    }
    &mut list[at]
}

fn encode_head(serial: usize, rest: usize) -> Result<Vec<u8>, StatusError> {
    let integer = Header::new(Tag::Integer, Length::try_from(serial)?)?;
    let body = (integer.encoded_len()? + Length::try_from(serial)? + Length::try_from(rest)?)?;
    let mut head = Header::new(Tag::Sequence, body)?.to_der()?;
    integer.encode_to_vec(&mut head)?;
    Ok(head)
}

/// Days that are remembered. Entries are in the order of serials, not of time.
const DAYS: u64 = 1024;

/// By the day modulo [`DAYS`]: the day, and its first second as a Time.
struct Days(Vec<(u64, Vec<u8>)>);

impl Days {
    fn midnight(&mut self, at: Timestamp) -> Result<&[u8], StatusError> {
        let day = at.as_unix() / DAY;
        let (known, time) = place(&mut self.0, (day % DAYS) as usize);
        if *known != day || time.is_empty() {
            *time = at.saturating_sub(at.as_unix() % DAY).to_x509().to_der()?;
            *known = day;
        }
        Ok(time)
    }
}

/// Makes the Time at the end, ...HHMMSSZ in either form, that of a moment of its day.
fn set_time_of_day(time: &mut [u8], at: Timestamp) {
    let second = (at.as_unix() % DAY) as u32;
    let [hour, minute, second] = [second / 3600, second / 60 % 60, second % 60];
    let values = [hour / 10, hour % 10, minute / 10, minute % 10, second / 10, second % 10];
    if let Some([digits @ .., _]) = time.last_chunk_mut::<7>() {
        *digits = values.map(|value| b'0' + value as u8);
    }
}

struct EntryExtensions {
    is_delta: bool,
    /// By the code of the reason: crlEntryExtensions of an entry without more.
    by_reason: [Option<Vec<u8>>; 11],
}

impl EntryExtensions {
    /// crlEntryExtensions of an entry; nothing if it has none.
    fn of(&mut self, entry: &RevokedEntry) -> Result<Cow<'_, [u8]>, StatusError> {
        let is_delta = self.is_delta;
        match self.by_reason.get_mut(usize::from(entry.reason.code())) {
            Some(known) if entry.invalidity_date.is_none() => {
                let known = match known {
                    Some(known) => known,
                    None => known.insert(encode_extensions(entry, is_delta)?),
                };
                Ok(Cow::Borrowed(known))
            }
            _ => Ok(Cow::Owned(encode_extensions(entry, is_delta)?)),
        }
    }
}

fn encode_extensions(entry: &RevokedEntry, is_delta: bool) -> Result<Vec<u8>, StatusError> {
    let mut extensions = Vec::new();
    let reason = match wire_reason(entry.reason) {
        Err(_) if is_delta => Some(CrlReason::RemoveFromCRL),
        reason => reason?,
    };
    if let Some(reason) = reason {
        extensions.push(extension(ID_CE_CRL_REASONS, false, &reason)?);
    }
    if let Some(date) = entry.invalidity_date {
        extensions.push(extension(ID_CE_INVALIDITY_DATE, false, &date.to_generalized())?);
    }
    Ok(if extensions.is_empty() { Vec::new() } else { extensions.to_der()? })
}

/// The reason as full CRLs and OCSP responses carry it; unspecified is left out.
pub(crate) fn wire_reason(reason: ReasonCode) -> Result<Option<CrlReason>, StatusError> {
    Ok(Some(match reason {
        ReasonCode::Unspecified => return Ok(None),
        ReasonCode::KeyCompromise => CrlReason::KeyCompromise,
        ReasonCode::CaCompromise => CrlReason::CaCompromise,
        ReasonCode::AffiliationChanged => CrlReason::AffiliationChanged,
        ReasonCode::Superseded => CrlReason::Superseded,
        ReasonCode::CessationOfOperation => CrlReason::CessationOfOperation,
        ReasonCode::CertificateHold => CrlReason::CertificateHold,
        ReasonCode::PrivilegeWithdrawn => CrlReason::PrivilegeWithdrawn,
        ReasonCode::AaCompromise => CrlReason::AaCompromise,
        ReasonCode::RemoveFromCrl => {
            return Err(StatusError::CrlParameters("removeFromCRL belongs in delta CRLs only"));
        }
    }))
}
