//! Opening the archives with what the agents gave.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ca_domain::{Detail, SerialNumber, Timestamp};
use ca_escrow::{
    Archive, Contribution, Contributor, RecoveredKey, RecoveryRequest, RequestFiles, recover,
    remove_request_key,
};
use ca_files::{Mode, StagedFile, create_private_dir};
use ca_ledger::{EntryKind, LedgerReader, NewEntry};
use ca_signing::Passphrase;
use ca_signing::pkcs12::{Identity, Pkcs12Profile, Rounds, export_many};
use sha2::{Digest, Sha256};

use super::{Wanted, act, archived, dir};
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};
use crate::inventory::{Inventory, Issuance, sha256_from_hex};

/// What opens archived keys.
pub struct Opening<'a> {
    /// The request; none for the one that the contributions name.
    pub request: Option<&'a str>,
    /// Whose keys they must be; none for those of the request.
    pub wanted: Option<&'a Wanted>,
    /// Names and contents of the agents' files.
    pub contributions: &'a [(String, Vec<u8>)],
    /// Opens the request's private key.
    pub passphrase: &'a Passphrase,
}

/// What `ca escrow complete` is told.
pub struct Completion<'a> {
    /// What opens the keys.
    pub opening: Opening<'a>,
    /// Where the keys go.
    pub delivery: &'a Delivery,
    /// Who does it.
    pub actor: &'a str,
}

/// The files that recovered keys are delivered as.
pub struct Delivery {
    /// One PKCS#12 file with all keys.
    pub p12: Option<PathBuf>,
    /// A directory for one PKCS#12 file a key.
    pub dir: Option<PathBuf>,
    /// Which clients must read them.
    pub profile: Pkcs12Profile,
    /// Encrypts them.
    pub password: Passphrase,
    /// Whether to replace files that are there.
    pub replace: bool,
}

/// A recovery that stands in the ledger.
#[derive(Clone, Debug)]
pub struct Completed {
    /// The request.
    pub request: String,
    /// Whose keys.
    pub person: String,
    /// The certificates of the recovered keys, the oldest first.
    pub certificates: Vec<SerialNumber>,
    /// The agents that contributed.
    pub agents: Vec<String>,
    /// The files written.
    pub files: Vec<PathBuf>,
}

/// Completes a recovery: checks the contributions, opens the archives, writes the
/// PKCS#12 files and records it all.
///
/// # Errors
/// The request is not in the ledger or was completed; a contribution or an archive
/// was changed; too few agents. No file was written then and nothing recorded.
pub fn complete_recovery(
    home: &Home,
    completion: &Completion<'_>,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Completed> {
    let opened = open_recovery(home, &completion.opening, wait)?;
    let staged = stage(completion.delivery, &opened.keys, &opened.owners)?;
    let files = opened.commit(home, Vec::new(), staged, completion.actor, now, wait)?;
    Ok(Completed {
        request: opened.id,
        person: opened.request.person,
        certificates: opened.owners.iter().map(|one| one.issuance.record.serial).collect(),
        agents: opened.contributors.into_iter().map(|agent| agent.agent).collect(),
        files,
    })
}

/// Keys that were opened, but whose recovery is not recorded yet: they must not leave
/// the process.
pub(crate) struct Opened {
    id: String,
    request: RecoveryRequest,
    contributors: Vec<Contributor>,
    /// The keys, in the order of `owners`.
    pub(crate) keys: Vec<RecoveredKey>,
    pub(crate) owners: Vec<Owner>,
}

/// Checks the contributions and opens the archives.
pub(crate) fn open_recovery(home: &Home, opening: &Opening<'_>, wait: &Wait<'_>) -> Result<Opened> {
    let dir = dir(home);
    let id = match opening.request {
        Some(id) => id.to_owned(),
        None => named_request(opening.contributions)?,
    };
    let archives = standing(&home.ledger()?, &id)?;
    let (request, bytes) = RequestFiles::request(&dir, &id)?;
    if hex::encode(Sha256::digest(&bytes)) != archives.sha256 {
        return Err(AuthorityError::Refused(format!(
            "the request {id} in this home was changed since it was made; ask again with `ca escrow recover`"
        )));
    }
    if let Some(wanted) = opening.wanted {
        check_wanted(home, wanted, &archives, &id, wait)?;
    }
    // In the order of the request: the ledger has them by person.
    let order: HashMap<&str, usize> =
        request.keys.iter().zip(0..).map(|(key, at)| (key.archive.as_str(), at)).collect();
    let mut wanted = archives.archives;
    wanted.sort_by_key(|sha256| order.get(hex::encode(sha256).as_str()).copied());
    let keys = wanted.iter().map(|sha256| Ok(Archive::load(&dir, sha256)?)).collect::<Result<Vec<_>>>()?;
    let recovery_key = RequestFiles::key(&dir, &id, opening.passphrase)?;
    let recovered = recover(&request, &keys, &recovery_key, opening.contributions)?;
    let owners = issued(home, &recovered.keys, wait)?;
    Ok(Opened { id, request, contributors: recovered.contributors, keys: recovered.keys, owners })
}

