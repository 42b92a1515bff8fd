//! A publisher with an authority, its key and a ledger.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "helpers of tests, each uses a part")]

pub mod targets;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ca_domain::{ReasonCode, SerialNumber, Timestamp};
use ca_files::{Mode, write_atomic};
use ca_ledger::EntryKind;
use ca_service::fixture::{TestAuthority, TestLedger};
use ca_service::{Clock, ManualClock};
use ca_status::RevokedEntry;
use ca_status::crl::{CrlFrame, CrlNumber, CrlParams, CrlReader, CrlView, write_crl};
use crl_publisher::Daemon;
use crl_publisher::config::Config;

pub const HOUR: u64 = 3_600;
pub const DAY: u64 = 86_400;

pub struct Bench {
    pub ca: TestAuthority,
    pub root: TestAuthority,
    pub ledger: TestLedger,
    pub clock: ManualClock,
}

/// Puts a file in place of another at once, with permissions that need not be right.
pub fn put(path: &Path, content: &[u8], mode: u32) {
    let next = path.with_extension("next");
    fs::write(&next, content).unwrap();
    fs::set_permissions(&next, fs::Permissions::from_mode(mode)).unwrap();
    fs::rename(next, path).unwrap();
}

/// What a CRL says.
#[derive(Debug, Eq, PartialEq)]
pub struct Told {
    pub number: CrlNumber,
    pub this_update: Timestamp,
    pub next_update: Timestamp,
    pub serials: Vec<SerialNumber>,
}

impl Bench {
    pub fn new() -> Self {
        Self::at(Timestamp::parse("2026-11-20T08:00:00Z").unwrap())
    }

    pub fn at(now: Timestamp) -> Self {
        let (ca, root) = (TestAuthority::new("Issuing CA"), TestAuthority::new("Root CA"));
        let bench = Self { ca, root, ledger: TestLedger::new(now), clock: ManualClock::at(now) };
        bench.write("ca.pem", bench.ca.pem().as_bytes());
        bench.write("root.pem", bench.root.pem().as_bytes());
        let key = bench.ca.key.to_plain_pem().unwrap();
        write_atomic(&bench.home("ca.key"), key.as_bytes(), Mode::Private).unwrap();
        bench
    }

    pub fn home(&self, name: &str) -> PathBuf {
        self.ledger.home().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        write_atomic(&self.home(name), bytes, Mode::Public).unwrap();
        self.home(name)
    }

    pub fn private(&self, name: &str, bytes: &[u8]) -> PathBuf {
        write_atomic(&self.home(name), bytes, Mode::Private).unwrap();
        self.home(name)
    }

    /// A publisher that signs for `issuing`, with these lines more.
    pub fn signer(&self, more: &str) -> Daemon {
        self.open(&format!(
            "  - name: issuing\n    certificate: ca.pem\n    mode: sign\n    key: ca.key\n{more}"
        ))
    }

    /// A publisher that distributes for `root`.
    pub fn distributor(&self) -> Daemon {
        self.open("  - name: root\n    certificate: root.pem\n    mode: distribute\n    source: root.crl\n")
    }

    pub fn open(&self, authorities: &str) -> Daemon {
        let daemon = Daemon::open(self.config(authorities), Arc::new(self.clock.clone())).unwrap();
        daemon.prepare().unwrap();
        daemon
    }

    pub fn config(&self, authorities: &str) -> Config {
        // A publisher that only distributes needs no ledger.
        let ledger = if authorities.contains("mode: sign") {
            format!("ledger: ledger\nledger_vkey: \"{}\"\n", self.ledger.vkey())
        } else {
            String::new()
        };
        let text = format!("listen: 127.0.0.1:0\n{ledger}directory: published\nauthorities:\n{authorities}");
        Config::load(&self.write("crl-publisher.yaml", text.as_bytes())).unwrap()
    }

