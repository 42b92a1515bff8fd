//! Who the recovery agents are, and how many of them a recovery needs.
//!
//! ```text
//! escrow/policy.yaml        threshold
//! escrow/agents/NAME.pem    certificates of the agents
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use ca_domain::Timestamp;
use ca_files::{FileError, Mode, StagedFile, check_trusted, create_private_dir, sync_dir};
use der::pem::LineEnding;
use der::{DecodePem, EncodePem};
use serde::{Deserialize, Serialize};
use x509_cert::Certificate;

use crate::EscrowError;
use crate::agent::{Agent, check_agent_name};
use crate::sharing::MAX_SHARES;

/// Agents that a recovery needs if nothing else was set.
pub const DEFAULT_THRESHOLD: u8 = 2;

/// To whom keys are sealed, and how many of them can open them.
#[derive(Clone, Debug)]
pub struct EscrowPolicy {
    threshold: u8,
    agents: Vec<Agent>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    version: u32,
    threshold: u8,
    /// Without it a threshold of one is refused.
    #[serde(default)]
    threshold_one: bool,
}

impl EscrowPolicy {
    /// Reads the policy and the agents of an escrow directory, whatever they are.
    ///
    /// # Errors
    /// Files that are malformed, or that others can change.
    pub fn read(dir: &Path) -> Result<Self, EscrowError> {
        Ok(Self { threshold: read_threshold(&dir.join("policy.yaml"))?, agents: read_agents(dir)? })
    }

    /// Reads the policy for sealing at `now`.
    ///
    /// # Errors
    /// As [`EscrowPolicy::read`]; too few agents, or one whose certificate is not valid.
    pub fn load(dir: &Path, now: Timestamp) -> Result<Self, EscrowError> {
        let policy = Self::read(dir)?;
        let count = policy.agents.len();
        if count < usize::from(policy.threshold) || count > MAX_SHARES {
            return Err(EscrowError::Threshold { threshold: policy.threshold, agents: count });
        }
        policy.agents.iter().try_for_each(|agent| agent.check_validity(now))?;
        Ok(policy)
    }

    /// A policy of these agents.
    ///
    /// # Errors
    /// More agents are needed than there are.
    pub fn new(threshold: u8, agents: Vec<Agent>) -> Result<Self, EscrowError> {
        if threshold == 0 || agents.len() < usize::from(threshold) || agents.len() > MAX_SHARES {
            return Err(EscrowError::Threshold { threshold, agents: agents.len() });
        }
        Ok(Self { threshold, agents })
    }

    /// How many agents a recovery needs.
    #[must_use]
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// The agents, in the order of their names.
    #[must_use]
    pub fn agents(&self) -> &[Agent] {
        &self.agents
    }

    /// The agent of that name.
    ///
    /// # Errors
    /// [`EscrowError::AgentMissing`].
    pub fn agent(&self, name: &str) -> Result<&Agent, EscrowError> {
        let found = self.agents.iter().find(|agent| agent.name() == name);
        found.ok_or_else(|| EscrowError::AgentMissing(name.chars().take(80).collect()))
    }

    /// Refuses an agent whose name or key is there: two shares for one key would
    /// make one agent count as two.
    ///
    /// # Errors
    /// [`EscrowError::AgentExists`]; more agents than shares are possible.
    pub fn check_new(&self, agent: &Agent) -> Result<(), EscrowError> {
        for other in &self.agents {
            if other.name() == agent.name() {
                return Err(EscrowError::AgentExists(format!(
                    "there is a recovery agent {:?}",
                    other.name()
                )));
            }
            if other.key_hash() == agent.key_hash() {
                return Err(EscrowError::AgentExists(format!(
                    "recovery agent {:?} has the same key",
                    other.name()
                )));
            }
        }
        if self.agents.len() >= MAX_SHARES {
            return Err(EscrowError::Threshold { threshold: self.threshold, agents: self.agents.len() + 1 });
        }
        Ok(())
    }
}

