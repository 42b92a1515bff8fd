//! A simulated year: crashes, sleeps, clocks that are wrong, full disks, dead sources, dead targets,
//! and at every moment what clients fetch, files and answers, here and at a target, are valid CRLs, their numbers rise,
//! and a delta CRL changes the full one beside it.
//!
//! `CHANCERY_YEAR_DAYS=365 CHANCERY_YEAR_SEED=7 cargo test -p crl-publisher --test year -- --nocapture`
//! runs all of one; without them each seed of a few gets some days. All of it is in a file system of its own,
//! small and in memory, which really gets full: the test starts itself again in a mount namespace.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "year/readers.rs"]
mod readers;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ca_domain::{SerialNumber, Timestamp};
use ca_files::fault::{self, Failure};
use ca_service::{ManualClock, SaneClock};
use common::{Bench, DAY, HOUR};
use crl_publisher::Daemon;
use readers::{Known, Place};

const AUTHORITIES: &str = "  - name: issuing
    certificate: ca.pem
    mode: sign
    key: ca.key
    validity: 7d
    at: 30 2 * * *
    time_zone: Europe/Berlin
    jitter: 2h
    url: http://a.test/crl/{name}.crl
    shards: [2]
    delta:
      validity: 6d
      interval: 4h
      after_revocation: 5s
      min_interval: 1m
  - name: root
    certificate: root.pem
    mode: distribute
    source: root.crl
    remind: 30d
state_dir: state
targets:
  - {name: mirror, directory: mirror, retry_at_most: 30s}
";
const LISTS: [&str; 7] = [
    "issuing",
    "issuing-delta",
    "issuing-0-of-2",
    "issuing-0-of-2-delta",
    "issuing-1-of-2",
    "issuing-1-of-2-delta",
    "root",
];
/// No trouble lasts longer: what is published must last through it.
const LONGEST_TROUBLE: u64 = 4 * DAY;

/// The chances of a run (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }
}

/// A publisher, and the time that has passed for it.
struct Publisher {
    daemon: Daemon,
    passed: Arc<AtomicI64>,
    /// Whether it has looked at all once: it listens then.
    is_up: bool,
}

struct World {
    seed: u64,
    dice: Dice,
    bench: Bench,
    /// The clock of the machine; that of `bench` is right.
    wall: ManualClock,
    /// Seconds by which it is wrong.
    skew: i64,
    /// It was ahead by more than is backdated, and what was signed then is not replaced yet.
    is_ahead: bool,
    active: Option<Publisher>,
    standby: Option<Publisher>,
    /// What was found last, by place and name.
    known: BTreeMap<(Place, &'static str), Known>,
    revoked: Vec<SerialNumber>,
    ceremonies: u64,
    /// For what is asked over HTTP.
    runtime: tokio::runtime::Runtime,
    looks: u64,
    happened: BTreeMap<&'static str, u64>,
}

impl World {
    fn new(seed: u64) -> Self {
        let bench = Bench::new();
        let wall = ManualClock::at(bench.now());
        let mut world = Self {
            seed,
            dice: Dice(seed),
            bench,
            wall,
            skew: 0,
            is_ahead: false,
            active: None,
            standby: None,
            known: BTreeMap::new(),
            revoked: Vec::new(),
            ceremonies: 0,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            looks: 0,
            happened: BTreeMap::new(),
        };
        fs::create_dir(world.bench.home("mirror")).unwrap();
        world.ceremony();
        world.active = Some(world.start());
        world.recover();
        world
    }

    fn count(&mut self, what: &'static str) {
        *self.happened.entry(what).or_default() += 1;
    }

    fn start(&mut self) -> Publisher {
        let passed = Arc::new(AtomicI64::new(0));
        let count = passed.clone();
        let clock = SaneClock::new(self.wall.clone(), move || count.load(Ordering::SeqCst));
        let daemon = Daemon::open(self.bench.config(AUTHORITIES), Arc::new(clock)).unwrap();
        daemon.prepare().unwrap();
        Publisher { daemon, passed, is_up: false }
    }

    /// The root signs its next CRL, and somebody carries it here.
    fn ceremony(&mut self) {
        self.ceremonies += 1;
        let crl = self.bench.make_crl(&self.bench.root, self.ceremonies, 90 * DAY);
        self.bench.write("root.crl", &crl);
    }

    /// Time passes, on a machine that is awake or not.
    fn pass(&mut self, seconds: u64, awake: bool) {
        self.bench.clock.advance(seconds);
        self.set_wall();
        if awake {
            for publisher in self.active.iter().chain(&self.standby) {
                publisher.passed.fetch_add(i64::try_from(seconds).unwrap(), Ordering::SeqCst);
            }
        }
        self.look();
    }

