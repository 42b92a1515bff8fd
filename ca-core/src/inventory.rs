//! Questions about what was issued.

use std::ops::ControlFlow;

use ca_domain::{Detail, KeyOrigin, SerialNumber, Timestamp};
use ca_files::WriteLock;
use ca_index::{CertificateRecord, Filter, Index, IndexError, SledIndex};
use ca_ledger::LedgerReader;
use der::Decode;
use x509_cert::Certificate;

use crate::authority::Authority;
use crate::certify::from_base64;
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait, ask};

/// Ledger and index, open for questions.
pub struct Inventory {
    ledger: LedgerReader,
    index: SledIndex,
    _lock: WriteLock,
}

/// One certificate with all that is known about it.
#[derive(Clone, Debug)]
pub struct Issuance {
    /// What the index says.
    pub record: CertificateRecord,
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// The certificate.
    pub certificate: Certificate,
    /// The issuing authority's name.
    pub authority: String,
    /// SHA-256 of the template's file at the time, hexadecimal.
    pub template_hash: String,
    /// Where the key came from.
    pub key_origin: KeyOrigin,
    /// SHA-256 of the archive that holds its private key, if it is in escrow.
    pub escrow: Option<[u8; 32]>,
    /// Who issued it.
    pub actor: String,
    /// When.
    pub issued_at: Timestamp,
}

impl Inventory {
    /// Opens ledger and index. sled admits one process at a time, so this waits
    /// like a writer.
    ///
    /// # Errors
    /// Busy, or a damaged ledger.
    pub fn open(home: &Home, wait: &Wait<'_>) -> Result<Self> {
        let lock = home.lock(wait)?;
        let ledger = home.ledger()?;
        let index = home.open_index(&ledger, wait)?;
        Ok(Self { ledger, index, _lock: lock })
    }

    /// Visits the certificates that `filter` wants, at most `limit`, as it finds them.
    ///
    /// # Errors
    /// The index cannot be read, even after a rebuild.
    pub fn query(
        &mut self,
        filter: &Filter,
        now: Timestamp,
        limit: Option<usize>,
        wait: &Wait<'_>,
        visit: &mut dyn FnMut(CertificateRecord) -> ControlFlow<()>,
    ) -> Result<()> {
        // After a rebuild the query begins again: what was visited is passed over.
        let mut seen = 0_usize;
        ask(&mut self.index, &self.ledger, wait, |index| {
            let mut skip = seen;
            index.query(filter, now, limit, &mut |record| {
                if skip > 0 {
                    skip -= 1;
                    return ControlFlow::Continue(());
                }
                seen += 1;
                visit(record)
            })
        })
    }

    /// The certificate of a serial number.
    ///
    /// # Errors
    /// There is none, or the ledger is damaged.
    pub fn by_serial(&mut self, serial: SerialNumber, wait: &Wait<'_>) -> Result<Issuance> {
        let records = ask(&mut self.index, &self.ledger, wait, |index| index.by_serial(serial))?;
        let Some(record) = records.into_iter().next() else {
            return Err(AuthorityError::NotFound(format!(
                "no certificate has serial number {serial}; see `ca cert list`"
            )));
        };
        self.issuance(record)
    }

    /// Asks the index; one that turns out to be damaged is built again first.
    ///
    /// # Errors
    /// The index cannot be read, even after a rebuild.
    pub fn ask<T>(
        &mut self,
        wait: &Wait<'_>,
        question: impl FnMut(&SledIndex) -> std::result::Result<T, IndexError>,
    ) -> Result<T> {
        ask(&mut self.index, &self.ledger, wait, question)
    }

    /// Everything about a certificate that the index named.
    ///
    /// # Errors
    /// The ledger is damaged.
    pub fn issuance(&self, record: CertificateRecord) -> Result<Issuance> {
        let damaged = || {
            AuthorityError::Damaged(format!(
                "entry {} does not describe certificate {}; run `ca index rebuild`, then `ca ledger verify`",
                record.position, record.serial
            ))
        };
        let entry = self.ledger.entry(record.position)?;
        let detail = Detail::from_bytes(&self.ledger.detail(record.position)?).map_err(|_| damaged())?;
        let Detail::CertificateIssued {
            authority,
            certificate,
            template_hash,
            key_origin,
            escrow,
            actor,
            ..
        } = detail
        else {
            return Err(damaged());
        };
        let escrow = escrow.map(|text| sha256_from_hex(&text).ok_or_else(damaged)).transpose()?;
        let der = from_base64(&certificate)?;
        let certificate = Certificate::from_der(&der).map_err(AuthorityError::der("a certificate"))?;
        if entry.serial != Some(record.serial) {
            return Err(damaged());
        }
        Ok(Issuance {
            record,
            der,
            certificate,
            authority,
            template_hash,
            key_origin,
            escrow,
            actor,
            issued_at: entry.time,
        })
    }

    /// The issuers of a certificate, from its authority to the root, DER.
    ///
    /// # Errors
    /// The authority is not in this home any more.
    pub fn chain(&self, home: &Home, issuance: &Issuance) -> Result<Vec<Vec<u8>>> {
        Ok(Authority::load(home, &issuance.authority)?.full_chain())
    }

    /// The ledger under the same lock.
    #[must_use]
    pub fn ledger(&self) -> &LedgerReader {
        &self.ledger
    }
}

/// Reads a SHA-256 of a detail record.
pub(crate) fn sha256_from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok().map(|()| bytes)
}

/// Deletes the index and builds it again from the ledger. Returns its entries.
///
/// # Errors
/// Busy, a damaged ledger, or a failing disk.
pub fn rebuild_index(home: &Home, wait: &Wait<'_>) -> Result<u64> {
    let _lock = home.lock(wait)?;
    let dir = home.index_dir();
    if dir.exists() {
        std::fs::remove_dir_all(&dir).map_err(crate::init::io("remove", &dir))?;
    }
    let ledger = home.ledger()?;
    let index = home.open_index(&ledger, wait)?;
    Ok(index.applied()?.size)
}
