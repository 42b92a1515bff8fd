//! The append-only ledger: everything that an authority does is an entry in it.
//!
//! The ledger is a Merkle tree in files, in public formats: C2SP tlog-tiles for
//! entries and hashes, C2SP tlog-checkpoint and signed-note for the signed tree
//! head. Anyone with the verification key can check it with other tools.
//!
//! ```text
//! checkpoint                      signed: name, size, root hash, time
//! tile/entries/<N>[.p/<W>]        256 entries a file, in public form
//! tile/<L>/<N>[.p/<W>]            hashes of the tree, 256 a file
//! details/<N>                     256 private records a file: [u32 length][bytes]
//! ```
//!
//! **The rename of `checkpoint` is the commit.** All else is durable before it;
//! a crash leaves the old checkpoint and files that it does not cover, which the
//! next writer replaces. One process writes, under a
//! [`WriteLock`](ca_files::WriteLock); any number read and follow.

pub mod checkpoint;
pub mod entry;
pub mod error;
pub mod follower;
pub mod key;
pub mod layout;
pub mod proof;
pub mod reader;
pub mod source;
pub mod verify;
pub mod writer;

mod authentic;
mod bundle;
mod detail_store;
mod tree;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use detail_store::MAX_DETAIL;
pub use entry::{Entry, EntryError, EntryKind, NewEntry};
pub use error::LedgerError;
pub use follower::{FollowError, Follower};
pub use key::{LedgerKey, VerifierKey};
pub use proof::InclusionProof;
pub use reader::LedgerReader;
pub use source::{DirectorySource, Source, SourceError};
pub use verify::{Fault, VerifyReport};
pub use writer::{Committed, LedgerWriter};
