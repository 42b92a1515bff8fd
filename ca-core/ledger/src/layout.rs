//! Where things are: the paths of C2SP tlog-tiles, and those of the details.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;

/// The signed tree head, relative to the ledger's directory.
pub const CHECKPOINT: &str = "checkpoint";

/// What a tile holds.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Content {
    /// Entries, each with its length in two octets before it, big-endian.
    Entries,
    /// Hashes of the tree at a level; those of level 0 are the leaf hashes, each
    /// of level `n` is over 256 of the level below.
    Hashes(u8),
}

/// One tile or entry bundle of a tree, full or partial.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TileId {
    /// What it holds.
    pub content: Content,
    /// Its place in its level, from zero.
    pub index: u64,
    /// How many entries or hashes it has: 1 to 256.
    pub width: u16,
}

impl TileId {
    /// The rightmost tile of `content` in a tree of `size` entries, if partial.
    #[must_use]
    pub fn partial(content: Content, size: u64) -> Option<Self> {
        let count = content.count(size);
        let width = u16::try_from(count % TILE_WIDTH).unwrap_or(0);
        (width > 0).then_some(Self { content, index: count / TILE_WIDTH, width })
    }

    /// The tile of `content` at `index` in a tree of `size` entries, full or
    /// partial; none if it has not begun.
    #[must_use]
    pub fn at(content: Content, index: u64, size: u64) -> Option<Self> {
        let width = content.count(size).saturating_sub(index.checked_mul(TILE_WIDTH)?).min(TILE_WIDTH);
        let width = u16::try_from(width).ok()?;
        (width > 0).then_some(Self { content, index, width })
    }

    /// The same tile at its full width.
    #[must_use]
    pub const fn full(self) -> Self {
        Self { width: 256, ..self }
    }

    /// Whether it has its full width.
    #[must_use]
    pub const fn is_full(self) -> bool {
        self.width == 256
    }

    /// The most bytes that such a file has; more need not be read.
    #[must_use]
    pub fn max_bytes(self) -> usize {
        let one = match self.content {
            Content::Entries => 2 + usize::from(u16::MAX),
            Content::Hashes(_) => 32,
        };
        usize::from(self.width) * one
    }

    /// `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`.
    #[must_use]
    pub fn path(self) -> String {
        let mut path = self.full_path();
        if !self.is_full() {
            // Writing to a String does not fail.
            let _ = write!(path, ".p/{}", self.width);
        }
        path
    }

    /// The directory of the partial tiles that this one grows through.
    pub(crate) fn partials(self) -> String {
        self.full_path() + ".p"
    }

    fn full_path(self) -> String {
        match self.content {
            Content::Entries => format!("tile/entries/{}", index_path(self.index)),
            Content::Hashes(level) => format!("tile/{level}/{}", index_path(self.index)),
        }
    }
}

impl Content {
    /// How many entries or hashes of this content a tree of `size` entries has.
    #[must_use]
    pub fn count(self, size: u64) -> u64 {
        match self {
            Self::Entries => size,
            Self::Hashes(level) => size.checked_shr(u32::from(level) * 8).unwrap_or(0),
        }
    }
}

/// `details/<N>`, the private records of entry bundle `index`.
#[must_use]
pub fn details_path(index: u64) -> String {
    format!("details/{}", index_path(index))
}

pub(crate) fn in_dir(dir: &Path, relative: &str) -> PathBuf {
    dir.join(relative)
}

/// Three digits an element, all but the last behind an `x`.
fn index_path(mut index: u64) -> String {
    let mut path = format!("{:03}", index % 1000);
    while index >= 1000 {
        index /= 1000;
        path = format!("x{:03}/{path}", index % 1000);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_specification() {
        assert_eq!(index_path(1_234_067), "x001/x234/067");
        assert_eq!(index_path(0), "000");
        assert_eq!(index_path(1000), "x001/000");
        // C2SP tlog-tiles: a tree of size 70,000.
        let partial = |level| TileId::partial(Content::Hashes(level), 70_000).map(TileId::path);
        assert_eq!(partial(0).as_deref(), Some("tile/0/273.p/112"));
        assert_eq!(partial(1).as_deref(), Some("tile/1/001.p/17"));
        assert_eq!(partial(2).as_deref(), Some("tile/2/000.p/1"));
        assert_eq!(partial(3), None);
        assert_eq!(TileId::at(Content::Entries, 272, 70_000).unwrap().path(), "tile/entries/272");
        assert_eq!(TileId::at(Content::Entries, 274, 70_000), None);
        assert_eq!(TileId::partial(Content::Hashes(0), 256), None);
        assert_eq!(TileId::partial(Content::Hashes(1), 256).unwrap().path(), "tile/1/000.p/1");
    }
}
