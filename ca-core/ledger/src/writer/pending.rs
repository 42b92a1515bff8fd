//! The files of one append, up to but without the checkpoint.

use std::fs;
use std::io;
use std::path::Path;

use ca_files::{Batch, FileError, Mode, replace_tail};

use super::bundle;
use crate::LedgerError;
use crate::detail_store;
use crate::entry::{NewEntry, leaf_hash};
use crate::layout::{Content, TILE_WIDTH, TileId, details_path, in_dir};
use crate::tree::{Tree, to_bytes};

/// The files that are being written. Dropped, it leaves what the old checkpoint
/// does not cover, and nobody reads that.
pub(super) struct Pending<'a> {
    dir: &'a Path,
    old_size: u64,
    files: Batch,
    after: Staged,
}

/// The state after the commit, whose files are all in place and durable.
pub(super) struct Staged {
    pub(super) tree: Tree,
    pub(super) bundle: Vec<u8>,
    pub(super) details_end: u64,
    /// Tiles that are full now and may have been partial before.
    filled: Vec<TileId>,
}

impl<'a> Pending<'a> {
    pub(super) fn new(dir: &'a Path, tree: &Tree, bundle: &[u8], details_end: u64) -> Self {
        let after = Staged { tree: tree.clone(), bundle: bundle.to_vec(), details_end, filled: Vec::new() };
        Self { dir, old_size: tree.size(), files: Batch::new(), after }
    }

    /// Writes details, full bundles and full tiles; bundle by bundle, so that
    /// memory is bounded by the caller's entries.
    pub(super) fn add(&mut self, mut entries: &[NewEntry]) -> Result<(), LedgerError> {
        while !entries.is_empty() {
            let room = TILE_WIDTH - self.after.tree.size() % TILE_WIDTH;
            let count = entries.len().min(room as usize);
            let (chunk, rest) = entries.split_at(count);
            self.details(chunk)?;
            chunk.iter().try_for_each(|entry| self.entry(entry))?;
            entries = rest;
        }
        Ok(())
    }

    fn details(&mut self, chunk: &[NewEntry]) -> Result<(), LedgerError> {
        let size = self.after.tree.size();
        let path = in_dir(self.dir, &details_path(size / TILE_WIDTH));
        let mut frames = Vec::new();
        chunk.iter().try_for_each(|new| detail_store::push(&mut frames, &new.detail))?;
        if size.is_multiple_of(TILE_WIDTH) {
            self.after.details_end = 0;
            let parent = path.parent().unwrap_or(self.dir);
            self.files.create_dir(parent, self.dir, Mode::Private)?;
            self.files.sync_dir(parent);
        }
        replace_tail(&path, self.after.details_end, &frames, Mode::Private)?;
        self.after.details_end += frames.len() as u64;
        Ok(())
    }

    fn entry(&mut self, new: &NewEntry) -> Result<(), LedgerError> {
        let index = self.after.tree.size();
        let der = new.entry().to_der().map_err(|source| LedgerError::Entry { index, source })?;
        // An entry has some 150 octets; the format allows 65535.
        if !bundle::push(&mut self.after.bundle, &der) {
            return Err(LedgerError::DetailTooLong { length: der.len(), limit: usize::from(u16::MAX) });
        }
        let mut full = Vec::new();
        self.after.tree.push(leaf_hash(&der), |id, hashes| {
            full.push((id, to_bytes(hashes)));
            Ok::<_, LedgerError>(())
        })?;
        for (id, bytes) in full {
            self.tile(id, &bytes)?;
        }
        if self.after.tree.size().is_multiple_of(TILE_WIDTH) {
            let id = TileId { content: Content::Entries, index: index / TILE_WIDTH, width: 256 };
            let bytes = std::mem::take(&mut self.after.bundle);
            self.tile(id, &bytes)?;
        }
        Ok(())
    }

    /// Writes the partial tiles that have changed, and puts all in place.
    pub(super) fn stage(mut self) -> Result<Staged, LedgerError> {
        let size = self.after.tree.size();
        let partials: Vec<_> =
            self.after.tree.partials().map(|(id, hashes)| (id, to_bytes(hashes))).collect();
        for (id, bytes) in partials {
            if id.content.count(size) != id.content.count(self.old_size) {
                self.tile(id, &bytes)?;
            }
        }
        if let Some(id) = TileId::partial(Content::Entries, size) {
            let bytes = self.after.bundle.clone();
            self.tile(id, &bytes)?;
        }
        self.files.commit()?;
        Ok(self.after)
    }

    fn tile(&mut self, id: TileId, bytes: &[u8]) -> Result<(), LedgerError> {
        let path = in_dir(self.dir, &id.path());
        let old_width = TileId::at(id.content, id.index, self.old_size).map_or(0, |old| old.width);
        clear_leftovers(&in_dir(self.dir, &id.partials()), old_width)?;
        // A tile that the old checkpoint covers has its directories; those of a
        // new one may be leftovers whose names are not durable.
        if old_width == 0 {
            self.files.create_dir(path.parent().unwrap_or(self.dir), self.dir, Mode::Public)?;
            // The one before was committed full, perhaps by a writer that was
            // killed before it could tidy up.
            let before = id.index.checked_sub(1).filter(|_| self.old_size > 0);
            self.after.filled.extend(before.map(|index| TileId { index, ..id }.full()));
        } else if id.is_full() {
            self.after.filled.push(id);
        }
        Ok(self.files.write(&path, bytes, Mode::Public)?)
    }
}

impl Staged {
    /// Removes the partial tiles whose full tile is committed, as C2SP tlog-tiles
    /// allows. The others stay: someone may be reading at their checkpoint.
    pub(super) fn prune(&self, dir: &Path) {
        for id in &self.filled {
            // Best effort: what stays is a valid partial tile.
            let _ = fs::remove_dir_all(in_dir(dir, &id.partials()));
        }
    }
}

/// Removes partial tiles wider than the committed one: they are of a commit that
/// did not happen, and would contradict those that come now.
fn clear_leftovers(partials: &Path, committed: u16) -> Result<(), FileError> {
    let failed = |action, path: &Path, source| FileError::Io { action, path: path.to_owned(), source };
    let listing = match fs::read_dir(partials) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        other => other.map_err(|error| failed("list", partials, error))?,
    };
    for file in listing {
        let file = file.map_err(|error| failed("list", partials, error))?;
        let width = file.file_name().to_str().and_then(|name| name.parse::<u16>().ok());
        if width.is_none_or(|width| width > committed) {
            fs::remove_file(file.path()).map_err(|error| failed("remove", &file.path(), error))?;
        }
    }
    Ok(())
}
