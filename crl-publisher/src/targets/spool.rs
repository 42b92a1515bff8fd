//! Files without a name, for what stands at a target: it may be longer than memory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::TargetError;

/// What is longer is no CRL; nothing beyond is read.
const MAX_BYTES: u64 = 4 << 30;

/// Makes nameless files in a private directory.
#[derive(Clone, Debug)]
pub struct Spool {
    path: PathBuf,
}

impl Spool {
    /// A spool in `directory`, which is there when a file is made, for target `name`.
    #[must_use]
    pub fn new(directory: &Path, name: &str) -> Self {
        Self { path: directory.join(format!(".{name}.spool")) }
    }

    /// An empty file that disappears when it is closed.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn file(&self) -> Result<File, TargetError> {
        if let Some(directory) = self.path.parent() {
            if let Some(above) = directory.parent() {
                ca_files::create_private_dir(above)?;
            }
            ca_files::create_private_dir(directory)?;
        }
        // What a crash left.
        let _ = fs::remove_file(&self.path);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = options.open(&self.path).map_err(TargetError::io("create", &self.path))?;
        fs::remove_file(&self.path).map_err(TargetError::io("remove", &self.path))?;
        Ok(file)
    }

    /// A file with all that `source` gives, at its beginning.
    ///
    /// # Errors
    /// It cannot be written, or `source` fails.
    pub fn take(&self, source: impl Read) -> Result<File, TargetError> {
        let mut file = self.file()?;
        let copied = io::copy(&mut source.take(MAX_BYTES), &mut file);
        copied.map_err(|error| TargetError::Failed(format!("what stands there cannot be read: {error}")))?;
        file.rewind().map_err(TargetError::io("read", &self.path))?;
        Ok(file)
    }
}
