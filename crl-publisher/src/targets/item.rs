//! A file of the published directory, opened and verified: what is delivered is
//! what was checked, also if the file is replaced meanwhile.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use ca_domain::Timestamp;
use ca_service::Authority;
use ca_service::watch::Fingerprint;
use ca_status::StatusError;
use ca_status::crl::{CrlFrame, CrlNumber, CrlReader};
use der::Decode;
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;

use super::TargetError;

/// A longer certificate is none.
const MAX_CERTIFICATE: u64 = 64 * 1024;

/// An authority whose files are delivered.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Its name in the configuration.
    pub name: String,
    /// Its certificate.
    pub authority: Arc<Authority>,
}

/// The authorities that are open. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Owners(Arc<RwLock<Vec<Owner>>>);

impl Owners {
    /// Takes the authority with this name in, or another certificate of it.
    pub fn put(&self, name: &str, authority: &Authority) {
        let owner = Owner { name: name.to_owned(), authority: Arc::new(authority.clone()) };
        let mut owners = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match owners.iter_mut().find(|known| known.name == name) {
            Some(known) => *known = owner,
            None => owners.push(owner),
        }
    }

    /// All, in the order in which they came.
    #[must_use]
    pub fn all(&self) -> Vec<Owner> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What a CRL says that decides whether it may replace another.
#[derive(Clone, Debug, PartialEq)]
pub struct CrlFacts {
    /// Its number.
    pub number: CrlNumber,
    /// The time of issue.
    pub this_update: Timestamp,
    /// When the next is there at the latest.
    pub next_update: Timestamp,
    /// Of a delta CRL, the number of the CRL that it changes.
    pub base: Option<CrlNumber>,
    /// What it covers; none for everything.
    pub scope: Option<IssuingDistributionPoint>,
    /// Its kind and scope in words.
    pub covers: String,
}

/// What a file is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The certificate of an authority.
    Certificate,
    /// A CRL of an authority.
    Crl(Box<CrlFacts>),
    /// Neither, for this reason; it is not delivered.
    Faulty(String),
}

/// What is known of a file after it was read once.
#[derive(Clone, Debug)]
pub struct Look {
    /// The name of its authority.
    pub owner: String,
    /// What it is.
    pub kind: Kind,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

/// A file to deliver.
#[derive(Debug)]
pub struct Item {
    /// Its path below the published directory, such as `crl/issuing.crl`.
    pub path: String,
    /// What is known of it.
    pub look: Look,
    /// Its length in bytes.
    pub length: u64,
    pub(super) file: File,
}

impl Item {
    /// The content from its beginning. One reader at a time.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn reader(&self) -> io::Result<File> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        Ok(file)
    }

    /// Its name without directories.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Its CRL number; none for a certificate.
    #[must_use]
    pub fn number(&self) -> Option<CrlNumber> {
        match &self.look.kind {
            Kind::Crl(facts) => Some(facts.number),
            Kind::Certificate | Kind::Faulty(_) => None,
        }
    }

    /// Of a delta CRL, the number of the CRL that it changes.
    #[must_use]
    pub fn base(&self) -> Option<CrlNumber> {
        match &self.look.kind {
            Kind::Crl(facts) => facts.base,
            Kind::Certificate | Kind::Faulty(_) => None,
        }
    }

    /// Whether it, a file of `owner`, may take the place of `standing`. With a reason why what stands
    /// there is not worth keeping, if it is not.
    ///
    /// # Errors
    /// [`TargetError::Refused`]: what stands there is newer, has another scope, or is of another
    /// authority.
    pub fn may_replace(
        &self,
        standing: &mut File,
        owner: &Owner,
        owners: &[Owner],
    ) -> Result<Option<String>, TargetError> {
        let Kind::Crl(new) = &self.look.kind else {
            return self.certificate_may_replace(standing, &owner.authority);
        };
        let old = match read_crl(standing, &owner.authority) {
            Ok(old) => old,
            Err(Unusable::Foreign(issuer)) => {
                return Err(TargetError::Refused(format!(
                    "a CRL of {issuer} stands there; give this authority a place of its own, or remove it"
                )));
            }
            Err(Unusable::Read(error)) => {
                return Err(TargetError::Failed(format!("cannot read it back: {error}")));
            }
            Err(Unusable::Strange(what)) => {
                return Err(TargetError::Refused(format!(
                    "a CRL of this authority stands there that this program does not make ({what}); find out \
                     who publishes there too, or remove it"
                )));
            }
            Err(Unusable::NoCrl(what)) => {
                let namesake = |other: &&Owner| read_crl(standing, &other.authority).is_ok();
                return match owners.iter().filter(|other| other.name != owner.name).find(namesake) {
                    Some(other) => Err(TargetError::Refused(format!(
                        "a CRL of {} stands there, which has another key; give each a place of its own, or \
                         remove it",
                        other.name
                    ))),
                    None => Ok(Some(what)),
                };
            }
        };
        if old.base.is_some() != new.base.is_some() || old.scope != new.scope {
            return Err(TargetError::Refused(format!(
                "a CRL of another scope stands there: {}, not {}; give each scope a place of its own, or remove it",
                old.covers, new.covers
            )));
        }
        if old.number >= new.number {
            return Err(TargetError::Refused(format!(
                "CRL {} stands there, which is not older than {}; find out who publishes there too",
                old.number, new.number
            )));
        }
        Ok(None)
    }

