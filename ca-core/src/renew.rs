//! Renewal: a new certificate for the names, and from the template, of an old one.

pub mod candidate;

use std::path::PathBuf;

use ca_domain::template::Template;
use ca_domain::{KeyAlgorithm, ReasonCode, RevocationState, SerialNumber, Timestamp, Transition};
use ca_files::{Mode, StagedFile};
use ca_index::Index;
use ca_signing::pkcs12::{Pkcs12Profile, Rounds};
use ca_signing::{Passphrase, SoftwareKey};
use der::Encode;
use x509_cert::Certificate;

use crate::authority::AuthorityKey;
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait, Writer};
use crate::issue::draft::{Desk, Draft};
use crate::issue::output::check_new;
use crate::issue::{Issued, Prepared, SubjectKey, commit_with};
use crate::pair::{Escrow, Vault, pkcs12_of};
use crate::revoke::acts_of;
pub use candidate::{Candidate, Found, RenewTarget, find};

/// The key of a renewed certificate.
pub enum RenewalKey {
    /// Made here; none for the template's default algorithm.
    New(Option<KeyAlgorithm>),
    /// That of the old certificate.
    Same,
    /// From a request, for one certificate.
    Csr(Box<ca_domain::csr::VerifiedRequest>),
}

/// What `ca renew` is told.
pub struct RenewRequest<'a> {
    /// Who issues: the authority of the old certificates.
    pub issuer: &'a AuthorityKey,
    /// What is renewed.
    pub candidates: &'a [Candidate],
    /// With which keys.
    pub key: RenewalKey,
    /// Validity; none for the templates' defaults.
    pub days: Option<u32>,
    /// Whether old certificates that sign are revoked as superseded, in the same act.
    pub supersede: bool,
    /// Whether new encryption keys are archived.
    pub escrow: Escrow,
    /// What is delivered.
    pub files: &'a RenewFiles,
    /// Who does it.
    pub actor: &'a str,
}

/// The files that renewed certificates are delivered as.
pub struct RenewFiles {
    /// A PKCS#12 file with every new key.
    pub pkcs12: Option<PathBuf>,
    /// The certificates, PEM, one after the other.
    pub certificates: Option<PathBuf>,
    /// Which clients must read the PKCS#12 file.
    pub profile: Pkcs12Profile,
    /// Encrypts the PKCS#12 file; needed if there is one.
    pub password: Option<Passphrase>,
    /// Whether to replace files that are there.
    pub replace: bool,
}

/// Whether certificates of a template sign: their keys are never archived.
pub(crate) fn signs(template: &Template) -> bool {
    let mut usages = template.key_algorithms().iter().filter_map(|key| template.key_usage(*key));
    usages.any(|usage| usage.digital_signature() || usage.non_repudiation())
}

/// What a template's certificates are for, as clients show it.
pub(crate) fn purpose(template: &Template) -> &'static str {
    let encrypts = template
        .key_algorithms()
        .iter()
        .filter_map(|key| template.key_usage(*key))
        .any(|usage| usage.key_encipherment() || usage.key_agreement() || usage.data_encipherment());
    match (signs(template), encrypts) {
        (true, true) => "signing and encryption",
        (_, true) => "encryption",
        _ => "signing",
    }
}

/// Renews certificates: all of them, or none.
///
/// # Errors
/// As [`crate::issue::issue`], for any of them; an old certificate that was revoked;
/// a template that forbids the old key, or a renewal this early; new encryption keys
/// without recovery agents.
pub fn renew(
    home: &Home,
    request: &RenewRequest<'_>,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Vec<Issued>> {
    request.check()?;
    for candidate in request.candidates {
        candidate.refuse_overlap(request.supersede, now)?;
    }
    let archives =
        |candidate: &Candidate| matches!(request.key, RenewalKey::New(_)) && !signs(&candidate.template);
    let escrow = if request.candidates.iter().any(archives) { request.escrow } else { Escrow::None };
    let vault = Vault::open(home, escrow, now)?;
    let desk = Desk::open(home, request.issuer)?;
    let seal = |key: &SoftwareKey, certificate: &Certificate| vault.seal(key, certificate);
    let mut prepared = Vec::new();
    for candidate in request.candidates {
        let key = match &request.key {
            RenewalKey::New(algorithm) => SubjectKey::Generate(*algorithm),
            RenewalKey::Same => candidate.same_key()?,
            RenewalKey::Csr(csr) => SubjectKey::Csr(csr.clone()),
        };
        let draft = Draft {
            template: &candidate.template,
            subject: &candidate.subject,
            key: &key,
            days: request.days,
            actor: request.actor,
            escrow: (vault.is_open() && archives(candidate)).then_some(&seal as _),
            batch: None,
        };
        prepared.push(desk.draft(&draft, now)?);
    }
    let staged = request.stage(&prepared, &desk.chain)?;
    if let Some(first) = prepared.first_mut() {
        first.staged = staged;
        if !request.files.replace {
            first.new_files = request.files.paths().cloned().collect();
        }
    }
    let mut writer = home.writer(wait)?;
    let old: Vec<_> = request.candidates.iter().map(|candidate| candidate.old.record.serial).collect();
    refuse_revoked(&mut writer, &old, wait)?;
    let superseded: Vec<_> = request
        .candidates
        .iter()
        .filter(|candidate| request.supersede && signs(&candidate.template))
        .map(|candidate| candidate.old.record.serial)
        .collect();
    let after = acts_of(&mut writer, &superseded, superseding(), request.actor, now, wait)?;
    commit_with(&mut writer, Vec::new(), prepared, after, now, wait)
}

