//! Gives the responder's parser, its decoder of GET paths and its look-up mutated
//! requests: real clients' ones, changed. None may panic, take more memory than its
//! budget, or make "good" of a certificate that was not issued.
//!
//! The same seed and number of threads make the same requests.

use ca_domain::{KeyIdentifier, ReasonCode, SerialNumber, Timestamp};
use ca_ledger::{Entry, EntryKind};
use ca_status::ocsp::{
    Answer, AnswerClass, AnswerPolicy, NeverIssued, NoncePolicy, Responder, SimpleRequests, request,
};
use chancery_tests::corpus;
use chancery_tests::mutate::{Kind, Mutator, path};
use clap::Parser;
use der::Decode;
use ocsp_responder::intake;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use x509_cert::Certificate;

/// Gives the responder's parser mutated requests, and counts what comes out.
#[derive(Debug, Parser)]
struct Cli {
    /// Requests.
    #[arg(long, default_value_t = 1_000_000)]
    count: u64,
    /// Threads.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1024))]
    threads: u64,
    /// Where the random numbers begin; the clock without it.
    #[arg(long)]
    seed: Option<u64>,
}

/// A request may take this much memory for each of its octets while it is read and
/// looked up, and [`MEMORY_FIXED`] besides.
const MEMORY_PER_OCTET: u64 = 128;
const MEMORY_FIXED: u64 = 8 * 1024;
/// Every thread runs on this much stack: recursion that follows the input would not.
const STACK: usize = 192 * 1024;

/// Who issued a certificate (hashes of name and key), and its serial number, as octets.
type Asked = ((Vec<u8>, Vec<u8>), Vec<u8>);

/// A status table with the certificates that the corpus asks for.
struct Bench {
    responder: Responder,
    simple: SimpleRequests,
    policies: Vec<AnswerPolicy>,
    /// The issuer by SHA-1 and SHA-256.
    issuer: BTreeSet<(Vec<u8>, Vec<u8>)>,
    good: BTreeSet<Vec<u8>>,
    revoked: BTreeSet<Vec<u8>>,
}

/// What came out, by name.
#[derive(Default)]
struct Tally {
    outcomes: BTreeMap<&'static str, u64>,
    most_memory: u64,
    most_for_octet: f64,
    paths: u64,
    paths_decoded: u64,
}

/// What is at work, for the report of a failure.
#[derive(Default)]
struct Current {
    kind: Option<Kind>,
    der: Vec<u8>,
    path: Option<String>,
}

fn entry(kind: EntryKind, authority: KeyIdentifier, serial: SerialNumber) -> Entry {
    Entry {
        kind,
        time: Timestamp::from_unix(1_800_000_000).expect("a time"),
        authority,
        serial: Some(serial),
        not_after: Timestamp::from_unix(2_000_000_000).ok().filter(|_| kind == EntryKind::CertificateIssued),
        reason: Some(ReasonCode::KeyCompromise).filter(|_| kind == EntryKind::Revoked),
        invalidity_date: None,
        detail_hash: [0; 32],
    }
}

impl Bench {
    fn new() -> Self {
        let issuer = Certificate::from_der(&corpus::issuer()).expect("the corpus's issuer");
        let mut responder = Responder::new();
        let authority = responder.add_authority(&issuer).expect("an authority");
        let (mut issuer, mut good, mut revoked) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut next = 0;
        let mut apply = |entry: Entry| {
            responder.apply(next, &entry).expect("an entry");
            next += 1;
        };
        for (name, der) in corpus::requests() {
            // A serial number of 40 octets is malformed, and a seed all the same.
            let Ok(view) = request::parse(&der, &AnswerPolicy::default().budget) else {
                assert_eq!(name, "openssl-serial-large");
                continue;
            };
            for id in &view.cert_ids {
                let (names, number) = asked(id);
                let Ok(serial) = SerialNumber::try_from(&id.serial_number) else { continue };
                issuer.insert(names);
                if good.contains(&number) || revoked.contains(&number) {
                    continue;
                }
                if serial.as_be_bytes().last().is_some_and(|octet| octet % 4 == 3) {
                    apply(entry(EntryKind::CertificateIssued, authority, serial));
                    apply(entry(EntryKind::Revoked, authority, serial));
                    revoked.insert(number);
                } else {
                    apply(entry(EntryKind::CertificateIssued, authority, serial));
                    good.insert(number);
                }
            }
        }
        assert!(good.len() > 2 && revoked.len() > 2, "the corpus has certificates of both kinds");
        assert_eq!(issuer.len(), 2, "the corpus has one issuer, by two hashes");
        let policies = [
            (NeverIssued::Unknown, NoncePolicy::Echo),
            (NeverIssued::Revoked, NoncePolicy::Ignore),
            (NeverIssued::Unauthorized, NoncePolicy::Echo),
            (NeverIssued::Unknown, NoncePolicy::Require),
        ];
        let policies = policies.map(|(never_issued, nonce)| AnswerPolicy {
            never_issued,
            nonce,
            ..AnswerPolicy::default()
        });
        let simple = SimpleRequests::about(responder.issuers());
        Self { responder, simple, policies: policies.to_vec(), issuer, good, revoked }
    }

