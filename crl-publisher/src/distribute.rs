//! CRLs that are signed elsewhere, on an offline root for example: taken from a
//! file, checked, and published.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use ca_domain::Timestamp;
use ca_service::watch::Fingerprint;
use ca_service::{Alarms, Authority, Clock, Span};
use der::pem;

use crate::shelf::{PublishError, Published, Shelf};

/// The source is looked at this often even without file events.
const WAIT: Span = Span::seconds(5);
/// A longer source is no CRL of ours.
const MAX_BYTES: u64 = 256 << 20;
/// An alarm is raised this long before the CRL ends, or in the last tenth of its
/// life if that is shorter.
const WARN_BEFORE: Span = Span::days(14);

/// Why the source was not taken.
#[derive(Debug, thiserror::Error)]
enum SourceError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is not a CRL in DER or PEM")]
    Form { path: PathBuf },
    #[error("{path} is refused: {source}; the published CRL stays")]
    Refused { path: PathBuf, source: PublishError },
}

/// Publishes the CRLs of one authority from a file.
pub struct Distributor {
    /// The NAME of its files.
    pub name: String,
    /// The authority.
    pub authority: Authority,
    /// Where its CRL comes from.
    pub source: PathBuf,
    /// Where the CRLs go.
    pub shelf: Arc<Shelf>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Where alarms go.
    pub alarms: Alarms,
    /// What it remembers.
    pub memory: Memory,
}

/// What a distributor remembers from one call to the next.
#[derive(Debug, Default)]
pub struct Memory {
    last: Option<Published>,
    file: Option<Option<Fingerprint>>,
    taken: Option<Fingerprint>,
}

impl Distributor {
    /// Takes the source if it is new and acceptable; how long to wait for the next call.
    pub fn tick(&mut self) -> Span {
        let now = self.clock.now();
        self.look_at_file();
        let source = Fingerprint::of(&self.source);
        // What was refused is tried again: its time may have come.
        if source.is_none() || source != self.memory.taken {
            match self.take(now) {
                Ok(()) => {
                    self.memory.taken = source;
                    self.alarms.clear(&self.topic("source"));
                }
                Err(error) => {
                    self.alarms.raise(&self.topic("source"), "the CRL offered cannot be published", error);
                }
            }
        }
        self.check_age(now);
        WAIT
    }

    fn look_at_file(&mut self) {
        let file = Fingerprint::of(&self.shelf.path(&self.name));
        if self.memory.file == Some(file) {
            return;
        }
        self.memory.file = Some(file);
        match self.shelf.load(&self.name, &self.authority) {
            Ok(Some(found)) => {
                self.show(found);
                self.alarms.clear(&self.topic("file"));
            }
            Ok(None) => self.memory.last = None,
            Err(error) => {
                self.memory.last = None;
                self.alarms.raise(&self.topic("file"), "the published CRL is unusable", error);
            }
        }
        // Whatever is there now: the source may be the better one.
        self.memory.taken = None;
    }

    fn take(&mut self, now: Timestamp) -> Result<(), SourceError> {
        let path = || self.source.clone();
        let read = |source| SourceError::Read { path: path(), source };
        let length = fs::metadata(&self.source).map_err(read)?.len();
        if length > MAX_BYTES {
            return Err(SourceError::Form { path: path() });
        }
        let bytes = fs::read(&self.source).map_err(read)?;
        let der = to_der(bytes).ok_or_else(|| SourceError::Form { path: path() })?;
        let old = self.memory.last.as_ref();
        if old.is_some_and(|old| old.der == der) {
            return Ok(());
        }
        let new = self
            .shelf
            .replace(&self.name, &self.authority, old, &der, now)
            .map_err(|source| SourceError::Refused { path: path(), source })?;
        tracing::info!(authority = self.name, number = %new.number, "published a CRL");
        self.memory.file = Some(Fingerprint::of(&self.shelf.path(&self.name)));
        self.alarms.clear(&self.topic("file"));
        self.show(new);
        Ok(())
    }

    fn show(&mut self, published: Published) {
        let topic = self.topic("write");
        match self.shelf.show(&self.name, &published, published.window.next_update) {
            Ok(()) => self.alarms.clear(&topic),
            Err(error) => self.alarms.raise(&topic, "the PEM form of a CRL could not be written", error),
        }
        self.memory.last = Some(published);
    }

    fn check_age(&self, now: Timestamp) {
        let topic = self.topic("crl");
        let Some(last) = &self.memory.last else {
            self.alarms.raise(&topic, "there is no CRL", self.source.display());
            return;
        };
        let (from, to) = (last.window.this_update, last.window.next_update);
        let left = to.seconds_since(now);
        let todo = format!("it ends on {to}; sign the next and put it to {}", self.source.display());
        if left == 0 {
            self.alarms.raise(&topic, "the CRL has expired", todo);
        } else if left < WARN_BEFORE.as_secs().min(to.seconds_since(from) / 10) {
            self.alarms.raise(&topic, "the CRL expires soon", todo);
        } else {
            self.alarms.clear(&topic);
        }
    }

    fn topic(&self, what: &str) -> String {
        format!("{what} {}", self.name)
    }

    /// The files that are watched.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        vec![self.source.clone(), self.shelf.path(&self.name)]
    }
}

/// The DER of a CRL file; none if it is neither DER nor PEM.
fn to_der(bytes: Vec<u8>) -> Option<Vec<u8>> {
    if bytes.first() == Some(&0x30) {
        return Some(bytes);
    }
    let (label, der) = pem::decode_vec(bytes.trim_ascii_start()).ok()?;
    (label == "X509 CRL").then_some(der)
}