/// The end of a certificate that has a successor.
pub(crate) const fn superseding() -> Transition {
    Transition::Revoke { reason: ReasonCode::Superseded, invalidity_date: None }
}

/// Looks once more, under the lock, whether what is renewed was revoked meanwhile.
pub(crate) fn refuse_revoked(writer: &mut Writer, serials: &[SerialNumber], wait: &Wait<'_>) -> Result<()> {
    for serial in serials {
        for record in writer.ask(wait, |index| index.by_serial(*serial))? {
            if let RevocationState::Revoked { reason, .. } = record.state {
                return Err(AuthorityError::Refused(format!(
                    "certificate {serial} of {} was revoked ({reason}) and cannot be renewed; issue a new one with \
                     `ca issue`",
                    record.person
                )));
            }
        }
    }
    Ok(())
}

impl RenewRequest<'_> {
    fn check(&self) -> Result<()> {
        let refuse = |what: &str| Err(AuthorityError::Input(what.to_owned()));
        let files = self.files;
        match &self.key {
            RenewalKey::New(_) if files.pkcs12.is_none() => {
                return refuse("nobody would get the new key; give --p12 FILE, --same-key or --csr FILE");
            }
            RenewalKey::Same | RenewalKey::Csr(_) if files.pkcs12.is_some() => {
                return refuse("there is no new key to deliver; leave --p12 out and give --out FILE");
            }
            RenewalKey::Csr(_) if self.candidates.len() != 1 => {
                return refuse("a request has one key, for one certificate; name that by its serial number");
            }
            _ => {}
        }
        for candidate in self.candidates {
            if candidate.old.authority != self.issuer.authority.name() {
                return refuse("the certificates are of several authorities; name one with --authority");
            }
        }
        if files.replace { Ok(()) } else { check_new(files.paths()) }
    }

    fn stage(&self, prepared: &[Prepared], chain: &[Vec<u8>]) -> Result<Vec<StagedFile>> {
        let mut staged = Vec::new();
        let mark = prepared.first().map(|first| first.serial().to_string()).unwrap_or_default();
        if let Some(path) = &self.files.pkcs12 {
            let password = self.files.password.as_ref().ok_or_else(|| {
                AuthorityError::Input("a PKCS#12 file needs a password; give --p12-password-file".into())
            })?;
            let shown = self.candidates.first().map(Candidate::shown).unwrap_or_default();
            let which: Vec<_> = prepared
                .iter()
                .zip(self.candidates)
                .map(|(one, candidate)| (one, purpose(&candidate.template)))
                .collect();
            let bytes = pkcs12_of(&which, chain, (self.files.profile, Rounds::Many), shown, password)?;
            staged.push(StagedFile::write_apart(path, &bytes, Mode::Private, &mark)?);
        }
        if let Some(path) = &self.files.certificates {
            let texts = prepared.iter().map(|one| one.certified.pem()).collect::<Result<Vec<_>>>()?;
            let text = texts.concat();
            staged.push(StagedFile::write_apart(path, text.as_bytes(), Mode::Public, &mark)?);
        }
        Ok(staged)
    }
}

impl RenewFiles {
    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.pkcs12, &self.certificates].into_iter().flatten()
    }
}

impl Candidate {
    /// Refuses to renew so early that old and new certificate would be valid side by
    /// side for longer than the template lets them; a certificate that `supersede` ends
    /// in the same act is none.
    ///
    /// # Errors
    /// It is too early; the message says when it is not.
    pub fn refuse_overlap(&self, supersede: bool, now: Timestamp) -> Result<()> {
        let Some(days) = self.template.renewal_overlap_days() else { return Ok(()) };
        let record = &self.old.record;
        let from = record.not_after.saturating_sub(u64::from(days) * 86_400);
        let signs = signs(&self.template);
        if now >= from || (supersede && signs) {
            return Ok(());
        }
        let end_it = if signs { ", or end the old one with --supersede" } else { "" };
        Err(AuthorityError::Refused(format!(
            "certificate {} ends on {}, and template {:?} lets its successor overlap it for {days} days \
             (renewal.overlap_days); renew from {from} on{end_it}",
            record.serial,
            record.not_after,
            self.template.name()
        )))
    }

    /// The old certificate's key, if the template lets it stay.
    fn same_key(&self) -> Result<SubjectKey> {
        if !self.template.renews_with_same_key() {
            return Err(AuthorityError::Refused(format!(
                "template {:?} wants a new key at every renewal; leave --same-key out, or let it with \
                 `renewal: {{same_key: allowed}}`",
                self.template.name()
            )));
        }
        let spki = &self.old.certificate.tbs_certificate.subject_public_key_info;
        let spki_der = spki.to_der().map_err(AuthorityError::der("a public key"))?;
        Ok(SubjectKey::Known { spki_der, origin: self.old.key_origin })
    }
}
