//! What a CRL costs: signing and publishing it, its delta CRL, and its parts, beside
//! what cannot be avoided and beside `openssl ca -gencrl`.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use aws_lc_rs::digest;
use ca_core::domain::{KeyIdentifier, ReasonCode, SerialNumber, Shard, Timestamp};
use ca_core::ledger::{Entry, EntryKind};
use ca_core::signing::{SigningKey, SoftwareKey};
use ca_core::status::crl::{ChangesSince, CrlNumber, CrlParams, CrlScope, write_crl};
use ca_core::status::{Change, RevokedEntry, StatusTable};
use chancery_benches::sample::Sample;
use chancery_benches::{Result, fail};
use clap::Parser;
use crl_publisher::catalogue::Catalogue;
use crl_publisher::published::Published;
use crl_publisher::shelf::Shelf;

/// Measures one size and prints one line of a Markdown table.
#[derive(Debug, Parser)]
struct Args {
    /// Revoked certificates.
    #[arg(long)]
    entries: u64,
    /// How often each thing is measured.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Compare with `openssl ca -gencrl`.
    #[arg(long)]
    openssl: bool,
    /// Where ca.pem and ca.key are; it is worked in.
    dir: PathBuf,
}

const START: u64 = 1_790_000_000;
const PIECE: usize = 256 * 1024;

struct Bench {
    authority: ca_service::Authority,
    key: SoftwareKey,
    table: StatusTable,
    shelf: Shelf,
    now: Timestamp,
    number: u64,
    serials: Vec<SerialNumber>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut bench = Bench::new(&args)?;
    let (mut own, mut limit, mut memory) = (Sample::default(), Sample::default(), 0);
    let mut last: Option<Published> = None;
    for _ in 0..args.rounds {
        let before = resident("VmRSS")?;
        fs::write("/proc/self/clear_refs", "5")?;
        let new = own.time(|| bench.publish("bench", &CrlScope::All, last.as_ref()))?;
        memory = memory.max(resident("VmHWM")?.saturating_sub(before));
        // A new file, as ours is: to cut an old one off is not counted.
        let path = args.dir.join("limit");
        limit.time(|| bench.limit(&path, new.length))?;
        fs::remove_file(path)?;
        last = Some(new);
    }
    let full = last.ok_or_else(|| fail("no round was asked for"))?;
    let mut parts = Sample::default();
    parts.time(|| {
        Shard::all(16).try_for_each(|shard| {
            bench.publish(&format!("part-{}", shard.index()), &CrlScope::Shard(shard), None).map(drop)
        })
    })?;
    let deltas: Vec<String> = [1, 100, 10_000]
        .into_iter()
        .filter(|changes| *changes as u64 <= args.entries)
        .map(|changes| Ok(format!("{:.1}", 1e3 * bench.delta(&full, changes, args.rounds)?)))
        .collect::<Result<_>>()?;
    let openssl = args.openssl.then(|| openssl(&args)).transpose()?;
    println!(
        "| {} | {:.3} | {:.2} | {:.1} | {:.1} | {:.3} | {} | {} | {} |",
        args.entries,
        own.median(),
        own.ratios(&limit).median(),
        full.length as f64 / args.entries as f64,
        memory as f64 / 1024.0,
        parts.median(),
        deltas.join(" / "),
        openssl.map_or("-".to_owned(), |(seconds, _)| format!("{:.1}", seconds / own.median())),
        openssl.map_or("-".to_owned(), |(_, kib)| format!("{:.0}", kib / 1024.0)),
    );
    Ok(())
}

impl Bench {
    fn new(args: &Args) -> Result<Self> {
        let authority = ca_service::Authority::load(&args.dir.join("ca.pem"))?;
        let key = SoftwareKey::load(&args.dir.join("ca.key"), None)?;
        let directory = args.dir.join("published");
        let _ = fs::remove_dir_all(&directory);
        let shelf = Shelf::new(&directory, Vec::new(), Arc::new(Catalogue::new()));
        shelf.prepare()?;
        let mut table = StatusTable::new();
        let mut serials = Vec::new();
        for number in 0..args.entries {
            let serial = serial(number);
            for entry in history(authority.key_id, serial, number)? {
                table.apply(table.next_index(), &entry)?;
            }
            if number < 10_000 {
                serials.push(serial);
            }
        }
        let now = Timestamp::try_from(std::time::SystemTime::now())?;
        Ok(Self { authority, key, table, shelf, now, number: 1000, serials })
    }

    fn params(&mut self, scope: &CrlScope) -> Result<CrlParams> {
        self.number += 1;
        let (number, end) = (CrlNumber::from(self.number), self.now.saturating_add(7 * 86_400));
        let mut params = CrlParams::for_authority(&self.authority.certificate, number, self.now, end)?;
        params.scope = scope.point(Some("http://pki.example.test/crl/bench.crl"))?;
        Ok(params)
    }

