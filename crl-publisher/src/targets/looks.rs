//! What is known of the published files, so that each is hashed and verified once
//! and not once for each target.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ca_service::watch::Fingerprint;

use super::TargetError;
use super::item::{Item, Look, Owner, open};

type Known = HashMap<String, (Fingerprint, Option<Look>)>;

/// Clones know the same.
#[derive(Clone, Debug, Default)]
pub struct Looks {
    known: Arc<Mutex<Known>>,
}

impl Looks {
    /// Opens the file at `path` below `directory`, and reads it if its content is new.
    /// Others wait meanwhile, and then need not read it. None for a file of no owner.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(&self, directory: &Path, path: &str, owners: &[Owner]) -> Result<Option<Item>, TargetError> {
        let mut known = self.lock();
        let (fingerprint, item) = open(directory, path, owners, known.get(path))?;
        known.insert(path.to_owned(), (fingerprint, item.as_ref().map(|item| item.look.clone())));
        Ok(item)
    }

    /// SHA-256 of the file at `path`, if it was read.
    #[must_use]
    pub fn sha256(&self, path: &str) -> Option<String> {
        self.lock().get(path).and_then(|(_, look)| look.as_ref()).map(|look| look.sha256.clone())
    }

    /// Forgets all that `keep` does not name.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.lock().retain(|path, _| keep(path));
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
