//! From the end of `ca revoke` to the first OCSP answer that says so.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ca_core::domain::{KeyAlgorithm, SerialNumber};
use ca_core::ocsp_signer::{IssueOcspSigner, issue_ocsp_signer};
use ca_core::status::ocsp::ViewState;
use ca_core::{Authority, templates};
use chancery_benches::home::{ACTOR, Bench, now, wait};
use chancery_benches::program::Ca;
use chancery_benches::responder::{Connection, Question, Responder};
use chancery_benches::sample::{Sample, seconds};
use chancery_benches::table::{note, print};
use chancery_benches::{Result, fail, forge};
use clap::Parser;

/// Revokes certificates with the real `ca`, and asks the real responder on one
/// connection until it says so.
#[derive(Debug, Parser)]
struct Cli {
    /// Fewer rounds.
    #[arg(long)]
    quick: bool,
    /// A directory on the disk to measure; a temporary one is made in it.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// Between two questions; a relying party that never pauses would take the
/// processor from those it waits for.
const PAUSE: Duration = Duration::from_micros(500);
const LIMIT: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("bench-ocsp: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let dir = tempfile::TempDir::new_in(&cli.dir)?;
    let rounds = if cli.quick { 5 } else { 50 };
    let bench = Bench::create(&dir.path().join("ocsp"))?;
    bench.authorities("issuing", KeyAlgorithm::P256)?;
    forge::fill(&bench, rounds, 1, &mut |_| ())?;
    sign_up(&bench)?;
    let responder = Responder::start(&bench, "issuing")?;
    let authority = Authority::load(bench.home(), "issuing")?;
    let ca = Ca::new(bench.home().root())?;
    note(&format!("ocsp: {rounds} revocations"));

    let (mut after, mut command, mut answer) = (Sample::default(), Sample::default(), Sample::default());
    let mut connection = responder.connect()?;
    for serial in issued(&bench)?.into_iter().take(rounds) {
        let question = Question::new(&authority, serial)?;
        if question.read(&connection.ask(&question)?)? != ViewState::Good {
            return Err(fail("the responder does not say good before the revocation"));
        }
        let stop = AtomicBool::new(false);
        let (run, seen) = thread::scope(|scope| {
            let watcher = scope.spawn(|| watch(&mut connection, &question, &stop));
            let words = ["revoke", &serial.to_string(), "--reason", "superseded", "--yes"];
            let run = ca.run(&words);
            if run.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
            (run, watcher.join())
        });
        let (run, seen) = (run?, seen.map_err(|_| fail("the watcher panicked"))??);
        // Earlier than the end of the command: negative.
        let late = seen.at.saturating_duration_since(run.ended).as_secs_f64();
        let early = run.ended.saturating_duration_since(seen.at).as_secs_f64();
        after.add_seconds(late - early);
        command.add(run.took);
        answer.add_seconds(seen.usual.median());
    }
    let row = |name: &str, sample: &Sample| {
        let quantiles = [0.0, 0.5, 0.99, 1.0].map(|q| seconds(sample.quantile(q)));
        [vec![name.to_owned()], quantiles.to_vec()].concat()
    };
    print(
        &format!("From `ca revoke` returning to the OCSP answer \"revoked\", {rounds} rounds"),
        &["", "min", "p50", "p99", "max"],
        &[
            row("answer \"revoked\" after the command returned (negative: before)", &after),
            row("`ca revoke`, whole process", &command),
            row("an answer on the open connection", &answer),
        ],
    )?;
    Ok(())
}

/// Gives the responder a key and a certificate.
fn sign_up(bench: &Bench) -> Result<()> {
    let home = bench.home();
    let request = IssueOcspSigner {
        issuer: &bench.unlock("issuing")?,
        template: &templates::load(home, "ocsp-signer")?,
        csr: None,
        key: None,
        out: &bench.path("signers"),
        days: None,
        actor: ACTOR,
    };
    issue_ocsp_signer(home, request, now()?, &wait())?;
    Ok(())
}

/// The serials of the certificates of people, oldest first.
fn issued(bench: &Bench) -> Result<Vec<SerialNumber>> {
    let issuer = Authority::load(bench.home(), "issuing")?.key_id()?;
    let ledger = bench.home().ledger()?;
    let mut serials = Vec::new();
    for entry in ledger.entries(0..ledger.size()) {
        let (_, entry) = entry?;
        if entry.authority == issuer && entry.kind.is_issuance() {
            serials.extend(entry.serial);
        }
    }
    Ok(serials)
}

struct Seen {
    /// When the answer "revoked" was there.
    at: Instant,
    /// How long answers took.
    usual: Sample,
}

/// Asks until the answer is "revoked".
fn watch(connection: &mut Connection, question: &Question, stop: &AtomicBool) -> Result<Seen> {
    let began = Instant::now();
    let mut usual = Sample::default();
    let mut last = Vec::new();
    while !stop.load(Ordering::Relaxed) && began.elapsed() < LIMIT {
        let response = usual.time(|| connection.ask(question))?;
        let at = Instant::now();
        // The same bytes say the same.
        if response != last {
            if let ViewState::Revoked { .. } = question.read(&response)? {
                return Ok(Seen { at, usual });
            }
            last = response;
        }
        thread::sleep(PAUSE);
    }
    Err(fail("the responder did not say \"revoked\""))
}
