//! Files that another program reads, and is told about when they were replaced.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{FileError, Mode, StagedFile, fault, leftovers, sync_dir, write_atomic};

/// How often a running command is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A file whose readers are told by a command that it was replaced.
///
/// A marker beside the file, `.NAME.untold`, lies there from before the file is
/// replaced until the command has succeeded. So a command that failed, or that a
/// crash prevented, is run later. One thread may replace the file while another
/// runs the command; clones are the same file.
#[derive(Clone, Debug)]
pub struct AnnouncedFile {
    path: PathBuf,
    mode: Mode,
    command: Vec<OsString>,
    /// File and marker change together.
    lock: Arc<Mutex<()>>,
}

/// Why the readers of a file do not know of its new content.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// The command cannot be started.
    #[error("{program:?} cannot be run: {source}")]
    NotRun {
        /// The first word of the command.
        program: OsString,
        /// Why not.
        source: io::Error,
    },
    /// The command failed.
    #[error("{program:?} ended with {status}")]
    Failed {
        /// The first word of the command.
        program: OsString,
        /// Its exit status.
        status: ExitStatus,
    },
    /// The command did not end in time.
    #[error("{program:?} was stopped after {} s", limit.as_secs())]
    TooLong {
        /// The first word of the command.
        program: OsString,
        /// The time that it had.
        limit: Duration,
    },
    /// The marker cannot be removed.
    #[error(transparent)]
    File(#[from] FileError),
}

impl AnnouncedFile {
    /// The file at `path`, and the command with its arguments; an empty one tells nobody.
    #[must_use]
    pub fn new(path: &Path, mode: Mode, command: Vec<OsString>) -> Self {
        Self { path: path.to_owned(), mode, command, lock: Arc::default() }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn marker(&self) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(".untold");
        self.path.with_file_name(name)
    }

    /// Replaces the file durably. Its readers are not told yet.
    ///
    /// # Errors
    /// As [`write_atomic`]; the old file is then in place.
    pub fn replace(&self, bytes: &[u8]) -> Result<(), FileError> {
        // Under a name of its own until it is whole: a timer and a daemon may both write.
        let staged = StagedFile::write_apart(&self.path, bytes, self.mode, &std::process::id().to_string())?;
        for left in leftovers(&self.path)? {
            left.remove()?;
        }
        let _lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.command.is_empty() {
            write_atomic(&self.marker(), b"", Mode::Private)?;
        }
        staged.publish().map(drop)
    }

    /// Whether the readers have still to be told.
    #[must_use]
    pub fn is_untold(&self) -> bool {
        !self.command.is_empty() && self.marker().symlink_metadata().is_ok()
    }

    /// Which replacement the marker stands for.
    fn untold(&self) -> Option<u64> {
        let _lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.marker().symlink_metadata().ok().map(|meta| meta.ino())
    }

    /// Runs the command, without a shell. Its output goes to our standard error,
    /// the file's name is in its environment variable `CHANGED_FILE`.
    ///
    /// It is killed with all that it started after `limit`, or when `stop` says so.
    ///
    /// # Errors
    /// The command did not succeed: [`AnnouncedFile::is_untold`] stays true.
    pub fn tell(&self, limit: Duration, stop: impl Fn() -> bool) -> Result<(), AnnounceError> {
        let Some((program, arguments)) = self.command.split_first() else { return Ok(()) };
        let untold = self.untold();
        let not_run = |source| AnnounceError::NotRun { program: program.clone(), source };
        let log = || io::stderr().as_fd().try_clone_to_owned().map(Stdio::from);
        let mut child = Command::new(program)
            .args(arguments)
            .env("CHANGED_FILE", &self.path)
            .stdin(Stdio::null())
            .stdout(log().map_err(not_run)?)
            .stderr(log().map_err(not_run)?)
            .process_group(0)
            .spawn()
            .map_err(not_run)?;
        let deadline = Instant::now() + limit;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(not_run)? {
                break status;
            }
            if stop() || Instant::now() >= deadline {
                end(&mut child);
                return Err(AnnounceError::TooLong { program: program.clone(), limit });
            }
            std::thread::sleep(LOOK);
        };
        if !status.success() {
            return Err(AnnounceError::Failed { program: program.clone(), status });
        }
        self.told(untold)
    }

    /// Removes the marker, unless the file was replaced again meanwhile.
    fn told(&self, untold: Option<u64>) -> Result<(), AnnounceError> {
        let _lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let marker = self.marker();
        if untold.is_none() || marker.symlink_metadata().ok().map(|meta| meta.ino()) != untold {
            return Ok(());
        }
        fault::remove_file(&marker).map_err(FileError::io("remove", &marker))?;
        Ok(sync_dir(crate::atomic::parent(&marker))?)
    }
}

