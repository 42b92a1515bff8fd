//! Issuing a certificate to a person or a server.

pub mod output;

use std::path::PathBuf;

use ca_domain::csr::VerifiedRequest;
use ca_domain::key_check::{CheckedKey, check_public_key};
use ca_domain::profile::SubjectInput;
use ca_domain::template::{SubjectAttribute, Template, TemplateKind};
use ca_domain::{
    Detail, KeyAlgorithm, KeyIdentifier, KeyOrigin, RevocationState, SerialNumber, SpkiHash, Timestamp,
};
use ca_files::StagedFile;
use ca_index::{CertificateRecord, Index};
use ca_ledger::NewEntry;
use ca_signing::{SigningKey, SoftwareKey};

use crate::authority::{Authority, AuthorityKey};
use crate::certify::{Certified, Issuer, Record, Subject, certify, detail_bytes};
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};
pub use output::Output;

/// What `ca issue` is told.
pub struct IssueRequest<'a> {
    /// Who issues.
    pub issuer: &'a AuthorityKey,
    /// What is issued.
    pub template: &'a Template,
    /// Names and addresses, from the authorised input alone.
    pub subject: &'a SubjectInput,
    /// Where the key comes from.
    pub key: SubjectKey,
    /// Validity; none for the template's default.
    pub days: Option<u32>,
    /// The files to deliver.
    pub outputs: &'a [Output],
    /// Who does it.
    pub actor: &'a str,
}

/// Where a certified key comes from.
pub enum SubjectKey {
    /// A request whose proof of possession was checked. Only its key is used.
    Csr(Box<VerifiedRequest>),
    /// Made here; none for the template's default algorithm.
    Generate(Option<KeyAlgorithm>),
}

/// A certificate in the ledger.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Its serial number.
    pub serial: SerialNumber,
    /// Its entry's position in the ledger.
    pub position: u64,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when, inclusive.
    pub not_after: Timestamp,
    /// PEM.
    pub pem: String,
    /// The files written.
    pub files: Vec<PathBuf>,
}

/// A certificate that was signed and whose files are on disk under temporary
/// names: all but the commit.
pub struct Prepared {
    certified: Certified,
    pem: String,
    key_hash: SpkiHash,
    key_id: KeyIdentifier,
    person: String,
    staged: Vec<StagedFile>,
    new_files: Vec<PathBuf>,
    entry: NewEntry,
    detail: Detail,
}

/// Issues one certificate.
///
/// # Errors
/// The request breaks a rule, the linter objects, the key is weak or in use by
/// someone else, or the disk fails. Nothing was issued then, unless the error is
/// [`AuthorityError::Published`], or the ledger's `OutcomeUnknown`.
pub fn issue(home: &Home, request: &IssueRequest<'_>, now: Timestamp, wait: &Wait<'_>) -> Result<Issued> {
    let prepared = prepare(home, request, now)?;
    let mut issued = commit(home, vec![prepared], now, wait)?;
    issued.pop().ok_or_else(|| AuthorityError::Input("nothing was issued".into()))
}

/// Does all that needs no lock: key, checks, signature, files under temporary names.
///
/// # Errors
/// As [`issue`].
pub fn prepare(home: &Home, request: &IssueRequest<'_>, now: Timestamp) -> Result<Prepared> {
    if matches!(request.template.kind(), TemplateKind::RootCa | TemplateKind::SubordinateCa) {
        return Err(AuthorityError::Refused(format!(
            "template {:?} makes authorities; use `ca authority create`",
            request.template.name()
        )));
    }
    Output::check(request.outputs)?;
    let person = match request.template.kind() {
        // The same at every renewal: a key stays with one person.
        TemplateKind::OcspSigner => format!("{} OCSP signer", request.issuer.authority.name()),
        _ => person(request.subject)?,
    };
    let (generated, spki_der, key_origin, csr) = match &request.key {
        SubjectKey::Csr(csr) => {
            request.template.accept_csr()?;
            (None, csr.public_key_der().to_vec(), KeyOrigin::Csr, Some(csr.der()))
        }
        SubjectKey::Generate(algorithm) => {
            let algorithm = request.template.choose_key(*algorithm)?;
            let key = SoftwareKey::generate(algorithm)?;
            let spki = key.public_key_der().to_vec();
            (Some(key), spki, KeyOrigin::Generated, None)
        }
    };
    let checked = check_public_key(&spki_der)?;
    refuse_authority_key(home, &checked)?;

    let issuer_authority = &request.issuer.authority;
    let context = issuer_authority.issuer_context(home)?;
    let issuer =
        Issuer { certificate: Some((issuer_authority.certificate(), &context)), key: &request.issuer.key };
    let subject = Subject { input: request.subject, spki_der: &spki_der, days: request.days };
    let certified = certify(request.template, &issuer, &subject, now)?;
    let record = Record {
        authority: issuer_authority.name(),
        template: request.template,
        person: &person,
        key_origin,
        request: csr,
        actor: request.actor,
    };
    let detail = record.detail(&certified.der);
    let entry = certified.entry(issuer_authority.key_id()?, now, detail_bytes(&detail)?);
    let chain = issuer_authority.full_chain();
    let staged = request
        .outputs
        .iter()
        .map(|output| output.stage(&certified, generated.as_ref(), &chain))
        .collect::<Result<Vec<_>>>()?;
    let pem = certified.pem()?;
    Ok(Prepared {
        certified,
        pem,
        key_hash: checked.hash,
        key_id: checked.key_id,
        person,
        staged,
        new_files: Output::new_files(request.outputs),
        entry,
        detail,
    })
}

