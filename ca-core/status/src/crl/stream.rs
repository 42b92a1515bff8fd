//! Reading a CRL of any length in constant memory.
//!
//! The `der` crate reads at most 256 MiB, from memory. Here only the frame is
//! walked, tag by length; every part that has a meaning is decoded by `der`.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;

use ca_domain::Timestamp;
use der::asn1::BitStringRef;
use der::{Decode, DecodeOwned};
use spki::AlgorithmIdentifierOwned;
use x509_cert::Version;
use x509_cert::ext::Extensions;
use x509_cert::name::Name;
use x509_cert::time::Time;

use super::pipeline::{PIECE, Sink};
use super::view::{CrlEntry, decode_entry};
use crate::StatusError;

/// Octets of an entry, and of any field but the list, at most.
const MAX_FIELD: u64 = 64 * 1024;

/// A CRL in a file, whose list is read entry by entry. It takes what others
/// issue too: delta CRLs, CRLs without number, key identifier or nextUpdate.
#[derive(Debug)]
pub struct CrlReader<R> {
    input: Walk<R>,
    length: u64,
    tbs: Range<u64>,
    list: Range<u64>,
    frame: CrlFrame,
}

/// What a CRL says besides its list; nothing of it was verified.
#[derive(Clone, Debug)]
pub struct CrlFrame {
    /// The issuer's name.
    pub issuer: Name,
    /// The time of issue.
    pub this_update: Timestamp,
    /// When the next CRL is there at the latest.
    pub next_update: Option<Timestamp>,
    /// The signature algorithm that is signed.
    pub signed_algorithm: AlgorithmIdentifierOwned,
    /// The signature algorithm beside the signature.
    pub algorithm: AlgorithmIdentifierOwned,
    /// The signature.
    pub signature: Vec<u8>,
    /// crlExtensions, as they are.
    pub extensions: Extensions,
}

fn unacceptable(what: impl Into<String>) -> StatusError {
    StatusError::CrlUnacceptable(what.into())
}

impl<R: Read + Seek> CrlReader<R> {
    /// Reads all but the list of a DER CRL of version 2.
    ///
    /// # Errors
    /// Not a DER CRL, one of version 1, or a failure of `input`.
    pub fn open(input: R) -> Result<Self, StatusError> {
        let mut input =
            Walk { input: BufReader::with_capacity(64 * 1024, input), at: 0, element: Vec::new() };
        let end = input.input.seek(SeekFrom::End(0)).map_err(StatusError::CrlRead)?;
        input.input.rewind().map_err(StatusError::CrlRead)?;
        let length = input.sequence(end)?;
        if input.at + length != end {
            return Err(unacceptable("bytes follow it"));
        }
        let tbs_start = input.at;
        let tbs_end = input.sequence(end)? + input.at;
        if input.field::<Version>(tbs_end)? != Version::V2 {
            return Err(unacceptable("it is not of version 2"));
        }
        let signed_algorithm = input.field(tbs_end)?;
        let issuer = input.field(tbs_end)?;
        let this_update = input.field::<Time>(tbs_end)?.into();
        let (mut next_update, mut list, mut extensions) = (None, 0..0, None);
        while input.at < tbs_end {
            let length = input.header(tbs_end)?;
            let is_first = list.is_empty() && extensions.is_none();
            match input.element.first() {
                Some(0x17 | 0x18) if is_first && next_update.is_none() => {
                    input.body(length)?;
                    next_update = Some(Time::from_der(&input.element)?.into());
                }
                Some(0x30) if is_first && length > 0 => {
                    list = input.at..input.at + length;
                    input.go_to(list.end)?;
                }
                Some(0xa0) if extensions.is_none() => {
                    input.element.clear();
                    input.body(length)?;
                    extensions = Some(Extensions::from_der(&input.element)?);
                }
                _ => return Err(unacceptable(format!("byte {} begins no field of a CRL", input.at))),
            }
        }
        let algorithm = input.field(end)?;
        let length = input.header(end)?;
        input.body(length)?;
        let signature = BitStringRef::from_der(&input.element)?;
        let signature =
            signature.as_bytes().ok_or_else(|| unacceptable("its signature has odd bits"))?.to_vec();
        if input.at != end {
            return Err(unacceptable("bytes follow its signature"));
        }
        let extensions = extensions.unwrap_or_default();
        let frame =
            CrlFrame { issuer, this_update, next_update, signed_algorithm, algorithm, signature, extensions };
        Ok(Self { input, length: end, tbs: tbs_start..tbs_end, list, frame })
    }

    /// All but the list.
    #[must_use]
    pub const fn frame(&self) -> &CrlFrame {
        &self.frame
    }

