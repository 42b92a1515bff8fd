//! Temporary files of processes that were killed.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::atomic::parent;
use crate::{FileError, fault, sync_dir};

/// A file that [`crate::StagedFile::write_apart`] wrote in a process that ended
/// before the file had its name. It is locked while this value lives.
#[derive(Debug)]
pub struct Leftover {
    path: PathBuf,
    target: PathBuf,
    mark: String,
    _lock: File,
}

/// What killed processes left of files that were to be called `path`.
///
/// # Errors
/// The directory cannot be read.
pub fn leftovers(path: &Path) -> Result<Vec<Leftover>, FileError> {
    find(parent(path), Some(path))
}

/// What killed processes left of files that were to be in `dir`.
///
/// # Errors
/// The directory cannot be read.
pub fn leftovers_in(dir: &Path) -> Result<Vec<Leftover>, FileError> {
    find(dir, None)
}

fn find(dir: &Path, target: Option<&Path>) -> Result<Vec<Leftover>, FileError> {
    let wanted = target.map(|path| path.file_name().unwrap_or_default());
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(FileError::io("read", dir))? {
        let entry = entry.map_err(FileError::io("read", dir))?;
        let name = entry.file_name();
        let Some((target, mark)) = parts(name.as_bytes()) else { continue };
        if wanted.is_none_or(|wanted| wanted == target) {
            found.extend(Leftover::of(entry.path(), dir.join(target), mark));
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// The file's name to be, and the mark, of a temporary name.
fn parts(name: &[u8]) -> Option<(&OsStr, &str)> {
    const MIDDLE: &[u8] = b".tmp.";
    let name = name.strip_prefix(b".")?;
    let at = name.windows(MIDDLE.len()).rposition(|part| part == MIDDLE)?;
    let mark = str::from_utf8(name.get(at + MIDDLE.len()..)?).ok()?;
    Some((OsStr::from_bytes(name.get(..at)?), mark))
}

impl Leftover {
    /// None for a file that a process still holds, or that is none of ours.
    fn of(path: PathBuf, target: PathBuf, mark: &str) -> Option<Self> {
        if !path.symlink_metadata().ok()?.is_file() {
            return None;
        }
        let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(no_link).open(&path).ok()?;
        file.try_lock().ok()?;
        Some(Self { path, target, mark: mark.to_owned(), _lock: file })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it was to be.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The act that it was written for.
    #[must_use]
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Gives it its name, and makes that durable.
    ///
    /// # Errors
    /// The file system refuses; the file may have its name all the same.
    pub fn publish(self) -> Result<(), FileError> {
        fault::rename(&self.path, &self.target).map_err(FileError::io("replace", &self.target))?;
        sync_dir(parent(&self.target))
    }

    /// Removes it.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn remove(self) -> Result<(), FileError> {
        fault::remove_file(&self.path).map_err(FileError::io("remove", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mode, StagedFile};

    #[test]
    fn what_lives_is_not_found_and_what_was_left_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alice.p12");
        let staged = StagedFile::write_apart(&path, b"one", Mode::Private, "0a").unwrap();
        assert!(leftovers(&path).unwrap().is_empty(), "its process lives");
        let temporary = staged.temporary().to_owned();
        staged.keep();
        fs::write(dir.path().join(".bob.p12.tmp.0b"), b"another's").unwrap();
        std::os::unix::fs::symlink(&path, dir.path().join(".alice.p12.tmp.0c")).unwrap();
        let found = leftovers(&path).unwrap();
        let [left] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((left.path(), left.mark()), (temporary.as_path(), "0a"));
        found.into_iter().for_each(|left| left.remove().unwrap());
        assert!(!temporary.exists());
    }

    #[test]
    fn all_of_a_directory_and_what_they_were_to_be() {
        let dir = tempfile::tempdir().unwrap();
        for (name, mark) in [("a.p7m", "0a"), ("a.p7m.tmp.b", "0b"), ("b.p7m", "x-1")] {
            StagedFile::write_apart(&dir.path().join(name), b"one", Mode::Private, mark).unwrap().keep();
        }
        for name in ["a.tmp.0a", ".a.tmp", ".hidden"] {
            fs::write(dir.path().join(name), b"another's").unwrap();
        }
        let path = dir.path().join("a.p7m");
        assert_eq!(leftovers(&path).unwrap().len(), 1, "not those of a.p7m.tmp.b");
        let found = leftovers_in(dir.path()).unwrap();
        let of: Vec<_> = found.iter().map(|left| (left.target().to_owned(), left.mark())).collect();
        let at = |name: &str| dir.path().join(name);
        assert_eq!(of, [(path.clone(), "0a"), (at("a.p7m.tmp.b"), "0b"), (at("b.p7m"), "x-1")]);
        found.into_iter().for_each(|left| left.publish().unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert!(leftovers_in(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn one_that_was_taken_away_before_its_lock_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alice.p12");
        let written = std::thread::scope(|scope| {
            let tidy = scope.spawn(|| {
                for _ in 0..2_000 {
                    for left in leftovers(&path).unwrap() {
                        // The file may have got its name meanwhile.
                        let _ = left.remove();
                    }
                }
            });
            let mut written = 0;
            while !tidy.is_finished() {
                let mark = written.to_string();
                StagedFile::write_apart(&path, b"one", Mode::Private, &mark).unwrap().publish().unwrap();
                assert_eq!(fs::read(&path).unwrap(), b"one");
                written += 1;
            }
            written
        });
        assert!(written > 0);
    }
}
