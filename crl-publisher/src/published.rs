//! A CRL that was published, or is about to be: its file, and what it says.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use ca_service::Authority;
use ca_service::conditional::entity_tag;
use ca_status::StatusError;
use ca_status::crl::{CrlFrame, CrlNumber, CrlReader, WrittenCrl};

use crate::schedule::Window;

/// A CRL in a file that stays open: who replaces it takes nothing away from those
/// who read it.
#[derive(Clone, Debug)]
pub struct Published {
    /// The file, DER.
    pub file: Arc<File>,
    /// Its length in octets.
    pub length: u64,
    /// How many certificates it lists.
    pub entries: u64,
    /// All that it says but the list.
    pub frame: CrlFrame,
    /// Its number.
    pub number: CrlNumber,
    /// Of a delta CRL, the number of the CRL that it changes.
    pub base: Option<CrlNumber>,
    /// Its times.
    pub window: Window,
}

impl Published {
    /// Opens a CRL, of which only what does not change with time is checked: that
    /// `issuer` signed it, that nothing of it is unknown, and that every entry decodes,
    /// so that a broken list is never published.
    ///
    /// # Errors
    /// It cannot be read, or something is wrong with it.
    pub fn open(path: &Path, issuer: &Authority) -> Result<Self, StatusError> {
        let (file, mut reader) = open(path)?;
        reader.accept(&issuer.certificate)?;
        let mut entries = 0;
        for entry in reader.entries()? {
            entry?;
            entries += 1;
        }
        let frame = reader.frame().clone();
        Self::new(file, frame, entries)
    }

    /// Opens a CRL that was just written and read back; see [`CrlReader::accept_written`].
    ///
    /// # Errors
    /// It cannot be read, or something is wrong with it.
    pub fn written(path: &Path, issuer: &Authority, written: &WrittenCrl) -> Result<Self, StatusError> {
        let (file, reader) = open(path)?;
        reader.accept_written(&issuer.certificate, written)?;
        let frame = reader.frame().clone();
        Self::new(file, frame, written.entries)
    }

    fn new(file: File, frame: CrlFrame, entries: u64) -> Result<Self, StatusError> {
        let length = file.metadata().map_err(StatusError::CrlRead)?.len();
        let missing = || StatusError::CrlUnacceptable("it has no number or nextUpdate".to_owned());
        let number = frame.number()?.ok_or_else(missing)?;
        let next_update = frame.next_update.ok_or_else(missing)?;
        let window = Window { this_update: frame.this_update, next_update };
        let base = frame.base()?;
        Ok(Self { file: Arc::new(file), length, entries, number, base, window, frame })
    }

    /// A reader of its own: it shares no position with others.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn reader(&self) -> Result<CrlReader<FileReader>, StatusError> {
        CrlReader::open(FileReader::new(self.file.clone(), self.length))
    }

    /// A strong entity tag. The signature depends on every octet of the CRL.
    #[must_use]
    pub fn tag(&self) -> String {
        entity_tag(&[self.number.as_be_bytes(), &self.frame.signature].concat())
    }

    /// The octets from the first on.
    #[must_use]
    pub fn octets(&self) -> BufReader<FileReader> {
        BufReader::with_capacity(1 << 16, FileReader::new(self.file.clone(), self.length))
    }
}

fn open(path: &Path) -> Result<(File, CrlReader<File>), StatusError> {
    let file = File::open(path).map_err(StatusError::CrlRead)?;
    let reader = CrlReader::open(file.try_clone().map_err(StatusError::CrlRead)?)?;
    Ok((file, reader))
}

/// Whether both give the same octets.
///
/// # Errors
/// One of them cannot be read.
pub fn same_octets(left: &mut impl Read, right: &mut impl Read) -> io::Result<bool> {
    const PIECE: u64 = 1 << 16;
    let (mut a, mut b) = (Vec::new(), Vec::new());
    loop {
        a.clear();
        b.clear();
        left.take(PIECE).read_to_end(&mut a)?;
        right.take(PIECE).read_to_end(&mut b)?;
        if a != b || a.is_empty() {
            return Ok(a == b);
        }
    }
}

/// Reads a shared open file from a position of its own.
#[derive(Debug)]
pub struct FileReader {
    file: Arc<File>,
    at: u64,
    length: u64,
}

impl FileReader {
    /// The first `length` octets of `file`.
    #[must_use]
    pub const fn new(file: Arc<File>, length: u64) -> Self {
        Self { file, at: 0, length }
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use std::os::unix::fs::FileExt;
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for FileReader {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let at = match to {
            io::SeekFrom::Start(at) => Some(at),
            io::SeekFrom::End(by) => self.length.checked_add_signed(by),
            io::SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