    fn certificate_may_replace(
        &self,
        standing: &mut File,
        authority: &Authority,
    ) -> Result<Option<String>, TargetError> {
        let mut bytes = Vec::new();
        let read = standing.rewind().and_then(|()| standing.take(MAX_CERTIFICATE).read_to_end(&mut bytes));
        read.map_err(|error| TargetError::Failed(format!("cannot read it back: {error}")))?;
        let Ok(old) = Certificate::from_der(&bytes) else { return Ok(Some("it is no certificate".into())) };
        let (old, new) = (&old.tbs_certificate.subject, &authority.certificate.tbs_certificate.subject);
        if old == new {
            return Ok(None);
        }
        Err(TargetError::Refused(format!(
            "the certificate of {old} stands there; give this authority a place of its own, or remove it"
        )))
    }
}

/// Why a CRL says nothing that counts.
enum Unusable {
    /// It is of somebody else.
    Foreign(String),
    /// It is not a CRL of the authority: damaged, or forged.
    NoCrl(String),
    /// The authority signed it, but it says what CRLs of ours do not: an indirect CRL, for example.
    Strange(String),
    /// It cannot be read.
    Read(String),
}

impl From<StatusError> for Unusable {
    fn from(error: StatusError) -> Self {
        match error {
            StatusError::CrlRead(error) => Self::Read(error.to_string()),
            other => Self::NoCrl(other.to_string()),
        }
    }
}

fn read_crl(file: &mut File, authority: &Authority) -> Result<CrlFacts, Unusable> {
    let mut reader = CrlReader::open(file)?;
    let issuer = &reader.frame().issuer;
    if *issuer != authority.certificate.tbs_certificate.subject {
        return Err(Unusable::Foreign(issuer.to_string()));
    }
    // Its time may be over: it was a good one all the same.
    if let Err(error) = reader.accept(&authority.certificate) {
        let is_strange = reader.frame().critical_fault().is_some();
        return Err(match Unusable::from(error) {
            Unusable::NoCrl(what) if is_strange && reader.verify(&authority.certificate).is_ok() => {
                Unusable::Strange(what)
            }
            other => other,
        });
    }
    let frame = reader.frame();
    let missing = |what: &str| Unusable::NoCrl(format!("it has no {what}"));
    Ok(CrlFacts {
        number: frame.number()?.ok_or_else(|| missing("CRL number"))?,
        this_update: frame.this_update,
        next_update: frame.next_update.ok_or_else(|| missing("nextUpdate"))?,
        base: frame.base()?,
        scope: frame.scope()?,
        covers: covers(frame)?,
    })
}

fn covers(frame: &CrlFrame) -> Result<String, StatusError> {
    let kind = if frame.base()?.is_some() { "a delta CRL" } else { "a full CRL" };
    let scope = frame.scope_text()?.map_or_else(|| "everything".to_owned(), |scope| format!("[{scope}]"));
    Ok(format!("{kind} of {scope}"))
}

/// Opens a published file and reads it, if `known` is not about the same content already.
/// None for a file that belongs to no authority of `owners`.
///
/// # Errors
/// It cannot be read.
pub fn open(
    directory: &Path,
    path: &str,
    owners: &[Owner],
    known: Option<&(Fingerprint, Option<Look>)>,
) -> Result<(Fingerprint, Option<Item>), TargetError> {
    let full = directory.join(path);
    let mut file = File::open(&full).map_err(TargetError::io("open", &full))?;
    let read = |error| TargetError::io("read", &full)(error);
    let fingerprint = Fingerprint::of_open(&file).map_err(read)?;
    let length = file.metadata().map_err(read)?.len();
    let look = match known {
        Some((same, look)) if *same == fingerprint => look.clone(),
        _ => look(path, &mut file, owners).map_err(read)?,
    };
    let item = look.map(|look| Item { path: path.to_owned(), look, length, file });
    Ok((fingerprint, item))
}

fn look(path: &str, file: &mut File, owners: &[Owner]) -> io::Result<Option<Look>> {
    let sha256 = hash(file)?;
    let look = |owner: &Owner, kind| Some(Look { owner: owner.name.clone(), kind, sha256: sha256.clone() });
    if let Some(name) = path.strip_prefix("ca/").and_then(|name| name.strip_suffix(".crt")) {
        let Some(owner) = owners.iter().find(|owner| owner.name == name) else { return Ok(None) };
        let right = hex::encode(Sha256::digest(&owner.authority.der)) == sha256;
        let faulty = || Kind::Faulty("it is not the certificate of its authority".into());
        return Ok(look(owner, if right { Kind::Certificate } else { faulty() }));
    }
    let mut found = None;
    // An authority that got a new key keeps its name: the signature decides.
    for owner in owners {
        match read_crl(file, &owner.authority) {
            Ok(facts) => return Ok(look(owner, Kind::Crl(Box::new(facts)))),
            Err(Unusable::Foreign(_)) => {}
            Err(Unusable::Read(error)) => return Err(io::Error::other(error)),
            Err(Unusable::NoCrl(what) | Unusable::Strange(what)) => found = look(owner, Kind::Faulty(what)),
        }
    }
    Ok(found)
}

/// SHA-256 of a file from its beginning, in hexadecimal.
///
/// # Errors
/// It cannot be read.
pub fn hash(file: &mut File) -> io::Result<String> {
    file.rewind()?;
    let mut sha = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(sha.finalize())),
            length => sha.update(&buffer[..length]),
        }
    }
}
