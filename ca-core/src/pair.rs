//! A person's pair: a certificate for signing and one for encryption, issued in
//! one act. The signing key is its holder's alone; the encryption key is made here
//! and archived for the recovery agents.

use std::path::{Path, PathBuf};

use ca_domain::profile::SubjectInput;
use ca_domain::template::Template;
use ca_domain::{KeyAlgorithm, Timestamp};
use ca_escrow::EscrowPolicy;
use ca_files::{Mode, StagedFile};
use ca_signing::pkcs12::{self, Identity, Pkcs12Profile, Rounds};
use ca_signing::{Passphrase, SoftwareKey};
use x509_cert::Certificate;

use crate::authority::AuthorityKey;
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};
use crate::issue::draft::{Desk, Draft, Sealed};
use crate::issue::output::check_new;
use crate::issue::{Issued, Prepared, SubjectKey, commit};
use crate::request::refuse_unapproved;

/// Whether encryption keys are archived.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Escrow {
    /// They are, for the recovery agents of the home.
    Agents,
    /// They are not, because somebody asked for that: mail is lost with the key.
    None,
}

/// What `ca issue --pair` is told.
pub struct PairRequest<'a> {
    /// Who issues.
    pub issuer: &'a AuthorityKey,
    /// The template of the signing certificate.
    pub signing: &'a Template,
    /// The template of the encryption certificate.
    pub encryption: &'a Template,
    /// Names and addresses, from the authorised input alone.
    pub subject: &'a SubjectInput,
    /// The key for signing.
    pub signing_key: SubjectKey,
    /// The algorithm of the key for encryption, which is made here.
    pub encryption_key: Option<KeyAlgorithm>,
    /// Validity of both; none for the templates' defaults.
    pub days: Option<u32>,
    /// Whether the encryption key is archived.
    pub escrow: Escrow,
    /// What is delivered.
    pub files: &'a PairFiles,
    /// Who does it.
    pub actor: &'a str,
}

/// The files that a pair is delivered as.
pub struct PairFiles {
    /// One PKCS#12 file with every key that was made here.
    pub both: Option<PathBuf>,
    /// A PKCS#12 file with the signing key.
    pub signing: Option<PathBuf>,
    /// A PKCS#12 file with the encryption key.
    pub encryption: Option<PathBuf>,
    /// The signing certificate, PEM.
    pub signing_certificate: Option<PathBuf>,
    /// The encryption certificate, PEM.
    pub encryption_certificate: Option<PathBuf>,
    /// Which clients must read the PKCS#12 files.
    pub profile: Pkcs12Profile,
    /// Encrypts the PKCS#12 files; needed if there are any.
    pub password: Option<Passphrase>,
    /// Shown by clients, with the purpose behind it.
    pub friendly_name: String,
    /// Whether to replace files that are there.
    pub replace: bool,
}

/// A pair in the ledger.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate for signing, with all the files.
    pub signing: Issued,
    /// The certificate for encryption.
    pub encryption: Issued,
}

/// Issues both certificates of a pair, or neither.
///
/// # Errors
/// As [`crate::issue::issue`], for either of the two; no recovery agents, and
/// escrow was not declined.
pub fn issue_pair(home: &Home, request: &PairRequest<'_>, now: Timestamp, wait: &Wait<'_>) -> Result<Pair> {
    check_templates(request.signing, request.encryption)?;
    request.files.check(matches!(request.signing_key, SubjectKey::Csr(_)))?;
    let vault = Vault::open(home, request.escrow, now)?;
    let desk = Desk::open(home, request.issuer)?;
    let draft = PairDraft {
        signing: request.signing,
        encryption: request.encryption,
        subject: request.subject,
        signing_key: &request.signing_key,
        encryption_key: &SubjectKey::Generate(request.encryption_key),
        days: request.days,
        actor: request.actor,
    };
    let [mut signing, encryption] = draft.pair(&desk, &vault, now)?;
    signing.staged = request.files.stage(&signing, &encryption, &desk.chain)?;
    let object = desk.object(&[&signing, &encryption], now)?;
    signing.staged.extend(object);
    if !request.files.replace {
        signing.new_files = request.files.paths().cloned().collect();
    }
    let mut issued = commit(home, vec![signing, encryption], now, wait)?.into_iter();
    match (issued.next(), issued.next()) {
        (Some(signing), Some(encryption)) => Ok(Pair { signing, encryption }),
        _ => Err(AuthorityError::Input("nothing was issued".into())),
    }
}

/// Refuses templates whose keys would serve both purposes, and those that ask for
/// a second person.
pub(crate) fn check_templates(signing: &Template, encryption: &Template) -> Result<()> {
    let refuse = |template: &Template, what: &str| {
        Err(AuthorityError::Refused(format!(
            "template {:?} {what}; name another one for this half of the pair",
            template.name()
        )))
    };
    for template in [signing, encryption] {
        refuse_unapproved(template)?;
    }
    for usage in signing.key_algorithms().iter().filter_map(|key| signing.key_usage(*key)) {
        if usage.key_encipherment() || usage.key_agreement() || usage.data_encipherment() {
            return refuse(signing, "is for encryption as well");
        }
    }
    for usage in encryption.key_algorithms().iter().filter_map(|key| encryption.key_usage(*key)) {
        if usage.digital_signature() || usage.non_repudiation() {
            return refuse(encryption, "is for signing as well, and such keys are not archived");
        }
    }
    Ok(())
}

/// Where encryption keys are archived, if they are.
pub(crate) struct Vault {
    dir: PathBuf,
    policy: Option<EscrowPolicy>,
}

