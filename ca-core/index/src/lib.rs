//! The index of the ledger: what can be asked of it by serial, mailbox, key,
//! template, authority, expiry and state.
//!
//! The ledger is the truth and the index is derived from it, so it may be lost
//! at any time. [`SledIndex`] therefore asks little of its disk: what it finds
//! damaged, older or newer than the ledger is not repaired but built again
//! ([`open_or_rebuild`]). [`MemoryIndex`] answers the same questions from
//! memory, for tests and for ledgers that are read once.

pub mod error;
pub mod event;
pub mod filter;
pub mod memory;
mod names;
mod plan;
pub mod rebuild;
pub mod record;
pub mod sled_index;

use std::ops::ControlFlow;

use ca_domain::{Detail, SerialNumber, SpkiHash, Timestamp};
use ca_ledger::Entry;

pub use error::IndexError;
pub use event::{Change, Event, Fingerprint};
pub use filter::{Filter, StateFilter};
pub use memory::MemoryIndex;
pub use names::lookup_key;
pub use rebuild::{catch_up, open_or_rebuild, query_or_rebuild, rebuild};
pub use record::{Applied, AuthorityRecord, CertificateRecord, Counts};
pub use sled_index::SledIndex;

/// What is called with each record of an answer; `Break` ends the query.
pub type Visitor<'a> = dyn FnMut(CertificateRecord) -> ControlFlow<()> + 'a;

/// Questions about a ledger.
pub trait Index {
    /// How much of the ledger is in the index.
    ///
    /// # Errors
    /// The index cannot be read.
    fn applied(&self) -> Result<Applied, IndexError>;

    /// The fingerprint of the last entry that is in the index; none if it is empty.
    ///
    /// # Errors
    /// The index cannot be read.
    fn last_fingerprint(&self) -> Result<Option<Fingerprint>, IndexError>;

    /// Adds events in the order of the ledger; afterwards `applied` is what the
    /// index holds. All of a batch is added, or nothing.
    ///
    /// Events that are in the index already are passed over, so that a batch can
    /// be applied again.
    ///
    /// # Errors
    /// [`IndexError::Inconsistent`] for a gap before the first new event, an
    /// `applied` that does not follow the last, a serial issued twice or a
    /// transition that the state does not allow; else the index cannot be
    /// written.
    fn apply_events(&mut self, events: &[Event], applied: Applied) -> Result<(), IndexError>;

    /// The certificate whose entry is at `position`.
    ///
    /// # Errors
    /// The index cannot be read.
    fn by_position(&self, position: u64) -> Result<Option<CertificateRecord>, IndexError>;

    /// The authority of a name in the home directory, as it was recorded last.
    ///
    /// # Errors
    /// The index cannot be read.
    fn authority(&self, name: &str) -> Result<Option<AuthorityRecord>, IndexError>;

    /// Every authority, by name.
    ///
    /// # Errors
    /// The index cannot be read.
    fn authorities(&self) -> Result<Vec<AuthorityRecord>, IndexError>;

    /// Visits the certificates that `filter` selects at `now`, at most `limit`.
    ///
    /// They come in the order of the ledger. Where the expiry is the leading
    /// condition (see [`Filter`]) they come in the order of their expiry, and
    /// those of one second in the order of the ledger.
    ///
    /// # Errors
    /// The index cannot be read; some records may have been visited before.
    fn query(
        &self,
        filter: &Filter,
        now: Timestamp,
        limit: Option<usize>,
        visit: &mut Visitor<'_>,
    ) -> Result<(), IndexError>;

    /// How many certificates there are, by state and template.
    ///
    /// # Errors
    /// The index cannot be read.
    fn counts(&self, now: Timestamp) -> Result<Counts, IndexError>;

    /// Hands what was applied to the operating system: it survives the end of
    /// this process, though not necessarily a power cut.
    ///
    /// # Errors
    /// The index cannot be written.
    fn flush(&mut self) -> Result<(), IndexError>;

    /// Adds entries of the ledger with their details, as [`Index::apply_events`].
    ///
    /// # Errors
    /// As [`Index::apply_events`]; [`IndexError::Inconsistent`] for an entry
    /// that its detail contradicts.
    fn apply(&mut self, batch: &[(u64, Entry, Detail)], applied: Applied) -> Result<(), IndexError> {
        let events = batch
            .iter()
            .map(|(position, entry, detail)| Event::of(*position, entry, detail))
            .collect::<Result<Vec<_>, _>>()?;
        self.apply_events(&events, applied)
    }

    /// The certificates that a filter selects, as a list.
    ///
    /// # Errors
    /// The index cannot be read.
    fn select(
        &self,
        filter: &Filter,
        now: Timestamp,
        limit: Option<usize>,
    ) -> Result<Vec<CertificateRecord>, IndexError> {
        let mut found = Vec::new();
        self.query(filter, now, limit, &mut |record| {
            found.push(record);
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// The certificates with a serial number: more than one if several
    /// authorities used it.
    ///
    /// # Errors
    /// The index cannot be read.
    fn by_serial(&self, serial: SerialNumber) -> Result<Vec<CertificateRecord>, IndexError> {
        self.select(&Filter { serial: Some(serial), ..Filter::default() }, Timestamp::EPOCH, None)
    }

    /// The certificates with a mailbox or host name, in whatever letter case.
    ///
    /// # Errors
    /// The index cannot be read.
    fn by_mailbox(&self, mailbox: &str) -> Result<Vec<CertificateRecord>, IndexError> {
        let filter = Filter { mailbox: Some(mailbox.to_owned()), ..Filter::default() };
        self.select(&filter, Timestamp::EPOCH, None)
    }

    /// The certificates of a public key.
    ///
    /// # Errors
    /// The index cannot be read.
    fn by_key(&self, key: SpkiHash) -> Result<Vec<CertificateRecord>, IndexError> {
        self.select(&Filter { key: Some(key), ..Filter::default() }, Timestamp::EPOCH, None)
    }
}
