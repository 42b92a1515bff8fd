//! Archives: one private key each, sealed so that several agents together can
//! open it, and fewer cannot.

use std::fs;
use std::path::{Path, PathBuf};

use ca_domain::{SerialNumber, SpkiHash};
use ca_files::{Mode, StagedFile, check_private, create_private_dir};
use ca_signing::{SigningKey, SoftwareKey};
use cms::content_info::ContentInfo;
use der::asn1::OctetString;
use der::{Decode, Encode, Sequence};
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::ext::pkix::KeyUsages;
use zeroize::Zeroizing;

use crate::agent::key_usage;
use crate::policy::{EscrowPolicy, io};
use crate::share::Share;
use crate::{EscrowError, crypto, envelope, sharing};

/// A sealed private key: what stands in the archive file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SealedKey {
    /// The file's bytes.
    pub blob: Vec<u8>,
    /// Their SHA-256: the file's name, and what the ledger records.
    pub sha256: [u8; 32],
}

/// The file:
///
/// ```asn1
/// KeyArchive ::= SEQUENCE {
///     version      INTEGER (1),
///     certificate  Certificate,               -- of the archived key
///     set          OCTET STRING (SIZE (16)),  -- random; the KEK identifier
///     threshold    INTEGER (1..16),
///     key          ContentInfo,   -- EnvelopedData of the PKCS#8 key, KEKRecipientInfo
///     shares       SEQUENCE OF SealedShare }
///
/// SealedShare ::= SEQUENCE {
///     agent        UTF8String,
///     agentKey     OCTET STRING (SIZE (32)),  -- SHA-256 of the SubjectPublicKeyInfo
///     index        INTEGER (1..255),
///     commitment   OCTET STRING (SIZE (32)),  -- SHA-256 of the Share
///     envelope     ContentInfo }  -- EnvelopedData of the Share, KeyTransRecipientInfo
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Sequence)]
struct Wire {
    version: u8,
    certificate: Certificate,
    set: OctetString,
    threshold: u8,
    key: ContentInfo,
    shares: Vec<WireShare>,
}

#[derive(Clone, Debug, Eq, PartialEq, Sequence)]
struct WireShare {
    agent: String,
    agent_key: OctetString,
    index: u8,
    commitment: OctetString,
    envelope: ContentInfo,
}

/// An archive, read.
#[derive(Clone, Debug)]
pub struct Archive {
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// The certificate of the archived key.
    pub certificate: Certificate,
    /// How many agents must contribute.
    pub threshold: u8,
    /// The sealed shares, one an agent.
    pub shares: Vec<SealedShare>,
    pub(crate) set: [u8; 16],
    key: ContentInfo,
}

/// One agent's part of an archive.
#[derive(Clone, Debug)]
pub struct SealedShare {
    /// The agent's name when the key was sealed.
    pub agent: String,
    /// The agent's public key.
    pub agent_key: SpkiHash,
    /// The share's number, 1 to 255.
    pub index: u8,
    /// SHA-256 of the share.
    pub commitment: [u8; 32],
    /// CMS ContentInfo of EnvelopedData, DER.
    pub envelope: Vec<u8>,
}

/// Seals `key`, the key of `certificate`, to the agents of `policy`.
///
/// # Errors
/// The certificate allows more than encryption, or is for another key; a policy
/// that cannot be met; a build without RSA encryption.
pub fn seal(
    policy: &EscrowPolicy,
    key: &SoftwareKey,
    certificate: &Certificate,
) -> Result<SealedKey, EscrowError> {
    refuse_signing_keys(certificate)?;
    let what = "an archive";
    let spki = certificate.tbs_certificate.subject_public_key_info.to_der();
    if spki.map_err(EscrowError::der(what))? != key.public_key_der() {
        return Err(EscrowError::NotForEncryption("the certificate is for another key"));
    }
    let kek = crypto::random_key()?;
    let set: [u8; 16] = ca_signing::random()?;
    let sealed = envelope::seal_to_kek(&kek, &set, key.pkcs8_der())?;
    let points = sharing::split(&kek, policy.threshold(), policy.agents().len())?;
    let mut shares = Vec::new();
    for (agent, point) in policy.agents().iter().zip(points) {
        let share = Share { set, point };
        let der = share.to_der()?;
        shares.push(WireShare {
            agent: agent.name().to_owned(),
            agent_key: octets(&agent.key_hash().0)?,
            index: share.point.x,
            commitment: octets(&Sha256::digest(&der))?,
            envelope: envelope::seal_to_rsa(agent.recipient(), agent.spki_der(), &der)?,
        });
    }
    let wire = Wire {
        version: 1,
        certificate: certificate.clone(),
        set: octets(&set)?,
        threshold: policy.threshold(),
        key: sealed,
        shares,
    };
    let blob = wire.to_der().map_err(EscrowError::der(what))?;
    let sha256 = Sha256::digest(&blob).into();
    Ok(SealedKey { blob, sha256 })
}

