use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use ca_domain::{KeyIdentifier, ReasonCode, RevocationState, SerialNumber};
use ca_files::WriteLock;
use ca_ledger::{LedgerKey, LedgerWriter, NewEntry};
use ca_status::StatusTable;
use proptest::prelude::*;

use super::*;
use crate::{Access, ManualClock, SaneClock};

const AUTHORITY: KeyIdentifier = KeyIdentifier([3; 20]);
const START: u64 = 1_795_000_000;

struct Bench {
    dir: tempfile::TempDir,
    clock: ManualClock,
    alarms: Alarms,
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix(START + seconds).unwrap()
}

fn serial(i: u64) -> SerialNumber {
    let mut serial = [0; 20];
    serial[12..].copy_from_slice(&i.to_be_bytes());
    SerialNumber::from_random(serial)
}

fn key() -> LedgerKey {
    LedgerKey::from_seed("ca.example.test/ledger", &[7; 32]).unwrap()
}

fn issued(i: u64) -> NewEntry {
    NewEntry {
        kind: EntryKind::CertificateIssued,
        time: at(0),
        authority: AUTHORITY,
        serial: Some(serial(i)),
        not_after: Some(at(1_000_000)),
        reason: None,
        invalidity_date: None,
        detail: Vec::new(),
    }
}

fn revoked(i: u64) -> NewEntry {
    let reason = Some(ReasonCode::KeyCompromise);
    NewEntry { kind: EntryKind::Revoked, reason, not_after: None, ..issued(i) }
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        LedgerWriter::create(&dir.path().join("ledger"), key(), at(0)).unwrap();
        Self { dir, clock: ManualClock::at(at(0)), alarms: Alarms::new() }
    }

    fn ledger(&self) -> PathBuf {
        self.dir.path().join("ledger")
    }

    fn append(&self, entries: Vec<NewEntry>) {
        let lock = WriteLock::acquire(&self.dir.path().join("lock"), Duration::ZERO, "test").unwrap();
        let now = self.clock.now();
        LedgerWriter::open(&self.ledger(), key(), &lock).unwrap().append(entries, now).unwrap();
    }

    fn view(table: StatusTable) -> Arc<LedgerView<StatusTable>> {
        Arc::new(LedgerView::new(table, Span::days(8), Span::hours(1)))
    }

    fn follower(&self) -> LedgerFollower<StatusTable> {
        let (clock, alarms) = (Arc::new(self.clock.clone()), self.alarms.clone());
        let source = LedgerSource::directory(&self.ledger());
        LedgerFollower::open(source, &key().vkey(), Self::view(StatusTable::new()), clock, alarms).unwrap()
    }

    fn resume(
        &self,
        position: &[u8],
        table: StatusTable,
    ) -> Result<LedgerFollower<StatusTable>, ServiceError> {
        let (clock, alarms) = (Arc::new(self.clock.clone()), self.alarms.clone());
        let source = LedgerSource::directory(&self.ledger());
        LedgerFollower::resume(source, &key().vkey(), position, Self::view(table), clock, alarms)
    }

    fn trust(&self, follower: &LedgerFollower<StatusTable>) -> Trust {
        follower.view().trust(self.clock.now())
    }
}

fn is_good(follower: &LedgerFollower<StatusTable>, i: u64) -> Option<bool> {
    let status = follower.view().read().status(&AUTHORITY, &serial(i))?;
    Some(status.state == RevocationState::Good)
}

#[test]
fn half_a_ledger_is_not_trusted() {
    let bench = Bench::new();
    bench.append((0..6_000).map(issued).collect());
    bench.append((0..6_000).map(revoked).collect());
    let mut follower = bench.follower();
    let (path, aside) = (bench.ledger().join("tile/entries/030"), bench.dir.path().join("aside"));
    fs::rename(&path, &aside).unwrap();
    follower.tick(|_| {});
    assert_eq!((is_good(&follower, 0), is_good(&follower, 5_999)), (Some(false), Some(true)));
    assert_eq!((bench.trust(&follower), follower.position()), (Trust::NotRead, None));
    assert_eq!(bench.alarms.list().len(), 1);
    fs::rename(&aside, &path).unwrap();
    let mut largest = 0;
    follower.tick(|changes| largest = largest.max(changes.len()));
    assert_eq!((is_good(&follower, 5_999), largest), (Some(false), 256));
    assert_eq!((bench.trust(&follower), bench.alarms.list()), (Trust::Current, vec![]));
}

