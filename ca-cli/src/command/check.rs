//! `ca check`.

mod urls;

use std::path::Path;

use ca_core::authority::Authority;
use ca_core::check_certificate::{Checked, Example, Signature, check_file, check_serial, check_template};
use ca_core::domain::SerialNumber;
use ca_core::domain::clients::{Client, ClientReport, Job, Reason};
use ca_core::domain::lint::Severity;
use ca_core::{AuthorityError, Home, templates};
use comfy_table::{Table, presets};
use serde_json::{Value, json};

use crate::args::{CheckArgs, CheckCommand};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::report::show;

pub(super) fn run(command: CheckCommand, context: &Context) -> Result<()> {
    match command {
        CheckCommand::Cert(args) => cert(&args, context),
        CheckCommand::Urls(args) => urls::urls(&args, context),
    }
}

fn cert(args: &CheckArgs, context: &Context) -> Result<()> {
    let (what, checked) = check(args, context)?;
    let selected = |report: &&ClientReport| args.client.is_empty() || args.client.contains(&report.client);
    let reports: Vec<&ClientReport> = checked.clients.iter().filter(selected).collect();
    show(context, &describe(&what, &checked, &reports), &value(&what, &checked, &reports))?;
    let refusing: Vec<&str> = reports
        .iter()
        .filter(|report| report.refuses() && !args.client.is_empty())
        .map(|report| report.client.title())
        .collect();
    if refusing.is_empty() {
        return Ok(());
    }
    Err(CliError::Refused(format!(
        "{} refuses the certificate; see the reasons above",
        refusing.join(" and ")
    )))
}

/// What the target is, and what was found. A file comes first: its name may be that
/// of a template.
fn check(args: &CheckArgs, context: &Context) -> Result<(String, Checked)> {
    let now = context.now()?;
    let file = Path::new(&args.target);
    if file.exists() {
        // A certificate of others can be checked without a home.
        let home = if context.home_dir.join("ca.yaml").exists() { Some(context.home()?) } else { None };
        let checked = check_file(home.as_ref(), file, args.chain.as_deref(), now)?;
        return Ok((format!("certificate of {}", file.display()), checked));
    }
    let home = context.home()?;
    if templates::names(&home)?.contains(&args.target) {
        return from_template(&home, args, context);
    }
    let Ok(serial) = SerialNumber::parse(&args.target) else {
        return Err(AuthorityError::NotFound(format!(
            "{:?} is neither a file nor a template nor a serial number; see `ca template list` and `ca cert list`",
            args.target
        ))
        .into());
    };
    let checked = context.waiting(|wait| check_serial(&home, serial, now, wait))?;
    Ok((format!("certificate {serial}"), checked))
}

fn from_template(home: &Home, args: &CheckArgs, context: &Context) -> Result<(String, Checked)> {
    let template = templates::load(home, &args.target)?;
    let authority = args.authority.as_ref().map(|name| Authority::load(home, name)).transpose()?;
    let example = Example {
        template: &template,
        authority: authority.as_ref(),
        key: args.key,
        mailbox: args.email.as_ref(),
    };
    let checked = check_template(home, &example, context.now()?)?;
    Ok((format!("example of template {}", template.name()), checked))
}

fn describe(what: &str, checked: &Checked, reports: &[&ClientReport]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["CLIENT", "KNOWN FROM", "SIGNING", "ENCRYPTION"]);
    for report in reports {
        table.add_row([
            report.client.title(),
            report.client.basis(),
            report.signing.name(),
            report.encryption.name(),
        ]);
    }
    let mut text = format!("{what}: {}\n", checked.subject);
    if checked.signature == Signature::Unknown {
        text.push_str("Its issuer is not known; give --chain.\n");
    }
    text.push_str(&format!("\n{}\n", table.trim_fmt()));
    let mut section = |title: &str, of: fn(&ClientReport) -> &[Reason]| {
        let grouped = grouped(reports, of);
        if !grouped.is_empty() {
            text.push_str(&format!("\n{title}:\n"));
        }
        for (reason, clients) in grouped {
            let names: Vec<_> = clients.iter().map(|client| client.title()).collect();
            let names = if clients.len() == Client::ALL.len() { "all".to_owned() } else { names.join("; ") };
            text.push_str(&format!("  {names}: {} ({})\n", reason.what, reason.basis));
        }
    };
    section("Refused", |report| &report.refusals);
    section("To know", |report| &report.remarks);
    if checked.lint.findings.is_empty() {
        text.push_str("\nNo norm is broken");
    } else {
        text.push_str("\nNorms broken");
    }
    text.push_str(&format!(
        " (as {}, conformance {}){}\n",
        checked.lint.kind.name(),
        checked.lint.conformance.name(),
        if checked.lint.issuer_known { "" } else { "; what compares it with its issuer was left out" }
    ));
    for finding in &checked.lint.findings {
        text.push_str(&format!("  {}: {finding}\n", severity(finding.severity)));
    }
    text
}

/// Each reason once, with the clients that it holds for.
fn grouped<'a>(
    reports: &[&'a ClientReport],
    of: fn(&ClientReport) -> &[Reason],
) -> Vec<(&'a Reason, Vec<Client>)> {
    let mut groups: Vec<(&Reason, Vec<Client>)> = Vec::new();
    for report in reports {
        for reason in of(report) {
            match groups.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, clients)) => clients.push(report.client),
                None => groups.push((reason, vec![report.client])),
            }
        }
    }
    groups
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn value(what: &str, checked: &Checked, reports: &[&ClientReport]) -> Value {
    let reasons = |reasons: &[Reason]| -> Value {
        reasons
            .iter()
            .map(|reason| {
                let jobs: Vec<_> = reason.jobs.iter().map(|job| job_name(*job)).collect();
                json!({"rule": reason.rule, "what": reason.what, "basis": reason.basis, "jobs": jobs})
            })
            .collect()
    };
    let clients: Value = reports
        .iter()
        .map(|report| {
            json!({
                "client": report.client.name(),
                "basis": report.client.basis(),
                "refuses": report.refuses(),
                "signing": report.signing.name(),
                "encryption": report.encryption.name(),
                "refusals": reasons(&report.refusals),
                "remarks": reasons(&report.remarks),
            })
        })
        .collect();
    let norms: Value = checked
        .lint
        .findings
        .iter()
        .map(|finding| {
            json!({
                "lint": finding.lint,
                "severity": severity(finding.severity),
                "what": finding.what,
                "source": finding.source,
                "client": finding.client,
            })
        })
        .collect();
    json!({
        "target": what,
        "subject": checked.subject,
        "kind": checked.lint.kind.name(),
        "conformance": checked.lint.conformance.name(),
        "issuersKnown": checked.issuers,
        "signature": checked.signature.name(),
        "clients": clients,
        "norms": norms,
    })
}

const fn job_name(job: Job) -> &'static str {
    match job {
        Job::Sign => "signing",
        Job::Encrypt => "encryption",
    }
}
