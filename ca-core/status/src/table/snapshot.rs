//! A status table in a file, so that a daemon need not read the whole ledger to
//! know what it knew before.
//!
//! ```text
//! "chancery status 2\n"
//! u64 next, u32 authorities, then for each authority:
//!   [u8; 20] key identifier
//!   u64 certificates, each [u8; 20] serial, [u8; 5] notAfter
//!   u64 revoked and held, each [u8; 20] serial, [u8; 5] since,
//!     [u8; 5] invalidity date or ff, [u8; 5] notAfter, u8 reason or ff for a hold
//!   u64 certificates of authorities, each [u8; 20] serial
//! [u8; 32] SHA-256 of all before
//! ```
//!
//! Numbers are big-endian; times are seconds since 1970. The hash finds damage. It
//! does not tell who wrote the file: whoever can write it can make the daemon say
//! anything, as with the daemon's key.

use std::io::{self, Read, Write};

use ca_domain::{KeyIdentifier, SerialNumber};
use sha2::{Digest, Sha256};

use super::changed::Changed;
use super::issued::{Issued, compact, expand};
use super::{Authority, StatusTable};

const MAGIC: &[u8] = b"chancery status 2\n";
/// Buckets are made ahead for so many certificates, whatever a damaged file says.
const AHEAD: u64 = 1 << 25;

/// Why a file is no status table.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is damaged, or something else.
    #[error("it is no status table: {0}")]
    Damaged(&'static str),
}

/// Writes a table, which must have all that its entries say: nobody would look at
/// [`StatusTable::skipped`] entries again. What comes before and after it in a file is the caller's.
///
/// # Errors
/// The writer's.
pub fn write_snapshot(table: &StatusTable, to: &mut (impl Write + ?Sized)) -> Result<(), SnapshotError> {
    let mut out = Hashing { inner: to, hash: Sha256::new() };
    out.write_all(MAGIC)?;
    out.write_all(&table.next.to_be_bytes())?;
    let count = u32::try_from(table.authorities.len()).map_err(io::Error::other)?;
    out.write_all(&count.to_be_bytes())?;
    for (id, authority) in &table.authorities {
        out.write_all(&id.0)?;
        out.write_all(&(authority.issued.len() as u64).to_be_bytes())?;
        for (serial, known) in authority.issued.iter() {
            out.write_all(serial)?;
            out.write_all(&compact(known.not_after))?;
        }
        out.write_all(&(authority.changed.len() as u64).to_be_bytes())?;
        for (serial, changed) in authority.changed.iter() {
            out.write_all(serial.padded())?;
            out.write_all(&changed.to_bytes())?;
        }
        out.write_all(&(authority.authorities.len() as u64).to_be_bytes())?;
        for serial in &authority.authorities {
            out.write_all(serial.padded())?;
        }
    }
    let Hashing { inner, hash } = out;
    inner.write_all(&hash.finalize())?;
    Ok(())
}

/// Reads what [`write_snapshot`] wrote.
///
/// # Errors
/// The reader's; or the file is damaged in any way.
pub fn read_snapshot(from: &mut impl Read) -> Result<StatusTable, SnapshotError> {
    let mut from = Hashing { inner: from, hash: Sha256::new() };
    let mut magic = [0; MAGIC.len()];
    from.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(SnapshotError::Damaged("it begins otherwise"));
    }
    let next = from.number()?;
    let mut table = StatusTable { next, ..StatusTable::default() };
    for _ in 0..u32::from_be_bytes(from.bytes()?) {
        let id = KeyIdentifier(from.bytes()?);
        let count = from.number()?;
        let mut issued = Issued::with_capacity(usize::try_from(count.min(AHEAD)).unwrap_or_default());
        for _ in 0..count {
            let serial = from.serial()?;
            if !issued.insert(&serial, expand(from.bytes()?)) {
                return Err(SnapshotError::Damaged("a serial is there twice"));
            }
        }
        let mut authority = Authority { issued, ..Authority::default() };
        for _ in 0..from.number()? {
            let serial = from.serial()?;
            let changed = Changed::from_bytes(from.bytes()?);
            let changed = changed.ok_or(SnapshotError::Damaged("an unknown reason"))?;
            authority.issued.set_changed(&serial, true);
            authority.changed.insert(serial, changed);
        }
        for _ in 0..from.number()? {
            authority.authorities.insert(from.serial()?);
        }
        table.authorities.insert(id, authority);
    }
    let Hashing { inner, hash } = from;
    let mut wanted = [0; 32];
    inner.read_exact(&mut wanted)?;
    if *hash.finalize() != wanted {
        return Err(SnapshotError::Damaged("its hash is another"));
    }
    Ok(table)
}

