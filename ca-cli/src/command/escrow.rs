//! `ca escrow`: agents, threshold, what is archived.

mod recovery;

pub(super) use recovery::read_shares;

use ca_core::domain::Timestamp;
use ca_core::escrow::{self, ArchivedKey, EscrowPolicy, Wanted};
use serde_json::{Value, json};

use crate::args::{AgentCommand, EscrowCommand, HistoryCommand, ThresholdArgs};
use crate::context::Context;
use crate::error::Result;
use crate::report::show;

pub(super) fn run(command: EscrowCommand, context: &Context) -> Result<()> {
    match command {
        EscrowCommand::Agent(command) => agent(command, context),
        EscrowCommand::Complete(args) => recovery::complete(&args, context),
        EscrowCommand::Contribute(args) => recovery::contribute(&args, context),
        EscrowCommand::List { email } => list(email, context),
        EscrowCommand::Recover(args) => recovery::recover(&args, context),
        EscrowCommand::Threshold(args) => threshold(&args, context),
    }
}

/// `ca history`.
pub(super) fn history(command: HistoryCommand, context: &Context) -> Result<()> {
    match command {
        HistoryCommand::Export(args) => recovery::history_export(&args, context),
    }
}

fn agent(command: AgentCommand, context: &Context) -> Result<()> {
    let home = context.home()?;
    let now = context.now()?;
    let actor = context.actor();
    let policy = match command {
        AgentCommand::Add { name, certificate } => {
            context.waiting(|wait| escrow::add_agent(&home, &name, &certificate, &actor, now, wait))?
        }
        AgentCommand::List => escrow::policy(&home)?,
        AgentCommand::Remove { name } => {
            context.waiting(|wait| escrow::remove_agent(&home, &name, &actor, now, wait))?
        }
    };
    show_policy(&policy, now, context)
}

fn threshold(args: &ThresholdArgs, context: &Context) -> Result<()> {
    let home = context.home()?;
    let now = context.now()?;
    let wanted = if args.threshold_one { Some(1) } else { args.threshold };
    let policy = match wanted {
        None => escrow::policy(&home)?,
        Some(threshold) => context.waiting(|wait| {
            escrow::set_threshold(&home, threshold, args.threshold_one, &context.actor(), now, wait)
        })?,
    };
    show_policy(&policy, now, context)
}

fn show_policy(policy: &EscrowPolicy, now: Timestamp, context: &Context) -> Result<()> {
    let count = policy.agents().len();
    let missing = usize::from(policy.threshold()).saturating_sub(count);
    let mut text = format!("{} of {count} recovery agents recover a key.\n", policy.threshold());
    if missing > 0 {
        text = format!(
            "A recovery needs {} agents and there are {count}; no key can be archived until {missing} more are added.\n",
            policy.threshold()
        );
    } else if missing == 0 && count == usize::from(policy.threshold()) && count > 1 {
        context.note(
            "every agent is needed: if one loses the key, the archived keys are lost; add another agent",
        );
    }
    let mut agents = Vec::new();
    for agent in policy.agents() {
        let tbs = &agent.certificate().tbs_certificate;
        let not_after = Timestamp::from(tbs.validity.not_after);
        let valid = agent.check_validity(now).is_ok();
        let state = if valid { "until" } else { "NOT VALID, until" };
        text.push_str(&format!("  {:20}  {state} {not_after}  {}\n", agent.name(), tbs.subject));
        agents.push(json!({
            "name": agent.name(),
            "subject": tbs.subject.to_string(),
            "notAfter": not_after.to_string(),
            "valid": valid,
            "spkiSha256": agent.key_hash().to_string(),
        }));
    }
    show(context, &text, &json!({"threshold": policy.threshold(), "agents": agents}))
}

fn list(email: Vec<String>, context: &Context) -> Result<()> {
    let home = context.home()?;
    let wanted = Wanted::Mailboxes(email);
    let keys = context.waiting(|wait| escrow::archived(&home, &wanted, wait))?;
    let mut text = format!("{:40}  {:20}  {:20}  ARCHIVE\n", "SERIAL", "NOT BEFORE", "NOT AFTER");
    for key in &keys {
        let record = &key.issuance.record;
        text.push_str(&format!(
            "{:40}  {:20}  {:20}  {}\n",
            record.serial.to_string(),
            record.not_before.to_string(),
            record.not_after.to_string(),
            short(&key.sha256)
        ));
    }
    show(context, &text, &json!({"keys": keys.iter().map(key_value).collect::<Vec<_>>()}))
}

fn short(sha256: &[u8; 32]) -> String {
    hex::encode(&sha256[..8])
}

fn key_value(key: &ArchivedKey) -> Value {
    let record = &key.issuance.record;
    json!({
        "serial": record.serial.to_string(),
        "notBefore": record.not_before.to_string(),
        "notAfter": record.not_after.to_string(),
        "template": record.template,
        "person": record.person,
        "archive": hex::encode(key.sha256),
    })
}
