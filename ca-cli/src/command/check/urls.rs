//! `ca check urls`.

use std::path::Path;
use std::time::Duration;

use ca_core::check_urls::{UrlCheck, UrlOptions, Verdict, check_authority, check_file};
use ca_core::{Authority, AuthorityError};
use comfy_table::{Table, presets};
use serde_json::{Value, json};

use crate::args::UrlsArgs;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::report::show;

pub(super) fn urls(args: &UrlsArgs, context: &Context) -> Result<()> {
    let options = UrlOptions {
        now: context.now()?,
        margin: args.margin,
        timeout: Duration::from_secs(args.timeout.max(1)),
    };
    let checks = check(args, &options, context)?;
    if checks.is_empty() {
        return Err(AuthorityError::NotFound(format!(
            "{} and its issuers name no URL; there is nothing to check",
            args.target
        ))
        .into());
    }
    let count = |verdict: Verdict| checks.iter().filter(|check| check.verdict == verdict).count();
    let (wrong, expiring) = (count(Verdict::Wrong), count(Verdict::Expiring));
    show(context, &describe(&checks), &value(args, &checks, wrong + expiring == 0))?;
    if wrong + expiring == 0 {
        return Ok(());
    }
    Err(CliError::Failed(format!(
        "of {} URLs {wrong} are wrong and {expiring} expiring; see the reasons above",
        checks.len()
    )))
}

/// A file comes first: its name may be that of an authority.
fn check(args: &UrlsArgs, options: &UrlOptions, context: &Context) -> Result<Vec<UrlCheck>> {
    let file = Path::new(&args.target);
    if file.is_file() {
        // A certificate of others can be checked without a home.
        let home = if context.home_dir.join("ca.yaml").exists() { Some(context.home()?) } else { None };
        return Ok(check_file(home.as_ref(), file, args.chain.as_deref(), options)?);
    }
    let home = context.home()?;
    if !Authority::names(&home)?.contains(&args.target) {
        return Err(AuthorityError::NotFound(format!(
            "{:?} is neither a file nor an authority; see `ca authority list`",
            args.target
        ))
        .into());
    }
    Ok(check_authority(&home, &args.target, options)?)
}

fn describe(checks: &[UrlCheck]) -> String {
    let mut text = String::new();
    for part in checks.chunk_by(|one, next| one.certificate == next.certificate) {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        for check in part {
            let until = check.until.map(|until| format!(", until {until}")).unwrap_or_default();
            table.add_row([
                check.verdict.name(),
                check.kind.name(),
                &check.url,
                &format!("{}{until}", check.detail),
            ]);
        }
        let subject = part.first().map(|check| check.certificate.as_str()).unwrap_or_default();
        text.push_str(&format!("{subject}\n{}\n\n", table.trim_fmt()));
    }
    text
}

fn value(args: &UrlsArgs, checks: &[UrlCheck], good: bool) -> Value {
    let urls: Value = checks
        .iter()
        .map(|check| {
            json!({
                "certificate": check.certificate,
                "kind": check.kind.name(),
                "url": check.url,
                "verdict": check.verdict.name(),
                "detail": check.detail,
                "until": check.until.map(|until| until.to_string()),
            })
        })
        .collect();
    json!({"target": args.target, "good": good, "urls": urls})
}
