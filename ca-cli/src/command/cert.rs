//! `ca cert`.

use ca_core::authority::Authority;
use ca_core::domain::{KeyIdentifier, RevocationState, SerialNumber, Timestamp};
use ca_core::export::export;
use ca_core::index::{CertificateRecord, Filter};
use ca_core::inventory::{Inventory, Issuance};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Write;
use std::ops::ControlFlow;

use crate::args::{CertCommand, ExportArgs, ExportFormat, ListArgs};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::report::{deliver, lines, show};

pub(super) fn run(command: CertCommand, context: &Context) -> Result<()> {
    match command {
        CertCommand::List(args) => list(&args, context),
        CertCommand::Show { serial } => show_one(&serial, context),
        CertCommand::Export { serial, form } => export_one(&serial, &form, context),
    }
}

fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let home = context.home()?;
    let now = context.now()?;
    let mut names: HashMap<KeyIdentifier, String> = HashMap::new();
    for authority in Authority::all(&home)? {
        names.insert(authority.key_id()?, authority.name().to_owned());
    }
    let authority =
        args.authority.as_deref().map(|name| Authority::load(&home, name)?.key_id()).transpose()?;
    let filter = Filter {
        mailbox: args.mailbox.clone(),
        template: args.template.clone(),
        authority,
        state: args.state.map(Into::into),
        expiring_before: args.expiring_within.map(|seconds| now.saturating_add(seconds)),
        ..Filter::default()
    };
    let out = context.waiting(|wait| -> Result<Listing> {
        let mut inventory = Inventory::open(&home, wait)?;
        // Only now: an error before it leaves nothing half printed.
        let mut out = Listing::begin(args, context)?;
        let mut failed: Option<CliError> = None;
        inventory.query(&filter, now, args.limit, wait, &mut |record| {
            let authority = names.get(&record.authority).map_or("?", String::as_str);
            match out.row(&record, authority, now) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(out), Err)
    })?;
    out.end(context)
}

/// Rows go out as they are found, so that a million of them need no memory.
enum Listing {
    Csv(Box<csv::Writer<Box<dyn Write>>>),
    Json { out: Box<dyn Write>, count: u64 },
    Table { out: Box<dyn Write>, count: u64 },
}

const COLUMNS: [&str; 7] = ["serial", "state", "not_after", "template", "authority", "person", "mailboxes"];

impl Listing {
    fn begin(args: &ListArgs, context: &Context) -> Result<Self> {
        let mut out: Box<dyn Write> = Box::new(lines());
        if context.json {
            write!(out, "{{\"certificates\":[")?;
            return Ok(Self::Json { out, count: 0 });
        }
        if args.csv {
            let mut writer = csv::Writer::from_writer(out);
            writer.write_record(COLUMNS).map_err(csv_error)?;
            return Ok(Self::Csv(Box::new(writer)));
        }
        Ok(Self::Table { out, count: 0 })
    }

    fn row(&mut self, record: &CertificateRecord, authority: &str, now: Timestamp) -> Result<()> {
        match self {
            Self::Csv(writer) => {
                let fields = [
                    record.serial.to_string(),
                    state(record, now),
                    record.not_after.to_string(),
                    record.template.clone(),
                    authority.to_owned(),
                    record.person.clone(),
                    record.mailboxes.join(" "),
                ];
                writer.write_record(fields).map_err(csv_error)?;
            }
            Self::Json { out, count } => {
                if *count > 0 {
                    out.write_all(b",")?;
                }
                serde_json::to_writer(&mut *out, &record_value(record, authority, now))
                    .map_err(std::io::Error::from)?;
                *count += 1;
            }
            Self::Table { out, count } => {
                if *count == 0 {
                    writeln!(
                        out,
                        "{:40}  {:8}  {:20}  {:20}  PERSON",
                        "SERIAL", "STATE", "NOT AFTER", "TEMPLATE"
                    )?;
                }
                writeln!(
                    out,
                    "{:40}  {:8}  {:20}  {:20}  {}",
                    record.serial.to_string(),
                    state(record, now),
                    record.not_after.to_string(),
                    record.template,
                    record.person
                )?;
                *count += 1;
            }
        }
        Ok(())
    }

    fn end(self, context: &Context) -> Result<()> {
        match self {
            Self::Csv(mut writer) => writer.flush()?,
            Self::Json { mut out, .. } => {
                writeln!(out, "]}}")?;
                out.flush()?;
            }
            Self::Table { mut out, count } => {
                out.flush()?;
                if count == 0 {
                    context.note("no certificate matches");
                }
            }
        }
        Ok(())
    }
}

