//! A small authority with a ledger, for the tests of the daemons.
//!
//! It panics where a test would: it is compiled into tests only.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing fixture is a failing test")]

pub mod client;
pub mod program;
mod tree;

use std::path::{Path, PathBuf};

use ca_domain::{KeyAlgorithm, KeyIdentifier, ReasonCode, SerialNumber, Timestamp};
use ca_files::{Mode, write_atomic};
use ca_ledger::{EntryKind, LedgerKey, LedgerWriter, NewEntry};
use ca_signing::SoftwareKey;
use der::Decode;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use tempfile::TempDir;
use x509_cert::Certificate;

use crate::Authority;

/// One authority.
pub struct TestAuthority {
    /// Its key.
    pub key: SoftwareKey,
    /// Its certificate.
    pub authority: Authority,
    params: CertificateParams,
}

impl TestAuthority {
    /// A self-signed authority called `name`, valid from 2020 to 2040.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::with_usages(name, &[])
    }

    /// The same with the key usage digitalSignature: it may sign OCSP responses itself.
    #[must_use]
    pub fn signing(name: &str) -> Self {
        Self::with_usages(name, &[KeyUsagePurpose::DigitalSignature])
    }

    fn with_usages(name: &str, more: &[KeyUsagePurpose]) -> Self {
        let key = SoftwareKey::generate(KeyAlgorithm::P256).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = dn(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = [&[KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign], more].concat();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        let der = params.self_signed(&pair(&key)).unwrap();
        let authority = Authority::new(Certificate::from_der(der.der()).unwrap()).unwrap();
        Self { key, authority, params }
    }

    /// The identifier of its key.
    #[must_use]
    pub fn id(&self) -> KeyIdentifier {
        self.authority.key_id
    }

    /// Its certificate in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.authority.der)
    }

    /// The DER certificate that makes the holder of `key` a signer of OCSP
    /// responses from `from` to `to`; without the usage if `usage` is false.
    #[must_use]
    pub fn delegate(&self, key: &SoftwareKey, from: Timestamp, to: Timestamp, usage: bool) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = dn("OCSP signer");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.not_before = std::time::SystemTime::from(from).into();
        params.not_after = std::time::SystemTime::from(to).into();
        if usage {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        }
        // id-pkix-ocsp-nocheck: NULL.
        params.custom_extensions =
            vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 5], vec![5, 0])];
        let issuer = Issuer::from_params(&self.params, pair(&self.key));
        params.signed_by(&pair(key), &issuer).unwrap().der().to_vec()
    }

    /// The PEM certificate of a server with this serial number.
    #[must_use]
    pub fn server(&self, serial: &SerialNumber) -> String {
        let mut params = CertificateParams::new(["mail.example.test".to_owned()]).unwrap();
        params.serial_number = Some(serial.as_be_bytes().to_vec().into());
        let issuer = Issuer::from_params(&self.params, pair(&self.key));
        let key = SoftwareKey::generate(KeyAlgorithm::P256).unwrap();
        pem("CERTIFICATE", params.signed_by(&pair(&key), &issuer).unwrap().der())
    }

    /// Writes `prefix.key` and `prefix.crt` of a new delegate; its certificate.
    pub fn write_delegate(&self, prefix: &Path, from: Timestamp, to: Timestamp) -> Vec<u8> {
        let key = SoftwareKey::generate(KeyAlgorithm::P256).unwrap();
        let certificate = self.delegate(&key, from, to, true);
        write_pair(prefix, &key, &certificate);
        certificate
    }
}

/// Writes a key and a certificate to `prefix.key` and `prefix.crt`.
pub fn write_pair(prefix: &Path, key: &SoftwareKey, certificate: &[u8]) {
    let text = key.to_plain_pem().unwrap();
    write_atomic(&with_extension(prefix, "key"), text.as_bytes(), Mode::Private).unwrap();
    let text = pem("CERTIFICATE", certificate);
    write_atomic(&with_extension(prefix, "crt"), text.as_bytes(), Mode::Public).unwrap();
}

/// `prefix` with a dot and an extension.
#[must_use]
pub fn with_extension(prefix: &Path, extension: &str) -> PathBuf {
    PathBuf::from(format!("{}.{extension}", prefix.display()))
}

