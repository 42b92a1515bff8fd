//! Following a ledger: each new entry once, and only when it was signed.

use tlog_tiles::Hash;

use crate::LedgerError;
use crate::bundle;
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::entry::{Entry, EntryError, leaf_hash};
use crate::key::VerifierKey;
use crate::layout::{CHECKPOINT, Content, TILE_WIDTH, TileId};
use crate::source::{Source, SourceError, tile_or_full};
use crate::tree::Tree;

/// Why a poll brought nothing. The last good state is kept.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// Something could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The checkpoint is no checkpoint, or not of this ledger and key.
    #[error("{CHECKPOINT}: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The ledger has become shorter.
    #[error(
        "the ledger went back from {from} entries to {to}: it was replaced, or an old copy was restored; do not trust it before you know why"
    )]
    Shrunk {
        /// Entries at the last good checkpoint.
        from: u64,
        /// Entries now.
        to: u64,
    },
    /// A checkpoint that is older than the last one.
    #[error("the checkpoint of {time} is older than the last one, of {last}: an old copy is being served")]
    Older {
        /// Its time.
        time: ca_domain::Timestamp,
        /// The time of the last good one.
        last: ca_domain::Timestamp,
    },
    /// Two signed roots for one size.
    #[error("there are two signed ledgers with {size} entries: history was rewritten; do not trust it")]
    Forked {
        /// The size.
        size: u64,
    },
    /// The entries are not those that were signed.
    #[error(
        "the entries do not hash to the signed root of {size} entries; run `ca ledger verify` where the ledger is kept"
    )]
    RootMismatch {
        /// The size of the checkpoint.
        size: u64,
    },
    /// A file that is not what the format says.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// The file or address.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// A signed entry that this version cannot read.
    #[error("entry {index}: {source}")]
    Entry {
        /// Its position.
        index: u64,
        /// Why not.
        source: EntryError,
    },
}

impl FollowError {
    /// Whether it may pass by itself: a source that cannot be reached. All other
    /// errors ask for a person.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Source(_))
    }
}

/// Reads the new entries of a ledger as they are committed.
///
/// Each poll verifies the checkpoint's signature and name, refuses one that is
/// older, shorter, or of the same size with another root, hashes the new entries
/// onto what is known, and compares the root. What fails any of it changes
/// nothing here.
#[derive(Debug)]
pub struct Follower<S> {
    source: S,
    key: VerifierKey,
    last: Option<Good>,
}

/// The last good state.
#[derive(Debug)]
struct Good {
    note: Vec<u8>,
    checkpoint: Checkpoint,
    tree: Tree,
}

impl<S: Source> Follower<S> {
    /// A follower that knows nothing yet: its first poll reads every entry.
    ///
    /// # Errors
    /// `vkey` is no verification key.
    pub fn new(source: S, vkey: &str) -> Result<Self, LedgerError> {
        Ok(Self { source, key: VerifierKey::parse(vkey)?, last: None })
    }

    /// The last good checkpoint; none before the first good poll.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.last.as_ref().map(|good| &good.checkpoint)
    }

    /// Where it reads.
    #[must_use]
    pub const fn source(&self) -> &S {
        &self.source
    }

    /// The verified entries since the last good poll, in their order; none if
    /// there is nothing new. Each bundle with new entries is read once.
    ///
    /// # Errors
    /// As described at [`FollowError`]; the next poll starts from the same state.
    pub fn poll(&mut self) -> Result<Vec<(u64, Entry)>, FollowError> {
        // A partial tile goes when the full one is there, and between the two
        // reads of one poll that may be. The next checkpoint knows better.
        for _ in 0..2 {
            match self.poll_once() {
                Err(FollowError::Source(error)) if error.is_missing() => {}
                result => return result,
            }
        }
        self.poll_once()
    }

    fn poll_once(&mut self) -> Result<Vec<(u64, Entry)>, FollowError> {
        let note = self.source.checkpoint()?;
        if self.last.as_ref().is_some_and(|last| last.note == note) {
            return Ok(Vec::new());
        }
        let checkpoint = Checkpoint::verify(&note, &self.key)?;
        if let Some(last) = &self.last {
            follows(&last.checkpoint, &checkpoint)?;
        }
        let mut tree = self.last.as_ref().map(|last| last.tree.clone()).unwrap_or_default();
        let mut entries = Vec::new();
        while tree.size() < checkpoint.size {
            self.bundle(&mut tree, checkpoint.size, &mut entries)?;
        }
        if tree.root().0 != checkpoint.root {
            return Err(FollowError::RootMismatch { size: checkpoint.size });
        }
        self.last = Some(Good { note, checkpoint, tree });
        Ok(entries)
    }

    /// Adds what is new of the next bundle.
    fn bundle(&self, tree: &mut Tree, size: u64, entries: &mut Vec<(u64, Entry)>) -> Result<(), FollowError> {
        let index = tree.size() / TILE_WIDTH;
        let Some(id) = TileId::at(Content::Entries, index, size) else { return Ok(()) };
        let bytes = tile_or_full(&self.source, id)?;
        let damaged = |what| FollowError::Damaged { path: id.path(), what };
        let (encoded, _) = bundle::split(&bytes, id.width).map_err(damaged)?;
        let (known, new) = encoded.split_at(tree.edge(0).len());
        if !known.iter().map(|der| leaf_hash(der)).eq(tree.edge(0).iter().copied()) {
            return Err(damaged("entries that were known have changed".to_owned()));
        }
        for der in new {
            let position = tree.size();
            let entry =
                Entry::from_der(der).map_err(|source| FollowError::Entry { index: position, source })?;
            entries.push((position, entry));
            let full = |_: TileId, _: &[Hash]| Ok::<_, FollowError>(());
            tree.push(leaf_hash(der), full)?;
        }
        Ok(())
    }
}

/// Whether `new` may come after `last`.
fn follows(last: &Checkpoint, new: &Checkpoint) -> Result<(), FollowError> {
    if new.size < last.size {
        return Err(FollowError::Shrunk { from: last.size, to: new.size });
    }
    if new.size == last.size && new.root != last.root {
        return Err(FollowError::Forked { size: new.size });
    }
    if new.time < last.time {
        return Err(FollowError::Older { time: new.time, last: last.time });
    }
    Ok(())
}
