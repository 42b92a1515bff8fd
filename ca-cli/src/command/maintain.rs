//! `ca maintain`.

use std::cell::RefCell;

use ca_core::config::maintain::SignerConfig;
use ca_core::maintain::{HeartbeatOutcome, Maintain, MaintainReport, SignerOutcome, maintain};
use ca_core::signing::{Passphrase, PassphraseSource};
use ca_core::{AuthorityError, ErrorClass};
use serde_json::{Value, json};

use super::authority::source;
use crate::args::MaintainArgs;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::report::done;

pub(super) fn run(args: &MaintainArgs, context: &Context) -> Result<()> {
    let home = context.home()?;
    let now = context.now()?;
    // A descriptor can be read once, and may be for several authorities.
    let given: RefCell<Option<Passphrase>> = RefCell::new(None);
    let passphrase = |signer: &SignerConfig| -> ca_core::Result<Passphrase> {
        let configured = signer.passphrase().map_err(|what| AuthorityError::Input(what.into()))?;
        if configured != PassphraseSource::None
            && let Some(passphrase) = configured.read()?
        {
            return Ok(passphrase);
        }
        if let Some(passphrase) = &*given.borrow() {
            return Ok(passphrase.clone());
        }
        let read = source(&args.passphrase).read(&format!("authority {}", signer.authority));
        let read = read.map_err(|error| match error {
            CliError::Authority(error) => error,
            other => AuthorityError::Input(other.to_string()),
        })?;
        Ok(given.borrow_mut().insert(read).clone())
    };
    let request = Maintain { dry_run: args.dry_run, passphrase: &passphrase, actor: &context.actor() };
    let report = context.waiting(|wait| maintain(&home, &request, now, wait));
    done(context, &text(&report), &value(&report, args.dry_run))?;
    let mut failures = report.failures();
    let Some((what, first)) = failures.next() else { return Ok(()) };
    let more = failures.count();
    let others = if more == 0 { String::new() } else { format!("{more} more failed, see above; ") };
    let text = format!("{others}{what}: {first}");
    Err(match first.class() {
        ErrorClass::Refused => CliError::Refused(text),
        _ => CliError::Failed(text),
    })
}

fn text(report: &MaintainReport) -> String {
    let mut text = String::new();
    for (signer, outcome) in &report.signers {
        let path = signer.certificate.display();
        let said = match outcome {
            SignerOutcome::NoRequest => "nothing to do, no request waits".to_owned(),
            SignerOutcome::Issued { serial, not_after } => {
                format!("issued {serial}, valid until {not_after}\n  wrote {path}")
            }
            SignerOutcome::Delivered { serial, not_after } => {
                format!("{serial}, valid until {not_after}, had been issued\n  wrote {path}")
            }
            SignerOutcome::Waiting { serial } => {
                format!("nothing to do, {serial} waits for the responder in {path}")
            }
            SignerOutcome::Due => format!("due: would write {path}"),
            SignerOutcome::Failed(error) => format!("failed: {error}"),
        };
        text += &format!("OCSP signer of {}: {said}\n", signer.authority);
    }
    text += &match &report.heartbeat {
        HeartbeatOutcome::NotDue => "Heartbeat: not due".to_owned(),
        HeartbeatOutcome::Signed { size } => format!("Heartbeat: signed the checkpoint of {size} entries"),
        HeartbeatOutcome::Due => "Heartbeat: due".to_owned(),
        HeartbeatOutcome::Failed(error) => format!("Heartbeat: failed: {error}"),
    };
    text
}

fn value(report: &MaintainReport, dry_run: bool) -> Value {
    let signer = |(signer, outcome): &(SignerConfig, SignerOutcome)| {
        let mut value = json!({
            "authority": signer.authority,
            "request": signer.request,
            "certificate": signer.certificate,
        });
        let (state, serial, not_after) = match outcome {
            SignerOutcome::NoRequest => ("noRequest", None, None),
            SignerOutcome::Issued { serial, not_after } => ("issued", Some(serial), Some(not_after)),
            SignerOutcome::Delivered { serial, not_after } => ("delivered", Some(serial), Some(not_after)),
            SignerOutcome::Waiting { serial } => ("waiting", Some(serial), None),
            SignerOutcome::Due => ("due", None, None),
            SignerOutcome::Failed(error) => {
                value["why"] = json!(error.to_string());
                ("failed", None, None)
            }
        };
        value["state"] = json!(state);
        value["serial"] = json!(serial.map(ToString::to_string));
        value["notAfter"] = json!(not_after.map(ToString::to_string));
        value
    };
    let heartbeat = match &report.heartbeat {
        HeartbeatOutcome::NotDue => json!({"state": "notDue"}),
        HeartbeatOutcome::Signed { size } => json!({"state": "signed", "size": size}),
        HeartbeatOutcome::Due => json!({"state": "due"}),
        HeartbeatOutcome::Failed(error) => json!({"state": "failed", "why": error.to_string()}),
    };
    json!({
        "dryRun": dry_run,
        "ocspSigners": report.signers.iter().map(signer).collect::<Vec<_>>(),
        "heartbeat": heartbeat,
    })
}