    fn set_wall(&self) {
        let now = i64::try_from(self.bench.now().as_unix()).unwrap();
        self.wall.set(Timestamp::from_unix(u64::try_from(now + self.skew).unwrap()).unwrap());
    }

    fn tick(&mut self) {
        if let Some(active) = &mut self.active {
            active.daemon.tick();
            active.is_up = true;
            self.look();
        }
        if let Some(active) = &self.active {
            active.daemon.deliver();
        }
        if let Some(standby) = &mut self.standby {
            standby.daemon.tick();
            standby.is_up = true;
            self.look();
        }
    }

    /// All troubles end, and what should be published is.
    fn recover(&mut self) {
        self.skew = 0;
        self.set_wall();
        if self.active.is_none() {
            self.active = match self.standby.take() {
                Some(standby) => Some(standby),
                None => Some(self.start()),
            };
        }
        let now = self.bench.now();
        self.bench.ledger.heartbeat(now);
        // After a failure a minute passes at most until it is tried again; changes wait up to a minute.
        for seconds in [61, 61, 6] {
            self.tick();
            self.pass(seconds, true);
        }
        self.tick();
        self.is_ahead = false;
        self.look();
        let told: Vec<String> = self.bench.alarms(&self.active.as_ref().unwrap().daemon);
        let told: Vec<_> = told.iter().filter(|alarm| !alarm.starts_with("clock: ")).collect();
        assert!(told.is_empty(), "seed {}, {}: {told:?}", self.seed, self.bench.now());
        for name in LISTS {
            let [published, mirror] = ["published", "mirror"]
                .map(|place| fs::read(self.bench.home(&format!("{place}/crl/{name}.crl"))).ok());
            assert!(
                published.is_some() && published == mirror,
                "seed {}, {}: {name} at the target",
                self.seed,
                self.bench.now()
            );
        }
        let of_parts = ["issuing-0-of-2", "issuing-1-of-2"].map(|name| self.told(name));
        let all = self.told("issuing");
        for serial in self.revoked.iter().rev().take(40) {
            let at = format!("seed {}, {}: {serial}", self.seed, self.bench.now());
            assert!(all.contains(serial), "{at} is on no CRL");
            let parts = of_parts.iter().filter(|part| part.contains(serial)).count();
            assert_eq!(parts, 1, "{at} is on CRLs of so many parts");
        }
    }

    /// Time up to a moment, with what an authority does meanwhile.
    fn live(&mut self, seconds: u64, awake: bool, ledger: bool) {
        let mut left = seconds;
        while left > 0 {
            let step = (1 + self.dice.below(8 * HOUR)).min(left);
            left -= step;
            self.pass(step, awake);
            if ledger && self.dice.below(4) == 0 {
                let serial = self.bench.issue();
                self.bench.revoke(serial);
                self.revoked.push(serial);
                self.count("revocations");
            }
            if awake {
                self.tick();
            }
        }
    }

    fn trouble(&mut self) {
        let length = 1 + self.dice.below(LONGEST_TROUBLE);
        match self.dice.below(11) {
            0 => {
                self.count("sleeps");
                self.live(length, false, true);
            }
            1 => {
                self.count("crashes");
                self.crash();
                if self.standby.is_none() {
                    self.live(length, false, true);
                }
            }
            2 => {
                self.count("broken disks");
                for _ in 0..6 {
                    self.pass(length / 6, true);
                    let at = self.dice.below(3);
                    fault::arm(at, Failure::Crash);
                    self.tick();
                    fault::disarm();
                }
            }
            3 => {
                self.count("failing operations");
                for _ in 0..6 {
                    let seconds = 1 + self.dice.below(6 * HOUR);
                    self.pass(seconds, true);
                    let at = self.dice.below(60);
                    fault::arm(at, Failure::Once(ErrorKind::StorageFull));
                    self.tick();
                    fault::disarm();
                }
            }
            4 => {
                self.count("dead ledgers");
                let good = self.bench.ledger.checkpoint();
                self.bench.ledger.put_checkpoint(b"nothing");
                self.live(length, true, false);
                self.bench.ledger.put_checkpoint(&good);
            }
            5 => {
                self.count("dead sources");
                let good = fs::read(self.bench.home("root.crl")).unwrap();
                let bad = [&b"nothing"[..], &good[..good.len() / 2], b""];
                let bad = bad[usize::try_from(self.dice.below(3)).unwrap()].to_vec();
                self.bench.write("root.crl", &bad);
                self.live(length, true, true);
                self.bench.write("root.crl", &good);
            }
            6 => {
                self.count("clocks ahead");
                self.skew = i64::try_from(600 + self.dice.below(3 * DAY)).unwrap();
                self.is_ahead = true;
                self.set_wall();
                // Set right within the hour.
                let seconds = 1 + self.dice.below(3_000);
                self.live(seconds, true, true);
            }
            7 => {
                self.count("clocks behind");
                // Back while it runs, or found so at a restart.
                if self.dice.below(2) == 0 {
                    self.crash();
                }
                self.skew = -i64::try_from(1 + self.dice.below(6 * HOUR)).unwrap();
                self.set_wall();
                if self.active.is_none() && self.standby.is_none() {
                    self.active = Some(self.start());
                }
                self.live(length.min(DAY), true, true);
            }
            8 => {
                self.count("full disks");
                for _ in 0..6 {
                    self.pass(length / 6, true);
                    let room = self.dice.below(6);
                    let filler = self.fill(room);
                    self.tick();
                    fs::remove_file(filler).unwrap();
                }
            }
            9 => {
                self.count("dead targets");
                let [there, away] = ["mirror", "mirror-away"].map(|name| self.bench.home(name));
                fs::rename(&there, &away).unwrap();
                self.live(length, true, true);
                fs::rename(&away, &there).unwrap();
            }
            _ => {
                self.count("second publishers");
                if self.standby.is_none() {
                    self.standby = Some(self.start());
                }
                self.live(length, true, true);
            }
        }
        self.recover();
    }