/// Refuses a threshold that cannot be, or a single agent that was not asked for.
///
/// # Errors
/// [`EscrowError::SingleAgent`], [`EscrowError::Threshold`].
pub fn check_threshold(threshold: u8, one_is_meant: bool) -> Result<(), EscrowError> {
    match threshold {
        1 if !one_is_meant => Err(EscrowError::SingleAgent),
        0 => Err(EscrowError::Threshold { threshold, agents: 0 }),
        many if usize::from(many) > MAX_SHARES => {
            Err(EscrowError::Threshold { threshold, agents: MAX_SHARES })
        }
        _ => Ok(()),
    }
}

/// Writes the threshold under a temporary name.
///
/// # Errors
/// As [`check_threshold`]; the file cannot be written.
pub fn stage_threshold(dir: &Path, threshold: u8, one_is_meant: bool) -> Result<StagedFile, EscrowError> {
    check_threshold(threshold, one_is_meant)?;
    create_private_dir(dir)?;
    let one = if threshold == 1 { "threshold_one: true\n" } else { "" };
    let text = format!(
        "# How many recovery agents must work together to recover a key. Written by `ca escrow threshold`.\n\
         version: 1\nthreshold: {threshold}\n{one}"
    );
    Ok(StagedFile::write(&dir.join("policy.yaml"), text.as_bytes(), Mode::Private)?)
}

fn read_threshold(path: &Path) -> Result<u8, EscrowError> {
    if !path.exists() {
        return Ok(DEFAULT_THRESHOLD);
    }
    let bad = |what: String| EscrowError::Policy { path: path.display().to_string(), what };
    check_trusted(path)?;
    let text = fs::read_to_string(path).map_err(io("read", path))?;
    let file: PolicyFile = serde_saphyr::from_str(&text).map_err(|error| bad(error.to_string()))?;
    if file.version != 1 {
        return Err(bad(format!("version {} is not known; this program reads version 1", file.version)));
    }
    check_threshold(file.threshold, file.threshold_one)?;
    Ok(file.threshold)
}

fn read_agents(dir: &Path) -> Result<Vec<Agent>, EscrowError> {
    let dir = dir.join("agents");
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut agents: Vec<Agent> = Vec::new();
    for entry in fs::read_dir(&dir).map_err(io("read", &dir))? {
        let path = entry.map_err(io("read", &dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".pem"));
        // Temporary names of files being written begin with a dot.
        let Some(name) = name.filter(|name| check_agent_name(name).is_ok()) else { continue };
        check_trusted(&path)?;
        let text = fs::read_to_string(&path).map_err(io("read", &path))?;
        let certificate = Certificate::from_pem(text.trim_end())
            .map_err(|error| EscrowError::Agent { name: name.to_owned(), why: error.to_string() })?;
        let agent = Agent::new(name, certificate)?;
        if let Some(other) = agents.iter().find(|other| other.key_hash() == agent.key_hash()) {
            let (one, two) = (other.name(), agent.name());
            return Err(EscrowError::AgentExists(format!(
                "the recovery agents {one:?} and {two:?} have the same key"
            )));
        }
        agents.push(agent);
    }
    agents.sort_by(|one, two| one.name().cmp(two.name()));
    Ok(agents)
}

/// The file of an agent's certificate.
#[must_use]
fn agent_path(dir: &Path, name: &str) -> PathBuf {
    dir.join("agents").join(format!("{name}.pem"))
}

/// Writes an agent's certificate under a temporary name.
///
/// # Errors
/// The file cannot be written.
pub fn stage_agent(dir: &Path, agent: &Agent) -> Result<StagedFile, EscrowError> {
    create_private_dir(dir)?;
    create_private_dir(&dir.join("agents"))?;
    let pem = agent.certificate().to_pem(LineEnding::LF).map_err(EscrowError::der("a certificate"))?;
    Ok(StagedFile::write(&agent_path(dir, agent.name()), pem.as_bytes(), Mode::Private)?)
}

/// Removes an agent's certificate.
///
/// # Errors
/// The file cannot be removed.
pub fn remove_agent(dir: &Path, name: &str) -> Result<(), EscrowError> {
    let path = agent_path(dir, name);
    fs::remove_file(&path).map_err(io("remove", &path))?;
    Ok(sync_dir(&dir.join("agents"))?)
}

pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> EscrowError {
    let path = path.to_owned();
    move |source| EscrowError::File(FileError::Io { action, path, source })
}
