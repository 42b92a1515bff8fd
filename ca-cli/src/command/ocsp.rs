//! `ca ocsp`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ca_core::domain::Timestamp;
use ca_core::staple::Server;
use ca_core::status::ocsp::{Staple, ViewState};
use serde_json::{Value, json};

use crate::args::{OcspCommand, StapleArgs};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::report::{done, show};

pub(super) fn run(command: OcspCommand, context: &Context) -> Result<()> {
    match command {
        OcspCommand::Presign(args) => super::presign::run(&args, context),
        OcspCommand::Staple(args) => staple(&args, context),
    }
}

fn staple(args: &StapleArgs, context: &Context) -> Result<()> {
    let beside = with_ending(&args.cert, "issuer");
    let issuer = args.issuer.clone().or_else(|| beside.exists().then_some(beside));
    let out = args.out.clone().unwrap_or_else(|| with_ending(&args.cert, "ocsp"));
    let server = Server::load(&args.cert, issuer.as_deref())?;
    let now = context.now()?;
    if args.check {
        let staple = server.stored(&out, now)?;
        let left = staple.next_update.seconds_since(now);
        let text = format!("{} holds an answer, {}.", out.display(), describe(&staple));
        show(context, &text, &value(&out, &staple, now))?;
        if left < args.min_left {
            return Err(CliError::Failed(format!(
                "{} ends in {} min; get a new answer with `ca ocsp staple`",
                out.display(),
                left / 60
            )));
        }
        return verdict(&args.cert, &out, &staple);
    }
    let url = args.url.as_deref().or(server.url.as_deref()).ok_or_else(|| {
        CliError::Usage(format!(
            "{} names no OCSP responder with an http:// URL; give one with --url",
            args.cert.display()
        ))
    })?;
    let timeout = Duration::from_secs(args.timeout);
    let refreshed = server.refresh(url, &out, args.reload_command.as_deref(), timeout, now)?;
    let did = if refreshed.replaced { "Wrote" } else { "Left as it is:" };
    let told = if refreshed.told { ", and ran the reload command" } else { "" };
    let text = format!("{did} {}, {}{told}.", out.display(), describe(&refreshed.staple));
    let mut value = value(&out, &refreshed.staple, now);
    value["url"] = json!(url);
    value["replaced"] = json!(refreshed.replaced);
    value["reloaded"] = json!(refreshed.told);
    done(context, &text, &value)?;
    verdict(&args.cert, &out, &refreshed.staple)
}

/// A server that staples a revocation is refused by its clients, and somebody has to know.
fn verdict(certificate: &Path, out: &Path, staple: &Staple) -> Result<()> {
    match staple.state {
        ViewState::Revoked { at, reason } => Err(CliError::Refused(format!(
            "the certificate {} is revoked since {at} ({reason}), and {} says so; give the server another",
            certificate.display(),
            out.display()
        ))),
        _ => Ok(()),
    }
}

fn describe(staple: &Staple) -> String {
    let state = state(staple);
    format!("{state}, of {}, valid until {}", staple.this_update, staple.next_update)
}

const fn state(staple: &Staple) -> &'static str {
    match staple.state {
        ViewState::Good => "good",
        ViewState::Revoked { .. } => "revoked",
        ViewState::Unknown => "unknown",
    }
}

fn value(out: &Path, staple: &Staple, now: Timestamp) -> Value {
    let mut value = json!({
        "file": out,
        "state": state(staple),
        "thisUpdate": staple.this_update.to_string(),
        "nextUpdate": staple.next_update.to_string(),
        "secondsLeft": staple.next_update.seconds_since(now),
    });
    if let ViewState::Revoked { at, reason } = staple.state {
        value["revokedAt"] = json!(at.to_string());
        value["reason"] = json!(reason.name());
    }
    value
}

/// `path` with a dot and an ending.
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}
