//! What the ledger has of a batch.

use std::collections::BTreeMap;

use ca_domain::{Detail, SerialNumber};
use ca_index::{CertificateRecord, Index};
use ca_ledger::LedgerReader;

use super::Run;
use crate::error::{AuthorityError, Result};
use crate::home::{Wait, Writer};
use crate::people::Person;

impl Run<'_> {
    /// The mark of a person in the ledger's private records.
    pub(super) fn mark(&self, line: u64) -> String {
        format!("{}:{line}", self.id)
    }

    /// The lines that were issued since the ledger had `start` entries, with the
    /// serial numbers of the signing certificates.
    pub(super) fn committed(&self, start: u64, wait: &Wait<'_>) -> Result<BTreeMap<u64, SerialNumber>> {
        let ledger = self.home.ledger()?;
        let total = ledger.size().saturating_sub(start);
        let mut done = BTreeMap::new();
        for (count, found) in (1..).zip(ledger.details(start..ledger.size())) {
            let (_, entry, detail) = found?;
            if count % 256 == 0 {
                (wait.progress)(count, total);
            }
            if !entry.kind.is_issuance() {
                continue;
            }
            if let (Some(line), Some(serial)) = (self.line(&detail), entry.serial) {
                // The signing certificate is the first of the two.
                done.entry(line).or_insert(serial);
            }
        }
        Ok(done)
    }

    /// The line that a private record has a mark of, if it is of this batch.
    fn line(&self, detail: &[u8]) -> Option<u64> {
        let Ok(Detail::CertificateIssued { batch: Some(mark), .. }) = Detail::from_bytes(detail) else {
            return None;
        };
        mark.strip_prefix(&self.id)?.strip_prefix(':')?.parse().ok()
    }

    /// Whether a certificate is this batch's, for whatever directory.
    pub(super) fn is_ours(&self, ledger: &LedgerReader, record: &CertificateRecord) -> Result<bool> {
        Ok(self.line(&ledger.detail(record.position)?).is_some())
    }

    /// Refuses, under the lock, people whom the same batch certified meanwhile for
    /// another directory.
    pub(super) fn refuse_done_elsewhere<'p>(
        &self,
        writer: &mut Writer,
        since: u64,
        people: impl Iterator<Item = &'p Person>,
        wait: &Wait<'_>,
    ) -> Result<()> {
        for person in people {
            let records = writer.ask(wait, |index| index.by_mailbox(person.mailbox()))?;
            for record in records.iter().filter(|record| record.position >= since) {
                if self.is_ours(writer.ledger.reader(), record)? {
                    return Err(elsewhere(person.line));
                }
            }
        }
        Ok(())
    }
}

pub(super) fn elsewhere(line: u64) -> AuthorityError {
    AuthorityError::Refused(format!(
        "line {line} was issued in this batch already, for another directory; give that directory, or a --name \
         for a new batch"
    ))
}
