//! Errors as a person and as a program read them, and the exit status.

use std::io;
use std::process::ExitCode;

use ca_core::domain::lint::Finding;
use ca_core::{AuthorityError, ErrorClass};
use serde_json::{Value, json};

use crate::report::say;

/// The result of a command.
pub(crate) type Result<T> = std::result::Result<T, CliError>;

/// Why a command did not succeed. Messages read "what happened; what to do".
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("not confirmed; nothing was changed")]
    Declined,
    #[error("{0}")]
    Failed(String),
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Usage(String),
}

/// Exit statuses, as `ca --help` documents them.
impl CliError {
    fn status(&self) -> u8 {
        match self {
            Self::Authority(error) => match error.class() {
                ErrorClass::Failed => 1,
                ErrorClass::Usage => 2,
                ErrorClass::Refused => 3,
                ErrorClass::NotFound => 4,
                ErrorClass::Busy => 5,
            },
            Self::Failed(_) | Self::Output(_) => 1,
            Self::Usage(_) => 2,
            Self::Declined | Self::Refused(_) => 3,
        }
    }

    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    pub(crate) fn report(&self, json: bool) -> ExitCode {
        let message = self.to_string();
        let (what, todo) = match self {
            // A list of findings, each with punctuation of its own.
            Self::Authority(error @ (AuthorityError::Lint(_) | AuthorityError::Template(_))) => {
                (message.as_str(), error.advice())
            }
            Self::Authority(error) => message.split_once("; ").unwrap_or((&message, error.advice())),
            _ => message.split_once("; ").unwrap_or((&message, "")),
        };
        let mut value = json!({"code": self.status(), "what": what, "todo": todo});
        if let Self::Authority(AuthorityError::Lint(report)) = self {
            let finding = |finding: &Finding| json!({"lint": finding.lint, "what": finding.what, "source": finding.source, "client": finding.client});
            value["findings"] = report.findings.iter().map(finding).collect();
        }
        if let Self::Authority(AuthorityError::Lines { lines, .. }) = self {
            value["lines"] = lines.iter().map(|bad| json!({"line": bad.line, "what": bad.what})).collect();
        }
        print(what, todo, &value, json);
        ExitCode::from(self.status())
    }
}

macro_rules! from_room {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for CliError {
            fn from(error: $error) -> Self {
                Self::Authority(error.into())
            }
        })*
    };
}

from_room!(
    ca_core::domain::SerialNumberError,
    ca_core::domain::csr::CsrError,
    ca_core::domain::mailbox::DomainError,
    ca_core::domain::mailbox::MailboxError,
    ca_core::escrow::EscrowError,
    ca_core::files::FileError,
    ca_core::ldap::LdapError,
    ca_core::ledger::LedgerError,
    ca_core::signing::SigningError,
);

fn print(what: &str, todo: &str, value: &Value, json: bool) {
    if json {
        say(&json!({"error": value}).to_string());
    } else if todo.is_empty() {
        say(&format!("ca: {what}"));
    } else if what.contains('\n') {
        say(&format!("ca: {what}\n{todo}"));
    } else {
        say(&format!("ca: {what}; {todo}"));
    }
}

/// Reports what clap found, as text or as JSON. Help and version go to stdout.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A reader that has seen enough closes the pipe.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if std::env::args_os().any(|argument| argument == "--json") {
        let text = error.render().to_string();
        let what = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        print(what, "", &json!({"code": 2, "what": what, "todo": "see `ca help`"}), true);
        return ExitCode::from(2);
    }
    let _ = error.print();
    ExitCode::from(2)
}
