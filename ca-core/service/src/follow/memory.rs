//! What a follower remembers across restarts, so that nobody can show it an older
//! ledger: its position, in a file.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ca_files::{FileError, Mode, write_atomic};
use ca_ledger::{Checkpoint, Follower, Source};

use crate::Alarms;

/// The file in the directory of the daemon's state.
const NAME: &str = "follower";
/// The file is written this often at most.
const EVERY: Duration = Duration::from_secs(5);
const TOPIC: &str = "ledger position";

/// The file with the position.
pub(super) struct Memory {
    path: PathBuf,
    /// The checkpoint that the file has, and when it was written.
    written: Option<(Checkpoint, Instant)>,
}

impl Memory {
    /// The file in `dir`, which nobody has read or written yet.
    pub(super) fn new(dir: &Path) -> Self {
        Self { path: dir.join(NAME), written: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The position in it, if it is there.
    pub(super) fn read(&self) -> Result<Option<Vec<u8>>, FileError> {
        match ca_files::read_private(&self.path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps the position if it is another one; not too often, unless it is the `last`.
    pub(super) fn keep<S: Source>(&mut self, follower: &Follower<S>, last: bool, alarms: &Alarms) {
        let Some(checkpoint) = follower.checkpoint() else { return };
        if let Some((old, at)) = &self.written
            && (old == checkpoint || (!last && at.elapsed() < EVERY))
        {
            return;
        }
        let Some(position) = follower.position() else { return };
        match write_atomic(&self.path, &position, Mode::Private) {
            Ok(()) => {
                self.written = Some((checkpoint.clone(), Instant::now()));
                alarms.clear(TOPIC);
            }
            Err(error) => alarms.raise(TOPIC, "the position in the ledger cannot be kept", error),
        }
    }
}
