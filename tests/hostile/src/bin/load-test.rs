//! Revokes certificates one after the other while clients on many connections ask
//! about all of them. Meanwhile the signer is rotated, the configuration taken anew
//! (SIGHUP), and the responder replaced by another that follows the ledger from its
//! beginning. Every answer must be right: status, signature, times, HTTP 200; none may
//! be missing; each revocation must be seen within a second of `ca revoke` returning.
//! Beside them wrk asks about all without pause, and must see no other status than 200, no
//! unsigned answer, no error of a connection and no timeout.

use ca_domain::SerialNumber;
use ca_status::ocsp::{CertHash, IssuerIds, request};
use chancery_hostile::load::wrk::Wrk;
use chancery_hostile::load::{Load, Subject};
use chancery_tests::asking::Question;
use chancery_tests::home::text;
use chancery_tests::responder::{Served, memory};
use chancery_tests::{Daemon, Home, Tool};
use clap::Parser;
use der::DecodePem;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};
use x509_cert::Certificate;

/// Revokes certificates while clients ask about them; every answer must be right.
#[derive(Debug, Parser)]
struct Cli {
    /// Certificates that are revoked.
    #[arg(long, default_value_t = 1_000)]
    revocations: u64,
    /// Clients that check what they are answered, each with a connection.
    #[arg(long, default_value_t = 16)]
    connections: u64,
    /// Connections of wrk.
    #[arg(long, default_value_t = 64)]
    wrk: u64,
    /// Seconds in which a revocation must be seen.
    #[arg(long, default_value_t = 1)]
    visible_within: u64,
    /// Where the random numbers begin.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Some people besides, who stay good.
const MORE: u64 = 50;

fn main() -> ExitCode {
    let Cli { revocations, connections, wrk: hammering, visible_within, seed } = Cli::parse();
    let limit = Duration::from_secs(visible_within);
    // All of them come from one address.
    let mut served = Served::start("max_connections_per_source: 512\n");
    let issuer = std::fs::read(served.home.path("issuing.crt")).expect("issuing.crt");
    let issuer = Certificate::from_pem(issuer).expect("a certificate");
    issue(&served.home, revocations + MORE);
    let subjects = subjects(&served.home, &issuer);
    assert!(subjects.len() as u64 >= revocations + MORE, "{} certificates", subjects.len());
    println!(
        "load-test: {revocations} revocations, {connections} connections, {hammering} of wrk, {} certificates",
        subjects.len()
    );
    let load = Load::new(subjects, issuer, served.port());
    let began = Instant::now();
    let wrk = Wrk::new(&served.home, &load, hammering);
    let (seen, took, mut times, hammered) = thread::scope(|scope| {
        let hammer = scope.spawn(|| wrk.run(&load));
        let clients: Vec<_> = (0..connections)
            .map(|client| {
                let load = &load;
                scope.spawn(move || load.client(seed + client))
            })
            .collect();
        // The responder outlives the clients.
        let (seen, took) = revoke_all(&mut served, (&load, &wrk), revocations, limit);
        load.stop();
        let times: Vec<_> = clients.into_iter().flat_map(|client| client.join().expect("a client")).collect();
        (seen, took, times, hammer.join().expect("wrk"))
    });
    let seconds = began.elapsed().as_secs_f64();
    let (answers, reconnected, signers) = load.figures();
    println!(
        "{answers} right answers in {seconds:.1} s, {:.0}/s, from {signers} signers",
        answers as f64 / seconds
    );
    println!("{hammered} answers to wrk, {:.0}/s", hammered as f64 / seconds);
    println!("{reconnected} kept connections were ended between two requests");
    times.sort_unstable();
    report("an answer", &times);
    report("`ca revoke`, whole process", &took);
    report("revoked is said, after `ca revoke` returned", &seen);
    for fault in load.faults() {
        eprintln!("load-test: {fault}");
    }
    let whole = !load.has_failed()
        && hammered > 0
        && seen.len() as u64 == revocations
        && (revocations < 4 || signers == 2);
    println!("{}", if whole { "every answer was right" } else { "load-test failed" });
    if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(what: &str, sorted: &[Duration]) {
    let at = |share: f64| {
        let index = (sorted.len() as f64 * share) as usize;
        sorted.get(index.min(sorted.len().saturating_sub(1))).map_or(0.0, |took| took.as_secs_f64() * 1e3)
    };
    println!("{what}: p50 {:.2} ms, p99 {:.2} ms, slowest {:.1} ms", at(0.5), at(0.99), at(1.0));
}

/// People with certificates, made in one batch.
fn issue(home: &Home, count: u64) {
    let line = |n: u64| format!("p{n}@load.example.test,Person {n}\n");
    let lines: String = (0..count.div_ceil(2)).map(line).collect();
    home.write_private("people.csv", format!("email,common_name\n{lines}"));
    home.ca("issue --authority issuing --pair --no-escrow --key p256 --passphrase-file passphrase")
        .words("--batch people.csv --out people")
        .limit(Duration::from_secs(1_200))
        .ok();
}

fn subjects(home: &Home, issuer: &Certificate) -> Vec<Subject> {
    let ids = IssuerIds::of(issuer).expect("an issuer");
    let rows = home.list("").into_iter().filter(|row| text(row, "person").ends_with("@load.example.test"));
    rows.enumerate()
        .map(|(at, row)| {
            let serial = text(&row, "serial");
            let number = SerialNumber::parse(&serial).expect("a serial number");
            let hash = if at % 4 == 0 { CertHash::Sha256 } else { CertHash::Sha1 };
            let id = ids.cert_id(hash, &number).expect("a CertID");
            let der = request::build(std::slice::from_ref(&id), None).expect("a request");
            Subject::new(serial, Question::new(der), id)
        })
        .collect()
}

/// Revokes; how long each took to be seen and to be done, sorted.
fn revoke_all(
    served: &mut Served,
    (load, wrk): (&Load, &Wrk),
    revocations: u64,
    limit: Duration,
) -> (Vec<Duration>, Vec<Duration>) {
    let Served { home, daemon } = served;
    let (mut seen, mut took) = (Vec::new(), Vec::new());
    let mut peak = 0;
    for (number, subject) in (0..revocations).zip(&load.subjects) {
        let due = |quarter: u64| number == revocations * quarter / 4;
        if due(1) {
            println!("{number} revoked; the signer is rotated");
            home.ca("ocsp-signer issue --authority issuing --out signers --passphrase-file passphrase").ok();
        }
        if due(2) {
            println!("{number} revoked; SIGHUP");
            let config = home.read("responder.yaml") + "max_http_age: 10m\n";
            home.write_private("responder.yaml", config);
            Tool::new("kill").arg("-HUP").arg(daemon.pid().to_string()).ok();
        }
        if due(3) && revocations >= 4 {
            println!("{number} revoked; another responder takes over");
            peak = memory(daemon.pid(), "VmHWM");
            let next = Daemon::start("ocsp-responder", daemon.config());
            load.move_to(next.port());
            wrk.moved_to(next.port());
            let ended = std::mem::replace(daemon, next).terminate();
            assert_eq!(ended, Some(0), "it drained and ended");
        }
        subject.is_changing();
        let outcome = home.ca("revoke --reason superseded --yes").arg(&subject.serial).ok();
        took.push(outcome.took);
        match load.until_revoked(subject, limit) {
            Some(after) => seen.push(after),
            None => break,
        }
    }
    println!("most memory of a responder: {} KiB", peak.max(memory(daemon.pid(), "VmHWM")));
    seen.sort_unstable();
    took.sort_unstable();
    (seen, took)
}
