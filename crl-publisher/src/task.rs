//! All that is done for one authority, by whoever publishes for it and by who waits.

use std::path::PathBuf;
use std::sync::Arc;

use ca_domain::Timestamp;
use ca_service::{Alarms, Bell, Clock, LedgerView, ServiceError, Span, clock};
use ca_status::StatusTable;

use crate::distribute::Distributor;
use crate::opener::Opener;
use crate::pulse::Pulse;
use crate::sign::CrlSigner;
use crate::status::{AuthorityStatus, Board, CrlStatus, StatusFile};
use crate::tenure::{Role, Tenure};

/// Who waits looks this often whether the other still publishes.
const STANDBY: Span = Span::seconds(1);
/// Who can do nothing looks this often whether that has changed.
const CLOSED: Span = Span::seconds(5);
/// What could not be opened is looked for this often; its files are not watched, since that hangs with
/// their file system.
const LOOK_FOR: Span = Span::seconds(1);

/// How the CRLs of one authority come about.
pub enum Work {
    /// They are signed elsewhere.
    Distribute(Box<Distributor>),
    /// They are signed here: all of one authority.
    Sign(Vec<CrlSigner>),
    /// Nothing can be done: its certificate is not there, and was never published.
    Closed,
}

/// What the tasks of a publisher share.
#[derive(Clone)]
pub struct Shared {
    /// Which authorities this process publishes for.
    pub tenure: Tenure,
    /// Whether the work goes on.
    pub pulse: Pulse,
    /// Where they say how they are.
    pub board: Board,
    /// Where alarms go.
    pub alarms: Alarms,
    /// What is known of the ledger.
    pub view: Arc<LedgerView<StatusTable>>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

/// The work for one authority.
pub struct Task {
    opener: Opener,
    work: Work,
    bell: Bell,
    shared: Shared,
    /// What this process was at the last look.
    role: Option<Role>,
    file: StatusFile,
}

impl Task {
    /// A task that has done nothing yet, with what `opener` could open; `bell` wakes it. It
    /// tells how it is in the file `status`.
    #[must_use]
    pub fn new(opener: Opener, bell: Bell, shared: Shared, status: PathBuf) -> Self {
        let work = opener.work();
        Self { opener, work, bell, shared, role: None, file: StatusFile::new(status) }
    }

    /// The authority's NAME.
    #[must_use]
    pub fn name(&self) -> &str {
        self.opener.name()
    }

    /// What wakes it.
    #[must_use]
    pub fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Writes the authority's certificates.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn prepare(&self) -> Result<(), ServiceError> {
        self.opener.write()
    }

    /// Does what is due, or watches who does; how long to wait for the next call.
    pub fn tick(&mut self) -> Span {
        let _beat = self.shared.pulse.begin(self.name(), self.shared.clock.now());
        clock::check(&*self.shared.clock, &self.shared.alarms);
        self.shared.view.tell_hang(self.shared.clock.now(), &self.shared.alarms);
        if let Some(work) = self.opener.retry(&mut self.work) {
            self.work = work;
            // It begins as after a start.
            self.role = None;
        }
        let topic = format!("lock {}", self.name());
        let role = match self.shared.tenure.take(self.opener.name()) {
            Ok(role) => {
                self.shared.alarms.clear(&topic);
                role
            }
            Err(error) => {
                self.shared.alarms.raise(
                    &topic,
                    "it is not known who publishes, so nothing is published",
                    error,
                );
                Role::Standby("nobody known".to_owned())
            }
        };
        let wait = if role == Role::Active {
            if self.role.as_ref() != Some(&Role::Active) {
                self.take_over();
            }
            self.role = Some(role);
            self.act()
        } else {
            if self.role.as_ref() != Some(&role) {
                tracing::info!(authority = self.name(), ?role, "another process publishes; this one waits");
            }
            self.role = Some(role);
            self.watch();
            STANDBY
        };
        self.report();
        if self.opener.is_open() { wait } else { wait.min(LOOK_FOR) }
    }

    /// Whatever was known may be old: another process published.
    fn take_over(&mut self) {
        if self.role.is_some() {
            tracing::warn!(authority = self.name(), "the other publisher ended; this one takes over");
        }
        self.file.forget();
        match &mut self.work {
            Work::Distribute(distributor) => distributor.take_over(),
            Work::Sign(signers) => signers.iter_mut().for_each(CrlSigner::take_over),
            Work::Closed => {}
        }
    }

    /// Says in alarms how old what is published is, and which clock jumped, for `--check`.
    pub fn survey(&mut self) {
        let told = self.file.read();
        let told = told.as_ref();
        match &mut self.work {
            Work::Distribute(distributor) => distributor.survey(told),
            Work::Sign(signers) => signers.iter_mut().for_each(|signer| signer.survey(told)),
            Work::Closed => {}
        }
        let clock = told.and_then(|told| told.clock.as_ref());
        if let Some(clock) = clock.filter(|_| self.shared.tenure.is_held(self.name())) {
            self.shared.alarms.raise(clock::TOPIC, "the clock here jumped", clock);
        }
    }

    fn act(&mut self) -> Span {
        match &mut self.work {
            Work::Distribute(distributor) => distributor.tick(),
            Work::Sign(signers) => signers.iter_mut().map(CrlSigner::tick).min().unwrap_or(STANDBY),
            Work::Closed => CLOSED,
        }
    }

    fn watch(&mut self) {
        match &mut self.work {
            Work::Distribute(distributor) => distributor.watch(),
            Work::Sign(signers) => signers.iter_mut().for_each(CrlSigner::watch),
            Work::Closed => {}
        }
    }

    fn report(&mut self) {
        let now = self.shared.clock.now();
        let status = self.status(now);
        self.shared.board.put(status.clone());
        if self.role != Some(Role::Active) {
            return;
        }
        let topic = format!("status {}", self.name());
        match self.file.write(&status) {
            Ok(()) => self.shared.alarms.clear(&topic),
            Err(error) => self.shared.alarms.raise(&topic, "the status file could not be written", error),
        }
    }

    fn status(&self, now: Timestamp) -> AuthorityStatus {
        let (name, mode) = (self.name().to_owned(), self.opener.mode());
        let crls: Vec<CrlStatus> = match &self.work {
            Work::Distribute(distributor) => vec![distributor.status()],
            Work::Sign(signers) => signers.iter().flat_map(|signer| signer.status(now)).collect(),
            Work::Closed => {
                let error = self.opener.obstacle();
                vec![CrlStatus { name: name.clone(), kind: "full", error, ..CrlStatus::default() }]
            }
        };
        let (role, publisher) = match &self.role {
            Some(Role::Standby(holder)) => ("standby", holder.clone()),
            _ => ("active", format!("process {} (crl-publisher)", std::process::id())),
        };
        let clock = self.shared.alarms.detail(clock::TOPIC);
        AuthorityStatus { authority: name, mode, role, publisher, clock, crls }
    }

    /// The files that are watched.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        match &self.work {
            Work::Distribute(distributor) => distributor.files(),
            Work::Sign(signers) => signers.iter().flat_map(CrlSigner::files).collect(),
            Work::Closed => Vec::new(),
        }
    }
}
