//! Bits that fall over without a trace in the file's times, and other formats.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ca_domain::{KeyIdentifier, RevocationState, SerialNumber, SpkiHash, Timestamp};

use super::{SledIndex, codec, layout, stamp};
use crate::{Applied, CertificateRecord, Change, Event, Filter, Index, IndexError, MemoryIndex};

const BATCHES: u64 = 8;
const IN_A_BATCH: u64 = 10;

fn open(dir: &Path) -> Result<SledIndex, IndexError> {
    SledIndex::open(dir, Duration::ZERO, "test")
}

fn apply(index: &mut dyn Index, batch: u64) {
    let event = |position: u64| {
        let mailbox = format!("person.{position}@example.test");
        let record = CertificateRecord {
            position,
            authority: KeyIdentifier([1; 20]),
            serial: SerialNumber::from_be_bytes(&(position + 1).to_be_bytes()).unwrap(),
            template: "mailbox".into(),
            person: mailbox.clone(),
            mailboxes: vec![mailbox],
            dns_names: Vec::new(),
            key: SpkiHash([position as u8; 32]),
            not_before: Timestamp::EPOCH,
            not_after: Timestamp::MAX,
            state: RevocationState::Good,
        };
        Event { position, fingerprint: [position as u8; 32], change: Change::Certificate(Box::new(record)) }
    };
    let events: Vec<_> = (batch * IN_A_BATCH..(batch + 1) * IN_A_BATCH).map(event).collect();
    index.apply_events(&events, Applied::partly((batch + 1) * IN_A_BATCH)).unwrap();
    index.flush().unwrap();
}

/// All that the index says, asked in two ways.
fn everything(index: &dyn Index) -> Result<Vec<CertificateRecord>, IndexError> {
    let mut all = index.select(&Filter::default(), Timestamp::EPOCH, None)?;
    for position in 0..BATCHES * IN_A_BATCH {
        all.extend(index.by_mailbox(&format!("person.{position}@example.test"))?);
    }
    Ok(all)
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// With 1,500 rounds of twice the size none went wrong either; sled alone forgot
/// the latest batches in two of five.
#[test]
fn rot_is_found_or_leaves_an_older_state_that_is_whole() {
    let (mut found, mut older) = (0, 0);
    for round in 0..48_usize {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let mut index = open(&path).unwrap();
        for batch in 0..BATCHES {
            if batch == BATCHES / 2 {
                // sled writes a snapshot of its page table when it opens.
                drop(index);
                index = open(&path).unwrap();
            }
            apply(&mut index, batch);
        }
        let (generation, meta) = (index.store.generation.clone(), index.store.meta);
        drop(index);

        let files = files(&generation.join(super::open::SLED));
        let file = &files[round % files.len()];
        let mut bytes = fs::read(file).unwrap();
        let used = bytes.iter().rposition(|octet| *octet != 0).map_or(1, |last| last + 1);
        bytes[round * 7_919 % used] ^= 1 << (round % 8);
        fs::write(file, &bytes).unwrap();
        stamp::write(&generation, &meta);

        let mut expected = MemoryIndex::new();
        match open(&path).and_then(|index| Ok((index.applied()?, everything(&index)?))) {
            Err(error) => {
                assert!(error.is_corrupt(), "{error}");
                found += 1;
            }
            Ok((applied, answers)) => {
                assert_eq!(applied.size % IN_A_BATCH, 0);
                (0..applied.size / IN_A_BATCH).for_each(|batch| apply(&mut expected, batch));
                assert_eq!(answers, everything(&expected).unwrap());
                older += usize::from(applied.size < BATCHES * IN_A_BATCH);
            }
        }
    }
    assert!(found > 0 && older > 0, "{found} found, {older} older");
}

#[test]
fn an_index_of_another_format_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let mut index = open(&path).unwrap();
    apply(&mut index, 0);
    let mut body = index.store.meta.encode();
    body[..2].copy_from_slice(&(layout::FORMAT - 1).to_be_bytes());
    index.store.guarded(|db| db.insert(layout::META, codec::seal(layout::META, &body))).unwrap();
    drop(index);
    let error = open(&path).unwrap_err();
    assert!(error.is_corrupt() && error.to_string().contains("another version"), "{error}");
}
