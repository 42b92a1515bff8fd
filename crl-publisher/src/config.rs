//! The publisher's configuration file.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ca_domain::ReasonCode;
use ca_service::span::SpanOrOff;
use ca_service::{LedgerPlace, ServiceError, Span, config};
use ca_signing::PassphraseSource;
use serde::Deserialize;

use crate::alarms::config::{AlarmsConfig, AlarmsFile};
use crate::lists::{ListPlan, Lists};
use crate::schedule::{ScheduleFile, Usual};
use crate::targets::config::{TargetConfig, TargetFile};

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    listen: SocketAddr,
    metrics_listen: Option<SocketAddr>,
    ledger: Option<LedgerPlace>,
    ledger_vkey: Option<String>,
    state_dir: Option<PathBuf>,
    directory: PathBuf,
    #[serde(default = "default_checkpoint_age")]
    max_checkpoint_age: Span,
    #[serde(default = "default_http_age")]
    max_http_age: Span,
    #[serde(default = "default_connections")]
    max_connections: usize,
    max_connections_per_source: Option<usize>,
    authorities: Vec<AuthorityFile>,
    #[serde(default)]
    targets: Vec<TargetFile>,
    alarms: Option<AlarmsFile>,
}

fn default_checkpoint_age() -> Span {
    Span::days(8)
}
fn default_http_age() -> Span {
    Span::hours(1)
}
fn default_connections() -> usize {
    1024
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Distribute,
    Sign,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorityFile {
    name: String,
    certificate: PathBuf,
    chain: Option<PathBuf>,
    mode: Mode,
    // sign
    key: Option<PathBuf>,
    passphrase_file: Option<PathBuf>,
    passphrase_credential: Option<String>,
    passphrase_fd: Option<u32>,
    validity: Option<Span>,
    interval: Option<Span>,
    at: Option<String>,
    time_zone: Option<String>,
    jitter: Option<Span>,
    overlap: Option<Span>,
    backdate: Option<Span>,
    after_revocation: Option<SpanOrOff>,
    min_interval: Option<Span>,
    margin: Option<Span>,
    url: Option<String>,
    delta: Option<ScheduleFile>,
    whole: Option<bool>,
    #[serde(default)]
    shards: Vec<u16>,
    #[serde(default)]
    kinds: bool,
    #[serde(default)]
    reasons: BTreeMap<String, BTreeSet<ReasonCode>>,
    // distribute
    source: Option<PathBuf>,
    remind: Option<Span>,
}

/// The usual schedule of delta CRLs.
const DELTA: Usual =
    Usual { validity: Span::hours(6), interval: Span::hours(1), after_revocation: Some(Span::seconds(5)) };

/// How the CRL of an authority comes about.
#[derive(Clone, Debug)]
pub enum Work {
    /// It is signed elsewhere and copied from a file.
    Distribute {
        /// The file, DER or PEM.
        source: PathBuf,
        /// How long before it ends somebody is reminded.
        remind: Option<Span>,
    },
    /// It is signed here.
    Sign {
        /// The authority's key, PKCS#8 PEM.
        key: PathBuf,
        /// What opens the key.
        passphrase: PassphraseSource,
        /// Which CRLs there are, when they are signed, and for how long.
        lists: Vec<ListPlan>,
    },
}

/// One authority whose CRL and certificates are published.
#[derive(Clone, Debug)]
pub struct AuthorityConfig {
    /// The NAME of `crl/NAME.crl` and the other files.
    pub name: String,
    /// The authority's certificate, PEM or DER.
    pub certificate: PathBuf,
    /// Its chain, PEM; without one the certificate alone.
    pub chain: Option<PathBuf>,
    /// How its CRL comes about.
    pub work: Work,
}

/// The ledger that is followed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LedgerConfig {
    /// Where it is.
    pub place: LedgerPlace,
    /// The key that signs its checkpoints.
    pub vkey: String,
    /// Where it is kept how far it was seen; nowhere without it.
    pub state_dir: Option<PathBuf>,
}

