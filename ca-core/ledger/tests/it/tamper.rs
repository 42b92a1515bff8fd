use std::fs;
use std::path::Path;

use ca_ledger::{DirectorySource, Entry, Follower, LedgerReader};

use crate::common::{Home, entry, poll, vkey};

/// Three bundles, the last partial, with narrower partial tiles beside it.
fn ledger() -> Home {
    Home::with(&[200, 100, 230, 3])
}

fn found(home: &Home) -> bool {
    ca_ledger::verify::verify(&home.ledger(), &vkey(), &mut |_, _| {})
        .map_or(true, |report| !report.is_sound())
}

/// A follower and a reader return the right entries or an error.
fn never_other_entries(home: &Home, case: &str) {
    let right = |(index, found): &(u64, Entry)| *found == entry(*index).entry();
    let mut follower = Follower::new(DirectorySource::new(&home.ledger()), &vkey()).unwrap();
    if let Ok(entries) = poll(&mut follower) {
        assert_eq!(entries.len(), 533, "{case}");
        assert!(entries.iter().all(right), "{case}");
    }
    if let Ok(reader) = LedgerReader::open(&home.ledger(), &vkey()) {
        for item in reader.details(0..u64::MAX).flatten() {
            let expected = entry(item.0);
            assert_eq!((item.1, item.2), (expected.entry(), expected.detail), "{case}");
        }
    }
}

fn each_file(test: impl Fn(&Home, &Path, &[u8])) {
    let home = ledger();
    assert!(home.verify().is_sound());
    for path in home.files() {
        let bytes = fs::read(&path).unwrap();
        test(&home, &path, &bytes);
        fs::write(&path, bytes).unwrap();
    }
    assert!(home.verify().is_sound());
}

/// Every byte of small files, every 61st of the others: 61 divides no length of
/// an entry, a hash or a frame, so that all their columns are met.
#[test]
fn every_changed_byte_is_found() {
    each_file(|home, path, bytes| {
        let step = if bytes.len() < 1000 { 1 } else { 61 };
        for at in (0..bytes.len()).step_by(step) {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1 << (at % 8);
            fs::write(path, &changed).unwrap();
            let case = format!("{} byte {at}", path.display());
            assert!(found(home), "{case}");
            if at % 5 == 0 {
                never_other_entries(home, &case);
            }
        }
    });
}

#[test]
fn cut_longer_missing_and_empty_files_are_found() {
    each_file(|home, path, bytes| {
        let case = path.display().to_string();
        let longer = [bytes, &[0]].concat();
        let edge_details = path.ends_with("details/002");
        for (name, content) in [("cut", &bytes[..bytes.len() - 1]), ("empty", &[]), ("longer", &longer)] {
            fs::write(path, content).unwrap();
            // Bytes after the last committed record are those of a crash.
            let harmless = name == "longer" && edge_details;
            assert_eq!(found(home), !harmless, "{case} {name}");
            never_other_entries(home, &case);
        }
        fs::remove_file(path).unwrap();
        // Partial tiles of earlier checkpoints may be gone; only old readers miss them.
        let earlier = ["entries/002.p/18", "0/002.p/18", "1/000.p/1"].iter().any(|end| path.ends_with(end));
        assert_eq!(found(home), !earlier, "{case} missing");
        never_other_entries(home, &case);
    });
}

#[test]
fn swapped_and_replaced_tiles_are_found() {
    let home = ledger();
    let swap = |a: &str, b: &str| {
        let (a, b) = (home.ledger().join(a), home.ledger().join(b));
        let (one, two) = (fs::read(&a).unwrap(), fs::read(&b).unwrap());
        fs::write(&a, two).unwrap();
        fs::write(&b, one).unwrap();
    };
    for (a, b) in [
        ("tile/0/000", "tile/0/001"),
        ("tile/entries/000", "tile/entries/001"),
        ("details/000", "details/001"),
    ] {
        swap(a, b);
        assert!(found(&home), "{a}");
        never_other_entries(&home, a);
        swap(a, b);
    }
    // An entry, its hash and its detail replaced together: the root gives it away.
    let other = Home::with(&[533]);
    for file in ["tile/entries/000", "tile/0/000", "details/000"] {
        let mut bytes = fs::read(other.ledger().join(file)).unwrap();
        bytes.reverse();
        fs::write(home.ledger().join(file), bytes).unwrap();
    }
    assert!(found(&home));
    never_other_entries(&home, "replaced");
}

#[test]
fn faults_name_the_entry_and_the_file() {
    let home = ledger();
    let path = home.ledger().join("details/001");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(3).position(|window| window == b"300").unwrap();
    bytes[at] = b'9';
    fs::write(&path, bytes).unwrap();
    let report = home.verify();
    assert_eq!(report.faults.len(), 1, "{:?}", report.faults);
    assert_eq!((report.faults[0].index, report.faults[0].path.as_str()), (Some(300), "details/001"));

    let home = ledger();
    let path = home.ledger().join("tile/0/001");
    let mut bytes = fs::read(&path).unwrap();
    bytes[44 * 32] ^= 1;
    fs::write(&path, bytes).unwrap();
    let report = home.verify();
    assert_eq!(report.faults.len(), 1, "{:?}", report.faults);
    assert_eq!((report.faults[0].index, report.faults[0].path.as_str()), (Some(300), "tile/0/001"));

    let home = ledger();
    fs::remove_file(home.ledger().join("tile/entries/001")).unwrap();
    let report = home.verify();
    assert_eq!(report.faults.len(), 1, "{:?}", report.faults);
    assert_eq!(report.faults[0].path, "tile/entries/001");
}
