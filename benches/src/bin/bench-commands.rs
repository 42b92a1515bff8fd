//! Commands of the real `ca` on a small and on a large home.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ca_core::domain::{Detail, SerialNumber};
use ca_core::inventory::Inventory;
use chancery_benches::home::{Bench, wait};
use chancery_benches::people::Person;
use chancery_benches::program::{Ca, Cost};
use chancery_benches::sample::{Sample, seconds};
use chancery_benches::table::{note, print};
use chancery_benches::{Result, fail};
use clap::Parser;

/// Measures commands as whole processes on two homes of `make-home`, in turn.
/// The homes change: each round issues and revokes.
#[derive(Debug, Parser)]
struct Cli {
    /// Fewer rounds.
    #[arg(long)]
    quick: bool,
    /// A directory of `make-home`.
    small: PathBuf,
    /// Another, with more certificates.
    large: PathBuf,
}

/// What is measured, in the order of the table.
const ACTS: [&str; 8] = [
    "`ca --version`, to start the program",
    "open the authority's key (scrypt), in process",
    "`ca issue --csr`",
    "`ca cert list --mailbox`",
    "`ca cert show SERIAL`",
    "`ca revoke SERIAL`",
    "open ledger and index, in process",
    "close the index, in process",
];

struct Known {
    serial: SerialNumber,
    mailbox: String,
}

struct Side {
    bench: Bench,
    ca: Ca,
    /// Certificates to ask for, spread over the home.
    known: Vec<Known>,
    entries: u64,
    acts: [Sample; ACTS.len()],
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("bench-commands: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let rounds = if cli.quick { 3 } else { 25 };
    let mut sides = [Side::open(&cli.small, rounds)?, Side::open(&cli.large, rounds)?];
    let costs = costs(&mut sides, if cli.quick { 1 } else { 2 })?;
    note(&format!(
        "commands: {rounds} rounds on homes of {} and {} entries",
        sides[0].entries, sides[1].entries
    ));
    // Warms up; what it measured is thrown away.
    for round in 0..=rounds {
        if round == 1 {
            sides.iter_mut().for_each(|side| side.acts = Default::default());
        }
        let first = round % 2;
        for act in 0..ACTS.len() {
            sides[first].act(act, round)?;
            sides[1 - first].act(act, round)?;
        }
    }
    let [small, large] = &sides;
    let names = [small, large].map(|side| side.entries.to_string());
    let rows: Vec<_> = ACTS
        .iter()
        .zip(small.acts.iter().zip(&large.acts))
        .map(|(name, (small, large))| {
            vec![
                (*name).to_owned(),
                large.ratios(small).spread(),
                seconds(small.median()),
                seconds(large.median()),
                seconds(large.quantile(1.0)),
            ]
        })
        .collect();
    let head = ["", "ratio (8 of 10 rounds)", &names[0], &names[1], "slowest"];
    print(
        &format!("Commands at {} and {} entries, {rounds} rounds, median", names[0], names[1]),
        &head,
        &rows,
    )?;
    print(
        &format!("Whole processes: time and most memory at {} and {} entries", names[0], names[1]),
        &["", "time, small", "memory, small", "time, large", "memory, large", "a second, large"],
        &costs,
    )?;
    Ok(())
}

/// Time and memory of what works on everything, and of what should not.
fn costs(sides: &mut [Side; 2], rounds: usize) -> Result<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    let kept = sides[1].known[0].serial.to_string();
    let small = sides[0].known[0].serial.to_string();
    let all: [(&str, [Vec<&str>; 2]); 3] = [
        ("`ca cert show SERIAL`", [vec!["cert", "show", &small], vec!["cert", "show", &kept]]),
        ("`ca index rebuild`", [vec!["index", "rebuild"], vec!["index", "rebuild"]]),
        ("`ca ledger verify`", [vec!["ledger", "verify"], vec!["ledger", "verify"]]),
    ];
    for (name, words) in &all {
        note(&format!("cost of {name}"));
        let mut best: [Option<Cost>; 2] = [None, None];
        for _ in 0..rounds {
            for ((side, words), best) in sides.iter().zip(words).zip(&mut best) {
                let cost = side.ca.cost(words)?;
                if best.is_none_or(|best| cost.took < best.took) {
                    *best = Some(cost);
                }
            }
        }
        let mut row = vec![(*name).to_owned()];
        for cost in best.into_iter().flatten() {
            row.push(seconds(cost.took.as_secs_f64()));
            row.push(format!("{:.0} MiB", cost.peak_mib));
        }
        let per_second = best[1].map(|cost| sides[1].entries as f64 / cost.took.as_secs_f64().max(1e-3));
        row.push(per_second.map(|rate| format!("{rate:.0} entries")).unwrap_or_default());
        rows.push(row);
    }
    // Reading one certificate is no work on everything.
    if let Some(last) = rows.first_mut().and_then(|row| row.last_mut()) {
        last.clear();
    }
    Ok(rows)
}

