//! `ca notify`.

use ca_core::notify::config::NotifyConfig;
use ca_core::notify::{Audience, Notice, Notify, NotifyReport, notify};
use serde_json::{Value, json};

use crate::args::NotifyArgs;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::report::show;

pub(super) fn run(args: &NotifyArgs, context: &Context) -> Result<()> {
    let home = context.home()?;
    let config = NotifyConfig::load(&home)?;
    let audience = match (args.to_person, args.to_admin) {
        (true, false) => Audience::People,
        (false, true) => Audience::Administrators,
        _ => Audience::Everyone,
    };
    let request = Notify {
        thresholds: args.within.clone(),
        audience,
        dry_run: args.dry_run,
        repeat_doubtful: args.repeat_doubtful,
        actor: &context.actor(),
    };
    let now = context.now()?;
    let report = context.waiting(|wait| notify(&home, &config, &request, now, wait))?;
    show(context, &text(&report, args.dry_run), &value(&report, args.dry_run))?;
    for doubtful in &report.doubtful {
        context.note(&format!("possibly sent, not sent again (see --repeat-doubtful): {doubtful}"));
    }
    let failed = report.failed.len() + report.problems.len();
    match report.failed.first().map(|(notice, why)| format!("{}: {why}", notice.to)) {
        None if report.problems.is_empty() => Ok(()),
        first => Err(CliError::Failed(format!(
            "{failed} of {} notices and files failed, the first: {}",
            failed + report.sent.len(),
            first.or_else(|| report.problems.first().cloned()).unwrap_or_default()
        ))),
    }
}

fn text(report: &NotifyReport, dry_run: bool) -> String {
    let line = |notice: &Notice| format!("  {}  {}\n", notice.to, notice.subject);
    let done = if dry_run { "Would send" } else { "Sent" };
    let mut text = format!("{done} {} notices.\n", report.sent.len());
    text.extend(report.sent.iter().map(|notice| {
        let body = if dry_run { indent(&notice.body) } else { String::new() };
        line(notice) + &body
    }));
    text.extend(report.failed.iter().map(|(notice, why)| format!("{}    failed: {why}\n", line(notice))));
    text.extend(report.problems.iter().map(|problem| format!("  {problem}\n")));
    text
}

fn indent(body: &str) -> String {
    body.lines().map(|line| format!("    | {line}\n")).collect()
}

fn value(report: &NotifyReport, dry_run: bool) -> Value {
    let notice = |notice: &Notice| json!({"id": notice.id, "to": notice.to, "subject": notice.subject, "reasons": notice.reasons});
    let failed = |(failed, why): &(Notice, String)| {
        let mut value = notice(failed);
        value["why"] = json!(why);
        value
    };
    json!({
        "dryRun": dry_run,
        "sent": report.sent.iter().map(notice).collect::<Vec<_>>(),
        "failed": report.failed.iter().map(failed).collect::<Vec<_>>(),
        "doubtful": report.doubtful,
        "problems": report.problems,
    })
}
