//! `ca revoke`, `ca hold`, `ca release`.

use ca_core::domain::{ReasonCode, RevocationState, SerialNumber, Transition};
use ca_core::people;
use ca_core::revoke::{self, Step, Target};
use serde_json::{Value, json};

use crate::args::{ReleaseArgs, RevokeArgs, TargetArgs};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::plan::confirm;
use crate::report::{done, say, show};

/// Words for one kind of act.
struct Words {
    plan: &'static str,
    done: &'static str,
    key: &'static str,
}

pub(super) fn revoke(args: &RevokeArgs, context: &Context) -> Result<()> {
    if args.reason == ReasonCode::CertificateHold {
        return Err(CliError::Usage(
            "certificateHold is a suspension; use `ca hold` and `ca release`".into(),
        ));
    }
    let transition = Transition::Revoke { reason: args.reason, invalidity_date: args.invalidity_date };
    let words = Words { plan: "revoke", done: "Revoked", key: "revoked" };
    run(&args.target, transition, &words, &args.act, context)
}

pub(super) fn hold(args: &ReleaseArgs, context: &Context) -> Result<()> {
    let words = Words { plan: "put on hold", done: "Put on hold", key: "held" };
    run(&args.target, Transition::Hold, &words, &args.act, context)
}

pub(super) fn release(args: &ReleaseArgs, context: &Context) -> Result<()> {
    let words = Words { plan: "release", done: "Released", key: "released" };
    run(&args.target, Transition::Release, &words, &args.act, context)
}

fn run(
    target: &TargetArgs,
    transition: Transition,
    words: &Words,
    act: &crate::args::ActArgs,
    context: &Context,
) -> Result<()> {
    let home = context.home()?;
    let target = to_target(target)?;
    // One certificate named by its serial number needs no second look.
    let explicit = matches!(&target, Target::Serials(serials) if serials.len() == 1);
    context.waiting(|wait| {
        let mut now = context.now()?;
        let mut plan = revoke::plan(&home, &target, transition, now, wait)?;
        if act.confirm.dry_run {
            let head = format!("Would {}", words.plan);
            return show(
                context,
                &lines(&head, &plan.steps, &plan.skipped),
                &value("plan", &plan.steps, &plan.skipped),
            );
        }
        if !explicit && !act.confirm.yes {
            say(lines(&format!("About to {}", words.plan), &plan.steps, &plan.skipped).trim_end());
            // Nobody else waits while a person thinks.
            let shown = serials(&plan.steps);
            drop(plan);
            confirm("Go on?", false)?;
            now = context.now()?;
            plan = revoke::plan(&home, &target, transition, now, wait)?;
            if serials(&plan.steps) != shown {
                return Err(CliError::Refused(
                    "other certificates would change now than those shown; look again, nothing was changed"
                        .into(),
                ));
            }
        }
        let skipped = plan.skipped.clone();
        let steps = plan.execute(&context.actor(), act.note.as_deref(), now, wait)?;
        done(context, &lines(words.done, &steps, &skipped), &value(words.key, &steps, &skipped))
    })
}

fn serials(steps: &[Step]) -> Vec<SerialNumber> {
    steps.iter().map(|step| step.record.serial).collect()
}

fn to_target(args: &TargetArgs) -> Result<Target> {
    if let Some(email) = &args.email {
        return Ok(Target::Mailbox(email.clone()));
    }
    if let Some(path) = &args.batch {
        let file = path.display().to_string();
        let table = people::parse(&crate::input::read_limited(path, people::MAX_LEN)?, &file)?;
        return Ok(Target::People { people: table.complete(&file)?, file });
    }
    if let Some(path) = &args.file {
        return Ok(Target::Serials(crate::input::serials(path)?));
    }
    let serials =
        args.serials.iter().map(|text| SerialNumber::parse(text)).collect::<std::result::Result<_, _>>()?;
    Ok(Target::Serials(serials))
}

fn lines(head: &str, steps: &[Step], skipped: &[(SerialNumber, String)]) -> String {
    let mut text =
        format!("{head} {} certificate{}:\n", steps.len(), if steps.len() == 1 { "" } else { "s" });
    for step in steps {
        let record = &step.record;
        let reason = match step.after {
            RevocationState::Revoked { reason, .. } => format!("  {reason}"),
            _ => String::new(),
        };
        text.push_str(&format!("  {}  {}  {}{reason}\n", record.serial, record.person, record.template));
    }
    for (serial, why) in skipped {
        text.push_str(&format!("  {serial}  unchanged: {why}\n"));
    }
    text
}

fn value(key: &str, steps: &[Step], skipped: &[(SerialNumber, String)]) -> Value {
    let steps: Vec<Value> = steps.iter().map(step_value).collect();
    let skipped: Vec<Value> =
        skipped.iter().map(|(serial, why)| json!({"serial": serial.to_string(), "why": why})).collect();
    json!({key: steps, "skipped": skipped})
}

fn step_value(step: &Step) -> Value {
    let mut value = json!({
        "serial": step.record.serial.to_string(),
        "person": step.record.person,
        "template": step.record.template,
    });
    match step.after {
        RevocationState::Good => {}
        RevocationState::Held { at } => value["at"] = json!(at.to_string()),
        RevocationState::Revoked { at, reason, invalidity_date } => {
            value["at"] = json!(at.to_string());
            value["reason"] = json!(reason.name());
            if let Some(date) = invalidity_date {
                value["invalidityDate"] = json!(date.to_string());
            }
        }
    }
    value
}