/// Commits prepared certificates in one act of the ledger, then gives their
/// files their names.
///
/// # Errors
/// As [`issue`]; all or none is issued.
pub fn commit(home: &Home, prepared: Vec<Prepared>, now: Timestamp, wait: &Wait<'_>) -> Result<Vec<Issued>> {
    let mut writer = home.writer(wait)?;
    output::check_new(prepared.iter().flat_map(|one| &one.new_files))?;
    let authorities = writer.ask(wait, |index| index.authorities())?;
    for one in &prepared {
        // An authority whose directory is gone is still in the ledger.
        if let Some(authority) = authorities.iter().find(|authority| authority.key_id == one.key_id) {
            return Err(AuthorityError::KeyReuse(format!("it is the key of authority {:?}", authority.name)));
        }
        let same_key = writer.ask(wait, |index| index.by_key(one.key_hash))?;
        refuse_reused_key(&same_key, &one.person)?;
        if !writer.ask(wait, |index| index.by_serial(one.certified.serial))?.is_empty() {
            return Err(AuthorityError::Refused(
                "the random serial number is in use, which cannot happen with a sound source of randomness; \
                 stop issuing and check the machine"
                    .into(),
            ));
        }
    }
    let mut acts = Vec::with_capacity(prepared.len());
    let mut delivered = Vec::with_capacity(prepared.len());
    for one in prepared {
        acts.push((one.entry, one.detail));
        delivered.push((one.certified, one.pem, one.staged));
    }
    let first = writer.commit(acts, now, wait.warn)?;
    let mut issued = Vec::with_capacity(delivered.len());
    let mut failed = None;
    for (position, (certified, pem, staged)) in (first..).zip(delivered) {
        let serial = certified.serial;
        let files = match output::publish(serial, staged) {
            Ok(files) => files,
            Err(error) => {
                // The others' files are put in place all the same.
                failed.get_or_insert(error);
                continue;
            }
        };
        let validity = certified.certificate.tbs_certificate.validity;
        issued.push(Issued {
            serial,
            position,
            not_before: validity.not_before.into(),
            not_after: validity.not_after.into(),
            pem,
            files,
        });
    }
    failed.map_or(Ok(issued), Err)
}

/// Whose certificate it is: the first mailbox, else the first host name, else
/// the common name.
fn person(subject: &SubjectInput) -> Result<String> {
    let mailbox = subject.mailboxes.first().map(|mailbox| mailbox.as_str().to_owned());
    let host = || subject.dns_names.first().map(|name| name.as_str().to_owned());
    let common_name = || subject.attributes.get(&SubjectAttribute::CommonName).cloned();
    mailbox.or_else(host).or_else(common_name).ok_or_else(|| {
        AuthorityError::Input("nobody to certify; name a mailbox with --email or a host with --dns".into())
    })
}

fn refuse_authority_key(home: &Home, key: &CheckedKey) -> Result<()> {
    for authority in Authority::all(home)? {
        if authority.spki_hash()? == key.hash {
            return Err(AuthorityError::KeyReuse(format!(
                "it is the key of authority {:?}",
                authority.name()
            )));
        }
    }
    Ok(())
}

/// A key belongs to one person, and never comes back after a compromise
/// (S/MIME BR, section 6.1.1.3).
pub(crate) fn refuse_reused_key(same_key: &[CertificateRecord], person: &str) -> Result<()> {
    for record in same_key {
        if let RevocationState::Revoked { reason, .. } = record.state
            && reason.is_compromise()
        {
            return Err(AuthorityError::KeyReuse(format!(
                "certificate {} with it was revoked for {reason}",
                record.serial
            )));
        }
        if !record.person.eq_ignore_ascii_case(person) {
            return Err(AuthorityError::KeyReuse(format!(
                "certificate {} binds it to {}",
                record.serial, record.person
            )));
        }
    }
    Ok(())
}
