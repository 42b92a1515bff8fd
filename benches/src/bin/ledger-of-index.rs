//! Gives the certificates of an `index.txt` to our responder.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ca_core::domain::{KeyIdentifier, ReasonCode, Timestamp};
use ca_core::files::{Mode, WriteLock, create_private_dir, write_atomic};
use ca_core::ledger::{EntryKind, LedgerKey, LedgerWriter, NewEntry};
use chancery_benches::Result;
use chancery_benches::home::now;
use chancery_benches::question::{Indexed, index};
use chancery_benches::table::note;
use clap::Parser;
use der::DecodePem;
use der::referenced::OwnedToRef;
use x509_cert::Certificate;

/// Makes DIR/own: a ledger with the certificates of DIR/index.txt (as
/// `openssl ca` writes it), issued by DIR/ca.pem, and a configuration of our
/// responder, which signs with DIR/ocsp.key and DIR/ocsp.pem.
///
/// What is said about the certificates is their status alone: the ledger has no
/// certificates in it.
#[derive(Debug, Parser)]
struct Cli {
    /// More lines for the configuration.
    #[arg(long, value_name = "YAML", default_value = "")]
    more: String,
    /// The authority's directory.
    dir: PathBuf,
}

/// Entries in one commit.
const BATCH: usize = 65_536;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("ledger-of-index: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let own = cli.dir.join("own");
    create_private_dir(&own)?;
    let certificate = Certificate::from_pem(std::fs::read(cli.dir.join("ca.pem"))?)?;
    let spki = certificate.tbs_certificate.subject_public_key_info;
    let mut entries = Entries {
        authority: KeyIdentifier::of_spki(&spki.owned_to_ref()),
        now: now()?,
        issued: Vec::new(),
        revoked: Vec::new(),
    };
    let lock = WriteLock::acquire(&own.join("lock"), Duration::from_secs(10), "benches")?;
    let key = LedgerKey::generate("benches.example.test")?;
    let vkey = key.vkey();
    let mut writer = LedgerWriter::create(&own.join("ledger"), key, entries.now)?;
    for line in index(&cli.dir)? {
        entries.add(line?);
        if entries.issued.len() >= BATCH {
            writer.append(entries.take(), entries.now)?;
        }
    }
    writer.append(entries.take(), entries.now)?;
    drop(lock);
    for (from, to) in [("ocsp.key", "signer.key"), ("ocsp.pem", "signer.crt"), ("ca.pem", "ca.pem")] {
        write_atomic(&own.join(to), &std::fs::read(cli.dir.join(from))?, Mode::Private)?;
    }
    write_atomic(
        &own.join("ocsp-responder.yaml"),
        configuration(&vkey, &cli.more).as_bytes(),
        Mode::Private,
    )?;
    note(&format!("{} entries for our responder", writer.checkpoint().size));
    Ok(())
}

fn configuration(vkey: &str, more: &str) -> String {
    format!(
        "listen: 127.0.0.1:0\nledger: ledger\nledger_vkey: \"{vkey}\"\nsignatures_per_source: 0\n\
         authorities:\n  - certificate: ca.pem\n    signer: signer\n{more}\n"
    )
}

struct Entries {
    authority: KeyIdentifier,
    now: Timestamp,
    issued: Vec<NewEntry>,
    revoked: Vec<NewEntry>,
}

impl Entries {
    fn add(&mut self, line: Indexed) {
        let serial = line.serial;
        let entry = |kind, not_after, reason| NewEntry {
            kind,
            time: self.now,
            authority: self.authority,
            serial: Some(serial),
            not_after,
            reason,
            invalidity_date: None,
            detail: b"{}".to_vec(),
        };
        let not_after = self.now.saturating_add(365 * 86_400);
        self.issued.push(entry(EntryKind::CertificateIssued, Some(not_after), None));
        if line.revoked {
            self.revoked.push(entry(EntryKind::Revoked, None, Some(ReasonCode::Superseded)));
        }
    }

    fn take(&mut self) -> Vec<NewEntry> {
        let mut all = std::mem::take(&mut self.issued);
        all.append(&mut self.revoked);
        all
    }
}
