//! Reading a CRL without unpacking its list.

use ca_domain::{ReasonCode, SerialNumber, Timestamp};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{
    ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_CRL_NUMBER, ID_CE_CRL_REASONS, ID_CE_INVALIDITY_DATE,
    ID_CE_ISSUING_DISTRIBUTION_POINT,
};
use der::asn1::{BitStringRef, GeneralizedTime, Uint};
use der::{
    Decode, DecodeValue, Encode, EncodeValue, FixedTag, Header, Length, Reader, Sequence, SliceReader, Tag,
    Writer,
};
use spki::AlgorithmIdentifierOwned;
use x509_cert::crl::RevokedCert;
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, CrlReason};
use x509_cert::ext::{Extension, Extensions};
use x509_cert::name::Name;
use x509_cert::time::Time;
use x509_cert::{Certificate, Version};

use super::CrlNumber;
use super::writer::authority_key_id;
use crate::StatusError;

/// The body of a SEQUENCE, left packed.
struct PackedSequence<'a>(&'a [u8]);

impl FixedTag for PackedSequence<'_> {
    const TAG: Tag = Tag::Sequence;
}

impl<'a> DecodeValue<'a> for PackedSequence<'a> {
    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> der::Result<Self> {
        reader.read_slice(header.length).map(Self)
    }
}

impl EncodeValue for PackedSequence<'_> {
    fn value_len(&self) -> der::Result<Length> {
        self.0.len().try_into()
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write(self.0)
    }
}

/// TBSCertList (RFC 5280, section 5.1) with its list left packed.
#[derive(Sequence)]
struct TbsCertListRef<'a> {
    version: Version,
    signature: AlgorithmIdentifierOwned,
    issuer: Name,
    this_update: Time,
    next_update: Option<Time>,
    revoked_certificates: Option<PackedSequence<'a>>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    crl_extensions: Option<Extensions>,
}

/// A full, direct CRL (version 2, with nextUpdate, AKI and CRLNumber). Its list
/// is decoded entry by entry when it is read.
#[derive(Clone, Debug)]
pub struct CrlView<'a> {
    tbs: &'a [u8],
    list: &'a [u8],
    algorithm: AlgorithmIdentifierOwned,
    signature: &'a [u8],
    issuer: Name,
    authority_key_id: Vec<u8>,
    number: CrlNumber,
    this_update: Timestamp,
    next_update: Timestamp,
    scope: Option<IssuingDistributionPoint>,
}

fn unacceptable(what: impl Into<String>) -> StatusError {
    StatusError::CrlUnacceptable(what.into())
}

impl<'a> CrlView<'a> {
    /// Reads a DER CRL. The signature is not checked, and the list only as it is read.
    ///
    /// # Errors
    /// Not a DER CRL, version 1, no nextUpdate, AKI or CRL number, unequal
    /// signature algorithms, a delta CRL, or an unknown critical extension.
    pub fn parse(der: &'a [u8]) -> Result<Self, StatusError> {
        let mut reader = SliceReader::new(PackedSequence::from_der(der)?.0)?;
        let tbs = reader.tlv_bytes()?;
        let algorithm = AlgorithmIdentifierOwned::decode(&mut reader)?;
        let signature = BitStringRef::decode(&mut reader)?;
        reader.finish(())?;

        let fields = TbsCertListRef::from_der(tbs)?;
        if fields.version != Version::V2 {
            return Err(unacceptable("it is not of version 2"));
        }
        if fields.signature != algorithm {
            return Err(unacceptable("its two signature algorithms differ"));
        }
        if fields.revoked_certificates.as_ref().is_some_and(|list| list.0.is_empty()) {
            return Err(unacceptable("its list is an empty sequence; the field must be absent"));
        }
        let extensions = Known::read(fields.crl_extensions.as_deref().unwrap_or_default())?;
        Ok(Self {
            tbs,
            list: fields.revoked_certificates.map_or(&[], |list| list.0),
            algorithm,
            signature: signature.as_bytes().ok_or_else(|| unacceptable("its signature has odd bits"))?,
            issuer: fields.issuer,
            authority_key_id: extensions.authority_key_id,
            number: extensions.number,
            this_update: fields.this_update.into(),
            next_update: fields.next_update.ok_or_else(|| unacceptable("it has no nextUpdate"))?.into(),
            scope: extensions.scope,
        })
    }

    /// Reads a CRL and checks that `issuer` signed it.
    ///
    /// # Errors
    /// Those of [`CrlView::parse`] and [`CrlView::verify`].
    pub fn parse_and_verify(der: &'a [u8], issuer: &Certificate) -> Result<Self, StatusError> {
        let view = Self::parse(der)?;
        view.verify(issuer)?;
        Ok(view)
    }

    /// Checks the issuer's name, the authority key identifier and the signature.
    ///
    /// # Errors
    /// Whichever of them is wrong.
    pub fn verify(&self, issuer: &Certificate) -> Result<(), StatusError> {
        let subject = &issuer.tbs_certificate.subject;
        if self.issuer != *subject {
            return Err(unacceptable(format!("it is of {}, not of {subject}", self.issuer)));
        }
        if self.authority_key_id != authority_key_id(issuer)? {
            return Err(unacceptable("its authority key identifier is not that of the issuer's certificate"));
        }
        let key = issuer.tbs_certificate.subject_public_key_info.to_der()?;
        Ok(ca_signing::verify(&key, &self.algorithm, self.tbs, self.signature)?)
    }

