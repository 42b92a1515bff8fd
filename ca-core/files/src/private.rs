//! Files that only their owner may read, and files that only their owner may change.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::FileError;

/// Creates a directory with 0700; one that exists is checked instead.
///
/// # Errors
/// It cannot be made, or exists with wider permissions.
pub fn create_private_dir(dir: &Path) -> Result<(), FileError> {
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => {
            crate::sync_dir(dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => check_private(dir),
        Err(error) => Err(FileError::io("create", dir)(error)),
    }
}

/// Whether [`create_private_dir`] would succeed, and files could be written there. Nothing is
/// made or changed.
///
/// # Errors
/// It is missing and cannot be made, is no private directory, or this user cannot write there.
pub fn could_keep_in(dir: &Path) -> Result<(), FileError> {
    let above = match check_private(dir) {
        Ok(()) => dir,
        Err(error) if error.is_not_found() => {
            dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
        }
        Err(error) => return Err(error),
    };
    let is_directory = fs::metadata(above).map_err(FileError::io("read", above))?.is_dir();
    if !is_directory {
        return Err(FileError::io("write in", above)(std::io::ErrorKind::NotADirectory.into()));
    }
    let rights = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    rustix::fs::access(above, rights).map_err(|error| FileError::io("write in", above)(error.into()))
}

/// Refuses a file or directory that is a symbolic link, belongs to someone else
/// than us or root, or that others can read or write.
///
/// # Errors
/// [`FileError::Unsafe`] with the command that mends it.
pub fn check_private(path: &Path) -> Result<(), FileError> {
    check(path, 0o077, "can be read or written by others", "chmod go=")
}

/// Refuses what others could have changed: a symbolic link, a foreign owner,
/// group or world write permission. Reading by others is allowed.
///
/// # Errors
/// [`FileError::Unsafe`] with the command that mends it.
pub fn check_trusted(path: &Path) -> Result<(), FileError> {
    check(path, 0o022, "can be changed by others", "chmod go-w")
}

fn check(path: &Path, forbidden: u32, what: &'static str, mend: &str) -> Result<(), FileError> {
    let meta = fs::symlink_metadata(path).map_err(FileError::io("read", path))?;
    judge(path, &meta, forbidden, what, mend)
}

fn judge(
    path: &Path,
    meta: &Metadata,
    forbidden: u32,
    what: &'static str,
    mend: &str,
) -> Result<(), FileError> {
    if meta.file_type().is_symlink() {
        return Err(FileError::Unsafe {
            path: path.to_owned(),
            what: "is a symbolic link",
            todo: "put the file itself there".into(),
        });
    }
    let us = rustix::process::geteuid().as_raw();
    if meta.uid() != us && meta.uid() != 0 {
        return Err(FileError::Unsafe {
            path: path.to_owned(),
            what: "belongs to another user",
            todo: format!("run as its owner, or `chown {us} {}`", path.display()),
        });
    }
    if meta.mode() & forbidden != 0 {
        let todo = format!("run `{mend} {}` after you made sure that it was not misused", path.display());
        return Err(FileError::Unsafe { path: path.to_owned(), what, todo });
    }
    Ok(())
}

/// Opens a file that only its owner may read. What is checked is what was opened.
///
/// # Errors
/// As [`check_private`], or it cannot be opened.
pub fn open_private(path: &Path) -> Result<File, FileError> {
    // Only for the message: a link is refused by the open as well.
    check_private(path)?;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(FileError::io("open", path))?;
    let meta = file.metadata().map_err(FileError::io("read", path))?;
    judge(path, &meta, 0o077, "can be read or written by others", "chmod go=")?;
    Ok(file)
}

/// Reads a file that only its owner may read.
///
/// # Errors
/// As [`open_private`], or it cannot be read.
pub fn read_private(path: &Path) -> Result<Vec<u8>, FileError> {
    let mut file = open_private(path)?;
    let length = file.metadata().map_err(FileError::io("read", path))?.len();
    // Room for all of it: a secret is not left behind by a buffer that grew.
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1);
    file.read_to_end(&mut bytes).map_err(FileError::io("read", path))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn refuses_wide_permissions_and_links() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, b"k").unwrap();
        for (mode, private, trusted) in [
            (0o600, true, true),
            (0o640, false, true),
            (0o644, false, true),
            (0o664, false, false),
            (0o602, false, false),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(check_private(&path).is_ok(), private, "{mode:o}");
            assert_eq!(check_trusted(&path).is_ok(), trusted, "{mode:o}");
        }
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(check_trusted(&link).unwrap_err().to_string().contains("symbolic link"));
    }
}
