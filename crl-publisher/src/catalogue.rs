//! What is served: a fixed table of paths and contents in memory.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, PoisonError, RwLock};

use axum::body::Bytes;
use ca_domain::Timestamp;
use ca_service::conditional::entity_tag;

use crate::packed::Packed;

/// Longer files are read when somebody asks for them.
const IN_MEMORY: u64 = 1 << 20;

/// The octets of a served file.
#[derive(Clone, Debug)]
pub enum Content {
    /// In memory.
    Memory(Bytes),
    /// In a file that stays open, whatever takes its place in the directory.
    File {
        /// The file.
        file: Arc<File>,
        /// Its length in octets.
        length: u64,
    },
}

impl Content {
    /// How many octets there are.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::Memory(octets) => octets.len() as u64,
            Self::File { length, .. } => *length,
        }
    }
}

/// One served file.
#[derive(Clone, Debug)]
pub struct Asset {
    /// Its media type.
    pub content_type: &'static str,
    /// Its octets.
    pub content: Content,
    /// Its strong entity tag.
    pub tag: String,
    /// When it came about: Last-Modified.
    pub modified: Timestamp,
    /// Until when caches may keep it, if that is known.
    pub fresh_until: Option<Timestamp>,
    /// Until when it may be used, if that is known; a cache may keep to it while we cannot be reached.
    pub valid_until: Option<Timestamp>,
    /// The same, packed.
    pub packed: Arc<Packed>,
}

impl Asset {
    /// A file in memory, with its entity tag.
    #[must_use]
    pub fn new(
        content_type: &'static str,
        body: Bytes,
        modified: Timestamp,
        fresh_until: Option<Timestamp>,
    ) -> Self {
        let tag = entity_tag(&body);
        Self::of(content_type, Content::Memory(body), tag, modified, fresh_until)
    }

    /// An open file, which is taken into memory if it is short.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of_file(
        content_type: &'static str,
        file: Arc<File>,
        length: u64,
        tag: String,
        modified: Timestamp,
        fresh_until: Option<Timestamp>,
    ) -> io::Result<Self> {
        let content = if length <= IN_MEMORY {
            let mut octets = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            file.read_exact_at(&mut octets, 0)?;
            Content::Memory(octets.into())
        } else {
            Content::File { file, length }
        };
        Ok(Self::of(content_type, content, tag, modified, fresh_until))
    }

    fn of(
        content_type: &'static str,
        content: Content,
        tag: String,
        modified: Timestamp,
        fresh_until: Option<Timestamp>,
    ) -> Self {
        let packed = Arc::default();
        Self { content_type, content, tag, modified, fresh_until, valid_until: None, packed }
    }

    /// The same, which may be used until then.
    #[must_use]
    pub const fn valid_until(mut self, valid_until: Option<Timestamp>) -> Self {
        self.valid_until = valid_until;
        self
    }
}

/// The served files by path. No path is ever joined to a directory, so none can
/// lead elsewhere.
#[derive(Debug, Default)]
pub struct Catalogue {
    assets: RwLock<HashMap<String, Arc<Asset>>>,
}

impl Catalogue {
    /// An empty catalogue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The file at a path, such as `/crl/issuing.crl`.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<Arc<Asset>> {
        self.assets.read().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    /// Serves `asset` at `path` from now on.
    pub fn put(&self, path: String, asset: Asset) {
        self.assets.write().unwrap_or_else(PoisonError::into_inner).insert(path, Arc::new(asset));
    }

    /// Serves nothing at `path` from now on.
    pub fn remove(&self, path: &str) {
        self.assets.write().unwrap_or_else(PoisonError::into_inner).remove(path);
    }
}
