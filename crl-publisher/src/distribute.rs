//! CRLs that are signed elsewhere, on an offline root for example: taken from a
//! file, checked, and published.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek};
use std::path::PathBuf;
use std::sync::Arc;

use ca_domain::Timestamp;
use ca_service::watch::Fingerprint;
use ca_service::{Alarms, Authority, Clock, Span};
use ca_status::StatusError;
use ca_status::crl::{CrlReader, acceptable_successor};
use der::pem;

use crate::published::{Published, same_octets};
use crate::shelf::{PublishError, Shelf};
use crate::status::{CrlStatus, Told};

/// The source is looked at this often even without file events.
const WAIT: Span = Span::seconds(5);
/// A longer source in PEM is not taken: it is decoded in memory. DER may be of any length.
const MAX_PEM: u64 = 64 << 20;
/// Without another word an alarm is raised this long before the CRL ends, or in the
/// last tenth of its life if that is shorter.
const WARN_BEFORE: Span = Span::days(14);

const UNUSABLE: &str = "the published CRL is unusable";
const UNFIT: &str = "the CRL offered cannot be published";

/// What a CRL is read from.
trait Source: Read + Seek {}

impl<T: Read + Seek> Source for T {}

/// Why the source was not taken.
#[derive(Debug, thiserror::Error)]
enum SourceError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is not a CRL in DER, or in PEM of at most 64 MiB")]
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
    /// How long before the CRL ends somebody is reminded.
    pub remind: Option<Span>,
    /// What it remembers.
    pub memory: Memory,
}

/// What a distributor remembers from one call to the next.
#[derive(Debug, Default)]
pub struct Memory {
    last: Option<Published>,
    file: Option<Option<Fingerprint>>,
    taken: Option<Fingerprint>,
    is_standby: bool,
    /// Whether the files that are made of the CRL could not be written.
    is_unshown: bool,
    /// When the source was looked at last because it was new, and why it was refused if it was.
    result: Option<(Timestamp, Option<String>)>,
}

impl Distributor {
    /// Takes the source if it is new and acceptable; how long to wait for the next call.
    pub fn tick(&mut self) -> Span {
        let now = self.clock.now();
        self.look_at_file();
        if let Some(published) = self.memory.last.take_if(|_| self.memory.is_unshown) {
            self.show(published);
        }
        let source = Fingerprint::of(&self.source);
        // What was refused is tried again: its time may have come.
        if source.is_none() || source != self.memory.taken {
            match self.take(now) {
                Ok(()) => {
                    self.memory.result = Some((now, None));
                    self.memory.taken = source;
                    self.alarms.clear(&self.topic("source"));
                }
                Err(error) => {
                    let text = Some(error.to_string());
                    if self.memory.result.as_ref().is_none_or(|(_, told)| *told != text) {
                        self.memory.result = Some((now, text));
                    }
                    self.alarms.raise(&self.topic("source"), UNFIT, error);
                }
            }
        }
        self.check_age(now);
        WAIT
    }

    /// Looks at what another process publishes, and serves it.
    pub fn watch(&mut self) {
        self.memory.is_standby = true;
        self.look_at_file();
        // The files made of a CRL come after it.
        if let Some(published) = self.memory.last.take() {
            self.show(published);
        }
        self.alarms.clear(&self.topic("source"));
        self.check_age(self.clock.now());
    }

    /// Says in alarms how old the published CRL is, and whether the source could be published, for
    /// `--check`: nothing is served or written.
    pub fn survey(&mut self, told: Option<&Told>) {
        let now = self.clock.now();
        match self.shelf.load(&self.name, &self.authority) {
            Ok(found) => self.memory.last = found,
            Err(error) => self.alarms.raise(&self.topic("file"), UNUSABLE, error),
        }
        if self.memory.last.is_some() || told.is_some_and(|told| told.has_published(&self.name)) {
            self.check_age(now);
        }
        if let Err(error) = self.try_source(now) {
            self.alarms.raise(&self.topic("source"), UNFIT, error);
        }
    }

    /// Why the source could not be published.
    fn try_source(&self, now: Timestamp) -> Result<(), SourceError> {
        let Some(source) = self.news()? else { return Ok(()) };
        let old = self.memory.last.as_ref().map(|old| &old.frame);
        let fit = CrlReader::open(source).and_then(|mut crl| {
            crl.accept(&self.authority.certificate)?;
            acceptable_successor(old, crl.frame(), now)
        });
        let refused =
            |error: StatusError| SourceError::Refused { path: self.source.clone(), source: error.into() };
        fit.map_err(refused)
    }

    /// Forgets what it knows of the file: another process wrote it.
    pub fn take_over(&mut self) {
        self.memory = Memory::default();
        self.shelf.tidy(&self.name);
    }

