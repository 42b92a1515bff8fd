//! Ringing a bell when files change.
//!
//! Events only make a daemon faster. It polls as well, since events are lost on
//! network file systems, when a watch limit is reached, or when a directory is
//! replaced.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::Bell;

/// Rings a bell when one of its files is written, replaced or removed.
#[derive(Debug)]
pub struct FileWatch {
    directories: BTreeSet<PathBuf>,
    watched: BTreeSet<PathBuf>,
    watcher: Option<RecommendedWatcher>,
}

impl FileWatch {
    /// Watches `files`, which need not exist yet.
    #[must_use]
    pub fn new(files: &[PathBuf], bell: Bell) -> Self {
        let names: BTreeSet<OsString> =
            files.iter().filter_map(|file| file.file_name().map(OsString::from)).collect();
        let directories = files.iter().map(|file| directory_of(file).to_owned()).collect();
        Self::of(directories, bell, move |name| names.contains(name))
    }

    /// Watches all files in `directories` whose names have one of these extensions.
    #[must_use]
    pub fn extensions(directories: &[PathBuf], extensions: &'static [&'static str], bell: Bell) -> Self {
        Self::of(directories.iter().cloned().collect(), bell, |name| {
            Path::new(name).extension().is_some_and(|found| extensions.iter().any(|e| found == *e))
        })
    }

    fn of(
        directories: BTreeSet<PathBuf>,
        bell: Bell,
        concerns: impl Fn(&OsStr) -> bool + Send + 'static,
    ) -> Self {
        let handler = move |event: notify::Result<notify::Event>| {
            // An error means lost events: look. Reading is an event as well, and
            // must not ring, or our own look would wake us again.
            let ring = event.as_ref().map_or(true, |event| {
                is_change(event.kind)
                    && (event.need_rescan()
                        || event.paths.iter().any(|p| p.file_name().is_some_and(&concerns)))
            });
            if ring {
                bell.ring();
            }
        };
        let watcher = notify::recommended_watcher(handler)
            .inspect_err(|error| tracing::warn!(%error, "no file events here; files are polled"))
            .ok();
        let mut watch = Self { directories, watched: BTreeSet::new(), watcher };
        watch.refresh();
        watch
    }

    /// Watches directories that have appeared since; call it with each poll.
    pub fn refresh(&mut self) {
        let Some(watcher) = self.watcher.as_mut() else { return };
        for directory in &self.directories {
            if !directory.is_dir() {
                if self.watched.remove(directory) {
                    let _ = watcher.unwatch(directory);
                }
            } else if !self.watched.contains(directory) {
                match watcher.watch(directory, RecursiveMode::NonRecursive) {
                    Ok(()) => {
                        self.watched.insert(directory.clone());
                    }
                    Err(error) => tracing::debug!(%error, path = %directory.display(), "cannot watch"),
                }
            }
        }
    }
}

fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

fn directory_of(file: &Path) -> &Path {
    match file.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

/// What tells one content of a file from the next without reading it.
///
/// A file that is replaced by rename has another inode; one that is written in
/// place has another time or length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fingerprint {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Fingerprint {
    /// The fingerprint of a file; none if it cannot be seen.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|meta| Self::from(&meta))
    }

    /// The fingerprint of a file that is open.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn of_open(file: &File) -> io::Result<Self> {
        file.metadata().map(|meta| Self::from(&meta))
    }
}

impl From<&Metadata> for Fingerprint {
    fn from(meta: &Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            length: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Wake;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn rings_for_its_files_only_and_not_for_reading() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("checkpoint");
        let bell = Bell::new();
        let _watch = FileWatch::new(std::slice::from_ref(&file), bell.clone());
        fs::write(dir.path().join("new"), b"1").unwrap();
        fs::rename(dir.path().join("new"), &file).unwrap();
        assert_eq!(bell.wait(LONG), Wake::Rung);
        // Everything below happens after the events of the rename.
        while bell.wait(Duration::from_millis(50)) == Wake::Rung {}
        fs::read(&file).unwrap();
        fs::write(dir.path().join("other"), b"1").unwrap();
        assert_eq!(bell.wait(Duration::from_millis(200)), Wake::TimedOut);
        fs::remove_file(&file).unwrap();
        assert_eq!(bell.wait(LONG), Wake::Rung);
    }

    #[test]
    fn rings_for_new_files_with_its_extensions() {
        let dir = tempfile::tempdir().unwrap();
        let bell = Bell::new();
        let _watch = FileWatch::extensions(&[dir.path().to_owned()], &["crl"], bell.clone());
        fs::write(dir.path().join("bundle.pem"), b"1").unwrap();
        assert_eq!(bell.wait(Duration::from_millis(200)), Wake::TimedOut);
        fs::write(dir.path().join("new.crl"), b"1").unwrap();
        assert_eq!(bell.wait(LONG), Wake::Rung);
    }

    #[test]
    fn a_directory_may_come_later() {
        let dir = tempfile::tempdir().unwrap();
        let sub = dir.path().join("later");
        let bell = Bell::new();
        let mut watch = FileWatch::new(&[sub.join("f")], bell.clone());
        fs::create_dir(&sub).unwrap();
        watch.refresh();
        fs::write(sub.join("f"), b"1").unwrap();
        assert_eq!(bell.wait(LONG), Wake::Rung);
    }

    #[test]
    fn a_replaced_file_has_another_fingerprint() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        assert_eq!(Fingerprint::of(&path), None);
        ca_files::write_atomic(&path, b"a", ca_files::Mode::Public).unwrap();
        let first = Fingerprint::of(&path);
        assert_eq!(first, Fingerprint::of(&path));
        ca_files::write_atomic(&path, b"b", ca_files::Mode::Public).unwrap();
        assert_ne!(first, Fingerprint::of(&path));
    }
}
