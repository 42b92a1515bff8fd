//! Revocation status: the status table, CRLs and OCSP messages.
//!
//! [`StatusTable`] is built from ledger entries and knows, for every
//! authority, which serials were issued and what became of them. [`crl`]
//! writes and reads CRLs, [`ocsp`] answers OCSP requests.
//!
//! Nothing here reads a file, a clock or a source of randomness: bytes, times
//! and ledger entries come in as arguments.

pub mod crl;
pub mod error;
pub mod ocsp;
pub mod table;

pub use error::StatusError;
pub use table::{CertificateStatus, Change, Counts, Revoked, RevokedEntry, StatusTable};

#[cfg(test)]
mod testing;
