//! Issuing a certificate to a person or a server.

pub(crate) mod draft;
mod leftover;
pub mod output;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ca_domain::csr::VerifiedRequest;
use ca_domain::key_check::CheckedKey;
use ca_domain::profile::SubjectInput;
use ca_domain::template::{SubjectAttribute, Template};
use ca_domain::{
    Detail, KeyAlgorithm, KeyIdentifier, KeyOrigin, RevocationState, SerialNumber, SpkiHash, Timestamp,
};
use ca_escrow::EscrowPolicy;
use ca_files::StagedFile;
use ca_index::{CertificateRecord, Index};
use ca_ledger::{LedgerError, LedgerReader, NewEntry};
use ca_signing::SoftwareKey;
use x509_cert::Certificate;

use crate::authority::{Authority, AuthorityKey};
use crate::certify::Certified;
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait, Writer};
use crate::request::refuse_unapproved;
use draft::{Desk, Draft, Sealer};
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
    /// Made here before, while there was time.
    Made(Arc<SoftwareKey>),
    /// The key of an earlier certificate of the same person.
    Known {
        /// DER SubjectPublicKeyInfo.
        spki_der: Vec<u8>,
        /// Where it came from at first.
        origin: KeyOrigin,
    },
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
    pub(crate) certified: Certified,
    pub(crate) key: Option<Arc<SoftwareKey>>,
    pem: String,
    key_hash: SpkiHash,
    key_id: KeyIdentifier,
    person: String,
    /// The archived key, content-addressed: it is in place before the commit, so
    /// that no certificate is without it; one without a certificate harms nobody.
    archive: Option<StagedFile>,
    pub(crate) staged: Vec<StagedFile>,
    pub(crate) new_files: Vec<PathBuf>,
    entry: NewEntry,
    detail: Detail,
}

