//! Directories: the only room that speaks LDAP (RFC 4511).
//!
//! A [`Connection`] is opened as a [`DirectoryConfig`] says: over TLS, with a
//! verified server, logged in. Its calls block, and none takes longer than the
//! configured time. Values are bytes, in and out; what goes into a [`Filter`] or a
//! name is escaped. How a directory names its binary attributes is its [`Dialect`].
//!
//! Do not call from a thread that drives an asynchronous runtime: a connection has
//! a runtime of its own.

mod answer;
mod config;
mod connection;
mod dialect;
#[cfg(any(feature = "gssapi", test))]
mod end_point;
mod entry;
mod error;
mod filter;
#[cfg_attr(not(feature = "gssapi"), path = "no_gssapi.rs")]
mod gssapi;
mod guard;
mod ldif;
mod result_code;
mod tls;
mod transport;

pub use config::{DirectoryConfig, Sasl};
pub use connection::{Change, Connection, Scope, check_files};
pub use dialect::{Attribute, Dialect};
pub use entry::Entry;
pub use error::LdapError;
pub use filter::{Filter, escape_dn_value};
pub use ldif::{entries_of_ldif, ldif_of_changes};
pub use result_code::code_in_words;