/// Hashes all that goes through it.
struct Hashing<'a, T: ?Sized> {
    inner: &'a mut T,
    hash: Sha256,
}

impl<T: Write + ?Sized> Hashing<'_, T> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.inner.write_all(bytes)
    }
}

impl<T: Read> Hashing<'_, T> {
    fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(bytes)?;
        self.hash.update(bytes);
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn number(&mut self) -> io::Result<u64> {
        Ok(u64::from_be_bytes(self.bytes()?))
    }

    fn serial(&mut self) -> Result<SerialNumber, SnapshotError> {
        SerialNumber::from_be_bytes(&self.bytes::<{ SerialNumber::MAX_LEN }>()?)
            .map_err(|_| SnapshotError::Damaged("a serial out of range"))
    }
}

#[cfg(test)]
mod tests {
    use ca_domain::ReasonCode;
    use ca_ledger::{Entry, EntryKind};

    use super::*;
    use crate::crl::CrlScope;
    use crate::testing::{at, entry, issued, now, revoked, serial};

    fn table() -> StatusTable {
        let mut table = StatusTable::new();
        let ids = [KeyIdentifier([1; 20]), KeyIdentifier([2; 20])];
        let mut entries = vec![entry(EntryKind::AuthorityCreated, KeyIdentifier([3; 20]), None, now())];
        for id in ids {
            entries.extend((1..=100).map(|number| issued(id, serial(number), at(1_900_000_000 + number))));
            let authority = issued(id, serial(200), at(1_900_000_000));
            entries.push(Entry { kind: EntryKind::CaCertificateIssued, ..authority });
            entries.push(revoked(id, serial(7), at(1_800_000_000), ReasonCode::KeyCompromise));
            entries.push(revoked(id, serial(200), at(1_800_000_000), ReasonCode::CaCompromise));
            entries.push(entry(EntryKind::Held, id, Some(serial(9)), at(1_800_000_001)));
        }
        for (index, entry) in (0..).zip(&entries) {
            table.apply(index, entry).unwrap();
        }
        table
    }

    fn bytes(table: &StatusTable) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_snapshot(table, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let table = table();
        let again = read_snapshot(&mut bytes(&table).as_slice()).unwrap();
        assert_eq!(again.next_index(), table.next_index());
        let all: Vec<_> = table.authorities().collect();
        assert_eq!(again.authorities().count(), all.len());
        for id in all {
            assert_eq!(again.counts(id), table.counts(id));
            assert!(again.revoked(id).eq(table.revoked(id)));
            let authorities = CrlScope::Authorities;
            let listed: Vec<_> = again.revoked_in(id, &authorities, None).map(|entry| entry.serial).collect();
            assert_eq!(listed, [serial(200)][usize::from(table.counts(id).issued == 0)..]);
            for number in 1..=101 {
                assert_eq!(again.status(id, &serial(number)), table.status(id, &serial(number)));
            }
        }
    }

    #[test]
    fn damage_is_found() {
        let good = bytes(&table());
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            assert!(read_snapshot(&mut bad.as_slice()).is_err(), "octet {at}");
        }
        for end in (0..good.len()).step_by(7) {
            assert!(read_snapshot(&mut &good[..end]).is_err(), "cut at {end}");
        }
    }
}