impl Prepared {
    /// The serial number it will have.
    pub(crate) const fn serial(&self) -> SerialNumber {
        self.certified.serial
    }
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

/// As [`issue`], and archives the key that is made here for the recovery agents of
/// `policy`: certificate and archive, or neither.
///
/// # Errors
/// As [`issue`]; a certificate that allows signatures, a key that was not made here.
pub fn issue_archived(
    home: &Home,
    request: &IssueRequest<'_>,
    policy: &EscrowPolicy,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Issued> {
    refuse_unapproved(request.template)?;
    let prepared = prepare_approved(home, request, Some(policy), now)?;
    let mut issued = commit(home, vec![prepared], now, wait)?;
    issued.pop().ok_or_else(|| AuthorityError::Input("nothing was issued".into()))
}

/// Does all that needs no lock: key, checks, signature, files under temporary names.
///
/// # Errors
/// As [`issue`].
pub fn prepare(home: &Home, request: &IssueRequest<'_>, now: Timestamp) -> Result<Prepared> {
    refuse_unapproved(request.template)?;
    prepare_approved(home, request, None, now)
}

/// As [`prepare`], for many: what certificates of one issuer have in common is read
/// from the home once, as long as the issuer stays the same. What can change meanwhile
/// is looked at again by [`commit`], under the lock.
///
/// # Errors
/// As [`prepare`], for any of them; then none is prepared.
pub fn prepare_many(home: &Home, requests: &[IssueRequest<'_>], now: Timestamp) -> Result<Vec<Prepared>> {
    let mut prepared = Vec::with_capacity(requests.len());
    for of_issuer in requests.chunk_by(|one, next| std::ptr::eq(one.issuer, next.issuer)) {
        let Some(first) = of_issuer.first() else { continue };
        let desk = Desk::open(home, first.issuer)?;
        for request in of_issuer {
            refuse_unapproved(request.template)?;
            prepared.push(prepare_at(&desk, request, None, now)?);
        }
    }
    Ok(prepared)
}

/// As [`prepare`], for a request that a second person approved or that needs no
/// approval; with a policy the key is archived.
pub(crate) fn prepare_approved(
    home: &Home,
    request: &IssueRequest<'_>,
    policy: Option<&EscrowPolicy>,
    now: Timestamp,
) -> Result<Prepared> {
    let Some(policy) = policy else { return prepare_sealed(home, request, None, now) };
    let seal =
        |key: &SoftwareKey, certificate: &Certificate| crate::escrow::archive(home, policy, key, certificate);
    prepare_sealed(home, request, Some(&seal), now)
}

fn prepare_sealed(
    home: &Home,
    request: &IssueRequest<'_>,
    escrow: Option<&Sealer<'_>>,
    now: Timestamp,
) -> Result<Prepared> {
    prepare_at(&Desk::open(home, request.issuer)?, request, escrow, now)
}

fn prepare_at(
    desk: &Desk<'_>,
    request: &IssueRequest<'_>,
    escrow: Option<&Sealer<'_>>,
    now: Timestamp,
) -> Result<Prepared> {
    Output::check(request.outputs)?;
    let draft = Draft {
        template: request.template,
        subject: request.subject,
        key: &request.key,
        days: request.days,
        actor: request.actor,
        escrow,
        batch: None,
    };
    let mut prepared = desk.draft_approved(&draft, now)?;
    for output in request.outputs {
        let key = prepared.key.as_deref();
        let staged = output.stage(&prepared.certified, key, &desk.chain)?;
        prepared.staged.push(staged);
    }
    let object = desk.object(&[&prepared], now)?;
    prepared.staged.extend(object);
    prepared.new_files = Output::new_files(request.outputs);
    Ok(prepared)
}

/// Commits prepared certificates in one act of the ledger, then gives their
/// files their names.
///
/// # Errors
/// As [`issue`]; all or none is issued.
pub fn commit(home: &Home, prepared: Vec<Prepared>, now: Timestamp, wait: &Wait<'_>) -> Result<Vec<Issued>> {
    commit_after(home, Vec::new(), &|_| Ok(()), prepared, now, wait)
}

/// As [`commit`], after other acts in the same commit, and only if `check` still
/// agrees under the lock.
pub(crate) fn commit_after(
    home: &Home,
    before: Vec<(NewEntry, Detail)>,
    check: &dyn Fn(&LedgerReader) -> Result<()>,
    prepared: Vec<Prepared>,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Vec<Issued>> {
    let mut writer = home.writer(wait)?;
    check(writer.ledger.reader())?;
    commit_with(&mut writer, before, prepared, Vec::new(), now, wait)
}

/// As [`commit`] under a lock that is held, between other acts of the same commit.
pub(crate) fn commit_with(
    writer: &mut Writer,
    before: Vec<(NewEntry, Detail)>,
    mut prepared: Vec<Prepared>,
    after: Vec<(NewEntry, Detail)>,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Vec<Issued>> {
    output::check_new(prepared.iter().flat_map(|one| &one.new_files))?;
    let files = prepared.iter().flat_map(|one| &one.staged);
    leftover::look(writer, files.map(StagedFile::path), wait)?;
    let authorities = writer.ask(wait, |index| index.authorities())?;
    let mut archives = BTreeSet::new();
    for archive in prepared.iter_mut().filter_map(|one| one.archive.take()) {
        archives.extend(archive.path().parent().map(Path::to_owned));
        archive.rename()?;
    }
    archives.iter().try_for_each(|dir| ca_files::sync_dir(dir))?;
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
    // Nobody else has these keys: a power cut after the commit must leave them.
    StagedFile::sync_names(prepared.iter().flat_map(|one| &one.staged))?;
    let skip = before.len() as u64;
    let mut acts = before;
    let mut delivered = Vec::with_capacity(prepared.len());
    for one in prepared {
        acts.push((one.entry, one.detail));
        delivered.push((one.certified, one.pem, one.staged));
    }
    acts.extend(after);
    let first = match writer.commit(acts, now, wait.warn) {
        Ok(first) => first + skip,
        Err(error @ AuthorityError::Ledger(LedgerError::OutcomeUnknown(_))) => {
            // The certificates may exist: their keys must not be lost with the process.
            for file in delivered.into_iter().flat_map(|(_, _, staged)| staged) {
                let kept = format!("kept {} until this is known", file.temporary().display());
                (wait.warn)(&kept);
                file.keep();
            }
            return Err(error);
        }
        Err(error) => return Err(error),
    };
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
pub(crate) fn person(subject: &SubjectInput) -> Result<String> {
    let mailbox = subject.mailboxes.first().map(|mailbox| mailbox.as_str().to_owned());
    let host = || subject.dns_names.first().map(|name| name.as_str().to_owned());
    let common_name = || subject.attributes.get(&SubjectAttribute::CommonName).cloned();
    mailbox.or_else(host).or_else(common_name).ok_or_else(|| {
        AuthorityError::Input("nobody to certify; name a mailbox with --email or a host with --dns".into())
    })
}

pub(crate) fn refuse_authority_key(home: &Home, key: &CheckedKey) -> Result<()> {
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
