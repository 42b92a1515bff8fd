//! What a staged file is written through. Tests can make the writes fail.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use crate::fault;

/// Writes.
pub(super) struct Plain(pub(super) File);

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        fault::write_all(&mut self.0, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Plain {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// Octets that are read back at once.
const PIECE: usize = 1 << 16;

/// Writes, reads what was written, and compares.
pub(super) struct ReadBack {
    file: Plain,
    /// Where the next octet goes.
    at: u64,
    buffer: Vec<u8>,
}

impl ReadBack {
    /// Writes to an empty file.
    pub(super) const fn new(file: File) -> Self {
        Self { file: Plain(file), at: 0, buffer: Vec::new() }
    }
}

impl Write for ReadBack {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        for piece in bytes[..count].chunks(PIECE) {
            self.buffer.resize(piece.len(), 0);
            self.file.0.read_exact_at(&mut self.buffer, self.at)?;
            if self.buffer != piece {
                let text =
                    format!("octets from {} on are not what was written when they are read back", self.at);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            self.at += piece.len() as u64;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for ReadBack {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.file.seek(to)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[test]
    fn what_is_not_kept_is_noticed() {
        // It takes everything, and reads as zeros.
        let zero = OpenOptions::new().read(true).write(true).open("/dev/zero").unwrap();
        let mut out = ReadBack::new(zero);
        out.write_all(&[0; 3 * PIECE + 1]).unwrap();
        let mut octets = vec![0; 2 * PIECE];
        octets[PIECE + 7] = 1;
        let error = out.write_all(&octets).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains(&format!("octets from {} on", 4 * PIECE + 1)), "{error}");
    }

    #[test]
    fn what_is_written_over_is_read_back_where_it_is() {
        let mut out = ReadBack::new(tempfile::tempfile().unwrap());
        out.seek(SeekFrom::Start(4)).unwrap();
        out.write_all(b"rest").unwrap();
        out.rewind().unwrap();
        out.write_all(b"head").unwrap();
        let mut all = [0; 8];
        out.file.0.read_exact_at(&mut all, 0).unwrap();
        assert_eq!(&all, b"headrest");
    }
}