impl Vault {
    /// # Errors
    /// There are not enough recovery agents.
    pub(crate) fn open(home: &Home, escrow: Escrow, now: Timestamp) -> Result<Self> {
        let dir = crate::escrow::dir(home);
        let policy = match escrow {
            Escrow::None => None,
            Escrow::Agents => Some(EscrowPolicy::load(&dir, now).map_err(|error| {
                AuthorityError::Refused(format!(
                    "the encryption key cannot be archived: {error}. To issue without, so that mail is lost \
                     with the key, give --no-escrow"
                ))
            })?),
        };
        Ok(Self { dir, policy })
    }

    /// Whether keys are archived.
    pub(crate) const fn is_open(&self) -> bool {
        self.policy.is_some()
    }

    pub(crate) fn seal(&self, key: &SoftwareKey, certificate: &Certificate) -> Result<Sealed> {
        let Some(policy) = &self.policy else {
            return Err(AuthorityError::Refused("keys are not archived here; see `ca escrow`".into()));
        };
        let sealed = ca_escrow::seal(policy, key, certificate)?;
        Ok((ca_escrow::stage(&self.dir, &sealed)?, sealed.sha256))
    }
}

/// What a pair is made from.
struct PairDraft<'a> {
    signing: &'a Template,
    encryption: &'a Template,
    subject: &'a SubjectInput,
    signing_key: &'a SubjectKey,
    encryption_key: &'a SubjectKey,
    days: Option<u32>,
    actor: &'a str,
}

impl PairDraft<'_> {
    /// Signs both certificates and archives the encryption key; nothing is in the
    /// ledger yet.
    fn pair(&self, desk: &Desk<'_>, vault: &Vault, now: Timestamp) -> Result<[Prepared; 2]> {
        let seal = |key: &SoftwareKey, certificate: &Certificate| vault.seal(key, certificate);
        let draft = |template, key, escrow| Draft {
            template,
            subject: self.subject,
            key,
            days: self.days,
            actor: self.actor,
            escrow,
            batch: None,
        };
        let signing = desk.draft(&draft(self.signing, self.signing_key, None), now)?;
        let escrow = vault.is_open().then_some(&seal as _);
        let encryption = desk.draft(&draft(self.encryption, self.encryption_key, escrow), now)?;
        Ok([signing, encryption])
    }
}

/// A PKCS#12 file with those keys that were made here, each with its purpose.
pub(crate) fn pkcs12_of(
    which: &[(&Prepared, &str)],
    chain: &[Vec<u8>],
    (profile, rounds): (Pkcs12Profile, Rounds),
    friendly_name: &str,
    password: &Passphrase,
) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    let named: Vec<_> = which
        .iter()
        .filter_map(|(one, purpose)| {
            Some((one.key.as_deref()?, &one.certified.der, format!("{friendly_name} ({purpose})")))
        })
        .collect();
    let identities: Vec<_> = named
        .iter()
        .map(|(key, certificate, name)| Identity { key, certificate, friendly_name: name })
        .collect();
    Ok(pkcs12::export_many(profile, rounds, &identities, chain, password)?)
}

impl PairFiles {
    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.both, &self.signing, &self.encryption, &self.signing_certificate, &self.encryption_certificate]
            .into_iter()
            .flatten()
    }

    fn check(&self, csr: bool) -> Result<()> {
        let refuse = |what: &str| Err(AuthorityError::Input(what.to_owned()));
        if self.both.is_none() && self.encryption.is_none() {
            return refuse("nobody would get the encryption key; give --p12 FILE or --encryption-p12 FILE");
        }
        if !csr && self.both.is_none() && self.signing.is_none() {
            return refuse("nobody would get the signing key; give --p12 FILE or --signing-p12 FILE");
        }
        if csr && self.signing.is_some() {
            return refuse("the requester has the signing key; leave --signing-p12 out");
        }
        if self.replace { Ok(()) } else { check_new(self.paths()) }
    }

    fn stage(&self, signing: &Prepared, encryption: &Prepared, chain: &[Vec<u8>]) -> Result<Vec<StagedFile>> {
        let mut staged = Vec::new();
        // Both are one act.
        let mark = signing.serial().to_string();
        const SIGNING: &str = "signing";
        const ENCRYPTION: &str = "encryption";
        let files: [(_, &[(&Prepared, &str)]); 3] = [
            (&self.both, &[(signing, SIGNING), (encryption, ENCRYPTION)]),
            (&self.signing, &[(signing, SIGNING)]),
            (&self.encryption, &[(encryption, ENCRYPTION)]),
        ];
        for (path, which) in files {
            let Some(path) = path else { continue };
            let password = self.password.as_ref().ok_or_else(|| {
                AuthorityError::Input("a PKCS#12 file needs a password; give --p12-password-file".into())
            })?;
            let bytes = pkcs12_of(which, chain, (self.profile, Rounds::Many), &self.friendly_name, password)?;
            staged.push(StagedFile::write_apart(path, &bytes, Mode::Private, &mark)?);
        }
        let certificates = [(&self.signing_certificate, signing), (&self.encryption_certificate, encryption)];
        for (path, one) in certificates {
            if let Some(path) = path {
                staged.push(write_pem(path, one, &mark)?);
            }
        }
        Ok(staged)
    }
}

fn write_pem(path: &Path, prepared: &Prepared, mark: &str) -> Result<StagedFile> {
    let pem = prepared.certified.pem()?;
    Ok(StagedFile::write_apart(path, pem.as_bytes(), Mode::Public, mark)?)
}
