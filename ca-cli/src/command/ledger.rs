//! `ca ledger` and `ca index`.

use std::io::Write;

use ca_core::domain::SerialNumber;
use ca_core::inventory::{Inventory, rebuild_index as rebuild};
use ca_core::ledger::{Entry, EntryKind, verify};
use serde_json::{Value, json};

use crate::args::LedgerCommand;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::report::{done, lines, show};

pub(super) fn run(command: LedgerCommand, context: &Context) -> Result<()> {
    match command {
        LedgerCommand::Heartbeat => heartbeat(context),
        LedgerCommand::Prove { serial } => prove(&serial, context),
        LedgerCommand::Show { from, last, details } => entries(from, last, details, context),
        LedgerCommand::Verify => verify_all(context),
    }
}

fn verify_all(context: &Context) -> Result<()> {
    let home = context.home()?;
    // Under the lock, so that no writer replaces files that are being compared.
    let report = context.waiting(|wait| -> Result<_> {
        let _lock = home.lock(wait)?;
        let mut progress = |done, total| context.progress(done, total);
        Ok(verify::verify(&home.ledger_dir(), &home.config().ledger_vkey, &mut progress)?)
    })?;
    let checkpoint = &report.checkpoint;
    let faults: Vec<Value> = report
        .faults
        .iter()
        .map(|fault| json!({"entry": fault.index, "file": fault.path, "what": fault.what}))
        .collect();
    let value = json!({
        "valid": faults.is_empty(),
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": hex::encode(checkpoint.root),
        "time": checkpoint.time.to_string(),
        "faults": faults,
    });
    if faults.is_empty() {
        let text = format!(
            "The ledger is whole: {} entries, root {}, signed by {} on {}.",
            checkpoint.size,
            hex::encode(checkpoint.root),
            checkpoint.origin,
            checkpoint.time
        );
        return done(context, &text, &value);
    }
    let text: String = report
        .faults
        .iter()
        .map(|fault| match fault.index {
            Some(index) => format!("entry {index}: {}: {}\n", fault.path, fault.what),
            None => format!("{}: {}\n", fault.path, fault.what),
        })
        .collect();
    show(context, &text, &value)?;
    Err(CliError::Failed(format!(
        "the ledger is damaged in {} places; stop issuing, and restore the files named above from a backup",
        faults.len()
    )))
}

fn entries(from: Option<u64>, last: Option<u64>, details: bool, context: &Context) -> Result<()> {
    let home = context.home()?;
    let ledger = home.ledger()?;
    let size = ledger.checkpoint().size;
    let first = from.or(last.map(|last| size.saturating_sub(last))).unwrap_or(0);
    let mut out = lines();
    for item in ledger.entries(first..size) {
        let (position, entry) = item?;
        let detail = if details { Some(ledger.detail(position)?) } else { None };
        let detail = detail.map(|bytes| serde_json::from_slice(&bytes).unwrap_or(Value::Null));
        if context.json {
            // One object a line, so that a long ledger can be read as a stream.
            let mut value = entry_value(position, &entry);
            if let Some(detail) = detail {
                value["detail"] = detail;
            }
            serde_json::to_writer(&mut out, &value).map_err(std::io::Error::from)?;
            writeln!(out)?;
        } else {
            let serial = entry.serial.map(|serial| serial.to_string()).unwrap_or_default();
            let reason = entry.reason.map(|reason| format!("  {reason}")).unwrap_or_default();
            writeln!(out, "{position:>8}  {}  {:20}  {serial}{reason}", entry.time, kind_name(entry.kind))?;
            if let Some(detail) = detail {
                writeln!(out, "          {detail}")?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

fn entry_value(position: u64, entry: &Entry) -> Value {
    json!({
        "position": position,
        "kind": kind_name(entry.kind),
        "time": entry.time.to_string(),
        "authority": entry.authority.to_string(),
        "serial": entry.serial.map(|serial| serial.to_string()),
        "notAfter": entry.not_after.map(|time| time.to_string()),
        "reason": entry.reason.map(|reason| reason.name()),
        "invalidityDate": entry.invalidity_date.map(|time| time.to_string()),
        "detailSha256": hex::encode(entry.detail_hash),
    })
}

fn prove(serial: &str, context: &Context) -> Result<()> {
    let home = context.home()?;
    let serial = SerialNumber::parse(serial)?;
    let proof = context.waiting(|wait| -> Result<_> {
        let mut inventory = Inventory::open(&home, wait)?;
        let position = inventory.by_serial(serial, wait)?.record.position;
        Ok(inventory.ledger().prove(position)?)
    })?;
    let text = proof.to_string();
    let value = json!({
        "serial": serial.to_string(),
        "index": proof.index,
        "leafHash": hex::encode(proof.leaf_hash()),
        "hashes": proof.hashes.iter().map(hex::encode).collect::<Vec<_>>(),
        "checkpoint": proof.checkpoint,
        "text": text,
    });
    show(context, &text, &value)
}

fn heartbeat(context: &Context) -> Result<()> {
    let home = context.home()?;
    let now = context.now()?;
    let checkpoint = context.waiting(|wait| home.heartbeat(now, wait))?;
    let text = format!("Signed the checkpoint of {} entries again, {}.", checkpoint.size, checkpoint.time);
    done(context, &text, &json!({"size": checkpoint.size, "time": checkpoint.time.to_string()}))
}

/// `ca index rebuild`.
pub(super) fn rebuild_index(context: &Context) -> Result<()> {
    let home = context.home()?;
    let size = context.waiting(|wait| rebuild(&home, wait))?;
    done(context, &format!("Rebuilt the index from {size} ledger entries."), &json!({"entries": size}))
}

fn kind_name(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::AuthorityCreated => "authorityCreated",
        EntryKind::CaCertificateIssued => "caCertificateIssued",
        EntryKind::CertificateIssued => "certificateIssued",
        EntryKind::CrlIssued => "crlIssued",
        EntryKind::EscrowAgentAdded => "escrowAgentAdded",
        EntryKind::EscrowAgentRemoved => "escrowAgentRemoved",
        EntryKind::EscrowThresholdSet => "escrowThresholdSet",
        EntryKind::Held => "held",
        EntryKind::KeyExported => "keyExported",
        EntryKind::KeyRecovered => "keyRecovered",
        EntryKind::NoticesSent => "noticesSent",
        EntryKind::OcspPresigned => "ocspPresigned",
        EntryKind::RequestSubmitted => "requestSubmitted",
        EntryKind::RequestApproved => "requestApproved",
        EntryKind::RequestRejected => "requestRejected",
        EntryKind::PersonLeft => "personLeft",
        EntryKind::RecoveryContributed => "recoveryContributed",
        EntryKind::RecoveryRequested => "recoveryRequested",
        EntryKind::Released => "released",
        EntryKind::Revoked => "revoked",
    }
}
