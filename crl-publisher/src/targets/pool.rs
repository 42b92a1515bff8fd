//! All targets of a configuration.

use std::path::Path;
use std::sync::{Arc, Mutex};

use ca_service::{Alarms, Bell, Clock, Errands, Metrics, ServiceError, Span, Worker};

use super::Target;
use super::command::CommandTarget;
use super::config::{Place, TargetConfig};
use super::courier::{Courier, Route};
use super::directory::DirectoryTarget;
use super::item::Owners;
use super::ldap::LdapTarget;
use super::looks::Looks;
use super::metrics;
use super::report::Reports;
use super::s3::S3Target;
use super::spool::Spool;
use super::state::StateFile;
use super::worker::TargetWorker;
use crate::backoff::Backoff;
use crate::trial::{Party, Trial};

/// What the targets of one configuration have in common with those of the next. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Common {
    reports: Reports,
    errands: Errands,
}

impl Common {
    /// Where couriers run, and others whose work may hang.
    #[must_use]
    pub fn errands(&self) -> Errands {
        self.errands.clone()
    }

    /// Shows how the targets are when somebody asks.
    ///
    /// # Errors
    /// A name is taken: called twice.
    pub fn observe(&self, metrics: &Metrics, clock: Arc<dyn Clock>) -> Result<(), ServiceError> {
        metrics::observe(metrics, self.reports.clone(), clock)
    }
}

/// The targets, each with its courier.
#[derive(Default)]
pub struct Pool {
    workers: Vec<TargetWorker>,
}

/// Where the files of a pool are, and whose.
pub struct Depot<'a> {
    /// The published directory.
    pub directory: &'a Path,
    /// Where states are kept.
    pub state_dir: &'a Path,
    /// The authorities.
    pub owners: Owners,
}

impl Pool {
    /// Sets all targets up. Secrets are read; nothing is sent or written. A target whose secret or
    /// certificate is missing, unsafe or not what it must be has an alarm, which must be one that `may_be`.
    ///
    /// # Errors
    /// It is none that may be.
    pub fn open(
        configs: &[TargetConfig],
        depot: &Depot<'_>,
        common: &Common,
        (alarms, may_be): (&Alarms, &dyn Fn(&str) -> bool),
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, ServiceError> {
        let looks = Looks::default();
        let mut workers = Vec::new();
        for config in configs {
            let route = Route {
                name: config.name.clone(),
                directory: depot.directory.to_owned(),
                owners: depot.owners.clone(),
                authorities: config.authorities.clone(),
                files: config.files,
                paths: config.paths(),
                state_dir: depot.state_dir.to_owned(),
                recheck: config.recheck,
                reports: common.reports.clone(),
                clock: clock.clone(),
            };
            let bell = Bell::new();
            let target = open(config, depot.state_dir, &bell, clock)?;
            let backoff = Backoff::system(config.retry_at_most);
            let courier = Courier::new(route, target, backoff, looks.clone());
            // Each of a few requests may take its time; files come one after another.
            let hangs_after = Span::seconds(config.timeout.as_secs().saturating_mul(10));
            workers.push(TargetWorker {
                name: config.name.clone(),
                bell,
                courier: Arc::new(Mutex::new(courier)),
                directory: depot.directory.to_owned(),
                alarm_after: config.alarm_after,
                hangs_after,
                reports: common.reports.clone(),
                errands: common.errands.clone(),
                alarms: alarms.clone(),
                clock: clock.clone(),
            });
        }
        let party = Party::default();
        let mut looks = Vec::new();
        for worker in &workers {
            looks.push((worker.survey(), worker.look(&party)?));
        }
        party.wait(|| looks.iter().all(|(_, trial)| trial.is_over()));
        let mut reports = Vec::new();
        for (worker, (mut report, trial)) in workers.iter().zip(looks) {
            report.unready = trial.end().err();
            if let Some(what) = &report.unready
                && !may_be(&worker.topic())
            {
                return Err(ServiceError::Unready { topic: worker.topic(), what: what.clone() });
            }
            reports.push(report);
        }
        let names: Vec<String> = configs.iter().map(|config| config.name.clone()).collect();
        common.reports.keep(&names);
        workers.iter().zip(reports).for_each(|(worker, report)| worker.tell(report));
        Ok(Self { workers })
    }

    /// Says in alarms which targets this machine does not have, for `--check`.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn seek(&self) -> Result<(), ServiceError> {
        let party = Party::default();
        let all = self.workers.iter().map(|worker| worker.seek(&party)).collect::<Result<Vec<_>, _>>()?;
        party.wait(|| all.iter().all(Trial::is_over));
        for (worker, trial) in self.workers.iter().zip(all) {
            if let Err(what) = trial.end() {
                worker.tell_missing(what);
            }
        }
        Ok(())
    }

    /// Says in alarms how the targets were at the last look.
    pub fn judge(&self) {
        self.workers.iter().for_each(TargetWorker::judge);
    }

    /// Delivers what is due, in this thread: for tests.
    pub fn tick(&self) {
        self.workers.iter().for_each(TargetWorker::tick);
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// One cannot be started.
    pub fn spawn(self) -> Result<Vec<Worker>, ServiceError> {
        self.workers.into_iter().map(TargetWorker::spawn).collect()
    }
}

fn open(
    config: &TargetConfig,
    state_dir: &Path,
    bell: &Bell,
    clock: &Arc<dyn Clock>,
) -> Result<Box<dyn Target>, ServiceError> {
    let (directory, name) = (StateFile::directory(state_dir), &config.name);
    Ok(match &config.place {
        Place::Directory(path) => Box::new(DirectoryTarget::new(path)),
        Place::Ldap { directory: ldap, entries } => {
            Box::new(LdapTarget::new((**ldap).clone(), entries.clone(), Spool::new(&directory, name)))
        }
        Place::S3(s3) => {
            Box::new(S3Target::new((**s3).clone(), Spool::new(&directory, name), clock.clone())?)
        }
        Place::Command { command, verify } => {
            let (command, verify) = (command.clone(), verify.clone());
            Box::new(CommandTarget::new(command, verify, config.timeout, bell.clone(), (&directory, name)))
        }
    })
}
