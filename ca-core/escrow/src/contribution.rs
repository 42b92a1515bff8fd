//! What an agent gives: its shares of the wanted keys, sealed to the request's key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca_domain::SpkiHash;
use ca_signing::{SigningKey, SoftwareKey};
use cms::content_info::ContentInfo;
use cms::enveloped_data::RecipientIdentifier;
use der::asn1::OctetString;
use der::{Decode, Encode, Sequence};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use x509_cert::ext::pkix::SubjectKeyIdentifier;
use zeroize::Zeroizing;

use crate::EscrowError;
use crate::agent::key_id;
use crate::envelope;
use crate::request::{RecoveryRequest, RequestedShare, from_base64};
use crate::share::Share;

const FORMAT: &str = "chancery-recovery-contribution";
/// Bytes of a contribution file at most.
const MAX_LEN: usize = 16 << 20;

/// An agent's contribution to a recovery: a JSON file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Contribution {
    format: String,
    version: u32,
    /// The request that it answers.
    pub request: String,
    /// The agent's name, as the request has it.
    pub agent: String,
    /// SHA-256 of the agent's public key.
    pub agent_key: SpkiHash,
    /// CMS EnvelopedData of a share to the request's key, base64.
    envelope: String,
}

/// ```asn1
/// Contribution ::= SEQUENCE {
///     version   INTEGER (1),
///     request   OCTET STRING (SIZE (16)),
///     agentKey  OCTET STRING (SIZE (32)),
///     shares    SEQUENCE OF SEQUENCE {
///         archive  OCTET STRING (SIZE (32)),   -- SHA-256 of the file
///         share    OCTET STRING } }            -- DER of Share
/// ```
#[derive(Sequence)]
struct Wire {
    version: u8,
    request: OctetString,
    agent_key: OctetString,
    shares: Vec<WireShare>,
}

#[derive(Sequence)]
struct WireShare {
    archive: OctetString,
    share: OctetString,
}

/// The shares of a contribution, opened.
pub(crate) struct Opened {
    /// With the SHA-256 of the archive that each belongs to.
    pub(crate) shares: Vec<([u8; 32], Zeroizing<Vec<u8>>)>,
}

/// Opens the shares of a request that are sealed to `key` and seals them to the
/// request's key. Needs nothing but the request and the agent's own key.
///
/// # Errors
/// [`EscrowError::NotAnAgent`] if none is sealed to the key;
/// [`EscrowError::Share`] if one was changed.
pub fn contribute(request: &RecoveryRequest, key: &SoftwareKey) -> Result<Contribution, EscrowError> {
    let agent_key = SpkiHash::of_der(key.public_key_der());
    let what = "a contribution";
    let mut name = None;
    let mut shares = Vec::new();
    for wanted in &request.keys {
        let Some(sealed) = wanted.shares.iter().find(|share| share.agent_key == agent_key) else { continue };
        let share = open_share(sealed, key)?;
        name.get_or_insert(&sealed.agent);
        let mut archive = [0; 32];
        hex::decode_to_slice(&wanted.archive, &mut archive).map_err(|_| EscrowError::Format {
            what: "a recovery request",
            why: "the name of an archive is not a SHA-256".into(),
        })?;
        shares.push(WireShare { archive: octets(&archive)?, share: octets(&share)? });
    }
    let Some(name) = name else {
        let mut agents: Vec<&str> =
            request.keys.iter().flat_map(|key| key.shares.iter().map(|share| share.agent.as_str())).collect();
        agents.sort_unstable();
        agents.dedup();
        return Err(EscrowError::NotAnAgent { agents: agents.join(", ") });
    };
    let wire =
        Wire { version: 1, request: octets(&request.id_bytes()?)?, agent_key: octets(&agent_key.0)?, shares };
    let content = Zeroizing::new(wire.to_der().map_err(EscrowError::der(what))?);
    wire.wipe();
    let recovery_key = request.recovery_key_der()?;
    let rid =
        RecipientIdentifier::SubjectKeyIdentifier(SubjectKeyIdentifier(octets(&key_id(&recovery_key)?.0)?));
    let sealed = envelope::seal_to_rsa(rid, &recovery_key, &content)?;
    Ok(Contribution {
        format: FORMAT.to_owned(),
        version: 1,
        request: request.id.clone(),
        agent: name.clone(),
        agent_key,
        envelope: STANDARD.encode(sealed.to_der().map_err(EscrowError::der(what))?),
    })
}