    /// All of it: encoded, signed, written, fsynced, read back, verified, renamed.
    fn publish(&mut self, name: &str, scope: &CrlScope, old: Option<&Published>) -> Result<Published> {
        let params = self.params(scope)?;
        let Self { authority, table, key, shelf, now, .. } = self;
        Ok(shelf.issue(name, authority, old, *now, |out| {
            write_crl(&params, table.revoked_in(&authority.key_id, scope, None), key, out)
        })?)
    }

    /// What cannot be avoided: SHA-256 over so many octets, one signature, one file.
    fn limit(&self, path: &Path, length: u64) -> Result<()> {
        let mut file = File::create(path)?;
        let mut hash = digest::Context::new(&digest::SHA256);
        let piece = vec![0x5a; PIECE];
        let mut left = length;
        while left > 0 {
            let count = left.min(PIECE as u64) as usize;
            let octets = piece.get(..count).unwrap_or_default();
            hash.update(octets);
            file.write_all(octets)?;
            left -= count as u64;
        }
        self.key.sign(hash.finish().as_ref())?;
        file.sync_all()?;
        Ok(())
    }

    /// The median of the seconds of a delta CRL of so many changes.
    fn delta(&mut self, full: &Published, count: usize, rounds: usize) -> Result<f64> {
        let mut changes = ChangesSince::default();
        for (index, serial) in self.serials.iter().take(count).enumerate() {
            let authority = self.authority.key_id;
            let Some(status) = self.table.status(&authority, serial) else { continue };
            changes.note(&Change { authority, serial: *serial, state: status.state, index: index as u64 });
        }
        let mut sample = Sample::default();
        let mut last = None;
        for _ in 0..rounds {
            let mut params = self.params(&CrlScope::All)?;
            params.base = Some(full.number);
            let Self { authority, table, key, shelf, now, .. } = self;
            last = Some(sample.time(|| {
                let entries: Vec<RevokedEntry> =
                    changes.entries(table, &authority.key_id, &CrlScope::All, *now);
                shelf.issue("delta", authority, last.as_ref(), *now, |out| {
                    write_crl(&params, entries.into_iter(), key, out)
                })
            })?);
        }
        fs::remove_file(self.shelf.path("delta"))?;
        Ok(sample.median())
    }
}

/// Random serials, the same in every run.
fn serial(number: u64) -> SerialNumber {
    let mut random = [0; SerialNumber::MAX_LEN];
    let mut state = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for octets in random.chunks_mut(4) {
        state ^= state >> 30;
        state = state.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state ^= state >> 27;
        octets.copy_from_slice(&(state >> 32).to_be_bytes()[4..]);
    }
    SerialNumber::from_random(random)
}

/// A certificate is issued, and revoked.
fn history(authority: KeyIdentifier, serial: SerialNumber, number: u64) -> Result<[Entry; 2]> {
    let entry = |kind, seconds| -> Result<Entry> {
        Ok(Entry {
            kind,
            time: Timestamp::from_unix(START + seconds)?,
            authority,
            serial: Some(serial),
            not_after: None,
            reason: None,
            invalidity_date: None,
            detail_hash: [0; 32],
        })
    };
    let reasons = [ReasonCode::Superseded, ReasonCode::CessationOfOperation, ReasonCode::KeyCompromise];
    let reason = reasons.get((number % 3) as usize).copied();
    Ok([
        Entry {
            not_after: Some(Timestamp::from_unix(START + 80_000_000)?),
            ..entry(EntryKind::CertificateIssued, 0)?
        },
        Entry { reason, ..entry(EntryKind::Revoked, number % 5_000_000)? },
    ])
}

/// Seconds and KiB of `openssl ca -gencrl` of the same list.
fn openssl(args: &Args) -> Result<(f64, f64)> {
    let dir = &args.dir;
    let mut index = BufWriter::new(File::create(dir.join("index.txt"))?);
    for number in 0..args.entries {
        let serial = serial(number).to_string().to_uppercase();
        writeln!(index, "R\t491231235959Z\t260101000000Z,superseded\t{serial}\tunknown\t/CN=person{number}")?;
    }
    index.flush()?;
    fs::write(dir.join("index.txt.attr"), "unique_subject = no\n")?;
    let config = "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ndefault_md=sha256\ndefault_crl_days=7\ncrlnumber=crlnumber\n";
    fs::write(dir.join("ca.cnf"), config)?;
    fs::write(dir.join("crlnumber"), "1000\n")?;
    let words = "-o time.txt -f %e_%M openssl ca -gencrl -config ca.cnf -cert ca.pem -keyfile ca.key -out openssl.crl";
    let ran = Command::new("/usr/bin/time").args(words.split(' ')).current_dir(dir).output()?;
    if !ran.status.success() {
        return Err(fail(String::from_utf8_lossy(&ran.stderr)));
    }
    let text = fs::read_to_string(dir.join("time.txt"))?;
    let (seconds, kib) = text.trim().split_once('_').ok_or_else(|| fail("time printed nothing"))?;
    Ok((seconds.parse()?, kib.parse()?))
}

/// KiB of this process.
fn resident(field: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or_else(|| fail("no such field in /proc/self/status"))?.parse()?)
}
