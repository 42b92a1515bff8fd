//! Certificates where the senders of mail look for them: directories and DNS.
//!
//! What is published follows from the ledger alone. What is there already is compared with
//! it; values that this authority did not issue are never touched.

pub mod config;
pub mod holders;
pub mod ldap;
pub mod object;
mod ours;
mod reconcile;
pub mod smimea;

pub use reconcile::DiffLine;
