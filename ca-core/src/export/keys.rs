//! Private keys that go into exports: read from PKCS#12 files that were delivered, and
//! compared with the ledger.

use std::path::Path;

use ca_domain::mailbox::Mailbox;
use ca_domain::{Detail, RevocationState, SerialNumber, Timestamp};
use ca_files::StagedFile;
use ca_index::Index;
use ca_ledger::{EntryKind, NewEntry};
use ca_signing::pkcs12::load;
use ca_signing::{Passphrase, SoftwareKey};
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{KeyUsage, KeyUsages};

use crate::certify::detail_bytes;
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};
use crate::inventory::{Inventory, Issuance};
use crate::person::is_same;

/// A PKCS#12 file with keys, and what opens it.
#[derive(Clone, Copy, Debug)]
pub struct KeyFile<'a> {
    /// The file, mode 0600.
    pub path: &'a Path,
    /// Its password.
    pub password: &'a Passphrase,
}

/// A private key with its certificate, which this home issued.
#[derive(Debug)]
pub struct HeldKey {
    /// The private key.
    pub key: SoftwareKey,
    /// Its certificate and what is known of it.
    pub issuance: Issuance,
    /// The certificate's issuers up to the root, DER.
    pub chain: Vec<Vec<u8>>,
    /// Whether mail is encrypted to it.
    pub encrypts: bool,
    /// Whether it signs mail.
    pub signs: bool,
}

/// An encryption certificate of a person whose key is in none of the files.
#[derive(Clone, Debug)]
pub struct MissingKey {
    /// The certificate.
    pub serial: SerialNumber,
    /// Whether its key is in the archive.
    pub archived: bool,
}

/// A person's keys.
#[derive(Debug)]
pub struct PersonKeys {
    /// The person's mailbox.
    pub mailbox: Mailbox,
    /// The keys, the oldest first.
    pub keys: Vec<HeldKey>,
    /// What is missing of the history of encryption.
    pub missing: Vec<MissingKey>,
}

