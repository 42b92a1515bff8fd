//! What the daemons share: strict configuration, the HTTP shell with its limits,
//! watching files, following the ledger, and the life of a service.
//!
//! A daemon is a set of plain threads that follow files, and an HTTP server that
//! reads what those threads publish. Nothing here knows OCSP or CRLs.

pub mod alarm;
pub mod authority;
pub mod bell;
pub mod client;
pub mod clock;
pub mod conditional;
pub mod config;
pub mod daemon;
pub mod errand;
#[cfg(feature = "fixtures")]
pub mod fixture;
pub mod follow;
pub mod log;
pub mod metrics;
pub mod reload;
pub mod request_log;
pub mod run;
pub mod server;
pub mod span;
pub mod state_dir;
pub mod watch;

pub use alarm::{Alarm, Alarms};
pub use authority::Authority;
pub use bell::{Bell, Wake};
pub use clock::{Clock, ManualClock, SaneClock, SystemClock};
pub use daemon::{Crew, Options, Running, Worker};
pub use errand::{Errand, Errands};
pub use follow::{LedgerFollower, LedgerPlace, LedgerSource, LedgerView, Trust};
pub use metrics::Metrics;
pub use reload::Reload;
pub use server::{Handler, Limits, Peer};
pub use span::Span;
pub use state_dir::{Access, StateDir};
pub use watch::FileWatch;

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a daemon cannot start, or cannot use one of its files.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The configuration is not what the daemon understands.
    #[error("{path}: {what}; correct the configuration and check it with --check")]
    Config {
        /// The configuration file.
        path: PathBuf,
        /// What is wrong, with line and field where known.
        what: String,
    },
    /// A certificate file cannot be used.
    #[error("the certificate {path} cannot be used: {what}; put a certificate (PEM or DER) there")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A key file cannot be used.
    #[error("the key {path} cannot be used: {what}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; never the key or its passphrase.
        what: String,
    },
    /// A signer of a new configuration cannot be used.
    #[error("a signer is not usable: {0}")]
    Signer(String),
    /// Something of a new configuration lacks what it needs.
    #[error("{topic}: {what}")]
    Unready {
        /// What lacks it, as its alarm calls it.
        topic: String,
        /// Why it cannot be used.
        what: String,
    },
    /// The ledger's verification key is not one.
    #[error("ledger_vkey: {0}; copy it from `ca ledger show` on the authority's machine")]
    LedgerKey(String),
    /// A saved position in the ledger cannot be used.
    #[error("{0}; remove the file that it is kept in, and the whole ledger is read anew")]
    Position(String),
    /// A file is missing, unreadable or unsafe.
    #[error(transparent)]
    File(#[from] ca_files::FileError),
    /// The listening address is not free or not ours.
    #[error("cannot listen on {address}: {source}; choose another address with `{setting}`")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The setting that says so.
        setting: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// A metric cannot be registered or shown: a bug.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The operating system refused something else.
    #[error("cannot {action}: {source}")]
    Os {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: std::io::Error,
    },
}
