//! Entries: the public part of the ledger, one an act.

use std::fmt;

use ca_domain::{KeyIdentifier, ReasonCode, SerialNumber, Timestamp};
use der::asn1::{GeneralizedTime, OctetString, Uint};
use der::{Decode, Encode, Enumerated, Reader, Sequence};
use sha2::{Digest, Sha256};
use tlog_tiles::Hash;

/// What an entry records. The numbers are part of the format and never reused.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Enumerated)]
#[repr(u8)]
pub enum EntryKind {
    /// An authority was created or imported; the serial is that of its certificate.
    AuthorityCreated = 1,
    /// A certificate was issued.
    CertificateIssued = 2,
    /// A certificate was revoked for ever.
    Revoked = 3,
    /// A certificate was put on hold.
    Held = 4,
    /// A hold was taken back.
    Released = 5,
    /// A CRL was issued by hand.
    CrlIssued = 6,
    /// A recovery agent was added; the authority is the identifier of the agent's key.
    EscrowAgentAdded = 7,
    /// A recovery agent was removed; the authority is the identifier of the agent's key.
    EscrowAgentRemoved = 8,
    /// The recovery of keys was asked for; the authority is the issuer of the first,
    /// the serial is there if it is one.
    RecoveryRequested = 9,
    /// An agent contributed to a recovery.
    RecoveryContributed = 10,
    /// The private key of a certificate left the archive.
    KeyRecovered = 11,
    /// The number of agents that a recovery needs was changed; the authority is
    /// twenty zero octets.
    EscrowThresholdSet = 12,
    /// Notices about coming expiries were mailed; the authority is twenty zero octets.
    NoticesSent = 13,
    /// A certificate was asked for that needs a second person's approval.
    RequestSubmitted = 14,
    /// A second person approved a request; the serial is of the certificate, which
    /// the next entry issues.
    RequestApproved = 15,
    /// A request was rejected.
    RequestRejected = 16,
    /// The certificate of an authority was issued: as CertificateIssued, but CRLs of
    /// authorities alone list it (onlyContainsCACerts; RFC 5280, section 5.2.5).
    CaCertificateIssued = 17,
    /// A person left: what is published about them is to be withdrawn. The authority
    /// is the issuer of their latest certificate.
    PersonLeft = 20,
    /// A private key left in a file for devices: a profile, or an import of another
    /// management. The serial is of its certificate.
    KeyExported = 21,
    /// OCSP answers for an authority's certificates were signed ahead.
    OcspPresigned = 22,
}

impl EntryKind {
    /// Whether a certificate was issued, of an authority or of anybody else.
    #[must_use]
    pub const fn is_issuance(self) -> bool {
        matches!(self, Self::CertificateIssued | Self::CaCertificateIssued)
    }
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AuthorityCreated => "authority created",
            Self::CertificateIssued => "certificate issued",
            Self::Revoked => "revoked",
            Self::Held => "held",
            Self::Released => "released",
            Self::CrlIssued => "CRL issued",
            Self::EscrowAgentAdded => "recovery agent added",
            Self::EscrowAgentRemoved => "recovery agent removed",
            Self::RecoveryRequested => "key recovery requested",
            Self::RecoveryContributed => "key recovery contributed to",
            Self::KeyRecovered => "key recovered",
            Self::EscrowThresholdSet => "escrow threshold set",
            Self::NoticesSent => "notices sent",
            Self::RequestSubmitted => "request submitted",
            Self::RequestApproved => "request approved",
            Self::RequestRejected => "request rejected",
            Self::CaCertificateIssued => "CA certificate issued",
            Self::PersonLeft => "person left",
            Self::KeyExported => "key exported",
            Self::OcspPresigned => "OCSP answers signed ahead",
        })
    }
}

/// One act, without personal data.
///
/// Its encoding is DER, and it is the only one:
///
/// ```asn1
/// Entry ::= SEQUENCE {
///     version         INTEGER (1),
///     kind            ENUMERATED { authorityCreated(1), certificateIssued(2),
///                         revoked(3), held(4), released(5), crlIssued(6),
///                         escrowAgentAdded(7), escrowAgentRemoved(8),
///                         recoveryRequested(9), recoveryContributed(10),
///                         keyRecovered(11), escrowThresholdSet(12),
///                         noticesSent(13), requestSubmitted(14),
///                         requestApproved(15), requestRejected(16),
///                         caCertificateIssued(17), personLeft(20), keyExported(21),
///                         ocspPresigned(22) },
///     time            GeneralizedTime,
///     authority       OCTET STRING (SIZE (20)),
///     serial          [0] IMPLICIT INTEGER OPTIONAL,
///     notAfter        [1] IMPLICIT GeneralizedTime OPTIONAL,
///     reason          [2] IMPLICIT INTEGER (0..10) OPTIONAL,
///     invalidityDate  [3] IMPLICIT GeneralizedTime OPTIONAL,
///     detailHash      OCTET STRING (SIZE (32))
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Entry {
    /// What happened.
    pub kind: EntryKind,
    /// When, by the clock of the one who did it.
    pub time: Timestamp,
    /// The key identifier of the issuing authority; in AuthorityCreated, of the
    /// authority itself.
    pub authority: KeyIdentifier,
    /// The certificate that the act is about.
    pub serial: Option<SerialNumber>,
    /// When that certificate expires.
    pub not_after: Option<Timestamp>,
    /// Why it was revoked.
    pub reason: Option<ReasonCode>,
    /// When its key was lost, as far as known (RFC 5280, section 5.3.2).
    pub invalidity_date: Option<Timestamp>,
    /// SHA-256 of the private detail record.
    pub detail_hash: [u8; 32],
}

