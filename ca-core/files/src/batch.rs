//! Several files that become durable together, with few fsyncs of directories.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::atomic::{Mode, parent};
use crate::{FileError, StagedFile, fault, sync_dir};

/// Files to put in place in one go.
///
/// Each file is written and fsynced under a temporary name when it is added;
/// [`Batch::commit`] renames them all and fsyncs each directory once. That is
/// for files which nobody reads before something else, written later, refers to
/// them: a crash may leave any subset of them in place.
#[derive(Debug, Default)]
pub struct Batch {
    staged: Vec<StagedFile>,
    directories: BTreeSet<PathBuf>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    ///
    /// # Errors
    /// It cannot be written or fsynced; nothing in place has changed.
    pub fn write(&mut self, path: &Path, bytes: &[u8], mode: Mode) -> Result<(), FileError> {
        self.staged.push(StagedFile::write(path, bytes, mode)?);
        self.directories.insert(parent(path).to_owned());
        Ok(())
    }

    /// Makes `dir` and its missing parents below `base`, which exists.
    ///
    /// All their names will be fsynced, also of those that were there: they may
    /// be leftovers of a crash, not yet durable.
    ///
    /// # Errors
    /// A directory cannot be made.
    pub fn create_dir(&mut self, dir: &Path, base: &Path, mode: Mode) -> Result<(), FileError> {
        if dir == base || !dir.starts_with(base) {
            return Ok(());
        }
        let above = parent(dir);
        self.create_dir(above, base, mode)?;
        let bits = mode.directory_bits();
        match fault::create_dir(dir, bits) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists || !dir.is_dir() => {
                return Err(FileError::io("create", dir)(error));
            }
            // Others shall be able to enter, whatever the umask.
            _ if mode == Mode::Public => open_to_all(dir)?,
            _ => {}
        }
        self.directories.insert(above.to_owned());
        Ok(())
    }

    /// Has the names in `dir` fsynced as well.
    pub fn sync_dir(&mut self, dir: &Path) {
        self.directories.insert(dir.to_owned());
    }

    /// Puts every file in its place and makes their names durable.
    ///
    /// # Errors
    /// A rename or an fsync failed; some of the files may be in place.
    pub fn commit(self) -> Result<(), FileError> {
        for staged in self.staged {
            staged.rename()?;
        }
        self.directories.iter().try_for_each(|dir| sync_dir(dir))
    }
}

/// Lets others enter a directory that a umask or a crash left closed.
fn open_to_all(dir: &Path) -> Result<(), FileError> {
    let mut permissions = std::fs::metadata(dir).map_err(FileError::io("read", dir))?.permissions();
    if permissions.mode() & 0o055 != 0o055 {
        permissions.set_mode(permissions.mode() | 0o055);
        std::fs::set_permissions(dir, permissions).map_err(FileError::io("change", dir))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn nothing_is_in_place_before_the_commit() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        let mut batch = Batch::new();
        batch.create_dir(&deep, dir.path(), Mode::Private).unwrap();
        batch.write(&deep.join("one"), b"1", Mode::Private).unwrap();
        batch.write(&deep.join("two"), b"2", Mode::Private).unwrap();
        assert!(!deep.join("one").exists());
        batch.commit().unwrap();
        assert_eq!(fs::read(deep.join("two")).unwrap(), b"2");
        assert_eq!(fs::read_dir(&deep).unwrap().count(), 2);
    }

    #[test]
    fn others_enter_public_directories_whatever_the_umask() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        // As a umask of 077 would have made them.
        Batch::new().create_dir(&deep, dir.path(), Mode::Private).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&deep), 0o700);
        Batch::new().create_dir(&deep, dir.path(), Mode::Public).unwrap();
        assert_eq!((mode(&deep), mode(&dir.path().join("a"))), (0o755, 0o755));
    }

    #[test]
    fn a_dropped_batch_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut batch = Batch::new();
        batch.write(&dir.path().join("one"), b"1", Mode::Private).unwrap();
        drop(batch);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
