//! What can go wrong with an index.

use std::io;
use std::path::PathBuf;

use ca_files::FileError;
use ca_ledger::LedgerError;

/// An index that cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// A file or the lock of the index.
    #[error(transparent)]
    File(#[from] FileError),
    /// The operating system refused the storage engine something.
    #[error("the index in {path} cannot be used: {source}; free space or mend permissions and try again")]
    Storage {
        /// The directory of the index.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process has the storage engine's file open.
    #[error("the index in {path} is open in another process; wait until it ends")]
    Busy {
        /// The directory of the index.
        path: PathBuf,
    },
    /// The index is damaged or of another format. Nothing is lost: it can be
    /// built again from the ledger.
    #[error("the index in {path} is damaged: {what}; build it again with `ca index rebuild`")]
    Corrupt {
        /// The directory of the index.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The index and the ledger do not fit together, or the ledger contradicts itself.
    #[error("entry {position} does not fit the index: {what}; check the ledger with `ca ledger verify`")]
    Inconsistent {
        /// The entry's position in the ledger.
        position: u64,
        /// Why it does not fit.
        what: String,
    },
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl IndexError {
    /// Whether building the index again from the ledger is the cure.
    #[must_use]
    pub const fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }

    pub(crate) fn inconsistent(position: u64, what: impl Into<String>) -> Self {
        Self::Inconsistent { position, what: what.into() }
    }
}