#[test]
fn a_resumed_follower_reads_what_is_new() {
    let bench = Bench::new();
    bench.append((0..600).map(issued).collect());
    let mut first = bench.follower();
    first.tick(|_| {});
    let (position, table) = (first.position().unwrap(), first.view().read().clone());
    bench.append(vec![revoked(7)]);

    assert!(matches!(bench.resume(&position, StatusTable::new()), Err(ServiceError::Position(_))));
    assert!(matches!(bench.resume(&position[1..], table.clone()), Err(ServiceError::Position(_))));
    let mut resumed = bench.resume(&position, table).unwrap();
    assert_eq!(bench.trust(&resumed), Trust::NotRead);
    let mut seen = 0;
    resumed.tick(|changes| seen += changes.len());
    assert_eq!((seen, is_good(&resumed, 7), bench.trust(&resumed)), (1, Some(false), Trust::Current));
    first.tick(|_| {});
    assert_eq!(resumed.position(), first.position());
}

#[test]
fn a_resumed_follower_refuses_an_older_ledger() {
    let bench = Bench::new();
    bench.append((0..10).map(issued).collect());
    let old = fs::read(bench.ledger().join("checkpoint")).unwrap();
    bench.append(vec![revoked(7)]);
    let mut first = bench.follower();
    first.tick(|_| {});
    let (position, table) = (first.position().unwrap(), first.view().read().clone());
    fs::write(bench.ledger().join("checkpoint"), old).unwrap();
    let mut resumed = bench.resume(&position, table).unwrap();
    resumed.tick(|_| {});
    assert_eq!(bench.trust(&resumed), Trust::Refused);
}

#[test]
fn trust_ends_with_age_and_with_silence() {
    let bench = Bench::new();
    let mut follower = bench.follower();
    let view = follower.view().clone();
    assert_eq!(bench.trust(&follower), Trust::NotRead);
    follower.tick(|_| {});
    assert_eq!(bench.trust(&follower), Trust::Current);
    let checkpoint = bench.ledger().join("checkpoint");
    let bytes = fs::read(&checkpoint).unwrap();
    fs::remove_file(&checkpoint).unwrap();
    follower.tick(|_| {});
    for (after, expected) in [(3_600, Trust::Current), (1, Trust::Unreadable)] {
        bench.clock.advance(after);
        follower.tick(|_| {});
        assert_eq!(bench.trust(&follower), expected);
    }
    fs::write(&checkpoint, &bytes).unwrap();
    follower.tick(|_| {});
    assert_eq!(bench.trust(&follower), Trust::Current);
    fs::write(&checkpoint, "no checkpoint").unwrap();
    follower.tick(|_| {});
    assert_eq!(bench.trust(&follower), Trust::Refused);
    fs::write(&checkpoint, &bytes).unwrap();
    follower.tick(|_| {});
    assert_eq!((view.trust(at(8 * 86_400)), view.trust(at(8 * 86_400 + 1))), (Trust::Current, Trust::Stale));
}

#[test]
fn the_moment_to_save_comes_after_each_tick() {
    let bench = Bench::new();
    bench.append((0..300).map(issued).collect());
    let (send, receive) = std::sync::mpsc::channel();
    let seen = Arc::new(Mutex::new(0));
    let counted = seen.clone();
    let follower = bench.follower();
    let bell = follower.bell.clone();
    let worker = follower.spawn(
        move |changes| *counted.lock().unwrap() += changes.len(),
        move |follower| {
            let size = follower.view().read().next_index();
            let _ = send.send((follower.position().is_some(), size));
        },
    );
    let _worker = worker.unwrap();
    assert_eq!(receive.recv().unwrap(), (true, 300));
    assert_eq!(*seen.lock().unwrap(), 300);
    bell.stop();
    // The thread ends, and with it the sender.
    while receive.recv().is_ok() {}
}

#[test]
fn a_memory_refuses_an_older_ledger_after_a_restart() {
    let bench = Bench::new();
    let state = bench.dir.path().join("state");
    bench.append((0..10).map(issued).collect());
    let checkpoint = bench.ledger().join("checkpoint");
    let old = fs::read(&checkpoint).unwrap();
    bench.append(vec![revoked(7)]);
    let new = fs::read(&checkpoint).unwrap();
    // The first one writes the file, and the second one finds it.
    let restart = || {
        let mut follower = bench.follower().remember(StateDir::new(&state, Access::Keep)).unwrap();
        follower.tick(|_| {});
        bench.trust(&follower)
    };
    assert_eq!(restart(), Trust::Current);
    fs::write(&checkpoint, &old).unwrap();
    assert_eq!(restart(), Trust::Refused);
    fs::write(&checkpoint, &new).unwrap();
    assert_eq!(restart(), Trust::Current);

    // A damaged file asks for a person; without one it is a new beginning.
    let file = state.join("follower");
    let good = fs::read(&file).unwrap();
    for bad in [&good[..good.len() - 1], b"", &old] {
        fs::write(&file, bad).unwrap();
        let Err(error) = bench.follower().remember(StateDir::new(&state, Access::Keep)) else {
            panic!("taken")
        };
        assert!(matches!(error, ServiceError::Position(_)), "{error}");
        assert!(error.to_string().contains("follower"), "{error}");
    }
    fs::remove_file(&file).unwrap();
    fs::write(&checkpoint, &old).unwrap();
    assert_eq!(restart(), Trust::Current);
}

