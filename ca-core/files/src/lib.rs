//! Durable, private files.
//!
//! Every file of the suite is written the same way: to a temporary name, fsynced,
//! renamed over the old one, and the directory fsynced. A crash leaves the old
//! file or the new one, whole.

pub mod announce;
pub mod atomic;
pub mod batch;
#[cfg(feature = "fault-injection")]
pub mod fault;
#[cfg(not(feature = "fault-injection"))]
mod fault;
pub mod leftover;
pub mod lock;
pub mod private;
pub mod staged;

pub use announce::{AnnounceError, AnnouncedFile};
pub use atomic::{Mode, create_dir_all, replace_tail, sync_dir, write_atomic};
pub use batch::Batch;
pub use leftover::{Leftover, leftovers, leftovers_in};
pub use lock::{Holder, WriteLock};
pub use private::{
    check_private, check_trusted, could_keep_in, create_private_dir, open_private, read_private,
};
pub use staged::{Output, StagedFile};

use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused an operation.
    #[error("cannot {action} {path}: {source}{}", hint(source))]
    Io {
        /// What was tried: "read", "write", "rename".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Someone else could read or change a file that only its owner may.
    #[error("{path} {what}; {todo}")]
    Unsafe {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
        /// What to do about it.
        todo: String,
    },
    /// Another process holds the lock.
    #[error("{path} is locked by {holder}; wait until it ends, or give more time with --lock-timeout")]
    Busy {
        /// The lock file.
        path: PathBuf,
        /// Who holds it, as far as is known.
        holder: Holder,
    },
}

impl FileError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// What happened, without advice: for messages with advice of their own.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::Io { action, path, source } => format!("cannot {action} {}: {source}", path.display()),
            Self::Unsafe { path, what, .. } => format!("{} {what}", path.display()),
            Self::Busy { path, holder } => format!("{} is locked by {holder}", path.display()),
        }
    }

    /// Whether the file was not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space and try again",
        io::ErrorKind::PermissionDenied => "; run as the owner of the home directory",
        io::ErrorKind::ReadOnlyFilesystem => "; mount the file system for writing",
        _ => "",
    }
}