    /// How its CRL is.
    #[must_use]
    pub fn status(&self) -> CrlStatus {
        let last = self.memory.last.as_ref();
        let (last_run, error) = self.memory.result.clone().unzip();
        CrlStatus {
            name: self.name.clone(),
            kind: "full",
            number: last.map(|last| last.number.to_string()),
            this_update: last.map(|last| last.window.this_update),
            next_update: last.map(|last| last.window.next_update),
            entries: last.map(|last| last.entries),
            bytes: last.map(|last| last.length),
            next_run: None,
            renew_by: last.map(|last| self.remind_at(last)),
            last_run,
            error: error.flatten(),
            pending_since: None,
            to_do: Some(self.to_do()),
        }
    }

    /// From when on somebody has to sign the next.
    fn remind_at(&self, last: &Published) -> Timestamp {
        let (from, to) = (last.window.this_update, last.window.next_update);
        let usual = WARN_BEFORE.as_secs().min(to.seconds_since(from) / 10);
        to.saturating_sub(self.remind.map_or(usual, Span::as_secs))
    }

    /// What is done at the ceremony, for as long as the last time.
    fn to_do(&self) -> String {
        let life = self.memory.last.as_ref().map(|last| last.window);
        let days = life.map_or(180, |life| life.next_update.seconds_since(life.this_update) / 86_400).max(1);
        let name = &self.name;
        format!(
            "sign the next with `ca --home HOME crl issue {name} --days {days} --out {name}.crl` where the key of \
             {name} is, and put it to {}",
            self.source.display()
        )
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
                self.alarms.raise(&self.topic("file"), UNUSABLE, error);
            }
        }
        // Whatever is there now: the source may be the better one.
        self.memory.taken = None;
    }

    /// The source, if it is another CRL than the published one.
    fn news(&self) -> Result<Option<Box<dyn Source>>, SourceError> {
        let path = || self.source.clone();
        let read = |source| SourceError::Read { path: path(), source };
        let mut source = self.open().map_err(read)?.ok_or_else(|| SourceError::Form { path: path() })?;
        if let Some(old) = &self.memory.last {
            if same_octets(&mut old.octets(), &mut source).map_err(read)? {
                return Ok(None);
            }
            source.rewind().map_err(read)?;
        }
        Ok(Some(source))
    }

    fn take(&mut self, now: Timestamp) -> Result<(), SourceError> {
        let Some(mut source) = self.news()? else { return Ok(()) };
        let old = self.memory.last.as_ref();
        let new = self
            .shelf
            .adopt(&self.name, &self.authority, old, now, &mut source)
            .map_err(|source| SourceError::Refused { path: self.source.clone(), source })?;
        tracing::info!(authority = self.name, number = %new.number, "published a CRL");
        self.memory.file = Some(Fingerprint::of(&self.shelf.path(&self.name)));
        self.alarms.clear(&self.topic("file"));
        self.show(new);
        Ok(())
    }

    /// The source in DER; none if it is neither DER nor PEM.
    fn open(&self) -> io::Result<Option<Box<dyn Source>>> {
        let mut file = File::open(&self.source)?;
        let mut first = [0];
        file.read_exact(&mut first)?;
        file.rewind()?;
        if first == [0x30] {
            return Ok(Some(Box::new(BufReader::with_capacity(1 << 16, file))));
        }
        let mut text = Vec::new();
        file.take(MAX_PEM + 1).read_to_end(&mut text)?;
        let decoded = pem::decode_vec(text.trim_ascii_start()).ok().filter(|_| text.len() as u64 <= MAX_PEM);
        let der = decoded.filter(|(label, _)| *label == "X509 CRL").map(|(_, der)| der);
        Ok(der.map(|der| Box::new(Cursor::new(der)) as Box<dyn Source>))
    }

    fn show(&mut self, published: Published) {
        let topic = self.topic("write");
        let until = published.window.next_update;
        let (result, summary) = if self.memory.is_standby {
            (self.shelf.follow(&self.name, &published, until), "what is published cannot be read")
        } else {
            (self.shelf.show(&self.name, &published, until), "the PEM form of a CRL could not be written")
        };
        self.memory.is_unshown = result.is_err();
        match result {
            Ok(()) => self.alarms.clear(&topic),
            Err(error) => self.alarms.raise(&topic, summary, error),
        }
        self.memory.last = Some(published);
    }

    fn check_age(&self, now: Timestamp) {
        let topic = self.topic("crl");
        let Some(last) = &self.memory.last else {
            self.alarms.raise(&topic, "there is no CRL", self.source.display());
            return;
        };
        let to = last.window.next_update;
        let todo = format!("it ends on {to}; {}", self.to_do());
        if to <= now {
            self.alarms.raise(&topic, "the CRL has expired", todo);
        } else if self.remind_at(last) <= now {
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
