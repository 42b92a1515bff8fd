//! Verifying a whole ledger: every file that the checkpoint covers, every byte.

use std::fmt;
use std::path::Path;

use sha2::{Digest, Sha256};
use tlog_tiles::Hash;

use crate::LedgerError;
use crate::bundle;
use crate::checkpoint::Checkpoint;
use crate::detail_store::Details;
use crate::entry::{Entry, leaf_hash};
use crate::key::VerifierKey;
use crate::layout::{CHECKPOINT, Content, TILE_WIDTH, TileId, details_path, in_dir};
use crate::source::{DirectorySource, Source, SourceError};
use crate::tree::{Tree, from_bytes, to_bytes};

/// More faults than this are counted, not listed.
pub const MAX_FAULTS: usize = 1000;

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The first entry that it concerns, if that can be said.
    pub index: Option<u64>,
    /// The file, relative to the ledger's directory.
    pub path: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}, entry {index}: {}", self.path, self.what),
            None => write!(f, "{}: {}", self.path, self.what),
        }
    }
}

/// What a verification found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifyReport {
    /// The checkpoint, whose signature is good.
    pub checkpoint: Checkpoint,
    /// What is wrong, at most [`MAX_FAULTS`]. One damaged byte may show in several
    /// files, since each is compared with the others.
    pub faults: Vec<Fault>,
    /// Faults beyond those listed.
    pub more_faults: u64,
    /// Remains of a write that did not finish, which the checkpoint does not
    /// cover. They are harmless; the next writer replaces them.
    pub leftovers: Vec<String>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Verifies the ledger in `dir`: the checkpoint's signature, each entry, each