    /// The issuer's name.
    #[must_use]
    pub const fn issuer(&self) -> &Name {
        &self.issuer
    }

    /// The authority key identifier.
    #[must_use]
    pub fn authority_key_id(&self) -> &[u8] {
        &self.authority_key_id
    }

    /// The CRL number.
    #[must_use]
    pub const fn number(&self) -> CrlNumber {
        self.number
    }

    /// The time of issue.
    #[must_use]
    pub const fn this_update(&self) -> Timestamp {
        self.this_update
    }

    /// When the next CRL is there at the latest.
    #[must_use]
    pub const fn next_update(&self) -> Timestamp {
        self.next_update
    }

    /// The issuing distribution point; none for a CRL of everything.
    #[must_use]
    pub const fn scope(&self) -> Option<&IssuingDistributionPoint> {
        self.scope.as_ref()
    }

    /// The listed certificates, in the order of the CRL.
    #[must_use]
    pub const fn entries(&self) -> CrlEntries<'a> {
        CrlEntries { rest: self.list }
    }

    /// How many certificates are listed. Reads the whole list.
    ///
    /// # Errors
    /// An entry that does not decode.
    pub fn count(&self) -> Result<u64, StatusError> {
        self.entries().try_fold(0, |count, entry| entry.map(|_| count + 1))
    }

    /// The entry of a certificate, if it is listed. Reads the list up to it.
    ///
    /// # Errors
    /// An entry that does not decode.
    pub fn lookup(&self, serial: &SerialNumber) -> Result<Option<CrlEntry>, StatusError> {
        self.entries().find(|entry| entry.as_ref().map_or(true, |e| e.serial == *serial)).transpose()
    }
}

/// The extensions that this suite understands.
struct Known {
    authority_key_id: Vec<u8>,
    number: CrlNumber,
    scope: Option<IssuingDistributionPoint>,
}

impl Known {
    fn read(extensions: &[Extension]) -> Result<Self, StatusError> {
        let (mut key, mut number, mut scope) = (None, None, None);
        for (at, extension) in extensions.iter().enumerate() {
            let value = extension.extn_value.as_bytes();
            if extensions[..at].iter().any(|earlier| earlier.extn_id == extension.extn_id) {
                return Err(unacceptable(format!("it has extension {} twice", extension.extn_id)));
            }
            match extension.extn_id {
                ID_CE_AUTHORITY_KEY_IDENTIFIER => {
                    key = AuthorityKeyIdentifier::from_der(value)?.key_identifier;
                }
                ID_CE_CRL_NUMBER => {
                    number = Some(CrlNumber::from_be_bytes(Uint::from_der(value)?.as_bytes())?);
                }
                ID_CE_ISSUING_DISTRIBUTION_POINT => {
                    scope = Some(IssuingDistributionPoint::from_der(value)?);
                }
                oid if extension.critical => return Err(unknown_critical(oid)),
                _ => {}
            }
        }
        let key = key.ok_or_else(|| unacceptable("it has no authority key identifier"))?;
        let number = number.ok_or_else(|| unacceptable("it has no CRL number"))?;
        Ok(Self { authority_key_id: key.as_bytes().to_vec(), number, scope })
    }
}

fn unknown_critical(oid: ObjectIdentifier) -> StatusError {
    unacceptable(format!("it has a critical extension {oid}, which is not supported"))
}

/// One listed certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CrlEntry {
    /// The certificate's serial.
    pub serial: SerialNumber,
    /// When it was revoked, or held.
    pub at: Timestamp,
    /// Why; unspecified without a reasonCode extension.
    pub reason: ReasonCode,
    /// When the key was lost, if given.
    pub invalidity_date: Option<Timestamp>,
}

/// The entries of a CRL, decoded one at a time. It ends after an error.
#[derive(Clone, Debug)]
pub struct CrlEntries<'a> {
    rest: &'a [u8],
}

impl Iterator for CrlEntries<'_> {
    type Item = Result<CrlEntry, StatusError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let result = self.decode();
        if result.is_err() {
            self.rest = &[];
        }
        Some(result)
    }
}

impl CrlEntries<'_> {
    fn decode(&mut self) -> Result<CrlEntry, StatusError> {
        let mut reader = SliceReader::new(self.rest)?;
        let entry = RevokedCert::decode(&mut reader)?;
        self.rest = reader.read_slice(reader.remaining_len())?;
        read_entry(&entry)
    }
}

/// Reads one entry.
pub(super) fn decode_entry(der: &[u8]) -> Result<CrlEntry, StatusError> {
    read_entry(&RevokedCert::from_der(der)?)
}

fn read_entry(entry: &RevokedCert) -> Result<CrlEntry, StatusError> {
    let serial = SerialNumber::try_from(&entry.serial_number).map_err(|e| unacceptable(e.to_string()))?;
    let (mut reason, mut invalidity_date) = (ReasonCode::Unspecified, None);
    for extension in entry.crl_entry_extensions.iter().flatten() {
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            ID_CE_CRL_REASONS => {
                let code = u8::try_from(CrlReason::from_der(value)? as u32).ok();
                reason = code.and_then(ReasonCode::from_code).unwrap_or(ReasonCode::Unspecified);
            }
            ID_CE_INVALIDITY_DATE => invalidity_date = Some(GeneralizedTime::from_der(value)?.into()),
            oid if extension.critical => return Err(unknown_critical(oid)),
            _ => {}
        }
    }
    Ok(CrlEntry { serial, at: entry.revocation_date.into(), reason, invalidity_date })
}
