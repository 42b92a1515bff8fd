//! Writing a CRL of any length in constant memory.

use std::io::{Seek, SeekFrom, Write};

use ca_domain::{KeyIdentifier, Timestamp};
use ca_signing::SigningKey;
use const_oid::db::rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER;
use der::asn1::BitStringRef;
use der::referenced::OwnedToRef;
use der::{Encode, Header, Length, Tag};
use x509_cert::ext::pkix::SubjectKeyIdentifier;
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;
use x509_cert::name::Name;
use x509_cert::{Certificate, Version};

use super::CrlNumber;
use super::entry::EntryEncoder;
use super::extensions::crl_extensions;
use super::pipeline::{PIECE, Sink, sign_while_writing};
use crate::{RevokedEntry, StatusError};

/// What a CRL says besides its list.
#[derive(Clone, Debug)]
pub struct CrlParams {
    /// The authority's subject, byte for byte.
    pub issuer: Name,
    /// The authority's subjectKeyIdentifier.
    pub authority_key_id: Vec<u8>,
    /// Higher than that of any earlier CRL of the authority; see [`super::next_number`].
    pub number: CrlNumber,
    /// The time of issue.
    pub this_update: Timestamp,
    /// When the next CRL is there at the latest.
    pub next_update: Timestamp,
    /// The scope, for a CRL that does not cover all that the authority issued,
    /// or that names its place; see [`super::CrlScope::point`].
    pub scope: Option<IssuingDistributionPoint>,
    /// Of a delta CRL, the number of the CRL that it changes (RFC 5280, section 5.2.4).
    pub base: Option<CrlNumber>,
    /// Where the delta CRL of this CRL is (RFC 5280, section 5.2.6).
    pub freshest: Vec<String>,
    /// When the next CRL is planned; Windows fetches it then, not only at nextUpdate.
    pub next_publish: Option<Timestamp>,
}

impl CrlParams {
    /// The parameters of a full CRL of the authority with this certificate.
    ///
    /// # Errors
    /// A subjectKeyIdentifier that is not valid DER.
    pub fn for_authority(
        certificate: &Certificate,
        number: CrlNumber,
        this_update: Timestamp,
        next_update: Timestamp,
    ) -> Result<Self, StatusError> {
        let issuer = certificate.tbs_certificate.subject.clone();
        let authority_key_id = authority_key_id(certificate)?;
        Ok(Self {
            issuer,
            authority_key_id,
            number,
            this_update,
            next_update,
            scope: None,
            base: None,
            freshest: Vec::new(),
            next_publish: None,
        })
    }
}

/// The subjectKeyIdentifier of a certificate; SHA-1 of the key bits without one.
pub(super) fn authority_key_id(certificate: &Certificate) -> Result<Vec<u8>, StatusError> {
    let tbs = &certificate.tbs_certificate;
    let mut extensions = tbs.extensions.iter().flatten();
    match extensions.find(|extension| extension.extn_id == ID_CE_SUBJECT_KEY_IDENTIFIER) {
        Some(extension) => {
            let identifier: SubjectKeyIdentifier = decode(extension.extn_value.as_bytes())?;
            Ok(identifier.0.as_bytes().to_vec())
        }
        None => Ok(KeyIdentifier::of_spki(&tbs.subject_public_key_info.owned_to_ref()).0.to_vec()),
    }
}

fn decode<'a, T: der::Decode<'a>>(bytes: &'a [u8]) -> Result<T, StatusError> {
    Ok(T::from_der(bytes)?)
}

/// A CRL that was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WrittenCrl {
    /// Its number.
    pub number: CrlNumber,
    /// How many certificates it lists.
    pub entries: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its signature, which was verified.
    pub signature: Vec<u8>,
    /// The key that verified it: DER of SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
}

/// Writes the DER CRL of the `revoked` certificates, signed by `key`, to the
/// start of `out`, which is empty.
///
/// The list is read twice, for its length and for the output; it is never held in
/// memory. It is encoded in one thread and hashed in another while this one writes,
/// and the signature is verified. What is in `out` before this returns is no CRL
/// yet. Signers that cannot sign a digest (Ed25519) hold the list.
///
/// # Errors
/// Contradictory parameters, a failed signature, a list that differs from one
/// reading to the next, or a failure of `out`.
pub fn write_crl<I>(
    params: &CrlParams,
    revoked: I,
    key: &dyn SigningKey,
    out: &mut (impl Write + Seek + ?Sized),
) -> Result<WrittenCrl, StatusError>
where
    I: Iterator<Item = RevokedEntry> + Clone + Send,
{
    let algorithm = key.signature_algorithm().identifier().to_der()?;
    let frame = Frame::new(params, &algorithm, revoked.clone())?;

    // How long the signature is, is known when it is made; how long the length is,
    // before: a signature hardly ever makes the difference.
    let mut room = sequence_header(frame.total + algorithm.len() as u64 + SHORTEST_SIGNATURE)?.len();
    let mut furthest = 0;
    for _ in 0..ATTEMPTS {
        out.seek(SeekFrom::Start(room as u64))?;
        let signature = frame.sign_and_write(revoked.clone(), key, out)?;
        let bits = BitStringRef::from_bytes(&signature)?.to_der()?;
        out.write_all(&algorithm)?;
        out.write_all(&bits)?;
        let total = frame.total + (algorithm.len() + bits.len()) as u64;
        let header = sequence_header(total)?;
        let end = room as u64 + total;
        furthest = end.max(furthest);
        // No octet of an attempt that went further may be left.
        if header.len() == room && end == furthest {
            out.rewind()?;
            out.write_all(&header)?;
            out.flush()?;
            let (number, entries, public_key) = (params.number, frame.entries, key.public_key_der().to_vec());
            return Ok(WrittenCrl { number, entries, bytes: end, signature, public_key });
        }
        room = header.len();
    }
    Err(StatusError::CrlListChanged)
}

