//! Requests, each a task of its connection's runtime.

use std::future::Future;

use ldap3::LdapResult;
use tokio::runtime::Runtime;

use crate::transport::Fault;
use crate::{DirectoryConfig, LdapError};

/// Does the work as a task, so that neither a server that hangs nor one whose answer
/// the library cannot take does harm to the caller.
pub(crate) fn run<T, F>(
    runtime: &Runtime,
    config: &DirectoryConfig,
    fault: &Fault,
    action: &'static str,
    work: F,
) -> Result<T, LdapError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, ldap3::LdapError>> + Send + 'static,
{
    let server = config.url.clone();
    let after = config.timeout();
    let outcome = runtime.block_on(async move {
        let mut task = tokio::spawn(work);
        let outcome = tokio::time::timeout(after, &mut task).await;
        task.abort();
        outcome
    });
    match outcome {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(error))) => Err(lost(config, fault, action, Some(&error))),
        Ok(Err(_)) => Err(lost(config, fault, action, None)),
        Err(_) => Err(LdapError::Timeout { server, action, after }),
    }
}

/// What ended a request: the library's error; none if the library could not take the answer.
pub(super) fn lost(
    config: &DirectoryConfig,
    fault: &Fault,
    action: &'static str,
    error: Option<&ldap3::LdapError>,
) -> LdapError {
    let server = config.url.clone();
    match (error, fault.get()) {
        (None, _) => LdapError::Protocol { server, what: "what cannot be decoded".to_owned() },
        (_, Some(&what)) => LdapError::Protocol { server, what: what.to_owned() },
        (Some(error), None) => LdapError::Connection { server, action, why: why(error) },
    }
}

/// What the library says, in words for an administrator.
fn why(error: &ldap3::LdapError) -> String {
    match error {
        ldap3::LdapError::Io { source } => source.to_string(),
        ldap3::LdapError::OpSend { .. }
        | ldap3::LdapError::ResultRecv { .. }
        | ldap3::LdapError::EndOfStream => "the connection ended".to_owned(),
        other => other.to_string(),
    }
}

/// Whether the server did what was asked of it about `dn`.
pub(super) fn accepted(
    config: &DirectoryConfig,
    action: &'static str,
    dn: &str,
    result: LdapResult,
) -> Result<(), LdapError> {
    match result.rc {
        0 => Ok(()),
        code => Err(LdapError::Refused {
            server: config.url.clone(),
            action,
            dn: dn.to_owned(),
            code,
            text: result.text,
        }),
    }
}