/// hash of each level, each detail record, and that no committed file is missing,
/// short or long. One pass; memory does not grow with the ledger.
///
/// `progress` hears how many entries of how many are done.
///
/// # Errors
/// Only if there is no checkpoint of this key to verify against. All else is a
/// fault in the report.
pub fn verify(
    dir: &Path,
    vkey: &str,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<VerifyReport, LedgerError> {
    let key = VerifierKey::parse(vkey)?;
    let source = DirectorySource::new(dir);
    let checkpoint = Checkpoint::verify(&source.checkpoint()?, &key).map_err(|source| {
        LedgerError::Checkpoint { path: dir.join(CHECKPOINT).display().to_string(), source }
    })?;
    let size = checkpoint.size;
    let report = VerifyReport { checkpoint, faults: Vec::new(), more_faults: 0, leftovers: Vec::new() };
    let mut run = Run { source, size, tree: Tree::default(), report, last_bundle: Vec::new() };
    for index in 0..size.div_ceil(TILE_WIDTH) {
        progress(index * TILE_WIDTH, size);
        run.bundle(index);
    }
    run.right_edge();
    progress(size, size);
    Ok(run.report)
}

struct Run {
    source: DirectorySource,
    size: u64,
    tree: Tree,
    report: VerifyReport,
    last_bundle: Vec<u8>,
}

impl Run {
    fn fault(&mut self, index: Option<u64>, path: impl Into<String>, what: impl Into<String>) {
        if self.report.faults.len() < MAX_FAULTS {
            self.report.faults.push(Fault { index, path: path.into(), what: what.into() });
        } else {
            self.report.more_faults += 1;
        }
    }

    /// The bytes of a tile, and whether it is the file of exactly this width.
    fn read(&mut self, id: TileId) -> Option<(Vec<u8>, bool)> {
        let found = match self.source.tile(id) {
            // Pruned by a writer since the checkpoint was read.
            Err(missing) if missing.is_missing() && !id.is_full() => {
                self.source.tile(id.full()).map(|bytes| (bytes, false)).map_err(|_| missing)
            }
            other => other.map(|bytes| (bytes, true)),
        };
        let first = id.index * TILE_WIDTH;
        let index = matches!(id.content, Content::Entries).then_some(first);
        found
            .map_err(|error| {
                let what = match error {
                    SourceError::Missing(_) => "the file is missing".to_owned(),
                    SourceError::Failed { what, .. } => what,
                };
                self.fault(index, id.path(), what);
            })
            .ok()
    }

    fn bundle(&mut self, index: u64) {
        let Some(id) = TileId::at(Content::Entries, index, self.size) else { return };
        let first = index * TILE_WIDTH;
        let found = self.entries(id);
        self.details(index, found.as_ref().map(|(_, entries)| entries.as_slice()).unwrap_or_default());
        let leaves = match found {
            Some((leaves, _)) => leaves,
            // So that the rest can be verified: the hashes as they should be.
            None => self.stand_in(id),
        };
        let mut full = Vec::new();
        for leaf in leaves {
            let pushed = self.tree.push(leaf, |id, hashes| {
                full.push((id, hashes.to_vec()));
                Ok::<_, std::convert::Infallible>(())
            });
            match pushed {
                Ok(()) => {}
                Err(never) => match never {},
            }
        }
        debug_assert_eq!(self.tree.size(), first + u64::from(id.width));
        for (id, hashes) in full {
            self.hashes(id, &hashes);
        }
    }

    /// The leaf hashes of a bundle, and its entries as far as they can be read.
    fn entries(&mut self, id: TileId) -> Option<(Vec<Hash>, Vec<Option<Entry>>)> {
        let first = id.index * TILE_WIDTH;
        let (bytes, exact) = self.read(id)?;
        let (encoded, rest) = match bundle::split(&bytes, id.width) {
            Ok(split) => split,
            Err(what) => {
                self.fault(Some(first), id.path(), what);
                return None;
            }
        };
        if exact && !rest.is_empty() {
            self.fault(None, id.path(), format!("{} bytes follow its last entry", rest.len()));
        }
        let mut entries = Vec::new();
        for (index, der) in (first..).zip(&encoded) {
            match Entry::from_der(der) {
                Ok(entry) => entries.push(Some(entry)),
                Err(error) => {
                    self.fault(Some(index), id.path(), error.to_string());
                    entries.push(None);
                }
            }
        }
        let leaves = encoded.into_iter().map(leaf_hash).collect();
        let used = bytes.len() - rest.len();
        self.last_bundle = bytes;
        self.last_bundle.truncate(used);
        Some((leaves, entries))
    }

    fn stand_in(&mut self, bundle: TileId) -> Vec<Hash> {
        let width = usize::from(bundle.width);
        let id = TileId { content: Content::Hashes(0), ..bundle };
        let read = self.source.tile(id).ok().and_then(|bytes| from_bytes(&bytes, id.width));
        self.last_bundle.clear();
        read.unwrap_or_else(|| vec![Hash::default(); width])
    }

    fn details(&mut self, bundle: u64, entries: &[Option<Entry>]) {
        let first = bundle * TILE_WIDTH;
        if let Err((index, path, what)) = self.read_details(bundle, first, entries) {
            self.fault(Some(index), path, what);
        }
    }

    fn read_details(
        &mut self,
        bundle: u64,
        first: u64,
        entries: &[Option<Entry>],
    ) -> Result<(), (u64, String, String)> {
        let located = |index: u64| {
            move |error: LedgerError| match error {
                LedgerError::Damaged { path, what } => (index, path, what),
                other => (index, details_path(bundle), other.to_string()),
            }
        };
        let mut details = Details::open(self.source.dir(), bundle).map_err(located(first))?;
        let end = (first + TILE_WIDTH).min(self.size);
        for index in first..end {
            let detail = details.read().map_err(located(index))?;
            let entry = entries.get((index - first) as usize).copied().flatten();
            if entry.is_some_and(|entry| entry.detail_hash != <[u8; 32]>::from(Sha256::digest(&detail))) {
                self.fault(Some(index), details.path(), "the detail record is not the one that was recorded");
            }
        }
        match details.remaining() {
            0 => {}
            extra if end.is_multiple_of(TILE_WIDTH) => {
                self.fault(None, details.path(), format!("{extra} bytes follow its last record"));
            }
            extra => self.report.leftovers.push(format!("{}: {extra} bytes", details.path())),
        }
        Ok(())
    }

    /// Compares a hash tile with what it must be.
    fn hashes(&mut self, id: TileId, expected: &[Hash]) {
        let Some((mut bytes, exact)) = self.read(id) else { return };
        let expected = to_bytes(expected);
        if !exact {
            bytes.truncate(expected.len());
        }
        if bytes == expected {
            return;
        }
        let same = bytes.iter().zip(&expected).take_while(|(a, b)| a == b).count();
        let n = id.index * TILE_WIDTH + (same / 32) as u64;
        let Content::Hashes(level) = id.content else { return };
        let index = n.checked_shl(u32::from(level) * 8).filter(|index| *index < self.size);
        let what = if bytes.len() == expected.len() {
            "a hash is not that of the entries".to_owned()
        } else {
            format!("it has {} bytes, not {}", bytes.len(), expected.len())
        };
        self.fault(index, id.path(), what);
    }

    /// The partial tiles, the narrower ones that they grew from, and the root.
    fn right_edge(&mut self) {
        let partials: Vec<_> = self.tree.partials().map(|(id, hashes)| (id, hashes.to_vec())).collect();
        for (id, hashes) in partials {
            self.hashes(id, &hashes);
            let bytes = to_bytes(&hashes);
            self.narrower(id, |width| bytes.get(..usize::from(width) * 32).map(<[u8]>::to_vec));
        }
        if let Some(id) = TileId::partial(Content::Entries, self.size) {
            let bytes = std::mem::take(&mut self.last_bundle);
            self.narrower(id, |width| {
                let (_, rest) = bundle::split(&bytes, width).ok()?;
                Some(bytes[..bytes.len() - rest.len()].to_vec())
            });
        }
        if self.tree.root().0 != self.report.checkpoint.root {
            let what = "the entries do not hash to the root that was signed";
            self.fault(None, CHECKPOINT, what);
        }
    }

    /// Partial tiles of earlier checkpoints stay until the full one is there, for
    /// those who read at them: they must be the beginning of the current one.
    fn narrower(&mut self, id: TileId, beginning: impl Fn(u16) -> Option<Vec<u8>>) {
        let listing = std::fs::read_dir(in_dir(self.source.dir(), &id.partials()));
        // Missing or unreadable directories were reported with their tile.
        for file in listing.into_iter().flatten().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            let path = format!("{}/{name}", id.partials());
            match name.parse::<u16>() {
                Ok(width) if width == id.width => {}
                Ok(width) if (1..id.width).contains(&width) => {
                    let found = self.source.tile(TileId { width, ..id }).ok();
                    if beginning(width).is_some_and(|expected| found != Some(expected)) {
                        self.fault(None, path, "it is not the beginning of the tile that followed it");
                    }
                }
                _ => self.report.leftovers.push(path),
            }
        }
    }
}
