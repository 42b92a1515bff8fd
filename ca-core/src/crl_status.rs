//! The CRLs of a published directory: what they are, and whether they are in time.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ca_domain::{Detail, KeyIdentifier, Timestamp};
use ca_files::WriteLock;
use ca_ledger::EntryKind;
use serde::Deserialize;

use crate::crl_file;
use crate::error::{AuthorityError, Result};
use crate::home::Home;

/// A run may be late by so many seconds.
const LATE: u64 = 60;
/// A thisUpdate further ahead than so many seconds is one of a wrong clock.
const AHEAD: u64 = 300;

/// What a CRL file says of itself.
#[derive(Clone, Debug)]
pub struct FoundCrl {
    /// The NAME of `NAME.crl`.
    pub name: String,
    /// Its issuer.
    pub issuer: String,
    /// Its number, hexadecimal.
    pub number: Option<String>,
    /// Whether it is a delta CRL.
    pub is_delta: bool,
    /// Its thisUpdate.
    pub this_update: Timestamp,
    /// Its nextUpdate.
    pub next_update: Option<Timestamp>,
    /// Its length.
    pub bytes: u64,
}

/// A CRL that the ledger has.
#[derive(Clone, Debug)]
pub struct RecordedCrl {
    /// The authority's NAME.
    pub authority: String,
    /// Its key.
    pub key_id: KeyIdentifier,
    /// Its number, hexadecimal.
    pub number: String,
    /// When it was issued.
    pub time: Timestamp,
    /// Its hash.
    pub sha256: String,
    /// Who issued it.
    pub actor: String,
}

/// What the publisher tells of a CRL.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ToldCrl {
    /// Its name.
    pub name: String,
    /// Certificates on it.
    pub entries: Option<u64>,
    /// When the next is signed.
    pub next_run: Option<String>,
    /// From when on it is late that it was not renewed.
    pub renew_by: Option<String>,
    /// When something was last due.
    pub last_run: Option<String>,
    /// Why it failed then.
    pub error: Option<String>,
    /// Since when changes of status wait.
    pub pending_since: Option<String>,
    /// What somebody has to do.
    pub to_do: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ToldAuthority {
    authority: String,
    mode: String,
    #[serde(default)]
    clock: Option<String>,
    crls: Vec<ToldCrl>,
}

/// How a published CRL is.
#[derive(Clone, Debug)]
pub struct CrlReport {
    /// The NAME of `NAME.crl`.
    pub name: String,
    /// `ok`, or what is wrong in a word.
    pub state: &'static str,
    /// The same in a sentence; nothing if all is well.
    pub fault: Option<String>,
    /// The file, if it can be read.
    pub found: Option<FoundCrl>,
    /// What the publisher tells.
    pub told: Option<ToldCrl>,
}

/// How the publisher of an authority is.
#[derive(Clone, Debug)]
pub struct PublisherReport {
    /// The authority's NAME.
    pub authority: String,
    /// `sign` or `distribute`; nothing if it does not tell.
    pub mode: Option<String>,
    /// Which process publishes; none if nobody does.
    pub holder: Option<String>,
    /// What is wrong with it, in a sentence; nothing if all is well.
    pub fault: Option<String>,
}

/// How a published directory is.
#[derive(Clone, Debug, Default)]
pub struct DirectoryReport {
    /// Its CRLs, by name.
    pub crls: Vec<CrlReport>,
    /// Its publishers, by authority.
    pub publishers: Vec<PublisherReport>,
}

/// The directory that the publisher's configuration in a home names.
///
/// # Errors
/// There is none that can be read.
pub fn published_directory(home: &Home) -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Publisher {
        directory: PathBuf,
    }
    let path = home.root().join("crl-publisher.yaml");
    let bad = |what: String| {
        AuthorityError::Input(format!("{}: {what}; name the published directory", path.display()))
    };
    let text = fs::read_to_string(&path).map_err(|error| bad(error.to_string()))?;
    let publisher: Publisher = serde_saphyr::from_str(&text).map_err(|error| bad(error.to_string()))?;
    Ok(home.root().join(publisher.directory))
}

/// The CRLs that the ledger of a home has, in their order.
///
/// # Errors
/// The ledger cannot be read.
pub fn recorded(home: &Home) -> Result<Vec<RecordedCrl>> {
    let reader = home.ledger()?;
    let mut found = Vec::new();
    for item in reader.entries(0..reader.checkpoint().size) {
        let (position, entry) = item?;
        if entry.kind != EntryKind::CrlIssued {
            continue;
        }
        if let Ok(Detail::CrlIssued { authority, number, sha256, actor }) =
            Detail::from_bytes(&reader.detail(position)?)
        {
            let (key_id, time) = (entry.authority, entry.time);
            found.push(RecordedCrl { authority, key_id, number, time, sha256, actor });
        }
    }
    Ok(found)
}

/// The CRLs of a published directory by name, each with what it says or why it cannot be read.
///
/// # Errors
/// The directory cannot be read.
pub fn list(directory: &Path) -> Result<Vec<(String, Result<FoundCrl>)>> {
    let below = directory.join("crl");
    let directory = if below.is_dir() { below } else { directory.to_owned() };
    let bad = |error| {
        AuthorityError::Input(format!(
            "cannot read {}: {error}; name a directory of CRLs",
            directory.display()
        ))
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).map_err(bad)? {
        let name = entry.map_err(bad)?.file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(".crl"));
        names.extend(name.filter(|name| !name.starts_with('.')).map(str::to_owned));
    }
    names.sort();
    Ok(names.into_iter().map(|name| (name.clone(), look(&directory, name))).collect())
}