fn csv_error(error: csv::Error) -> CliError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => CliError::Output(error),
        other => CliError::Failed(format!("cannot write CSV: {other:?}")),
    }
}

pub(super) fn state(record: &CertificateRecord, now: Timestamp) -> String {
    match record.state {
        RevocationState::Held { .. } => "held".into(),
        RevocationState::Revoked { .. } => "revoked".into(),
        RevocationState::Good if record.not_after < now => "expired".into(),
        RevocationState::Good => "good".into(),
    }
}

fn record_value(record: &CertificateRecord, authority: &str, now: Timestamp) -> Value {
    let mut value = json!({
        "serial": record.serial.to_string(),
        "position": record.position,
        "state": state(record, now),
        "notBefore": record.not_before.to_string(),
        "notAfter": record.not_after.to_string(),
        "template": record.template,
        "authority": authority,
        "person": record.person,
        "mailboxes": record.mailboxes,
        "spkiSha256": record.key.to_string(),
    });
    match record.state {
        RevocationState::Good => {}
        RevocationState::Held { at } => value["heldAt"] = json!(at.to_string()),
        RevocationState::Revoked { at, reason, invalidity_date } => {
            value["revokedAt"] = json!(at.to_string());
            value["reason"] = json!(reason.name());
            if let Some(date) = invalidity_date {
                value["invalidityDate"] = json!(date.to_string());
            }
        }
    }
    value
}

/// The certificate, and its issuers if they are wanted.
fn find(serial: &str, with_chain: bool, context: &Context) -> Result<(Issuance, Vec<Vec<u8>>)> {
    let home = context.home()?;
    let serial = SerialNumber::parse(serial)?;
    context.waiting(|wait| {
        let mut inventory = Inventory::open(&home, wait)?;
        let issuance = inventory.by_serial(serial, wait)?;
        let chain = if with_chain { inventory.chain(&home, &issuance)? } else { Vec::new() };
        Ok((issuance, chain))
    })
}

fn show_one(serial: &str, context: &Context) -> Result<()> {
    let (issuance, _) = find(serial, false, context)?;
    let now = context.now()?;
    let record = &issuance.record;
    let tbs = &issuance.certificate.tbs_certificate;
    let revocation = match record.state {
        RevocationState::Good => String::new(),
        RevocationState::Held { at } => format!(" since {at}"),
        RevocationState::Revoked { at, reason, invalidity_date } => {
            let lost = invalidity_date.map(|date| format!(", key lost on {date}")).unwrap_or_default();
            format!(" on {at}, {reason}{lost}")
        }
    };
    let text = format!(
        "  serial     {}\n  state      {}{revocation}\n  subject    {}\n  mailboxes  {}\n  issuer     {} ({})\n  valid      {} to {}\n  template   {} (SHA-256 {})\n  key        SHA-256 {} ({})\n  issued     {} by {}, ledger entry {}",
        record.serial,
        state(record, now),
        tbs.subject,
        record.mailboxes.join(", "),
        tbs.issuer,
        issuance.authority,
        record.not_before,
        record.not_after,
        record.template,
        issuance.template_hash,
        record.key,
        match issuance.key_origin {
            ca_core::domain::KeyOrigin::Csr => "from a request",
            ca_core::domain::KeyOrigin::Generated => "made here",
        },
        issuance.issued_at,
        issuance.actor,
        record.position,
    );
    let mut value = record_value(record, &issuance.authority, now);
    let pem = export(ca_core::export::Format::Pem, &issuance.der, &[])?;
    value["subject"] = json!(tbs.subject.to_string());
    value["issuer"] = json!(tbs.issuer.to_string());
    value["templateSha256"] = json!(issuance.template_hash);
    value["keyOrigin"] = json!(issuance.key_origin);
    value["issuedAt"] = json!(issuance.issued_at.to_string());
    value["actor"] = json!(issuance.actor);
    value["certificate"] = json!(String::from_utf8_lossy(&pem));
    show(context, &text, &value)
}

fn export_one(serial: &str, form: &ExportArgs, context: &Context) -> Result<()> {
    let with_chain = matches!(form.format, ExportFormat::Chain | ExportFormat::P7b);
    let (issuance, chain) = find(serial, with_chain, context)?;
    let bytes = export(form.format.into(), &issuance.der, &chain)?;
    deliver(context, form.out.as_deref(), &bytes, form.force)
}
