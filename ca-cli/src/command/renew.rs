//! `ca renew`.

use std::path::Path;

use ca_core::batch::{BatchKind, Expiring, expiring_table};
use ca_core::domain::SerialNumber;
use ca_core::renew::{Candidate, Found, RenewFiles, RenewRequest, RenewTarget, RenewalKey, find, renew};
use ca_core::{Home, people};
use serde_json::{Value, json};

use super::authority::unlock;
use super::pair::{Many, escrow, issued_value, written};
use crate::args::{NewKeyArgs, RenewArgs};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::plan::confirm;
use crate::report::{done, say, show};

pub(super) fn run(args: &RenewArgs, context: &Context) -> Result<()> {
    let home = context.home()?;
    if args.target.batch.is_some() || args.target.expiring_within.is_some() {
        return many(args, &home, context);
    }
    let target = match &args.target.email {
        Some(email) => RenewTarget::Mailbox(email.clone()),
        None => {
            let serials = args.target.serials.iter().map(|text| SerialNumber::parse(text));
            RenewTarget::Serials(serials.collect::<std::result::Result<_, _>>()?)
        }
    };
    let now = context.now()?;
    let mut found = context.waiting(|wait| find(&home, &target, now, wait))?;
    if let Some(authority) = &args.authority {
        found.candidates.retain(|candidate| candidate.old.authority == *authority);
    }
    let Some(authority) = found.candidates.first().map(|candidate| candidate.old.authority.clone()) else {
        return Err(CliError::Refused(
            "none of the certificates is of that authority; see `ca cert list`".into(),
        ));
    };
    for candidate in &found.candidates {
        candidate.refuse_overlap(args.supersede, now)?;
    }
    if args.confirm.dry_run {
        return show(context, &lines("Would renew", &found), &plan_value(&found));
    }
    let explicit = args.target.email.is_none();
    if !explicit && !args.confirm.yes {
        say(lines("About to renew", &found).trim_end());
        confirm("Go on?", false)?;
    }
    let key = match &args.csr {
        Some(path) => RenewalKey::Csr(Box::new(crate::input::csr(path)?)),
        None if args.same_key => RenewalKey::Same,
        None => RenewalKey::New(args.new.key),
    };
    let files = files(&args.new, args.out.as_deref())?;
    let issuer = unlock(&home, &authority, &args.passphrase)?;
    let request = RenewRequest {
        issuer: &issuer,
        candidates: &found.candidates,
        key,
        days: args.new.days,
        supersede: args.supersede,
        escrow: escrow(args.new.no_escrow),
        files: &files,
        actor: &context.actor(),
    };
    let now = context.now()?;
    let issued = context.waiting(|wait| renew(&home, &request, now, wait))?;
    let mut text = String::new();
    let mut values = Vec::new();
    for (new, candidate) in issued.iter().zip(&found.candidates) {
        let old = &candidate.old.record;
        text.push_str(&format!(
            "Renewed {} as {}, of template {}, valid until {}.\n{}",
            old.serial,
            new.serial,
            old.template,
            new.not_after,
            written(new)
        ));
        let mut value = issued_value(new);
        value["renews"] = json!(old.serial.to_string());
        value["files"] = json!(new.files);
        values.push(value);
    }
    done(context, &text, &json!({"renewed": values}))
}

/// `--batch` and `--expiring-within`: a directory that a later call goes on with.
fn many(args: &RenewArgs, home: &Home, context: &Context) -> Result<()> {
    let (Some(out), Some(authority)) = (args.out.as_deref(), args.authority.as_deref()) else {
        return Err(CliError::Usage("give --out DIR and --authority NAME".into()));
    };
    let now = context.now()?;
    let before = args.target.expiring_within.map(|seconds| now.saturating_add(seconds));
    let (table, name) = match (&args.target.batch, before) {
        (Some(path), _) => (crate::input::read_limited(path, people::MAX_LEN)?, path.display().to_string()),
        (None, Some(before)) => {
            let keep = !args.confirm.dry_run;
            let expiring = Expiring { authority, before, supersede: args.supersede };
            let table = context.waiting(|wait| expiring_table(home, out, expiring, keep, now, wait))?;
            (table, out.join("people.csv").display().to_string())
        }
        (None, None) => return Err(CliError::Usage("name what to renew; see `ca help renew`".into())),
    };
    let issuer = unlock(home, authority, &args.passphrase)?;
    let request = Many {
        issuer: &issuer,
        kind: BatchKind::Renew { supersede: args.supersede, before },
        table,
        table_name: &name,
        key: args.new.key,
        days: args.new.days,
        escrow: escrow(args.new.no_escrow),
        profile: args.new.protection.p12_profile.into(),
        name: None,
        out,
        run: &args.run,
        dry_run: args.confirm.dry_run,
    };
    request.run(home, context)
}

pub(super) fn files(args: &NewKeyArgs, certificates: Option<&Path>) -> Result<RenewFiles> {
    let source = args.protection.password.source();
    let password = args.p12.as_ref().map(|path| source.create(&path.display().to_string())).transpose()?;
    Ok(RenewFiles {
        pkcs12: args.p12.clone(),
        certificates: certificates.map(Path::to_owned),
        profile: args.protection.p12_profile.into(),
        password,
        replace: args.force,
    })
}

fn lines(head: &str, found: &Found) -> String {
    let mut text = format!("{head} {}:\n", count(found.candidates.len()));
    for candidate in &found.candidates {
        text.push_str(&line(candidate));
    }
    for (serial, why) in &found.skipped {
        text.push_str(&format!("  {serial}  unchanged: {why}\n"));
    }
    text
}

pub(super) fn count(certificates: usize) -> String {
    format!("{certificates} certificate{}", if certificates == 1 { "" } else { "s" })
}

pub(super) fn line(candidate: &Candidate) -> String {
    let record = &candidate.old.record;
    format!("  {}  {}  {}  until {}\n", record.serial, record.person, record.template, record.not_after)
}

fn plan_value(found: &Found) -> Value {
    let plan: Vec<_> = found.candidates.iter().map(candidate_value).collect();
    let skipped: Vec<_> = found.skipped.iter().map(skipped_value).collect();
    json!({"plan": plan, "skipped": skipped})
}

pub(super) fn candidate_value(candidate: &Candidate) -> Value {
    let record = &candidate.old.record;
    json!({
        "serial": record.serial.to_string(),
        "person": record.person,
        "template": record.template,
        "authority": candidate.old.authority,
        "notAfter": record.not_after.to_string(),
    })
}

pub(super) fn skipped_value((serial, why): &(SerialNumber, String)) -> Value {
    json!({"serial": serial.to_string(), "why": why})
}