fn open_share(sealed: &RequestedShare, key: &SoftwareKey) -> Result<Zeroizing<Vec<u8>>, EscrowError> {
    let refuse = |why: &str| EscrowError::Share {
        who: format!("the share of {} in the request", sealed.agent),
        why: why.into(),
    };
    let info = ContentInfo::from_der(&from_base64(&sealed.envelope)?)
        .map_err(|_| refuse("it was changed: its envelope cannot be read"))?;
    let opened = envelope::open_with_rsa(key.pkcs8_der(), &info)?;
    let share = opened.ok_or_else(|| refuse("it was changed, or sealed to another key: it does not open"))?;
    if hex::encode(Sha256::digest(&share)) != sealed.commitment {
        return Err(refuse("it was changed: it is not the share that was sealed for this key"));
    }
    Share::from_der(&share)?;
    Ok(share)
}

impl Contribution {
    /// The file's bytes.
    ///
    /// # Errors
    /// None for values of this type; the serializer's signature asks for it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EscrowError> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|error| strange(error.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a contribution file.
    ///
    /// # Errors
    /// The bytes are not a contribution of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EscrowError> {
        if bytes.len() > MAX_LEN {
            return Err(strange("it is too large".into()));
        }
        let read: Self = serde_json::from_slice(bytes).map_err(|error| strange(error.to_string()))?;
        if read.format != FORMAT || read.version != 1 {
            return Err(strange("it is of another format or version".into()));
        }
        Ok(read)
    }

    /// Opens it with the request's private key. The result has been sealed for this
    /// request by someone; what the shares are worth, their commitments say.
    pub(crate) fn open(&self, id: &[u8; 16], key: &SoftwareKey) -> Result<Opened, String> {
        let changed = || "it was changed, or sealed for another request: it does not open".to_owned();
        let damaged = |error: EscrowError| error.to_string();
        let der = from_base64(&self.envelope).map_err(damaged)?;
        let info = ContentInfo::from_der(&der).map_err(|_| changed())?;
        let content =
            envelope::open_with_rsa(key.pkcs8_der(), &info).map_err(damaged)?.ok_or_else(changed)?;
        let wire = Wire::from_der(&content).map_err(|_| changed())?;
        let for_us = wire.version == 1 && wire.request.as_bytes() == id;
        let by_them = wire.agent_key.as_bytes() == self.agent_key.0;
        let opened = wire.into_opened();
        if !for_us {
            return Err("it was made for another request".into());
        }
        if !by_them {
            return Err(changed());
        }
        opened.ok_or_else(changed)
    }
}

impl Wire {
    fn wipe(self) {
        drop(self.into_opened());
    }

    /// Every share goes into memory that is wiped.
    fn into_opened(self) -> Option<Opened> {
        let shares: Vec<_> = self
            .shares
            .into_iter()
            .map(|one| {
                let share = Zeroizing::new(one.share.into_bytes());
                Some((<[u8; 32]>::try_from(one.archive.as_bytes()).ok()?, share))
            })
            .collect();
        Some(Opened { shares: shares.into_iter().collect::<Option<_>>()? })
    }
}

fn octets(bytes: &[u8]) -> Result<OctetString, EscrowError> {
    OctetString::new(bytes).map_err(EscrowError::der("a contribution"))
}

fn strange(why: String) -> EscrowError {
    EscrowError::Format { what: "a contribution", why }
}
