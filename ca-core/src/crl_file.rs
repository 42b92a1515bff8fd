//! CRLs in files, of this authority or of others. No home is needed.

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use ca_status::StatusError;
use ca_status::crl::CrlReader;

use crate::error::{AuthorityError, Result};

/// Bytes of a CRL in PEM at most: it is decoded in memory.
const MAX_PEM: u64 = 64 << 20;

/// What a CRL is read from.
pub trait Source: Read + Seek {}

impl<T: Read + Seek> Source for T {}

/// Opens a CRL, DER of any length, or PEM of at most 64 MiB.
///
/// # Errors
/// The file cannot be read, or is no CRL of version 2.
pub fn open(path: &Path) -> Result<CrlReader<Box<dyn Source>>> {
    let io = |error| unreadable(path, &StatusError::CrlRead(error));
    let mut file = File::open(path).map_err(io)?;
    let mut start = Vec::new();
    (&mut file).take(11).read_to_end(&mut start).map_err(io)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let source: Box<dyn Source> = if start == b"-----BEGIN " {
        let mut pem = Vec::new();
        file.take(MAX_PEM + 1).read_to_end(&mut pem).map_err(io)?;
        if pem.len() as u64 > MAX_PEM {
            return Err(AuthorityError::Input(format!(
                "{} is PEM of more than {MAX_PEM} bytes; give the CRL as DER, which may be of any length",
                path.display()
            )));
        }
        Box::new(Cursor::new(decode(path, &pem)?))
    } else {
        Box::new(file)
    };
    CrlReader::open(source).map_err(|error| unreadable(path, &error))
}

/// The error of reading a CRL from a file.
pub fn unreadable(path: &Path, error: &StatusError) -> AuthorityError {
    let path = path.display();
    match error {
        StatusError::CrlRead(error) => AuthorityError::Damaged(format!(
            "cannot read {path}: {error}; check the name and its permissions"
        )),
        error => AuthorityError::Input(format!("{path}: {error}; give a CRL of version 2, DER or PEM")),
    }
}

fn decode(path: &Path, pem: &[u8]) -> Result<Vec<u8>> {
    match der::pem::decode_vec(pem) {
        Ok(("X509 CRL", der)) => Ok(der),
        Ok((label, _)) => {
            Err(AuthorityError::Input(format!("{} is a {label}; give a CRL, DER or PEM", path.display())))
        }
        Err(error) => {
            Err(AuthorityError::Input(format!("{} is not PEM: {error}; give a CRL", path.display())))
        }
    }
}
