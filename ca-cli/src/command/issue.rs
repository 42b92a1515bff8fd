//! `ca issue`.

use ca_core::escrow;
use ca_core::issue::{IssueRequest, Issued, Output, SubjectKey, issue, issue_archived};
use ca_core::request::refuse_unapproved;
use ca_core::templates;
use serde_json::json;

use super::authority::unlock;
use crate::args::{IssueArgs, OutputArgs};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::report::{done, show};

pub(super) fn run(args: &IssueArgs, context: &Context) -> Result<()> {
    if args.batch.sample {
        return super::pair::sample(context);
    }
    let (Some(authority), Some(template)) =
        (&args.authority, args.pair.pair.then_some("").or(args.template.as_deref()))
    else {
        return Err(CliError::Usage("name the authority and the template; see `ca help issue`".into()));
    };
    if args.pair.pair {
        return super::pair::run(args, authority, context);
    }
    check(args)?;
    let home = context.home()?;
    let template = templates::load(&home, template)?;
    refuse_unapproved(&template)?;
    let subject = args.subject.input()?;
    let key = match &args.csr {
        Some(path) => SubjectKey::Csr(Box::new(crate::input::csr(path)?)),
        None if args.output.p12.is_none() && args.output.out_key.is_none() => {
            return Err(CliError::Usage(
                "no key to certify and none to deliver; give --csr FILE, or --p12 FILE (or --out-key FILE) for a key made here".into(),
            ));
        }
        None => SubjectKey::Generate(args.key),
    };
    let shown = args.subject.name.common_name.as_ref().or(args.subject.email.first());
    let outputs = outputs(&args.output, shown)?;
    let issuer = unlock(&home, authority, &args.passphrase)?;
    let request = IssueRequest {
        issuer: &issuer,
        template: &template,
        subject: &subject,
        key,
        days: args.days,
        outputs: &outputs,
        actor: &context.actor(),
    };
    let now = context.now()?;
    let policy = if args.escrow { Some(escrow::policy_for_sealing(&home, now)?) } else { None };
    let issued = context.waiting(|wait| match &policy {
        Some(policy) => issue_archived(&home, &request, policy, now, wait),
        None => issue(&home, &request, now, wait),
    })?;
    report(&issued, context)
}

/// What only a pair can do without.
fn check(args: &IssueArgs) -> Result<()> {
    let output = &args.output;
    if args.csr.is_some() && (args.key.is_some() || output.p12.is_some()) {
        return Err(CliError::Usage("a request brings its key; leave --key and --p12 out, or --csr".into()));
    }
    let about_p12 = output.protection.password.is_given() || output.friendly_name.is_some();
    if about_p12 && output.p12.is_none() {
        return Err(CliError::Usage("there is no PKCS#12 file to protect or name; give --p12 FILE".into()));
    }
    Ok(())
}

/// Says what was issued.
pub(super) fn report(issued: &Issued, context: &Context) -> Result<()> {
    let files: Vec<_> =
        issued.files.iter().map(|path| format!("  wrote       {}\n", path.display())).collect();
    let mut text = format!(
        "Issued certificate {}.\n  valid       {} to {}\n  ledger      entry {}\n{}",
        issued.serial,
        issued.not_before,
        issued.not_after,
        issued.position,
        files.concat()
    );
    if issued.files.is_empty() {
        if context.quiet && !context.json {
            text.clear();
        }
        text.push_str(&issued.pem);
    }
    let value = json!({
        "serial": issued.serial.to_string(),
        "position": issued.position,
        "notBefore": issued.not_before.to_string(),
        "notAfter": issued.not_after.to_string(),
        "certificate": issued.pem,
        "files": issued.files,
    });
    if issued.files.is_empty() { show(context, &text, &value) } else { done(context, &text, &value) }
}

/// The files to deliver; `shown` names a key that has no friendly name.
pub(super) fn outputs(args: &OutputArgs, shown: Option<&String>) -> Result<Vec<Output>> {
    let replace = args.force;
    let mut outputs = Vec::new();
    if let Some(path) = &args.out_key {
        outputs.push(Output::PrivateKey { path: path.clone(), replace });
    }
    if let Some(path) = &args.p12 {
        let source = args.protection.password.source();
        let friendly_name = args.friendly_name.as_ref().or(shown).cloned().unwrap_or_default();
        outputs.push(Output::Pkcs12 {
            path: path.clone(),
            profile: args.protection.p12_profile.into(),
            password: source.create(&path.display().to_string())?,
            friendly_name,
            replace,
        });
    }
    if let Some(path) = &args.out {
        outputs.push(Output::Certificate { path: path.clone(), replace });
    }
    if let Some(path) = &args.out_chain {
        outputs.push(Output::Chain { path: path.clone(), replace });
    }
    Ok(outputs)
}
