//! Brings one target to what is published.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use ca_domain::Timestamp;
use ca_service::watch::Fingerprint;
use ca_service::{Clock, Span};

use super::item::{Kind, Owners, hash};
use super::looks::Looks;
use super::report::{Behind, Report, Reports};
use super::state::{Delivered, Record, StateFile, Waiting};
use super::{Before, Item, Standing, Target, TargetError};
use crate::backoff::Backoff;
use crate::lists::DELTA_SUFFIX;

/// After so many failures in a row the rest of a round waits, too: the target is dead.
const DEAD: u32 = 3;
/// What a target lacks is looked for so often, in seconds.
const LOOK_FOR: u64 = 5;

/// What is delivered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Files {
    /// CRLs and certificates.
    #[default]
    All,
    /// The authorities' certificates.
    Certificates,
    /// CRLs.
    Crls,
}

/// Which way a courier goes.
pub struct Route {
    /// The target's name.
    pub name: String,
    /// The published directory.
    pub directory: PathBuf,
    /// All authorities that are published.
    pub owners: Owners,
    /// The names of those whose files go to this target; none for all.
    pub authorities: Option<Vec<String>>,
    /// Which of their files.
    pub files: Files,
    /// The files that the target has a place for; none for all.
    pub paths: Option<BTreeSet<String>>,
    /// Where the state is kept.
    pub state_dir: PathBuf,
    /// How often what was delivered is looked at again; never without it.
    pub recheck: Option<Span>,
    /// Where it tells how it is.
    pub reports: Reports,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

/// Takes what is published to one target.
pub struct Courier {
    route: Route,
    target: Box<dyn Target>,
    backoff: Backoff,
    /// Read at the first round: another courier may have to end before.
    state: Option<StateFile>,
    known: Looks,
    /// What the target lacks.
    unready: Option<String>,
}

/// The published files that may be for targets, by path, with what tells their contents apart.
///
/// # Errors
/// A directory cannot be read.
pub fn scan(directory: &std::path::Path) -> Result<BTreeMap<String, Fingerprint>, TargetError> {
    let mut found = BTreeMap::new();
    for (sub, extension) in [("crl", ".crl"), ("ca", ".crt")] {
        let path = directory.join(sub);
        let list = match fs::read_dir(&path) {
            Ok(list) => list,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(TargetError::io("read", &path)(error)),
        };
        for entry in list {
            let entry = entry.map_err(TargetError::io("read", &path))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.ends_with(extension)
                && !name.starts_with('.')
                && let Some(fingerprint) = Fingerprint::of(&entry.path())
            {
                found.insert(format!("{sub}/{name}"), fingerprint);
            }
        }
    }
    Ok(found)
}

impl Courier {
    /// A courier to `target`.
    #[must_use]
    pub fn new(route: Route, target: Box<dyn Target>, backoff: Backoff, known: Looks) -> Self {
        Self { route, target, backoff, state: None, known, unready: None }
    }

    /// What the state file says. Nothing is read else, or written.
    #[must_use]
    pub fn survey(&self) -> Report {
        let state = StateFile::load(&self.route.state_dir, &self.route.name);
        summary(&state, self.route.recheck)
    }

    /// Whether the target has what it needs of this machine.
    ///
    /// # Errors
    /// What it lacks.
    pub fn ready(&mut self) -> Result<(), String> {
        self.target.ready()
    }

    /// Whether the place or program is there.
    ///
    /// # Errors
    /// It is not.
    pub fn there(&self) -> Result<(), String> {
        self.target.there()
    }

    /// Delivers what is due, until `stopped` says so. Without what the target needs, nothing is.
    pub fn round(&mut self, stopped: &dyn Fn() -> bool) {
        self.unready = self.ready().err();
        let (mut due, mut trouble) = self.plan(self.route.clock.now());
        if self.unready.is_some() {
            return;
        }
        due.sort_by_cached_key(|path| self.turn(path));
        let mut dead = 0;
        for path in due {
            if stopped() {
                return;
            }
            if dead >= DEAD {
                self.put_off(&path);
                continue;
            }
            match self.deliver(&path) {
                Ok(()) => dead = 0,
                Err(TargetError::Refused(_)) => {}
                Err(_) => dead += 1,
            }
            if let Err(error) = self.state().save() {
                trouble = Some(format!("{error}; what was delivered is sent again after a restart"));
            }
            if stopped() {
                return;
            }
            self.report(trouble.clone());
        }
        self.report(trouble);
    }

    fn state(&mut self) -> &mut StateFile {
        let (dir, name) = (&self.route.state_dir, &self.route.name);
        self.state.get_or_insert_with(|| StateFile::load(dir, name))
    }

