//! The cost of a commit, beside bare fsyncs of as many files.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ca_core::domain::KeyAlgorithm;
use ca_core::ledger::{LedgerKey, LedgerWriter, NewEntry};
use chancery_benches::Result;
use chancery_benches::bare::{Bare, Syncs, count};
use chancery_benches::forge::Forge;
use chancery_benches::home::{Bench, now};
use chancery_benches::people::Person;
use chancery_benches::sample::{Sample, seconds};
use chancery_benches::table::{note, print};
use clap::Parser;

/// Measures commits of one entry and of a thousand, beside bare fsyncs of as
/// many files and directories on the same file system.
#[derive(Debug, Parser)]
struct Cli {
    /// Fewer and shorter rounds.
    #[arg(long)]
    quick: bool,
    /// A directory on the disk to measure; temporary ones are made in it.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Only commit: so many times (this program calls itself under strace).
    #[arg(long, requires = "entries", requires = "home", hide = true)]
    commits: Option<usize>,
    /// Entries in each of these commits.
    #[arg(long, hide = true)]
    entries: Option<usize>,
    /// The home whose authority is named in them.
    #[arg(long, hide = true)]
    home: Option<PathBuf>,
}

/// Commits that are counted under strace: a whole bundle of 256 entries and some
/// thousands, so that filled tiles come in as often as they do in service.
const COUNTED_SINGLE: usize = 256;
const COUNTED_BATCHES: usize = 16;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("bench-ledger: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    if let (Some(commits), Some(entries), Some(home)) = (cli.commits, cli.entries, &cli.home) {
        let entry = entry(&Bench::open(home)?)?;
        let mut ledger = Ledger::create(&cli.dir.join("ledger"))?;
        return (0..commits).try_for_each(|_| ledger.commit(&entry, entries));
    }
    let dir = tempfile::TempDir::new_in(&cli.dir)?;
    let home = dir.path().join("home");
    let bench = Bench::create(&home)?;
    bench.authorities("issuing", KeyAlgorithm::P256)?;
    let entry = entry(&bench)?;
    // (entries a commit, commits counted under strace, rounds)
    let plans = if cli.quick {
        [(1, COUNTED_SINGLE, 50), (1_000, COUNTED_BATCHES, 5)]
    } else {
        [(1, COUNTED_SINGLE, 768), (1_000, COUNTED_BATCHES, 96)]
    };
    let mut rows = Vec::new();
    for (entries, counted, rounds) in plans {
        note(&format!("ledger: {rounds} commits of {entries}"));
        let syncs = per_commit(&home, dir.path(), entries, counted)?;
        let bytes = entries * (entry.detail.len() + 150);
        let work = dir.path().join(format!("commits-{entries}"));
        let (ledger, bare) = measure(&work, &entry, entries, rounds, syncs, bytes)?;
        rows.push(vec![
            entries.to_string(),
            ledger.ratios(&bare).spread(),
            seconds(ledger.median()),
            seconds(bare.median()),
            format!("{:.1} + {:.1}", syncs.files, syncs.directories),
            seconds(ledger.per(entries).median()),
        ]);
    }
    print(
        "A commit of the ledger beside bare fsyncs of as many files and directories",
        &[
            "entries",
            "ratio (8 of 10 rounds)",
            "commit",
            "bare fsyncs",
            "fsyncs: files + directories",
            "an entry",
        ],
        &rows,
    )?;
    Ok(())
}

/// An entry of the usual size, with its details.
fn entry(bench: &Bench) -> Result<NewEntry> {
    Forge::new(bench, "issuing", "smime-signing")?.issue(&Person::new(0)?)
}

/// The fsyncs of a commit, those of making an empty ledger taken off.
fn per_commit(home: &Path, dir: &Path, entries: usize, commits: usize) -> Result<Syncs> {
    let run = |commits: usize| {
        // Kept until its fsyncs are counted: that looks which were of directories.
        let scratch = tempfile::TempDir::new_in(dir)?;
        let words = [
            "--dir",
            &scratch.path().display().to_string(),
            "--home",
            &home.display().to_string(),
            "--commits",
            &commits.to_string(),
            "--entries",
            &entries.to_string(),
        ]
        .map(str::to_owned);
        count(&words.each_ref().map(String::as_str), scratch.path())
    };
    let (none, all) = (run(0)?, run(commits)?);
    let share = |with: f64, without: f64| (with - without) / commits as f64;
    Ok(Syncs { files: share(all.files, none.files), directories: share(all.directories, none.directories) })
}

fn measure(
    work: &Path,
    entry: &NewEntry,
    entries: usize,
    rounds: usize,
    syncs: Syncs,
    bytes: usize,
) -> Result<(Sample, Sample)> {
    std::fs::create_dir_all(work.join("bare"))?;
    let mut ledger = Ledger::create(&work.join("ledger"))?;
    let bare = Bare::new(&work.join("bare"), syncs, bytes);
    let (mut ours, mut theirs) = (Sample::default(), Sample::default());
    // Warms up both.
    ledger.commit(entry, entries)?;
    bare.commit()?;
    for round in 0..rounds {
        let mut one = || ours.time(|| ledger.commit(entry, entries));
        let mut two = || theirs.time(|| bare.commit());
        if round % 2 == 0 {
            one()?;
            two()?;
        } else {
            two()?;
            one()?;
        }
    }
    Ok((ours, theirs))
}

struct Ledger(LedgerWriter);

impl Ledger {
    fn create(dir: &Path) -> Result<Self> {
        Ok(Self(LedgerWriter::create(dir, LedgerKey::generate("benches.example.test")?, now()?)?))
    }

    fn commit(&mut self, entry: &NewEntry, entries: usize) -> Result<()> {
        self.0.append(vec![entry.clone(); entries], now()?)?;
        Ok(())
    }
}
