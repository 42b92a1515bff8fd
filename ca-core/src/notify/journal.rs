//! `notices.log`: which notices were sent, so that none is sent twice.
//!
//! Before a text goes to the server its beginning is recorded, and after the
//! server's answer its end; each line is durable before the next step. A line
//! `begin` without an end is doubtful: the server may have taken the notice while
//! we ended. Such a notice counts as sent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use ca_domain::Timestamp;
use ca_files::{Mode, check_private, replace_tail, sync_dir};
use serde::{Deserialize, Serialize};

use crate::error::{AuthorityError, Result};
use crate::home::Home;
use crate::init::io;

/// One line of the log.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "event", rename_all = "camelCase", deny_unknown_fields)]
enum Line {
    /// A notice is about to be handed over.
    Begin { at: Timestamp, id: String, to: String, reasons: Vec<String> },
    /// The server took it.
    Sent { at: Timestamp, id: String },
    /// The server refused it after all.
    Refused { at: Timestamp, id: String },
    /// The ledger has it.
    Recorded { at: Timestamp, ids: Vec<String> },
}

/// What is known of one notice.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// Names the notice.
    pub(super) id: String,
    /// When it was handed over.
    pub(super) at: Timestamp,
    /// The recipient.
    pub(super) to: String,
    /// What it was about.
    pub(super) reasons: Vec<String>,
    state: State,
    recorded: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Doubtful,
    Refused,
    Sent,
}

impl Sent {
    /// What the ledger's record says of it.
    pub(super) fn record(&self) -> String {
        format!("{} {} {}", self.id, self.to, self.reasons.join(" "))
    }
}

/// The log, open for appending.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    length: u64,
    notices: BTreeMap<String, Sent>,
}

impl Journal {
    /// Reads the log. What a crash left of a last line is overwritten by the next.
    ///
    /// # Errors
    /// A log that others can read, or with a line that is none.
    pub(super) fn open(home: &Home) -> Result<Self> {
        let path = home.root().join("notices.log");
        let mut journal = Self { path, length: 0, notices: BTreeMap::new() };
        if !journal.path.exists() {
            return Ok(journal);
        }
        check_private(&journal.path)?;
        let bytes = fs::read(&journal.path).map_err(io("read", &journal.path))?;
        for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
            let Some(whole) = line.strip_suffix(b"\n") else { break };
            let line: Line = serde_json::from_slice(whole).map_err(|error| AuthorityError::Config {
                path: journal.path.display().to_string(),
                what: format!("line {number} is damaged: {error}"),
            })?;
            journal.length += whole.len() as u64 + 1;
            journal.take(line);
        }
        Ok(journal)
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Begin { at, id, to, reasons } => {
                let sent = Sent { id: id.clone(), at, to, reasons, state: State::Doubtful, recorded: false };
                self.notices.insert(id, sent);
            }
            Line::Sent { id, .. } => self.set(&id, State::Sent),
            Line::Refused { id, .. } => self.set(&id, State::Refused),
            Line::Recorded { ids, .. } => {
                for id in ids {
                    if let Some(notice) = self.notices.get_mut(&id) {
                        notice.recorded = true;
                    }
                }
            }
        }
    }

    fn set(&mut self, id: &str, state: State) {
        if let Some(notice) = self.notices.get_mut(id) {
            notice.state = state;
        }
    }

    fn append(&mut self, line: Line) -> Result<()> {
        let mut bytes = serde_json::to_vec(&line)
            .map_err(|error| AuthorityError::Input(format!("cannot encode a line of the log: {error}")))?;
        bytes.push(b'\n');
        replace_tail(&self.path, self.length, &bytes, Mode::Private)?;
        if self.length == 0 {
            sync_dir(self.path.parent().unwrap_or(&self.path))?;
        }
        self.length += bytes.len() as u64;
        self.take(line);
        Ok(())
    }

    /// Records that a notice is about to be handed over.
    pub(super) fn begin(&mut self, id: &str, to: &str, reasons: &[String], at: Timestamp) -> Result<()> {
        self.append(Line::Begin { at, id: id.to_owned(), to: to.to_owned(), reasons: reasons.to_vec() })
    }

    /// Records that the server took it.
    pub(super) fn sent(&mut self, id: &str, at: Timestamp) -> Result<()> {
        self.append(Line::Sent { at, id: id.to_owned() })
    }

    /// Records that the server refused it: it will be tried again.
    pub(super) fn refused(&mut self, id: &str, at: Timestamp) -> Result<()> {
        self.append(Line::Refused { at, id: id.to_owned() })
    }

    /// Records that the ledger has these.
    pub(super) fn recorded(&mut self, ids: Vec<String>, at: Timestamp) -> Result<()> {
        self.append(Line::Recorded { at, ids })
    }

    /// The reasons that need no further notice; doubtful ones among them unless
    /// they are to be repeated.
    pub(super) fn settled(&self, repeat_doubtful: bool) -> BTreeSet<&str> {
        let counts = |notice: &&Sent| match notice.state {
            State::Doubtful => !repeat_doubtful,
            State::Refused => false,
            State::Sent => true,
        };
        self.notices.values().filter(counts).flat_map(|notice| &notice.reasons).map(String::as_str).collect()
    }

    /// Notices that may or may not have been sent.
    pub(super) fn doubtful(&self) -> impl Iterator<Item = &Sent> {
        self.notices.values().filter(|notice| notice.state == State::Doubtful)
    }

    /// Notices that were sent and that the ledger does not have yet.
    pub(super) fn unrecorded(&self) -> Vec<Sent> {
        let waiting = |notice: &&Sent| notice.state == State::Sent && !notice.recorded;
        self.notices.values().filter(waiting).cloned().collect()
    }
}
