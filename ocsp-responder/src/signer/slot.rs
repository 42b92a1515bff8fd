//! One delegated signer: which pair is in use, which is to come.

use std::path::PathBuf;

use ca_domain::Timestamp;
use ca_service::watch::Fingerprint;
use ca_service::{Alarms, Authority, Span};
use x509_cert::Certificate;

use super::files::{Files, Pair};
use super::{Delegate, Life, NO_SIGNER, SignerSet, request};

type Fingerprints = [Option<Fingerprint>; 4];

#[derive(Debug)]
pub(super) struct Slot {
    authority: Authority,
    files: Files,
    topic: String,
    request_next: bool,
    warning: Option<Span>,
    in_use: Option<InUse>,
    /// The files when they were read last, if nothing was wrong with them.
    seen: Option<Fingerprints>,
    /// Files that were refused, so that only files that stay bad alarm.
    refused: Option<Fingerprints>,
}

#[derive(Debug)]
struct InUse {
    certificate: Certificate,
    life: Life,
    /// Whether the pair has the names of the pair in use.
    settled: bool,
    /// Whether its key is still under the name of the next one.
    next_key: bool,
}

impl Slot {
    pub(super) fn new(delegate: Delegate) -> Self {
        let prefix = &delegate.prefix;
        let name = prefix.file_name().unwrap_or(prefix.as_os_str()).to_string_lossy();
        Self {
            topic: format!("signer {name}"),
            files: Files::new(prefix),
            authority: delegate.authority,
            request_next: delegate.request_next,
            warning: delegate.warning,
            in_use: None,
            seen: None,
            refused: None,
        }
    }

    pub(super) fn watched(&self) -> [PathBuf; 3] {
        [&self.files.key, &self.files.certificate, &self.files.next_certificate].map(Clone::clone)
    }

    /// Takes up a new pair, and alarms about what cannot be used.
    pub(super) fn look(&mut self, now: Timestamp, set: &SignerSet, alarms: &Alarms) {
        let files = self.files.fingerprints();
        if self.seen != Some(files) {
            let in_use = self.in_use.as_ref().map(|used| &used.certificate);
            let found = self.files.find(&self.authority, in_use, now);
            if let Some(pair) = found.pair {
                self.take(pair, set);
            }
            let next = format!("{} next", self.topic);
            match found.problem {
                None => {
                    self.seen = Some(files);
                    self.refused = None;
                    alarms.clear(&next);
                }
                Some(problem) => {
                    self.seen = None;
                    let settled = self.refused == Some(files);
                    self.refused = Some(files);
                    if self.in_use.is_none() {
                        alarms.raise(&self.topic, NO_SIGNER, problem);
                        return;
                    }
                    // A topic of its own: the one in use may end meanwhile.
                    if settled {
                        let what = "the new OCSP signer cannot be used, the old one stays";
                        alarms.raise(&next, what, problem);
                    }
                }
            }
        }
        self.check_life(now, alarms);
    }

    fn take(&mut self, pair: Pair, set: &SignerSet) {
        let life = Life { from: pair.signer.not_before(), to: pair.signer.not_after() };
        let known = self.in_use.as_ref().is_some_and(|old| old.certificate == pair.certificate);
        self.in_use = Some(InUse {
            certificate: pair.certificate,
            life,
            settled: pair.settled,
            next_key: pair.next_key,
        });
        // The same pair under another name: the answers that it signed stay.
        if !known {
            tracing::info!(topic = self.topic, not_after = %life.to, "signer in use");
            set.replace(pair.signer);
        }
    }

    fn check_life(&self, now: Timestamp, alarms: &Alarms) {
        let Some(InUse { life, .. }) = self.in_use else { return };
        let next = if self.request_next {
            "its successor is requested: run `ca maintain` on the authority's machine"
        } else {
            "issue the next with `ca ocsp-signer issue`"
        };
        let end = life.to;
        if now >= end {
            alarms.raise(&self.topic, "the OCSP signer has expired", format!("it ended on {end}; {next}"));
        } else if now >= life.warning(self.warning) {
            alarms.raise(&self.topic, "the OCSP signer expires soon", format!("it ends on {end}; {next}"));
        } else {
            alarms.clear(&self.topic);
        }
    }

    /// Puts the files of a rotation in order, and asks for the next certificate in time.
    pub(super) fn tend(&mut self, now: Timestamp, alarms: &Alarms) {
        let topic = format!("{} files", self.topic);
        let tended = self.settle().map_err(|error| error.to_string()).and_then(|()| {
            let due = self.request_next && self.in_use.as_ref().is_none_or(|used| now >= used.life.half());
            if due && request::ensure(&self.files, &self.authority)? {
                let request = self.files.request.display();
                tracing::info!(topic = self.topic, %request, "the next signer certificate is requested");
            }
            Ok(())
        });
        match tended {
            Ok(()) => alarms.clear(&topic),
            Err(problem) => {
                alarms.raise(&topic, "the signer's files cannot be kept in order", problem);
            }
        }
    }

    fn settle(&mut self) -> Result<(), ca_files::FileError> {
        let Some(in_use) = &mut self.in_use else { return Ok(()) };
        if in_use.settled {
            return self.files.clear_leftovers(&in_use.certificate);
        }
        self.files.settle(&in_use.certificate, in_use.next_key)?;
        in_use.settled = true;
        Ok(())
    }
}