fn look(directory: &Path, name: String) -> Result<FoundCrl> {
    let path = directory.join(format!("{name}.crl"));
    let crl = crl_file::open(&path)?;
    let frame = crl.frame();
    let bad = |error| crl_file::unreadable(&path, &error);
    Ok(FoundCrl {
        issuer: frame.issuer.to_string(),
        number: frame.number().map_err(bad)?.map(|number| number.to_string()),
        is_delta: frame.base().map_err(bad)?.is_some(),
        this_update: frame.this_update,
        next_update: frame.next_update,
        bytes: fs::metadata(&path).map_or(0, |meta| meta.len()),
        name,
    })
}

/// How the CRLs of a published directory are at `now`: by the files alone, and by
/// what the publisher tells where that can be read.
///
/// # Errors
/// The directory cannot be read.
pub fn status(directory: &Path, now: Timestamp) -> Result<DirectoryReport> {
    let mut told = told(directory)?;
    let publishers = publishers(directory, &told)?;
    let mut report = DirectoryReport { publishers, ..DirectoryReport::default() };
    let mut take = |name: &str| {
        told.iter_mut().find_map(|authority| {
            let at = authority.crls.iter().position(|crl| crl.name == name)?;
            Some(authority.crls.swap_remove(at))
        })
    };
    for (name, found) in list(directory)? {
        let told = take(&name);
        let (state, fault) = match &found {
            Ok(found) => judge(found, told.as_ref(), now),
            Err(error) => ("unreadable", Some(error.to_string())),
        };
        report.crls.push(CrlReport { name, state, fault, found: found.ok(), told });
    }
    for told in told.into_iter().flat_map(|authority| authority.crls) {
        let fault = told.error.clone().or_else(|| told.to_do.clone());
        let fault = Some(fault.unwrap_or_else(|| "there is no such file".to_owned()));
        let name = told.name.clone();
        report.crls.push(CrlReport { name, state: "missing", fault, found: None, told: Some(told) });
    }
    report.crls.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(report)
}

/// Who publishes, by the locks and by what is told.
fn publishers(directory: &Path, told: &[ToldAuthority]) -> Result<Vec<PublisherReport>> {
    let mut names: BTreeSet<String> = hidden(directory, ".lock")?.into_iter().map(|(name, _)| name).collect();
    names.extend(told.iter().map(|told| told.authority.clone()));
    let mut found = Vec::new();
    for authority in names {
        let lock = directory.join(format!(".{authority}.lock"));
        let holder = WriteLock::holder(&lock)?.map(|holder| holder.to_string());
        let told = told.iter().find(|told| told.authority == authority);
        let fault = match (&holder, told) {
            // The lock of one that is published no more stays.
            (None, None) => continue,
            (None, Some(_)) => Some(format!("nobody publishes for {authority}: start crl-publisher")),
            (Some(holder), None) => Some(format!(
                "{holder} publishes for {authority} and cannot tell how that is: see its log, and whether the disk is full"
            )),
            (Some(holder), Some(told)) => {
                told.clock.as_ref().map(|clock| format!("the clock of {holder} jumped: {clock}"))
            }
        };
        found.push(PublisherReport { mode: told.map(|told| told.mode.clone()), authority, holder, fault });
    }
    Ok(found)
}

/// What the publishers tell.
fn told(directory: &Path) -> Result<Vec<ToldAuthority>> {
    let mut all = Vec::new();
    for (_, path) in hidden(directory, ".status.json")? {
        let text = fs::read(&path).map_err(|error| unreadable(directory, &error))?;
        let told = serde_json::from_slice::<ToldAuthority>(&text);
        all.push(told.map_err(|error| unreadable(directory, &error))?);
    }
    all.sort_by(|a, b| a.authority.cmp(&b.authority));
    Ok(all)
}

/// The files `.NAME` with this ending, each with its NAME.
fn hidden(directory: &Path, ending: &str) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| unreadable(directory, &error))? {
        let path = entry.map_err(|error| unreadable(directory, &error))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix('.'));
        let name = name.and_then(|name| name.strip_suffix(ending)).filter(|name| !name.is_empty());
        if let Some(name) = name.map(str::to_owned) {
            found.push((name, path));
        }
    }
    Ok(found)
}

fn unreadable(directory: &Path, what: &dyn std::fmt::Display) -> AuthorityError {
    AuthorityError::Input(format!(
        "cannot read {}: {what}; name the directory of crl-publisher, as a user who may read it",
        directory.display()
    ))
}

fn judge(found: &FoundCrl, told: Option<&ToldCrl>, now: Timestamp) -> (&'static str, Option<String>) {
    let time = |text: Option<&String>| text.and_then(|text| Timestamp::parse(text).ok());
    let todo = |what: String| match told.and_then(|told| told.error.as_ref().or(told.to_do.as_ref())) {
        Some(more) => Some(format!("{what}: {more}")),
        None => Some(what),
    };
    let Some(next_update) = found.next_update else {
        return ("unreadable", todo("it has no nextUpdate".to_owned()));
    };
    let renew_by = time(told.and_then(|told| told.renew_by.as_ref()));
    let next_run = time(told.and_then(|told| told.next_run.as_ref()));
    if next_update <= now {
        return ("expired", todo(format!("it ended on {next_update}")));
    }
    if found.this_update > now.saturating_add(AHEAD) {
        return ("ahead", todo(format!("it is valid from {} on only", found.this_update)));
    }
    if renew_by.is_some_and(|by| by <= now) {
        return ("ending", todo(format!("it ends on {next_update}")));
    }
    if let Some(run) = next_run.filter(|run| run.saturating_add(LATE) < now) {
        return ("late", todo(format!("the next was due on {run}")));
    }
    if let Some(error) = told.and_then(|told| told.error.as_ref()) {
        return ("failed", Some(format!("the last run failed: {error}")));
    }
    ("ok", None)
}