    /// Reads and looks up one request; its class, and whether the answer is right.
    fn answer(&self, der: &[u8], policy: &AnswerPolicy) -> Result<AnswerClass, String> {
        let view = match request::parse(der, &policy.budget) {
            Ok(view) => view,
            Err(_) if der.len() <= policy.budget.max_bytes && self.simple.read(der).is_some() => {
                return Err("the quick reading takes what the whole one refuses".to_owned());
            }
            Err(problem) => return Ok(Answer::from(problem).class),
        };
        let ids: Vec<_> = view.cert_ids.iter().map(asked).collect();
        if ids.is_empty() || ids.len() > policy.budget.max_cert_ids || der.len() > policy.budget.max_bytes {
            return Err("it was read although it is over its budget".to_owned());
        }
        let class = match self.responder.resolve(view, policy) {
            Ok(resolved) => resolved.class(),
            Err(problem) => Answer::from(problem).class,
        };
        let right = match (class, ids.as_slice()) {
            (AnswerClass::Good, [(names, serial)]) => {
                self.issuer.contains(names) && self.good.contains(serial)
            }
            (AnswerClass::Revoked, [(names, serial)]) => {
                self.issuer.contains(names) && self.revoked.contains(serial)
            }
            (AnswerClass::Unknown, [(_, serial)]) => {
                !self.good.contains(serial) && !self.revoked.contains(serial)
            }
            (AnswerClass::Several, ids) => ids.len() > 1,
            (AnswerClass::Error(_), _) => true,
            _ => false,
        };
        if !right {
            return Err(format!("{class:?} for {ids:02x?}"));
        }
        self.quick_reading_agrees(der).map(|()| class)
    }

    /// Answers from memory are found by a reading of their own: it must see in a request
    /// what the whole reading sees.
    fn quick_reading_agrees(&self, der: &[u8]) -> Result<(), String> {
        let Some(simple) = self.simple.read(der) else { return Ok(()) };
        let policy = &self.policies[0];
        let quick = simple.view();
        if quick != request::parse(der, &policy.budget).ok() {
            return Err(format!("quickly it reads {quick:?}, in whole something else"));
        }
        if simple.nonce.is_some() {
            // Such an answer is never kept.
            return Ok(());
        }
        let key = simple.key;
        let whole = request::parse(der, &policy.budget).and_then(|view| self.responder.resolve(view, policy));
        let whole = whole.map_err(|error| format!("only the quick reading takes it: {error}"))?;
        let quick = self.responder.resolve_key(&key);
        let same = match (whole.cache_key(), &quick) {
            (Some(other), Some(quick)) => other == key && quick.class() == whole.class(),
            (None, None) => whole.class() == AnswerClass::Unknown,
            _ => false,
        };
        if same { Ok(()) } else { Err(format!("{key:?}: quickly {quick:?}, in whole {whole:?}")) }
    }

    /// What goes to memory is counted for this thread alone.
    fn within_budget(
        &self,
        der: &[u8],
        policy: &AnswerPolicy,
        tally: &mut Tally,
    ) -> Result<AnswerClass, String> {
        let mut class = Err(String::new());
        let used = allocation_counter::measure(|| class = self.answer(der, policy)).bytes_max;
        tally.most_memory = tally.most_memory.max(used);
        let per_octet = used.saturating_sub(MEMORY_FIXED) as f64 / der.len().max(1) as f64;
        tally.most_for_octet = tally.most_for_octet.max(per_octet);
        if used > MEMORY_FIXED + MEMORY_PER_OCTET * der.len() as u64 {
            return Err(format!("{} octets took {used} octets of memory", der.len()));
        }
        class
    }
}

fn asked(id: &ca_status::ocsp::CertId) -> Asked {
    let serial = id.serial_number.as_bytes().to_vec();
    ((id.issuer_name_hash.as_bytes().to_vec(), id.issuer_key_hash.as_bytes().to_vec()), serial)
}

