//! Escrow of encryption keys.
//!
//! A private key is encrypted under a random key-encryption key; that is split
//! with Shamir's scheme into one share for each recovery agent, any m of which give
//! it back; each share is sealed to its agent's RSA key. All three layers are CMS
//! EnvelopedData (RFC 5652) but for the splitting. SECURITY.md has the reasons.
//!
//! A recovery goes in three steps, on several machines:
//!
//! 1. the authority writes a [`RecoveryRequest`] with the sealed shares and a fresh
//!    public key;
//! 2. each agent opens its share with its own key and seals it to that public key
//!    ([`contribute`]);
//! 3. the authority checks the contributions against the archive and opens it
//!    ([`recover()`]).

mod agent;
mod archive;
mod contribution;
mod crypto;
mod envelope;
mod error;
mod policy;
mod recover;
mod request;
mod share;
pub mod sharing;
mod store;

pub use agent::{Agent, check_agent_name};
pub use archive::{Archive, SealedKey, SealedShare, archive_path, refuse_signing_keys, seal, stage};
pub use contribution::{Contribution, contribute};
pub use crypto::seal_password;
pub use error::EscrowError;
pub use policy::{
    DEFAULT_THRESHOLD, EscrowPolicy, check_threshold, remove_agent, stage_agent, stage_threshold,
};
pub use recover::{Contributor, Recovered, RecoveredKey, recover};
pub use request::{RecoveryRequest, RequestedKey, RequestedShare};
pub use store::{RequestFiles, remove_request_key, request_path};

#[cfg(test)]
mod tests;
