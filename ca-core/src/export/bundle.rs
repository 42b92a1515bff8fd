//! Trust bundles: what other machines install to trust authorities of a home.

use std::path::PathBuf;

use ca_domain::Timestamp;
use ca_signing::Passphrase;
use ca_signing::pkcs12::{Pkcs12Profile, TrustAnchor, trust_store};

use super::trust::{TrustSet, Trusted};
use super::{certs_only, debian, mozilla, windows};
use crate::certify::pem_of;
use crate::error::Result;

/// A form of a trust bundle.
#[derive(Debug)]
pub enum Bundle<'a> {
    /// A Debian package's files: roots for ca-certificates.
    Debian {
        /// The package's name, if not one made of the first root's.
        package: Option<&'a str>,
        /// Its Maintainer field.
        maintainer: &'a str,
        /// The time of the export, which becomes its version.
        now: Timestamp,
    },
    /// One file a certificate, DER.
    Der,
    /// policies.json of Firefox and Thunderbird, and the roots.
    Mozilla {
        /// Where the certificates will be, if not where both programs look by themselves.
        directory: Option<&'a str>,
    },
    /// PKCS#7 certs-only, DER (RFC 8551, section 3.8).
    P7b,
    /// One text of PEM certificates.
    Pem,
    /// A PKCS#12 trust store with the roots, as Java reads it.
    Pkcs12 {
        /// Which programs must read it.
        profile: Pkcs12Profile,
        /// What the store is encrypted and authenticated with.
        passphrase: &'a Passphrase,
    },
    /// A PowerShell script for a group policy or one machine.
    Windows,
}

/// What an export consists of.
#[derive(Debug)]
pub enum Exported {
    /// One file.
    File(Vec<u8>),
    /// Several files in a directory.
    Directory(Vec<ExportedFile>),
}

/// A file of several.
#[derive(Debug)]
pub struct ExportedFile {
    /// Its name below the directory.
    pub name: PathBuf,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Whether it is a program.
    pub executable: bool,
}

impl ExportedFile {
    pub(super) fn new(name: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into(), executable: false }
    }

    pub(super) fn program(name: impl Into<PathBuf>, text: String) -> Self {
        Self { name: name.into(), bytes: text.into_bytes(), executable: true }
    }
}

/// `trust` in the wanted form.
///
/// # Errors
/// A package name that Debian does not allow; a passphrase that PKCS#12 cannot carry.
pub fn bundle(form: &Bundle<'_>, trust: &TrustSet) -> Result<Exported> {
    let ders = || trust.all().map(|one| one.der.clone()).collect::<Vec<_>>();
    match form {
        Bundle::Debian { package, maintainer, now } => {
            Ok(Exported::Directory(debian::package(trust.roots(), *package, maintainer, *now)?))
        }
        Bundle::Der => {
            let file = |one: &Trusted| ExportedFile::new(format!("{}.cer", one.file_stem), one.der.clone());
            Ok(Exported::Directory(trust.all().map(file).collect()))
        }
        Bundle::Mozilla { directory } => {
            Ok(Exported::Directory(mozilla::policies(trust.roots(), *directory)?))
        }
        Bundle::P7b => Ok(Exported::File(certs_only(&ders())?)),
        Bundle::Pem => Ok(Exported::File(pem_of(&ders())?.into_bytes())),
        Bundle::Pkcs12 { profile, passphrase } => {
            let anchors = trust.anchors();
            let anchors: Vec<_> = anchors
                .iter()
                .map(|(name, der)| TrustAnchor { certificate: der, friendly_name: name })
                .collect();
            Ok(Exported::File(trust_store(*profile, &anchors, passphrase)?))
        }
        Bundle::Windows => Ok(Exported::File(windows::script(trust).into_bytes())),
    }
}
