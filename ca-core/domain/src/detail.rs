//! The private detail of a ledger entry: what only the authority may see, and
//! all that is needed to rebuild the index.

use serde::{Deserialize, Serialize};

/// One detail record. Its bytes are JSON; the entry holds their SHA-256.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Detail {
    /// An authority was created here or imported.
    AuthorityCreated {
        /// The authority's name in the home directory.
        name: String,
        /// Its certificate, base64 of DER.
        certificate: String,
        /// The template, empty for an import.
        template: String,
        /// SHA-256 of the template file, hexadecimal, empty for an import.
        template_hash: String,
        /// Who did it.
        actor: String,
    },
    /// A certificate was issued.
    CertificateIssued {
        /// The issuing authority's name.
        authority: String,
        /// The certificate, base64 of DER.
        certificate: String,
        /// The template.
        template: String,
        /// SHA-256 of the template file, hexadecimal.
        template_hash: String,
        /// Whose it is: the primary mailbox or host name, domain in lower case.
        person: String,
        /// Where the key came from.
        key_origin: KeyOrigin,
        /// The PKCS#10 request, base64 of DER, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<String>,
        /// SHA-256 of the archive that holds the private key, hexadecimal, if it
        /// is in escrow.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        escrow: Option<String>,
        /// The batch that it was issued in and the line of the person there, as
        /// `BATCH:LINE`: a batch that was interrupted finds by it what is done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        batch: Option<String>,
        /// Who did it.
        actor: String,
    },
    /// A certificate was revoked, put on hold or released.
    StatusChanged {
        /// Who did it.
        actor: String,
        /// A remark for the record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A CRL was issued by hand.
    CrlIssued {
        /// The issuing authority's name.
        authority: String,
        /// Its CRLNumber, hexadecimal.
        number: String,
        /// SHA-256 of the DER CRL, hexadecimal.
        sha256: String,
        /// Who did it.
        actor: String,
    },
    /// Keys are shared with this recovery agent from now on.
    EscrowAgentAdded {
        /// The agent's name in the home directory.
        agent: String,
        /// The agent's certificate, base64 of DER.
        certificate: String,
        /// Who did it.
        actor: String,
    },
    /// Keys are no longer shared with this recovery agent. What was sealed before
    /// stays sealed to it.
    EscrowAgentRemoved {
        /// The agent's name in the home directory.
        agent: String,
        /// SHA-256 of the agent's public key (SubjectPublicKeyInfo), hexadecimal.
        key: String,
        /// Who did it.
        actor: String,
    },
    /// So many agents must work together from now on, for keys sealed from now on.
    EscrowThresholdSet {
        /// Agents needed to recover a key.
        threshold: u8,
        /// Who did it.
        actor: String,
    },
    /// The recovery of keys was asked for.
    RecoveryRequested {
        /// The request's identifier, hexadecimal.
        request: String,
        /// SHA-256 of the request file, hexadecimal.
        sha256: String,
        /// SHA-256 of the archives of the wanted keys, hexadecimal.
        archives: Vec<String>,
        /// Whose keys.
        person: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Who did it.
        actor: String,
    },
    /// An agent's contribution to a recovery was handed in and used.
    RecoveryContributed {
        /// The request's identifier, hexadecimal.
        request: String,
        /// The agent's name at the time of sealing.
        agent: String,
        /// SHA-256 of the agent's public key (SubjectPublicKeyInfo), hexadecimal.
        key: String,
        /// SHA-256 of the contribution file, hexadecimal.
        sha256: String,
        /// Who handed it in.
        actor: String,
    },
    /// Notices about coming expiries were handed to the mail server.
    NoticesSent {
        /// The lines of the log of notices that are recorded by this entry.
        notices: Vec<String>,
        /// Who did it.
        actor: String,
    },
    /// A certificate was asked for that needs a second person's approval.
    RequestSubmitted {
        /// The request's identifier, hexadecimal.
        request: String,
        /// SHA-256 of the request file, hexadecimal: all that is to be issued.
        sha256: String,
        /// The template.
        template: String,
        /// SHA-256 of the template file, hexadecimal.
        template_hash: String,
        /// Whose certificate it will be.
        person: String,
        /// The requester's user number.
        requester: u32,
        /// Who did it.
        actor: String,
    },
    /// A second person approved a request.
    RequestApproved {
        /// The request's identifier, hexadecimal.
        request: String,
        /// SHA-256 of the request file, hexadecimal.
        sha256: String,
        /// The user number of who asked.
        requester: u32,
        /// The user number of who approved.
        approver: u32,
        /// Who did it.
        actor: String,
    },
    /// A request was rejected.
    RequestRejected {
        /// The request's identifier, hexadecimal.
        request: String,
        /// SHA-256 of the request file, hexadecimal.
        sha256: String,
        /// The user number of who asked.
        requester: u32,
        /// The user number of who rejected it; that may be the same one.
        rejecter: u32,
        /// Why.
        reason: String,
        /// Who did it.
        actor: String,
    },
    /// A person left: what is published about them is to be withdrawn.
    PersonLeft {
        /// The mailbox.
        person: String,
        /// Who did it.
        actor: String,
        /// A remark for the record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A private key was written into a file for devices, encrypted with a password.
    KeyExported {
        /// Whose key.
        person: String,
        /// For what: `appleProfile`, `intune`.
        form: String,
        /// SHA-256 of the file, hexadecimal.
        sha256: String,
        /// Who did it.
        actor: String,
    },
    /// OCSP answers were signed ahead, by the authority or by a delegate whose key
    /// lived for this act alone.
    OcspPresigned {
        /// The authority's name.
        authority: String,
        /// Certificates answered for.
        certificates: usize,
        /// nextUpdate of the answers, RFC 3339.
        next_update: String,
        /// SHA-256 of the list of the answers, hexadecimal; that of each stands there.
        sha256: String,
        /// Who did it.
        actor: String,
    },
    /// A private key left the archive.
    KeyRecovered {
        /// The request's identifier, hexadecimal.
        request: String,
        /// SHA-256 of the archive, hexadecimal.
        archive: String,
        /// Whose key.
        person: String,
        /// The agents that contributed.
        agents: Vec<String>,
        /// Who did it.
        actor: String,
    },
}

/// Where a certified key came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyOrigin {
    /// A certification request.
    Csr,
    /// Generated by the authority.
    Generated,
}

impl Detail {
    /// The record's bytes.
    ///
    /// # Errors
    /// None for values of this type; the serializer's signature asks for it.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    /// Reads a record's bytes; unknown acts and fields are refused.
    ///
    /// # Errors
    /// Bytes that are not a record of this version.
    pub fn from_bytes(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }
}
