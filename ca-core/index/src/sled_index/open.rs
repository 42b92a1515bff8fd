//! Opening: the lock, the generations, and the checks before the first answer.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ca_files::{WriteLock, create_private_dir};
use sled::{Config, Db, Mode};

use super::guard::{guard, with_limit};
use super::stamp;
use super::store::Store;
use crate::IndexError;

/// The database's directory in a generation's.
pub(super) const SLED: &str = "sled";
/// Exists while a database is being opened: a process that is killed by what it
/// finds there leaves it behind, and the next does not try again.
const OPENING: &str = "opening";
const PREFIX: &str = "generation-";

/// Octets of pages that sled keeps in memory.
const CACHE: u64 = 128 << 20;
/// How long opening may take, and how many octets a second it may be slow.
const OPEN_LIMIT: Duration = Duration::from_secs(60);
const SLOWEST: u64 = 4 << 20;

/// Makes the directory and takes its lock.
pub(super) fn lock(dir: &Path, timeout: Duration, purpose: &str) -> Result<WriteLock, IndexError> {
    create_private_dir(dir)?;
    Ok(WriteLock::acquire(&dir.join("lock"), timeout, purpose)?)
}

/// Opens the newest generation, or makes the first. Older ones are removed.
pub(super) fn current(dir: &Path) -> Result<Store, IndexError> {
    let mut generations = generations(dir)?;
    let Some((_, newest)) = generations.pop() else { return fresh(dir) };
    remove(&generations);
    if newest.join(OPENING).exists() {
        let what = "the last attempt to open it did not end".into();
        return Err(IndexError::Corrupt { path: newest, what });
    }
    open(newest)
}

/// Makes a new, empty generation and removes all others.
///
/// It has another name, so that a thread that hangs in an old one cannot reach it.
pub(super) fn fresh(dir: &Path) -> Result<Store, IndexError> {
    let old = generations(dir)?;
    let number = old.last().map_or(1, |(number, _)| number.saturating_add(1));
    let generation = dir.join(format!("{PREFIX}{number}"));
    create_private_dir(&generation)?;
    let store = open(generation)?;
    remove(&old);
    Ok(store)
}

/// Best effort: what cannot be removed now is removed when the index is opened next.
fn remove(generations: &[(u64, PathBuf)]) {
    for (_, path) in generations {
        let _ = fs::remove_dir_all(path);
    }
}

/// The generations in a directory, oldest first.
fn generations(dir: &Path) -> Result<Vec<(u64, PathBuf)>, IndexError> {
    let storage = |source| IndexError::Storage { path: dir.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(storage)? {
        let entry = entry.map_err(storage)?;
        let name = entry.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|text| text.parse().ok());
        if let Some(number) = number {
            found.push((number, entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn open(generation: PathBuf) -> Result<Store, IndexError> {
    let storage = |source| IndexError::Storage { path: generation.clone(), source };
    let marker = generation.join(OPENING);
    fs::write(&marker, []).map_err(storage)?;
    let directory = generation.join(SLED);
    // What cannot be listed matches no note, and sled finds out what is wrong with it.
    let files = stamp::files(&directory).unwrap_or_default();
    let limit = OPEN_LIMIT + Duration::from_secs(size(&directory) / SLOWEST);
    let path = generation.clone();
    let opened = with_limit(&generation, limit, move || {
        let db = open_sled(&path, &directory)?;
        let store = Store::load(path, db)?;
        if !stamp::matches(&store.generation, &files, &store.meta) {
            store.verify()?;
        }
        Ok(store)
    });
    // It stays where opening did not end; an error has ended, and is known.
    if !opened.as_ref().is_err_and(IndexError::is_corrupt) {
        fs::remove_file(&marker).map_err(storage)?;
    }
    opened
}

/// Opens sled; a thread of this process that is just closing it is waited for.
fn open_sled(generation: &Path, directory: &Path) -> Result<Db, IndexError> {
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        let config = Config::default()
            .path(directory)
            .cache_capacity(CACHE)
            .mode(Mode::HighThroughput)
            // No thread of its own: flushes are where we say.
            .flush_every_ms(None);
        match guard(generation, || config.open()) {
            Err(IndexError::Busy { .. }) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            outcome => return outcome,
        }
    }
}

fn size(directory: &Path) -> u64 {
    fs::metadata(directory.join("db")).map_or(0, |metadata| metadata.len())
}
