//! Reading a ledger as it was at one checkpoint.

use std::ops::Range;
use std::path::Path;

use crate::LedgerError;
use crate::authentic::Authentic;
use crate::bundle;
use crate::checkpoint::Checkpoint;
use crate::detail_store::Details;
use crate::entry::Entry;
use crate::key::VerifierKey;
use crate::layout::{CHECKPOINT, TILE_WIDTH};
use crate::proof::InclusionProof;
use crate::source::{DirectorySource, Source, tile_or_full};
use crate::tree::{Tree, from_bytes};

/// A ledger in a directory, as its signed checkpoint describes it.
///
/// Each entry that comes out was verified against the signed root, each detail
/// record against its entry. It does not move with the ledger: open another one
/// to see newer entries.
#[derive(Debug)]
pub struct LedgerReader {
    pub(crate) source: DirectorySource,
    pub(crate) key: VerifierKey,
    pub(crate) tree: Tree,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) note: Vec<u8>,
}

impl LedgerReader {
    /// Opens the ledger in `dir` and verifies its checkpoint with `vkey`, and the
    /// right edge of the tree with the checkpoint. It reads a few files, however
    /// large the ledger is.
    ///
    /// # Errors
    /// A missing or damaged file, a wrong signature, name or root hash.
    pub fn open(dir: &Path, vkey: &str) -> Result<Self, LedgerError> {
        Self::open_with(dir, VerifierKey::parse(vkey)?)
    }

    pub(crate) fn open_with(dir: &Path, key: VerifierKey) -> Result<Self, LedgerError> {
        let source = DirectorySource::new(dir);
        let note = source.checkpoint()?;
        let checkpoint = Checkpoint::verify(&note, &key).map_err(|source| LedgerError::Checkpoint {
            path: dir.join(CHECKPOINT).display().to_string(),
            source,
        })?;
        let tree = load_edge(&source, checkpoint.size)?;
        if tree.root().0 != checkpoint.root {
            let what = "the tiles at its end do not hash to the root that was signed";
            return Err(LedgerError::damaged("tile", what));
        }
        Ok(Self { source, key, tree, checkpoint, note })
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.source.dir()
    }

    /// The checkpoint that was verified.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The signed note of the checkpoint, as it is on disk.
    #[must_use]
    pub fn note(&self) -> &[u8] {
        &self.note
    }

    /// The number of entries.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.checkpoint.size
    }

    /// The entry at `index`, from zero. For many entries use
    /// [`LedgerReader::entries`], which reads each bundle once.
    ///
    /// # Errors
    /// No such entry, or a damaged file.
    pub fn entry(&self, index: u64) -> Result<Entry, LedgerError> {
        self.exists(index)?;
        self.entries(index..index + 1).next().map_or(Err(self.no_such(index)), |found| Ok(found?.1))
    }

    /// The entries of a range, cut to what there is, in their order. The first
    /// error ends it.
    #[must_use]
    pub fn entries(&self, range: Range<u64>) -> Entries<'_> {
        let range = range.start..range.end.min(self.size());
        Entries { tiles: Authentic::new(&self.source, &self.tree), range, bundle: Vec::new().into_iter() }
    }

    /// The detail record of the entry at `index`, verified with the entry.
    ///
    /// # Errors
    /// No such entry, a damaged file, or a record that is not the one recorded.
    pub fn detail(&self, index: u64) -> Result<Vec<u8>, LedgerError> {
        self.exists(index)?;
        let mut details = self.details(index..index + 1);
        details.next().map_or(Err(self.no_such(index)), |found| Ok(found?.2))
    }

    /// Entries with their detail records, cut to what there is, in their order;
    /// each file is read once. The first error ends it.
    #[must_use]
    pub fn details(&self, range: Range<u64>) -> EntriesWithDetails<'_> {
        EntriesWithDetails { reader: self, entries: self.entries(range), file: None }
    }

    /// A proof that the entry at `index` is in the ledger, for people without
    /// access to it.
    ///
    /// # Errors
    /// No such entry, or a damaged file.
    pub fn prove(&self, index: u64) -> Result<InclusionProof, LedgerError> {
        self.exists(index)?;
        let entry = self.entry(index)?.to_der().map_err(|source| LedgerError::Entry { index, source })?;
        let hashes = Authentic::new(&self.source, &self.tree).prove(index)?;
        let hashes = hashes.into_iter().map(|hash| hash.0).collect();
        let checkpoint = String::from_utf8_lossy(&self.note).into_owned();
        let proof = InclusionProof { index, entry, hashes, checkpoint };
        proof.verify_with(&self.key)?;
        Ok(proof)
    }

    fn exists(&self, index: u64) -> Result<(), LedgerError> {
        if index < self.size() { Ok(()) } else { Err(self.no_such(index)) }
    }

    const fn no_such(&self, index: u64) -> LedgerError {
        LedgerError::NoSuchEntry { index, size: self.size() }
    }
}

