//! `ca issue`.

use ca_core::issue::{IssueRequest, Output, SubjectKey, issue};
use ca_core::templates;
use serde_json::json;

use super::authority::unlock;
use crate::args::IssueArgs;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::passphrase::Source;
use crate::report::{done, show};

pub(super) fn run(args: &IssueArgs, context: &Context) -> Result<()> {
    let home = context.home()?;
    let template = templates::load(&home, &args.template)?;
    let subject = args.subject.input()?;
    let key = match &args.csr {
        Some(path) => SubjectKey::Csr(Box::new(crate::input::csr(path)?)),
        None if args.p12.is_none() && args.out_key.is_none() => {
            return Err(CliError::Usage(
                "no key to certify and none to deliver; give --csr FILE, or --p12 FILE (or --out-key FILE) for a key made here".into(),
            ));
        }
        None => SubjectKey::Generate(args.key),
    };
    let outputs = outputs(args)?;
    let issuer = unlock(&home, &args.authority, &args.passphrase)?;
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
    let issued = context.waiting(|wait| issue(&home, &request, now, wait))?;
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

fn outputs(args: &IssueArgs) -> Result<Vec<Output>> {
    let replace = args.force;
    let mut outputs = Vec::new();
    if let Some(path) = &args.out_key {
        outputs.push(Output::PrivateKey { path: path.clone(), replace });
    }
    if let Some(path) = &args.p12 {
        let source = Source {
            file: args.p12_password_file.as_ref(),
            fd: args.p12_password_fd,
            flag: "--p12-password-file or --p12-password-fd",
        };
        let shown = args.subject.name.common_name.as_ref().or(args.subject.email.first());
        let friendly_name = args.friendly_name.as_ref().or(shown).cloned().unwrap_or_default();
        outputs.push(Output::Pkcs12 {
            path: path.clone(),
            profile: args.p12_profile.into(),
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