    /// The entries from the first on, one at a time. It ends after an error.
    ///
    /// # Errors
    /// A failure of the input.
    pub fn entries(&mut self) -> Result<CrlReaderEntries<'_, R>, StatusError> {
        self.input.go_to(self.list.start)?;
        Ok(CrlReaderEntries { input: &mut self.input, end: self.list.end })
    }

    /// Gives the bytes that are signed to `sink`, piece by piece, until that says no.
    ///
    /// # Errors
    /// A failure of the input.
    pub(super) fn signed_bytes(&mut self, sink: &mut Sink<'_>) -> Result<(), StatusError> {
        self.input.go_to(self.tbs.start)?;
        self.input.element.clear();
        while self.input.at < self.tbs.end {
            let length = (self.tbs.end - self.input.at).min(PIECE as u64);
            self.input.element.reserve_exact(usize::try_from(length).unwrap_or_default());
            self.input.read(length)?;
            match sink(std::mem::take(&mut self.input.element)) {
                Some(empty) => self.input.element = empty,
                None => break,
            }
        }
        Ok(())
    }

    /// The length of the whole in octets.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }
}

/// The entries of a [`CrlReader`].
#[derive(Debug)]
pub struct CrlReaderEntries<'a, R> {
    input: &'a mut Walk<R>,
    end: u64,
}

impl<R: Read + Seek> CrlReaderEntries<'_, R> {
    /// How many entries are left, read over without being decoded.
    ///
    /// # Errors
    /// Something that is no entry, or a failure of the input.
    pub fn count_rest(self) -> Result<u64, StatusError> {
        let mut count = 0;
        while self.input.at < self.end {
            let length = self.input.sequence(self.end)?;
            self.input.go_to(self.input.at + length)?;
            count += 1;
        }
        Ok(count)
    }

    fn read(&mut self) -> Result<CrlEntry, StatusError> {
        let length = self.input.sequence(self.end)?;
        self.input.body(length)?;
        decode_entry(&self.input.element)
    }
}

impl<R: Read + Seek> Iterator for CrlReaderEntries<'_, R> {
    type Item = Result<CrlEntry, StatusError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.input.at >= self.end {
            return None;
        }
        let result = self.read();
        if result.is_err() {
            self.end = 0;
        }
        Some(result)
    }
}

/// Walks over DER elements.
#[derive(Debug)]
struct Walk<R> {
    input: BufReader<R>,
    at: u64,
    /// The element that was read last, or its header.
    element: Vec<u8>,
}

impl<R: Read + Seek> Walk<R> {
    fn go_to(&mut self, position: u64) -> Result<(), StatusError> {
        // Relative, since that keeps what is in the buffer.
        let distance = position.wrapping_sub(self.at) as i64;
        self.input.seek_relative(distance).map_err(StatusError::CrlRead)?;
        self.at = position;
        Ok(())
    }

    /// Appends `length` octets to the element.
    fn read(&mut self, length: u64) -> Result<(), StatusError> {
        let got =
            (&mut self.input).take(length).read_to_end(&mut self.element).map_err(StatusError::CrlRead)?;
        if got as u64 != length {
            return Err(unacceptable("it ends too early"));
        }
        self.at += length;
        Ok(())
    }

    /// Reads tag and length of an element that ends before `end`: its length.
    fn header(&mut self, end: u64) -> Result<u64, StatusError> {
        let bad = || unacceptable("it is not DER");
        self.element.clear();
        self.read(2)?;
        let length = match self.element[1] {
            short @ 0..=0x7f => u64::from(short),
            long @ 0x81..=0x85 => {
                self.read(u64::from(long & 0x7f))?;
                let octets = &self.element[2..];
                let length = octets.iter().fold(0, |length, octet| length << 8 | u64::from(*octet));
                if octets.first() == Some(&0) || length < 0x80 {
                    return Err(bad());
                }
                length
            }
            _ => return Err(bad()),
        };
        if self.at.saturating_add(length) > end {
            return Err(unacceptable("a part of it is longer than the whole"));
        }
        Ok(length)
    }

    fn sequence(&mut self, end: u64) -> Result<u64, StatusError> {
        let length = self.header(end)?;
        if self.element.first() == Some(&0x30) {
            Ok(length)
        } else {
            Err(unacceptable("it is not DER of a CRL"))
        }
    }

    fn body(&mut self, length: u64) -> Result<(), StatusError> {
        if length > MAX_FIELD {
            return Err(unacceptable(format!("a field of {length} bytes is over the limit of {MAX_FIELD}")));
        }
        self.read(length)
    }

    fn field<T: DecodeOwned>(&mut self, end: u64) -> Result<T, StatusError> {
        let length = self.header(end)?;
        self.body(length)?;
        Ok(T::from_der(&self.element)?)
    }
}
