//! Following a ledger: each new entry once, and only when it was signed.

mod position;

use tlog_tiles::Hash;

use crate::LedgerError;
use crate::authentic::Authentic;
use crate::bundle;
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::entry::{Entry, EntryError, leaf_hash};
use crate::key::VerifierKey;
use crate::layout::{CHECKPOINT, Content, TILE_WIDTH, TileId};
use crate::reader::load_edge;
use crate::source::{Source, SourceError, tile_or_full};
use crate::tree::Tree;

/// Up to so many new entries are kept while they are hashed, so that nothing but
/// their bundles is read. More are verified bundle by bundle with the hash tiles.
const FEW: u64 = 4096;

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
    /// Two signed roots for the same entries.
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

impl From<LedgerError> for FollowError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Source(source) => Self::Source(source),
            LedgerError::Entry { index, source } => Self::Entry { index, source },
            LedgerError::Damaged { path, what } => Self::Damaged { path, what },
            other => Self::Damaged { path: "tile".to_owned(), what: other.to_string() },
        }
    }
}

/// Reads the new entries of a ledger as they are committed.
///
/// Each poll verifies the checkpoint's signature and name, refuses one that is
/// older, shorter, or does not continue what is known, and hands out entries only
/// after they were shown to be those that were signed. Memory is bounded however
/// many are new. What fails any of it changes nothing but that a verified
/// checkpoint is remembered; the next poll goes on after the last entry that was
/// handed out.
#[derive(Debug)]
pub struct Follower<S> {
    source: S,
    key: VerifierKey,
    last: Option<Good>,
    /// What was seen before this follower began, until a checkpoint continued it.
    seen: Option<Good>,
    /// Entries handed out; not more than the last checkpoint has.
    applied: u64,
}

