//! Certificate revocation lists (RFC 5280, section 5).
//!
//! [`write_crl`] streams a list of any length, [`CrlView`] reads one without
//! unpacking it, [`acceptable_successor`] says whether a new CRL may replace a
//! published one.

mod number;
mod successor;
mod view;
mod writer;

pub use number::{CrlNumber, next_number};
pub use successor::{CLOCK_TOLERANCE, acceptable_successor};
pub use view::{CrlEntries, CrlEntry, CrlView};
pub(crate) use writer::wire_reason;
pub use writer::{CrlParams, WrittenCrl, distribution_point, write_crl};

#[cfg(test)]
mod tests;
