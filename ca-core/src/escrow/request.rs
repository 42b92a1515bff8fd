//! Asking the agents for keys.

use std::collections::HashMap;

use ca_domain::{Detail, KeyAlgorithm, Timestamp};
use ca_escrow::{Archive, RecoveryRequest, RequestFiles};
use ca_index::lookup_key;
use ca_ledger::EntryKind;
use ca_signing::{KdfCost, Passphrase, SoftwareKey};
use sha2::{Digest, Sha256};

use super::{ArchivedKey, Wanted, act, archived, dir};
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};

/// People that a request names.
const NAMED: usize = 8;

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
    /// The position of its first entry in the ledger; there is one a person.
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
    let people = by_person(&keys);
    if people.is_empty() {
        return Err(AuthorityError::NotFound("no key was asked for; name a person or a certificate".into()));
    }
    let person = names(&people);
    let recovery_key = SoftwareKey::generate(KeyAlgorithm::Rsa3072)?;
    let request = RecoveryRequest::new(&archives, &person, order.reason, order.actor, &recovery_key, now)?;
    let bytes = request.to_bytes()?;
    let files = RequestFiles::stage(&dir, &request, &recovery_key, order.passphrase, order.cost)?;
    let sha256 = hex::encode(Sha256::digest(&bytes));
    let entry = |one: &Person<'_>| {
        let detail = Detail::RecoveryRequested {
            request: request.id.clone(),
            sha256: sha256.clone(),
            archives: one.keys.iter().map(|key| hex::encode(key.sha256)).collect(),
            person: one.person.to_owned(),
            reason: order.reason.map(str::to_owned),
            actor: order.actor.to_owned(),
        };
        let record = &one.keys[0].issuance.record;
        let serial = (one.keys.len() == 1).then_some(record.serial);
        act(EntryKind::RecoveryRequested, record.authority, serial, detail, now)
    };
    let acts = people.iter().map(entry).collect::<Result<Vec<_>>>()?;
    let mut writer = home.writer(wait)?;
    // A request that the ledger does not know cannot be completed: files first.
    files.publish()?;
    let position = writer.commit(acts, now, wait.warn)?;
    Ok(Requested { request, bytes, position })
}

/// What the agents read: so many names, and how many more there are.
fn names(people: &[Person<'_>]) -> String {
    let mut names: Vec<_> = people.iter().take(NAMED).map(|one| one.person.to_owned()).collect();
    if people.len() > NAMED {
        names.push(format!("and {} more", people.len() - NAMED));
    }
    names.join(", ")
}

/// Whose keys, and which: never none.
struct Person<'a> {
    person: &'a str,
    keys: Vec<&'a ArchivedKey>,
}

/// An entry a person, so that the ledger says of each what was asked for.
fn by_person(keys: &[ArchivedKey]) -> Vec<Person<'_>> {
    let mut people: Vec<Person<'_>> = Vec::new();
    let mut known = HashMap::new();
    for key in keys {
        let person = key.issuance.record.person.as_str();
        let at = *known.entry(lookup_key(person)).or_insert_with(|| {
            people.push(Person { person, keys: Vec::new() });
            people.len() - 1
        });
        people[at].keys.push(key);
    }
    people
}
