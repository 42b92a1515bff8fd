//! The lock of the one writer.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::FileError;

/// Who holds a lock: what they wrote into the lock file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Holder {
    /// For example `process 4711 (ca issue)`; empty if unknown.
    pub description: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.description.is_empty() { "another process" } else { &self.description })
    }
}

/// An exclusive lock of the operating system on a file; it ends with the process
/// at the latest, so a crash never leaves a lock behind.
#[derive(Debug)]
pub struct WriteLock {
    file: File,
    path: PathBuf,
}

impl WriteLock {
    /// Waits up to `timeout` for the lock at `path`, a file that is made if missing.
    ///
    /// `purpose` is shown to those who wait: a command, never a secret.
    ///
    /// # Errors
    /// [`FileError::Busy`] when the time is over; an I/O error otherwise.
    pub fn acquire(path: &Path, timeout: Duration, purpose: &str) -> Result<Self, FileError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(FileError::io("open", path))?;
        // A time limit beyond the clock's range is none.
        let deadline = Instant::now().checked_add(timeout);
        // flock has no time limit; a short poll is the portable way to have one.
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if deadline.is_none_or(|end| Instant::now() < end) => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(FileError::Busy { path: path.to_owned(), holder: read_holder(&mut file) });
                }
                Err(TryLockError::Error(error)) => return Err(FileError::io("lock", path)(error)),
            }
        }
        // The note is a courtesy to those who wait: failing to write it harms nothing.
        let note = format!("process {} ({purpose})", std::process::id());
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(note.as_bytes()));
        Ok(Self { file, path: path.to_owned() })
    }

    /// Who holds the lock at `path` now; nobody if there is no such file. Nothing is
    /// written, and whoever wants the lock meanwhile waits for no more than a moment.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn holder(path: &Path) -> Result<Option<Holder>, FileError> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(FileError::io("open", path))?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(read_holder(&mut file))),
            Err(TryLockError::Error(error)) => Err(FileError::io("lock", path)(error)),
        }
    }

    /// Whether the locked file is still the one at its path. If somebody removed it,
    /// another process can lock a new one.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        let same = |held: std::fs::Metadata, found: std::fs::Metadata| {
            (held.dev(), held.ino()) == (found.dev(), found.ino())
        };
        self.file
            .metadata()
            .is_ok_and(|held| std::fs::metadata(&self.path).is_ok_and(|found| same(held, found)))
    }

    /// The lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WriteLock {
    fn drop(&mut self) {
        // Closing unlocks as well; the note must not outlive the hold.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

fn read_holder(file: &mut File) -> Holder {
    let mut bytes = Vec::new();
    let _ = file.rewind().and_then(|()| file.take(200).read_to_end(&mut bytes));
    let description = String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).collect();
    Holder { description }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_waits_then_names_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = WriteLock::acquire(&path, Duration::ZERO, "ca issue").unwrap();
        assert!(WriteLock::holder(&path).unwrap().unwrap().description.contains("ca issue"));
        assert_eq!(WriteLock::holder(&dir.path().join("none")).unwrap(), None);
        let busy = WriteLock::acquire(&path, Duration::ZERO, "ca revoke").unwrap_err();
        assert!(matches!(busy, FileError::Busy { .. }));
        assert!(busy.to_string().contains("ca issue"), "{busy}");
        assert!(first.is_in_place());
        std::fs::remove_file(&path).unwrap();
        assert!(!first.is_in_place());
        let second = WriteLock::acquire(&path, Duration::ZERO, "ca revoke").unwrap();
        assert!(!first.is_in_place() && second.is_in_place());
        drop((first, second));
        assert_eq!(WriteLock::holder(&path).unwrap(), None);
        WriteLock::acquire(&path, Duration::MAX, "ca revoke").unwrap();
    }
}
