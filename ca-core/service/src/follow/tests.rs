use std::fs;
use std::sync::Mutex;

use ca_domain::{KeyIdentifier, ReasonCode, RevocationState, SerialNumber};
use ca_files::WriteLock;
use ca_ledger::{LedgerKey, LedgerWriter, NewEntry};
use ca_status::StatusTable;

use super::*;
use crate::ManualClock;

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