/// Reads PKCS#12 files of `mailbox`; `more` are keys of theirs from elsewhere.
///
/// # Errors
/// A file that others can read, that does not open, or that holds a key of somebody
/// else or of a certificate that this home did not issue; no key at all.
pub(super) fn person_keys(
    home: &Home,
    inventory: &mut Inventory,
    mailbox: &str,
    files: &[KeyFile<'_>],
    more: Vec<HeldKey>,
    wait: &Wait<'_>,
) -> Result<PersonKeys> {
    let mailbox = Mailbox::parse(mailbox)?;
    let mut keys = more;
    for file in files {
        for one in load(file.path, file.password)? {
            let issuance = issued(inventory, &one.certificate, file.path, wait)?;
            if !issuance.record.mailboxes.iter().any(|name| is_same(name, mailbox.as_str())) {
                return Err(AuthorityError::Refused(format!(
                    "{} holds a key of {}, not of {mailbox}; name the file of the right person",
                    file.path.display(),
                    issuance.record.person
                )));
            }
            if keys.iter().any(|known| known.issuance.record.serial == issuance.record.serial) {
                continue;
            }
            let chain = inventory.chain(home, &issuance)?;
            keys.push(HeldKey::new(one.key, issuance, chain)?);
        }
    }
    if keys.is_empty() {
        return Err(AuthorityError::Input(format!(
            "there is no private key of {mailbox}; name PKCS#12 files with --p12, or the agents' shares with --share"
        )));
    }
    keys.sort_by_key(|key| key.issuance.record.position);
    let missing = missing(inventory, &mailbox, &keys, wait)?;
    Ok(PersonKeys { mailbox, keys, missing })
}

/// The certificate as the ledger has it.
pub(super) fn issued(
    inventory: &mut Inventory,
    der: &[u8],
    path: &Path,
    wait: &Wait<'_>,
) -> Result<Issuance> {
    use der::Decode;
    let certificate = Certificate::from_der(der).map_err(AuthorityError::der("a certificate"))?;
    let foreign = || {
        AuthorityError::Refused(format!(
            "{} holds a certificate that this home did not issue (of {}); leave it out",
            path.display(),
            certificate.tbs_certificate.issuer
        ))
    };
    let serial = SerialNumber::try_from(&certificate.tbs_certificate.serial_number).map_err(|_| foreign())?;
    match inventory.by_serial(serial, wait) {
        Ok(issuance) if issuance.der == der => Ok(issuance),
        Ok(_) | Err(AuthorityError::NotFound(_)) => Err(foreign()),
        Err(error) => Err(error),
    }
}

/// What the certificate allows; one without key usage allows everything.
fn usage(certificate: &Certificate) -> Result<der::flagset::FlagSet<KeyUsages>> {
    let usage = certificate.tbs_certificate.get::<KeyUsage>();
    let usage = usage.map_err(AuthorityError::der("the key usage of a certificate"))?;
    Ok(usage.map_or_else(der::flagset::FlagSet::full, |(_, usage)| usage.0))
}

/// Whether a certificate allows signatures of mail.
pub(super) fn may_sign(certificate: &Certificate) -> Result<bool> {
    Ok(!usage(certificate)?.is_disjoint(KeyUsages::DigitalSignature | KeyUsages::NonRepudiation))
}

/// Whether mail is encrypted to a certificate.
fn may_encrypt(certificate: &Certificate) -> Result<bool> {
    Ok(!usage(certificate)?.is_disjoint(KeyUsages::KeyEncipherment | KeyUsages::KeyAgreement))
}

fn missing(
    inventory: &mut Inventory,
    mailbox: &Mailbox,
    keys: &[HeldKey],
    wait: &Wait<'_>,
) -> Result<Vec<MissingKey>> {
    let mut missing = Vec::new();
    for record in inventory.ask(wait, |index| index.by_mailbox(mailbox.as_str()))? {
        let held = keys.iter().any(|key| key.issuance.record.position == record.position);
        if held || !is_same(&record.person, mailbox.as_str()) {
            continue;
        }
        let issuance = inventory.issuance(record)?;
        if may_encrypt(&issuance.certificate)? {
            missing.push(MissingKey { serial: issuance.record.serial, archived: issuance.escrow.is_some() });
        }
    }
    Ok(missing)
}

impl PersonKeys {
    /// Refuses a history with a gap that the archive could fill.
    ///
    /// # Errors
    /// An archived encryption key is missing.
    pub fn check_complete(&self) -> Result<()> {
        let archived: Vec<_> =
            self.missing.iter().filter(|key| key.archived).map(|key| key.serial.to_string()).collect();
        if archived.is_empty() {
            return Ok(());
        }
        Err(AuthorityError::Refused(format!(
            "{} has archived encryption keys that no file holds ({}), and could not read old mail; get them with \
             `ca escrow recover`, or give --partial to leave them out",
            self.mailbox,
            archived.join(", ")
        )))
    }
}

impl HeldKey {
    pub(super) fn new(key: SoftwareKey, issuance: Issuance, chain: Vec<Vec<u8>>) -> Result<Self> {
        let (encrypts, signs) = (may_encrypt(&issuance.certificate)?, may_sign(&issuance.certificate)?);
        Ok(Self { key, issuance, chain, encrypts, signs })
    }

    /// Whether it can be used for new mail.
    #[must_use]
    pub fn is_current(&self, now: Timestamp) -> bool {
        let record = &self.issuance.record;
        matches!(record.state, RevocationState::Good) && !record.is_expired(now) && record.not_before <= now
    }

    /// The day and the beginning of the serial number: sorts by age, and is unique.
    #[must_use]
    pub fn label(&self) -> String {
        let record = &self.issuance.record;
        let day: String = record.not_before.to_string().chars().take(10).collect();
        let serial: String = record.serial.to_string().chars().take(8).collect();
        format!("{day}-{serial}")
    }

    /// The act of exporting it, for the ledger; `file` is what it was written into.
    pub(super) fn exported(
        &self,
        person: &Mailbox,
        form: &str,
        file: &[u8],
        actor: &str,
        now: Timestamp,
    ) -> Result<(NewEntry, Detail)> {
        let detail = Detail::KeyExported {
            person: person.to_string(),
            form: form.to_owned(),
            sha256: hex::encode(Sha256::digest(file)),
            actor: actor.to_owned(),
        };
        let record = &self.issuance.record;
        let entry = NewEntry {
            kind: EntryKind::KeyExported,
            time: now,
            authority: record.authority,
            serial: Some(record.serial),
            not_after: None,
            reason: None,
            invalidity_date: None,
            detail: detail_bytes(&detail)?,
        };
        Ok((entry, detail))
    }
}

/// Records the exports, then gives the files their names: a file that is there is in the
/// ledger.
pub(super) fn commit(
    home: &Home,
    acts: Vec<(NewEntry, Detail)>,
    staged: Vec<StagedFile>,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Vec<std::path::PathBuf>> {
    let mut writer = home.writer(wait)?;
    StagedFile::sync_names(&staged)?;
    writer.commit(acts, now, wait.warn)?;
    staged.into_iter().map(|file| Ok(file.publish()?)).collect()
}
