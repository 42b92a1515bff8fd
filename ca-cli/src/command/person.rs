//! `ca person`.

use ca_core::domain::{ReasonCode, RevocationState, Timestamp};
use ca_core::person::{
    LeavePlan, RenamePlan, RenameRequest, dossier, is_same, plan_leave, plan_rename, rename,
};
use serde_json::{Value, json};

use super::authority::unlock;
use super::cert::state;
use super::pair::{escrow, issued_value, written};
use super::renew::{candidate_value, count, files, line, skipped_value};
use crate::args::{LeaveArgs, PersonCommand, RenameArgs};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::plan::confirm;
use crate::report::{done, say, show};

pub(super) fn run(command: PersonCommand, context: &Context) -> Result<()> {
    match command {
        PersonCommand::Show { email } => show_one(&email, context),
        PersonCommand::Leave(args) => leave(&args, context),
        PersonCommand::Rename(args) => rename_one(&args, context),
    }
}

fn show_one(email: &str, context: &Context) -> Result<()> {
    let home = context.home()?;
    let now = context.now()?;
    let found = context.waiting(|wait| dossier(&home, email, now, wait))?;
    let mut text = format!("{email}\n");
    for left in &found.left {
        text.push_str(&format!(
            "  left        {} (by {}), ledger entry {}\n",
            left.at, left.actor, left.position
        ));
        if let Some(note) = &left.note {
            text.push_str(&format!("              {note}\n"));
        }
    }
    let mut values = Vec::new();
    for one in &found.certificates {
        let record = &one.record;
        let archived = if one.escrow.is_some() { ", key archived" } else { "" };
        text.push_str(&format!(
            "  {}  {:8}  {}  {} to {}{archived}\n",
            record.serial,
            state(record, now),
            record.template,
            record.not_before,
            record.not_after
        ));
        if !is_same(&record.person, email) {
            text.push_str(&format!("    is {}'s\n", record.person));
        }
        if let RevocationState::Revoked { at, reason, .. } = record.state {
            text.push_str(&format!("    revoked {at}, {reason}\n"));
        }
        values.push(json!({
            "serial": record.serial.to_string(),
            "position": record.position,
            "state": state(record, now),
            "template": record.template,
            "authority": one.authority,
            "person": record.person,
            "mailboxes": record.mailboxes,
            "notBefore": record.not_before.to_string(),
            "notAfter": record.not_after.to_string(),
            "keyOrigin": one.key_origin,
            "escrow": one.escrow.map(hex::encode),
            "issuedAt": one.issued_at.to_string(),
            "actor": one.actor,
        }));
    }
    let left: Vec<_> = found
        .left
        .iter()
        .map(|left| json!({"at": left.at.to_string(), "position": left.position, "actor": left.actor, "note": left.note}))
        .collect();
    let mut recoveries = Vec::new();
    for one in &found.recoveries {
        let done =
            one.agents.as_ref().map_or("asked for".into(), |agents| format!("by {}", agents.join(", ")));
        text.push_str(&format!(
            "  recovery {}  {}  {done}, ledger entry {}\n",
            one.request, one.at, one.position
        ));
        recoveries.push(json!({
            "request": one.request,
            "at": one.at.to_string(),
            "position": one.position,
            "agents": one.agents,
            "actor": one.actor,
        }));
    }
    let mut exports = Vec::new();
    for one in &found.exports {
        let serial = one.serial.map(|serial| serial.to_string());
        text.push_str(&format!(
            "  exported {}  {}  for {}, ledger entry {}\n",
            serial.as_deref().unwrap_or_default(),
            one.at,
            one.form,
            one.position
        ));
        exports.push(json!({
            "serial": serial,
            "at": one.at.to_string(),
            "position": one.position,
            "form": one.form,
            "sha256": one.sha256,
            "actor": one.actor,
        }));
    }
    let mut requests = Vec::new();
    for request in &found.requests {
        let document = &request.document;
        text.push_str(&format!(
            "  request {}  {:8}  {}  {} by {}\n",
            document.id,
            request.state.name(),
            document.template,
            document.submitted,
            document.actor
        ));
        requests.push(json!({
            "id": document.id,
            "state": request.state.name(),
            "template": document.template,
            "submitted": document.submitted.to_string(),
            "actor": document.actor,
        }));
    }
    let value = json!({
        "mailbox": email,
        "left": left,
        "certificates": values,
        "recoveries": recoveries,
        "exports": exports,
        "requests": requests,
    });
    show(context, &text, &value)
}

