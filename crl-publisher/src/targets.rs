//! Where published CRLs are taken: other file directories, LDAP directories, object stores,
//! programs.
//!
//! The published directory is what is wanted, and each target is brought to it:
//! whatever differs there is sent, the newest only. Each target has a thread and a
//! state file of its own, and what may hang runs on a further thread, so that a dead
//! target holds up nothing else. Before something is sent it is verified, and
//! what stands at the target is read; afterwards it is read back.

pub mod command;
pub mod config;
pub mod courier;
pub mod directory;
pub mod item;
pub mod ldap;
pub mod looks;
pub mod metrics;
pub mod pool;
pub mod report;
pub mod s3;
pub mod spool;
pub mod state;
pub mod worker;

use std::fs::File;
use std::path::PathBuf;

pub use config::TargetConfig;
pub use courier::Courier;
pub use item::Item;
pub use pool::Pool;

/// A place that CRLs and certificates are taken to.
pub trait Target: Send {
    /// Reads what it needs of this machine: secrets, certificates. Nothing is asked of the target.
    ///
    /// # Errors
    /// What is missing, unsafe or not what it must be.
    fn ready(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// Whether this machine has the place or the program that the configuration names, for `--check`:
    /// a share may be mounted later. Nothing is sent, written or run.
    ///
    /// # Errors
    /// What is not there.
    fn there(&self) -> Result<(), String> {
        Ok(())
    }

    /// What stands there for `item`. `tag` is what [`Target::put`] or this told
    /// last: a target that still has it may answer [`Standing::Unchanged`].
    ///
    /// # Errors
    /// It cannot be known.
    fn read(&mut self, item: &Item, tag: Option<&str>) -> Result<Standing, TargetError>;

    /// Puts `item` there, if `before` still stands there as far as the target can tell.
    /// Returns what [`Target::read`] takes for it.
    ///
    /// # Errors
    /// It was not taken, or nobody knows.
    fn put(&mut self, item: &Item, before: &Before) -> Result<Option<String>, TargetError>;
}

/// What stands at a target.
#[derive(Debug)]
pub enum Standing {
    /// Nothing.
    Absent,
    /// What the given tag belongs to.
    Unchanged,
    /// This content, and the tag of it if the target has tags.
    Found(File, Option<String>),
    /// The target has no way to tell.
    Unknown,
}

/// What stood at a target before something was put there.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Before {
    /// Whether there was something.
    pub is_there: bool,
    /// The target's tag of it.
    pub tag: Option<String>,
}

/// Why something did not get to a target.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The target failed; it is tried again.
    #[error("{0}")]
    Failed(String),
    /// What stands there must not be replaced by this, or this must not be sent. No retry
    /// mends it without somebody's doing.
    #[error("{0}")]
    Refused(String),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] ca_files::FileError),
    /// The operating system refused something else.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl TargetError {
    pub(crate) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
