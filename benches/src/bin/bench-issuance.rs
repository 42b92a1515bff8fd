//! Certificates a second in one process, beside what the issuer's key can sign.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use ca_core::domain::profile::SubjectInput;
use ca_core::domain::template::Template;
use ca_core::domain::{KeyAlgorithm, VerifiedRequest};
use ca_core::issue::{IssueRequest, SubjectKey, commit, prepare_many};
use ca_core::signing::{BACKEND, SigningKey, SoftwareKey};
use ca_core::{AuthorityKey, templates};
use chancery_benches::home::{ACTOR, Bench, now, wait};
use chancery_benches::people::{Person, signed_part};
use chancery_benches::sample::{Sample, rate, seconds};
use chancery_benches::table::{note, print};
use chancery_benches::{Result, fail};
use clap::Parser;

/// Measures issuing in one process: requests checked, certificates built, linted,
/// signed, their signatures verified, committed to ledger and index, beside the
/// bare signatures of the same key.
#[derive(Debug, Parser)]
struct Cli {
    /// Fewer and shorter rounds.
    #[arg(long)]
    quick: bool,
    /// A directory on the disk to measure; a temporary one is made in it.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// What one round of an issuer took, each for a whole batch.
#[derive(Default)]
struct Rounds {
    bare: Sample,
    request: Sample,
    prepare: Sample,
    commit: Sample,
    all: Sample,
}

struct Setting<'a> {
    bench: &'a Bench,
    issuer: AuthorityKey,
    key: SoftwareKey,
    template: Template,
    people: &'a [Person],
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("bench-issuance: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let dir = tempfile::TempDir::new_in(&cli.dir)?;
    let bench = Bench::create(&dir.path().join("issuance"))?;
    // A batch has each person once: a key belongs to one person.
    let (rounds, sizes) = if cli.quick { (3, [200, 50]) } else { (15, [1_000, 200]) };
    let people: Vec<_> = (0..sizes[0]).map(Person::new).collect::<Result<_>>()?;
    let mut summary = Vec::new();
    let mut steps = Vec::new();
    for (algorithm, size) in [KeyAlgorithm::P256, KeyAlgorithm::Rsa3072].into_iter().zip(sizes) {
        let name = algorithm.name();
        note(&format!("issuance: {rounds} rounds of {size} with {name}"));
        bench.authorities(name, algorithm)?;
        let setting = Setting {
            bench: &bench,
            issuer: bench.unlock(name)?,
            key: bench.key(name)?,
            template: templates::load(bench.home(), "smime-signing")?,
            people: &people[..size],
        };
        let measured = setting.measure(rounds)?;
        let (bare, all) = (measured.bare.per(size), measured.all.per(size));
        summary.push(vec![
            name.to_owned(),
            measured.bare.ratios(&measured.all).spread(),
            rate(bare.median()),
            rate(all.median()),
            size.to_string(),
            rounds.to_string(),
        ]);
        let step = |sample: &Sample| seconds(sample.per(size).median());
        let Rounds { bare, request, prepare, commit, all } = &measured;
        steps.push(vec![name.to_owned(), step(bare), step(request), step(prepare), step(commit), step(all)]);
    }
    print(
        &format!("Issuing in one process, one thread, beside bare signatures ({BACKEND})"),
        &["issuer", "ratio (8 of 10 rounds)", "signatures/s", "certificates/s", "a commit", "rounds"],
        &summary,
    )?;
    print(
        "The same by step, for one certificate",
        &["issuer", "bare signature", "check request", "prepare", "commit", "all three"],
        &steps,
    )?;
    Ok(())
}

impl Setting<'_> {
    fn measure(&self, rounds: usize) -> Result<Rounds> {
        let mut measured = Rounds::default();
        // The first round warms up, and shows what is signed.
        let message = self.batch(&mut Rounds::default())?;
        for round in 0..rounds {
            // Neither is always first.
            if round % 2 == 0 {
                self.bare(&message, &mut measured)?;
                self.batch(&mut measured)?;
            } else {
                self.batch(&mut measured)?;
                self.bare(&message, &mut measured)?;
            }
        }
        Ok(measured)
    }

    fn bare(&self, message: &[u8], measured: &mut Rounds) -> Result<()> {
        let signed = measured.bare.time(|| {
            self.people.iter().try_for_each(|_| self.key.sign(std::hint::black_box(message)).map(drop))
        });
        Ok(signed?)
    }

    /// Issues a batch; gives what the issuer signed in the last certificate.
    fn batch(&self, measured: &mut Rounds) -> Result<Vec<u8>> {
        let began = Instant::now();
        let requests: Vec<_> =
            measured.request.time(|| self.people.iter().map(Person::verified).collect::<Result<_>>())?;
        let now = now()?;
        let prepared = measured.prepare.time(|| {
            let subjects = self.people.iter().map(Person::subject).collect::<Result<Vec<_>>>()?;
            let requests: Vec<_> =
                subjects.iter().zip(requests).map(|(subject, csr)| self.request(subject, csr)).collect();
            Result::Ok(prepare_many(self.bench.home(), &requests, now)?)
        })?;
        let issued = measured.commit.time(|| commit(self.bench.home(), prepared, now, &wait()))?;
        measured.all.add(began.elapsed());
        let last = issued.last().ok_or_else(|| fail("nothing was issued"))?;
        signed_part(&last.pem)
    }

    fn request<'r>(&'r self, subject: &'r SubjectInput, csr: VerifiedRequest) -> IssueRequest<'r> {
        IssueRequest {
            issuer: &self.issuer,
            template: &self.template,
            subject,
            key: SubjectKey::Csr(Box::new(csr)),
            days: None,
            outputs: &[],
            actor: ACTOR,
        }
    }
}
