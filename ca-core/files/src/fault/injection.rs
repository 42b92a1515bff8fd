//! What tests make happen.

use std::cell::Cell;
use std::io;
use std::path::Path;

use super::{Op, names};

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
    /// As [`Failure::Crash`], and names below the directory of [`watch`] that were made since, by any
    /// thread, are gone unless their directory was fsynced.
    PowerCut,
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

/// Remembers the names that are made below `root`, until [`disarm`], for a power cut of this thread.
pub fn watch(root: &Path) {
    names::watch(root);
}

/// Lets everything work again, and counts from zero.
pub fn disarm() {
    ARMED.set(None);
    COUNTS.set(Counts::default());
    names::unwatch();
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
        Some((at, Failure::PowerCut)) if number >= at => {
            // Nothing is made any more by this thread; what others make after it was not there at the cut.
            names::cut();
            Err(io::Error::other("without power"))
        }
        _ => Ok(()),
    }
}