/// A configuration whose values fit each other.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where to show metrics; nowhere without it.
    pub metrics_listen: Option<SocketAddr>,
    /// The ledger; none is needed where nothing is signed.
    pub ledger: Option<LedgerConfig>,
    /// Where the published files go.
    pub directory: PathBuf,
    /// Past this age of the checkpoint no CRL is signed.
    pub max_checkpoint_age: Span,
    /// How long HTTP caches may keep a CRL, at most.
    pub max_http_age: Span,
    /// Connections at once.
    pub max_connections: usize,
    /// Connections at once from one address or IPv6 network; a share of all if none is said.
    pub max_connections_per_source: Option<usize>,
    /// The authorities.
    pub authorities: Vec<AuthorityConfig>,
    /// What is kept from one start to the next; nothing without it.
    pub state_dir: Option<PathBuf>,
    /// Where CRLs and certificates are taken.
    pub targets: Vec<TargetConfig>,
    /// How people are told of alarms, if they are.
    pub alarms: Option<AlarmsConfig>,
}

impl Config {
    /// Reads and checks a configuration file. Relative paths count from its directory.
    ///
    /// # Errors
    /// The file cannot be read, has unknown fields, or its values do not fit.
    pub fn load(path: &Path) -> Result<Self, ServiceError> {
        let file: ConfigFile = config::load(path)?;
        let refuse = |what: String| ServiceError::Config { path: path.to_owned(), what };
        if file.authorities.is_empty() {
            return Err(refuse("authorities: name at least one authority".into()));
        }
        if file.max_connections == 0 {
            return Err(refuse("max_connections: allow at least 1".into()));
        }
        if file.max_connections_per_source == Some(0) {
            return Err(refuse("max_connections_per_source: allow at least 1".into()));
        }
        let mut authorities: Vec<AuthorityConfig> = Vec::new();
        for entry in file.authorities {
            let name = entry.name.clone();
            let authority =
                entry.check(path).map_err(|what| refuse(format!("authority {name:?}: {what}")))?;
            let taken = |name: &&str| authorities.iter().any(|other| other.crl_names().contains(name));
            if let Some(twice) = authority.crl_names().into_iter().find(taken) {
                return Err(refuse(format!("authority {name:?}: the name {twice:?} is there twice")));
            }
            if let Some(fd) = authority.descriptor()
                && authorities.iter().any(|other| other.descriptor() == Some(fd))
            {
                return Err(refuse(format!("authority {name:?}: descriptor {fd} can be read only once")));
            }
            authorities.push(authority);
        }
        let names: Vec<&str> = authorities.iter().map(|authority| authority.name.as_str()).collect();
        let targets = TargetFile::check_all(file.targets, path, &names).map_err(refuse)?;
        let state_dir = file.state_dir.map(|dir| config::beside(path, &dir));
        let alarms = file.alarms.map(|alarms| alarms.check(path)).transpose();
        let alarms = alarms.map_err(|what| refuse(format!("alarms: {what}")))?;
        if state_dir.is_none() && alarms.is_some() {
            return Err(refuse("state_dir: alarms need one, to know what was told".into()));
        }
        if state_dir.is_none() && !targets.is_empty() {
            return Err(refuse("state_dir: targets need one, to know what they have".into()));
        }
        let ledger = match (file.ledger, file.ledger_vkey) {
            (Some(place), Some(vkey)) => Some(LedgerConfig {
                place: place.check(path).map_err(refuse)?,
                vkey,
                state_dir: state_dir.clone(),
            }),
            (None, None) if state_dir.is_some() && targets.is_empty() && alarms.is_none() => {
                return Err(refuse("state_dir: there is no ledger to keep a position of".into()));
            }
            (None, None) if authorities.iter().all(|a| matches!(a.work, Work::Distribute { .. })) => None,
            _ => return Err(refuse("ledger, ledger_vkey: mode sign needs both".into())),
        };
        Ok(Self {
            listen: file.listen,
            metrics_listen: file.metrics_listen,
            ledger,
            directory: config::beside(path, &file.directory),
            max_checkpoint_age: file.max_checkpoint_age,
            max_http_age: file.max_http_age,
            max_connections: file.max_connections,
            max_connections_per_source: file.max_connections_per_source,
            authorities,
            state_dir,
            targets,
            alarms,
        })
    }
}

impl Config {
    /// Puts the settings that only a restart can change back to those of `old`;
    /// the names of those that differed.
    pub fn keep_fixed(&mut self, old: &Self) -> Vec<&'static str> {
        let mut waiting = Vec::new();
        config::keep("listen", &mut self.listen, &old.listen, &mut waiting);
        config::keep("metrics_listen", &mut self.metrics_listen, &old.metrics_listen, &mut waiting);
        config::keep("ledger, ledger_vkey", &mut self.ledger, &old.ledger, &mut waiting);
        config::keep("state_dir", &mut self.state_dir, &old.state_dir, &mut waiting);
        config::keep("directory", &mut self.directory, &old.directory, &mut waiting);
        config::keep("max_connections", &mut self.max_connections, &old.max_connections, &mut waiting);
        let (new, old) = (&mut self.max_connections_per_source, &old.max_connections_per_source);
        config::keep("max_connections_per_source", new, old, &mut waiting);
        waiting
    }
}

