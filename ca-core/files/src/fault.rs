//! The operations that change files. With the feature `fault-injection` a test
//! can count them on its thread and make them fail, one or all from a point on, and
//! cut the power, which takes names that are not durable.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

#[cfg(feature = "fault-injection")]
mod injection;
#[cfg(feature = "fault-injection")]
mod names;
#[cfg(not(feature = "fault-injection"))]
#[path = "fault/no_names.rs"]
mod names;

#[cfg(feature = "fault-injection")]
pub use injection::{Counts, Failure, arm, counts, disarm, watch};

pub(crate) fn open(options: &OpenOptions, path: &Path) -> io::Result<File> {
    check(Op::Open)?;
    names::making(path, || options.open(path))
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

/// `handle` is that of the directory `dir`.
pub(crate) fn sync_dir(handle: &File, dir: &Path) -> io::Result<()> {
    sync(handle)?;
    names::synced(dir);
    Ok(())
}

pub(crate) fn set_len(file: &File, length: u64) -> io::Result<()> {
    check(Op::SetLen)?;
    file.set_len(length)
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    check(Op::Rename)?;
    names::moving(from, to, || fs::rename(from, to))
}

pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    check(Op::Remove)?;
    names::removing(path, || fs::remove_file(path))
}

pub(crate) fn create_dir(path: &Path, mode: u32) -> io::Result<()> {
    check(Op::CreateDir)?;
    names::making(path, || DirBuilder::new().mode(mode).create(path))
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
