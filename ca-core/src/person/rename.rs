//! A new address: certificates for it, and the end of the old ones, in one act.

use ca_domain::mailbox::Mailbox;
use ca_domain::{KeyAlgorithm, SerialNumber, Timestamp};
use ca_files::{Mode, StagedFile};
use ca_signing::SoftwareKey;
use ca_signing::pkcs12::Rounds;
use x509_cert::Certificate;

use super::{is_same, refuse_taken};
use crate::authority::AuthorityKey;
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};
use crate::issue::draft::{Desk, Draft};
use crate::issue::output::check_new;
use crate::issue::{Issued, SubjectKey, commit_with};
use crate::pair::{Escrow, Vault, pkcs12_of};
use crate::renew::{Candidate, RenewFiles, RenewTarget, find, purpose, refuse_revoked, signs, superseding};
use crate::revoke::acts_of;

/// What a new address means; shown, then carried out or dropped.
#[derive(Clone, Debug)]
pub struct RenamePlan {
    /// The old address.
    pub from: String,
    /// The new one.
    pub to: Mailbox,
    /// The certificates that get a successor and are superseded by it, with the
    /// names of the successor.
    pub candidates: Vec<Candidate>,
    /// Those that stay as they are, with the reason.
    pub skipped: Vec<(SerialNumber, String)>,
}

/// What `ca person rename` is told, beside the plan.
pub struct RenameRequest<'a> {
    /// Who issues: the authority of the old certificates.
    pub issuer: &'a AuthorityKey,
    /// The algorithm of the new keys; none for the templates' defaults.
    pub key: Option<KeyAlgorithm>,
    /// Validity; none for the templates' defaults.
    pub days: Option<u32>,
    /// Whether old certificates for encryption run on: mail to the old address may
    /// still come.
    pub keep_encryption: bool,
    /// Whether new encryption keys are archived.
    pub escrow: Escrow,
    /// What is delivered.
    pub files: &'a RenewFiles,
    /// Who does it.
    pub actor: &'a str,
}

/// Works out which certificates of `from` get a successor for `to`.
///
/// # Errors
/// Nothing to renew, or the new address is not one.
pub fn plan_rename(home: &Home, from: &str, to: &str, now: Timestamp, wait: &Wait<'_>) -> Result<RenamePlan> {
    let to = Mailbox::parse(to)?;
    if is_same(to.as_str(), from) {
        return Err(AuthorityError::Input(format!("{to} is the old address; give another one with --to")));
    }
    let found = find(home, &RenewTarget::Mailbox(from.to_owned()), now, wait)?;
    let mut candidates = found.candidates;
    let mut skipped = found.skipped;
    candidates.retain(|candidate| {
        let record = &candidate.old.record;
        let theirs = is_same(&record.person, from);
        if !theirs {
            skipped.push((record.serial, format!("is {}'s, who also has this address", record.person)));
        } else if record.is_expired(now) {
            skipped.push((record.serial, format!("expired on {}", record.not_after)));
        }
        theirs && !record.is_expired(now)
    });
    if candidates.is_empty() {
        return Err(AuthorityError::NotFound(format!(
            "{from} has no valid certificate of its own; issue for {to} with `ca issue`"
        )));
    }
    for candidate in &mut candidates {
        let mailboxes = &mut candidate.subject.mailboxes;
        mailboxes.retain(|mailbox| {
            let text = mailbox.as_str();
            !is_same(text, from) && !is_same(text, to.as_str())
        });
        mailboxes.insert(0, to.clone());
    }
    Ok(RenamePlan { from: from.to_owned(), to, candidates, skipped })
}

/// Issues for the new address and supersedes the old certificates: both, or neither.
///
/// The keys are new: a key belongs to one person for ever, and a person is known
/// by the address.
///
/// # Errors
/// As [`crate::issue::issue`]; the new address is somebody else's.
pub fn rename(
    home: &Home,
    plan: &RenamePlan,
    request: &RenameRequest<'_>,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Vec<Issued>> {
    let Some(path) = &request.files.pkcs12 else {
        return Err(AuthorityError::Input("nobody would get the new keys; give --p12 FILE".into()));
    };
    let Some(password) = &request.files.password else {
        return Err(AuthorityError::Input(
            "a PKCS#12 file needs a password; give --p12-password-file".into(),
        ));
    };
    if plan.candidates.iter().any(|candidate| candidate.old.authority != request.issuer.authority.name()) {
        return Err(AuthorityError::Refused(
            "the certificates are of several authorities; renew those of each by themselves".into(),
        ));
    }
    if !request.files.replace {
        check_new([path])?;
    }
    let archives = plan.candidates.iter().any(|candidate| !signs(&candidate.template));
    let vault = Vault::open(home, if archives { request.escrow } else { Escrow::None }, now)?;
    let desk = Desk::open(home, request.issuer)?;
    let seal = |key: &SoftwareKey, certificate: &Certificate| vault.seal(key, certificate);
    let mut prepared = Vec::new();
    for candidate in &plan.candidates {
        let draft = Draft {
            template: &candidate.template,
            subject: &candidate.subject,
            key: &SubjectKey::Generate(request.key),
            days: request.days,
            actor: request.actor,
            escrow: (vault.is_open() && !signs(&candidate.template)).then_some(&seal as _),
            batch: None,
        };
        prepared.push(desk.draft(&draft, now)?);
    }
    let which: Vec<_> = prepared
        .iter()
        .zip(&plan.candidates)
        .map(|(one, candidate)| (one, purpose(&candidate.template)))
        .collect();
    let shown = plan.candidates.first().map_or(plan.to.as_str(), |candidate| {
        // A name that is the old address would be shown for ever.
        if is_same(candidate.shown(), &plan.from) { plan.to.as_str() } else { candidate.shown() }
    });
    let bytes = pkcs12_of(&which, &desk.chain, (request.files.profile, Rounds::Many), shown, password)?;
    let mark = prepared.first().map(|first| first.serial().to_string()).unwrap_or_default();
    let staged = StagedFile::write_apart(path, &bytes, Mode::Private, &mark)?;
    if let Some(first) = prepared.first_mut() {
        first.staged.push(staged);
        if !request.files.replace {
            first.new_files.push(path.clone());
        }
    }
    let mut writer = home.writer(wait)?;
    refuse_taken(&mut writer, &plan.to, &plan.from, wait)?;
    let old: Vec<_> = plan.candidates.iter().map(|candidate| candidate.old.record.serial).collect();
    refuse_revoked(&mut writer, &old, wait)?;
    let retired: Vec<_> = plan
        .candidates
        .iter()
        .filter(|candidate| signs(&candidate.template) || !request.keep_encryption)
        .map(|candidate| candidate.old.record.serial)
        .collect();
    let after = acts_of(&mut writer, &retired, superseding(), request.actor, now, wait)?;
    commit_with(&mut writer, Vec::new(), prepared, after, now, wait)
}
