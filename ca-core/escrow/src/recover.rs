//! Opening archives with the agents' contributions. Everything is checked before
//! the first key is opened; one fault, and there is no key at all.

use ca_domain::SpkiHash;
use ca_signing::SoftwareKey;
use sha2::{Digest, Sha256};
use x509_cert::Certificate;

use crate::EscrowError;
use crate::archive::{Archive, SealedShare};
use crate::contribution::Contribution;
use crate::request::RecoveryRequest;
use crate::share::Share;
use crate::sharing::{Point, combine};

/// What a recovery gives.
#[derive(Debug)]
pub struct Recovered {
    /// The keys, in the order of the request.
    pub keys: Vec<RecoveredKey>,
    /// The agents, in the order of their files.
    pub contributors: Vec<Contributor>,
}

/// A key that left the archive.
#[derive(Debug)]
pub struct RecoveredKey {
    /// SHA-256 of the archive.
    pub archive: [u8; 32],
    /// The certificate.
    pub certificate: Certificate,
    /// Its private key.
    pub key: SoftwareKey,
}

/// An agent who contributed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Contributor {
    /// The name in the archive.
    pub agent: String,
    /// The public key.
    pub key: SpkiHash,
    /// SHA-256 of the contribution file.
    pub sha256: [u8; 32],
}

/// Opens `archives`, those of `request`, with `contributions`: names and contents
/// of files.
///
/// # Errors
/// A contribution that was changed, belongs to another request or comes from
/// nobody that the archive knows; a share that is not the one that was sealed;
/// fewer agents than needed. The error names the file or the certificate.
pub fn recover(
    request: &RecoveryRequest,
    archives: &[Archive],
    recovery_key: &SoftwareKey,
    contributions: &[(String, Vec<u8>)],
) -> Result<Recovered, EscrowError> {
    let id = request.id_bytes()?;
    let mut points: Vec<Vec<Point>> = archives.iter().map(|_| Vec::new()).collect();
    let mut contributors: Vec<Contributor> = Vec::new();
    for (file, bytes) in contributions {
        let refuse = |why: String| EscrowError::Contribution { file: file.clone(), why };
        let contribution = Contribution::from_bytes(bytes).map_err(|error| refuse(error.to_string()))?;
        if contribution.request != request.id {
            return Err(refuse(format!("it answers request {}, not {}", contribution.request, request.id)));
        }
        if contributors.iter().any(|other| other.key == contribution.agent_key) {
            return Err(refuse(format!("{} contributed already, and counts once", contribution.agent)));
        }
        let opened = contribution.open(&id, recovery_key).map_err(refuse)?;
        let mut name = None;
        for (sha256, der) in &opened.shares {
            let Some(position) = archives.iter().position(|archive| archive.sha256 == *sha256) else {
                return Err(refuse("it has a share of a key that was not asked for".into()));
            };
            let (sealed, point) = check(&archives[position], contribution.agent_key, der).map_err(refuse)?;
            name.get_or_insert_with(|| sealed.agent.clone());
            points[position].push(point);
        }
        let agent = name.ok_or_else(|| refuse("it has no share".into()))?;
        contributors.push(Contributor {
            agent,
            key: contribution.agent_key,
            sha256: Sha256::digest(bytes).into(),
        });
    }
    for (archive, points) in archives.iter().zip(&points) {
        enough(archive, points.len())?;
    }
    let mut keys = Vec::new();
    for (archive, points) in archives.iter().zip(&points) {
        let kek = combine(points, archive.threshold)?;
        let key = archive.open(&kek)?;
        keys.push(RecoveredKey { archive: archive.sha256, certificate: archive.certificate.clone(), key });
    }
    Ok(Recovered { keys, contributors })
}

/// Holds a share against what the archive says of it.
fn check<'a>(archive: &'a Archive, agent: SpkiHash, der: &[u8]) -> Result<(&'a SealedShare, Point), String> {
    let Some(sealed) = archive.shares.iter().find(|share| share.agent_key == agent) else {
        return Err("it comes from an agent that the key was not sealed to".into());
    };
    let share = Share::from_der(der).map_err(|error| error.to_string())?;
    if share.set != archive.set {
        return Err(format!("the share of {} belongs to another key", sealed.agent));
    }
    if share.point.x != sealed.index {
        return Err(format!("the share of {} is another agent's", sealed.agent));
    }
    if <[u8; 32]>::from(Sha256::digest(der)) != sealed.commitment {
        return Err(format!("the share of {} was changed", sealed.agent));
    }
    Ok((sealed, share.point))
}

fn enough(archive: &Archive, found: usize) -> Result<(), EscrowError> {
    let wanted = usize::from(archive.threshold);
    if found >= wanted {
        return Ok(());
    }
    let agents: Vec<&str> = archive.shares.iter().map(|share| share.agent.as_str()).collect();
    Err(EscrowError::TooFewFor {
        serial: archive.serial()?.to_string(),
        wanted,
        found,
        agents: agents.join(", "),
    })
}
