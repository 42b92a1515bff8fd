//! Kills a batch at random moments and runs the same command again, until it is
//! done: then everybody has one pair, and every PKCS#12 file opens with its password.
//!
//! Many rounds with few kills look at the first call more often. The seed is printed.

use chancery_tests::dice::Dice;
use chancery_tests::home::text;
use chancery_tests::{Home, Tool};
use clap::Parser;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// People in one commit at most, as `ca issue --batch` has it.
const GROUP: u64 = 64;

/// Kills a batch at random moments, and goes on with it until it is done.
#[derive(Debug, Parser)]
struct Cli {
    /// Batches.
    #[arg(long, default_value_t = 1)]
    rounds: u64,
    /// People in each.
    #[arg(long, default_value_t = 1_000)]
    people: u64,
    /// Random points of its way at which each is killed.
    #[arg(long, default_value_t = 200)]
    kills: u64,
    /// Where the random numbers begin; the clock without it.
    #[arg(long)]
    seed: Option<u64>,
}

fn command(home: &Home, round: u64) -> Tool {
    home.ca("--json issue --authority issuing --pair --no-escrow --key p256 --passphrase-file passphrase")
        .words(&format!("--batch people-{round}.csv --out out-{round}"))
        .limit(Duration::from_secs(1_200))
}

fn table(home: &Home, round: u64, people: u64) {
    let lines: Vec<_> =
        (0..people).map(|n| format!("p{n}@r{round}.example.test,Person {n} of {round}\n")).collect();
    home.write_private(&format!("people-{round}.csv"), format!("email,common_name\n{}", lines.concat()));
}

/// How many of the names of the PKCS#12 files are given: where the batch is.
fn files(home: &Home, round: u64) -> u64 {
    let Ok(entries) = fs::read_dir(home.path(format!("out-{round}"))) else { return 0 };
    let name =
        |entry: std::io::Result<fs::DirEntry>| entry.ok().and_then(|e| e.file_name().into_string().ok());
    entries.filter_map(name).filter(|name| name.ends_with(".p12") && !name.starts_with('.')).count() as u64
}

/// Kills by how far the batch was.
#[derive(Default)]
struct Tally {
    before: u64,
    amid: u64,
    after: u64,
}

impl Tally {
    fn count(&mut self, files: u64, people: u64) {
        let which = match files {
            0 => &mut self.before,
            files if files < people => &mut self.amid,
            _ => &mut self.after,
        };
        *which += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, amid, after } = self;
        let all = before + amid + after;
        write!(
            f,
            "{all} kills: {before} before the first file had its name, {amid} amid, {after} after the last"
        )
    }
}

/// How long an undisturbed batch takes.
struct Pace {
    /// Until the first file has its name: the check, and the first group.
    first: Duration,
    /// From there for as many people as one commit takes.
    group: Duration,
    /// What share of `first` a call gets that shall not get far: kills shall last for
    /// the whole way, however fast the machine is meanwhile.
    share: f64,
}

impl Pace {
    /// Runs a whole batch.
    fn measure(home: &Home, people: u64) -> Self {
        let began = Instant::now();
        let mut child = command(home, 0).start();
        drop(child.stdin.take());
        let mut first = None;
        let status = loop {
            if let Some(status) = child.try_wait().expect("wait") {
                break status;
            }
            if first.is_none() && files(home, 0) > 0 {
                first = Some(began.elapsed());
            }
            thread::sleep(Duration::from_millis(1));
        };
        assert!(status.success(), "the undisturbed batch failed");
        let whole = began.elapsed();
        let first = first.unwrap_or(whole);
        let groups = (people.saturating_sub(GROUP) as f64 / GROUP as f64).max(1.0);
        Self { first, group: (whole - first).div_f64(groups), share: 0.9 }
    }
}

/// What became of a call that was to be killed.
enum Fate {
    Killed,
    /// It was done before that.
    Done,
}

