//! Values of userSMIMECertificate (RFC 2798, section 2.8): SignedData without content, signed with a
//! person's own key, with the certificates to encrypt to.
//!
//! An authority can make one only while it has the signing key: when it makes a pair, or when the key is
//! given to it. Else its holder's mail client makes one. Objects are kept in the home, by the SHA-256 of the encryption
//! certificate that they are for.

mod check;

use std::path::PathBuf;

use ca_domain::{SerialNumber, Timestamp};
use ca_files::{Mode, StagedFile, create_private_dir, leftovers_in};
use ca_index::Index;
use ca_signing::{SigningKey, SoftwareKey};
use const_oid::db::rfc5911::{ID_AA_ENCRYP_KEY_PREF, ID_AES_128_CBC, ID_AES_256_CBC, SMIME_CAPABILITIES};
use der::asn1::ObjectIdentifier;
use der::{Any, Decode, Encode, Sequence, Tag, TagNumber};
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::attr::Attribute;

use super::config::PublishConfig;
use super::holders::{Holder, Holders, MailCertificate};
use super::ours::Ours;
use crate::authority::Authority;
use crate::cms_signature::{Placement, Signer, attribute, digest_of, issuer_and_serial};
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};
use crate::inventory::Inventory;
use crate::issue::Prepared;

pub(super) use check::signer;

/// Active Directory takes no longer value.
const MAX_LEN: usize = 32_768;

/// The objects of a home.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    dir: PathBuf,
}

