//! The private records: a file for each entry bundle, of frames
//! `[u32 length, big-endian][bytes]`, appended in place.
//!
//! A crash may leave bytes behind the committed frames; the next writer cuts
//! them off. Nothing before them is ever written again.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::LedgerError;
use crate::layout::{details_path, in_dir};

/// The longest record: 16 MiB. It bounds what a damaged length can ask for.
pub const MAX_DETAIL: usize = 16 << 20;

/// Appends one frame to `frames`.
pub(crate) fn push(frames: &mut Vec<u8>, detail: &[u8]) -> Result<(), LedgerError> {
    let length = u32::try_from(detail.len()).ok().filter(|_| detail.len() <= MAX_DETAIL);
    let length = length.ok_or(LedgerError::DetailTooLong { length: detail.len(), limit: MAX_DETAIL })?;
    frames.extend(length.to_be_bytes());
    frames.extend(detail);
    Ok(())
}

/// Reads the records of one bundle in their order.
pub(crate) struct Details {
    file: BufReader<File>,
    path: String,
    next: u64,
    /// Bytes before the next frame.
    offset: u64,
    length: u64,
}

impl Details {
    pub(crate) fn open(dir: &Path, bundle: u64) -> Result<Self, LedgerError> {
        let path = details_path(bundle);
        let open = || -> io::Result<_> {
            let file = File::open(in_dir(dir, &path))?;
            let length = file.metadata()?.len();
            Ok((BufReader::new(file), length))
        };
        match open() {
            Ok((file, length)) => Ok(Self { file, path, next: 0, offset: 0, length }),
            Err(error) => Err(LedgerError::damaged(path, format!("it cannot be opened ({error})"))),
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Bytes before the next frame.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes from the next frame to the end of the file as it was opened.
    pub(crate) const fn remaining(&self) -> u64 {
        self.length.saturating_sub(self.offset)
    }

    /// The next record.
    pub(crate) fn read(&mut self) -> Result<Vec<u8>, LedgerError> {
        let length = self.header()?;
        let mut detail = vec![0; length as usize];
        self.file.read_exact(&mut detail).map_err(|error| self.failed(&error))?;
        self.passed(length);
        Ok(detail)
    }

    /// Passes over `count` records.
    pub(crate) fn skip(&mut self, count: u64) -> Result<(), LedgerError> {
        for _ in 0..count {
            let length = self.header()?;
            self.file.seek_relative(i64::from(length)).map_err(|error| self.failed(&error))?;
            self.passed(length);
        }
        Ok(())
    }

    fn header(&mut self) -> Result<u32, LedgerError> {
        let mut length = [0; 4];
        self.file.read_exact(&mut length).map_err(|error| self.failed(&error))?;
        let length = u32::from_be_bytes(length);
        if length as usize > MAX_DETAIL || self.offset + 4 + u64::from(length) > self.length {
            return Err(self.damaged(format!("record {} reaches beyond the end of the file", self.next)));
        }
        Ok(length)
    }

    fn passed(&mut self, length: u32) {
        self.offset += 4 + u64::from(length);
        self.next += 1;
    }

    fn failed(&self, error: &io::Error) -> LedgerError {
        self.damaged(format!("record {} cannot be read ({error})", self.next))
    }

    fn damaged(&self, what: String) -> LedgerError {
        LedgerError::damaged(&self.path, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_skipped_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("details")).unwrap();
        let mut frames = Vec::new();
        for detail in [&b"one"[..], b"", b"three"] {
            push(&mut frames, detail).unwrap();
        }
        let path = dir.path().join(details_path(0));
        std::fs::write(&path, [&frames[..], b"junk"].concat()).unwrap();
        let mut details = Details::open(dir.path(), 0).unwrap();
        details.skip(2).unwrap();
        assert_eq!(details.read().unwrap(), b"three");
        assert_eq!((details.offset(), details.remaining()), (frames.len() as u64, 4));
        assert!(details.read().is_err());

        std::fs::write(&path, [0xff, 0xff, 0xff, 0xff]).unwrap();
        assert!(Details::open(dir.path(), 0).unwrap().read().is_err());
        assert!(Details::open(dir.path(), 1).is_err());
    }
}
