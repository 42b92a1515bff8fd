//! TLS of mail servers: settings for one server program, and a script that brings it certificates, CRLs
//! and OCSP answers.

mod snippet;

use std::ops::ControlFlow;

use ca_domain::Timestamp;
use ca_index::{Filter, StateFilter};
use const_oid::db::rfc5280::ID_KP_CLIENT_AUTH;
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::ext::pkix::ExtendedKeyUsage;

use crate::authority::Authority;
use crate::certify::pem_of;
use crate::error::{AuthorityError, Result};
use crate::export::bundle::ExportedFile;
use crate::export::trust::TrustSet;
use crate::home::{Home, Wait};
use crate::inventory::Inventory;

/// A server program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailServer {
    /// Dovecot 2.3.
    Dovecot,
    /// Exim 4.
    Exim,
    /// HAProxy 2.
    Haproxy,
    /// nginx.
    Nginx,
    /// Postfix 3.6 or newer.
    Postfix,
}

/// What is wanted of the server.
#[derive(Clone, Debug)]
pub struct MailServerRequest<'a> {
    /// The program.
    pub server: MailServer,
    /// Where its files will be, an absolute path without spaces.
    pub dir: &'a str,
    /// The authorities whose clients may come, by their names; empty: clients need no certificate.
    pub clients: &'a [String],
}

impl MailServer {
    /// What systemd calls it.
    const fn unit(self) -> &'static str {
        match self {
            Self::Dovecot => "dovecot",
            Self::Exim => "exim4",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
            Self::Postfix => "postfix",
        }
    }

    /// The group that reads the key; root alone where the server reads it before it gives up its rights.
    const fn group(self) -> &'static str {
        match self {
            Self::Exim => "Debian-exim",
            Self::Dovecot | Self::Haproxy | Self::Nginx | Self::Postfix => "root",
        }
    }

    /// Whether it can hand on an OCSP answer from a file.
    #[must_use]
    pub const fn staples(self) -> bool {
        matches!(self, Self::Exim | Self::Haproxy | Self::Nginx)
    }

    /// Whether it looks at CRLs.
    #[must_use]
    pub const fn checks_crls(self) -> bool {
        !matches!(self, Self::Postfix)
    }
}

/// The files: `settings.conf`, the programs `refresh` and `install`, and if clients need certificates
/// `clients.pem` and the issuer of each CRL; for a server that looks at no CRL also the clients' certificates
/// that are good at `now`, in `clients.d`.
///
/// # Errors
/// A directory that is not an absolute path of plain characters; an authority that is not in this home or has
/// no CRL address; the ledger cannot be read.
pub fn mailserver(
    home: &Home,
    request: &MailServerRequest<'_>,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Vec<ExportedFile>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    if !request.dir.starts_with('/') || !request.dir.chars().all(plain) || request.dir.contains("/../") {
        return Err(AuthorityError::Input(format!(
            "{:?} cannot be the server's directory; write an absolute path of letters, digits, '.', '-' and '_'",
            request.dir
        )));
    }
    let mut files =
        vec![file("settings.conf", snippet::settings(request)), file("install", snippet::install(request))];
    let mut crls = Vec::new();
    if !request.clients.is_empty() {
        let trust = TrustSet::of(home, request.clients)?;
        // The issuing authorities first.
        let chain: Vec<Vec<u8>> =
            trust.intermediates().iter().chain(trust.roots()).map(|one| one.der.clone()).collect();
        files.push(file("clients.pem", pem_of(&chain)?));
        for authority in Authority::all(home)?.iter().filter(|one| chain.iter().any(|der| der == one.der())) {
            let urls = home.config().urls.of(authority.name()).crl;
            let Some(url) = urls.into_iter().next() else {
                return Err(AuthorityError::Refused(format!(
                    "ca.yaml names no address for the CRL of {:?}; set urls.crl",
                    authority.name()
                )));
            };
            let issuer = format!("issuer-{}.pem", authority.name());
            files.push(file(&issuer, pem_of(&[authority.der().to_vec()])?));
            crls.push((issuer, url));
        }
        if !request.server.checks_crls() {
            for der in good_clients(home, request.clients, now, wait)? {
                let name = format!("clients.d/{}.pem", hex::encode(Sha256::digest(&der)));
                files.push(file(&name, pem_of(&[der])?));
            }
        }
    }
    files.push(file("refresh", snippet::refresh(request, &crls)));
    Ok(files)
}

/// The certificates, DER, that these authorities issued to clients of TLS, neither held nor revoked nor over.
fn good_clients(
    home: &Home,
    authorities: &[String],
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Vec<Vec<u8>>> {
    let mut inventory = Inventory::open(home, wait)?;
    let mut records = Vec::new();
    for name in authorities {
        let filter = Filter {
            authority: Some(Authority::load(home, name)?.key_id()?),
            state: Some(StateFilter::Good),
            ..Filter::default()
        };
        inventory.query(&filter, now, None, wait, &mut |record| {
            records.push(record);
            ControlFlow::Continue(())
        })?;
    }
    let mut found = Vec::new();
    for record in records {
        let issuance = inventory.issuance(record)?;
        if is_client(&issuance.certificate)? {
            found.push(issuance.der);
        }
    }
    Ok(found)
}

fn is_client(certificate: &Certificate) -> Result<bool> {
    let usage = certificate
        .tbs_certificate
        .get::<ExtendedKeyUsage>()
        .map_err(AuthorityError::der("the extended key usage of a certificate"))?;
    Ok(usage.is_some_and(|(_, usage)| usage.0.contains(&ID_KP_CLIENT_AUTH)))
}

fn file(name: &str, text: String) -> ExportedFile {
    let mut file = ExportedFile::new(name, text);
    file.executable = matches!(name, "refresh" | "install");
    file
}