/// An entry to append, with its detail record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewEntry {
    /// What happened.
    pub kind: EntryKind,
    /// When.
    pub time: Timestamp,
    /// The key identifier of the issuing authority.
    pub authority: KeyIdentifier,
    /// The certificate that the act is about.
    pub serial: Option<SerialNumber>,
    /// When that certificate expires.
    pub not_after: Option<Timestamp>,
    /// Why it was revoked.
    pub reason: Option<ReasonCode>,
    /// When its key was lost, as far as known.
    pub invalidity_date: Option<Timestamp>,
    /// The private detail record; the entry holds its SHA-256.
    pub detail: Vec<u8>,
}

impl NewEntry {
    /// The entry that will stand in the ledger.
    #[must_use]
    pub fn entry(&self) -> Entry {
        Entry {
            kind: self.kind,
            time: self.time,
            authority: self.authority,
            serial: self.serial,
            not_after: self.not_after,
            reason: self.reason,
            invalidity_date: self.invalidity_date,
            detail_hash: Sha256::digest(&self.detail).into(),
        }
    }
}

/// Why bytes are no entry.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// A version that was made by newer software.
    #[error("it has version {0}, this software knows version 1; use a newer release")]
    Version(u8),
    /// Not DER, an unknown kind, or bytes that do not belong there.
    #[error("it cannot be decoded ({0}); it is damaged or was written by newer software")]
    Der(#[from] der::Error),
    /// A field holds a value that it must not.
    #[error("its {0} has a value that is not allowed")]
    Field(&'static str),
}

#[derive(Sequence)]
struct Wire {
    version: u8,
    kind: EntryKind,
    time: GeneralizedTime,
    authority: OctetString,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    serial: Option<Uint>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    not_after: Option<GeneralizedTime>,
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT", optional = "true")]
    reason: Option<u8>,
    #[asn1(context_specific = "3", tag_mode = "IMPLICIT", optional = "true")]
    invalidity_date: Option<GeneralizedTime>,
    detail_hash: OctetString,
}

/// The version first, so that a newer one is reported as such.
#[derive(Debug)]
struct Version(u8);

impl<'a> Decode<'a> for Version {
    fn decode<R: Reader<'a>>(reader: &mut R) -> der::Result<Self> {
        let header = der::Header::decode(reader)?;
        header.tag.assert_eq(der::Tag::Sequence)?;
        reader.read_nested(header.length, |inner| {
            let version = u8::decode(inner)?;
            inner.read_slice(inner.remaining_len())?;
            Ok(Self(version))
        })
    }
}

impl Entry {
    /// The one version of the format.
    pub const VERSION: u8 = 1;

    /// The DER encoding.
    ///
    /// # Errors
    /// None for values of this type; the encoder's signature asks for it.
    pub fn to_der(&self) -> Result<Vec<u8>, EntryError> {
        let wire = Wire {
            version: Self::VERSION,
            kind: self.kind,
            time: self.time.to_generalized(),
            authority: OctetString::new(self.authority.0)?,
            serial: self.serial.map(|serial| Uint::new(serial.as_be_bytes())).transpose()?,
            not_after: self.not_after.map(Timestamp::to_generalized),
            reason: self.reason.map(ReasonCode::code),
            invalidity_date: self.invalidity_date.map(Timestamp::to_generalized),
            detail_hash: OctetString::new(self.detail_hash)?,
        };
        Ok(wire.to_der()?)
    }

    /// Reads the DER encoding; nothing may follow it.
    ///
    /// # Errors
    /// Another version, an unknown kind, a value out of range, or bytes that are
    /// not the encoding that [`Entry::to_der`] makes.
    pub fn from_der(bytes: &[u8]) -> Result<Self, EntryError> {
        let Version(version) = Version::from_der(bytes)?;
        if version != Self::VERSION {
            return Err(EntryError::Version(version));
        }
        let wire = Wire::from_der(bytes)?;
        let serial = wire.serial.map(|serial| SerialNumber::from_be_bytes(serial.as_bytes())).transpose();
        let reason = wire.reason.map(|code| ReasonCode::from_code(code).ok_or(EntryError::Field("reason")));
        let authority = wire.authority.as_bytes().try_into().map_err(|_| EntryError::Field("authority"))?;
        let detail_hash =
            wire.detail_hash.as_bytes().try_into().map_err(|_| EntryError::Field("detail hash"))?;
        let entry = Self {
            kind: wire.kind,
            time: wire.time.into(),
            authority: KeyIdentifier(authority),
            serial: serial.map_err(|_| EntryError::Field("serial number"))?,
            not_after: wire.not_after.map(Into::into),
            reason: reason.transpose()?,
            invalidity_date: wire.invalidity_date.map(Into::into),
            detail_hash,
        };
        // One entry, one encoding: what was hashed is what this value says.
        if entry.to_der()? != bytes {
            return Err(EntryError::Field("encoding"));
        }
        Ok(entry)
    }

    /// Whether `detail` is the record that the entry commits to.
    #[must_use]
    pub fn commits_to(&self, detail: &[u8]) -> bool {
        self.detail_hash == <[u8; 32]>::from(Sha256::digest(detail))
    }
}

/// The leaf hash of an encoded entry (RFC 6962, section 2.1).
pub(crate) fn leaf_hash(der: &[u8]) -> Hash {
    tlog_tiles::record_hash(der)
}

#[cfg(test)]
mod tests;
