//! A process that is killed while it writes.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use ca_domain::Transition;
use ca_index::{Applied, Event, Filter, Index, MemoryIndex, SledIndex};

use crate::support::{at, changed, events, issued, record, sled};

const DIR: &str = "CHANCERY_TEST_INDEX";

/// Batch `number` of an endless history: two issuances, one hold, one release.
fn batch(number: u64) -> (Vec<Event>, Applied) {
    let (first, one, two) = (number * 4, record(number * 2), record(number * 2 + 1));
    let hold = changed(&one, Transition::Hold, at(5));
    let mut changes = vec![issued(one), issued(two), hold];
    let held_before = number.checked_sub(1).map(|before| record(before * 2));
    changes
        .push(held_before.map_or(ca_index::Change::None, |held| changed(&held, Transition::Release, at(6))));
    (events(first, changes), Applied::partly(first + 4))
}

/// Not a test of its own: what the killed process does.
#[test]
fn writer() {
    let Some(dir) = env::var_os(DIR).map(PathBuf::from) else { return };
    let mut index = sled(&dir);
    let first = index.applied().unwrap().size / 4;
    for number in first.. {
        let (events, applied) = batch(number);
        index.apply_events(&events, applied).unwrap();
        if number % 3 == 0 {
            index.flush().unwrap();
        }
    }
}

#[test]
fn a_killed_writer_leaves_whole_batches() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let mut reached = 0;
    for round in 0..12 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "kill::writer"])
            .env(DIR, &path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(60 + round * 17));
        child.kill().unwrap();
        child.wait().unwrap();
        let index = match SledIndex::open(&path, Duration::from_secs(5), "test") {
            Ok(index) => index,
            Err(error) => {
                // Killed while it opened: the next one does not try again.
                assert!(error.is_corrupt(), "{error}");
                drop(SledIndex::create(&path, Duration::from_secs(5), "test").unwrap());
                continue;
            }
        };
        let size = index.applied().unwrap().size;
        assert_eq!(size % 4, 0);
        let mut expected = MemoryIndex::new();
        for number in 0..size / 4 {
            let (events, applied) = batch(number);
            expected.apply_events(&events, applied).unwrap();
        }
        let all = |index: &dyn Index| index.select(&Filter::default(), at(0), None).unwrap();
        assert_eq!(all(&index), all(&expected));
        assert_eq!(index.counts(at(0)).unwrap(), expected.counts(at(0)).unwrap());
        index.verify().unwrap();
        reached = reached.max(size);
    }
    assert!(reached > 0, "nothing was written before any kill");
}
