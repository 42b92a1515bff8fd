//! The authority: one use-case per file, on the rooms below it.
//!
//! | room | job |
//! |---|---|
//! | [`files`] | durable, private files; the lock of the one writer |
//! | [`domain`] | pure rules: names, keys, templates, lint, revocation states |
//! | [`signing`] | keys that sign, key files, PKCS#12 |
//! | [`ledger`] | the append-only truth: entries, tiles, checkpoints |
//! | [`ldap`] | directories |
//! | [`index`] | what can be asked of the ledger, rebuildable |
//! | [`status`] | status table, CRLs, OCSP messages |
//! | this crate | create, issue, revoke, hold, release, export |
//!
//! Libraries never print or exit; the programs do.

pub use ca_domain as domain;
pub use ca_files as files;
pub use ca_index as index;
pub use ca_ldap as ldap;
pub use ca_ledger as ledger;
pub use ca_signing as signing;
pub use ca_status as status;

pub mod authority;
pub mod batch;
mod certify;
pub mod check_certificate;
pub mod check_urls;
mod cms_signature;
pub mod config;
pub mod create_authority;
pub mod crl_file;
pub mod crl_status;
pub mod error;
pub mod escrow;
pub mod export;
pub mod home;
pub mod import_authority;
pub mod init;
pub mod inventory;
pub mod issue;
pub mod issue_crl;
pub mod maintain;
pub mod notify;
pub mod ocsp_signer;
pub mod offline_root;
pub mod pair;
mod password;
pub mod people;
pub mod person;
pub mod presign;
pub mod publish;
mod recovery;
pub mod renew;
pub mod request;
pub mod revoke;
pub mod staple;
pub mod templates;

pub use authority::{Authority, AuthorityKey};
pub use config::HomeConfig;
pub use error::{AuthorityError, ErrorClass, Result};
pub use home::{Home, Wait, Writer};

/// Checks a signature with the built-in cryptography; what [`domain`] asks for
/// when it verifies a certification request.
#[must_use]
pub fn verify_callback(
    spki_der: &[u8],
    algorithm: &::spki::AlgorithmIdentifierOwned,
    message: &[u8],
    signature: &[u8],
) -> bool {
    ca_signing::verify(spki_der, algorithm, message, signature).is_ok()
}
