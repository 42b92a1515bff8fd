//! What the authority asks the agents for: a file that goes to each of them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca_domain::{SpkiHash, Timestamp};
use ca_signing::{SigningKey, SoftwareKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use x509_cert::Certificate;

use crate::EscrowError;
use crate::archive::Archive;

const FORMAT: &str = "chancery-recovery-request";
/// Bytes of a request file at most: some thousand keys.
const MAX_LEN: usize = 64 << 20;

/// A request to recover keys. JSON; binary values are base64 or, for hashes and
/// identifiers, hexadecimal.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecoveryRequest {
    format: String,
    version: u32,
    /// 16 random octets, hexadecimal.
    pub id: String,
    /// When it was made.
    pub created: String,
    /// Whose keys.
    pub person: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who asked.
    pub requester: String,
    /// To what contributions are sealed: DER SubjectPublicKeyInfo, base64.
    recovery_key: String,
    /// The wanted keys.
    pub keys: Vec<RequestedKey>,
}

/// One key of a request.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestedKey {
    /// SHA-256 of the archive, hexadecimal.
    pub archive: String,
    /// The certificate's serial number, hexadecimal.
    pub serial: String,
    /// From when the certificate is valid.
    pub not_before: String,
    /// Until when.
    pub not_after: String,
    /// How many agents must contribute.
    pub threshold: u8,
    /// The sealed shares.
    pub shares: Vec<RequestedShare>,
}

/// One agent's sealed share of a key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestedShare {
    /// The agent's name when the key was sealed.
    pub agent: String,
    /// SHA-256 of the agent's public key, hexadecimal.
    pub agent_key: SpkiHash,
    /// The share's number.
    pub index: u8,
    /// SHA-256 of the share, hexadecimal.
    pub commitment: String,
    /// CMS EnvelopedData, base64.
    pub envelope: String,
}

impl RecoveryRequest {
    /// A request for the keys in `archives`; contributions are to be sealed to
    /// `recovery_key`, which is made for this request alone.
    ///
    /// # Errors
    /// No archive; no random bytes.
    pub fn new(
        archives: &[Archive],
        person: &str,
        reason: Option<&str>,
        requester: &str,
        recovery_key: &SoftwareKey,
        now: Timestamp,
    ) -> Result<Self, EscrowError> {
        if archives.is_empty() {
            return Err(EscrowError::Format { what: "a recovery", why: "no key was asked for".into() });
        }
        Ok(Self {
            format: FORMAT.to_owned(),
            version: 1,
            id: hex::encode(ca_signing::random::<16>()?),
            created: now.to_string(),
            person: person.to_owned(),
            reason: reason.map(str::to_owned),
            requester: requester.to_owned(),
            recovery_key: STANDARD.encode(recovery_key.public_key_der()),
            keys: archives.iter().map(requested_key).collect::<Result<_, _>>()?,
        })
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// None for values of this type; the serializer's signature asks for it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EscrowError> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|error| strange(error.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a request file.
    ///
    /// # Errors
    /// The bytes are not a request of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EscrowError> {
        if bytes.len() > MAX_LEN {
            return Err(strange("it is too large".into()));
        }
        let request: Self = serde_json::from_slice(bytes).map_err(|error| strange(error.to_string()))?;
        if request.format != FORMAT || request.version != 1 {
            return Err(strange("it is of another format or version".into()));
        }
        request.id_bytes()?;
        Ok(request)
    }

    /// The identifier's octets.
    ///
    /// # Errors
    /// It is not 32 lower-case hexadecimal digits.
    pub fn id_bytes(&self) -> Result<[u8; 16], EscrowError> {
        parse_id(&self.id)
    }

    /// The key that contributions are sealed to, DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// It is not base64.
    pub fn recovery_key_der(&self) -> Result<Vec<u8>, EscrowError> {
        from_base64(&self.recovery_key)
    }

    /// SHA-256 of the key that contributions are sealed to, as agents and the
    /// authority read it to each other: eight groups of four hexadecimal digits.
    ///
    /// # Errors
    /// As [`RecoveryRequest::recovery_key_der`].
    pub fn fingerprint(&self) -> Result<String, EscrowError> {
        let digest = Sha256::digest(self.recovery_key_der()?);
        let groups: Vec<String> = digest[..16].chunks(2).map(hex::encode).collect();
        Ok(groups.join(" "))
    }
}

/// Reads a request's identifier.
///
/// # Errors
/// It is not 32 lower-case hexadecimal digits: nothing else may become a path.
pub(crate) fn parse_id(id: &str) -> Result<[u8; 16], EscrowError> {
    let mut bytes = [0; 16];
    let decoded = hex::decode_to_slice(id, &mut bytes);
    if decoded.is_err() || id.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(strange("its identifier is not 32 hexadecimal digits".into()));
    }
    Ok(bytes)
}

fn requested_key(archive: &Archive) -> Result<RequestedKey, EscrowError> {
    let certificate: &Certificate = &archive.certificate;
    let validity = certificate.tbs_certificate.validity;
    let share = |share: &crate::SealedShare| RequestedShare {
        agent: share.agent.clone(),
        agent_key: share.agent_key,
        index: share.index,
        commitment: hex::encode(share.commitment),
        envelope: STANDARD.encode(&share.envelope),
    };
    Ok(RequestedKey {
        archive: hex::encode(archive.sha256),
        serial: archive.serial()?.to_string(),
        not_before: Timestamp::from(validity.not_before).to_string(),
        not_after: Timestamp::from(validity.not_after).to_string(),
        threshold: archive.threshold,
        shares: archive.shares.iter().map(share).collect(),
    })
}

pub(crate) fn from_base64(text: &str) -> Result<Vec<u8>, EscrowError> {
    STANDARD.decode(text).map_err(|error| strange(format!("a value is not base64: {error}")))
}

fn strange(why: String) -> EscrowError {
    EscrowError::Format { what: "a recovery request", why }
}
