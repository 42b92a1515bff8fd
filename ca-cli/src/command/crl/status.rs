//! `ca crl list|status`: the CRLs of a published directory, and of the ledger.

use std::path::{Path, PathBuf};

use ca_core::crl_status::{self, CrlReport, DirectoryReport, FoundCrl};
use comfy_table::{Table, presets};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::{CliError, Result};
use crate::report::show;

fn text(value: Option<&(impl ToString + ?Sized)>) -> String {
    value.map_or_else(|| "-".to_owned(), ToString::to_string)
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    table
}

pub(super) fn list(directory: Option<&Path>, context: &Context) -> Result<()> {
    let Some(directory) = directory else { return recorded(context) };
    let mut rows = table(&["NAME", "KIND", "NUMBER", "THIS UPDATE", "NEXT UPDATE", "BYTES", "ISSUER"]);
    let mut values = Vec::new();
    let mut bad = Vec::new();
    for (name, found) in crl_status::list(directory)? {
        match found {
            Ok(crl) => {
                rows.add_row([
                    name,
                    kind(&crl).to_owned(),
                    text(crl.number.as_ref()),
                    crl.this_update.to_string(),
                    text(crl.next_update.as_ref()),
                    crl.bytes.to_string(),
                    crl.issuer.clone(),
                ]);
                values.push(found_value(&crl));
            }
            Err(error) => {
                values.push(json!({"name": name, "error": error.to_string()}));
                bad.push(error.to_string());
            }
        }
    }
    show(context, &rows.to_string(), &json!({"crls": values}))?;
    match bad.is_empty() {
        true => Ok(()),
        false => Err(CliError::Failed(bad.join("\n"))),
    }
}

fn recorded(context: &Context) -> Result<()> {
    let found = crl_status::recorded(&context.home()?)?;
    let mut rows = table(&["AUTHORITY", "NUMBER", "ISSUED", "BY", "SHA-256"]);
    let mut values = Vec::new();
    for crl in found {
        values.push(json!({
            "authority": crl.authority,
            "authorityKeyIdentifier": crl.key_id.to_string(),
            "number": crl.number,
            "issued": crl.time.to_string(),
            "actor": crl.actor,
            "sha256": crl.sha256,
        }));
        rows.add_row([crl.authority, crl.number, crl.time.to_string(), crl.actor, crl.sha256]);
    }
    show(context, &rows.to_string(), &json!({"crls": values}))
}

const fn kind(crl: &FoundCrl) -> &'static str {
    if crl.is_delta { "delta" } else { "full" }
}

fn found_value(crl: &FoundCrl) -> Value {
    json!({
        "name": crl.name,
        "kind": kind(crl),
        "issuer": crl.issuer,
        "number": crl.number,
        "thisUpdate": crl.this_update.to_string(),
        "nextUpdate": crl.next_update.map(|time| time.to_string()),
        "bytes": crl.bytes,
    })
}

pub(super) fn status(directory: Option<&Path>, context: &Context) -> Result<()> {
    let directory: PathBuf = match directory {
        Some(directory) => directory.to_owned(),
        None => crl_status::published_directory(&context.home()?)?,
    };
    let now = context.now()?;
    let report = crl_status::status(&directory, now)?;
    show(context, &human(&report), &value(&report, &now.to_string()))?;
    let mut faults: Vec<String> = Vec::new();
    faults.extend(report.publishers.iter().filter_map(|publisher| publisher.fault.clone()));
    // One process publishes for several, by one clock.
    faults.dedup();
    for crl in &report.crls {
        faults.extend(crl.fault.as_ref().map(|fault| format!("{} is {}: {fault}", crl.name, crl.state)));
    }
    if report.crls.is_empty() {
        faults.push(format!("there is no CRL in {}", directory.display()));
    }
    if faults.is_empty() { Ok(()) } else { Err(CliError::Refused(faults.join("\n"))) }
}

fn human(report: &DirectoryReport) -> String {
    let header = [
        "NAME",
        "STATE",
        "NUMBER",
        "THIS UPDATE",
        "NEXT UPDATE",
        "ENTRIES",
        "NEXT RUN",
        "LAST RUN",
        "PENDING",
    ];
    let mut rows = table(&header);
    for crl in &report.crls {
        let (found, told) = (crl.found.as_ref(), crl.told.as_ref());
        rows.add_row([
            crl.name.clone(),
            crl.state.to_owned(),
            text(found.and_then(|found| found.number.as_ref())),
            text(found.map(|found| &found.this_update)),
            text(found.and_then(|found| found.next_update.as_ref())),
            text(told.and_then(|told| told.entries.as_ref())),
            text(told.and_then(|told| told.next_run.as_ref())),
            text(told.and_then(|told| told.last_run.as_ref())),
            text(told.and_then(|told| told.pending_since.as_ref())),
        ]);
    }
    let mut lines = rows.to_string();
    for publisher in &report.publishers {
        let holder = publisher.holder.as_deref().unwrap_or("nobody");
        let mode = publisher.mode.as_deref().unwrap_or("not told");
        lines.push_str(&format!("\n{} ({mode}): published by {holder}", publisher.authority));
    }
    lines
}

fn value(report: &DirectoryReport, now: &str) -> Value {
    let crl = |crl: &CrlReport| {
        let mut value = crl.found.as_ref().map_or_else(|| json!({"name": crl.name}), found_value);
        value["state"] = json!(crl.state);
        value["fault"] = json!(crl.fault);
        if let Some(told) = &crl.told {
            value["entries"] = json!(told.entries);
            value["nextRun"] = json!(told.next_run);
            value["renewBy"] = json!(told.renew_by);
            value["lastRun"] = json!(told.last_run);
            value["error"] = json!(told.error);
            value["pendingSince"] = json!(told.pending_since);
            value["toDo"] = json!(told.to_do);
        }
        value
    };
    let publishers: Vec<Value> = (report.publishers.iter())
        .map(|of| json!({"authority": of.authority, "mode": of.mode, "holder": of.holder, "fault": of.fault}))
        .collect();
    json!({
        "time": now,
        "crls": report.crls.iter().map(crl).collect::<Vec<_>>(),
        "publishers": publishers,
    })
}