#[test]
fn the_last_position_is_kept_when_the_daemon_ends() {
    let bench = Bench::new();
    let state = bench.dir.path().join("state");
    let follower = bench.follower().remember(StateDir::new(&state, Access::Keep)).unwrap();
    let bell = follower.bell.clone();
    let (send, receive) = std::sync::mpsc::channel();
    let worker = follower.spawn(
        |_| {},
        move |follower| {
            let _ = send.send(follower.position());
        },
    );
    let _worker = worker.unwrap();
    let first = receive.recv().unwrap();
    bench.append((0..10).map(issued).collect());
    let last = receive.iter().find(|position| *position != first).unwrap();
    bell.stop();
    while receive.recv().is_ok() {}
    assert_eq!(fs::read(state.join("follower")).ok(), last);
}

/// A source whose checkpoint hangs until it is told what comes of it.
struct Hanging {
    source: DirectorySource,
    /// Is told of each.
    hangs: std::sync::mpsc::SyncSender<()>,
    /// Whether it works in the end.
    works: Mutex<std::sync::mpsc::Receiver<bool>>,
}

impl Source for Hanging {
    fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
        let _ = self.hangs.send(());
        match self.works.lock().unwrap().recv() {
            Ok(true) => self.source.checkpoint(),
            _ => {
                Err(SourceError::Failed { path: CHECKPOINT.to_owned(), what: "stale file handle".to_owned() })
            }
        }
    }

    fn tile(&self, id: TileId) -> Result<Vec<u8>, SourceError> {
        self.source.tile(id)
    }
}

#[test]
fn a_ledger_that_hangs_is_not_relied_upon_for_ever() {
    let bench = Bench::new();
    bench.append((0..10).map(issued).collect());
    let (hangs, hung) = std::sync::mpsc::sync_channel(0);
    let (tell, works) = std::sync::mpsc::channel();
    let source = Hanging { source: DirectorySource::new(&bench.ledger()), hangs, works: Mutex::new(works) };
    let view = Bench::view(StatusTable::new());
    let (clock, alarms) = (Arc::new(bench.clock.clone()), bench.alarms.clone());
    let source = LedgerSource::remote(source, Duration::ZERO);
    let mut follower = LedgerFollower::open(source, &key().vkey(), view.clone(), clock, alarms).unwrap();
    let trust = || view.trust(bench.clock.now());
    // What any other thread of a daemon sees.
    let told = || {
        view.tell_hang(bench.clock.now(), &bench.alarms);
        bench.alarms.snapshot().into_iter().map(|alarm| (alarm.summary, alarm.detail)).collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        // A test that fails drops them, and nothing hangs any more.
        let (tell, hung) = (tell, hung);
        let ticks = scope.spawn(move || (0..4).for_each(|_| follower.tick(|_| {})));
        let hung = || hung.recv().unwrap();
        hung();
        assert_eq!(trust(), Trust::NotRead);
        tell.send(true).unwrap();
        hung();
        assert_eq!(told(), []);
        bench.clock.advance(300);
        assert_eq!(told(), []);
        bench.clock.advance(1);
        let first = told();
        assert!(first[0].0 == "the ledger cannot be read" && first[0].1.contains("hangs since"), "{first:?}");
        bench.clock.advance(3_299);
        assert_eq!(told(), first, "it is told once");
        assert_eq!(trust(), Trust::Current, "the limit is an hour");
        bench.clock.advance(1);
        assert_eq!(trust(), Trust::Unreadable);
        // Failing in the end begins no new hour.
        tell.send(false).unwrap();
        hung();
        assert_eq!(trust(), Trust::Unreadable);
        tell.send(true).unwrap();
        hung();
        assert_eq!((trust(), told()), (Trust::Current, vec![]));
        tell.send(true).unwrap();
        ticks.join().unwrap();
    });
    // Nobody asks meanwhile, so nothing hangs.
    bench.clock.advance(3_601);
    assert_eq!(trust(), Trust::Current);
}

