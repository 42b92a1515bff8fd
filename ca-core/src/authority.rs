//! Authorities of a home: certificate, chain and key.

use std::fs;
use std::path::{Path, PathBuf};

use ca_domain::profile::IssuerContext;
use ca_domain::{KeyAlgorithm, KeyIdentifier, SerialNumber, SpkiHash, Timestamp};
use ca_files::check_trusted;
use ca_signing::{Passphrase, SigningKey, SoftwareKey};
use der::{Decode, DecodePem, Encode};
use x509_cert::Certificate;

use crate::error::{AuthorityError, Result};
use crate::home::Home;
use crate::init::io;

/// An authority: a name, its certificate and what leads to the root.
#[derive(Clone, Debug)]
pub struct Authority {
    name: String,
    dir: PathBuf,
    certificate: Certificate,
    der: Vec<u8>,
    chain: Vec<Vec<u8>>,
}

/// An authority with its key unlocked: only this can issue.
pub struct AuthorityKey {
    /// Whose key it is.
    pub authority: Authority,
    pub(crate) key: SoftwareKey,
}

pub(crate) const CERTIFICATE: &str = "certificate.pem";
pub(crate) const CHAIN: &str = "chain.pem";
pub(crate) const KEY: &str = "key.pem";
pub(crate) const REQUEST: &str = "request.pem";

/// Refuses names that do not belong into paths and URLs.
///
/// # Errors
/// [`AuthorityError::AuthorityName`].
pub fn check_name(name: &str) -> Result<()> {
    let fine = name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'));
    if fine { Ok(()) } else { Err(AuthorityError::AuthorityName(name.chars().take(80).collect())) }
}

impl Authority {
    /// Loads one authority.
    ///
    /// # Errors
    /// There is none of that name (the message lists those there are), or its
    /// files are unsafe or malformed.
    pub fn load(home: &Home, name: &str) -> Result<Self> {
        check_name(name)?;
        let dir = home.authorities_dir().join(name);
        let path = dir.join(CERTIFICATE);
        if !path.exists() {
            return Err(AuthorityError::NotFound(missing(home, name, &dir)));
        }
        let certificates = read_pem_certificates(&path)?;
        let [der] = certificates.as_slice() else {
            return Err(AuthorityError::Input(format!("{} must hold one certificate", path.display())));
        };
        let certificate =
            Certificate::from_der(der).map_err(AuthorityError::der("the authority's certificate"))?;
        let chain_path = dir.join(CHAIN);
        let chain = if chain_path.exists() { read_pem_certificates(&chain_path)? } else { Vec::new() };
        Ok(Self { name: name.to_owned(), dir, certificate, der: der.clone(), chain })
    }

