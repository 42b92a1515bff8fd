//! Another directory, such as the root of a web server on a mounted share.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use ca_files::{Mode, StagedFile, create_dir_all};

use super::item::hash;
use super::{Before, Item, Standing, Target, TargetError};

/// Files below a directory, each replaced whole.
#[derive(Debug)]
pub struct DirectoryTarget {
    path: PathBuf,
}

impl DirectoryTarget {
    /// The directory at `path`, which must be there: an unmounted share is no target.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }
}

impl Target for DirectoryTarget {
    fn there(&self) -> Result<(), String> {
        if self.path.is_dir() {
            return Ok(());
        }
        Err(format!("{} is no directory; make it, or mount what belongs there", self.path.display()))
    }

    fn read(&mut self, item: &Item, _: Option<&str>) -> Result<Standing, TargetError> {
        let path = self.path.join(&item.path);
        match File::open(&path) {
            Ok(file) => Ok(Standing::Found(file, None)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Standing::Absent),
            Err(error) => Err(TargetError::io("read", &path)(error)),
        }
    }

    fn put(&mut self, item: &Item, _: &Before) -> Result<Option<String>, TargetError> {
        self.there().map_err(TargetError::Failed)?;
        let path = self.path.join(&item.path);
        if let Some(directory) = path.parent() {
            create_dir_all(directory, Mode::Public)?;
        }
        let mut source = item.reader().map_err(TargetError::io("read", &path))?;
        let staged =
            StagedFile::write_with(&path, Mode::Public, |file| io::copy(&mut source, file).map(drop))?;
        let temporary = staged.temporary().to_owned();
        let mut back = File::open(&temporary).map_err(TargetError::io("read back", &temporary))?;
        let found = hash(&mut back).map_err(TargetError::io("read back", &temporary))?;
        if found != item.look.sha256 {
            return Err(TargetError::Failed(format!(
                "{} does not hold what was written to it; check the disk",
                temporary.display()
            )));
        }
        staged.publish()?;
        Ok(None)
    }
}