/// Ends a command and what it started.
fn end(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // The group may have ended by itself meanwhile.
    let _ = group.map(|group| kill_process_group(group, Signal::KILL));
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn file(path: &Path, script: &str) -> AnnouncedFile {
        AnnouncedFile::new(path, Mode::Public, ["/bin/sh", "-c", script].map(OsString::from).to_vec())
    }

    #[test]
    fn told_once_after_each_replacement() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mail.ocsp");
        let announced = file(&path, "cat \"$CHANGED_FILE\" >> \"$CHANGED_FILE.told\"");
        announced.replace(b"one ").unwrap();
        assert!(announced.is_untold());
        announced.tell(LONG, || false).unwrap();
        assert!(!announced.is_untold());
        announced.replace(b"two").unwrap();
        announced.tell(LONG, || false).unwrap();
        assert_eq!(fs::read(dir.path().join("mail.ocsp.told")).unwrap(), b"one two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_failed_command_stays_due() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let failing = file(&path, "exit 3");
        failing.replace(b"1").unwrap();
        assert!(matches!(failing.tell(LONG, || false), Err(AnnounceError::Failed { .. })));
        assert!(failing.is_untold());
        let missing = AnnouncedFile::new(&path, Mode::Public, vec!["/nonexistent/reload".into()]);
        assert!(missing.tell(LONG, || false).unwrap_err().to_string().contains("/nonexistent/reload"));
        assert!(missing.is_untold());
        file(&path, "true").tell(LONG, || false).unwrap();
        assert!(!failing.is_untold());
    }

    #[test]
    fn a_command_that_hangs_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let fifo = dir.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        // The child of the command holds the other end of the pipe open.
        let hanging = file(&path, "sleep 600 > \"$CHANGED_FILE.pipe\" & wait");
        fs::rename(&fifo, dir.path().join("f.pipe")).unwrap();
        hanging.replace(b"1").unwrap();
        let reader = std::thread::spawn(move || fs::read(dir.path().join("f.pipe")).map(|_| dir));
        assert!(matches!(
            hanging.tell(Duration::from_millis(300), || false),
            Err(AnnounceError::TooLong { .. })
        ));
        // It ends only when nobody can write any more.
        let _dir = reader.join().unwrap().unwrap();
        assert!(matches!(hanging.tell(LONG, || true), Err(AnnounceError::TooLong { .. })));
    }

    #[test]
    fn replaced_again_while_the_command_runs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let announced = file(&path, "cat \"$CHANGED_FILE.pipe\"");
        assert!(Command::new("mkfifo").arg(dir.path().join("f.pipe")).status().unwrap().success());
        announced.replace(b"1").unwrap();
        let other = announced.clone();
        let telling = std::thread::spawn(move || other.tell(LONG, || false));
        // Opens only when the command runs and reads; it ends when this is dropped.
        let pipe = fs::OpenOptions::new().write(true).open(dir.path().join("f.pipe")).unwrap();
        announced.replace(b"2").unwrap();
        drop(pipe);
        telling.join().unwrap().unwrap();
        assert!(announced.is_untold());
    }

    #[test]
    fn nobody_to_tell() {
        let dir = tempfile::tempdir().unwrap();
        let silent = AnnouncedFile::new(&dir.path().join("f"), Mode::Public, Vec::new());
        silent.replace(b"1").unwrap();
        assert!(!silent.is_untold());
        silent.tell(LONG, || false).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
