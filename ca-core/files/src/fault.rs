//! The operations that change files. With the feature `fault-injection` a test
//! can count them on its thread and make them fail, one or all from a point on.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

#[cfg(feature = "fault-injection")]
pub use injection::{Counts, Failure, arm, counts, disarm};

pub(crate) fn open(options: &OpenOptions, path: &Path) -> io::Result<File> {
    check(Op::Open)?;
    options.open(path)
}

pub(crate) fn write_all(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    if let Err(error) = check(Op::Write) {
        // A full disk cuts a write anywhere.
        file.write_all(&bytes[..bytes.len() / 2])?;
        return Err(error);
    }
    file.write_all(bytes)
}

pub(crate) fn sync(file: &File) -> io::Result<()> {
    check(Op::Sync)?;
    file.sync_all()
}

pub(crate) fn set_len(file: &File, length: u64) -> io::Result<()> {
    check(Op::SetLen)?;
    file.set_len(length)
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    check(Op::Rename)?;
    fs::rename(from, to)
}

pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    check(Op::Remove)?;
    fs::remove_file(path)
}

pub(crate) fn create_dir(path: &Path, mode: u32) -> io::Result<()> {
    check(Op::CreateDir)?;
    DirBuilder::new().mode(mode).create(path)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Op {
    Open,
    Write,
    Sync,
    SetLen,
    Rename,
    Remove,
    CreateDir,
}

#[cfg(not(feature = "fault-injection"))]
#[allow(clippy::unnecessary_wraps, clippy::missing_const_for_fn)]
fn check(_: Op) -> io::Result<()> {
    Ok(())
}

#[cfg(feature = "fault-injection")]
use injection::check;

#[cfg(feature = "fault-injection")]
mod injection {
    use std::cell::Cell;
    use std::io;

    use super::Op;

    /// What happened on this thread since [`disarm`] or [`arm`].
    #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
    pub struct Counts {
        /// All operations that change files, fsyncs included.
        pub operations: u64,
        /// fsyncs of files and directories.
        pub syncs: u64,
    }

    /// How operations fail.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    pub enum Failure {
        /// One operation fails with this error; the rest work.
        Once(io::ErrorKind),
        /// This and all later ones fail, cleaning up included: what is on disk
        /// is what a process killed here would leave.
        Crash,
    }

    thread_local! {
        static COUNTS: Cell<Counts> = const { Cell::new(Counts { operations: 0, syncs: 0 }) };
        static ARMED: Cell<Option<(u64, Failure)>> = const { Cell::new(None) };
    }

    /// Makes operation number `at` of this thread, counted from zero and from
    /// now, fail.
    pub fn arm(at: u64, failure: Failure) {
        COUNTS.set(Counts::default());
        ARMED.set(Some((at, failure)));
    }

    /// Lets everything work again, and counts from zero.
    pub fn disarm() {
        ARMED.set(None);
        COUNTS.set(Counts::default());
    }

    /// What was counted.
    #[must_use]
    pub fn counts() -> Counts {
        COUNTS.get()
    }

    pub(super) fn check(op: Op) -> io::Result<()> {
        let mut counts = COUNTS.get();
        let number = counts.operations;
        counts.operations += 1;
        counts.syncs += u64::from(op == Op::Sync);
        COUNTS.set(counts);
        match ARMED.get() {
            Some((at, Failure::Once(kind))) if number == at => Err(kind.into()),
            Some((at, Failure::Crash)) if number >= at => Err(io::Error::other("killed")),
            _ => Ok(()),
        }
    }
}