/// A key that signs must have one owner: whoever else has a copy could sign in
/// that person's name.
///
/// # Errors
/// [`EscrowError::NotForEncryption`].
pub fn refuse_signing_keys(certificate: &Certificate) -> Result<(), EscrowError> {
    let refuse = |why| Err(EscrowError::NotForEncryption(why));
    let Some(usage) = key_usage(certificate)? else {
        return refuse("its certificate has no key usage, so it could sign");
    };
    let signs =
        KeyUsages::DigitalSignature | KeyUsages::NonRepudiation | KeyUsages::KeyCertSign | KeyUsages::CRLSign;
    if !usage.0.is_disjoint(signs) {
        return refuse("its certificate allows signatures");
    }
    if usage.0.is_disjoint(KeyUsages::KeyEncipherment | KeyUsages::KeyAgreement) {
        return refuse("its certificate does not allow encryption");
    }
    Ok(())
}

impl Archive {
    /// Reads an archive's bytes.
    ///
    /// # Errors
    /// They are not the bytes of an archive.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EscrowError> {
        let strange = |why: &str| EscrowError::Format { what: "a key archive", why: why.into() };
        let wire = Wire::from_der(bytes).map_err(|error| strange(&error.to_string()))?;
        if wire.version != 1 {
            return Err(strange("it was written by newer software"));
        }
        let mut shares = Vec::new();
        for share in wire.shares {
            let fixed = |octets: &OctetString| <[u8; 32]>::try_from(octets.as_bytes()).ok();
            let (Some(agent_key), Some(commitment)) = (fixed(&share.agent_key), fixed(&share.commitment))
            else {
                return Err(strange("a hash has the wrong length"));
            };
            shares.push(SealedShare {
                agent: share.agent,
                agent_key: SpkiHash(agent_key),
                index: share.index,
                commitment,
                envelope: share.envelope.to_der().map_err(EscrowError::der("an envelope"))?,
            });
        }
        if wire.threshold == 0 || usize::from(wire.threshold) > shares.len() {
            return Err(strange("it needs more shares than it has"));
        }
        Ok(Self {
            sha256: Sha256::digest(bytes).into(),
            certificate: wire.certificate,
            threshold: wire.threshold,
            shares,
            set: wire.set.as_bytes().try_into().map_err(|_| strange("its set has the wrong length"))?,
            key: wire.key,
        })
    }

    /// Reads the archive that the ledger names, and refuses one that was changed.
    ///
    /// # Errors
    /// [`EscrowError::ArchiveChanged`]; it is missing or unsafe.
    pub fn load(dir: &Path, sha256: &[u8; 32]) -> Result<Self, EscrowError> {
        let path = archive_path(dir, sha256);
        check_private(&path)?;
        let bytes = fs::read(&path).map_err(io("read", &path))?;
        if <[u8; 32]>::from(Sha256::digest(&bytes)) != *sha256 {
            return Err(EscrowError::ArchiveChanged { path: path.display().to_string() });
        }
        Self::from_bytes(&bytes)
    }

    /// The serial number of the certificate.
    ///
    /// # Errors
    /// An impossible serial.
    pub fn serial(&self) -> Result<SerialNumber, EscrowError> {
        SerialNumber::try_from(&self.certificate.tbs_certificate.serial_number)
            .map_err(|error| EscrowError::Format { what: "a key archive", why: error.to_string() })
    }

    /// The sealed private key: CMS ContentInfo, DER.
    #[cfg(test)]
    pub(crate) fn key_der(&self) -> Vec<u8> {
        self.key.to_der().unwrap_or_default()
    }

    /// Opens the archive with the key-encryption key.
    pub(crate) fn open(&self, kek: &Zeroizing<[u8; 32]>) -> Result<SoftwareKey, EscrowError> {
        let closed = || EscrowError::Share {
            who: "the archive".into(),
            why: "it does not open with the shares that were given".into(),
        };
        let pkcs8 = envelope::open_with_kek(kek, &self.key)?.ok_or_else(closed)?;
        let key = SoftwareKey::from_pkcs8_der(&pkcs8)?;
        let spki = self.certificate.tbs_certificate.subject_public_key_info.to_der();
        if spki.map_err(EscrowError::der("an archive"))? != key.public_key_der() {
            return Err(closed());
        }
        Ok(key)
    }
}

/// Where an archive is: its name is its SHA-256.
#[must_use]
pub fn archive_path(dir: &Path, sha256: &[u8; 32]) -> PathBuf {
    dir.join("archive").join(hex::encode(sha256))
}

/// Writes an archive under a temporary name. Publish it before the certificate is
/// committed to the ledger: an archive that nothing names harms nobody, a
/// certificate whose key is lost does.
///
/// # Errors
/// The file cannot be written.
pub fn stage(dir: &Path, sealed: &SealedKey) -> Result<StagedFile, EscrowError> {
    create_private_dir(dir)?;
    create_private_dir(&dir.join("archive"))?;
    Ok(StagedFile::write(&archive_path(dir, &sealed.sha256), &sealed.blob, Mode::Private)?)
}

fn octets(bytes: &[u8]) -> Result<OctetString, EscrowError> {
    OctetString::new(bytes).map_err(EscrowError::der("an archive"))
}
