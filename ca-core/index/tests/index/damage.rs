//! Damaged files: never a wrong answer, never a crash.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ca_index::{Index, SledIndex};

use crate::ledger::Home;

/// Every file of the index but its lock.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().unwrap() != "lock" {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A closed index whose files are a moment old: file times are coarse.
fn closed(entries: u64) -> Home {
    let home = Home::new(entries);
    drop(home.open());
    std::thread::sleep(Duration::from_millis(20));
    home
}

/// Opens the index twice: the first time may rebuild it, the second must not.
fn assert_survives(home: &Home, what: &str) -> bool {
    let (index, warnings) = home.open();
    home.assert_right(&index);
    drop(index);
    let (index, again) = home.open();
    assert_eq!(again, [""; 0], "{what}: rebuilt twice");
    home.assert_right(&index);
    !warnings.is_empty()
}

#[test]
fn truncated_files() {
    let home = closed(40);
    for keep in [0, 1, 7, 50, 90] {
        for file in files(&home.index()) {
            std::thread::sleep(Duration::from_millis(20));
            let Ok(bytes) = fs::read(&file) else { continue };
            fs::write(&file, &bytes[..bytes.len() * keep / 100]).unwrap();
            assert_survives(&home, &format!("{} cut to {keep} %", file.display()));
        }
    }
}

#[test]
fn missing_files() {
    let home = closed(40);
    for file in files(&home.index()) {
        std::thread::sleep(Duration::from_millis(20));
        if fs::remove_file(&file).is_ok() {
            assert_survives(&home, &format!("{} removed", file.display()));
        }
    }
}

#[test]
fn flipped_bytes() {
    let home = closed(40);
    let mut rebuilt = 0;
    for round in 0..60_usize {
        std::thread::sleep(Duration::from_millis(20));
        let files = files(&home.index());
        let file = &files[round % files.len()];
        let mut bytes = fs::read(file).unwrap();
        // Only the written part: the rest of a segment is padding.
        let used = bytes.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
        if used == 0 {
            continue;
        }
        let place = round * 7_919 % used;
        bytes[place] ^= 1 << (round % 8);
        fs::write(file, &bytes).unwrap();
        rebuilt += usize::from(assert_survives(&home, &format!("{} at {place}", file.display())));
    }
    assert!(rebuilt > 10, "the bytes that were flipped hardly mattered: {rebuilt}");
}

#[test]
fn files_of_an_older_state() {
    let mut home = closed(5);
    let old: Vec<_> = files(&home.index()).into_iter().map(|file| (fs::read(&file).unwrap(), file)).collect();
    home.issue(5, 40);
    drop(home.open());
    // Each older file between newer ones, as a careless restore leaves them.
    for (bytes, file) in old {
        std::thread::sleep(Duration::from_millis(20));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, bytes).unwrap();
        assert_survives(&home, &format!("{} is old", file.display()));
    }
}

#[test]
fn garbage_and_strangers_in_the_directory() {
    let home = closed(5);
    fs::write(home.index().join("generation-x"), b"not ours").unwrap();
    fs::create_dir(home.index().join("generation-0")).unwrap();
    assert!(!assert_survives(&home, "strangers"));
    let generation = files(&home.index()).into_iter().find(|file| file.ends_with("stamp")).unwrap();
    let generation = generation.parent().unwrap();
    fs::remove_dir_all(generation.join("sled")).unwrap();
    fs::write(generation.join("sled"), b"a file").unwrap();
    assert!(assert_survives(&home, "a file for a directory"));
}

#[test]
fn an_opening_that_never_ended_is_not_tried_again() {
    let home = closed(5);
    let stamp = files(&home.index()).into_iter().find(|file| file.ends_with("stamp")).unwrap();
    fs::write(stamp.with_file_name("opening"), b"").unwrap();
    assert!(assert_survives(&home, "opening"));
}

#[test]
fn a_killed_process_leaves_a_good_index() {
    let mut home = closed(5);
    let (index, _) = home.open();
    drop(index);
    home.issue(5, 30);
    // What a kill leaves: everything was handed to the system, nothing was closed.
    let (index, _) = home.open();
    std::mem::forget(index);
    let copy = home.index().with_file_name("copy");
    copy_dir(&home.index(), &copy);
    let index = SledIndex::open(&copy, Duration::ZERO, "test").unwrap();
    assert_eq!(index.applied().unwrap().size, 35);
    home.assert_right(&index);
}

fn copy_dir(from: &Path, to: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
