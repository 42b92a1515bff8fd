//! What follows a ledger.

use ca_ledger::Entry;
use ca_status::ocsp::Responder;
use ca_status::{Change, StatusError, StatusTable};

/// What ledger entries are applied to.
pub trait Sink: Send + Sync + 'static {
    /// Applies the entry at `index`; see [`StatusTable::apply`].
    ///
    /// # Errors
    /// Those of [`StatusTable::apply`].
    fn apply(&mut self, index: u64, entry: &Entry) -> Result<Option<Change>, StatusError>;

    /// Leaves the entry at `index` out; see [`StatusTable::skip`].
    ///
    /// # Errors
    /// Those of [`StatusTable::skip`].
    fn skip(&mut self, index: u64) -> Result<(), StatusError>;

    /// The position of the entry that comes next: how many there were.
    fn next_index(&self) -> u64;
}

impl Sink for StatusTable {
    fn apply(&mut self, index: u64, entry: &Entry) -> Result<Option<Change>, StatusError> {
        Self::apply(self, index, entry)
    }
    fn skip(&mut self, index: u64) -> Result<(), StatusError> {
        Self::skip(self, index)
    }
    fn next_index(&self) -> u64 {
        Self::next_index(self)
    }
}

impl Sink for Responder {
    fn apply(&mut self, index: u64, entry: &Entry) -> Result<Option<Change>, StatusError> {
        Self::apply(self, index, entry)
    }
    fn skip(&mut self, index: u64) -> Result<(), StatusError> {
        Self::skip(self, index)
    }
    fn next_index(&self) -> u64 {
        self.table().next_index()
    }
}
