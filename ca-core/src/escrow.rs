//! Escrow of encryption keys: the agents, what is archived, recovery.
//!
//! ```text
//! escrow/policy.yaml        how many agents a recovery needs
//! escrow/agents/NAME.pem    their certificates
//! escrow/archive/SHA256     sealed keys; the ledger names them
//! escrow/requests/ID/       recoveries that were asked for
//! ```

mod complete;
mod request;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use ca_domain::{Detail, KeyIdentifier, SerialNumber, Timestamp};
use ca_files::StagedFile;
use ca_index::{Index, lookup_key};
use ca_ledger::{EntryKind, NewEntry};
use ca_signing::SoftwareKey;
use x509_cert::Certificate;

pub use ca_escrow::{
    Agent, Archive, Contribution, EscrowError, EscrowPolicy, RecoveryRequest, SealedKey, contribute, seal,
};
pub use complete::{Completed, Completion, Delivery, Opening, complete_recovery};
pub(crate) use complete::{Opened, open_recovery};
pub use request::{RecoveryOrder, Requested, request_recovery};

use crate::certify::{base64, detail_bytes};
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};
use crate::import_authority::read_certificate;
use crate::inventory::{Inventory, Issuance};

/// The directory of archives, agents and recoveries.
#[must_use]
pub fn dir(home: &Home) -> PathBuf {
    home.root().join("escrow")
}

/// The policy as it is, for showing.
///
/// # Errors
/// Malformed or unsafe files.
pub fn policy(home: &Home) -> Result<EscrowPolicy> {
    Ok(EscrowPolicy::read(&dir(home))?)
}

/// The policy for sealing at `now`.
///
/// # Errors
/// As [`policy`]; too few agents, or one whose certificate is not valid.
pub fn policy_for_sealing(home: &Home, now: Timestamp) -> Result<EscrowPolicy> {
    Ok(EscrowPolicy::load(&dir(home), now)?)
}

/// Writes an archive under a temporary name. It must be published before the
/// certificate is committed.
///
/// # Errors
/// The file cannot be written.
pub fn stage(home: &Home, sealed: &SealedKey) -> Result<StagedFile> {
    Ok(ca_escrow::stage(&dir(home), sealed)?)
}

/// Seals the key of a certificate to the agents of `policy` and stages the archive;
/// also gives its SHA-256, for the ledger.
///
/// # Errors
/// The certificate allows signatures, or a file cannot be written.
pub fn archive(
    home: &Home,
    policy: &EscrowPolicy,
    key: &SoftwareKey,
    certificate: &Certificate,
) -> Result<(StagedFile, [u8; 32])> {
    let sealed = seal(policy, key, certificate)?;
    Ok((stage(home, &sealed)?, sealed.sha256))
}