    /// The names of the authorities that have a certificate, in order.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn names(home: &Home) -> Result<Vec<String>> {
        let dir = home.authorities_dir();
        let mut names = Vec::new();
        for entry in fs::read_dir(&dir).map_err(io("read", &dir))? {
            let entry = entry.map_err(io("read", &dir))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if check_name(&name).is_ok() && entry.path().join(CERTIFICATE).exists() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// The names of the authorities that wait for their certificate, in order.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn waiting(home: &Home) -> Result<Vec<String>> {
        let dir = home.authorities_dir();
        let mut names = Vec::new();
        for entry in fs::read_dir(&dir).map_err(io("read", &dir))? {
            let entry = entry.map_err(io("read", &dir))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let waits = entry.path().join(REQUEST).exists() && !entry.path().join(CERTIFICATE).exists();
            if check_name(&name).is_ok() && waits {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Every authority, in the order of their names.
    ///
    /// # Errors
    /// As [`Authority::load`].
    pub fn all(home: &Home) -> Result<Vec<Self>> {
        Self::names(home)?.iter().map(|name| Self::load(home, name)).collect()
    }

    /// Its name in the home.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Its certificate, DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its issuers up to the root, DER; empty for a root.
    #[must_use]
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// Its certificate and its issuers: what goes with a certificate that it issued.
    #[must_use]
    pub fn full_chain(&self) -> Vec<Vec<u8>> {
        std::iter::once(self.der.clone()).chain(self.chain.iter().cloned()).collect()
    }

    /// Whether it signed itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        let tbs = &self.certificate.tbs_certificate;
        tbs.issuer == tbs.subject
    }

    /// Whether its private key is in this home.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.dir.join(KEY).exists()
    }

    /// DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// None for a certificate that was decoded; the encoder's signature asks for it.
    pub fn spki_der(&self) -> Result<Vec<u8>> {
        self.certificate
            .tbs_certificate
            .subject_public_key_info
            .to_der()
            .map_err(AuthorityError::der("a public key"))
    }

    /// The identifier of its key, as the ledger names it.
    ///
    /// # Errors
    /// As [`Authority::spki_der`].
    pub fn key_id(&self) -> Result<KeyIdentifier> {
        let der = self.spki_der()?;
        let spki = spki::SubjectPublicKeyInfoRef::try_from(der.as_slice())
            .map_err(|_| AuthorityError::Input(format!("the key of authority {} is malformed", self.name)))?;
        Ok(KeyIdentifier::of_spki(&spki))
    }

    /// The hash of its public key.
    ///
    /// # Errors
    /// As [`Authority::spki_der`].
    pub fn spki_hash(&self) -> Result<SpkiHash> {
        Ok(SpkiHash::of_der(&self.spki_der()?))
    }

    /// The algorithm of its key.
    #[must_use]
    pub fn key_algorithm(&self) -> Option<KeyAlgorithm> {
        let der = self.spki_der().ok()?;
        KeyAlgorithm::of_spki(&spki::SubjectPublicKeyInfoRef::try_from(der.as_slice()).ok()?)
    }

    /// Its serial number.
    ///
    /// # Errors
    /// A certificate of someone else with an impossible serial.
    pub fn serial(&self) -> Result<SerialNumber> {
        Ok(SerialNumber::try_from(&self.certificate.tbs_certificate.serial_number)?)
    }

    /// From when and until when it is valid.
    #[must_use]
    pub fn validity(&self) -> (Timestamp, Timestamp) {
        let validity = self.certificate.tbs_certificate.validity;
        (validity.not_before.into(), validity.not_after.into())
    }

    /// What its certificates take from it.
    ///
    /// # Errors
    /// Its certificate lacks what an issuer needs.
    pub fn issuer_context(&self, home: &Home) -> Result<IssuerContext> {
        let config = home.config();
        // A rule under a name that is misspelt would bind nobody. A root comes before
        // the authorities below it, and certifies no mailboxes.
        let dirs = home.authorities_dir();
        if let Some(name) =
            config.authorities.keys().find(|name| !self.is_root() && !dirs.join(name).exists())
        {
            return Err(AuthorityError::Refused(format!(
                "ca.yaml has rules for authority {name:?}, which is not in this home; correct the name, or remove the rules"
            )));
        }
        let mut context = IssuerContext::of_certificate(&self.certificate, config.urls.of(&self.name))?;
        context.mailbox_domains = config.mailbox_domains(&self.name);
        for above in &self.chain {
            let above =
                Certificate::from_der(above).map_err(AuthorityError::der("an issuer's certificate"))?;
            context = context.below(&above)?;
        }
        Ok(context)
    }

    /// Opens its private key.
    ///
    /// # Errors
    /// No key in this home, an unsafe file, a wrong passphrase, or a key that is
    /// not the certificate's.
    pub fn unlock(self, passphrase: &Passphrase) -> Result<AuthorityKey> {
        if !self.has_key() {
            return Err(AuthorityError::AuthorityWithoutKey(self.name));
        }
        let key = SoftwareKey::load(&self.dir.join(KEY), Some(passphrase))?;
        if key.public_key_der() != self.spki_der()? {
            return Err(AuthorityError::CertificateMismatch {
                name: self.name,
                why: "the key in key.pem is another one".into(),
            });
        }
        Ok(AuthorityKey { authority: self, key })
    }
}

fn missing(home: &Home, name: &str, dir: &Path) -> String {
    if dir.join(REQUEST).exists() {
        return format!(
            "authority {name:?} waits for its certificate; sign {} elsewhere, then run `ca authority import`",
            dir.join(REQUEST).display()
        );
    }
    match Authority::names(home) {
        Ok(names) if !names.is_empty() => {
            format!("there is no authority {name:?}; use one of {}", names.join(", "))
        }
        _ => format!("there is no authority {name:?}; create it with `ca authority create`"),
    }
}

/// Reads the certificates of a PEM file that nobody else may change, as DER.
pub(crate) fn read_pem_certificates(path: &Path) -> Result<Vec<Vec<u8>>> {
    check_trusted(path)?;
    let text = fs::read_to_string(path).map_err(io("read", path))?;
    pem_certificates(&text, path)
}

/// The certificates of PEM text, as DER.
pub(crate) fn pem_certificates(text: &str, path: &Path) -> Result<Vec<Vec<u8>>> {
    const END: &str = "-----END CERTIFICATE-----";
    let mut found = Vec::new();
    for block in text.split_inclusive(END) {
        let Some(start) = block.find("-----BEGIN CERTIFICATE-----") else { continue };
        let certificate = Certificate::from_pem(block[start..].trim_end()).map_err(|error| {
            AuthorityError::Input(format!("{} does not hold PEM certificates: {error}", path.display()))
        })?;
        found.push(certificate.to_der().map_err(AuthorityError::der("a certificate"))?);
    }
    Ok(found)
}
