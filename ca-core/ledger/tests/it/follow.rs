use std::cell::RefCell;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use ca_ledger::layout::TileId;
use ca_ledger::{
    DirectorySource, Entry, FollowError, Follower, LedgerError, LedgerKey, LedgerWriter, Source, SourceError,
};

use crate::common::{Home, at, copy, entries, entry, key, poll, vkey};

fn follower(home: &Home) -> Follower<DirectorySource> {
    Follower::new(DirectorySource::new(&home.ledger()), &vkey()).unwrap()
}

/// Counts what is read, and can lose tiles.
struct Watched {
    inner: DirectorySource,
    read: RefCell<Vec<String>>,
    lost: RefCell<Vec<String>>,
}

impl Watched {
    fn of(home: &Home) -> Self {
        Self {
            inner: DirectorySource::new(&home.ledger()),
            read: RefCell::default(),
            lost: RefCell::default(),
        }
    }
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
    assert_eq!(poll(&mut follower).unwrap(), vec![]);
    assert_eq!(follower.checkpoint().unwrap().size, 0);
    let mut writer = home.writer();
    let mut size = 0;
    for count in [1, 1, 253, 1, 1, 600, 5] {
        writer.append(entries(size..size + count), at(size)).unwrap();
        let new = poll(&mut follower).unwrap();
        assert_eq!(new.len() as u64, count);
        for (expected, (index, found)) in (size..).zip(new) {
            assert_eq!((index, found), (expected, entry(expected).entry()));
        }
        assert_eq!(poll(&mut follower).unwrap(), vec![]);
        size += count;
    }
    writer.heartbeat(at(5000)).unwrap();
    assert_eq!(poll(&mut follower).unwrap(), vec![]);
    assert_eq!(follower.checkpoint().unwrap().time, at(5000));
}

#[test]
fn only_bundles_with_new_entries_are_read() {
    let home = Home::with(&[1000]);
    let mut follower = Follower::new(Box::new(Watched::of(&home)), &vkey()).unwrap();
    poll(&mut follower).unwrap();
    let all = ["tile/entries/000", "tile/entries/001", "tile/entries/002", "tile/entries/003.p/232"];
    assert_eq!(follower.source().read.take(), all);
    home.writer().append(entries(1000..1030), at(1000)).unwrap();
    poll(&mut follower).unwrap();
    assert_eq!(follower.source().read.take(), ["tile/entries/003", "tile/entries/004.p/6"]);
    home.writer().heartbeat(at(2000)).unwrap();
    poll(&mut follower).unwrap();
    assert!(follower.source().read.take().is_empty());

    // The partial bundle is gone because the full one is there.
    home.writer().append(entries(1030..1040), at(2001)).unwrap();
    let old = fs::read(home.ledger().join("checkpoint")).unwrap();
    home.writer().append(entries(1040..1300), at(2002)).unwrap();
    fs::write(home.ledger().join("checkpoint"), old).unwrap();
    assert_eq!(poll(&mut follower).unwrap().len(), 10);
    assert_eq!(follower.source().read.take(), ["tile/entries/004.p/16", "tile/entries/004"]);
}

#[test]
fn a_missing_bundle_is_an_error_that_passes() {
    let home = Home::with(&[10]);
    let mut follower = Follower::new(Watched::of(&home), &vkey()).unwrap();
    follower.source().lost.borrow_mut().push("tile/entries/000.p/10".to_owned());
    assert!(poll(&mut follower).unwrap_err().is_transient());
    assert!(follower.checkpoint().is_none());
    follower.source().lost.borrow_mut().clear();
    assert_eq!(poll(&mut follower).unwrap().len(), 10);
}