/// The path of a request comes out as it went in; a broken one, at most, as another request.
fn through_a_path(
    bench: &Bench,
    mutator: &mut Mutator,
    current: &mut Current,
    tally: &mut Tally,
) -> Result<(), String> {
    let limit = AnswerPolicy::default().budget.max_bytes;
    let whole = path::encode(&current.der, mutator.dice());
    tally.paths += 1;
    // A leading slash may be left out, so only what begins as a SEQUENCE does comes back.
    if current.der.first() == Some(&0x30) {
        let decoded = intake::from_path(&whole, "", limit).ok();
        if decoded.as_ref() != Some(&current.der) && current.der.len() <= limit {
            current.path = Some(whole);
            return Err("the path did not come out as it went in".to_owned());
        }
    }
    let broken = path::broken(&whole, mutator.dice());
    current.path = Some(broken);
    let decoded = intake::from_path(current.path.as_deref().unwrap_or_default(), "", limit);
    current.path = current.path.take().filter(|_| decoded.is_ok());
    if let Ok(der) = decoded {
        tally.paths_decoded += 1;
        if der.is_empty() || der.len() > limit {
            return Err("the path gave nothing, or too much".to_owned());
        }
        current.der = der;
        bench.within_budget(&current.der, &bench.policies[0], tally)?;
    }
    current.path = None;
    Ok(())
}

fn run(bench: &Bench, count: u64, seed: u64, current: &mut Current) -> Result<Tally, String> {
    let requests: Vec<_> = corpus::requests().into_iter().map(|(_, der)| der).collect();
    let mut mutator = Mutator::new(requests, seed);
    let mut tally = Tally::default();
    for number in 0..count {
        let (kind, der) = mutator.request();
        (current.kind, current.der) = (Some(kind), der);
        let policy = &bench.policies[(number % bench.policies.len() as u64) as usize];
        let class = bench.within_budget(&current.der, policy, &mut tally)?;
        *tally.outcomes.entry(name(class)).or_default() += 1;
        if number % 2 == 0 {
            through_a_path(bench, &mut mutator, current, &mut tally)?;
        }
    }
    Ok(tally)
}

fn name(class: AnswerClass) -> &'static str {
    match class {
        AnswerClass::Good => "good",
        AnswerClass::Revoked => "revoked",
        AnswerClass::Unknown => "unknown",
        AnswerClass::Several => "several",
        AnswerClass::Error(status) => status.name(),
    }
}

fn main() -> ExitCode {
    let Cli { count, threads, seed } = Cli::parse();
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
    let seed = seed.unwrap_or(clock);
    println!("mutate-requests: {count} requests, seed {seed}, {threads} threads");
    let bench = Arc::new(Bench::new());
    let began = Instant::now();
    let workers = (0..threads).map(|worker| {
        let bench = bench.clone();
        let share = count / threads + u64::from(worker < count % threads);
        let seed = seed.wrapping_add(worker.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let work = move || {
            let mut current = Current::default();
            let ended = catch_unwind(AssertUnwindSafe(|| run(&bench, share, seed, &mut current)));
            ended.unwrap_or_else(|_| Err("it panicked".to_owned())).map_err(|what| {
                let Current { kind, der, path } = current;
                format!("{what}\n{kind:?}, path {path:?}, request {}", hex(&der))
            })
        };
        thread::Builder::new().stack_size(STACK).spawn(work).expect("a thread")
    });
    let workers: Vec<_> = workers.collect();
    let mut whole = Tally::default();
    for worker in workers {
        match worker.join().expect("a worker's result") {
            Ok(tally) => whole.add(tally),
            Err(what) => {
                eprintln!("mutate-requests: seed {seed}: {what}");
                return ExitCode::FAILURE;
            }
        }
    }
    whole.report(began.elapsed().as_secs_f64())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|octet| format!("{octet:02x}")).collect()
}

impl Tally {
    fn add(&mut self, other: Self) {
        for (name, count) in other.outcomes {
            *self.outcomes.entry(name).or_default() += count;
        }
        self.most_memory = self.most_memory.max(other.most_memory);
        self.most_for_octet = self.most_for_octet.max(other.most_for_octet);
        self.paths += other.paths;
        self.paths_decoded += other.paths_decoded;
    }

    /// A run that never came to an answer would show nothing.
    fn report(&self, seconds: f64) -> ExitCode {
        let total: u64 = self.outcomes.values().sum();
        for (name, count) in &self.outcomes {
            println!("{count:>12} {name}");
        }
        println!("{:>12} paths, {} of the broken ones decoded", self.paths, self.paths_decoded);
        println!(
            "most memory for one request: {} octets; beyond {MEMORY_FIXED}, {:.1} for an octet of it",
            self.most_memory, self.most_for_octet
        );
        println!(
            "{total} requests in {seconds:.1} s, {:.0}/s: no panic, nothing over budget",
            total as f64 / seconds
        );
        let reached = ["good", "revoked", "unknown", "several", "malformedRequest", "unauthorized"];
        let missing: Vec<_> = reached.iter().filter(|name| !self.outcomes.contains_key(**name)).collect();
        if missing.is_empty() {
            ExitCode::SUCCESS
        } else {
            eprintln!("mutate-requests: no request was answered {missing:?}: ask for more with --count");
            ExitCode::FAILURE
        }
    }
}
