//! Names that a power cut would take: those that were made and whose directory was not fsynced since.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{fs, io};

/// A name that is not durable.
enum Name {
    Made(PathBuf),
    /// It was another, durable name before.
    Moved {
        from: PathBuf,
        to: PathBuf,
    },
}

impl Name {
    fn path(&self) -> &Path {
        match self {
            Self::Made(path) | Self::Moved { to: path, .. } => path,
        }
    }
}

/// Names below a directory.
struct Watched {
    root: PathBuf,
    names: Vec<Name>,
}

/// Of all threads, because many may write for one commit.
static WATCHED: Mutex<Vec<Watched>> = Mutex::new(Vec::new());

thread_local! {
    /// What this thread watches.
    static ROOT: RefCell<Option<PathBuf>> = const { RefCell::new(None) };
}

/// Remembers, for a power cut of this thread, the names that any thread makes below `root` from now on.
pub(super) fn watch(root: &Path) {
    unwatch();
    ROOT.set(Some(root.to_owned()));
    of_all(|all| all.push(Watched { root: root.to_owned(), names: Vec::new() }));
}

pub(super) fn unwatch() {
    if let Some(root) = ROOT.take() {
        of_all(|all| all.retain(|watched| watched.root != root));
    }
}

pub(super) fn making<T>(path: &Path, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let is_new = path.symlink_metadata().is_err();
    let made = make()?;
    if is_new {
        with(path, |names| names.push(Name::Made(path.to_owned())));
    }
    Ok(made)
}

pub(super) fn moving(from: &Path, to: &Path, rename: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let replaced = to.symlink_metadata().is_ok();
    rename()?;
    with(to, |names| {
        let before = names.len();
        names.retain(|name| name.path() != from);
        let was_durable = names.len() == before;
        // Where there was another file, one of both is found there; it is the new one.
        if !replaced {
            let (from, to) = (from.to_owned(), to.to_owned());
            names.push(if was_durable { Name::Moved { from, to } } else { Name::Made(to) });
        }
    });
    Ok(())
}

pub(super) fn removing(path: &Path, remove: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    remove()?;
    with(path, |names| names.retain(|name| name.path() != path));
    Ok(())
}

pub(super) fn synced(dir: &Path) {
    with(dir, |names| names.retain(|name| name.path().parent() != Some(dir)));
}

/// The power goes: what was not durable is gone, or has its old name.
pub(super) fn cut() {
    let Some(root) = ROOT.with_borrow(Clone::clone) else { return };
    of_all(|all| {
        for name in all.iter_mut().filter(|watched| watched.root == root).flat_map(|one| one.names.drain(..))
        {
            // What is not there any more was removed otherwise.
            let _ = match name {
                Name::Made(path) if path.is_dir() => fs::remove_dir_all(path),
                Name::Made(path) => fs::remove_file(path),
                Name::Moved { from, to } => fs::rename(to, from),
            };
        }
    });
}

fn with(path: &Path, change: impl Fn(&mut Vec<Name>)) {
    of_all(|all| {
        for watched in all.iter_mut().filter(|watched| path.starts_with(&watched.root)) {
            change(&mut watched.names);
        }
    });
}

fn of_all<T>(change: impl FnOnce(&mut Vec<Watched>) -> T) -> T {
    change(&mut WATCHED.lock().unwrap_or_else(PoisonError::into_inner))
}
