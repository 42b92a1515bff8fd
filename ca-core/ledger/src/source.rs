//! Where a ledger is read from.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::checkpoint::MAX_CHECKPOINT;
use crate::layout::{CHECKPOINT, TileId, in_dir};

/// The public part of a ledger: its checkpoint and its tiles.
///
/// What a source returns is not trusted; the [`Follower`](crate::Follower)
/// verifies it.
pub trait Source {
    /// The bytes of the current checkpoint.
    ///
    /// # Errors
    /// It cannot be read.
    fn checkpoint(&self) -> Result<Vec<u8>, SourceError>;

    /// The bytes of a tile or entry bundle; its address is [`TileId::path`].
    ///
    /// # Errors
    /// [`SourceError::Missing`] if there is none of exactly this width, another
    /// one if it cannot be read.
    fn tile(&self, id: TileId) -> Result<Vec<u8>, SourceError>;
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
        (**self).checkpoint()
    }

    fn tile(&self, id: TileId) -> Result<Vec<u8>, SourceError> {
        (**self).tile(id)
    }
}

/// Why something was not read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It is not there.
    #[error("{0} is missing")]
    Missing(String),
    /// It may be there, but could not be read.
    #[error("cannot read {path}: {what}")]
    Failed {
        /// Its path or address.
        path: String,
        /// Why not.
        what: String,
    },
}

impl SourceError {
    /// Whether it was not there.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Missing(_))
    }
}

/// A tile as it is, or the beginning of the full tile that took its place (C2SP
/// tlog-tiles, "Partial Tiles"). The result may be longer than `id.width`.
pub(crate) fn tile_or_full(source: &(impl Source + ?Sized), id: TileId) -> Result<Vec<u8>, SourceError> {
    match source.tile(id) {
        Err(missing) if missing.is_missing() && !id.is_full() => match source.tile(id.full()) {
            Err(error) if error.is_missing() => Err(missing),
            other => other,
        },
        other => other,
    }
}

/// A ledger in a directory of this machine.
#[derive(Clone, Debug)]
pub struct DirectorySource {
    dir: PathBuf,
}

impl DirectorySource {
    /// The ledger in `dir`, the directory with the file `checkpoint`.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn read(&self, relative: &str, limit: usize) -> Result<Vec<u8>, SourceError> {
        let path = in_dir(&self.dir, relative);
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                SourceError::Missing(path.display().to_string())
            }
            _ => SourceError::Failed { path: path.display().to_string(), what: error.to_string() },
        };
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(failed)?;
        file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() > limit {
            let what = format!("it is longer than {limit} bytes");
            return Err(SourceError::Failed { path: path.display().to_string(), what });
        }
        Ok(bytes)
    }
}

impl Source for DirectorySource {
    fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
        self.read(CHECKPOINT, MAX_CHECKPOINT)
    }

    fn tile(&self, id: TileId) -> Result<Vec<u8>, SourceError> {
        self.read(&id.path(), id.max_bytes())
    }
}