#[test]
fn a_clock_set_back_makes_no_old_ledger_fresh() {
    let bench = Bench::new();
    let passed = Arc::new(AtomicI64::new(0));
    let count = passed.clone();
    let clock = Arc::new(SaneClock::new(bench.clock.clone(), move || count.load(Ordering::SeqCst)));
    let source = LedgerSource::directory(&bench.ledger());
    let view = Bench::view(StatusTable::new());
    let alarms = bench.alarms.clone();
    let mut follower =
        LedgerFollower::open(source, &key().vkey(), view.clone(), clock.clone(), alarms).unwrap();
    let mut after = |days: i64, wall: u64| {
        passed.store(days * 86_400, Ordering::SeqCst);
        bench.clock.set(at(wall * 86_400));
        follower.tick(|_| {});
        let topics: Vec<_> = bench.alarms.list().into_iter().map(|(topic, _)| topic).collect();
        (view.trust(clock.now()), topics.concat())
    };
    assert_eq!(after(0, 0), (Trust::Current, String::new()));
    assert_eq!(after(8, 8), (Trust::Current, String::new()));
    assert_eq!(after(9, 9), (Trust::Stale, "ledger".to_owned()));
    assert_eq!(after(9, 2), (Trust::Stale, "clockledger".to_owned()));
    // It is told for a while that it went back and forth.
    assert_eq!(after(10, 10), (Trust::Stale, "clockledger".to_owned()));
    assert_eq!(after(11, 11), (Trust::Stale, "ledger".to_owned()));
}

/// What somebody does to the files that a follower reads.
#[derive(Clone, Debug)]
enum Deed {
    Revoke,
    Flip(usize, usize),
    Cut(usize, usize),
    Remove(usize),
    OldCheckpoint(usize),
    Mend,
}

fn deed() -> impl Strategy<Value = Deed> {
    let at = || 0..10_000usize;
    prop_oneof![
        3 => Just(Deed::Revoke),
        3 => (at(), at()).prop_map(|(file, byte)| Deed::Flip(file, byte)),
        1 => (at(), at()).prop_map(|(file, byte)| Deed::Cut(file, byte)),
        1 => at().prop_map(Deed::Remove),
        2 => at().prop_map(Deed::OldCheckpoint),
        2 => Just(Deed::Mend),
    ]
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for item in fs::read_dir(dir).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let path = item.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Whatever becomes of the served files: what is relied upon is what was signed last
    /// of all that was seen, and after the files are mended it is what is signed now.
    #[test]
    fn never_good_by_what_was_not_verified(deeds in prop::collection::vec(deed(), 1..12)) {
        let bench = Bench::new();
        let served = bench.dir.path().join("served");
        bench.append((0..300).map(issued).collect());
        let (mut revocations, mut old) = (0, Vec::new());
        let view = Bench::view(StatusTable::new());
        let (clock, alarms) = (Arc::new(bench.clock.clone()), bench.alarms.clone());
        let source = LedgerSource::directory(&served);
        let mut follower = LedgerFollower::open(source, &key().vkey(), view, clock, alarms).unwrap();
        let mut seen = 0;
        for deed in deeds.into_iter().chain([Deed::Mend]) {
            let mend = || {
                let _ = fs::remove_dir_all(&served);
                copy(&bench.ledger(), &served);
            };
            let mut found = Vec::new();
            if served.exists() {
                files(&served, &mut found);
            }
            found.sort();
            let pick = |file: usize| found.get(file % found.len().max(1));
            let mended = matches!(deed, Deed::Mend | Deed::Revoke);
            match deed {
                Deed::Revoke => {
                    old.push(fs::read(bench.ledger().join("checkpoint")).unwrap());
                    bench.append(vec![revoked(revocations)]);
                    revocations += 1;
                    mend();
                }
                Deed::Mend => mend(),
                Deed::Flip(file, byte) => if let Some(path) = pick(file) {
                    let mut bytes = fs::read(path).unwrap();
                    let length = bytes.len().max(1);
                    if let Some(byte) = bytes.get_mut(byte % length) {
                        *byte ^= 1;
                    }
                    fs::write(path, bytes).unwrap();
                },
                Deed::Cut(file, byte) => if let Some(path) = pick(file) {
                    let bytes = fs::read(path).unwrap();
                    fs::write(path, &bytes[..byte % bytes.len().max(1)]).unwrap();
                },
                Deed::Remove(file) => if let Some(path) = pick(file) {
                    fs::remove_file(path).unwrap();
                },
                Deed::OldCheckpoint(which) => if let Some(note) = old.get(which % old.len().max(1)) {
                    fs::create_dir_all(&served).unwrap();
                    fs::write(served.join("checkpoint"), note).unwrap();
                },
            }
            follower.tick(|_| {});
            let known = (0..300).filter(|i| is_good(&follower, *i) == Some(false)).count() as u64;
            // No revocation is ever forgotten, and none invented.
            prop_assert!(known >= seen && known <= revocations);
            prop_assert!((0..known).all(|i| is_good(&follower, i) == Some(false)));
            seen = known;
            if bench.trust(&follower) == Trust::Current {
                let (size, _) = follower.view().position().unwrap();
                prop_assert_eq!(size, 300 + known);
            }
            if mended {
                prop_assert_eq!((bench.trust(&follower), known), (Trust::Current, revocations));
                prop_assert!(bench.alarms.list().is_empty());
            }
        }
    }
}
