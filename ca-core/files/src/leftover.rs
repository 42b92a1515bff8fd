//! Temporary files of processes that were killed.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::atomic::{parent, temporary_name};
use crate::{FileError, fault};

/// A file that [`crate::StagedFile::write_apart`] wrote in a process that ended
/// before the file had its name. It is locked while this value lives.
#[derive(Debug)]
pub struct Leftover {
    path: PathBuf,
    mark: String,
    _lock: File,
}

/// What killed processes left of files that were to be called `path`.
///
/// # Errors
/// The directory cannot be read.
pub fn leftovers(path: &Path) -> Result<Vec<Leftover>, FileError> {
    let dir = parent(path);
    let mut begin = temporary_name(path).file_name().map(OsStr::as_bytes).unwrap_or_default().to_vec();
    begin.push(b'.');
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(FileError::io("read", dir))? {
        let entry = entry.map_err(FileError::io("read", dir))?;
        let name = entry.file_name();
        let mark = name.as_bytes().strip_prefix(begin.as_slice()).and_then(|mark| str::from_utf8(mark).ok());
        if let Some(mark) = mark {
            found.extend(Leftover::of(entry.path(), mark));
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

impl Leftover {
    /// None for a file that a process still holds, or that is none of ours.
    fn of(path: PathBuf, mark: &str) -> Option<Self> {
        if !path.symlink_metadata().ok()?.is_file() {
            return None;
        }
        let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(no_link).open(&path).ok()?;
        file.try_lock().ok()?;
        Some(Self { path, mark: mark.to_owned(), _lock: file })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The act that it was written for.
    #[must_use]
    pub fn mark(&self) -> &str {
        &self.mark
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
