//! Why a directory could not be asked or changed.

use std::path::PathBuf;
use std::time::Duration;

use ca_files::FileError;

use crate::result_code::{self, Concern, code_in_words};

/// An error of this room. No message contains a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LdapError {
    /// The settings ask for a login that is not in this build of the program.
    #[error(
        "{server}: sasl: gssapi needs Kerberos, which this build of the program has not; use one that was built \
         with --features gssapi"
    )]
    Build {
        /// The server's URL.
        server: String,
    },
    /// A file with certificates or a key is not what it must be.
    #[error("{path}: {what}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// The settings contradict each other or miss something.
    #[error("the directory's settings are wrong: {0}")]
    Config(String),
    /// No connection, or it ended.
    #[error("{server}: cannot {action}: {why}; is the server running, and is its certificate from ca_root?")]
    Connection {
        /// The server's URL.
        server: String,
        /// What was tried.
        action: &'static str,
        /// What happened.
        why: String,
    },
    /// A file failed, or others could read or change it.
    #[error(transparent)]
    File(#[from] FileError),
    /// Kerberos gave no ticket, or the login with it failed.
    #[error("{server}: cannot log in with Kerberos: {what}")]
    Kerberos {
        /// The server's URL.
        server: String,
        /// What is wrong, and what to do.
        what: String,
    },
    /// A text that is no LDIF.
    #[error("line {line} of the LDIF cannot be read: {what}; nothing was changed")]
    Ldif {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// The server's answer makes no sense.
    #[error("{server} answered with {what}; is it a directory?")]
    Protocol {
        /// The server's URL.
        server: String,
        /// What was wrong with it.
        what: String,
    },
    /// The server refused.
    #[error("{server} refused to {action} ({dn}): {}{}", code_in_words(*code), said(text))]
    Refused {
        /// The server's URL.
        server: String,
        /// What was asked of it.
        action: &'static str,
        /// About which entry, or who logs in.
        dn: String,
        /// The result code (RFC 4511, appendix A).
        code: u32,
        /// What the server said besides.
        text: String,
    },
    /// No answer in time.
    #[error(
        "{server}: cannot {action}: no answer within {} s; the server is overloaded or unreachable",
        after.as_secs()
    )]
    Timeout {
        /// The server's URL.
        server: String,
        /// What was asked of it.
        action: &'static str,
        /// How long we waited.
        after: Duration,
    },
    /// A search gives more entries than anybody expects.
    #[error("{server} has more than {limit} entries for a search below {dn}; is the base right?")]
    TooMany {
        /// The server's URL.
        server: String,
        /// Where the search began.
        dn: String,
        /// How many were expected at most.
        limit: usize,
    },
}

impl LdapError {
    /// Whether the server refused this request alone, and may well accept another over the same connection.
    /// Otherwise the connection is of no use any more.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.code().is_some_and(|code| result_code::concerns(code) == Concern::Request)
    }

    /// The server's result code, if it gave one.
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// What the server said, in brackets, fit for one line.
pub(crate) fn said(text: &str) -> String {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    let printable: String = text.chars().filter(|c| !c.is_control()).take(300).collect();
    if printable.is_empty() { String::new() } else { format!(" ({printable})") }
}