/// Where an object comes from.
pub enum ObjectSource<'a> {
    /// The person's signing key, to make one.
    Key(&'a SoftwareKey),
    /// One that was made elsewhere, DER.
    Made(&'a [u8]),
}

impl Objects {
    pub(super) fn of(home: &Home) -> Self {
        Self { dir: home.root().join("smime-objects") }
    }

    /// Those of a home that publishes such objects.
    pub(crate) fn wanted(home: &Home) -> Result<Option<Self>> {
        if !home.root().join("publish.yaml").exists() {
            return Ok(None);
        }
        let config = PublishConfig::load(home)?;
        let wanted = config.directories.iter().any(|directory| directory.user_smime_certificate);
        Ok(wanted.then(|| Self::of(home)))
    }

    fn path(&self, encryption_der: &[u8]) -> PathBuf {
        self.dir.join(format!("{}.p7m", hex::encode(Sha256::digest(encryption_der))))
    }

    /// The object for a certificate, if there is one.
    pub(super) fn get(&self, encryption_der: &[u8]) -> Option<Vec<u8>> {
        std::fs::read(self.path(encryption_der)).ok()
    }

    fn put(&self, encryption_der: &[u8], object: &[u8]) -> Result<()> {
        create_private_dir(&self.dir)?;
        let mark = format!("given-{}", std::process::id());
        StagedFile::write_apart(&self.path(encryption_der), object, Mode::Private, &mark)?.publish()?;
        Ok(())
    }

    /// Completes what killed commands left: the object of a pair that is in the ledger gets its name, any other
    /// is removed.
    pub(super) fn complete(&self, home: &Home, wait: &Wait<'_>) -> Result<()> {
        if !self.dir.exists() {
            return Ok(());
        }
        // They are found before the ledger is read: their commands have ended, and can commit nothing after that.
        let left = leftovers_in(&self.dir)?;
        if left.is_empty() {
            return Ok(());
        }
        let mut inventory = Inventory::open(home, wait)?;
        for one in left {
            let serial = SerialNumber::parse(one.mark()).ok();
            let issued = match serial {
                Some(serial) => !inventory.ask(wait, |index| index.by_serial(serial))?.is_empty(),
                None => false,
            };
            // One that has the name was given since.
            if !issued || one.target().exists() {
                one.remove()?;
                continue;
            }
            let said = format!(
                "kept {} of certificate {}, whose command was killed before the file had its name",
                one.target().display(),
                one.mark()
            );
            one.publish()?;
            (wait.warn)(&said);
        }
        Ok(())
    }

    /// Makes the object of a pair whose signing key was made here, on disk under a temporary name.
    /// None where the holder alone has that key, or nobody can encrypt.
    pub(crate) fn stage(
        &self,
        prepared: &[&Prepared],
        chain: &[Vec<u8>],
        now: Timestamp,
    ) -> Result<Option<StagedFile>> {
        let usage = |one: &&&Prepared| super::holders::usage(&one.certified.certificate);
        let signing =
            prepared.iter().find(|one| one.key.is_some() && usage(one).is_some_and(|(signs, _)| signs));
        let encryption = prepared.iter().find(|one| usage(one).is_some_and(|(_, encrypts)| encrypts));
        let (Some(signing), Some(encryption)) = (signing, encryption) else { return Ok(None) };
        let Some(key) = signing.key.as_deref() else { return Ok(None) };
        let object =
            make(key, &signing.certified.certificate, &encryption.certified.certificate, chain, now)?;
        create_private_dir(&self.dir)?;
        let mark = signing.serial().to_string();
        let path = self.path(&encryption.certified.der);
        Ok(Some(StagedFile::write_apart(&path, &object, Mode::Private, &mark)?))
    }
}

/// Keeps an object for the person at `mailbox`, so that the next `ca publish ldap` publishes it. Returns the
/// serial number of the encryption certificate that it is for.
///
/// # Errors
/// The person has no encryption certificate; the key is not that of one of their signing certificates; the
/// object is not of this person, lacks the current encryption certificate, or is not signed.
pub fn keep_object(
    home: &Home,
    mailbox: &str,
    source: &ObjectSource<'_>,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<String> {
    let objects = Objects::of(home);
    // An object that waits for its name is older than this one.
    objects.complete(home, wait)?;
    let authorities = Authority::all(home)?;
    let mut holders = Holders::gather(home, &[], now, wait)?;
    holders.only(&[mailbox.to_owned()])?;
    let ours = Ours::new(&authorities, &holders)?;
    let nobody = || AuthorityError::NotFound(format!("{mailbox} has no good certificate to encrypt to"));
    let holder = holders.list.first().ok_or_else(nobody)?;
    let encryption = holder.encryption().next().ok_or_else(nobody)?;
    let object = match source {
        ObjectSource::Key(key) => of_key(key, holder, encryption, &authorities, now)?,
        ObjectSource::Made(der) => {
            check::check(der, holder, encryption, &ours)?;
            der.to_vec()
        }
    };
    if object.len() > MAX_LEN {
        return Err(AuthorityError::Refused(format!(
            "the object has {} octets, and directories take {MAX_LEN}; leave certificates out of it",
            object.len()
        )));
    }
    objects.put(&encryption.der, &object)?;
    Ok(encryption.serial.to_string())
}

fn of_key(
    key: &SoftwareKey,
    holder: &Holder,
    encryption: &MailCertificate,
    authorities: &[Authority],
    now: Timestamp,
) -> Result<Vec<u8>> {
    let read = |der: &[u8]| Certificate::from_der(der).map_err(AuthorityError::der("a certificate"));
    for candidate in holder.certificates.iter().filter(|one| one.signs) {
        let certificate = read(&candidate.der)?;
        let spki = certificate.tbs_certificate.subject_public_key_info.to_der();
        if spki.map_err(AuthorityError::der("a public key"))? != key.public_key_der() {
            continue;
        }
        let issuer = &certificate.tbs_certificate.issuer;
        let chain = authorities
            .iter()
            .find(|authority| authority.certificate().tbs_certificate.subject == *issuer)
            .map(Authority::full_chain)
            .unwrap_or_default();
        return make(key, &certificate, &read(&encryption.der)?, &chain, now);
    }
    Err(AuthorityError::Refused(format!(
        "this is not the key of a good signing certificate of {}; give that key",
        holder.mailbox
    )))
}

fn make(
    key: &SoftwareKey,
    signing: &Certificate,
    encryption: &Certificate,
    chain: &[Vec<u8>],
    now: Timestamp,
) -> Result<Vec<u8>> {
    if digest_of(key.signature_algorithm()).is_none() {
        return Err(AuthorityError::Refused("mail clients cannot verify Ed25519; use another key".into()));
    }
    let chain = chain
        .iter()
        .map(|der| Certificate::from_der(der).map_err(AuthorityError::der("a certificate")))
        .collect::<Result<Vec<_>>>()?;
    let attributes = attributes(encryption).map_err(AuthorityError::der("a signed attribute"))?;
    let others = (encryption != signing).then(|| encryption.clone());
    let chain: Vec<Certificate> = others.into_iter().chain(chain).collect();
    Signer { certificate: signing, chain: &chain, key }.sign_with(&[], Placement::Detached, attributes, now)
}

#[derive(Sequence)]
struct Capability {
    id: ObjectIdentifier,
}

/// smimeCapabilities and SMIMEEncryptionKeyPreference (RFC 8551, sections 2.5.2 and 2.5.3).
fn attributes(encryption: &Certificate) -> der::Result<Vec<Attribute>> {
    let mut extensions = encryption.tbs_certificate.extensions.iter().flatten();
    let announced = extensions.find(|extension| extension.extn_id == SMIME_CAPABILITIES);
    let capabilities = match announced {
        Some(extension) => Any::from_der(extension.extn_value.as_bytes())?,
        None => {
            Any::encode_from(&vec![Capability { id: ID_AES_256_CBC }, Capability { id: ID_AES_128_CBC }])?
        }
    };
    // IssuerAndSerialNumber with the implicit tag [0].
    let named = Any::encode_from(&issuer_and_serial(encryption))?;
    let tag = Tag::ContextSpecific { constructed: true, number: TagNumber::N0 };
    Ok(vec![
        attribute(SMIME_CAPABILITIES, capabilities)?,
        attribute(ID_AA_ENCRYP_KEY_PREF, Any::new(tag, named.value())?)?,
    ])
}
