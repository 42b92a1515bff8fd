//! Why a directory could not be asked or changed.

use std::path::PathBuf;
use std::time::Duration;

use ca_files::FileError;

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
    /// Whether the server refused, and may well accept something else over the same connection.
    /// Otherwise the connection is of no use any more.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.code().is_some_and(|code| !matches!(code, 3 | 8 | 11 | 13 | 51 | 52))
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

/// What a result code means (RFC 4511, appendix A), with what to do about it.
#[must_use]
pub fn code_in_words(code: u32) -> String {
    let words = match code {
        1 => "operations error; log in first, or see the server's log",
        2 => "protocol error",
        3 => "time limit exceeded; ask for less, or raise the server's limit",
        4 => "size limit exceeded; raise the server's limit for this user",
        7 => "authentication method not supported",
        8 => "stronger authentication required; use ldaps:// or start_tls",
        10 => "referral to another server; give that server's URL",
        11 => "administrative limit exceeded; raise the server's limit for this user",
        12 => "unavailable critical extension",
        13 => "confidentiality required; use ldaps:// or start_tls",
        16 => "no such attribute or value; is the dialect right?",
        17 => "undefined attribute type; is the dialect right, and the schema loaded?",
        18 => "inappropriate matching",
        19 => "constraint violation",
        20 => "attribute or value exists",
        21 => "invalid attribute syntax",
        32 => "no such object; is the base right?",
        34 => "invalid DN syntax",
        48 => "inappropriate authentication",
        49 => "invalid credentials; check the name and the password file",
        50 => "insufficient access rights; give this user write access to the attribute",
        51 => "busy; try again later",
        52 => "unavailable; try again later",
        53 => "unwilling to perform",
        64 => "naming violation",
        65 => "object class violation; the entry's classes do not allow the attribute",
        68 => "entry already exists",
        80 => "other error; see the server's log",
        _ => "an unusual result",
    };
    format!("{words} [code {code}]")
}
