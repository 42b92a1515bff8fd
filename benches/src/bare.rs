//! What the disk asks for, without a ledger: the same number of files written,
//! fsynced and renamed, and the same number of directories fsynced.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, fail};

/// The fsyncs of one commit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Syncs {
    /// Of files.
    pub files: f64,
    /// Of directories.
    pub directories: f64,
}

impl Syncs {
    /// Both.
    #[must_use]
    pub fn total(self) -> f64 {
        self.files + self.directories
    }
}

/// Writes as many bytes in as many files as a commit, with as many fsyncs.
///
/// It overwrites the same names each time, which is the cheapest that a file
/// system offers for a durable, atomic write.
#[derive(Debug)]
pub struct Bare {
    dir: PathBuf,
    files: usize,
    directories: usize,
    content: Vec<u8>,
}

impl Bare {
    /// Commits of `syncs` each, which write `bytes` in all.
    #[must_use]
    pub fn new(dir: &Path, syncs: Syncs, bytes: usize) -> Self {
        let (files, directories) = (syncs.files.round() as usize, syncs.directories.round() as usize);
        Self { dir: dir.to_owned(), files, directories, content: vec![0x5a; bytes / files.max(1)] }
    }

    /// One commit.
    ///
    /// # Errors
    /// The disk fails.
    pub fn commit(&self) -> io::Result<()> {
        let names: Vec<_> = (0..self.files)
            .map(|number| (self.dir.join(format!("{number}.tmp")), self.dir.join(number.to_string())))
            .collect();
        for (temporary, _) in &names {
            let mut file = File::create(temporary)?;
            file.write_all(&self.content)?;
            file.sync_all()?;
        }
        for (temporary, name) in &names {
            fs::rename(temporary, name)?;
        }
        (0..self.directories).try_for_each(|_| File::open(&self.dir)?.sync_all())
    }
}

/// Runs this program again with `arguments` under strace and counts its fsyncs.
///
/// # Errors
/// strace is not installed or may not trace, or the program failed.
pub fn count(arguments: &[&str], scratch: &Path) -> Result<Syncs> {
    let log = scratch.join("strace.log");
    let output = Command::new("strace")
        .args(["-f", "-qq", "-y", "-e", "trace=fsync,fdatasync", "-o"])
        .arg(&log)
        .arg(std::env::current_exe()?)
        .args(arguments)
        .output()
        .map_err(|error| fail(format!("cannot run strace: {error}; install it (apt install strace)")))?;
    if !output.status.success() {
        return Err(fail(String::from_utf8_lossy(&output.stderr)));
    }
    let text = fs::read_to_string(&log)?;
    fs::remove_file(&log)?;
    let mut syncs = Syncs { files: 0.0, directories: 0.0 };
    // PID fsync(3</path/of/file>) = 0
    for line in text.lines().filter(|line| line.contains("sync(")) {
        let path = line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(path, _)| path);
        // Files are written under a temporary name, or are still there; what is
        // neither is a directory, perhaps one that was removed since.
        if path.is_some_and(|path| path.ends_with(".tmp") || Path::new(path).is_file()) {
            syncs.files += 1.0;
        } else {
            syncs.directories += 1.0;
        }
    }
    Ok(syncs)
}
