//! Passphrases.

mod source;

use std::fmt;
use std::io::Read;
use std::path::Path;

use ca_files::FileError;
use zeroize::Zeroizing;

use crate::SigningError;
pub use source::PassphraseSource;

/// The longest passphrase, in bytes.
const MAX_LEN: usize = 1024;

/// A passphrase: wiped when dropped, never shown.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes a passphrase as it is.
    #[must_use]
    pub fn from_string(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Reads a passphrase to the end of `reader`, one line end at the end not counted.
    ///
    /// For inherited descriptors and credentials whose access others guard.
    ///
    /// # Errors
    /// It cannot be read, is empty, longer than 1024 bytes, or not one line of UTF-8.
    pub fn from_reader(reader: impl Read) -> Result<Self, SigningError> {
        Self::read(reader, Path::new("the passphrase"))
    }

    fn read(reader: impl Read, path: &Path) -> Result<Self, SigningError> {
        // The capacity is never outgrown: no copy is left behind by a reallocation.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LEN + 3));
        reader.take(MAX_LEN as u64 + 3).read_to_end(&mut bytes).map_err(|source| FileError::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| SigningError::BadPassphrase("the passphrase is not UTF-8 text"))?;
        let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        if line.is_empty() {
            return Err(SigningError::BadPassphrase("the passphrase is empty"));
        }
        if line.len() > MAX_LEN {
            return Err(SigningError::BadPassphrase("the passphrase is longer than 1024 bytes"));
        }
        if line.contains(['\n', '\r', '\0']) {
            return Err(SigningError::BadPassphrase("the passphrase is more than one line of text"));
        }
        Ok(Self::from_string(line.to_owned()))
    }

    /// Reads a passphrase file that only its owner may read; one line end at the
    /// end does not count.
    ///
    /// # Errors
    /// As [`Passphrase::from_reader`], or others may read or change the file.
    pub fn load(path: &Path) -> Result<Self, SigningError> {
        let file = ca_files::open_private(path)?;
        Self::read(file, path).map_err(|error| error.in_file(path))
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn one_line_end_does_not_count() {
        for text in ["se cret", "se cret\n", "se cret\r\n"] {
            assert_eq!(Passphrase::from_reader(text.as_bytes()).unwrap().expose(), "se cret");
        }
        let long = "x".repeat(1024);
        assert_eq!(Passphrase::from_reader(format!("{long}\r\n").as_bytes()).unwrap().expose(), long);
        for bad in [&b""[..], b"\n", b"a\n\n", b"a\nb", b"\xff", "x".repeat(1025).as_bytes(), &[b'x'; 9000]] {
            assert!(Passphrase::from_reader(bad).is_err());
        }
    }

    #[test]
    fn is_never_shown() {
        assert!(!format!("{:?}", Passphrase::from_string("secret".into())).contains("secret"));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passphrase");
        std::fs::write(&path, "secret\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Passphrase::load(&path), Err(SigningError::File(FileError::Unsafe { .. }))));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(Passphrase::load(&path).unwrap().expose(), "secret");
        std::fs::write(&path, "a\nb\n").unwrap();
        let message = Passphrase::load(&path).unwrap_err().to_string();
        assert!(message.contains("passphrase: ") && message.contains("one line"), "{message}");
    }
}
