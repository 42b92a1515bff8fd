//! Making a home.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ca_domain::Timestamp;
use ca_domain::template;
use ca_files::{Mode, WriteLock, create_private_dir, sync_dir, write_atomic};
use ca_ledger::{LedgerKey, LedgerWriter};

use crate::config::{HomeConfig, UrlPatterns};
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};

/// What `ca init` is told.
#[derive(Clone, Debug)]
pub struct InitRequest {
    /// The ledger's origin: a name without scheme, `pki.example.test/chancery`.
    pub origin: String,
    /// Where relying parties find revocation data.
    pub urls: UrlPatterns,
}

const UNFINISHED: &str = ".init-unfinished";
/// What an interrupted `ca init` may have left; `ca.yaml` would have been the last.
const PARTS: [&str; 6] =
    ["keys", "ledger", "templates", "authorities", "ocsp-responder.yaml", "crl-publisher.yaml"];

/// Makes a home at `root`: ledger and its key, templates, configuration and
/// example configurations of the daemons. `ca.yaml` comes last: a home without
/// it is unfinished, and the next `ca init` begins again.
///
/// # Errors
/// A home or other files are there already, or the disk fails.
pub fn init(root: &Path, request: &InitRequest, now: Timestamp, wait: &Wait<'_>) -> Result<Home> {
    prepare(root)?;
    let lock = WriteLock::acquire(&root.join("lock"), wait.timeout, wait.purpose)?;
    if root.join("ca.yaml").exists() {
        return Err(AuthorityError::HomeExists(root.display().to_string()));
    }
    // Only now: before the lock, these were another `ca init`'s.
    for part in PARTS {
        remove(&root.join(part))?;
    }
    for directory in ["keys", "templates", "authorities"] {
        create_private_dir(&root.join(directory))?;
    }
    for (name, text) in template::shipped() {
        write_atomic(&root.join("templates").join(format!("{name}.yaml")), text.as_bytes(), Mode::Private)?;
    }
    let key = LedgerKey::generate(&request.origin)?;
    key.save(&root.join("keys/ledger.key"))?;
    let config = HomeConfig {
        version: 1,
        ledger_vkey: key.vkey(),
        urls: request.urls.clone(),
        pair: Default::default(),
        maintain: Default::default(),
        authorities: Default::default(),
    };
    LedgerWriter::create(&root.join("ledger"), key, now)?;
    for (name, text) in example_configs(root, &config) {
        write_atomic(&root.join(name), text.as_bytes(), Mode::Private)?;
    }
    write_atomic(&root.join("ca.yaml"), config.to_yaml().as_bytes(), Mode::Private)?;
    // The home is complete; the marker only says so once more.
    remove(&root.join(UNFINISHED))?;
    sync_dir(root)?;
    drop(lock);
    Home::open(root)
}

/// An empty directory with the marker of an unfinished home.
fn prepare(root: &Path) -> Result<()> {
    if root.join("ca.yaml").exists() {
        // A crash between ca.yaml and the removal of the marker: the home is whole.
        let _ = fs::remove_file(root.join(UNFINISHED));
        return Err(AuthorityError::HomeExists(root.display().to_string()));
    }
    if !root.exists()
        && let Some(parent) = root.parent().filter(|parent| !parent.as_os_str().is_empty())
    {
        ca_files::create_dir_all(parent, Mode::Private)?;
    }
    create_private_dir(root)?;
    let marker = root.join(UNFINISHED);
    if marker.exists() {
        return Ok(());
    }
    let mut entries = fs::read_dir(root).map_err(io("read", root))?;
    if let Some(entry) = entries.next() {
        let name = entry.map_err(io("read", root))?.file_name();
        return Err(AuthorityError::Refused(format!(
            "{} is not empty (it holds {name:?}); choose an empty or a new directory with --home",
            root.display()
        )));
    }
    // Empty, so it is whole as soon as it is there: no temporary file that a crash
    // would leave in a directory which must be empty.
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(&marker).map_err(io("create", &marker))?;
    Ok(sync_dir(root)?)
}

fn remove(path: &Path) -> Result<()> {
    let done = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match done {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("remove", path)(error)),
        _ => Ok(()),
    }
}

pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> AuthorityError {
    let path = path.to_owned();
    move |source| AuthorityError::File(ca_files::FileError::Io { action, path, source })
}

fn example_configs(root: &Path, config: &HomeConfig) -> [(&'static str, String); 2] {
    let home = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let fill = |text: &str| {
        text.replace("@HOME@", &home.display().to_string()).replace("@VKEY@", &config.ledger_vkey)
    };
    [
        ("ocsp-responder.yaml", fill(include_str!("init/ocsp-responder.yaml"))),
        ("crl-publisher.yaml", fill(include_str!("init/crl-publisher.yaml"))),
    ]
}
