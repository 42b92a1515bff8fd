//! What can go wrong in a ledger.

use std::path::PathBuf;

use ca_files::FileError;

use crate::checkpoint::CheckpointError;
use crate::entry::EntryError;
use crate::source::SourceError;

/// Why the ledger could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A file operation failed. Nothing was committed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of the ledger cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The ledger's own key file is unusable.
    #[error("{path} is no ledger key: {what}; restore it from a backup")]
    Key {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it; never the key.
        what: String,
    },
    /// A name that cannot be the origin of checkpoints.
    #[error("{0:?} cannot name a ledger: use a host name with an optional path, no spaces and no '+'")]
    Origin(String),
    /// Text that is not a verifier key.
    #[error("{0:?} is no ledger verification key: it reads name+8 hexadecimal digits+base64")]
    VerifierKey(String),
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system: {0}")]
    Random(String),
    /// There is a ledger already.
    #[error("{0} holds a ledger already; nothing was changed")]
    Exists(PathBuf),
    /// The checkpoint is not what it must be.
    #[error("{path}: {source}")]
    Checkpoint {
        /// The checkpoint file.
        path: String,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// What is on disk is not what was signed.
    #[error("{path} is damaged: {what}; run `ca ledger verify` and restore the ledger from a backup")]
    Damaged {
        /// The file, relative to the ledger's directory.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// An entry that this version cannot read.
    #[error("entry {index}: {source}")]
    Entry {
        /// Its position.
        index: u64,
        /// What is wrong with it.
        source: EntryError,
    },
    /// No such entry.
    #[error("there is no entry {index}; the ledger has {size}")]
    NoSuchEntry {
        /// The position that was asked for.
        index: u64,
        /// The number of entries.
        size: u64,
    },
    /// An append without entries.
    #[error("there is nothing to append")]
    NothingToAppend,
    /// A detail record beyond the limit.
    #[error("a detail record has {length} bytes; the limit is {limit}")]
    DetailTooLong {
        /// Its length in bytes.
        length: usize,
        /// The most there may be.
        limit: usize,
    },
    /// The new checkpoint is in place, but the disk would not say that it stays.
    #[error(
        "it is unknown whether the last act was recorded: {0}; check the disk, then run the command again: it will see what the ledger holds"
    )]
    OutcomeUnknown(FileError),
    /// The writer met an unknown outcome before and must be opened anew.
    #[error("the ledger must be opened again: an earlier write had an unknown outcome")]
    Poisoned,
    /// Someone wrote without the lock, or the directory was replaced.
    #[error("{0} was changed by someone else while this process held the ledger; nothing was written")]
    ChangedMeanwhile(PathBuf),
    /// A saved position of a follower that is not one, or of another ledger.
    #[error("the saved position in the ledger cannot be used: {0}")]
    Position(String),
    /// A proof that does not prove.
    #[error("the inclusion proof is not valid: {0}")]
    Proof(String),
}

impl LedgerError {
    pub(crate) fn damaged(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.into(), what: what.into() }
    }
}
