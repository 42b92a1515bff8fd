//! The directory where a daemon keeps what outlives it: `state_dir`.

use std::path::Path;

use ca_files::FileError;

use crate::Alarms;

const TOPIC: &str = "state_dir";

/// What may be done in a `state_dir`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// What must be known after a restart is kept there.
    Keep,
    /// It is only read: to see how a daemon would start.
    Look,
}

/// A `state_dir`, and what may be done there.
#[derive(Clone, Copy, Debug)]
pub struct StateDir<'a> {
    path: &'a Path,
    access: Access,
}

impl<'a> StateDir<'a> {
    /// The one at `path`.
    #[must_use]
    pub const fn new(path: &'a Path, access: Access) -> Self {
        Self { path, access }
    }

    /// Where it is.
    #[must_use]
    pub const fn path(self) -> &'a Path {
        self.path
    }

    /// Whether something may be written there.
    #[must_use]
    pub const fn is_kept(self) -> bool {
        matches!(self.access, Access::Keep)
    }

    /// Makes it, if it is missing. Where it is only read, it is an alarm if this user
    /// could not make it or write there.
    ///
    /// # Errors
    /// It cannot be made, or is not private.
    pub fn prepare(self, alarms: &Alarms) -> Result<(), FileError> {
        match self.access {
            Access::Keep => ca_files::create_private_dir(self.path),
            Access::Look => {
                if let Err(error) = ca_files::could_keep_in(self.path) {
                    let what = format!("{error}; check it as the user that the daemon runs as");
                    alarms.raise(TOPIC, "nothing can be kept for the next start", what);
                }
                Ok(())
            }
        }
    }
}
