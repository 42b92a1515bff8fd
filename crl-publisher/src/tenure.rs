//! Who publishes for an authority: one process at a time.
//!
//! It holds the lock of a file in the published directory, `.NAME.lock`, as long as it
//! lives. The operating system lets go of it when the process ends, however it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ca_files::{FileError, WriteLock};

/// What a process is for an authority.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Role {
    /// It publishes.
    Active,
    /// Another process does, as it calls itself.
    Standby(String),
}

/// The locks of a process. Clones are the same.
#[derive(Clone, Debug)]
pub struct Tenure {
    directory: PathBuf,
    held: Arc<Mutex<BTreeMap<String, WriteLock>>>,
}

impl Tenure {
    /// No lock yet; they are files in `directory`.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), held: Arc::default() }
    }

    /// Takes the lock of an authority unless it is held; waits for nobody.
    ///
    /// # Errors
    /// The file cannot be locked, and not because another process holds it.
    pub fn take(&self, name: &str) -> Result<Role, FileError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.get(name).is_some_and(WriteLock::is_in_place) {
            return Ok(Role::Active);
        }
        held.remove(name);
        match WriteLock::acquire(&self.path(name), Duration::ZERO, "crl-publisher") {
            Ok(lock) => {
                held.insert(name.to_owned(), lock);
                Ok(Role::Active)
            }
            Err(FileError::Busy { holder, .. }) => Ok(Role::Standby(holder.to_string())),
            Err(error) => Err(error),
        }
    }

    /// Whether a process publishes for an authority, as far as can be seen.
    #[must_use]
    pub fn is_held(&self, name: &str) -> bool {
        WriteLock::holder(&self.path(name)).is_ok_and(|holder| holder.is_some())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!(".{name}.lock"))
    }

    /// Lets go of the locks of all other authorities.
    pub fn keep_only(&self, names: &BTreeSet<String>) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| names.contains(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (Tenure::new(dir.path()), Tenure::new(dir.path()));
        assert_eq!(first.take("issuing").unwrap(), Role::Active);
        assert_eq!(first.clone().take("issuing").unwrap(), Role::Active);
        let Role::Standby(holder) = second.take("issuing").unwrap() else { panic!() };
        assert!(holder.contains("crl-publisher"), "{holder}");
        assert_eq!(second.take("root").unwrap(), Role::Active);
        first.keep_only(&BTreeSet::new());
        assert_eq!(second.take("issuing").unwrap(), Role::Active);
        // Who lost the file does not publish on.
        std::fs::remove_file(dir.path().join(".issuing.lock")).unwrap();
        assert_eq!(first.take("issuing").unwrap(), Role::Active);
        assert!(matches!(second.take("issuing").unwrap(), Role::Standby(_)));
    }
}
