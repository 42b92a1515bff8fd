//! Bringing an index up to its ledger, and building it again.

use std::path::Path;
use std::time::Duration;

use ca_domain::Detail;
use ca_ledger::{Checkpoint, Entry, LedgerReader};

use crate::event::fingerprint;
use crate::{Applied, Index, IndexError, SledIndex};

/// Entries applied at once. sled frees the pages that a batch replaces only after
/// it: batches of 1,000 took 2.6 GB for 200,000 records, these take 0.3 GB.
const BATCH: u64 = 128;
/// Batches between two flushes: sled's memory also grows with what is not flushed.
const BATCHES_TO_FLUSH: u64 = 8;

/// Called with the number of entries applied and of all entries.
pub type Progress<'a> = dyn FnMut(u64, u64) + 'a;

/// Opens the index in `dir` and brings it up to `ledger`, waiting up to `timeout`
/// for another process that has it open.
///
/// A missing index is built. One that is damaged, of another format, ahead of
/// the ledger or of another ledger is thrown away and built again, and `warn`
/// is told why.
///
/// # Errors
/// The ledger cannot be read or contradicts itself, or the index cannot be
/// written; never that the old index was damaged.
pub fn open_or_rebuild(
    dir: &Path,
    ledger: &LedgerReader,
    timeout: Duration,
    purpose: &str,
    warn: &mut dyn FnMut(&str),
    progress: &mut Progress<'_>,
) -> Result<SledIndex, IndexError> {
    let opened = SledIndex::open(dir, timeout, purpose).and_then(|mut index| {
        fits(&index, ledger)?;
        catch_up(&mut index, ledger, progress)?;
        Ok(index)
    });
    match opened {
        Err(error @ (IndexError::Corrupt { .. } | IndexError::Inconsistent { .. })) => {
            warn(&format!("{}; it is built again from the ledger", reason(&error)));
        }
        outcome => return outcome,
    }
    let mut index = SledIndex::create(dir, timeout, purpose)?;
    catch_up(&mut index, ledger, progress)?;
    Ok(index)
}

/// Throws the content of an index away and builds it again.
///
/// # Errors
/// The ledger cannot be read or contradicts itself, or the index cannot be written.
pub fn rebuild(
    index: &mut SledIndex,
    ledger: &LedgerReader,
    progress: &mut Progress<'_>,
) -> Result<(), IndexError> {
    index.reset()?;
    catch_up(index, ledger, progress)
}

/// Asks the index something; if that finds it damaged, builds it again and asks
/// once more.
///
/// `ask` may have seen a part of the answer before it is called again: it must
/// begin anew each time.
///
/// # Errors
/// What `ask` returns, or what the rebuild does.
pub fn query_or_rebuild<T>(
    index: &mut SledIndex,
    ledger: &LedgerReader,
    warn: &mut dyn FnMut(&str),
    progress: &mut Progress<'_>,
    mut ask: impl FnMut(&SledIndex) -> Result<T, IndexError>,
) -> Result<T, IndexError> {
    match ask(index) {
        Err(error) if error.is_corrupt() => {
            warn(&format!("{}; it is built again from the ledger", reason(&error)));
            rebuild(index, ledger, progress)?;
            ask(index)
        }
        outcome => outcome,
    }
}

/// Applies what the ledger has and the index has not, in bounded batches.
///
/// # Errors
/// The ledger cannot be read, an entry contradicts what is in the index, or the
/// index cannot be written. The batches before the error stay applied.
pub fn catch_up(
    index: &mut dyn Index,
    ledger: &LedgerReader,
    progress: &mut Progress<'_>,
) -> Result<(), IndexError> {
    let checkpoint = ledger.checkpoint();
    let mut done = index.applied()?.size;
    let mut details = ledger.details(done..checkpoint.size);
    let mut batches = 0;
    while done < checkpoint.size {
        let end = checkpoint.size.min(done.saturating_add(BATCH));
        let mut batch = Vec::new();
        while done < end {
            let Some(next) = details.next() else {
                return Err(IndexError::inconsistent(done, "the ledger ends before its checkpoint"));
            };
            let (position, entry, detail) = next?;
            batch.push((position, entry, read_detail(position, &detail)?));
            done += 1;
        }
        index.apply(&batch, applied(checkpoint, done))?;
        batches += 1;
        if batches % BATCHES_TO_FLUSH == 0 {
            index.flush()?;
        }
        progress(done, checkpoint.size);
    }
    // Also tells an index of this size but of another ledger from ours.
    index.apply(&[], applied(checkpoint, done))?;
    if batches > 0 { index.flush() } else { Ok(()) }
}

/// Whether an index is one of this ledger, as far as it goes.
fn fits(index: &dyn Index, ledger: &LedgerReader) -> Result<(), IndexError> {
    let checkpoint = ledger.checkpoint();
    let Applied { size, .. } = index.applied()?;
    let Some(last) = size.checked_sub(1) else { return Ok(()) };
    if size > checkpoint.size {
        let what = format!("the ledger has only {} entries: the index is ahead of it", checkpoint.size);
        return Err(IndexError::inconsistent(last, what));
    }
    let entry: Entry = ledger.entry(last)?;
    if index.last_fingerprint()? != Some(fingerprint(&entry)) {
        return Err(IndexError::inconsistent(last, "the index was made from another ledger"));
    }
    Ok(())
}

/// The mark of a size: with the root, if it is the checkpoint's.
fn applied(checkpoint: &Checkpoint, size: u64) -> Applied {
    if size == checkpoint.size { Applied::at(size, checkpoint.root) } else { Applied::partly(size) }
}

fn read_detail(position: u64, bytes: &[u8]) -> Result<Detail, IndexError> {
    Detail::from_bytes(bytes)
        .map_err(|error| IndexError::inconsistent(position, format!("its detail cannot be read: {error}")))
}

/// What happened, without the advice that goes with an error.
fn reason(error: &IndexError) -> String {
    match error {
        IndexError::Corrupt { path, what } => format!("the index in {} is damaged: {what}", path.display()),
        IndexError::Inconsistent { what, .. } => format!("the index does not fit the ledger: {what}"),
        other => other.to_string(),
    }
}
