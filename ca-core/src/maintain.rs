//! What a timer does on the authority's machine: it certifies the OCSP signers
//! that responders ask for, and signs the ledger's checkpoint again in time.

mod inbox;
mod signer;

use ca_domain::{SerialNumber, Timestamp};
use ca_signing::Passphrase;

use crate::config::maintain::SignerConfig;
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};

/// What `ca maintain` is told.
pub struct Maintain<'a> {
    /// Find out what is due, and do nothing.
    pub dry_run: bool,
    /// Gives the passphrase of the authority of a signer; asked only when one is
    /// to be certified.
    pub passphrase: &'a dyn Fn(&SignerConfig) -> Result<Passphrase>,
    /// Who does it.
    pub actor: &'a str,
}

/// What was done for one signer.
#[derive(Debug)]
pub enum SignerOutcome {
    /// No request waits, and none is overdue.
    NoRequest,
    /// The certificate for the request was issued.
    Issued {
        /// Its serial number.
        serial: SerialNumber,
        /// Its last second.
        not_after: Timestamp,
    },
    /// It was in the ledger, and its file is in place again: an earlier run was
    /// interrupted, or the file went.
    Delivered {
        /// Its serial number.
        serial: SerialNumber,
        /// Its last second.
        not_after: Timestamp,
    },
    /// The certificate for the request is there: the responder has not taken it yet.
    Waiting {
        /// Its serial number.
        serial: SerialNumber,
    },
    /// Something is due that a dry run does not do.
    Due,
    /// Something is due and could not be done.
    Failed(AuthorityError),
}

/// What was done for the ledger.
#[derive(Debug)]
pub enum HeartbeatOutcome {
    /// Not looked after, or young enough.
    NotDue,
    /// The checkpoint was signed again.
    Signed {
        /// The number of entries.
        size: u64,
    },
    /// It is due, and a dry run does not do it.
    Due,
    /// It is due and could not be done.
    Failed(AuthorityError),
}

/// All that was done.
#[derive(Debug)]
pub struct MaintainReport {
    /// For every signer of `ca.yaml`, in its order.
    pub signers: Vec<(SignerConfig, SignerOutcome)>,
    /// For the ledger.
    pub heartbeat: HeartbeatOutcome,
}

impl MaintainReport {
    /// Why what is due was not done, for each: whose, and the error.
    pub fn failures(&self) -> impl Iterator<Item = (String, &AuthorityError)> {
        let signers = self.signers.iter().filter_map(|(signer, outcome)| match outcome {
            SignerOutcome::Failed(error) => Some((format!("OCSP signer of {}", signer.authority), error)),
            _ => None,
        });
        let heartbeat = match &self.heartbeat {
            HeartbeatOutcome::Failed(error) => Some(("heartbeat".to_owned(), error)),
            _ => None,
        };
        signers.chain(heartbeat)
    }
}

/// Does what is due, each thing whether or not another failed. It can be killed
/// at any point and run twice at once: what is due is then done once.
#[must_use]
pub fn maintain(home: &Home, request: &Maintain<'_>, now: Timestamp, wait: &Wait<'_>) -> MaintainReport {
    let config = &home.config().maintain;
    let mut signers = Vec::with_capacity(config.ocsp_signers.len());
    for signer in &config.ocsp_signers {
        let outcome = signer::tend(home, signer, request, now, wait).unwrap_or_else(SignerOutcome::Failed);
        signers.push((signer.clone(), outcome));
    }
    // After the signers: an entry is a sign of life, too.
    let heartbeat = heartbeat(home, request.dry_run, now, wait).unwrap_or_else(HeartbeatOutcome::Failed);
    MaintainReport { signers, heartbeat }
}

fn heartbeat(home: &Home, dry_run: bool, now: Timestamp, wait: &Wait<'_>) -> Result<HeartbeatOutcome> {
    let Some(limit) = home.config().maintain.heartbeat.0 else { return Ok(HeartbeatOutcome::NotDue) };
    if now.seconds_since(home.ledger()?.checkpoint().time) < limit {
        return Ok(HeartbeatOutcome::NotDue);
    }
    if dry_run {
        return Ok(HeartbeatOutcome::Due);
    }
    Ok(HeartbeatOutcome::Signed { size: home.heartbeat(now, wait)?.size })
}
