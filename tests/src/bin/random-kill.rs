//! Kills `ca` at random moments, round after round, and checks after each that
//! nothing acknowledged is lost and that the next command works.
//!
//! The seed is printed, so that a run can be repeated (as far as timing allows).

use chancery_tests::dice::Dice;
use chancery_tests::home::text;
use chancery_tests::{Home, Tool, openssl};
use clap::Parser;
use std::collections::BTreeMap;
use std::io::Read;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Kills `ca` at random moments, round after round, and checks that nothing is lost.
#[derive(Debug, Parser)]
struct Cli {
    /// How often.
    #[arg(long, default_value_t = 1_000)]
    rounds: u64,
    /// Where the random numbers begin; the clock without it.
    #[arg(long)]
    seed: Option<u64>,
}

/// Serial numbers of people's certificates with their states.
type States = BTreeMap<String, String>;

/// What is tried in one round.
enum Act {
    /// Issue to a new person.
    Issue,
    /// Change the state of this certificate to this.
    Change(String, &'static str),
}

impl Act {
    fn choose(states: &States, dice: &mut Dice) -> Self {
        let open: Vec<_> = states.iter().filter(|(_, state)| *state != "revoked").collect();
        if open.len() < 4 || dice.below(4) == 0 {
            return Self::Issue;
        }
        let (serial, state) = open[dice.below(open.len() as u64) as usize];
        let next = match (state.as_str(), dice.below(10)) {
            (_, 0) => "revoked",
            ("held", _) => "good",
            _ => "held",
        };
        Self::Change(serial.clone(), next)
    }

    fn command(&self, home: &Home, round: u64) -> Tool {
        match self {
            Self::Issue => {
                let name = format!("r{round}");
                let csr = openssl::csr(home, &name, openssl::Key::P256);
                home.issue_csr("smime-signing", &format!("{name}@example.test"), &csr, &name)
            }
            Self::Change(serial, "revoked") => home.ca("revoke --reason superseded --yes").arg(serial),
            Self::Change(serial, "held") => home.ca("hold --yes").arg(serial),
            Self::Change(serial, _) => home.ca("release --yes").arg(serial),
        }
    }

    /// Requires that what is known now follows from what was known before.
    fn check(&self, before: &States, now: &States, acknowledged: bool) -> Result<(), String> {
        let mut expected = before.clone();
        let mut done = now.len() > before.len();
        if let Self::Change(serial, state) = self {
            done = now.get(serial).is_some_and(|now| now == state);
            if done {
                expected.insert(serial.clone(), (*state).to_owned());
            }
        }
        if acknowledged && !done {
            return Err("an acknowledged act is lost".to_owned());
        }
        let new = now.iter().filter(|(serial, _)| !before.contains_key(*serial)).count();
        if new > usize::from(matches!(self, Self::Issue)) {
            return Err(format!("{new} certificates appeared"));
        }
        match expected.iter().find(|(serial, state)| now.get(*serial) != Some(state)) {
            Some((serial, state)) => Err(format!("{serial} was {state}, is {:?}", now.get(serial))),
            None => Ok(()),
        }
    }
}

fn states(home: &Home) -> States {
    home.list("--template smime-signing")
        .iter()
        .map(|row| (text(row, "serial"), text(row, "state")))
        .collect()
}

/// Runs a command and kills it after a while; true if it was done before that.
fn killed_after(command: &Tool, delay: Duration) -> bool {
    let mut child = command.start();
    drop(child.stdin.take());
    let began = Instant::now();
    while began.elapsed() < delay {
        if let Some(status) = child.try_wait().expect("wait") {
            let mut said = String::new();
            let _ = child.stderr.take().map(|mut pipe| pipe.read_to_string(&mut said));
            assert!(status.success(), "the command failed by itself: {command:?}\n{said}");
            return true;
        }
        thread::sleep(Duration::from_micros(200));
    }
    child.kill().expect("kill");
    child.wait().expect("wait").success()
}

fn main() -> ExitCode {
    let Cli { rounds, seed } = Cli::parse();
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.subsec_nanos().into());
    let seed = seed.unwrap_or(clock).max(1);
    println!("random-kill: {rounds} rounds, seed {seed}");
    let home = Home::prepared();
    let mut dice = Dice::new(seed);

    // How long the two kinds of act take undisturbed.
    let csr = openssl::csr(&home, "first", openssl::Key::P256);
    let issue = home.issue_csr("smime-signing", "first@example.test", &csr, "first").ok().took;
    let change = home.ca("hold --yes --email first@example.test").ok().took;

    let mut known = states(&home);
    let (mut killed, mut finished) = (0, 0);
    for round in 0..rounds {
        let act = Act::choose(&known, &mut dice);
        let command = act.command(&home, round);
        // Opening the key takes most of the time of an issuance and writes
        // nothing: mostly aim at the part after it.
        let (from, to) = match act {
            Act::Issue if dice.below(5) > 0 => (issue.mul_f64(0.8), issue.mul_f64(1.3)),
            Act::Issue => (Duration::ZERO, issue),
            Act::Change(..) => (Duration::ZERO, change.mul_f64(1.2)),
        };
        let delay = from + Duration::from_micros(dice.below((to - from).as_micros() as u64));
        let acknowledged = killed_after(&command, delay);
        if acknowledged {
            finished += 1;
        } else {
            killed += 1;
        }
        home.ca("ledger verify").ok();
        let now = states(&home);
        if let Err(what) = act.check(&known, &now, acknowledged) {
            eprintln!("random-kill: round {round}, after {delay:?}: {what}");
            return ExitCode::FAILURE;
        }
        known = now;
        if round % 100 == 99 {
            println!("random-kill: {} rounds, {} certificates", round + 1, known.len());
        }
    }
    println!("random-kill: {killed} killed, {finished} finished before, nothing lost");
    ExitCode::SUCCESS
}