impl Opened {
    /// Records the recovery with `more` acts in one, then gives the files their names.
    pub(crate) fn commit(
        &self,
        home: &Home,
        more: Vec<(NewEntry, Detail)>,
        staged: Vec<StagedFile>,
        actor: &str,
        now: Timestamp,
        wait: &Wait<'_>,
    ) -> Result<Vec<PathBuf>> {
        let mut acts = acts(&self.request, &self.contributors, &self.owners, actor, now)?;
        acts.extend(more);
        let mut writer = home.writer(wait)?;
        standing(writer.ledger.reader(), &self.id)?;
        StagedFile::sync_names(&staged)?;
        writer.commit(acts, now, wait.warn)?;
        let mut files = Vec::new();
        for file in staged {
            files.push(file.publish()?);
        }
        if let Err(error) = remove_request_key(&dir(home), &self.id) {
            (wait.warn)(&format!("the key of the completed request is still there: {error}"));
        }
        Ok(files)
    }
}

/// The request that the contributions answer; all the same one.
fn named_request(contributions: &[(String, Vec<u8>)]) -> Result<String> {
    let Some((_, bytes)) = contributions.first() else {
        return Err(AuthorityError::Input(
            "no contribution was given; name the agents' files with --share".into(),
        ));
    };
    Ok(Contribution::from_bytes(bytes)?.request)
}

/// What the ledger says of a request.
struct Standing {
    sha256: String,
    archives: Vec<[u8; 32]>,
}

/// Finds a request in the ledger and refuses one that was completed: each
/// recovery needs the agents anew.
fn standing(ledger: &LedgerReader, id: &str) -> Result<Standing> {
    let mut found: Option<Standing> = None;
    for item in ledger.entries(0..ledger.checkpoint().size) {
        let (position, entry) = item?;
        if !matches!(entry.kind, EntryKind::RecoveryRequested | EntryKind::KeyRecovered) {
            continue;
        }
        match Detail::from_bytes(&ledger.detail(position)?) {
            Ok(Detail::RecoveryRequested { request, sha256, archives, .. }) if request == id => {
                let archives = archives.iter().map(|text| sha256_from_hex(text)).collect::<Option<Vec<_>>>();
                let Some(archives) = archives else { continue };
                // An entry a person, of the same request.
                let standing = found.get_or_insert_with(|| Standing { sha256, archives: Vec::new() });
                standing.archives.extend(archives);
            }
            Ok(Detail::KeyRecovered { request, .. }) if request == id => {
                return Err(AuthorityError::Refused(format!(
                    "request {id} was completed on {}; every recovery needs the agents anew, ask again with `ca escrow recover`",
                    entry.time
                )));
            }
            _ => {}
        }
    }
    found.ok_or_else(|| {
        AuthorityError::NotFound(format!(
            "the ledger knows no recovery request {id:?}; ask with `ca escrow recover`"
        ))
    })
}

/// The shares must be for the keys that the operator named.
fn check_wanted(home: &Home, wanted: &Wanted, standing: &Standing, id: &str, wait: &Wait<'_>) -> Result<()> {
    let keys = archived(home, wanted, wait)?;
    if !standing.archives.iter().all(|sha256| keys.iter().any(|key| key.sha256 == *sha256)) {
        return Err(AuthorityError::Refused(format!(
            "the shares are for request {id}, which is for other keys; give the shares of the right request"
        )));
    }
    let newer = keys.iter().filter(|key| !standing.archives.contains(&key.sha256)).count();
    if newer > 0 {
        (wait.warn)(&format!("{newer} more keys were archived since the request; ask again for all of them"));
    }
    Ok(())
}

/// A certificate of a recovered key, with its issuers.
pub(crate) struct Owner {
    pub(crate) issuance: Issuance,
    archive: [u8; 32],
    pub(crate) chain: Vec<Vec<u8>>,
}

