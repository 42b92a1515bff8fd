//! Mail servers: how they are reached, and a message handed over (RFC 5321).
//!
//! Who sends writes the message and decides what to do when nobody knows whether it was taken.

mod config;
mod session;

pub use config::{SmtpConfig, TlsMode};
pub use session::{Answer, Session, check_files};

/// Why a mail server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// It cannot be reached or trusted, or refuses the login.
    #[error("{0}")]
    Server(String),
    /// The configuration asks for what is not safe.
    #[error("{0}")]
    Refused(String),
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] ca_files::FileError),
    /// The password cannot be read.
    #[error(transparent)]
    Password(#[from] ca_signing::SigningError),
}
