//! Creating a root or an issuing authority whose issuer is in the same home.

use std::path::Path;

use ca_domain::profile::SubjectInput;
use ca_domain::template::{Template, TemplateKind};
use ca_domain::{Detail, KeyAlgorithm, KeyIdentifier, KeyOrigin, SerialNumber, Timestamp};
use ca_files::{FileError, Mode, create_private_dir, sync_dir, write_atomic};
use ca_ledger::{EntryKind, NewEntry};
use ca_signing::{KdfCost, Passphrase, SigningKey, SoftwareKey};

use crate::authority::{self, Authority, AuthorityKey};
use crate::certify::{Certified, Issuer, Record, Subject, base64, certify, detail_bytes, pem_of};
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};
use crate::init::io;

/// What `ca authority create` is told.
pub struct CreateAuthority<'a> {
    /// Its name in the home.
    pub name: &'a str,
    /// A template of kind root-ca or subordinate-ca.
    pub template: &'a Template,
    /// Its issuer; none for a root.
    pub parent: Option<&'a AuthorityKey>,
    /// The key to make; none for the template's default.
    pub key: Option<KeyAlgorithm>,
    /// Its distinguished name.
    pub subject: &'a SubjectInput,
    /// Validity; none for the template's default.
    pub days: Option<u32>,
    /// Encrypts its private key.
    pub passphrase: &'a Passphrase,
    /// What a guess at the passphrase costs.
    pub cost: KdfCost,
    /// Who does it.
    pub actor: &'a str,
}

/// Creates an authority: key, certificate, chain, and its entries in the ledger.
///
/// # Errors
/// The name is taken, the template does not fit, the parent forbids it, or the
/// disk fails. Nothing was created then, unless the error is
/// [`AuthorityError::Unnamed`], or the ledger's `OutcomeUnknown`.
pub fn create_authority(
    home: &Home,
    request: &CreateAuthority<'_>,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Authority> {
    authority::check_name(request.name)?;
    refuse_taken(home, request.name)?;
    match (request.template.kind(), request.parent) {
        (TemplateKind::RootCa, None) | (TemplateKind::SubordinateCa, Some(_)) => {}
        (TemplateKind::RootCa, Some(_)) => {
            return Err(AuthorityError::Refused(format!(
                "template {:?} makes a root, which has no parent; leave --parent out or use issuing-ca",
                request.template.name()
            )));
        }
        (TemplateKind::SubordinateCa, None) => {
            return Err(AuthorityError::Refused(format!(
                "template {:?} needs an issuer; name it with --parent, or send a request to an offline root with `ca authority csr`",
                request.template.name()
            )));
        }
        _ => {
            return Err(AuthorityError::Refused(format!(
                "template {:?} does not make authorities; use root-ca or issuing-ca",
                request.template.name()
            )));
        }
    }
    let key = SoftwareKey::generate(request.template.choose_key(request.key)?)?;
    let context = request.parent.map(|parent| parent.authority.issuer_context(home)).transpose()?;
    let issuer = Issuer {
        certificate: request
            .parent
            .zip(context.as_ref())
            .map(|(parent, context)| (parent.authority.certificate(), context)),
        key: request.parent.map_or(&key, |parent| &parent.key),
    };
    let subject = Subject { input: request.subject, spki_der: key.public_key_der(), days: request.days };
    let certified = certify(request.template, &issuer, &subject, now)?;
    let chain = request.parent.map(|parent| parent.authority.full_chain()).unwrap_or_default();
    let key_pem = key.to_encrypted_pem(request.passphrase, request.cost)?;

    let mut writer = home.writer(wait)?;
    refuse_taken(home, request.name)?;
    let staging = stage(home, request.name, &certified.der, &chain, Some(key_pem.as_bytes()))?;
    let mut acts = Vec::new();
    if let Some(parent) = request.parent {
        let record = Record {
            authority: parent.authority.name(),
            template: request.template,
            person: request.name,
            key_origin: KeyOrigin::Generated,
            request: None,
            escrow: None,
            batch: None,
            actor: request.actor,
        };
        let detail = record.detail(&certified.der);
        acts.push((certified.entry(parent.authority.key_id()?, now, detail_bytes(&detail)?), detail));
    }
    let created = Created { name: request.name, template: Some(request.template), actor: request.actor };
    acts.push(created.act(&certified, key_id(&key)?, now)?);
    writer.commit(acts, now, wait.warn)?;
    publish(home, &staging, request.name)
        .map_err(|source| AuthorityError::Unnamed { name: request.name.to_owned(), source })?;
    Authority::load(home, request.name)
}

