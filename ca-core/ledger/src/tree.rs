//! The right edge of the Merkle tree: all that is needed to grow it and to know
//! its root (RFC 6962, section 2.1).

use tlog_tiles::{EMPTY_HASH, Hash, node_hash};

use crate::layout::{Content, TILE_WIDTH, TileId};

/// The partial tile of each level, 0 to 255 hashes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    size: u64,
    edge: Vec<Vec<Hash>>,
}

impl Tree {
    /// Builds the edge of a tree of `size` entries out of its partial tiles.
    pub(crate) fn load<E>(
        size: u64,
        mut partial: impl FnMut(TileId) -> Result<Vec<Hash>, E>,
    ) -> Result<Self, E> {
        let mut edge = Vec::new();
        for level in 0.. {
            let content = Content::Hashes(level);
            if content.count(size) == 0 {
                break;
            }
            edge.push(TileId::partial(content, size).map(&mut partial).transpose()?.unwrap_or_default());
        }
        Ok(Self { size, edge })
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// How many levels of tiles it has, empty ones included.
    pub(crate) fn levels(&self) -> u8 {
        self.edge.len() as u8
    }

    /// The hashes of the rightmost tile of a level; empty when it is full.
    pub(crate) fn edge(&self, level: u8) -> &[Hash] {
        self.edge.get(usize::from(level)).map_or(&[], Vec::as_slice)
    }

    /// The partial tiles, from the lowest level.
    pub(crate) fn partials(&self) -> impl Iterator<Item = (TileId, &[Hash])> {
        (0u8..).zip(&self.edge).filter_map(|(level, hashes)| {
            Some((TileId::partial(Content::Hashes(level), self.size)?, hashes.as_slice()))
        })
    }

    /// Adds a leaf; `full` sees each tile that it fills.
    pub(crate) fn push<E>(
        &mut self,
        leaf: Hash,
        mut full: impl FnMut(TileId, &[Hash]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.size += 1;
        let mut hash = leaf;
        for level in 0u8.. {
            let at = usize::from(level);
            if self.edge.len() == at {
                self.edge.push(Vec::new());
            }
            let tile = &mut self.edge[at];
            tile.push(hash);
            if (tile.len() as u64) < TILE_WIDTH {
                break;
            }
            let content = Content::Hashes(level);
            let index = content.count(self.size) / TILE_WIDTH - 1;
            full(TileId { content, index, width: 256 }, tile)?;
            hash = fold(tile);
            tile.clear();
        }
        Ok(())
    }

    /// The root hash.
    pub(crate) fn root(&self) -> Hash {
        let mut root = None;
        for tile in &self.edge {
            // The complete subtrees of a tile are the bits of its width.
            let mut end = tile.len();
            while end > 0 {
                let start = end - (1 << end.trailing_zeros());
                let peak = fold(&tile[start..end]);
                root = Some(root.map_or(peak, |right| node_hash(peak, right)));
                end = start;
            }
        }
        root.unwrap_or(EMPTY_HASH)
    }
}

/// The hash of a complete subtree over `hashes`, whose number is a power of two.
pub(crate) fn fold(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => EMPTY_HASH,
        [one] => *one,
        many => {
            let (left, right) = many.split_at(many.len() / 2);
            node_hash(fold(left), fold(right))
        }
    }
}

/// The bytes of a hash tile.
pub(crate) fn to_bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The first `width` hashes of a tile's bytes; none if there are fewer.
pub(crate) fn from_bytes(bytes: &[u8], width: u16) -> Option<Vec<Hash>> {
    let (hashes, _) = bytes.as_chunks::<32>();
    Some(hashes.get(..usize::from(width))?.iter().map(|hash| Hash(*hash)).collect())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use tlog_tiles::record_hash;

    /// RFC 6962, section 2.1, word for word.
    fn naive(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => EMPTY_HASH,
            [one] => *one,
            many => {
                let k = many.len().next_power_of_two() / 2;
                node_hash(naive(&many[..k]), naive(&many[k..]))
            }
        }
    }

    #[test]
    fn the_root_is_that_of_the_definition() {
        let leaves: Vec<_> = (0u32..66_000).map(|i| record_hash(&i.to_be_bytes())).collect();
        let mut tree = Tree::default();
        let mut tiles = Vec::new();
        let checked = [1, 2, 3, 127, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 66_000];
        assert_eq!(tree.root(), EMPTY_HASH);
        for (i, leaf) in leaves.iter().enumerate() {
            tree.push(*leaf, |id, hashes| {
                tiles.push((id, hashes.to_vec()));
                Ok::<_, Infallible>(())
            })
            .unwrap();
            if checked.contains(&(i + 1)) {
                assert_eq!(tree.root(), naive(&leaves[..=i]), "{} leaves", i + 1);
            }
        }
        assert_eq!(tiles.len(), 257 + 1);
        assert!(
            tiles.iter().any(|(id, _)| *id == TileId { content: Content::Hashes(1), index: 0, width: 256 })
        );

        let again = Tree::load(tree.size(), |id| {
            Ok::<_, Infallible>(tree.partials().find(|(own, _)| *own == id).unwrap().1.to_vec())
        });
        assert_eq!(again.unwrap().root(), tree.root());
    }

    #[test]
    fn tiles_round_trip() {
        let hashes: Vec<_> = (0u8..5).map(|i| record_hash(&[i])).collect();
        let bytes = to_bytes(&hashes);
        assert_eq!(from_bytes(&bytes, 5).unwrap(), hashes);
        assert_eq!(from_bytes(&bytes, 2).unwrap(), hashes[..2]);
        assert!(from_bytes(&bytes[..bytes.len() - 1], 5).is_none());
    }
}