/// Runs the batch, waits until `point` people have their files, and kills it a random
/// moment later. Where they had them before, the moment is counted from the start.
fn kill_at(home: &Home, round: u64, point: u64, pace: &mut Pace, dice: &mut Dice) -> Fate {
    let before = files(home, round);
    let reached = before >= point;
    let limit = if reached { pace.first.mul_f64(pace.share) } else { pace.group.mul_f64(0.3) };
    let delay = Duration::from_micros(dice.below(limit.as_micros() as u64));
    let command = command(home, round);
    let mut child = command.start();
    drop(child.stdin.take());
    let mut from = reached.then(Instant::now);
    while from.is_none_or(|from| from.elapsed() < delay) {
        if let Some(status) = child.try_wait().expect("wait") {
            assert!(status.success(), "the command failed by itself: {command:?}");
            return Fate::Done;
        }
        let there = files(home, round);
        if from.is_none() && there >= point {
            from = Some(Instant::now());
        }
        // A machine that became faster since must not run away with the batch.
        if reached && there > before {
            break;
        }
        thread::sleep(Duration::from_micros(200));
    }
    child.kill().expect("kill");
    if child.wait().expect("wait").success() {
        return Fate::Done;
    }
    if reached {
        pace.share = (pace.share * if files(home, round) > before { 0.5 } else { 1.02 }).min(1.2);
    }
    Fate::Killed
}

/// Everybody has exactly one pair, one file and one password, and the two fit.
fn check(home: &Home, round: u64, people: u64) -> Result<(), String> {
    let out = home.path(format!("out-{round}"));
    let mut pairs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in home.list("") {
        let person = text(&row, "person");
        if person.ends_with(&format!("@r{round}.example.test")) {
            pairs.entry(person).or_default().push(text(&row, "template"));
        }
    }
    if pairs.len() as u64 != people {
        return Err(format!("{} of {people} people have certificates", pairs.len()));
    }
    for (person, templates) in &mut pairs {
        templates.sort();
        if *templates != ["smime-encryption", "smime-signing"] {
            return Err(format!("{person} has {templates:?}"));
        }
    }
    if files(home, round) != people {
        return Err(format!("there are {} files for {people} people", files(home, round)));
    }
    let passwords = fs::read_to_string(out.join("passwords.csv")).map_err(|error| error.to_string())?;
    let mut seen = BTreeSet::new();
    for line in passwords.lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        let [person, file, password] = fields.as_slice() else { return Err(format!("{line:?}")) };
        if !pairs.contains_key(*person) || !seen.insert((*person).to_owned()) {
            return Err(format!("{person} is nobody, or there twice"));
        }
        let told = home
            .tool("openssl", "pkcs12 -nodes -passin env:P12 -in")
            .arg(out.join(file))
            .env("P12", password)
            .run();
        let found = told.text();
        let keys = found.matches("BEGIN PRIVATE KEY").count();
        // Both of the person, the issuing authority and its root.
        let certificates = found.matches("BEGIN CERTIFICATE").count();
        if told.code != Some(0) || keys != 2 || certificates != 4 {
            return Err(format!("{file}: {keys} keys, {certificates} certificates, {}", told.stderr));
        }
    }
    if seen.len() as u64 != people {
        return Err(format!("there are {} passwords for {people} people", seen.len()));
    }
    let left: Vec<_> = fs::read_dir(&out)
        .expect("a directory")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".tmp") || name == "journal")
        .collect();
    if left.is_empty() { Ok(()) } else { Err(format!("left behind: {left:?}")) }
}

fn main() -> ExitCode {
    let Cli { rounds, people, kills, seed } = Cli::parse();
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.subsec_nanos().into());
    let seed = seed.unwrap_or(clock).max(1);
    println!("batch-kill: {rounds} rounds of {people} people, {kills} kills each, seed {seed}");
    let home = Home::prepared();
    let mut dice = Dice::new(seed);

    table(&home, 0, people);
    let mut pace = Pace::measure(&home, people);
    if let Err(what) = check(&home, 0, people) {
        eprintln!("batch-kill: undisturbed: {what}");
        return ExitCode::FAILURE;
    }
    // A group gets its names at once: whoever waits for one of the last comes too late.
    let last = people.saturating_sub(2 * GROUP).max(people / 3);
    let mut total = Tally::default();
    for round in 1..=rounds {
        table(&home, round, people);
        let mut points: Vec<_> = (0..kills).map(|_| dice.below(people)).collect();
        points.sort_unstable();
        for (number, point) in (1..).zip(points) {
            match kill_at(&home, round, point.min(last), &mut pace, &mut dice) {
                Fate::Done => break,
                Fate::Killed => total.count(files(&home, round), people),
            }
            home.ca("ledger verify").ok();
            if number % 50 == 0 {
                println!("batch-kill: {number} kills, {} people have their files", files(&home, round));
            }
        }
        command(&home, round).ok();
        home.ca("ledger verify").ok();
        if let Err(what) = check(&home, round, people) {
            eprintln!("batch-kill: round {round}: {what}");
            return ExitCode::FAILURE;
        }
        println!("batch-kill: round {round}: {total}");
    }
    println!("batch-kill: everybody has exactly one pair");
    ExitCode::SUCCESS
}
