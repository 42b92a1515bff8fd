//! Writing the ledger: one process at a time, each append one commit.

mod pending;

use std::path::Path;

use ca_domain::Timestamp;
use ca_files::{Batch, Mode, StagedFile, WriteLock, create_dir_all, sync_dir};

use crate::checkpoint::Checkpoint;
use crate::detail_store::Details;
use crate::entry::NewEntry;
use crate::key::LedgerKey;
use crate::layout::{CHECKPOINT, TILE_WIDTH};
use crate::reader::LedgerReader;
use crate::source::{DirectorySource, Source};
use crate::tree::Tree;
use crate::{LedgerError, bundle};
use pending::Pending;

/// What an append has made permanent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Committed {
    /// The position of the first new entry; the others follow it.
    pub first: u64,
    /// The new checkpoint.
    pub checkpoint: Checkpoint,
}

/// The one writer of a ledger.
///
/// Times: an entry carries the time that its maker gives. The checkpoint carries
/// the later of `now` and the time of the checkpoint before it, so that a clock
/// that was set back neither stops the authority nor makes a newer checkpoint
/// look older.
///
/// After an error the ledger is as it was, and the writer can be used again;
/// only after [`LedgerError::OutcomeUnknown`] it refuses to go on.
#[derive(Debug)]
pub struct LedgerWriter {
    key: LedgerKey,
    reader: LedgerReader,
    /// The entries of the last bundle, if it is partial.
    bundle: Vec<u8>,
    /// The length of the committed part of the last detail file, likewise.
    details_end: u64,
    poisoned: bool,
}

impl LedgerWriter {
    /// Makes an empty ledger in `dir` and signs its first checkpoint.
    ///
    /// # Errors
    /// There is one already, or a file operation failed.
    pub fn create(dir: &Path, key: LedgerKey, now: Timestamp) -> Result<Self, LedgerError> {
        let path = dir.join(CHECKPOINT);
        if path.symlink_metadata().is_ok() {
            return Err(LedgerError::Exists(dir.to_owned()));
        }
        create_dir_all(dir, Mode::Public)?;
        let mut batch = Batch::new();
        batch.create_dir(&dir.join("details"), dir, Mode::Private)?;
        batch.create_dir(&dir.join("tile"), dir, Mode::Public)?;
        batch.commit()?;
        let tree = Tree::default();
        let root = tree.root().0;
        let checkpoint = Checkpoint { origin: key.origin().to_owned(), size: 0, root, time: now };
        let reader = LedgerReader {
            source: DirectorySource::new(dir),
            key: key.verifier()?,
            tree,
            checkpoint: checkpoint.clone(),
            note: Vec::new(),
        };
        let mut writer = Self { key, reader, bundle: Vec::new(), details_end: 0, poisoned: false };
        writer.commit(checkpoint)?;
        Ok(writer)
    }

    /// Opens the ledger in `dir` to write it, which takes a few reads however
    /// large it is. Keep the lock as long as the writer.
    ///
    /// # Errors
    /// A damaged ledger, or one that another key signed.
    pub fn open(dir: &Path, key: LedgerKey, _lock: &WriteLock) -> Result<Self, LedgerError> {
        // If the last writer could not say that its rename is durable, it is now:
        // nothing may rest on a checkpoint that a power cut takes back.
        sync_dir(dir)?;
        let reader = LedgerReader::open_with(dir, key.verifier()?)?;
        let (last, within) = (reader.size() / TILE_WIDTH, reader.size() % TILE_WIDTH);
        let (mut bundle, mut details_end) = (Vec::new(), 0);
        if within > 0 {
            bundle = crate::authentic::Authentic::new(&reader.source, &reader.tree).bundle(last)?;
            let mut details = Details::open(dir, last)?;
            details.skip(within)?;
            details_end = details.offset();
        }
        Ok(Self { key, reader, bundle, details_end, poisoned: false })
    }

    /// The ledger as it is now.
    #[must_use]
    pub const fn reader(&self) -> &LedgerReader {
        &self.reader
    }

    /// The checkpoint as it is now.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.reader.checkpoint
    }

    /// Appends entries in one commit: all of them or none.
    ///
    /// When this returns, they are durable and signed. Nothing may be
    /// acknowledged before.
    ///
    /// # Errors
    /// [`LedgerError::OutcomeUnknown`] if the commit happened but may not survive
    /// a power cut; after any other error the ledger is unchanged.
    pub fn append(&mut self, entries: Vec<NewEntry>, now: Timestamp) -> Result<Committed, LedgerError> {
        if entries.is_empty() {
            return Err(LedgerError::NothingToAppend);
        }
        self.unchanged()?;
        let first = self.reader.size();
        let mut pending = Pending::new(self.reader.dir(), &self.reader.tree, &self.bundle, self.details_end);
        pending.add(&entries)?;
        let staged = pending.stage()?;
        let checkpoint = Checkpoint {
            origin: self.reader.checkpoint.origin.clone(),
            size: staged.tree.size(),
            root: staged.tree.root().0,
            time: now.max(self.reader.checkpoint.time),
        };
        self.commit(checkpoint.clone())?;
        staged.prune(self.reader.dir());
        self.reader.tree = staged.tree;
        self.bundle = staged.bundle;
        self.details_end = staged.details_end;
        Ok(Committed { first, checkpoint })
    }

    /// Signs the ledger as it is with a new time, so that followers see that the
    /// authority is alive.
    ///
    /// # Errors
    /// As [`LedgerWriter::append`].
    pub fn heartbeat(&mut self, now: Timestamp) -> Result<Checkpoint, LedgerError> {
        self.unchanged()?;
        let time = now.max(self.reader.checkpoint.time);
        let checkpoint = Checkpoint { time, ..self.reader.checkpoint.clone() };
        self.commit(checkpoint.clone())?;
        Ok(checkpoint)
    }

    /// The lock should make this impossible; a ledger overwritten by two writers
    /// would be lost, so it is looked at all the same.
    fn unchanged(&self) -> Result<(), LedgerError> {
        if self.poisoned {
            return Err(LedgerError::Poisoned);
        }
        if self.reader.source.checkpoint()? != self.reader.note {
            return Err(LedgerError::ChangedMeanwhile(self.reader.dir().join(CHECKPOINT)));
        }
        Ok(())
    }

    fn commit(&mut self, checkpoint: Checkpoint) -> Result<(), LedgerError> {
        let dir = self.reader.dir().to_owned();
        let path = dir.join(CHECKPOINT);
        let note = checkpoint
            .sign(&self.key)
            .map_err(|source| LedgerError::Checkpoint { path: path.display().to_string(), source })?;
        let staged = StagedFile::write(&path, &note, Mode::Public)?;
        let outcome = match staged.rename() {
            Ok(()) => sync_dir(&dir),
            // A rename that failed may still have happened; then it is not undone.
            Err(error) if self.reader.source.checkpoint().is_ok_and(|now| now != note) => {
                return Err(error.into());
            }
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            self.poisoned = true;
            return Err(LedgerError::OutcomeUnknown(error));
        }
        self.reader.note = note;
        self.reader.checkpoint = checkpoint;
        Ok(())
    }
}
