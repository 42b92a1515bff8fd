//! One staple: its certificate, its file, its command.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ca_domain::Timestamp;
use ca_files::AnnouncedFile;
use ca_service::watch::Fingerprint;
use ca_service::{Alarms, authority};
use ca_status::ocsp::{Staple, StapleSubject};
use x509_cert::Certificate;

use super::{StapleConfig, TOPICS};

/// How long a reload command may run.
const RELOAD: Duration = Duration::from_secs(60);
/// A failed command is tried again after this time at first, then after twice as long each time.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(600);

/// Keeps the file of one staple.
#[derive(Debug)]
pub(super) struct Slot {
    certificate: PathBuf,
    issuers: Vec<Certificate>,
    file: AnnouncedFile,
    /// What tells the server, if something does.
    pub(super) reload: Option<Arc<Mutex<Reload>>>,
    topic: String,
    subject: Option<StapleSubject>,
    /// Of the certificate's file when it was last read.
    read: Option<Fingerprint>,
    /// What is in the file, and the file's fingerprint then.
    stored: Option<Staple>,
    seen: Option<Fingerprint>,
}

impl Slot {
    pub(super) fn new(config: &StapleConfig, issuers: &[Certificate]) -> Self {
        let name = config.out.file_name().unwrap_or_default().to_string_lossy();
        let command: Vec<OsString> = config.reload.iter().map(OsString::from).collect();
        let topic = format!("{TOPICS}{name}");
        let has_command = !command.is_empty();
        let file = AnnouncedFile::new(&config.out, config.mode.into(), command);
        let reload = has_command.then(|| Arc::new(Mutex::new(Reload::new(file.clone(), &topic))));
        Self {
            certificate: config.certificate.clone(),
            issuers: issuers.to_vec(),
            file,
            reload,
            topic,
            subject: None,
            read: None,
            stored: None,
            seen: None,
        }
    }

    pub(super) fn files(&self) -> [PathBuf; 2] {
        [self.certificate.clone(), self.file.path().to_owned()]
    }

    /// Reads the certificate if it is a new one; whether there is one to work with.
    pub(super) fn load(&mut self, alarms: &Alarms) -> bool {
        let fingerprint = Fingerprint::of(&self.certificate);
        if self.subject.is_some() && self.read == fingerprint {
            return true;
        }
        match read(&self.certificate, &self.issuers) {
            Ok(subject) => {
                tracing::info!(topic = self.topic, "the certificate was read");
                (self.subject, self.read, self.seen) = (Some(subject), fingerprint, None);
                true
            }
            // The answers about the old certificate go on: the server still has it.
            Err(problem) => {
                let what = "the certificate of a staple cannot be used";
                alarms.raise(&self.topic, what, problem);
                false
            }
        }
    }

    pub(super) fn tick(&mut self, ask: &dyn Fn(&[u8]) -> Vec<u8>, now: Timestamp, alarms: &Alarms) {
        let loaded = self.load(alarms);
        let Some(subject) = &self.subject else { return };
        let seen = Fingerprint::of(self.file.path());
        if seen.is_none() || seen != self.seen {
            let bytes = std::fs::read(self.file.path()).ok();
            self.stored = bytes.and_then(|der| subject.judge(&der, now).ok());
            self.seen = seen;
        }
        let answer = match subject.judge(&ask(subject.request()), now) {
            Ok(answer) => answer,
            Err(problem) => {
                let until = self.stored.as_ref().filter(|stored| stored.next_update > now);
                let until = until.map_or("there is none on the disk".to_owned(), |stored| {
                    format!("that on the disk ends on {}", stored.next_update)
                });
                let what = "there is no new answer for a staple";
                alarms.raise(&self.topic, what, format!("{problem}; {until}"));
                return;
            }
        };
        if self.wants(&answer, now)
            && let Err(problem) = self.replace(answer)
        {
            alarms.raise(&self.topic, "a staple cannot be written", problem);
        } else if loaded {
            alarms.clear(&self.topic);
        }
    }

    /// Whether an answer has to go into the file: not each that was signed anew. It
    /// comes from this very responder, so it is the latest whatever the clock did.
    fn wants(&self, answer: &Staple, now: Timestamp) -> bool {
        self.stored.as_ref().is_none_or(|stored| {
            let due = stored.renew_at() <= now || stored.this_update > now;
            answer.state != stored.state || (due && answer.der != stored.der)
        })
    }

    fn replace(&mut self, answer: Staple) -> Result<(), ca_files::FileError> {
        self.file.replace(&answer.der)?;
        tracing::info!(topic = self.topic, state = ?answer.state, until = %answer.next_update, "staple written");
        self.stored = Some(answer);
        self.seen = Fingerprint::of(self.file.path());
        Ok(())
    }
}

fn read(path: &Path, issuers: &[Certificate]) -> Result<StapleSubject, String> {
    let shown = path.display();
    let certificates = authority::load_certificates(path).map_err(|error| error.to_string())?;
    let certificate = certificates.first().ok_or_else(|| format!("{shown} holds no certificate"))?;
    StapleSubject::new(certificate, issuers)
        .map_err(|error| format!("{shown}: {error}; the responder must answer for its issuer"))
}

/// The command that tells the server of one staple.
#[derive(Debug)]
pub(super) struct Reload {
    file: AnnouncedFile,
    topic: String,
    wait: Duration,
    not_before: Option<Instant>,
}

impl Reload {
    fn new(file: AnnouncedFile, topic: &str) -> Self {
        Self { file, topic: format!("{topic} command"), wait: FIRST_RETRY, not_before: None }
    }

    /// Of its alarm.
    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// Runs the command if the server does not know the file's content yet.
    pub(super) fn tick(&mut self, alarms: &Alarms, stop: impl Fn() -> bool) {
        if !self.file.is_untold() || self.not_before.is_some_and(|time| Instant::now() < time) {
            return;
        }
        match self.file.tell(RELOAD, &stop) {
            Ok(()) => {
                tracing::info!(topic = self.topic, "the command was run");
                (self.wait, self.not_before) = (FIRST_RETRY, None);
                alarms.clear(&self.topic);
            }
            Err(_) if stop() => {}
            Err(problem) => {
                alarms.raise(&self.topic, "the command that tells a server of its staple fails", problem);
                self.not_before = Instant::now().checked_add(self.wait);
                self.wait = (self.wait * 2).min(LAST_RETRY);
            }
        }
    }
}