/// The certificates as the ledger has them; the archive's own copy must be the same.
fn issued(home: &Home, keys: &[RecoveredKey], wait: &Wait<'_>) -> Result<Vec<Owner>> {
    let mut inventory = Inventory::open(home, wait)?;
    let mut owners = Vec::new();
    for key in keys {
        let serial = SerialNumber::try_from(&key.certificate.tbs_certificate.serial_number)?;
        let issuance = inventory.by_serial(serial, wait)?;
        if issuance.certificate != key.certificate || issuance.escrow != Some(key.archive) {
            return Err(AuthorityError::Refused(format!(
                "the archive of certificate {serial} is not the one that the ledger names; run `ca ledger verify`"
            )));
        }
        let chain = inventory.chain(home, &issuance)?;
        owners.push(Owner { issuance, archive: key.archive, chain });
    }
    Ok(owners)
}

fn stage(delivery: &Delivery, keys: &[RecoveredKey], owners: &[Owner]) -> Result<Vec<StagedFile>> {
    let names: Vec<String> = owners.iter().map(friendly_name).collect();
    let identity = |index: usize| Identity {
        key: &keys[index].key,
        certificate: &owners[index].issuance.der,
        friendly_name: &names[index],
    };
    let export = |identities: &[Identity<'_>], chain: &[Vec<u8>]| {
        export_many(delivery.profile, Rounds::Many, identities, chain, &delivery.password)
    };
    let mut staged = Vec::new();
    if let Some(path) = &delivery.p12 {
        let identities: Vec<_> = (0..keys.len()).map(identity).collect();
        let mut chain: Vec<Vec<u8>> = Vec::new();
        for issuer in owners.iter().flat_map(|owner| &owner.chain) {
            if !chain.contains(issuer) {
                chain.push(issuer.clone());
            }
        }
        staged.push(write(path, &export(&identities, &chain)?, delivery.replace)?);
    }
    if let Some(dir) = &delivery.dir {
        create_private_dir(dir)?;
        for (index, owner) in owners.iter().enumerate() {
            let path = dir.join(format!("{}.p12", file_name(owner)));
            staged.push(write(&path, &export(&[identity(index)], &owner.chain)?, delivery.replace)?);
        }
    }
    if staged.is_empty() {
        return Err(AuthorityError::Input("no file was named for the keys; give --p12 or --dir".into()));
    }
    Ok(staged)
}

fn write(path: &Path, bytes: &[u8], replace: bool) -> Result<StagedFile> {
    if path.exists() && !replace {
        return Err(AuthorityError::Refused(format!(
            "{} exists already; choose another file, or give --force to replace it",
            path.display()
        )));
    }
    Ok(StagedFile::write(path, bytes, Mode::Private)?)
}

/// The day and the beginning of the serial number: sorts by age, and is unique.
fn file_name(owner: &Owner) -> String {
    let record = &owner.issuance.record;
    let day: String = record.not_before.to_string().chars().take(10).collect();
    let serial: String = record.serial.to_string().chars().take(8).collect();
    format!("{day}-{serial}")
}

fn friendly_name(owner: &Owner) -> String {
    format!("{} {}", owner.issuance.record.person, file_name(owner))
}

fn acts(
    request: &RecoveryRequest,
    contributors: &[Contributor],
    owners: &[Owner],
    actor: &str,
    now: Timestamp,
) -> Result<Vec<(NewEntry, Detail)>> {
    let Some(first) = owners.first() else { return Ok(Vec::new()) };
    let serial = (owners.len() == 1).then_some(first.issuance.record.serial);
    let agents: Vec<String> = contributors.iter().map(|agent| agent.agent.clone()).collect();
    let mut acts = Vec::new();
    for contributor in contributors {
        let detail = Detail::RecoveryContributed {
            request: request.id.clone(),
            agent: contributor.agent.clone(),
            key: contributor.key.to_string(),
            sha256: hex::encode(contributor.sha256),
            actor: actor.to_owned(),
        };
        acts.push(act(EntryKind::RecoveryContributed, first.issuance.record.authority, serial, detail, now)?);
    }
    for owner in owners {
        let detail = Detail::KeyRecovered {
            request: request.id.clone(),
            archive: hex::encode(owner.archive),
            person: owner.issuance.record.person.clone(),
            agents: agents.clone(),
            actor: actor.to_owned(),
        };
        let record = &owner.issuance.record;
        acts.push(act(EntryKind::KeyRecovered, record.authority, Some(record.serial), detail, now)?);
    }
    Ok(acts)
}
