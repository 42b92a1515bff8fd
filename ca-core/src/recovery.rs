//! Completing what a crash left between the commit and its files.
//!
//! A staged authority whose entry is in the ledger gets its name; one whose
//! entry is not there never existed, and its files go.

use std::fs;
use std::path::Path;

use ca_domain::Detail;
use ca_ledger::{EntryKind, LedgerReader};

use crate::authority::{CERTIFICATE, read_pem_certificates};
use crate::certify::from_base64;
use crate::create_authority::STAGED;
use crate::error::{AuthorityError, Result};
use crate::home::Home;
use crate::import_authority::replace_waiting;
use crate::init::io;

/// How many of the last entries can belong to the act that crashed: every writer
/// completes before it begins, so only the last commit of an authority counts.
const LAST: u64 = 4;

/// Whether a staged authority waits.
pub(crate) fn is_needed(home: &Home) -> bool {
    let staged = |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with(STAGED);
    fs::read_dir(home.authorities_dir()).is_ok_and(|entries| entries.flatten().any(staged))
}

pub(crate) fn complete(home: &Home, ledger: &LedgerReader, warn: &dyn Fn(&str)) -> Result<()> {
    let dir = home.authorities_dir();
    for entry in fs::read_dir(&dir).map_err(io("read", &dir))? {
        let entry = entry.map_err(io("read", &dir))?;
        let file_name = entry.file_name();
        let Some(name) = file_name.to_str().and_then(|name| name.strip_prefix(STAGED)) else { continue };
        if is_committed(ledger, name, &entry.path())? {
            if dir.join(name).join(CERTIFICATE).exists() {
                return Err(AuthorityError::AuthorityExists(name.to_owned()));
            }
            // An import has a directory with a waiting key already: its staged files
            // are all of it, so it gives way.
            replace_waiting(home, &entry.path(), name)?;
            warn(&format!("completed the creation of authority {name:?}, which had been interrupted"));
        } else {
            fs::remove_dir_all(entry.path()).map_err(io("remove", &entry.path()))?;
        }
    }
    Ok(())
}

fn is_committed(ledger: &LedgerReader, name: &str, staging: &Path) -> Result<bool> {
    let path = staging.join(CERTIFICATE);
    if !path.exists() {
        return Ok(false);
    }
    let certificates = read_pem_certificates(&path)?;
    let size = ledger.checkpoint().size;
    for position in size.saturating_sub(LAST)..size {
        if ledger.entry(position)?.kind != EntryKind::AuthorityCreated {
            continue;
        }
        let detail = Detail::from_bytes(&ledger.detail(position)?);
        if let Ok(Detail::AuthorityCreated { name: created, certificate, .. }) = detail
            && created == name
            && certificates.first() == Some(&from_base64(&certificate)?)
        {
            return Ok(true);
        }
    }
    Ok(false)
}