    /// What is to be done now, and what is wrong here. The report has it, too.
    fn plan(&mut self, now: Timestamp) -> (Vec<String>, Option<String>) {
        let mut trouble = None;
        let paths = scan(&self.route.directory).unwrap_or_else(|error| {
            trouble = Some(error.to_string());
            BTreeMap::new()
        });
        let mut due = Vec::new();
        for path in paths.keys() {
            match self.open(path) {
                Ok(Some(item)) => match &item.look.kind {
                    Kind::Faulty(what) => trouble = Some(format!("{path} is not delivered: {what}")),
                    // It was good for a target once, and its alarm is not the target's.
                    Kind::Crl(facts) if facts.next_update <= now => self.forget(path),
                    _ if self.is_due(&item, now) => due.push(path.clone()),
                    _ => {}
                },
                Ok(None) => {}
                Err(error) => trouble = Some(error.to_string()),
            }
        }
        // What is published no more waits no more.
        self.state().records.iter_mut().for_each(|(path, record)| {
            if !paths.contains_key(path) {
                record.waiting = None;
            }
        });
        self.known.retain(|path| paths.contains_key(path));
        self.report(trouble.clone());
        (due, trouble)
    }

    /// None for a file that this target does not get.
    fn open(&mut self, path: &str) -> Result<Option<Item>, TargetError> {
        if self.route.paths.as_ref().is_some_and(|paths| !paths.contains(path)) {
            return Ok(None);
        }
        let item = self.known.open(&self.route.directory, path, &self.route.owners.all())?;
        let route = &self.route;
        Ok(item.filter(|item| {
            let is_chosen = route.authorities.as_ref().is_none_or(|all| all.contains(&item.look.owner));
            let is_crl = path.starts_with("crl/");
            is_chosen
                && match route.files {
                    Files::All => true,
                    Files::Certificates => !is_crl,
                    Files::Crls => is_crl,
                }
        }))
    }

    fn is_due(&mut self, item: &Item, now: Timestamp) -> bool {
        let (recheck, longest) = (self.route.recheck, self.backoff.longest().as_secs());
        let record = self.state().records.entry(item.path.clone()).or_default();
        let sha256 = &item.look.sha256;
        if let Some(waiting) = &mut record.waiting {
            if waiting.sha256 != *sha256 {
                // Something newer is not made to wait for the older's failures.
                waiting.sha256.clone_from(sha256);
                waiting.retry_at = now;
            }
            // The clock may have been set back.
            return waiting.retry_at <= now || waiting.retry_at > now.saturating_add(longest);
        }
        match &record.delivered {
            Some(delivered) if delivered.sha256 == *sha256 => {
                recheck.is_some_and(|every| check_at(delivered, every) <= now || delivered.seen > now)
            }
            _ => {
                record.waiting = Some(Waiting::new(sha256, now));
                true
            }
        }
    }

    fn forget(&mut self, path: &str) {
        if let Some(record) = self.state().records.get_mut(path) {
            record.waiting = None;
        }
    }

    /// Not tried, since the target fails anyway.
    fn put_off(&mut self, path: &str) {
        let until = self.route.clock.now().saturating_add(self.backoff.pause(DEAD).as_secs());
        let now = self.route.clock.now();
        let record = self.state().records.entry(path.to_owned()).or_default();
        let sha256 = record.delivered.as_ref().map(|delivered| delivered.sha256.clone()).unwrap_or_default();
        let waiting = record.waiting.get_or_insert_with(|| Waiting::new(&sha256, now));
        waiting.retry_at = until;
        "not tried: the target fails".clone_into(&mut waiting.error);
    }

    fn deliver(&mut self, path: &str) -> Result<(), TargetError> {
        let result = match self.open(path) {
            Ok(None) => return Ok(()),
            Ok(Some(item)) => {
                let record = self.state().records.entry(path.to_owned()).or_default().clone();
                self.attempt(&item, &record).map(|tag| (item, tag))
            }
            Err(error) => Err(error),
        };
        let now = self.route.clock.now();
        let name = self.route.name.clone();
        match result {
            Ok((item, Sent { tag, is_new })) => {
                let number = item.number().map(|number| number.to_string());
                if is_new {
                    let number = number.as_deref().unwrap_or_default();
                    tracing::info!(to = name, path, number, "delivered");
                    self.route.reports.count(&name, true);
                }
                let record = self.state().records.entry(path.to_owned()).or_default();
                let at = match &record.delivered {
                    Some(old) if !is_new && old.sha256 == item.look.sha256 => old.at,
                    _ => now,
                };
                record.delivered = Some(Delivered { sha256: item.look.sha256, number, at, seen: now, tag });
                record.waiting = None;
                Ok(())
            }
            Err(error) => {
                tracing::warn!(to = name, path, %error, "not delivered");
                self.route.reports.count(&name, false);
                let sha256 = self.known.sha256(path).unwrap_or_default();
                let failures = self.failures(path).saturating_add(1);
                let pause = self.backoff.pause(failures).as_secs();
                let record = self.state().records.entry(path.to_owned()).or_default();
                let old = record.waiting.take();
                record.waiting = Some(Waiting {
                    sha256,
                    since: old.map_or(now, |old| old.since),
                    failures,
                    retry_at: now.saturating_add(pause),
                    error: error.to_string(),
                    refused: matches!(error, TargetError::Refused(_)),
                });
                Err(error)
            }
        }
    }

    fn failures(&mut self, path: &str) -> u32 {
        let record = self.state().records.get(path);
        record.and_then(|record| record.waiting.as_ref()).map_or(0, |waiting| waiting.failures)
    }