/// The identifier of a signing key.
pub(crate) fn key_id(key: &dyn SigningKey) -> Result<KeyIdentifier> {
    let spki = spki::SubjectPublicKeyInfoRef::try_from(key.public_key_der())
        .map_err(|_| AuthorityError::Input("a public key is malformed".into()))?;
    Ok(KeyIdentifier::of_spki(&spki))
}

/// The entry that an authority exists.
pub(crate) struct Created<'a> {
    pub(crate) name: &'a str,
    pub(crate) template: Option<&'a Template>,
    pub(crate) actor: &'a str,
}

impl Created<'_> {
    pub(crate) fn act(
        &self,
        certified: &Certified,
        authority: KeyIdentifier,
        now: Timestamp,
    ) -> Result<(NewEntry, Detail)> {
        self.act_of(&certified.der, certified.serial, certified.not_after(), authority, now)
    }

    pub(crate) fn act_of(
        &self,
        der: &[u8],
        serial: SerialNumber,
        not_after: Timestamp,
        authority: KeyIdentifier,
        now: Timestamp,
    ) -> Result<(NewEntry, Detail)> {
        let detail = Detail::AuthorityCreated {
            name: self.name.to_owned(),
            certificate: base64(der),
            template: self.template.map(|template| template.name().to_owned()).unwrap_or_default(),
            template_hash: self.template.map(Template::hash_hex).unwrap_or_default(),
            actor: self.actor.to_owned(),
        };
        let entry = NewEntry {
            kind: EntryKind::AuthorityCreated,
            time: now,
            authority,
            serial: Some(serial),
            not_after: Some(not_after),
            reason: None,
            invalidity_date: None,
            detail: detail_bytes(&detail)?,
        };
        Ok((entry, detail))
    }
}

pub(crate) fn refuse_taken(home: &Home, name: &str) -> Result<()> {
    let dir = home.authorities_dir().join(name);
    let request = dir.join(authority::REQUEST);
    if request.exists() && !dir.join(authority::CERTIFICATE).exists() {
        return Err(AuthorityError::Refused(format!(
            "authority {name:?} waits for its certificate, its request is {}; sign that, or choose another name",
            request.display()
        )));
    }
    if dir.exists() {
        return Err(AuthorityError::AuthorityExists(name.to_owned()));
    }
    Ok(())
}

/// The name of a directory that is complete, but whose entry may not be committed.
pub(crate) const STAGED: &str = ".staged-";

/// Writes an authority's directory under a name that no command looks at.
pub(crate) fn stage(
    home: &Home,
    name: &str,
    der: &[u8],
    chain: &[Vec<u8>],
    key_pem: Option<&[u8]>,
) -> Result<std::path::PathBuf> {
    let staging = home.authorities_dir().join(format!("{STAGED}{name}"));
    if staging.exists() {
        std::fs::remove_dir_all(&staging).map_err(io("remove", &staging))?;
    }
    create_private_dir(&staging)?;
    if let Some(pem) = key_pem {
        write_atomic(&staging.join(authority::KEY), pem, Mode::Private)?;
    }
    write_atomic(&staging.join(authority::CHAIN), pem_of(chain)?.as_bytes(), Mode::Private)?;
    let certificate = pem_of(&[der.to_vec()])?;
    write_atomic(&staging.join(authority::CERTIFICATE), certificate.as_bytes(), Mode::Private)?;
    Ok(staging)
}

/// Gives a staged directory its name.
pub(crate) fn publish(home: &Home, staging: &Path, name: &str) -> std::result::Result<(), FileError> {
    let path = home.authorities_dir().join(name);
    std::fs::rename(staging, &path).map_err(|source| FileError::Io {
        action: "rename",
        path: staging.to_owned(),
        source,
    })?;
    sync_dir(&home.authorities_dir())
}