    /// Fills the file system but for so many pages of 4 KiB.
    fn fill(&self, room: u64) -> PathBuf {
        let path = self.bench.home("filler");
        let mut file = File::create(&path).unwrap();
        for piece in [1 << 16, 1 << 12] {
            let error = loop {
                if let Err(error) = file.write_all(&vec![0; piece]) {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::StorageFull);
        }
        let pages = file.metadata().unwrap().len() / 4096;
        file.set_len(pages.checked_sub(room).unwrap() * 4096).unwrap();
        path
    }

    /// Whoever publishes is killed at any operation on files; what it leaves stays.
    fn crash(&mut self) {
        let Some(mut killed) = self.active.take() else { return };
        let at = self.dice.below(120);
        self.pass(4 * HOUR, true);
        killed.passed.fetch_add(i64::try_from(4 * HOUR).unwrap(), Ordering::SeqCst);
        fault::arm(at, Failure::Crash);
        killed.daemon.tick();
        drop(killed);
        fault::disarm();
        self.look();
    }
}

fn run(seed: u64, days: u64) {
    println!("seed {seed}: {days} days");
    let mut world = World::new(seed);
    let end = world.bench.now().saturating_add(days * DAY);
    let mut next_ceremony = world.bench.now().saturating_add(50 * DAY);
    while world.bench.now() < end {
        let quiet = 1 + world.dice.below(3 * DAY);
        world.live(quiet, true, true);
        let now = world.bench.now();
        world.bench.ledger.heartbeat(now);
        if now >= next_ceremony {
            world.count("ceremonies");
            world.ceremony();
            next_ceremony = now.saturating_add(40 * DAY + world.dice.below(10 * DAY));
        }
        world.recover();
        world.trouble();
    }
    println!("seed {seed}: {} CRLs looked at, no gap; {:?}", world.looks, world.happened);
    assert!(world.looks > days * 7);
}

/// Runs this test again where temporary files are in a small file system of its own.
fn run_in_small_file_system() {
    let place = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=24m,mode=700 chancery-year \"$1\" && TMPDIR=$1 exec \"$2\" --exact \"$3\" --nocapture";
    let mut words = vec!["--mount"];
    if !rustix::process::geteuid().is_root() {
        words.push("--map-root-user");
    }
    let status = Command::new("unshare")
        .args(words)
        .args(["sh", "-c", script, "sh"])
        .args([place.path(), &std::env::current_exe().unwrap(), Path::new("at_every_moment_a_valid_crl")])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(
        status.success(),
        "see above; a mount namespace is needed, which root has, or users with namespaces"
    );
}

/// Set in the run that has a small file system.
const INSIDE: &str = "CHANCERY_YEAR_INSIDE";

#[test]
fn at_every_moment_a_valid_crl() {
    if std::env::var_os(INSIDE).is_none() {
        return run_in_small_file_system();
    }
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match (number("CHANCERY_YEAR_SEED"), number("CHANCERY_YEAR_DAYS")) {
        (None, None) => (1..=4).for_each(|seed| run(seed, 60)),
        (seed, days) => run(seed.unwrap_or(1), days.unwrap_or(365)),
    }
}
