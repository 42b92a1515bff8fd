//! Writing files so that a crash leaves the old one or the new one.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::{FileError, StagedFile, fault};

/// Who may read a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// The owner alone: 0600.
    Private,
    /// The owner, and the group for reading: 0640, whatever the umask.
    Group,
    /// Everyone: 0644, whatever the umask.
    Public,
}

impl Mode {
    const fn bits(self) -> u32 {
        match self {
            Self::Private => 0o600,
            Self::Group => 0o640,
            Self::Public => 0o644,
        }
    }

    /// The same for a directory.
    pub(crate) const fn directory_bits(self) -> u32 {
        match self {
            Self::Private => 0o700,
            Self::Group => 0o750,
            Self::Public => 0o755,
        }
    }
}

/// Replaces `path` by `bytes`: temporary file, fsync, rename, fsync of the directory.
///
/// When this returns, the bytes survive a power cut.
///
/// # Errors
/// Any failed operation; the old file is then still in place, or (only when the
/// last fsync of the directory failed) the new one is.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), FileError> {
    StagedFile::write(path, bytes, mode)?.rename()?;
    sync_dir(parent(path))
}

pub(crate) fn write_synced(path: &Path, bytes: &[u8], mode: Mode) -> Result<File, FileError> {
    let mut file = create(path, mode)?;
    fault::write_all(&mut file, bytes).map_err(FileError::io("write", path))?;
    fault::sync(&file).map_err(FileError::io("fsync", path))?;
    Ok(file)
}

/// A new empty file, to be read and written.
pub(crate) fn create(path: &Path, mode: Mode) -> Result<File, FileError> {
    // A leftover of a crash may have other permissions, and is never followed.
    match fault::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(FileError::io("remove", path)(error));
        }
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(mode.bits());
    let file = fault::open(&options, path).map_err(FileError::io("create", path))?;
    if mode != Mode::Private {
        // For others to read, whatever the umask.
        file.set_permissions(Permissions::from_mode(mode.bits())).map_err(FileError::io("change", path))?;
    }
    Ok(file)
}

/// Makes `bytes` the end of a file: cuts everything from `offset` on, appends,
/// and fsyncs. The bytes before `offset` are not touched.
///
/// A missing file is made; its name is durable only after [`sync_dir`].
///
/// # Errors
/// The file is shorter than `offset` (nothing is changed then), or an operation
/// failed (the bytes from `offset` on are then undefined).
pub fn replace_tail(path: &Path, offset: u64, bytes: &[u8], mode: Mode) -> Result<(), FileError> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(offset == 0)
        .truncate(false)
        .mode(mode.bits())
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    let mut file = fault::open(&options, path).map_err(FileError::io("open", path))?;
    let length = file.metadata().map_err(FileError::io("read", path))?.len();
    if length < offset {
        let missing = std::io::Error::new(
            std::io::ErrorKind::UnexpectedEof,
            format!("it has {length} bytes where {offset} were written before"),
        );
        return Err(FileError::io("append to", path)(missing));
    }
    fault::set_len(&file, offset).map_err(FileError::io("truncate", path))?;
    file.seek(SeekFrom::Start(offset)).map_err(FileError::io("seek in", path))?;
    fault::write_all(&mut file, bytes).map_err(FileError::io("write", path))?;
    fault::sync(&file).map_err(FileError::io("fsync", path))
}

pub(crate) fn temporary_name(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    path.with_file_name(name)
}

pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Makes the names in a directory durable.
///
/// # Errors
/// The directory cannot be opened or fsynced.
pub fn sync_dir(dir: &Path) -> Result<(), FileError> {
    let handle = File::open(dir).map_err(FileError::io("open", dir))?;
    fault::sync_dir(&handle, dir).map_err(FileError::io("fsync", dir))
}

/// Creates a directory and its missing parents, each durable in its parent.
///
/// Private directories get 0700, those of a group 0750, public ones 0755, whatever
/// the umask.
///
/// # Errors
/// A directory cannot be made or fsynced.
pub fn create_dir_all(dir: &Path, mode: Mode) -> Result<(), FileError> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = parent(dir);
    create_dir_all(above, mode)?;
    let bits = mode.directory_bits();
    match fault::create_dir(dir, bits) {
        Ok(()) if mode != Mode::Private => {
            let open = Permissions::from_mode(bits);
            std::fs::set_permissions(dir, open).map_err(FileError::io("change", dir))?;
        }
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && dir.is_dir() => {}
        Err(error) => return Err(FileError::io("create", dir)(error)),
    }
    sync_dir(above)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn replaces_whole_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        write_atomic(&path, b"one", Mode::Private).unwrap();
        write_atomic(&path, b"two", Mode::Private).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_leftover_symlink_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, b"keep").unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join(".f.tmp")).unwrap();
        write_atomic(&dir.path().join("f"), b"new", Mode::Public).unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"keep");
    }

    #[test]
    fn the_tail_is_replaced_and_the_head_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        replace_tail(&path, 0, b"headjunk", Mode::Private).unwrap();
        replace_tail(&path, 4, b"er", Mode::Private).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"header");
        assert!(replace_tail(&path, 7, b"x", Mode::Private).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"header");
        assert!(replace_tail(&dir.path().join("none"), 1, b"x", Mode::Private).is_err());
    }

    #[test]
    fn a_failed_write_names_the_path() {
        let error = write_atomic(Path::new("/nonexistent/f"), b"", Mode::Public).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/"), "{error}");
    }
}