impl AuthorityConfig {
    /// The NAMEs of its CRLs, that of the authority first.
    fn crl_names(&self) -> Vec<&str> {
        let lists = match &self.work {
            Work::Sign { lists, .. } => lists.as_slice(),
            Work::Distribute { .. } => &[],
        };
        let mut names = vec![self.name.as_str()];
        for list in lists {
            names.push(&list.name);
            names.extend(list.delta.as_ref().map(|delta| delta.name.as_str()));
        }
        names
    }

    fn descriptor(&self) -> Option<u32> {
        match &self.work {
            Work::Sign { passphrase: PassphraseSource::Descriptor(fd), .. } => Some(*fd),
            _ => None,
        }
    }
}

impl AuthorityFile {
    fn check(self, config: &Path) -> Result<AuthorityConfig, String> {
        check_name(&self.name)?;
        let beside = |name: PathBuf| config::beside(config, &name);
        let schedule = ScheduleFile {
            validity: self.validity,
            interval: self.interval,
            at: self.at,
            time_zone: self.time_zone,
            jitter: self.jitter,
            overlap: self.overlap,
            backdate: self.backdate,
            after_revocation: self.after_revocation,
            min_interval: self.min_interval,
            margin: self.margin,
        };
        let work = match self.mode {
            Mode::Sign => {
                for (field, given) in [("source", self.source.is_some()), ("remind", self.remind.is_some())] {
                    if given {
                        return Err(format!("{field} belongs to mode distribute"));
                    }
                }
                let key = self.key.ok_or("key: mode sign needs the authority's key")?;
                let file = self.passphrase_file.map(beside);
                let passphrase = PassphraseSource::of(file, self.passphrase_credential, self.passphrase_fd)?;
                let delta = self.delta.map(|delta| delta.check(DELTA)).transpose();
                let delta = delta.map_err(|error| format!("delta: {error}"))?;
                // With a delta CRL, that one tells soon.
                let after_revocation = Some(Span::seconds(5)).filter(|_| delta.is_none());
                let usual = Usual { validity: Span::days(7), interval: Span::hours(24), after_revocation };
                let schedule = schedule.check(usual)?;
                let lists = Lists {
                    name: self.name.clone(),
                    url: self.url,
                    schedule,
                    delta,
                    whole: self.whole.unwrap_or(true),
                    shards: self.shards,
                    kinds: self.kinds,
                    reasons: self.reasons,
                };
                Work::Sign { key: beside(key), passphrase, lists: lists.plan()? }
            }
            Mode::Distribute => {
                let signing = [
                    ("key", self.key.is_some()),
                    ("passphrase_file", self.passphrase_file.is_some()),
                    ("passphrase_credential", self.passphrase_credential.is_some()),
                    ("passphrase_fd", self.passphrase_fd.is_some()),
                    ("url", self.url.is_some()),
                    ("delta", self.delta.is_some()),
                    ("whole", self.whole.is_some()),
                    ("shards", !self.shards.is_empty()),
                    ("kinds", self.kinds),
                    ("reasons", !self.reasons.is_empty()),
                ];
                let given = signing.iter().filter(|(_, given)| *given).map(|(field, _)| *field);
                if let Some(field) = given.chain(schedule.given()).next() {
                    return Err(format!("{field} belongs to mode sign"));
                }
                let source = self.source.ok_or("source: mode distribute needs the file of the CRL")?;
                Work::Distribute { source: beside(source), remind: self.remind }
            }
        };
        Ok(AuthorityConfig {
            name: self.name,
            certificate: beside(self.certificate),
            chain: self.chain.map(beside),
            work,
        })
    }
}

/// Names become file names and URLs, so they are plain; `bundle` is taken.
fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let good = !name.is_empty()
        && name.len() <= 64
        && name.chars().all(plain)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name != "bundle";
    if good {
        Ok(())
    } else {
        Err("name: use letters, digits, '-', '_' and '.', beginning with a letter or digit; not `bundle`"
            .into())
    }
}

#[cfg(test)]
mod tests;
