use std::fs;
use std::os::unix::fs::PermissionsExt;

use ca_files::fault;
use ca_ledger::{LedgerError, LedgerKey, LedgerReader, LedgerWriter};

use crate::common::{Home, at, entries, entry, key, vkey};

/// The naive root: RFC 6962, section 2.1, word for word, over the leaves.
pub(crate) fn naive_root(leaves: &[tlog_tiles::Hash]) -> tlog_tiles::Hash {
    match leaves {
        [] => tlog_tiles::EMPTY_HASH,
        [one] => *one,
        many => {
            let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
            tlog_tiles::node_hash(naive_root(left), naive_root(right))
        }
    }
}

pub(crate) fn naive(size: u64) -> [u8; 32] {
    let leaf = |i| tlog_tiles::record_hash(&entry(i).entry().to_der().unwrap());
    naive_root(&(0..size).map(leaf).collect::<Vec<_>>()).0
}

fn check(home: &Home, size: u64) {
    let reader = LedgerReader::open(&home.ledger(), &vkey()).unwrap();
    assert_eq!(reader.size(), size);
    assert_eq!(reader.checkpoint().root, naive(size), "root of {size}");
    let all: Vec<_> = reader.details(0..u64::MAX).collect::<Result<_, _>>().unwrap();
    assert_eq!(all.len() as u64, size);
    for (i, found, detail) in all {
        let expected = entry(i);
        assert_eq!((found, detail), (expected.entry(), expected.detail));
    }
    let report = home.verify();
    assert!(report.is_sound(), "{:?}", report.faults);
    assert_eq!(report.leftovers, Vec::<String>::new());
}

#[test]
fn sizes_around_the_boundaries() {
    for size in [1, 2, 255, 256, 257, 511, 512, 513] {
        check(&Home::with(&[size]), size);
    }
    check(&Home::new(), 0);
}

#[test]
fn batches_across_boundaries() {
    for batches in [&[255, 1, 1][..], &[255, 2], &[1, 300, 211, 1], &[256, 256, 1], &[100, 100, 100]] {
        check(&Home::with(batches), batches.iter().sum());
    }
}

#[test]
fn one_by_one_reopened_each_time() {
    let home = Home::new();
    for i in 0..260 {
        let committed = home.writer().append(vec![entry(i)], at(i)).unwrap();
        assert_eq!((committed.first, committed.checkpoint.size), (i, i + 1));
    }
    check(&home, 260);
    // The partial tiles of a full tile are gone, the others stay.
    assert!(!home.ledger().join("tile/0/000.p").exists());
    assert!(!home.ledger().join("tile/entries/000.p").exists());
    assert_eq!(fs::read_dir(home.ledger().join("tile/entries/001.p")).unwrap().count(), 4);
}

#[test]
fn what_a_killed_writer_did_not_tidy_up_goes_later() {
    let home = Home::with(&[200, 56]);
    let forgotten = home.ledger().join("tile/entries/000.p");
    fs::create_dir(&forgotten).unwrap();
    fs::write(forgotten.join("200"), b"whatever").unwrap();
    check(&home, 256);
    home.writer().append(entries(256..257), at(1)).unwrap();
    assert!(!forgotten.exists());
    check(&home, 257);
}

#[test]
fn the_second_level_boundary() {
    let home = Home::with(&[65_535, 1]);
    let names = |level| fs::read_dir(home.ledger().join(format!("tile/{level}"))).unwrap().count();
    assert_eq!((names(0), names(1), names(2)), (256, 1, 1));
    home.writer().append(entries(65_536..65_538), at(1)).unwrap();
    check(&home, 65_538);
}

#[test]
fn modes_of_files() {
    let home = Home::with(&[3]);
    let mode = |path: &str| fs::metadata(home.ledger().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("details"), 0o700);
    assert_eq!(mode("details/000"), 0o600);
    assert_eq!(mode("checkpoint"), 0o644);
}

#[test]
fn a_clock_that_was_set_back_does_not_go_back_here() {
    let home = Home::new();
    let mut writer = home.writer();
    writer.append(entries(0..1), at(100)).unwrap();
    assert_eq!(writer.append(entries(1..2), at(50)).unwrap().checkpoint.time, at(100));
    assert_eq!(writer.heartbeat(at(20)).unwrap().time, at(100));
    assert_eq!(writer.heartbeat(at(200)).unwrap().time, at(200));
    check(&home, 2);
}

#[test]
fn what_is_refused() {
    let home = Home::with(&[2]);
    let again = LedgerWriter::create(&home.ledger(), key(), at(0)).unwrap_err();
    assert!(matches!(again, LedgerError::Exists(_)));
    let stranger = LedgerKey::from_seed("ca.example.test/ledger", &[8; 32]).unwrap();
    let error = LedgerWriter::open(&home.ledger(), stranger, &home.lock()).unwrap_err();
    assert!(matches!(error, LedgerError::Checkpoint { .. }), "{error}");
    let mut writer = home.writer();
    assert!(matches!(writer.append(vec![], at(1)), Err(LedgerError::NothingToAppend)));
    let mut long = entry(2);
    long.detail = vec![0; ca_ledger::MAX_DETAIL + 1];
    assert!(matches!(writer.append(vec![entry(3), long], at(1)), Err(LedgerError::DetailTooLong { .. })));
    let reader = writer.reader();
    assert!(matches!(reader.entry(2), Err(LedgerError::NoSuchEntry { index: 2, size: 2 })));
    assert!(reader.detail(2).is_err());
    assert_eq!(reader.entries(2..9).count(), 0);
    check(&home, 2);

    // Two writers, despite the lock: the one that is behind notices.
    let mut other = home.writer();
    other.append(entries(2..3), at(2)).unwrap();
    assert!(matches!(writer.append(entries(2..3), at(2)), Err(LedgerError::ChangedMeanwhile(_))));
    check(&home, 3);
}

#[test]
fn a_commit_costs_few_fsyncs() {
    let home = Home::with(&[10]);
    let mut writer = home.writer();
    fault::disarm();
    writer.append(entries(10..11), at(11)).unwrap();
    // Details, bundle, tile, their two directories; checkpoint and its directory.
    assert_eq!(fault::counts().syncs, 7);
    fault::disarm();
    writer.append(entries(11..211), at(11)).unwrap();
    assert_eq!(fault::counts().syncs, 7);
    fault::disarm();
    writer.heartbeat(at(12)).unwrap();
    assert_eq!(fault::counts().syncs, 2);
    fault::disarm();
    writer.append(entries(211..211 + 2560), at(13)).unwrap();
    let syncs = fault::counts().syncs;
    assert!(syncs <= 3 * 12 + 12, "{syncs} fsyncs for ten bundles");
}
