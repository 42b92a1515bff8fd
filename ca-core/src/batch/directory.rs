//! The directory of a batch.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use ca_files::{Mode, WriteLock, create_private_dir, read_private, write_atomic};
use serde::{Deserialize, Serialize};

use super::journal::Journal;
use crate::error::{AuthorityError, Result};
use crate::home::Wait;
use crate::init::io;
use crate::people::Person;

const PLAN: &str = "batch.json";
const LOCK: &str = ".lock";
const JOURNAL: &str = "journal";
const TABLE: &str = "people.csv";
const PASSWORDS: &str = "passwords.csv";

/// Octets of a file's name: room for what temporary names add.
const MAX_NAME: usize = 200;

/// `batch.json`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    version: u32,
    batch: String,
    people: usize,
    /// The size of the ledger before the first commit.
    start: u64,
    complete: bool,
}

/// A batch's directory, locked.
pub(super) struct Directory {
    path: PathBuf,
    plan: Plan,
    _lock: WriteLock,
}

impl Directory {
    /// Opens the directory of a batch that was begun; none if there is none yet.
    pub(super) fn find(path: &Path, id: &str, wait: &Wait<'_>) -> Result<Option<Self>> {
        if path.symlink_metadata().is_err() {
            return Ok(None);
        }
        create_private_dir(path)?;
        let lock = WriteLock::acquire(&path.join(LOCK), wait.timeout, wait.purpose)?;
        let file = path.join(PLAN);
        if !file.exists() {
            refuse_strangers(path)?;
            return Ok(None);
        }
        let plan: Plan = serde_json::from_slice(&read_private(&file)?).map_err(|error| {
            AuthorityError::Input(format!("{} is damaged: {error}; give another directory", file.display()))
        })?;
        if plan.version != 1 || plan.batch != id {
            return Err(AuthorityError::Refused(format!(
                "{} belongs to another batch, of another table or with other options; finish that one with what \
                 it was begun with, or give another directory",
                path.display()
            )));
        }
        Ok(Some(Self { path: path.to_owned(), plan, _lock: lock }))
    }

    /// Makes the directory of a new batch.
    pub(super) fn create(path: &Path, id: &str, people: usize, start: u64, wait: &Wait<'_>) -> Result<Self> {
        create_private_dir(path)?;
        let lock = WriteLock::acquire(&path.join(LOCK), wait.timeout, wait.purpose)?;
        refuse_strangers(path)?;
        let plan = Plan { version: 1, batch: id.to_owned(), people, start, complete: false };
        let directory = Self { path: path.to_owned(), plan, _lock: lock };
        directory.write()?;
        Ok(directory)
    }

    fn write(&self) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(&self.plan)
            .map_err(|error| AuthorityError::Input(format!("cannot encode {PLAN}: {error}")))?;
        Ok(write_atomic(&self.path.join(PLAN), &bytes, Mode::Private)?)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn passwords(&self) -> PathBuf {
        self.path.join(PASSWORDS)
    }

    pub(super) fn journal(&self) -> Result<Journal> {
        Journal::open(&self.path.join(JOURNAL))
    }

    /// The size of the ledger before the first commit.
    pub(super) const fn start(&self) -> u64 {
        self.plan.start
    }

    /// Whether everybody has their file.
    pub(super) const fn is_complete(&self) -> bool {
        self.plan.complete
    }

    /// Everybody has their file: the journal, which has passwords in it, goes.
    pub(super) fn finish(&mut self) -> Result<()> {
        if !self.plan.complete {
            self.plan.complete = true;
            self.write()?;
        }
        let journal = self.path.join(JOURNAL);
        match fs::remove_file(&journal) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("remove", &journal)(error)),
            _ => Ok(()),
        }
    }
}

/// The table that a renewal of what expires began with.
pub(super) fn read_table(path: &Path) -> Result<Option<Vec<u8>>> {
    let table = path.join(TABLE);
    if table.symlink_metadata().is_err() {
        return Ok(None);
    }
    Ok(Some(read_private(&table)?))
}

/// Writes that table into a new directory.
pub(super) fn write_table(path: &Path, table: &[u8]) -> Result<()> {
    create_private_dir(path)?;
    refuse_strangers(path)?;
    Ok(write_atomic(&path.join(TABLE), table, Mode::Private)?)
}

/// Only an empty directory becomes that of a batch; a crash may have left the lock.
fn refuse_strangers(path: &Path) -> Result<()> {
    for entry in fs::read_dir(path).map_err(io("read", path))? {
        let name = entry.map_err(io("read", path))?.file_name();
        if name != TABLE && !name.to_str().is_some_and(|name| name.starts_with('.')) {
            return Err(AuthorityError::Refused(format!(
                "{} is not empty (it holds {name:?}); give a new directory, or that of this batch",
                path.display()
            )));
        }
    }
    Ok(())
}

/// The names of the PKCS#12 files, by line: the mailbox where it makes a plain name
/// that nobody else has, else with the line behind it.
pub(super) fn names(people: &[Person]) -> BTreeMap<u64, String> {
    let mut taken = HashSet::new();
    let mut names = BTreeMap::new();
    for person in people {
        let mailbox = person.mailbox().to_ascii_lowercase();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '@' | '-' | '_' | '+');
        let mut name: String = mailbox.chars().map(|c| if plain(c) { c } else { '_' }).collect();
        name.truncate(MAX_NAME);
        let changed = name != mailbox || name.starts_with('.') || name.starts_with('-');
        if changed || !taken.insert(name.clone()) {
            name = format!("{}-{}", name.trim_start_matches(['.', '-']), person.line);
            taken.insert(name.clone());
        }
        names.insert(person.line, format!("{name}.p12"));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::parse;

    #[test]
    fn names_are_plain_and_unique() {
        let long = format!("{}@{}.test", "x".repeat(64), vec!["y".repeat(60); 3].join("."));
        let text = format!(
            "email\nAlice@example.test\na/b@example.test\na_b@example.test\n-x@example.test\n{long}\n"
        );
        let people = parse(text.as_bytes(), "p.csv").unwrap().complete("p.csv").unwrap();
        let names = names(&people);
        assert_eq!(names[&2], "alice@example.test.p12");
        assert_eq!(names[&3], "a_b@example.test-3.p12");
        assert_eq!(names[&4], "a_b@example.test.p12");
        assert_eq!(names[&5], "x@example.test-5.p12");
        assert!(names[&6].len() < 220 && names[&6].ends_with("-6.p12"));
        assert_eq!(names.values().collect::<HashSet<_>>().len(), 5);
    }
}
