//! The entries of a CRL, encoded one after the other.
//!
//! Ten million are encoded for one signature, so what repeats is encoded once:
//! the extensions by reason, and the date by day. Everything comes from `der`;
//! only the six digits of the time of day are put into a date here.

use std::borrow::Cow;

use ca_domain::{ReasonCode, Timestamp};
use const_oid::db::rfc5280::{ID_CE_CRL_REASONS, ID_CE_INVALIDITY_DATE};
use der::asn1::UintRef;
use der::{Encode, Header, Length, SliceWriter, Tag, Writer};
use x509_cert::ext::pkix::CrlReason;

use super::extensions::extension;
use crate::{RevokedEntry, StatusError};

/// Octets of an entry at most: serial 22, time 17, extensions below 60, headers 8.
const LONGEST: usize = 128;
const DAY: u64 = 86_400;

/// Encodes entries, and remembers what repeats.
pub(super) struct EntryEncoder {
    times: Times,
    extensions: EntryExtensions,
}

impl EntryEncoder {
    /// removeFromCRL belongs in delta CRLs only.
    pub(super) const fn new(is_delta: bool) -> Self {
        let extensions = EntryExtensions { is_delta, by_reason: [const { None }; 11] };
        Self { times: Times { days: Vec::new(), time: Vec::new() }, extensions }
    }

    /// How many octets the entry takes.
    pub(super) fn length(&mut self, entry: &RevokedEntry) -> Result<u64, StatusError> {
        let body = body(entry, self.times.length(entry.at)?, self.extensions.of(entry)?.len())?;
        Ok(u32::from((Header::new(Tag::Sequence, body)?.encoded_len()? + body)?).into())
    }

    /// Appends the entry to `out`; its length.
    pub(super) fn encode(&mut self, entry: &RevokedEntry, out: &mut Vec<u8>) -> Result<u64, StatusError> {
        let (time, extensions) = (self.times.of(entry.at)?, self.extensions.of(entry)?);
        let mut buffer = [0; LONGEST];
        let mut writer = SliceWriter::new(&mut buffer);
        Header::new(Tag::Sequence, body(entry, time.len(), extensions.len())?)?.encode(&mut writer)?;
        UintRef::new(entry.serial.as_be_bytes())?.encode(&mut writer)?;
        writer.write(time)?;
        writer.write(&extensions)?;
        let bytes = writer.finish()?;
        out.extend_from_slice(bytes);
        Ok(bytes.len() as u64)
    }
}

fn body(entry: &RevokedEntry, time: usize, extensions: usize) -> der::Result<Length> {
    UintRef::new(entry.serial.as_be_bytes())?.encoded_len()? + Length::try_from(time + extensions)?
}

/// Days that are remembered. Entries are in the order of serials, not of time.
const DAYS: u64 = 1024;

/// Times, of which the days are remembered.
struct Times {
    /// By the day modulo [`DAYS`]: the day, and its first second as a Time.
    days: Vec<Option<(u64, Vec<u8>)>>,
    /// The one that was asked for last.
    time: Vec<u8>,
}

impl Times {
    fn of(&mut self, at: Timestamp) -> der::Result<&[u8]> {
        let second = at.as_unix() % DAY;
        let mut time = std::mem::take(&mut self.time);
        time.clear();
        time.extend_from_slice(self.midnight(at)?);
        let [hour, minute, second] = [second / 3600, second / 60 % 60, second % 60];
        // ...HHMMSSZ, in UTCTime and in GeneralizedTime.
        let digits = time.iter_mut().rev().skip(1);
        let values = [second % 10, second / 10, minute % 10, minute / 10, hour % 10, hour / 10];
        for (digit, value) in digits.zip(values) {
            *digit = b'0' + (value % 10) as u8;
        }
        self.time = time;
        Ok(&self.time)
    }

    fn length(&mut self, at: Timestamp) -> der::Result<usize> {
        Ok(self.midnight(at)?.len())
    }

    /// The Time of the first second of the day.
    fn midnight(&mut self, at: Timestamp) -> der::Result<&[u8]> {
        let day = at.as_unix() / DAY;
        let place = (day % DAYS) as usize;
        if self.days.len() <= place {
            self.days.resize(place + 1, None);
        }
        let Some(known) = self.days.get_mut(place) else { return Ok(&[]) };
        if known.as_ref().is_none_or(|(known, _)| *known != day) {
            let midnight = at.saturating_sub(at.as_unix() % DAY);
            *known = Some((day, midnight.to_x509().to_der()?));
        }
        Ok(known.as_ref().map_or(&[], |(_, time)| time))
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