/// The partial tiles of a tree of `size` entries. They prove nothing before
/// their root was compared.
pub(crate) fn load_edge(source: &(impl Source + ?Sized), size: u64) -> Result<Tree, LedgerError> {
    Tree::load(size, |id| {
        let bytes = tile_or_full(source, id)?;
        from_bytes(&bytes, id.width).ok_or_else(|| LedgerError::damaged(id.path(), "it is cut short"))
    })
}

/// An iterator over entries; see [`LedgerReader::entries`].
pub struct Entries<'a> {
    tiles: Authentic<'a, DirectorySource>,
    range: Range<u64>,
    bundle: std::vec::IntoIter<Entry>,
}

impl Entries<'_> {
    /// Decodes what is wanted of the next bundle.
    fn fill(&mut self) -> Result<(), LedgerError> {
        let within = self.range.start % TILE_WIDTH;
        let first = self.range.start - within;
        let wanted = (self.range.end - first).min(TILE_WIDTH) as u16;
        let bytes = self.tiles.bundle(first / TILE_WIDTH)?;
        let (entries, _) =
            bundle::split(&bytes, wanted).map_err(|what| LedgerError::damaged("tile/entries", what))?;
        let decoded: Result<Vec<_>, _> = (self.range.start..)
            .zip(entries.into_iter().skip(within as usize))
            .map(|(index, der)| Entry::from_der(der).map_err(|source| LedgerError::Entry { index, source }))
            .collect();
        self.bundle = decoded?.into_iter();
        Ok(())
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<(u64, Entry), LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.range.is_empty() {
            return None;
        }
        if self.bundle.as_slice().is_empty()
            && let Err(error) = self.fill()
        {
            self.range.start = self.range.end;
            return Some(Err(error));
        }
        let entry = self.bundle.next()?;
        Some(Ok((self.range.next()?, entry)))
    }
}

/// An iterator over entries with their details; see [`LedgerReader::details`].
pub struct EntriesWithDetails<'a> {
    reader: &'a LedgerReader,
    entries: Entries<'a>,
    /// The file of a bundle, and how many of its records were passed.
    file: Option<(u64, u64, Details)>,
}

impl EntriesWithDetails<'_> {
    fn detail(&mut self, index: u64, entry: &Entry) -> Result<Vec<u8>, LedgerError> {
        let (bundle, within) = (index / TILE_WIDTH, index % TILE_WIDTH);
        let (passed, mut details) = match self.file.take() {
            Some((open, passed, details)) if open == bundle => (passed, details),
            _ => (0, Details::open(self.reader.dir(), bundle)?),
        };
        details.skip(within - passed)?;
        let detail = details.read()?;
        if !entry.commits_to(&detail) {
            let what = format!("the record of entry {index} is not the one that was recorded");
            return Err(LedgerError::damaged(details.path(), what));
        }
        self.file = Some((bundle, within + 1, details));
        Ok(detail)
    }
}

impl Iterator for EntriesWithDetails<'_> {
    type Item = Result<(u64, Entry, Vec<u8>), LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.entries.next()?;
        let result = next.and_then(|(index, entry)| Ok((index, entry, self.detail(index, &entry)?)));
        if result.is_err() {
            self.entries.range.start = self.entries.range.end;
        }
        Some(result)
    }
}
