//! Configuration profiles of Apple: authorities, a person's keys, and a mail account that
//! uses them.

mod account;
mod payload;
mod sign;

use std::path::{Path, PathBuf};

use ca_domain::Timestamp;
use ca_files::{Mode, StagedFile};
use ca_signing::Passphrase;
use ca_signing::pkcs12::{Identity, Pkcs12Profile, Rounds, export_many};
use plist::{Dictionary, Value};

pub use account::{Account, MailServer};

use super::archive::FromArchive;
use super::keys::{HeldKey, KeyFile, PersonKeys, person_keys};
use super::trust::{TrustSet, slug};
use crate::error::{AuthorityError, Result};
use crate::escrow::Opening;
use crate::home::{Home, Wait};
use crate::inventory::Inventory;
use payload::{Namespace, payload};

/// What `ca export mobileconfig` is told.
pub struct ProfileRequest<'a> {
    /// Whose profile.
    pub mailbox: &'a str,
    /// The keys.
    pub files: &'a [KeyFile<'a>],
    /// More keys, out of the archive.
    pub archive: Option<&'a Opening<'a>>,
    /// Encrypts the keys in the profile. The device asks for it.
    pub password: &'a Passphrase,
    /// Whether the profile holds the password, so that the device does not ask.
    pub include_password: bool,
    /// Whether archived keys may be missing.
    pub partial: bool,
    /// The account; none for a profile of authorities and keys.
    pub account: Option<&'a Account>,
    /// The profile's identifier, if not one made of the mailbox: a device replaces the
    /// profile that it has under the same.
    pub identifier: Option<&'a str>,
    /// Who is named as its author.
    pub organization: Option<&'a str>,
    /// The key and certificate that sign the profile.
    pub signer: Option<KeyFile<'a>>,
    /// Where it goes.
    pub out: &'a Path,
    /// Whether to replace a file that is there.
    pub replace: bool,
    /// Who does it.
    pub actor: &'a str,
}

/// A profile that was written.
#[derive(Debug)]
pub struct WrittenProfile {
    /// Its file.
    pub path: PathBuf,
    /// The certificates whose keys are in it.
    pub keys: Vec<ca_domain::SerialNumber>,
    /// The one that signs new mail.
    pub signing: Option<ca_domain::SerialNumber>,
    /// The one that new mail is encrypted to.
    pub encryption: Option<ca_domain::SerialNumber>,
    /// Encryption certificates whose keys are not in it.
    pub missing: Vec<super::keys::MissingKey>,
}

/// Writes a profile, mode 0600, and records which keys are in it.
///
/// # Errors
/// A file with keys that others can read, that does not open, or that holds a key of
/// somebody else; shares that do not open the archive; a file that exists; a signer that cannot sign. Nothing was
/// written or recorded then.
pub fn write_profile(
    home: &Home,
    request: &ProfileRequest<'_>,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<WrittenProfile> {
    if !request.replace {
        crate::issue::output::check_new([&request.out.to_owned()])?;
    }
    let mut archive = FromArchive::open(home, request.archive, wait)?;
    let more = archive.take(request.mailbox);
    archive.check_taken()?;
    let mut inventory = Inventory::open(home, wait)?;
    let mut person = person_keys(home, &mut inventory, request.mailbox, request.files, more, wait)?;
    let signer = request
        .signer
        .map(|file| sign::ProfileSigner::load(home, &mut inventory, file, now, wait))
        .transpose()?;
    drop(inventory);
    if !request.partial {
        person.check_complete()?;
    }
    let signing = newest(&person, now, |key| key.signs);
    let encryption = newest(&person, now, |key| key.encrypts);
    // An old key that only signs is of no more use.
    let serials = [signing, encryption];
    person.keys.retain(|key| key.encrypts || serials.contains(&Some(key.issuance.record.serial)));
    let profile = profile(home, request, &person, signing, encryption)?;
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    Value::Dictionary(profile)
        .to_writer_xml(&mut *bytes)
        .map_err(|error| AuthorityError::Input(format!("cannot write the profile: {error}")))?;
    let bytes = match &signer {
        Some(signer) => zeroize::Zeroizing::new(signer.sign(&bytes, now)?),
        None => bytes,
    };
    let acts = person
        .keys
        .iter()
        .map(|key| key.exported(&person.mailbox, "appleProfile", &bytes, request.actor, now))
        .collect::<Result<Vec<_>>>()?;
    let staged = StagedFile::write(request.out, &bytes, Mode::Private)?;
    archive.commit(home, acts, vec![staged], request.actor, now, wait)?;
    Ok(WrittenProfile {
        path: request.out.to_owned(),
        keys: person.keys.iter().map(|key| key.issuance.record.serial).collect(),
        signing,
        encryption,
        missing: person.missing,
    })
}