#[test]
fn what_a_follower_refuses() {
    let home = Home::with(&[300]);
    let old = home.dir.path().join("old");
    copy(&home.ledger(), &old);
    home.writer().append(entries(300..310), at(400)).unwrap();
    let mut follower = follower(&home);
    poll(&mut follower).unwrap();
    let good = follower.checkpoint().unwrap().clone();
    let mut refused = |what: &str| {
        let error = poll(&mut follower).unwrap_err();
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
    assert_eq!(poll(&mut follower).unwrap(), vec![]);
}

#[test]
fn an_older_checkpoint_of_the_same_ledger_is_refused() {
    let home = Home::with(&[3]);
    let old = fs::read(home.ledger().join("checkpoint")).unwrap();
    home.writer().heartbeat(at(100)).unwrap();
    let mut follower = follower(&home);
    poll(&mut follower).unwrap();
    fs::write(home.ledger().join("checkpoint"), old).unwrap();
    assert!(matches!(poll(&mut follower), Err(FollowError::Older { .. })));
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
                    for (index, found) in poll(&mut follower).unwrap() {
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

/// More new entries than are kept in memory, and a partial bundle at the end.
const MANY: u64 = 6_000;

#[test]
fn many_entries_come_in_chunks_and_each_bundle_is_read_once() {
    let home = Home::with(&[MANY]);
    let mut follower = Follower::new(Watched::of(&home), &vkey()).unwrap();
    let mut next = 0;
    follower
        .poll(|first, new| {
            assert_eq!(first, next);
            assert!((1..=256).contains(&new.len()));
            for found in new {
                assert_eq!(*found, entry(next).entry());
                next += 1;
            }
        })
        .unwrap();
    assert_eq!((next, follower.applied()), (MANY, MANY));
    let read = follower.source().read.take();
    let bundles: Vec<_> = read.iter().filter(|path| path.starts_with("tile/entries/")).collect();
    assert_eq!(bundles.len() as u64, MANY.div_ceil(256));
    assert_eq!(read.len() - bundles.len(), 2, "the hash tiles of levels 0 and 1: {read:?}");

    // From a position within a bundle.
    home.writer().append(entries(MANY..2 * MANY + 7), at(MANY)).unwrap();
    let new = poll(&mut follower).unwrap();
    assert_eq!(new.len() as u64, MANY + 7);
    for (expected, (index, found)) in (MANY..).zip(new) {
        assert_eq!((index, found), (expected, entry(expected).entry()));
    }
    assert_eq!(poll(&mut follower).unwrap(), vec![]);
}

#[test]
fn a_poll_that_breaks_off_is_continued_by_the_next() {
    let home = Home::with(&[MANY]);
    let mut follower = Follower::new(Watched::of(&home), &vkey()).unwrap();
    follower.source().lost.borrow_mut().push("tile/entries/010".to_owned());
    let mut got = Vec::new();
    let mut take = |first: u64, new: &[Entry]| {
        assert_eq!(first, got.len() as u64);
        got.extend_from_slice(new);
    };
    assert!(follower.poll(&mut take).unwrap_err().is_transient());
    assert_eq!((follower.applied(), follower.checkpoint().unwrap().size), (2_560, MANY));
    // What is lost is not all that is missing by then.
    home.writer().append(entries(MANY..MANY + 300), at(MANY)).unwrap();
    assert!(follower.poll(&mut take).unwrap_err().is_transient());
    assert_eq!(follower.applied(), 2_560);
    follower.source().lost.borrow_mut().clear();
    // A changed bundle is not handed out, whatever came before it.
    let path = home.ledger().join("tile/entries/015");
    let good = fs::read(&path).unwrap();
    let mut bad = good.clone();
    bad[100] ^= 1;
    fs::write(&path, bad).unwrap();
    assert!(matches!(follower.poll(&mut take), Err(FollowError::Damaged { .. })));
    assert_eq!(follower.applied(), 15 * 256);
    fs::write(&path, good).unwrap();
    follower.poll(&mut take).unwrap();
    assert_eq!(follower.applied(), MANY + 300);
    assert!((0..).zip(&got).all(|(i, found)| *found == entry(i).entry()));
}

#[test]
fn a_much_longer_fork_is_refused_before_any_of_it_is_used() {
    for known in [300, 256, 1] {
        let home = Home::with(&[known]);
        let fork = home.dir.path().join("fork");
        LedgerWriter::create(&fork, key(), at(0)).unwrap();
        let mut writer = LedgerWriter::open(&fork, key(), &home.lock()).unwrap();
        writer.append(entries(known..known + MANY), at(10)).unwrap();
        let mut follower = follower(&home);
        poll(&mut follower).unwrap();
        copy(&fork, &home.ledger());
        assert!(matches!(poll(&mut follower), Err(FollowError::Forked { size }) if size == known));
        assert_eq!(follower.applied(), known);
    }
}

#[test]
fn a_position_goes_on_where_it_was_and_refuses_what_is_older() {
    for known in [0, 1, 255, 256, 257, 1_000] {
        let home = Home::with(if known == 0 { &[] } else { std::slice::from_ref(&known) });
        let old = home.dir.path().join("old");
        copy(&home.ledger(), &old);
        home.writer().append(entries(known..known + 3), at(known)).unwrap();
        let mut first = follower(&home);
        assert_eq!(first.position(), None);
        poll(&mut first).unwrap();
        let position = first.position().unwrap();
        let resume = |source: &std::path::Path| {
            Follower::resume(DirectorySource::new(source), &vkey(), &position).unwrap()
        };
        assert!(matches!(poll(&mut resume(&old)), Err(FollowError::Shrunk { .. })));
        assert_eq!(poll(&mut resume(&home.ledger())).unwrap(), vec![]);
        // With its memory, but from the start.
        let remember = |source: &std::path::Path| {
            let new = Follower::new(DirectorySource::new(source), &vkey()).unwrap();
            new.remember(&position).unwrap()
        };
        let mut again = remember(&home.ledger());
        assert_eq!(poll(&mut again).unwrap().len() as u64, known + 3);
        assert!(matches!(poll(&mut remember(&old)), Err(FollowError::Shrunk { .. })));

        for more in [2, MANY] {
            let size = again.applied();
            home.writer().append(entries(size..size + more), at(size)).unwrap();
            assert_eq!(poll(&mut again).unwrap().len() as u64, more);
            let mut resumed = resume(&home.ledger());
            let new = poll(&mut resumed).unwrap();
            assert_eq!((new[0].0, new.len() as u64), (known + 3, size + more - known - 3));
            assert_eq!(resumed.position(), again.position());
        }
    }
}

#[test]
fn a_table_older_than_the_memory_is_no_way_back() {
    let home = Home::with(&[300]);
    let mut first = follower(&home);
    poll(&mut first).unwrap();
    let table = first.position().unwrap();
    let old = home.dir.path().join("old");
    copy(&home.ledger(), &old);
    home.writer().append(entries(300..310), at(400)).unwrap();
    poll(&mut first).unwrap();
    let seen = first.position().unwrap();
    let resume = |source: &std::path::Path| {
        let resumed = Follower::resume(DirectorySource::new(source), &vkey(), &table).unwrap();
        resumed.remember(&seen).unwrap()
    };
    assert!(matches!(poll(&mut resume(&old)), Err(FollowError::Shrunk { from: 310, to: 300 })));
    let new = poll(&mut resume(&home.ledger())).unwrap();
    assert_eq!((new[0].0, new.len()), (300, 10));
    // Another ledger that is longer than both and continues only the table.
    let mut writer = LedgerWriter::open(&old, key(), &home.lock()).unwrap();
    writer.append(entries(700..730), at(500)).unwrap();
    assert!(matches!(poll(&mut resume(&old)), Err(FollowError::Forked { size: 310 })));
}

#[test]
fn a_position_that_was_changed_is_refused() {
    let home = Home::with(&[300]);
    let mut follower = follower(&home);
    poll(&mut follower).unwrap();
    let position = follower.position().unwrap();
    let resume = |bytes: &[u8]| Follower::resume(DirectorySource::new(&home.ledger()), &vkey(), bytes);
    assert!(resume(&position).is_ok());
    for at in 0..position.len() {
        let mut changed = position.clone();
        changed[at] ^= 1;
        assert!(matches!(resume(&changed), Err(LedgerError::Position(_))), "byte {at}");
        assert!(matches!(resume(&position[..at]), Err(LedgerError::Position(_))), "cut at {at}");
    }
    assert!(resume(&[&position[..], b"x"].concat()).is_err());
    let stranger = LedgerKey::from_seed("ca.example.test/ledger", &[8; 32]).unwrap().vkey();
    let error = Follower::resume(DirectorySource::new(&home.ledger()), &stranger, &position).unwrap_err();
    assert!(error.to_string().contains("not signed by"), "{error}");
}
