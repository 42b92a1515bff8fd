//! What is served: a fixed table of paths and contents in memory.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::body::Bytes;
use ca_domain::Timestamp;
use ca_service::conditional::entity_tag;

/// One served file.
#[derive(Clone, Debug)]
pub struct Asset {
    /// Its media type.
    pub content_type: &'static str,
    /// Its content.
    pub body: Bytes,
    /// Its strong entity tag.
    pub tag: String,
    /// When it came about: Last-Modified.
    pub modified: Timestamp,
    /// Until when caches may keep it, if that is known.
    pub fresh_until: Option<Timestamp>,
}

impl Asset {
    /// A file with its entity tag.
    #[must_use]
    pub fn new(
        content_type: &'static str,
        body: Bytes,
        modified: Timestamp,
        fresh_until: Option<Timestamp>,
    ) -> Self {
        let tag = entity_tag(&body);
        Self { content_type, body, tag, modified, fresh_until }
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
}