fn newest(
    person: &PersonKeys,
    now: Timestamp,
    wanted: impl Fn(&HeldKey) -> bool,
) -> Option<ca_domain::SerialNumber> {
    let mut keys = person.keys.iter().rev();
    keys.find(|key| wanted(key) && key.is_current(now)).map(|key| key.issuance.record.serial)
}

fn profile(
    home: &Home,
    request: &ProfileRequest<'_>,
    person: &PersonKeys,
    signing: Option<ca_domain::SerialNumber>,
    encryption: Option<ca_domain::SerialNumber>,
) -> Result<Dictionary> {
    let mailbox = person.mailbox.as_str();
    let identifier = request.identifier.map_or_else(|| identifier_of(&person.mailbox), str::to_owned);
    payload::check_identifier(&identifier)?;
    let space = Namespace::new(&identifier);
    let mut content = authorities(home, person, &space)?;
    let (mut signing_uuid, mut encryption_uuid) = (None, None);
    for key in &person.keys {
        let (uuid, dictionary) = identity(key, request, &space, mailbox)?;
        let serial = Some(key.issuance.record.serial);
        if serial == signing {
            signing_uuid = Some(uuid.clone());
        }
        if serial == encryption {
            encryption_uuid = Some(uuid);
        }
        content.push(Value::Dictionary(dictionary));
    }
    if let Some(account) = request.account {
        let uuids = (signing_uuid.as_deref(), encryption_uuid.as_deref());
        content.push(Value::Dictionary(account.payload(mailbox, uuids, &space)?));
    }
    let (_, mut profile) =
        payload("Configuration", &space, "", mailbox.as_bytes(), &format!("S/MIME of {mailbox}"));
    profile.insert("PayloadRemovalDisallowed".into(), Value::Boolean(false));
    if let Some(organization) = request.organization {
        profile.insert("PayloadOrganization".into(), Value::String(organization.to_owned()));
    }
    profile.insert("PayloadContent".into(), Value::Array(content));
    Ok(profile)
}

/// `test.example.smime.alice` of `alice@example.test`.
fn identifier_of(mailbox: &ca_domain::mailbox::Mailbox) -> String {
    let labels: Vec<_> = mailbox.domain().split('.').rev().collect();
    format!("{}.smime.{}", labels.join("."), slug(mailbox.local_part()))
}

/// Roots and intermediates of all keys, each once.
fn authorities(home: &Home, person: &PersonKeys, space: &Namespace) -> Result<Vec<Value>> {
    let mut names: Vec<String> = person.keys.iter().map(|key| key.issuance.authority.clone()).collect();
    names.sort();
    names.dedup();
    let trust = TrustSet::of(home, &names)?;
    let each =
        [("com.apple.security.root", trust.roots()), ("com.apple.security.pkcs1", trust.intermediates())];
    let mut found = Vec::new();
    for (kind, certificates) in each {
        for one in certificates {
            let (_, mut dictionary) = payload(kind, space, &one.file_stem, &one.der, &one.label);
            dictionary
                .insert("PayloadCertificateFileName".into(), Value::String(format!("{}.cer", one.file_stem)));
            dictionary.insert("PayloadContent".into(), Value::Data(one.der.clone()));
            found.push(Value::Dictionary(dictionary));
        }
    }
    Ok(found)
}

/// One key and its certificate, in a PKCS#12 file that Apple's importer reads.
fn identity(
    key: &HeldKey,
    request: &ProfileRequest<'_>,
    space: &Namespace,
    mailbox: &str,
) -> Result<(String, Dictionary)> {
    let label = format!("{mailbox} {}", key.label());
    let one = Identity { key: &key.key, certificate: &key.issuance.der, friendly_name: &label };
    let file = export_many(Pkcs12Profile::Compat, Rounds::Many, &[one], &[], request.password)?;
    let name = format!("key-{}", key.label());
    let (uuid, mut dictionary) =
        payload("com.apple.security.pkcs12", space, &name, &key.issuance.der, &label);
    dictionary.insert("PayloadCertificateFileName".into(), Value::String(format!("{name}.p12")));
    dictionary.insert("PayloadContent".into(), Value::Data(file.to_vec()));
    if request.include_password {
        dictionary.insert("Password".into(), Value::String(request.password.expose().to_owned()));
    }
    Ok((uuid, dictionary))
}