impl Side {
    fn open(dir: &Path, rounds: usize) -> Result<Self> {
        let bench = Bench::open(dir)?;
        note(&format!("opening {}", dir.display()));
        let ledger = bench.home().ledger()?;
        let entries = ledger.size();
        let mut known = Vec::new();
        let step = (entries / (rounds as u64 + 1)).max(1);
        for position in (0..entries).step_by(usize::try_from(step)?) {
            let serial = ledger.entry(position)?.serial;
            let detail = Detail::from_bytes(&ledger.detail(position)?)?;
            let Detail::CertificateIssued { person, .. } = detail else { continue };
            // The others are authorities.
            if person.contains('@') {
                known.extend(serial.map(|serial| Known { serial, mailbox: person }));
            }
        }
        if known.is_empty() {
            return Err(fail(format!("{} has no certificates; make it with make-home", dir.display())));
        }
        let ca = Ca::new(bench.home().root())?;
        Ok(Self { bench, ca, known, entries, acts: Default::default() })
    }

    fn act(&mut self, act: usize, round: usize) -> Result<()> {
        let took = match act {
            0 => self.ca.run(&["--version"])?.took,
            1 => timed(|| self.bench.key("issuing"))?.1,
            2 => self.issue(round)?,
            3 => self.ca.run(&["cert", "list", "--mailbox", &self.ask(round).mailbox])?.took,
            4 => self.ca.run(&["cert", "show", &self.ask(round).serial.to_string()])?.took,
            5 => self.revoke()?,
            6 => {
                let (inventory, took) = timed(|| Ok(Inventory::open(self.bench.home(), &wait())?))?;
                self.acts[7].time(|| drop(inventory));
                took
            }
            // Measured with the one before.
            _ => return Ok(()),
        };
        self.acts[act].add(took);
        Ok(())
    }

    /// The certificate of a round, never twice the same one after the other.
    fn ask(&self, round: usize) -> &Known {
        &self.known[round * 7 % self.known.len()]
    }

    /// Issues to somebody new, by a request.
    fn issue(&self, round: usize) -> Result<Duration> {
        let mut person = Person::new(0)?;
        person.mailbox = format!("newcomer{round}@example.test");
        let (csr, out) = (self.bench.path("request.der"), self.bench.path("certificate.pem"));
        std::fs::write(&csr, &person.request)?;
        let passphrase = self.bench.path("passphrase");
        let [csr, out, passphrase] = [&csr, &out, &passphrase].map(|path| path.display().to_string());
        let run = self.ca.run(&[
            "issue",
            "--authority",
            "issuing",
            "--template",
            "smime-signing",
            "--email",
            &person.mailbox,
            "--csr",
            &csr,
            "--out",
            &out,
            "--force",
            "--passphrase-file",
            &passphrase,
        ])?;
        run.json()?;
        Ok(run.took)
    }

    /// Revokes the certificate that was issued last.
    fn revoke(&self) -> Result<Duration> {
        let ledger = self.bench.home().ledger()?;
        let last = ledger.entry(ledger.size() - 1)?;
        let serial = last.serial.ok_or_else(|| fail("the last entry is no certificate"))?.to_string();
        Ok(self.ca.run(&["revoke", &serial, "--reason", "superseded", "--yes"])?.took)
    }
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let began = Instant::now();
    let result = work()?;
    Ok((result, began.elapsed()))
}