fn leave(args: &LeaveArgs, context: &Context) -> Result<()> {
    if args.reason == ReasonCode::CertificateHold {
        return Err(CliError::Usage("certificateHold is a suspension; use `ca hold` instead".into()));
    }
    let home = context.home()?;
    context.waiting(|wait| {
        let look =
            |now: Timestamp| plan_leave(&home, &args.email, args.reason, args.encryption.into(), now, wait);
        let mut now = context.now()?;
        let mut plan = look(now)?;
        if args.act.confirm.dry_run {
            let text = leave_lines("Would revoke", &plan);
            return show(context, &text, &leave_value("plan", &plan));
        }
        if !args.act.confirm.yes {
            say(leave_lines("About to revoke", &plan).trim_end());
            let shown = leave_value("plan", &plan);
            // Nobody else waits while a person thinks.
            drop(plan);
            confirm("Go on?", false)?;
            now = context.now()?;
            plan = look(now)?;
            if leave_value("plan", &plan)["kept"] != shown["kept"] {
                return Err(CliError::Refused(
                    "other certificates would change now than those shown; look again, nothing was changed"
                        .into(),
                ));
            }
        }
        let text = leave_lines("Revoked", &plan);
        let value = leave_value("revoked", &plan);
        plan.execute(&context.actor(), args.act.note.as_deref(), now, wait)?;
        done(context, &text, &value)
    })
}

fn leave_lines(head: &str, plan: &LeavePlan) -> String {
    let mut text = format!("{head} {}:\n", count(plan.revoked.len()));
    for step in &plan.revoked {
        let record = &step.record;
        text.push_str(&format!("  {}  {}  {}\n", record.serial, record.person, record.template));
    }
    for (record, why) in &plan.kept {
        text.push_str(&format!("  {}  unchanged: {why}\n", record.serial));
    }
    text
}

fn leave_value(key: &str, plan: &LeavePlan) -> Value {
    let steps: Vec<_> = plan
        .revoked
        .iter()
        .map(|step| json!({"serial": step.record.serial.to_string(), "template": step.record.template}))
        .collect();
    let kept: Vec<_> = plan
        .kept
        .iter()
        .map(|(record, why)| json!({"serial": record.serial.to_string(), "template": record.template, "why": why}))
        .collect();
    json!({key: steps, "kept": kept})
}

fn rename_one(args: &RenameArgs, context: &Context) -> Result<()> {
    let home = context.home()?;
    let now = context.now()?;
    let plan = context.waiting(|wait| plan_rename(&home, &args.email, &args.to, now, wait))?;
    if args.confirm.dry_run {
        return show(context, &rename_lines("Would issue", &plan), &rename_value(&plan));
    }
    if !args.confirm.yes {
        say(rename_lines("About to issue", &plan).trim_end());
        confirm("Go on?", false)?;
    }
    let Some(first) = plan.candidates.first() else { return Ok(()) };
    let files = files(&args.new, None)?;
    let issuer = unlock(&home, &first.old.authority, &args.passphrase)?;
    let request = RenameRequest {
        issuer: &issuer,
        key: args.new.key,
        days: args.new.days,
        keep_encryption: args.keep_encryption,
        escrow: escrow(args.new.no_escrow),
        files: &files,
        actor: &context.actor(),
    };
    let now = context.now()?;
    let issued = context.waiting(|wait| rename(&home, &plan, &request, now, wait))?;
    let mut text = String::new();
    let mut values = Vec::new();
    for (new, candidate) in issued.iter().zip(&plan.candidates) {
        let old = &candidate.old.record;
        text.push_str(&format!(
            "Issued {} for {} in place of {}, of template {}.\n{}",
            new.serial,
            plan.to,
            old.serial,
            old.template,
            written(new)
        ));
        let mut value = issued_value(new);
        value["replaces"] = json!(old.serial.to_string());
        value["files"] = json!(new.files);
        values.push(value);
    }
    done(context, &text, &json!({"issued": values, "mailbox": plan.to.as_str()}))
}

fn rename_lines(head: &str, plan: &RenamePlan) -> String {
    let mut text = format!("{head} {} for {} in place of:\n", count(plan.candidates.len()), plan.to);
    for candidate in &plan.candidates {
        text.push_str(&line(candidate));
    }
    for (serial, why) in &plan.skipped {
        text.push_str(&format!("  {serial}  unchanged: {why}\n"));
    }
    text
}

fn rename_value(plan: &RenamePlan) -> Value {
    let candidates: Vec<_> = plan.candidates.iter().map(candidate_value).collect();
    let skipped: Vec<_> = plan.skipped.iter().map(skipped_value).collect();
    json!({"plan": candidates, "skipped": skipped, "mailbox": plan.to.as_str()})
}