/// PEM of a structure.
#[must_use]
pub fn pem(label: &'static str, der: &[u8]) -> String {
    der::pem::encode_string(label, der::pem::LineEnding::LF, der).unwrap()
}

fn dn(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CountryName, "DE");
    name.push(DnType::OrganizationName, "Example");
    name.push(DnType::CommonName, common_name);
    name
}

fn pair(key: &SoftwareKey) -> KeyPair {
    KeyPair::try_from(key.pkcs8_der().as_slice()).unwrap()
}

fn entry(
    kind: EntryKind,
    authority: KeyIdentifier,
    serial: SerialNumber,
    reason: Option<ReasonCode>,
    now: Timestamp,
) -> NewEntry {
    NewEntry {
        kind,
        time: now,
        authority,
        serial: Some(serial),
        not_after: kind.is_issuance().then(|| now.saturating_add(365 * 86_400)),
        reason,
        invalidity_date: None,
        detail: b"{}".to_vec(),
    }
}

/// A ledger in a temporary directory that lives as long as the value.
pub struct TestLedger {
    dir: TempDir,
    writer: LedgerWriter,
    vkey: String,
    next: u64,
}

impl TestLedger {
    /// An empty ledger.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = LedgerKey::generate("ledger.example.test").unwrap();
        let vkey = key.vkey();
        let ledger = dir.path().join("ledger");
        std::fs::create_dir(&ledger).unwrap();
        let writer = LedgerWriter::create(&ledger, key, now).unwrap();
        Self { dir, writer, vkey, next: 1 }
    }

    /// The directory above the ledger's, for other files of the test.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.dir.path()
    }

    /// The ledger's directory.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("ledger")
    }

    /// The verification key.
    #[must_use]
    pub fn vkey(&self) -> &str {
        &self.vkey
    }

    /// Commits one entry about a certificate.
    pub fn append(
        &mut self,
        kind: EntryKind,
        authority: KeyIdentifier,
        serial: SerialNumber,
        reason: Option<ReasonCode>,
        now: Timestamp,
    ) {
        self.writer.append(vec![entry(kind, authority, serial, reason, now)], now).unwrap();
    }

    /// Records a new certificate; its serial.
    pub fn issue(&mut self, authority: KeyIdentifier, now: Timestamp) -> SerialNumber {
        let serial = self.serial();
        self.append(EntryKind::CertificateIssued, authority, serial, None, now);
        serial
    }

    /// Records so many new certificates in one commit; their serials.
    pub fn issue_many(
        &mut self,
        authority: KeyIdentifier,
        count: usize,
        now: Timestamp,
    ) -> Vec<SerialNumber> {
        let serials: Vec<_> = (0..count).map(|_| self.serial()).collect();
        let issued = |serial| entry(EntryKind::CertificateIssued, authority, serial, None, now);
        self.writer.append(serials.iter().copied().map(issued).collect(), now).unwrap();
        serials
    }

    fn serial(&mut self) -> SerialNumber {
        let mut random = [0x5a; 20];
        // They fall into all parts.
        random[..2].copy_from_slice(&(self.next as u16).wrapping_mul(0x9e37).to_be_bytes());
        random[12..].copy_from_slice(&self.next.to_be_bytes());
        self.next += 1;
        SerialNumber::from_random(random)
    }

    /// Revokes a certificate.
    pub fn revoke(
        &mut self,
        authority: KeyIdentifier,
        serial: SerialNumber,
        reason: ReasonCode,
        now: Timestamp,
    ) {
        self.append(EntryKind::Revoked, authority, serial, Some(reason), now);
    }

    /// The bytes of the ledger's checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> Vec<u8> {
        std::fs::read(self.path().join("checkpoint")).unwrap()
    }

    /// Puts other bytes in the place of the checkpoint, as a thief would.
    pub fn put_checkpoint(&self, bytes: &[u8]) {
        write_atomic(&self.path().join("checkpoint"), bytes, Mode::Public).unwrap();
    }

    /// Signs the checkpoint anew.
    pub fn heartbeat(&mut self, now: Timestamp) {
        self.writer.heartbeat(now).unwrap();
    }
}