/// Adds a recovery agent: keys sealed from now on are shared with it too.
///
/// # Errors
/// A certificate that does not serve, a name or key that is there already, or a
/// failing disk.
pub fn add_agent(
    home: &Home,
    name: &str,
    certificate: &Path,
    actor: &str,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<EscrowPolicy> {
    let agent = Agent::new(name, read_certificate(certificate)?)?;
    agent.check_validity(now)?;
    let mut writer = home.writer(wait)?;
    policy(home)?.check_new(&agent)?;
    let staged = ca_escrow::stage_agent(&dir(home), &agent)?;
    let detail = Detail::EscrowAgentAdded {
        agent: name.to_owned(),
        certificate: base64(agent.der()),
        actor: actor.to_owned(),
    };
    let act = act(EntryKind::EscrowAgentAdded, agent.key_id()?, None, detail, now)?;
    writer.commit(vec![act], now, wait.warn)?;
    staged.publish()?;
    policy(home)
}

/// Removes a recovery agent. Archives keep the shares that were sealed to it.
///
/// # Errors
/// There is none of that name, or a failing disk.
pub fn remove_agent(
    home: &Home,
    name: &str,
    actor: &str,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<EscrowPolicy> {
    let mut writer = home.writer(wait)?;
    let policy_before = policy(home)?;
    let agent = policy_before.agent(name)?;
    let detail = Detail::EscrowAgentRemoved {
        agent: name.to_owned(),
        key: agent.key_hash().to_string(),
        actor: actor.to_owned(),
    };
    let act = act(EntryKind::EscrowAgentRemoved, agent.key_id()?, None, detail, now)?;
    writer.commit(vec![act], now, wait.warn)?;
    ca_escrow::remove_agent(&dir(home), name)?;
    policy(home)
}

/// Sets how many agents the recovery of a key needs that is sealed from now on.
///
/// # Errors
/// One, unless `one_is_meant`; an impossible number; a failing disk.
pub fn set_threshold(
    home: &Home,
    threshold: u8,
    one_is_meant: bool,
    actor: &str,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<EscrowPolicy> {
    let mut writer = home.writer(wait)?;
    let staged = ca_escrow::stage_threshold(&dir(home), threshold, one_is_meant)?;
    let detail = Detail::EscrowThresholdSet { threshold, actor: actor.to_owned() };
    let act = act(EntryKind::EscrowThresholdSet, KeyIdentifier([0; 20]), None, detail, now)?;
    writer.commit(vec![act], now, wait.warn)?;
    staged.publish()?;
    policy(home)
}

/// Whose keys.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// All archived keys of these mailboxes.
    Mailboxes(Vec<String>),
    /// The key of this certificate.
    Serial(SerialNumber),
}

/// An archived key.
#[derive(Clone, Debug)]
pub struct ArchivedKey {
    /// Its certificate.
    pub issuance: Issuance,
    /// SHA-256 of its archive.
    pub sha256: [u8; 32],
}

/// The archived keys that are wanted, the oldest first, whatever the state of
/// their certificates.
///
/// # Errors
/// There is none, or the ledger is damaged.
pub fn archived(home: &Home, wanted: &Wanted, wait: &Wait<'_>) -> Result<Vec<ArchivedKey>> {
    let mut inventory = Inventory::open(home, wait)?;
    let issuances = match wanted {
        Wanted::Serial(serial) => vec![inventory.by_serial(*serial, wait)?],
        Wanted::Mailboxes(mailboxes) => {
            let mut records = Vec::new();
            for mailbox in mailboxes {
                records.extend(inventory.ask(wait, |index| index.by_mailbox(mailbox))?);
            }
            records.sort_by_key(|record| record.position);
            records.dedup_by_key(|record| record.position);
            records.into_iter().map(|record| inventory.issuance(record)).collect::<Result<Vec<_>>>()?
        }
    };
    let keys: Vec<_> = issuances
        .into_iter()
        .filter_map(|issuance| issuance.escrow.map(|sha256| ArchivedKey { issuance, sha256 }))
        .collect();
    if keys.is_empty() {
        let whose = match wanted {
            Wanted::Mailboxes(mailboxes) => format!("no key of {} is archived", mailboxes.join(" or ")),
            Wanted::Serial(serial) => format!("the key of certificate {serial} is not archived"),
        };
        return Err(AuthorityError::NotFound(format!(
            "{whose}; only keys issued with --escrow or as the encryption half of a pair are"
        )));
    }
    if let Wanted::Mailboxes(mailboxes) = wanted {
        let names = keys.iter().flat_map(|key| &key.issuance.record.mailboxes);
        let found: HashSet<String> = names.map(|name| lookup_key(name)).collect();
        for mailbox in mailboxes.iter().filter(|mailbox| !found.contains(&lookup_key(mailbox))) {
            (wait.warn)(&format!("no key of {mailbox} is archived"));
        }
    }
    Ok(keys)
}

/// An act of escrow and its detail.
fn act(
    kind: EntryKind,
    authority: KeyIdentifier,
    serial: Option<SerialNumber>,
    detail: Detail,
    now: Timestamp,
) -> Result<(NewEntry, Detail)> {
    let entry = NewEntry {
        kind,
        time: now,
        authority,
        serial,
        not_after: None,
        reason: None,
        invalidity_date: None,
        detail: detail_bytes(&detail)?,
    };
    Ok((entry, detail))
}
