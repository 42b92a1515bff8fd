//! Kills a batch at random moments and runs the same command again, until it is
//! done: then everybody has one pair, and every PKCS#12 file opens with its password.
//!
//! `batch-kill [--rounds N] [--people N] [--kills N] [--seed S]`; 200 rounds of 1,000
//! people by default, each killed at least once. The seed is printed.

use chancery_tests::home::text;
use chancery_tests::{Home, Tool};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A small generator (xorshift64*): the choices must be repeatable, not secret.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % limit.max(1)
    }
}

fn argument(name: &str, otherwise: u64) -> u64 {
    let words: Vec<String> = std::env::args().collect();
    let Some(at) = words.iter().position(|word| word == name) else { return otherwise };
    words.get(at + 1).and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} wants a number"))
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

/// Runs the batch and kills it after a while; true if it was done before that.
fn killed_after(command: &Tool, delay: Duration) -> bool {
    let mut child = command.start();
    drop(child.stdin.take());
    let began = Instant::now();
    while began.elapsed() < delay {
        if let Some(status) = child.try_wait().expect("wait") {
            assert!(status.success(), "the command failed by itself: {command:?}");
            return true;
        }
        thread::sleep(Duration::from_micros(200));
    }
    child.kill().expect("kill");
    child.wait().expect("wait").success()
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
    let rounds = argument("--rounds", 200);
    let people = argument("--people", 1_000);
    let kills = argument("--kills", 1);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.subsec_nanos().into());
    let seed = argument("--seed", clock).max(1);
    println!("batch-kill: {rounds} rounds of {people} people, seed {seed}");
    let home = Home::prepared();
    let mut dice = Dice(seed);

    // How long a batch takes undisturbed.
    table(&home, 0, people);
    let whole = command(&home, 0).ok().took;
    if let Err(what) = check(&home, 0, people) {
        eprintln!("batch-kill: undisturbed: {what}");
        return ExitCode::FAILURE;
    }
    let (mut killed, mut within) = (0_u64, 0_u64);
    for round in 1..=rounds {
        table(&home, round, people);
        let command = command(&home, round);
        let mut done = false;
        for _ in 0..kills {
            // Opening the key and checking the table write nothing: mostly aim at what follows.
            let from = if dice.below(5) > 0 { whole.mul_f64(0.4) } else { Duration::ZERO };
            // A call that goes on has less to do.
            let rest = (people - files(&home, round)) as f64 / people as f64;
            let span = (whole.mul_f64(1.1) - from).mul_f64(rest.max(0.05));
            let delay = from + Duration::from_micros(dice.below(span.as_micros() as u64));
            done = killed_after(&command, delay);
            if done {
                break;
            }
            killed += 1;
            let there = files(&home, round);
            within += u64::from(there > 0 && there < people);
            home.ca("ledger verify").ok();
        }
        if !done {
            command.ok();
        }
        home.ca("ledger verify").ok();
        if let Err(what) = check(&home, round, people) {
            eprintln!("batch-kill: round {round}: {what}");
            return ExitCode::FAILURE;
        }
        if round % 10 == 0 {
            println!("batch-kill: {round} rounds, {killed} kills, {within} of them amid the deliveries");
        }
    }
    println!("batch-kill: {killed} kills in {rounds} rounds, everybody has exactly one pair");
    ExitCode::SUCCESS
}
