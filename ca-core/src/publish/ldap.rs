//! Publishing in a directory: find the entries, compare, change what differs.

mod run;
mod session;

use ca_domain::Timestamp;
use ca_files::WriteLock;
use ca_ldap::{Change, Entry};
use serde::Serialize;

use super::config::{DirectoryTarget, PublishConfig};
use super::holders::Holders;
use super::object::Objects;
use super::ours::Ours;
use super::reconcile::DiffLine;
use crate::authority::Authority;
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};
use run::Run;

/// What `ca publish ldap` is told.
#[derive(Clone, Debug, Default)]
pub struct PublishRequest {
    /// The directories, by their names; empty for all.
    pub directories: Vec<String>,
    /// The people, by their mailboxes; empty for all.
    pub mailboxes: Vec<String>,
    /// Whether to change nothing.
    pub dry_run: bool,
    /// Entries from an export, in the place of the directory; nothing is changed then.
    pub entries: Option<Vec<Entry>>,
}

/// One entry that is not as it should be, or could not be made so.
#[derive(Clone, Debug, Serialize)]
pub struct EntryReport {
    /// Its distinguished name.
    pub dn: String,
    /// What differs.
    pub lines: Vec<DiffLine>,
    /// Values of others, which stay.
    pub others: usize,
    /// Values of ours that found no room among those of others.
    pub left_out: usize,
    /// Why it could not be changed; none if it was, or is to be.
    pub failed: Option<String>,
    #[serde(skip)]
    changes: Vec<Change>,
}

impl EntryReport {
    /// The changes as LDIF.
    #[must_use]
    pub fn to_ldif(&self) -> String {
        ca_ldap::ldif_of_changes(&self.dn, &self.changes)
    }
}

/// What came of it in one directory.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PublishReport {
    /// The directory's name.
    pub directory: String,
    /// Entries that were looked at.
    pub entries: usize,
    /// Entries that differed, those that failed among them.
    pub changed: Vec<EntryReport>,
    /// People with certificates whose entry was not found.
    pub missing: Vec<String>,
    /// Why it ended before all was done; none if all was. The next run goes on.
    pub stopped: Option<String>,
}

impl PublishReport {
    /// The entries that could not be changed.
    pub fn failed(&self) -> impl Iterator<Item = &EntryReport> {
        self.changed.iter().filter(|entry| entry.failed.is_some())
    }
}

/// Makes the directories hold what the ledger says, as far as it is ours to say.
///
/// # Errors
/// A directory or mailbox that nobody knows, one that this build cannot log in at, a damaged ledger, another
/// run that goes on. What goes wrong with a directory or an entry is in the report.
pub fn publish(
    home: &Home,
    config: &PublishConfig,
    request: &PublishRequest,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Vec<PublishReport>> {
    for name in &request.directories {
        if !config.directories.iter().any(|directory| directory.name == *name) {
            let known: Vec<_> = config.directories.iter().map(|known| known.name.as_str()).collect();
            let what = format!("publish.yaml has no directory {name:?}; it has {}", known.join(", "));
            return Err(AuthorityError::NotFound(what));
        }
    }
    let chosen: Vec<&DirectoryTarget> = config
        .directories
        .iter()
        .filter(|one| request.directories.is_empty() || request.directories.contains(&one.name))
        .collect();
    // Before anything is done in another.
    for directory in chosen.iter().filter(|_| request.entries.is_none()) {
        directory.server.check_build()?;
    }
    let _one_run = WriteLock::acquire(&home.root().join("publish.lock"), wait.timeout, wait.purpose)?;
    Objects::of(home).complete(home, wait)?;
    chosen.into_iter().map(|directory| one(home, directory, request, now, wait)).collect()
}

fn one(
    home: &Home,
    directory: &DirectoryTarget,
    request: &PublishRequest,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<PublishReport> {
    let authorities = match directory.authorities.as_slice() {
        [] => Authority::all(home)?,
        names => names.iter().map(|name| Authority::load(home, name)).collect::<Result<_>>()?,
    };
    let keys = authorities.iter().map(Authority::key_id).collect::<Result<Vec<_>>>()?;
    let mut holders = Holders::gather(home, &keys, now, wait)?;
    if !request.mailboxes.is_empty() {
        holders.only(&request.mailboxes)?;
    }
    let ours = Ours::new(&authorities, &holders)?;
    let objects = Objects::of(home);
    Ok(Run::new(directory, &holders, &ours, &objects, request, now).go(wait))
}
