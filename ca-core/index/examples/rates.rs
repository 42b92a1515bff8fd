//! Measures the index on disk: `cargo run -p ca-index --example rates -- 200000`.
//!
//! It makes that many certificates and tells how fast they are indexed, what
//! they need on disk and in memory, and how long opening and questions take.

use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use ca_domain::{KeyIdentifier, RevocationState, SerialNumber, SpkiHash, Timestamp};
use ca_index::{Applied, CertificateRecord, Change, Event, Filter, Index, SledIndex, StateFilter};
use sha2::{Digest, Sha256};

/// As when an index is built from the ledger.
const BATCH: u64 = 128;
const BATCHES_TO_FLUSH: u64 = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args().nth(1).map_or(Ok(200_000), |text| text.parse::<u64>())?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("index");

    let mut index = open(&path)?;
    let start = Instant::now();
    for first in (0..count).step_by(BATCH as usize) {
        let end = count.min(first + BATCH);
        let events = (first..end).map(event).collect::<Result<Vec<_>, _>>()?;
        index.apply_events(&events, Applied::partly(end))?;
        if first / BATCH % BATCHES_TO_FLUSH == BATCHES_TO_FLUSH - 1 {
            index.flush()?;
        }
    }
    index.flush()?;
    let seconds = start.elapsed().as_secs_f64();
    println!("build          {seconds:.2} s, {:.0} records/s", count as f64 / seconds);
    println!("memory         {}", peak_memory());
    let closing = Instant::now();
    drop(index);
    println!("close          {:?}", closing.elapsed());
    println!("disk           {} MiB", size(&path)? >> 20);

    let mut index = timed("open", || open(&path))?;
    timed("mailbox", || index.by_mailbox("PERSON.77@example.test").map(|found| assert_eq!(found.len(), 1)))?;
    timed("serial", || index.by_serial(serial(count / 2)?).map_err(Box::<dyn Error>::from))?;
    let good = Filter { state: Some(StateFilter::Good), ..Filter::default() };
    timed("20 good", || index.select(&good, now(), Some(20)))?;
    timed("every record", || {
        index.query(&Filter::default(), now(), None, &mut |_| ControlFlow::Continue(()))
    })?;
    timed("counts", || index.counts(now()))?;
    timed("one more", || {
        index.apply_events(&[event(count)?], Applied::partly(count + 1)).map_err(Box::<dyn Error>::from)
    })?;
    timed("flush", || index.flush())?;
    timed("verify", || index.verify())?;
    drop(index);
    timed("open again", || open(&path)).map(drop)?;
    println!("disk           {} MiB", size(&path)? >> 20);
    println!("memory         {}", peak_memory());
    Ok(())
}

fn open(path: &Path) -> Result<SledIndex, ca_index::IndexError> {
    SledIndex::open(path, Duration::ZERO, "rates")
}

fn timed<T, E>(what: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let start = Instant::now();
    let outcome = work();
    println!("{what:<14} {:?}", start.elapsed());
    outcome
}

fn now() -> Timestamp {
    Timestamp::EPOCH.saturating_add(1_800_000_000)
}

fn hash(number: u64) -> [u8; 32] {
    Sha256::digest(number.to_be_bytes()).into()
}

fn serial(number: u64) -> Result<SerialNumber, Box<dyn Error>> {
    let mut random = [0; 20];
    random.copy_from_slice(&hash(number)[..20]);
    Ok(SerialNumber::from_random(random))
}

fn event(position: u64) -> Result<Event, Box<dyn Error>> {
    let mailbox = format!("Person.{position}@example.test");
    let not_before = now().saturating_sub(position % 1_000 * 86_400);
    let record = CertificateRecord {
        position,
        authority: KeyIdentifier([(position % 3) as u8; 20]),
        serial: serial(position)?,
        template: format!("smime-{}", position % 5),
        person: mailbox.clone(),
        mailboxes: vec![mailbox],
        dns_names: Vec::new(),
        key: SpkiHash(hash(!position)),
        not_before,
        not_after: not_before.saturating_add(730 * 86_400),
        state: RevocationState::Good,
    };
    Ok(Event { position, fingerprint: hash(position), change: Change::Certificate(Box::new(record)) })
}

fn size(dir: &Path) -> std::io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += if metadata.is_dir() { size(&entry.path())? } else { metadata.len() };
    }
    Ok(sum)
}

/// The high-water mark of this process's resident memory.
fn peak_memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap_or("unknown").trim().to_owned()
}
