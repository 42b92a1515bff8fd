//! Helpers for tests of the whole suite: they run the real programs, the way
//! an administrator would, and real clients against them.
//!
//! The tests themselves are in `tests/tests/`, one file a subject. All of them
//! work in temporary directories on loopback ports that the system chooses,
//! and stop what they start.

pub mod asking;
pub mod corpus;
pub mod daemon;
pub mod dice;
pub mod escrow;
pub mod gateway;
pub mod home;
pub mod inject;
pub mod kerberos;
pub mod mutate;
pub mod openssl;
pub mod pki;
pub mod pkilint;
pub mod post;
pub mod postfix;
pub mod responder;
pub mod samba;
pub mod server;
pub mod slapd;
pub mod tls;
pub mod tool;

pub use daemon::Daemon;
pub use gateway::Gateway;
pub use home::Home;
pub use pki::Pki;
pub use post::Post;
pub use samba::Samba;
pub use server::Server;
pub use slapd::Slapd;
pub use tls::Tls;
pub use tool::{Outcome, Tool};
