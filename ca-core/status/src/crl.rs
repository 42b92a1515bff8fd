//! Certificate revocation lists (RFC 5280, section 5).
//!
//! [`write_crl`] streams a list of any length, [`CrlView`] reads one without
//! unpacking it, [`CrlReader`] one that does not fit into memory,
//! [`acceptable_successor`] says whether a new CRL may replace a
//! published one.

mod delta;
mod diff;
mod entry;
mod extensions;
mod frame;
mod number;
mod pipeline;
mod scope;
mod stream;
mod successor;
mod view;
mod writer;

pub use delta::ChangesSince;
pub use diff::{CrlChange, compare};
pub(crate) use entry::wire_reason;
pub use frame::CrlCheck;
pub use number::{CrlNumber, next_number};
pub use scope::{CrlScope, distribution_point, point_urls};
pub use stream::{CrlFrame, CrlReader, CrlReaderEntries};
pub use successor::{CLOCK_TOLERANCE, acceptable_successor};
pub use view::{CrlEntries, CrlEntry, CrlView};
pub use writer::{CrlParams, WrittenCrl, write_crl};

#[cfg(test)]
mod tests;
