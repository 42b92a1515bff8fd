use std::cell::RefCell;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use ca_ledger::layout::TileId;
use ca_ledger::{DirectorySource, FollowError, Follower, LedgerKey, LedgerWriter, Source, SourceError};

use crate::common::{Home, at, copy, entries, entry, key, vkey};

fn follower(home: &Home) -> Follower<DirectorySource> {
    Follower::new(DirectorySource::new(&home.ledger()), &vkey()).unwrap()
}

/// Counts what is read, and can lose tiles.
struct Watched {
    inner: DirectorySource,
    read: RefCell<Vec<String>>,
    lost: RefCell<Vec<String>>,
}

impl Source for Watched {
    fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
        self.inner.checkpoint()
    }

    fn tile(&self, id: TileId) -> Result<Vec<u8>, SourceError> {
        self.read.borrow_mut().push(id.path());
        if self.lost.borrow().contains(&id.path()) {
            return Err(SourceError::Missing(id.path()));
        }
        self.inner.tile(id)
    }
}

#[test]
fn each_new_entry_once() {
    let home = Home::new();
    let mut follower = follower(&home);
    assert!(follower.checkpoint().is_none());
    assert_eq!(follower.poll().unwrap(), vec![]);
    assert_eq!(follower.checkpoint().unwrap().size, 0);
    let mut writer = home.writer();
    let mut size = 0;
    for count in [1, 1, 253, 1, 1, 600, 5] {
        writer.append(entries(size..size + count), at(size)).unwrap();
        let new = follower.poll().unwrap();
        assert_eq!(new.len() as u64, count);
        for (expected, (index, found)) in (size..).zip(new) {
            assert_eq!((index, found), (expected, entry(expected).entry()));
        }
        assert_eq!(follower.poll().unwrap(), vec![]);
        size += count;
    }
    writer.heartbeat(at(5000)).unwrap();
    assert_eq!(follower.poll().unwrap(), vec![]);
    assert_eq!(follower.checkpoint().unwrap().time, at(5000));
}

#[test]
fn only_bundles_with_new_entries_are_read() {
    let home = Home::with(&[1000]);
    let source = Watched {
        inner: DirectorySource::new(&home.ledger()),
        read: RefCell::default(),
        lost: RefCell::default(),
    };
    let mut follower = Follower::new(Box::new(source), &vkey()).unwrap();
    follower.poll().unwrap();
    let all = ["tile/entries/000", "tile/entries/001", "tile/entries/002", "tile/entries/003.p/232"];
    assert_eq!(follower.source().read.take(), all);
    home.writer().append(entries(1000..1030), at(1000)).unwrap();
    follower.poll().unwrap();
    assert_eq!(follower.source().read.take(), ["tile/entries/003", "tile/entries/004.p/6"]);
    home.writer().heartbeat(at(2000)).unwrap();
    follower.poll().unwrap();
    assert!(follower.source().read.take().is_empty());

    // The partial bundle is gone because the full one is there.
    home.writer().append(entries(1030..1040), at(2001)).unwrap();
    let old = fs::read(home.ledger().join("checkpoint")).unwrap();
    home.writer().append(entries(1040..1300), at(2002)).unwrap();
    fs::write(home.ledger().join("checkpoint"), old).unwrap();
    assert_eq!(follower.poll().unwrap().len(), 10);
    assert_eq!(follower.source().read.take(), ["tile/entries/004.p/16", "tile/entries/004"]);
}

#[test]
fn a_missing_bundle_is_an_error_that_passes() {
    let home = Home::with(&[10]);
    let lost = vec!["tile/entries/000.p/10".to_owned()];
    let source = Watched {
        inner: DirectorySource::new(&home.ledger()),
        read: RefCell::default(),
        lost: RefCell::new(lost),
    };
    let mut follower = Follower::new(source, &vkey()).unwrap();
    assert!(follower.poll().unwrap_err().is_transient());
    assert!(follower.checkpoint().is_none());
    follower.source().lost.borrow_mut().clear();
    assert_eq!(follower.poll().unwrap().len(), 10);
}

#[test]
fn what_a_follower_refuses() {
    let home = Home::with(&[300]);
    let old = home.dir.path().join("old");
    copy(&home.ledger(), &old);
    home.writer().append(entries(300..310), at(400)).unwrap();
    let mut follower = follower(&home);
    follower.poll().unwrap();
    let good = follower.checkpoint().unwrap().clone();
    let mut refused = |what: &str| {
        let error = follower.poll().unwrap_err();
        assert_eq!(follower.checkpoint(), Some(&good), "{what}");
        assert!(!error.is_transient(), "{what}");
        error
    };
    let current = fs::read(home.ledger().join("checkpoint")).unwrap();
    let put = |bytes: &[u8]| fs::write(home.ledger().join("checkpoint"), bytes).unwrap();

    put(&fs::read(old.join("checkpoint")).unwrap());
    assert!(matches!(refused("shrunk"), FollowError::Shrunk { from: 310, to: 300 }));

    // Another history of the same length, signed by the same key.
    let fork = home.dir.path().join("fork");
    copy(&old, &fork);
    let mut writer = LedgerWriter::open(&fork, key(), &home.lock()).unwrap();
    writer.append(entries(700..710), at(500)).unwrap();
    put(&fs::read(fork.join("checkpoint")).unwrap());
    assert!(matches!(refused("fork"), FollowError::Forked { size: 310 }));

    // Another history that is longer: the root does not fit what is known.
    writer.append(entries(710..720), at(600)).unwrap();
    put(&fs::read(fork.join("checkpoint")).unwrap());
    copy(&fork.join("tile"), &home.ledger().join("tile"));
    assert!(matches!(refused("longer fork"), FollowError::Damaged { .. }));

    let stranger = LedgerKey::from_seed("ca.example.test/ledger", &[8; 32]).unwrap();
    let foreign = home.dir.path().join("foreign");
    LedgerWriter::create(&foreign, stranger, at(900)).unwrap();
    put(&fs::read(foreign.join("checkpoint")).unwrap());
    assert!(matches!(refused("foreign"), FollowError::Checkpoint(_)));

    put(b"");
    assert!(matches!(refused("empty"), FollowError::Checkpoint(_)));

    put(&current);
    assert_eq!(follower.poll().unwrap(), vec![]);
}

#[test]
fn an_older_checkpoint_of_the_same_ledger_is_refused() {
    let home = Home::with(&[3]);
    let old = fs::read(home.ledger().join("checkpoint")).unwrap();
    home.writer().heartbeat(at(100)).unwrap();
    let mut follower = follower(&home);
    follower.poll().unwrap();
    fs::write(home.ledger().join("checkpoint"), old).unwrap();
    assert!(matches!(follower.poll(), Err(FollowError::Older { .. })));
}

#[test]
fn followers_keep_up_with_a_running_writer() {
    let home = Home::new();
    let done = AtomicBool::new(false);
    let total = 1500;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut follower = follower(&home);
                let mut next = 0;
                loop {
                    let last = done.load(Ordering::SeqCst);
                    for (index, found) in follower.poll().unwrap() {
                        assert_eq!((index, found), (next, entry(next).entry()));
                        next += 1;
                    }
                    if last {
                        break;
                    }
                }
                assert_eq!(next, total);
            });
        }
        let mut writer = home.writer();
        let mut size = 0;
        while size < total {
            let count = (1 + size * 7 % 23).min(total - size);
            writer.append(entries(size..size + count), at(size)).unwrap();
            size += count;
        }
        done.store(true, Ordering::SeqCst);
    });
}