    /// What fails comes last, and a delta CRL after its full CRL.
    fn turn(&mut self, path: &str) -> (u32, bool) {
        match full_of(path) {
            Some(full) => (self.failures(path).max(self.failures(&full)), true),
            None => (self.failures(path), false),
        }
    }

    /// A delta CRL says nothing about what its full CRL lists. Beside an older one, those certificates
    /// would count as good.
    fn check_base(&mut self, item: &Item) -> Result<(), TargetError> {
        let (Some(base), Some(full)) = (item.base(), full_of(&item.path)) else { return Ok(()) };
        if self.open(&full)?.is_none() {
            // The full CRL is at another place.
            return Ok(());
        }
        let record = self.state().records.get(&full);
        let delivered = record.and_then(|record| record.delivered.as_ref()).and_then(Delivered::number);
        if delivered.is_some_and(|number| number >= base) {
            return Ok(());
        }
        Err(TargetError::Failed(format!("it changes CRL {base}, and {full} there is not that yet")))
    }

    /// Compares, sends and compares again.
    fn attempt(&mut self, item: &Item, record: &Record) -> Result<Sent, TargetError> {
        self.check_base(item)?;
        let delivered = record.delivered.as_ref();
        let same = delivered.filter(|delivered| delivered.sha256 == item.look.sha256);
        let last = delivered.and_then(Delivered::number);
        if let (None, Some(new), Some(last)) = (same, item.number(), last)
            && new <= last
        {
            return Err(TargetError::Refused(format!(
                "CRL {last} was delivered before, and {new} is published now: an older one is not sent"
            )));
        }
        let before = match self.target.read(item, same.and_then(|same| same.tag.as_deref()))? {
            Standing::Absent | Standing::Unknown => Before::default(),
            Standing::Unchanged => {
                return Ok(Sent { tag: same.and_then(|same| same.tag.clone()), is_new: false });
            }
            Standing::Found(mut file, tag) => {
                if hash_of(&mut file)? == item.look.sha256 {
                    return Ok(Sent { tag, is_new: false });
                }
                if let Some(what) = self.may_replace(item, &mut file)? {
                    let (to, path) = (&self.route.name, &item.path);
                    tracing::warn!(to, path, what, "what stands there is of no use and is replaced");
                }
                Before { is_there: true, tag }
            }
        };
        let tag = self.target.put(item, &before)?;
        match self.target.read(item, None)? {
            Standing::Unknown => Ok(Sent { tag, is_new: true }),
            Standing::Found(mut file, seen) => {
                if hash_of(&mut file)? != item.look.sha256 {
                    return Err(TargetError::Failed("it was taken, but something else stands there".into()));
                }
                Ok(Sent { tag: seen.or(tag), is_new: true })
            }
            Standing::Absent | Standing::Unchanged => {
                Err(TargetError::Failed("it was taken, but is not there".into()))
            }
        }
    }

    fn may_replace(&self, item: &Item, standing: &mut fs::File) -> Result<Option<String>, TargetError> {
        let owners = self.route.owners.all();
        let owner = owners.iter().find(|owner| owner.name == item.look.owner);
        owner.map_or(Ok(None), |owner| item.may_replace(standing, owner, &owners))
    }

    fn report(&mut self, trouble: Option<String>) {
        let recheck = self.route.recheck;
        let mut report = Report { trouble, unready: self.unready.clone(), ..summary(self.state(), recheck) };
        if report.unready.is_some() {
            report.next = Some(self.route.clock.now().saturating_add(LOOK_FOR));
        }
        self.route.reports.put(&self.route.name, report);
    }
}

/// The path of the full CRL that a delta CRL at `path` changes.
fn full_of(path: &str) -> Option<String> {
    path.strip_suffix(&format!("{DELTA_SUFFIX}.crl")).map(|name| format!("{name}.crl"))
}

fn summary(state: &StateFile, recheck: Option<Span>) -> Report {
    let mut report = Report::default();
    for (path, record) in &state.records {
        let seen = record.delivered.as_ref().map(|delivered| delivered.seen);
        report.last_success = report.last_success.max(seen);
        let next = if let Some(waiting) = &record.waiting {
            report.behind.push(Behind {
                path: path.clone(),
                since: waiting.since,
                failures: waiting.failures,
                error: waiting.error.clone(),
                refused: waiting.refused,
            });
            Some(waiting.retry_at)
        } else {
            report.current += usize::from(record.delivered.is_some());
            recheck.and_then(|every| record.delivered.as_ref().map(|d| check_at(d, every)))
        };
        report.next = [report.next, next].into_iter().flatten().min();
    }
    report
}

/// Something that is at the target now.
struct Sent {
    tag: Option<String>,
    /// Whether it was not there before.
    is_new: bool,
}

fn check_at(delivered: &Delivered, every: Span) -> Timestamp {
    delivered.seen.saturating_add(every.as_secs())
}

fn hash_of(file: &mut fs::File) -> Result<String, TargetError> {
    hash(file).map_err(|error| TargetError::Failed(format!("what stands there cannot be read: {error}")))
}
