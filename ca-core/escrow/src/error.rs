//! Why a key was not sealed or not recovered.

use ca_files::FileError;
use ca_signing::SigningError;

/// An error of this room. No message contains key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EscrowError {
    /// A certificate that cannot be a recovery agent's.
    #[error("{name:?} cannot be a recovery agent: {why}; give an RSA certificate for encryption")]
    Agent {
        /// The agent.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// An agent of that name, or with that key, is there.
    #[error("{0}; remove the other one first, or give another certificate")]
    AgentExists(String),
    /// No agent of that name.
    #[error("there is no recovery agent {0:?}; see `ca escrow agent list`")]
    AgentMissing(String),
    /// A name that does not belong into a path.
    #[error(
        "{0:?} cannot be the name of a recovery agent; use 1 to 64 of a-z, 0-9, '-' and '_', beginning with a letter"
    )]
    AgentName(String),
    /// The archive is not the one that the ledger names.
    #[error(
        "the archive {path} was changed: its SHA-256 is not its name; put the copy of a backup in its place, nothing was recovered"
    )]
    ArchiveChanged {
        /// The file.
        path: String,
    },
    /// The cryptographic library did what it should not.
    #[error("{0}; nothing was made, please report this")]
    Backend(&'static str),
    /// A contribution that cannot be used.
    #[error("{file}: {why}; nothing was recovered, ask the agent for a new contribution")]
    Contribution {
        /// The file, as given.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// DER that cannot be read or written.
    #[error("cannot read or write {what}: {source}; it is damaged")]
    Der {
        /// Which structure.
        what: &'static str,
        /// Why not.
        source: der::Error,
    },
    /// A file failed, or others could read it.
    #[error(transparent)]
    File(#[from] FileError),
    /// Bytes that are not what they should be.
    #[error("this is not {what}: {why}; is it the right file?")]
    Format {
        /// What was expected.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A key that may not be archived.
    #[error("this key is not archived: {0}; only keys for encryption alone go into escrow")]
    NotForEncryption(&'static str),
    /// A key that is none of the agents' of a request.
    #[error("this key is not one that the shares were sealed to; they are for {agents}")]
    NotAnAgent {
        /// The agents of the request.
        agents: String,
    },
    /// A key that is not RSA.
    #[error("recovery agents need an RSA key of 2048 to 8192 bits; use another certificate and key")]
    NotRsa,
    /// A build without RSA encryption.
    #[error(
        "this build ({backend}) cannot encrypt with RSA, so it has no escrow; use the default build (feature `aws-lc`)"
    )]
    NoRsaEncryption {
        /// The cryptographic library.
        backend: &'static str,
    },
    /// A malformed policy file.
    #[error("{path} is not a valid escrow policy: {what}; set it with `ca escrow threshold`")]
    Policy {
        /// The file.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// A sealed share that was changed, or does not belong to its archive.
    #[error("{who}: {why}; nothing was recovered")]
    Share {
        /// Whose, or in which file.
        who: String,
        /// What is wrong.
        why: String,
    },
    /// A key failed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// A threshold of one that was not asked for by name.
    #[error(
        "with a threshold of 1 every single agent can recover every key; if that is meant, give --threshold-one"
    )]
    SingleAgent,
    /// Numbers that make no sense together.
    #[error(
        "a recovery needs {threshold} recovery agents and there are {agents} (of 1 to 16); add agents with `ca escrow agent add`, or set `ca escrow threshold`"
    )]
    Threshold {
        /// Agents needed.
        threshold: u8,
        /// Agents there are.
        agents: usize,
    },
    /// Fewer agents than needed.
    #[error("{wanted} agents must contribute and {found} did; nothing was recovered, ask another agent")]
    TooFew {
        /// How many must.
        wanted: usize,
        /// How many did.
        found: usize,
    },
    /// Fewer agents than needed for one of several keys.
    #[error(
        "the key of certificate {serial} needs {wanted} agents and {found} of its own contributed ({agents}); \
         nothing was recovered, ask another agent"
    )]
    TooFewFor {
        /// The certificate.
        serial: String,
        /// How many must.
        wanted: usize,
        /// How many did.
        found: usize,
        /// Whose shares the key was split into.
        agents: String,
    },
}

impl EscrowError {
    pub(crate) fn der(what: &'static str) -> impl FnOnce(der::Error) -> Self {
        move |source| Self::Der { what, source }
    }
}
