//! Reading tiles and bundles so that only what was signed gets through.

use std::cell::RefCell;

use tlog_tiles::{Error as TreeError, Hash, HashReader, split_stored_hash_index};

use crate::LedgerError;
use crate::bundle;
use crate::entry::leaf_hash;
use crate::layout::{Content, TILE_WIDTH, TileId};
use crate::source::{Source, tile_or_full};
use crate::tree::{Tree, fold, from_bytes};

/// Tiles of one tree. The right edge of the tree is known to hash to the signed
/// root; each other tile is checked against the hash of it in the level above.
pub(crate) struct Authentic<'a, S: ?Sized> {
    source: &'a S,
    tree: &'a Tree,
    /// The tile of each level that was used last.
    recent: Vec<Option<(u64, Vec<Hash>)>>,
}

impl<'a, S: Source + ?Sized> Authentic<'a, S> {
    pub(crate) const fn new(source: &'a S, tree: &'a Tree) -> Self {
        Self { source, tree, recent: Vec::new() }
    }

    /// The bytes of an entry bundle, cut to what the tree has of it.
    pub(crate) fn bundle(&mut self, index: u64) -> Result<Vec<u8>, LedgerError> {
        let size = self.tree.size();
        let id = TileId::at(Content::Entries, index, size);
        let id = id.ok_or(LedgerError::NoSuchEntry { index: index.saturating_mul(TILE_WIDTH), size })?;
        let mut bytes = tile_or_full(self.source, id)?;
        let (entries, rest) =
            bundle::split(&bytes, id.width).map_err(|what| LedgerError::damaged(id.path(), what))?;
        let leaves: Vec<_> = entries.into_iter().map(leaf_hash).collect();
        let signed =
            if id.is_full() { fold(&leaves) == self.hash(1, index)? } else { leaves == self.tree.edge(0) };
        if !signed {
            return Err(LedgerError::damaged(id.path(), "its entries are not those that were signed"));
        }
        let used = bytes.len() - rest.len();
        bytes.truncate(used);
        Ok(bytes)
    }

    /// Whether this tree begins with the entries of `older`, which is not larger: the
    /// right edge of the older one is found in it.
    pub(crate) fn continues(&mut self, older: &Tree) -> Result<bool, LedgerError> {
        for level in 0..older.levels() {
            let edge = older.edge(level);
            if edge.is_empty() {
                continue;
            }
            let index = Content::Hashes(level).count(older.size()) / TILE_WIDTH;
            if self.tile(level, index)?.get(..edge.len()) != Some(edge) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Hash `n` of a tile level.
    fn hash(&mut self, level: u8, n: u64) -> Result<Hash, LedgerError> {
        let at = (n % TILE_WIDTH) as usize;
        let missing = || LedgerError::damaged(format!("tile/{level}"), format!("it has no hash {n}"));
        self.tile(level, n / TILE_WIDTH)?.get(at).copied().ok_or_else(missing)
    }

    fn tile(&mut self, level: u8, index: u64) -> Result<&[Hash], LedgerError> {
        let content = Content::Hashes(level);
        if index == content.count(self.tree.size()) / TILE_WIDTH {
            return Ok(self.tree.edge(level));
        }
        let slot = usize::from(level);
        if self.recent.len() <= slot {
            self.recent.resize(slot + 1, None);
        }
        if self.recent[slot].as_ref().is_none_or(|(recent, _)| *recent != index) {
            let id = TileId { content, index, width: 256 };
            let bytes = self.source.tile(id)?;
            let hashes = from_bytes(&bytes, id.width);
            let hashes = hashes.ok_or_else(|| LedgerError::damaged(id.path(), "it is cut short"))?;
            if fold(&hashes) != self.hash(level + 1, index)? {
                return Err(LedgerError::damaged(id.path(), "its hashes are not those that were signed"));
            }
            self.recent[slot] = Some((index, hashes));
        }
        Ok(self.recent[slot].as_ref().map_or(&[], |(_, hashes)| hashes))
    }

    /// The hash of a complete subtree by its place in the dense order of
    /// `tlog_tiles`.
    fn stored(&mut self, index: u64) -> Result<Hash, LedgerError> {
        let (height, n) = split_stored_hash_index(index);
        let (level, within) = (height / 8, height % 8);
        let first = n << within;
        let start = (first % TILE_WIDTH) as usize;
        let hashes = self.tile(level, first / TILE_WIDTH)?.get(start..start + (1 << within));
        let missing = || LedgerError::damaged(format!("tile/{level}"), format!("it has no hash {first}"));
        Ok(fold(hashes.ok_or_else(missing)?))
    }

    /// The inclusion proof of an entry (RFC 6962, section 2.1.1).
    pub(crate) fn prove(self, index: u64) -> Result<Vec<Hash>, LedgerError> {
        let size = self.tree.size();
        let stored = StoredHashes { tiles: RefCell::new(self), failure: RefCell::new(None) };
        tlog_tiles::prove_record(size, index, &stored).map_err(|error| {
            stored.failure.into_inner().unwrap_or_else(|| LedgerError::Proof(error.to_string()))
        })
    }
}

struct StoredHashes<'a, S: ?Sized> {
    tiles: RefCell<Authentic<'a, S>>,
    failure: RefCell<Option<LedgerError>>,
}

impl<S: Source + ?Sized> HashReader for StoredHashes<'_, S> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, TreeError> {
        let mut tiles = self.tiles.borrow_mut();
        let hashes: Result<_, _> = indexes.iter().map(|index| tiles.stored(*index)).collect();
        hashes.map_err(|error| {
            self.failure.replace(Some(error));
            TreeError::InvalidTile
        })
    }
}