/// ECDSA signatures differ in length from one to the next.
const ATTEMPTS: usize = 100;
/// Octets of the BIT STRING of any signature, at least.
const SHORTEST_SIGNATURE: u64 = 8;

/// The header of a SEQUENCE. The `der` crate knows lengths below 256 MiB.
fn sequence_header(length: u64) -> Result<Vec<u8>, StatusError> {
    let short = u32::try_from(length).ok().and_then(|length| Length::try_from(length).ok());
    if let Some(length) = short {
        return Ok(Header::new(Tag::Sequence, length)?.to_der()?);
    }
    // X.690, section 8.1.3.5: the long form, in as few octets as possible.
    let octets = length.to_be_bytes();
    let start = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len());
    let octets = octets.get(start..).unwrap_or_default();
    let count = u8::try_from(octets.len()).unwrap_or_default();
    Ok([&[u8::from(Tag::Sequence), 0x80 | count], octets].concat())
}

/// A TBSCertList without its entries.
struct Frame {
    /// Everything before the first entry, and after the last.
    head: Vec<u8>,
    tail: Vec<u8>,
    /// The entries: how many, and their length together.
    entries: u64,
    list: u64,
    /// The length of the whole, with its header.
    total: u64,
}

impl Frame {
    fn new(
        params: &CrlParams,
        algorithm: &[u8],
        revoked: impl Iterator<Item = RevokedEntry>,
    ) -> Result<Self, StatusError> {
        let (mut entries, mut list) = (0, 0);
        let mut encoder = EntryEncoder::new(params.base.is_some());
        for entry in revoked {
            entries += 1;
            list += encoder.length(&entry)?;
        }

        let mut fields = Vec::new();
        Version::V2.encode_to_vec(&mut fields)?;
        fields.extend_from_slice(algorithm);
        params.issuer.encode_to_vec(&mut fields)?;
        params.this_update.to_x509().encode_to_vec(&mut fields)?;
        params.next_update.to_x509().encode_to_vec(&mut fields)?;
        if entries > 0 {
            // An empty list is no list at all: the field is then absent.
            fields.append(&mut sequence_header(list)?);
        }
        let mut tail = Vec::new();
        crl_extensions(params)?.encode_to_vec(&mut tail)?;

        let mut head = sequence_header(fields.len() as u64 + list + tail.len() as u64)?;
        head.append(&mut fields);
        let total = head.len() as u64 + list + tail.len() as u64;
        Ok(Self { head, tail, entries, list, total })
    }

    /// Writes the TBSCertList to `out`; its signature.
    fn sign_and_write(
        &self,
        revoked: impl Iterator<Item = RevokedEntry> + Send,
        key: &dyn SigningKey,
        out: &mut (impl Write + ?Sized),
    ) -> Result<Vec<u8>, StatusError> {
        sign_while_writing(self.total, |sink| self.encode(revoked, sink), key.begin(), out)
    }

    /// Gives the TBSCertList to `sink` piece by piece, until that says no.
    fn encode(
        &self,
        revoked: impl Iterator<Item = RevokedEntry>,
        sink: &mut Sink<'_>,
    ) -> Result<(), StatusError> {
        let mut encoder = EntryEncoder::new(true);
        let mut piece = Vec::with_capacity(PIECE + 256);
        piece.extend_from_slice(&self.head);
        let (mut entries, mut list) = (0, 0);
        for entry in revoked {
            entries += 1;
            list += encoder.encode(&entry, &mut piece)?;
            if piece.len() >= PIECE {
                let Some(empty) = sink(piece) else { return Ok(()) };
                piece = empty;
            }
        }
        // The lengths in the header and the signature speak of one and the same list.
        if (entries, list) != (self.entries, self.list) {
            return Err(StatusError::CrlListChanged);
        }
        piece.extend_from_slice(&self.tail);
        sink(piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_beyond_those_of_the_library() {
        let cases: [(u64, &[u8]); 5] = [
            (0, &[0x30, 0]),
            (0x0fff_ffff, &[0x30, 0x84, 0x0f, 0xff, 0xff, 0xff]),
            (0x1000_0000, &[0x30, 0x84, 0x10, 0, 0, 0]),
            (0xffff_ffff, &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]),
            (0x1_0000_0000, &[0x30, 0x85, 1, 0, 0, 0, 0]),
        ];
        for (length, header) in cases {
            assert_eq!(sequence_header(length).unwrap(), header);
        }
    }
}
