//! Requests at the authority: the request as it went out, and its private key
//! under a passphrase.
//!
//! ```text
//! escrow/requests/ID/request.json
//! escrow/requests/ID/key.pem        removed when the request is completed
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use ca_files::{FileError, Mode, StagedFile, check_private, create_private_dir, sync_dir};
use ca_signing::{KdfCost, Passphrase, SoftwareKey};

use crate::policy::io;
use crate::request::parse_id;
use crate::{EscrowError, RecoveryRequest};

/// The directory of a request.
///
/// # Errors
/// The identifier is malformed.
pub fn request_path(dir: &Path, id: &str) -> Result<PathBuf, EscrowError> {
    parse_id(id)?;
    Ok(dir.join("requests").join(id))
}

/// The files of a request, written but not yet in place.
#[derive(Debug)]
pub struct RequestFiles {
    request: StagedFile,
    key: StagedFile,
}

impl RequestFiles {
    /// Writes both under temporary names.
    ///
    /// # Errors
    /// They cannot be written, or the passphrase is empty.
    pub fn stage(
        dir: &Path,
        request: &RecoveryRequest,
        key: &SoftwareKey,
        passphrase: &Passphrase,
        cost: KdfCost,
    ) -> Result<Self, EscrowError> {
        let path = request_path(dir, &request.id)?;
        let pem = key.to_encrypted_pem(passphrase, cost)?;
        for made in [dir, dir.join("requests").as_path(), path.as_path()] {
            create_private_dir(made)?;
        }
        Ok(Self {
            request: StagedFile::write(&path.join("request.json"), &request.to_bytes()?, Mode::Private)?,
            key: StagedFile::write(&path.join("key.pem"), pem.as_bytes(), Mode::Private)?,
        })
    }

    /// Gives both their names.
    ///
    /// # Errors
    /// A rename failed.
    pub fn publish(self) -> Result<(), FileError> {
        self.key.publish()?;
        self.request.publish().map(drop)
    }

    /// Reads the request as it went out.
    ///
    /// # Errors
    /// There is none of that identifier, or it is unsafe or malformed.
    pub fn request(dir: &Path, id: &str) -> Result<(RecoveryRequest, Vec<u8>), EscrowError> {
        let path = request_path(dir, id)?.join("request.json");
        check_private(&path)?;
        let bytes = fs::read(&path).map_err(io("read", &path))?;
        Ok((RecoveryRequest::from_bytes(&bytes)?, bytes))
    }

    /// Reads the request's private key.
    ///
    /// # Errors
    /// It is gone, unsafe, or the passphrase is wrong.
    pub fn key(dir: &Path, id: &str, passphrase: &Passphrase) -> Result<SoftwareKey, EscrowError> {
        Ok(SoftwareKey::load(&request_path(dir, id)?.join("key.pem"), Some(passphrase))?)
    }
}

/// Removes the private key of a request that was completed: its contributions are
/// worth nothing from then on.
///
/// # Errors
/// The file cannot be removed.
pub fn remove_request_key(dir: &Path, id: &str) -> Result<(), EscrowError> {
    let path = request_path(dir, id)?;
    let key = path.join("key.pem");
    match fs::remove_file(&key) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("remove", &key)(error)),
        _ => Ok(sync_dir(&path)?),
    }
}
