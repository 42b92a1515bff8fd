//! Files that are complete on disk before the act that they belong to is committed.

mod plain;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::atomic::{create, parent, temporary_name, write_synced};
use crate::staged::plain::{Plain, ReadBack};
use crate::{FileError, Mode, fault, sync_dir};

/// Bytes gathered before they are written.
const BUFFER: usize = 1 << 18;

/// What a large file is written to; [`Seek`] for what is known only at the end.
pub trait Output: Write + Seek {}

impl<T: Write + Seek> Output for T {}

/// A file written and fsynced under a temporary name.
///
/// Dropped without [`StagedFile::publish`], it disappears.
#[derive(Debug)]
pub struct StagedFile {
    temporary: PathBuf,
    path: PathBuf,
    published: bool,
    /// Locked while this process lives, so that others know that it does.
    _held: Option<File>,
}

impl StagedFile {
    /// Writes `bytes` beside `path`, so that only a rename is left to do.
    ///
    /// # Errors
    /// The temporary file cannot be written: a missing directory, a full disk.
    pub fn write(path: &Path, bytes: &[u8], mode: Mode) -> Result<Self, FileError> {
        let staged = Self::new(temporary_name(path), path.to_owned());
        write_synced(&staged.temporary, bytes, mode)?;
        Ok(staged)
    }

    /// As [`StagedFile::write`], for a file too large to have in memory: `fill` writes it.
    ///
    /// # Errors
    /// As [`StagedFile::write`]; or `fill` failed.
    pub fn write_with(
        path: &Path,
        mode: Mode,
        fill: impl FnOnce(&mut dyn Output) -> io::Result<()>,
    ) -> Result<Self, FileError> {
        Ok(Self::fill_with(path, mode, Plain, fill)?.0)
    }

    /// As [`StagedFile::write_with`]; what was written is read back and compared, octet
    /// by octet. Also gives what `fill` gave.
    ///
    /// # Errors
    /// As [`StagedFile::write_with`]; or something else was read back.
    pub fn write_read_back<T>(
        path: &Path,
        mode: Mode,
        fill: impl FnOnce(&mut dyn Output) -> io::Result<T>,
    ) -> Result<(Self, T), FileError> {
        Self::fill_with(path, mode, ReadBack::new, fill)
    }

    fn fill_with<W: Write + Seek, T>(
        path: &Path,
        mode: Mode,
        to: impl FnOnce(File) -> W,
        fill: impl FnOnce(&mut dyn Output) -> io::Result<T>,
    ) -> Result<(Self, T), FileError> {
        let staged = Self::new(temporary_name(path), path.to_owned());
        let file = create(&staged.temporary, mode)?;
        let to_sync = file.try_clone().map_err(FileError::io("open", &staged.temporary))?;
        let mut writer = BufWriter::with_capacity(BUFFER, to(file));
        let filled = fill(&mut writer).and_then(|filled| writer.flush().map(|()| filled));
        // Its rest is not written again.
        drop(writer.into_parts());
        let filled = filled.map_err(FileError::io("write", &staged.temporary))?;
        fault::sync(&to_sync).map_err(FileError::io("fsync", &staged.temporary))?;
        Ok((staged, filled))
    }

    /// As [`StagedFile::write`], for files outside the home, where another process
    /// may be about to write the same one: the temporary name ends with `mark`, which
    /// no other act has, so that nobody publishes what somebody else wrote. What a
    /// killed process leaves is found by [`crate::leftovers`].
    ///
    /// # Errors
    /// As [`StagedFile::write`].
    pub fn write_apart(path: &Path, bytes: &[u8], mode: Mode, mark: &str) -> Result<Self, FileError> {
        let mut name = temporary_name(path).into_os_string();
        name.push(format!(".{mark}"));
        let mut staged = Self::new(name.into(), path.to_owned());
        loop {
            let file = write_synced(&staged.temporary, bytes, mode)?;
            // Where files cannot be locked, nobody takes one for abandoned.
            let locked = file.lock().is_ok();
            // Whoever came between the file and its lock took it for abandoned.
            let removed = file.metadata().is_ok_and(|found| found.nlink() == 0);
            if !(locked && removed) {
                staged._held = Some(file);
                return Ok(staged);
            }
        }
    }

    const fn new(temporary: PathBuf, path: PathBuf) -> Self {
        Self { temporary, path, published: false, _held: None }
    }

    /// Takes up a temporary file that an earlier process left beside `path`, if
    /// there is one. Dropped without a rename, it disappears.
    #[must_use]
    pub fn adopt(path: &Path) -> Option<Self> {
        let temporary = temporary_name(path);
        let found = temporary.symlink_metadata().is_ok_and(|found| found.is_file());
        found.then(|| Self::new(temporary, path.to_owned()))
    }

    /// Makes the temporary names of these files durable, with one fsync for each directory. For what a commit is about
    /// to promise: after a power cut the files are still found.
    ///
    /// # Errors
    /// A directory cannot be fsynced.
    pub fn sync_names<'a>(files: impl IntoIterator<Item = &'a Self>) -> Result<(), FileError> {
        let directories: BTreeSet<_> = files.into_iter().map(|file| parent(&file.temporary)).collect();
        directories.into_iter().try_for_each(sync_dir)
    }

    /// Where the file is until it is published.
    #[must_use]
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Leaves the temporary file where it is: a later process will know by then
    /// whether the act that it belongs to was committed.
    pub fn keep(mut self) {
        self.published = true;
    }

    /// Where the file will be.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Renames the file to its name. The name is durable only after an fsync of
    /// the directory ([`sync_dir`]).
    ///
    /// # Errors
    /// The rename failed: the old file is in place, the temporary one removed.
    pub fn rename(mut self) -> Result<(), FileError> {
        fault::rename(&self.temporary, &self.path).map_err(FileError::io("replace", &self.path))?;
        self.published = true;
        Ok(())
    }

    /// Renames the file to its name and makes the name durable.
    ///
    /// # Errors
    /// The rename or the fsync of the directory failed; the temporary file is kept.
    pub fn publish(mut self) -> Result<PathBuf, FileError> {
        self.published = true;
        fault::rename(&self.temporary, &self.path).map_err(FileError::io("replace", &self.path))?;
        sync_dir(parent(&self.path))?;
        Ok(self.path.clone())
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.published {
            // Best effort: the next write under this name removes it too.
            let _ = fault::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn shows_only_when_published() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alice.p12");
        drop(StagedFile::write(&path, b"one", Mode::Private).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let staged = StagedFile::write(&path, b"two", Mode::Private).unwrap();
        assert!(!path.exists());
        assert_eq!(staged.publish().unwrap(), path);
        assert_eq!(fs::read(&path).unwrap(), b"two");
    }

    #[test]
    fn kept_and_taken_up_later() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alice.p12");
        assert!(StagedFile::adopt(&path).is_none());
        StagedFile::write(&path, b"one", Mode::Private).unwrap().keep();
        let adopted = StagedFile::adopt(&path).unwrap();
        assert_eq!(fs::read(adopted.temporary()).unwrap(), b"one");
        adopted.rename().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }

    #[test]
    fn two_that_write_the_same_file_do_not_publish_each_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alice.p12");
        let first = StagedFile::write_apart(&path, b"one", Mode::Private, "01").unwrap();
        let second = StagedFile::write_apart(&path, b"two", Mode::Private, "02").unwrap();
        first.publish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        drop(second);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