/// A checkpoint that was verified and continues the one before it.
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
        Ok(Self { source, key: VerifierKey::parse(vkey)?, last: None, seen: None, applied: 0 })
    }

    /// A follower that goes on where another one was, whose [`Follower::position`]
    /// is given: its first poll reads only what is new, and it refuses what the other
    /// one would have refused.
    ///
    /// # Errors
    /// `vkey` is no verification key; [`LedgerError::Position`] if the position is not
    /// one, is not signed by this key, or does not fit its checkpoint.
    pub fn resume(source: S, vkey: &str, position: &[u8]) -> Result<Self, LedgerError> {
        let key = VerifierKey::parse(vkey)?;
        let good = Good::from_bytes(position, &key)?;
        let applied = good.checkpoint.size;
        Ok(Self { source, key, last: Some(good), seen: None, applied })
    }

    /// Makes it refuse what a follower at `position` would refuse, too, without
    /// changing which entries come next: for who kept the position, and not what the
    /// entries made or only some of it.
    ///
    /// # Errors
    /// [`LedgerError::Position`] as for [`Follower::resume`].
    pub fn remember(self, position: &[u8]) -> Result<Self, LedgerError> {
        let seen = Good::from_bytes(position, &self.key)?;
        Ok(Self { seen: Some(seen), ..self })
    }

    /// The newest checkpoint that was verified; none before the first.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.last.as_ref().map(|good| &good.checkpoint)
    }

    /// How many entries were handed out. It is the size of [`Follower::checkpoint`]
    /// after a good poll, and may be less after a failed one.
    #[must_use]
    pub const fn applied(&self) -> u64 {
        self.applied
    }

    /// What [`Follower::resume`] takes: the newest verified checkpoint and the right
    /// edge of its tree, at most 130 KiB; none before the first checkpoint. It says
    /// nothing about [`Follower::applied`].
    #[must_use]
    pub fn position(&self) -> Option<Vec<u8>> {
        self.last.as_ref().map(Good::to_bytes)
    }

    /// Where it reads.
    #[must_use]
    pub const fn source(&self) -> &S {
        &self.source
    }

    /// Gives `take` the verified entries since the last poll, in their order, at most
    /// 256 at a time, with the position of the first. Each bundle with new entries
    /// is read once.
    ///
    /// # Errors
    /// As described at [`FollowError`]. What was handed out stays so; the next poll
    /// goes on after it.
    pub fn poll(&mut self, mut take: impl FnMut(u64, &[Entry])) -> Result<(), FollowError> {
        // A partial tile goes when the full one is there, and between the two
        // reads of one poll that may be. The next checkpoint knows better.
        for _ in 0..2 {
            match self.poll_once(&mut take) {
                Err(FollowError::Source(error)) if error.is_missing() => {}
                result => return result,
            }
        }
        self.poll_once(&mut take)
    }

    fn poll_once(&mut self, take: &mut impl FnMut(u64, &[Entry])) -> Result<(), FollowError> {
        let note = self.source.checkpoint()?;
        if self.seen.is_some() || self.last.as_ref().is_none_or(|last| last.note != note) {
            let checkpoint = Checkpoint::verify(&note, &self.key)?;
            for known in self.last.iter().chain(&self.seen) {
                follows(&known.checkpoint, &checkpoint)?;
            }
            let known = self.last.as_ref().map_or(0, |last| last.checkpoint.size);
            if self.seen.is_none() && self.applied == known && checkpoint.size - known <= FEW {
                let (tree, entries) = self.grow(&checkpoint)?;
                self.last = Some(Good { note, checkpoint, tree });
                for chunk in entries.chunks(TILE_WIDTH as usize) {
                    take(self.applied, chunk);
                    self.applied += chunk.len() as u64;
                }
                return Ok(());
            }
            let tree = self.load(&checkpoint)?;
            self.last = Some(Good { note, checkpoint, tree });
            self.seen = None;
        }
        self.hand_out(take)
    }

    /// Hashes a few new entries onto the known tree.
    fn grow(&self, checkpoint: &Checkpoint) -> Result<(Tree, Vec<Entry>), FollowError> {
        let mut tree = self.last.as_ref().map(|last| last.tree.clone()).unwrap_or_default();
        let mut entries = Vec::new();
        while tree.size() < checkpoint.size {
            self.bundle(&mut tree, checkpoint.size, &mut entries)?;
        }
        if tree.root().0 != checkpoint.root {
            return Err(FollowError::RootMismatch { size: checkpoint.size });
        }
        Ok((tree, entries))
    }

    /// Adds what is new of the next bundle.
    fn bundle(&self, tree: &mut Tree, size: u64, entries: &mut Vec<Entry>) -> Result<(), FollowError> {
        let index = tree.size() / TILE_WIDTH;
        let Some(id) = TileId::at(Content::Entries, index, size) else { return Ok(()) };
        let bytes = tile_or_full(&self.source, id)?;
        let damaged = |what| FollowError::Damaged { path: id.path(), what };
        let (encoded, _) = bundle::split(&bytes, id.width).map_err(damaged)?;
        let (known, new) = encoded.split_at(tree.edge(0).len());
        if !known.iter().map(|der| leaf_hash(der)).eq(tree.edge(0).iter().copied()) {
            return Err(damaged("entries that were known have changed".to_owned()));
        }
        decode(tree.size(), new, entries)?;
        for der in new {
            let full = |_: TileId, _: &[Hash]| Ok::<_, FollowError>(());
            tree.push(leaf_hash(der), full)?;
        }
        Ok(())
    }

    /// The tree of a checkpoint out of its hash tiles, which continues what is known.
    fn load(&self, checkpoint: &Checkpoint) -> Result<Tree, FollowError> {
        let tree = load_edge(&self.source, checkpoint.size)?;
        if tree.root().0 != checkpoint.root {
            return Err(FollowError::RootMismatch { size: checkpoint.size });
        }
        for known in self.last.iter().chain(&self.seen) {
            if !Authentic::new(&self.source, &tree).continues(&known.tree)? {
                return Err(FollowError::Forked { size: known.checkpoint.size });
            }
        }
        Ok(tree)
    }

    /// Hands out what the last checkpoint has more than was handed out: each bundle is
    /// verified with the hash tiles above it before any of it is used.
    fn hand_out(&mut self, take: &mut impl FnMut(u64, &[Entry])) -> Result<(), FollowError> {
        let Self { source, last: Some(last), applied, .. } = self else { return Ok(()) };
        let mut tiles = Authentic::new(source, &last.tree);
        let mut entries = Vec::new();
        while *applied < last.checkpoint.size {
            let (index, known) = (*applied / TILE_WIDTH, (*applied % TILE_WIDTH) as usize);
            let bytes = tiles.bundle(index)?;
            let width = (last.checkpoint.size - index * TILE_WIDTH).min(TILE_WIDTH) as u16;
            let (encoded, _) = bundle::split(&bytes, width)
                .map_err(|what| FollowError::Damaged { path: "tile/entries".to_owned(), what })?;
            entries.clear();
            decode(*applied, encoded.get(known..).unwrap_or_default(), &mut entries)?;
            take(*applied, &entries);
            *applied += entries.len() as u64;
        }
        Ok(())
    }
}

/// Decodes entries, of which the first is at `position`.
fn decode(position: u64, encoded: &[&[u8]], entries: &mut Vec<Entry>) -> Result<(), FollowError> {
    for (index, der) in (position..).zip(encoded) {
        entries.push(Entry::from_der(der).map_err(|source| FollowError::Entry { index, source })?);
    }
    Ok(())
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
