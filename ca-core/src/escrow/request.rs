//! Asking the agents for keys.

use ca_domain::{Detail, KeyAlgorithm, Timestamp};
use ca_escrow::{Archive, RecoveryRequest, RequestFiles};
use ca_ledger::EntryKind;
use ca_signing::{KdfCost, Passphrase, SoftwareKey};
use sha2::{Digest, Sha256};

use super::{Wanted, act, archived, dir};
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};

/// What `ca escrow recover` is told.
pub struct RecoveryOrder<'a> {
    /// Whose keys.
    pub wanted: &'a Wanted,
    /// Why; the agents see it.
    pub reason: Option<&'a str>,
    /// Protects the request's private key until it is completed.
    pub passphrase: &'a Passphrase,
    /// What a guess at it costs.
    pub cost: KdfCost,
    /// Who asks.
    pub actor: &'a str,
}

/// A request that stands in the ledger.
#[derive(Clone, Debug)]
pub struct Requested {
    /// The request.
    pub request: RecoveryRequest,
    /// The file for the agents.
    pub bytes: Vec<u8>,
    /// Its entry's position in the ledger.
    pub position: u64,
}

/// Asks the agents for keys: makes the file that goes to them.
///
/// # Errors
/// No such key is archived, an archive was changed, or a failing disk.
pub fn request_recovery(
    home: &Home,
    order: &RecoveryOrder<'_>,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Requested> {
    let dir = dir(home);
    let keys = archived(home, order.wanted, wait)?;
    let archives =
        keys.iter().map(|key| Ok(Archive::load(&dir, &key.sha256)?)).collect::<Result<Vec<_>>>()?;
    let Some(first) = keys.first() else {
        return Err(AuthorityError::NotFound("no key was asked for; name a person or a certificate".into()));
    };
    let person = &first.issuance.record.person;
    let recovery_key = SoftwareKey::generate(KeyAlgorithm::Rsa3072)?;
    let request = RecoveryRequest::new(&archives, person, order.reason, order.actor, &recovery_key, now)?;
    let bytes = request.to_bytes()?;
    let files = RequestFiles::stage(&dir, &request, &recovery_key, order.passphrase, order.cost)?;
    let detail = Detail::RecoveryRequested {
        request: request.id.clone(),
        sha256: hex::encode(Sha256::digest(&bytes)),
        archives: keys.iter().map(|key| hex::encode(key.sha256)).collect(),
        person: person.clone(),
        reason: order.reason.map(str::to_owned),
        actor: order.actor.to_owned(),
    };
    let serial = (keys.len() == 1).then_some(first.issuance.record.serial);
    let act = act(EntryKind::RecoveryRequested, first.issuance.record.authority, serial, detail, now)?;
    let mut writer = home.writer(wait)?;
    // A request that the ledger does not know cannot be completed: files first.
    files.publish()?;
    let position = writer.commit(vec![act], now, wait.warn)?;
    Ok(Requested { request, bytes, position })
}
