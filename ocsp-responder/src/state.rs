//! What the responder knew, in a file, so that it need not read the whole ledger
//! again when it starts.
//!
//! ```text
//! "chancery responder 1\n"
//! u32 length, the follower's position: a signed checkpoint and the edge of its tree
//! the status table, see ca_status::table
//! ```
//!
//! The position proves itself: the checkpoint is signed and the edge hashes to its
//! root, and the next checkpoint must continue it. The file is private; whoever can
//! write it can read the signer's key, too.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use ca_files::{FileError, Mode, Output, StagedFile};
use ca_service::{Alarms, LedgerFollower, StateDir};
use ca_status::StatusTable;
use ca_status::ocsp::Responder;
use ca_status::table::{SnapshotError, read_snapshot, write_snapshot};

const MAGIC: &[u8] = b"chancery responder 1\n";
const NAME: &str = "status";
const TOPIC: &str = "state file";
/// A position is a checkpoint and at most 255 hashes a level.
const LONGEST_POSITION: u32 = 1 << 20;
/// Entries that are read from the ledger again in no time; fewer are not worth a file.
const WORTH: u64 = 10_000;
/// Written this often while serving: the follower stands still for a second meanwhile.
const EVERY: u64 = 1_000_000;

/// The file, and how much of the ledger is in it.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    entries: u64,
}

/// A position and the table that belongs to it.
pub type State = (Vec<u8>, StatusTable);

impl StateFile {
    /// The file in `dir`, if it may be written, and what is in it. A file that cannot be
    /// used is as good as none: the ledger has all of it.
    ///
    /// # Errors
    /// The directory cannot be made, or others could write it.
    pub fn open(dir: StateDir<'_>, alarms: &Alarms) -> Result<(Option<Self>, Option<State>), FileError> {
        dir.prepare(alarms)?;
        let path = dir.path().join(NAME);
        let state = match ca_files::open_private(&path) {
            Ok(file) => read(file).map(Some).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "the state file is not used; the ledger is read");
                None
            }),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        let entries = state.as_ref().map_or(0, |(_, table)| table.next_index());
        Ok((dir.is_kept().then_some(Self { path, entries }), state))
    }

    /// What is in the file is not used.
    pub const fn forget(&mut self) {
        self.entries = 0;
    }

    /// Writes the state if much has happened since it was written, or something
    /// and the daemon ends.
    pub fn keep(&mut self, follower: &LedgerFollower<Responder>, alarms: &Alarms) {
        let Some(position) = follower.position() else { return };
        let responder = follower.view().read();
        // An entry that was left out is tried again by the next start, and alarms again.
        if responder.table().skipped() > 0 {
            return;
        }
        let new = responder.table().next_index().saturating_sub(self.entries);
        let enough = if follower.is_ending() || self.entries == 0 { WORTH } else { EVERY };
        if new < enough {
            return;
        }
        match write(&self.path, &position, responder.table()) {
            Ok(()) => {
                self.entries = responder.table().next_index();
                alarms.clear(TOPIC);
            }
            Err(error) => {
                // Not tried again with every tick.
                self.entries = responder.table().next_index();
                alarms.raise(TOPIC, "the state cannot be kept; the next start takes longer", error);
            }
        }
    }
}

fn write(path: &Path, position: &[u8], table: &StatusTable) -> Result<(), FileError> {
    let fill = |out: &mut dyn Output| {
        out.write_all(MAGIC)?;
        let length = u32::try_from(position.len()).map_err(io::Error::other)?;
        out.write_all(&length.to_be_bytes())?;
        out.write_all(position)?;
        write_snapshot(table, out).map_err(io::Error::other)
    };
    StagedFile::write_with(path, Mode::Private, fill)?.publish()?;
    Ok(())
}

fn read(file: File) -> Result<State, SnapshotError> {
    let mut from = BufReader::with_capacity(1 << 18, file);
    let mut magic = [0; MAGIC.len()];
    from.read_exact(&mut magic)?;
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if magic != *MAGIC || length > LONGEST_POSITION {
        return Err(SnapshotError::Damaged("it begins otherwise"));
    }
    let mut position = Vec::new();
    from.by_ref().take(length.into()).read_to_end(&mut position)?;
    let table = read_snapshot(&mut from)?;
    Ok((position, table))
}