    pub fn published(&self, path: &str) -> PathBuf {
        self.home("published").join(path)
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn issue(&mut self) -> SerialNumber {
        let now = self.now();
        self.ledger.issue(self.ca.id(), now)
    }

    /// Records the certificate of an authority below this one.
    pub fn issue_authority(&mut self) -> SerialNumber {
        let serial = SerialNumber::from_random([0xa5; 20]);
        let now = self.now();
        self.ledger.append(EntryKind::CaCertificateIssued, self.ca.id(), serial, None, now);
        serial
    }

    pub fn revoke(&mut self, serial: SerialNumber) {
        let now = self.now();
        self.ledger.revoke(self.ca.id(), serial, ReasonCode::KeyCompromise, now);
    }

    /// The verified CRL of the issuing authority.
    pub fn crl(&self) -> Told {
        told(&fs::read(self.published("crl/issuing.crl")).unwrap(), &self.ca)
    }

    /// The verified CRL of the root.
    pub fn root_crl(&self) -> Told {
        told(&fs::read(self.published("crl/root.crl")).unwrap(), &self.root)
    }

    /// A CRL of `ca` with this number and life from now on, of one certificate.
    pub fn make_crl(&self, ca: &TestAuthority, number: u64, life: u64) -> Vec<u8> {
        self.make_long_crl(ca, number, life, 1)
    }

    /// The same with so many certificates.
    pub fn make_long_crl(&self, ca: &TestAuthority, number: u64, life: u64, entries: u32) -> Vec<u8> {
        self.make_crl_of(ca, number, life, entries, |_| {})
    }

    /// The same with what `change` makes of it.
    pub fn make_crl_of(
        &self,
        ca: &TestAuthority,
        number: u64,
        life: u64,
        entries: u32,
        change: impl FnOnce(&mut CrlParams),
    ) -> Vec<u8> {
        let now = self.now();
        let certificate = &ca.authority.certificate;
        let mut params =
            CrlParams::for_authority(certificate, number.into(), now, now.saturating_add(life)).unwrap();
        change(&mut params);
        let serial = |entry: u32| {
            let mut random = [9; 20];
            random[1..5].copy_from_slice(&entry.to_be_bytes());
            SerialNumber::from_random(random)
        };
        let entry = |number| RevokedEntry {
            serial: serial(number),
            at: now,
            reason: ReasonCode::CaCompromise,
            invalidity_date: None,
            not_after: now.saturating_add(DAY),
        };
        let mut der = std::io::Cursor::new(Vec::new());
        write_crl(&params, (0..entries).map(entry), &ca.key, &mut der).unwrap();
        der.into_inner()
    }

    pub fn alarms(&self, daemon: &Daemon) -> Vec<String> {
        daemon.alarms().list().into_iter().map(|(topic, summary)| format!("{topic}: {summary}")).collect()
    }
}

pub fn told(der: &[u8], ca: &TestAuthority) -> Told {
    let view = CrlView::parse_and_verify(der, &ca.authority.certificate).unwrap();
    Told {
        number: view.number(),
        this_update: view.this_update(),
        next_update: view.next_update(),
        serials: view.entries().map(|entry| entry.unwrap().serial).collect(),
    }
}

/// A verified CRL of the issuing authority, and the reasons on it.
pub struct Listed {
    pub frame: CrlFrame,
    pub entries: BTreeMap<SerialNumber, ReasonCode>,
}

/// The verified CRL of this name.
pub fn listed(bench: &Bench, name: &str) -> Listed {
    let file = File::open(bench.published(&format!("crl/{name}.crl"))).unwrap();
    let mut reader = CrlReader::open(file).unwrap();
    reader.accept(&bench.ca.authority.certificate).unwrap();
    let entries =
        reader.entries().unwrap().map(|entry| entry.map(|e| (e.serial, e.reason)).unwrap()).collect();
    Listed { frame: reader.frame().clone(), entries }
}

/// A CRL of any kind, which `ca` signed.
pub fn told_any(der: &[u8], ca: &TestAuthority) {
    CrlReader::open(std::io::Cursor::new(der)).unwrap().accept(&ca.authority.certificate).unwrap();
}
