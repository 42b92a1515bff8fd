//! Reading what a responder put where requests are looked for.
//!
//! Whoever can write there becomes an OCSP signer, so the file must belong to
//! the user that the configuration names, or to us.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use ca_files::FileError;

use crate::error::{AuthorityError, Result};
use crate::init::io;

/// Octets of a request at most.
const MAX_BYTES: u64 = 64 * 1024;

/// Opens what others may have put there: no link is followed, and a pipe does not
/// make us wait.
fn open(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// Whether there is a file with these bytes.
pub(super) fn holds(path: &Path, bytes: &[u8]) -> bool {
    let Ok(file) = open(path) else { return false };
    let mut there = Vec::new();
    let read = file.take(bytes.len() as u64 + 1).read_to_end(&mut there);
    read.is_ok() && there == bytes
}

/// The bytes of a request; none if there is none.
pub(super) fn read_request(path: &Path, owner: Option<u32>) -> Result<Option<Vec<u8>>> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("open", path)(error)),
    };
    let meta = file.metadata().map_err(io("read", path))?;
    let refuse =
        |what, todo: String| AuthorityError::File(FileError::Unsafe { path: path.to_owned(), what, todo });
    if !meta.is_file() {
        return Err(refuse("is not a file", "put the request there".into()));
    }
    let us = rustix::process::geteuid().as_raw();
    if ![Some(us), Some(0), owner].contains(&Some(meta.uid())) {
        let todo = format!(
            "if user {} may ask for OCSP signers, write `owner: {}` in ca.yaml",
            meta.uid(),
            meta.uid()
        );
        return Err(refuse("belongs to another user", todo));
    }
    if meta.mode() & 0o022 != 0 {
        let todo = format!("run `chmod go-w {}` after you made sure that it was not misused", path.display());
        return Err(refuse("can be changed by others", todo));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(io("read", path))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(AuthorityError::Refused(format!("{} is too long for a request", path.display())));
    }
    Ok(Some(bytes))
}
