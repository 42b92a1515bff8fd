//! `ca publish smimea`.

use ca_core::files::{Mode, write_atomic};
use ca_core::publish::smimea::{Record, SmimeaRequest, smimea};
use serde_json::json;

use super::read;
use crate::args::PublishSmimeaArgs;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::report::show;

pub(super) fn run(args: &PublishSmimeaArgs, context: &Context) -> Result<()> {
    let home = context.home()?;
    let before = match (&args.previous, &args.zone) {
        (Some(path), _) => Some(read(path)?),
        (None, Some(path)) if path.exists() => Some(read(path)?),
        _ => None,
    };
    let not_text = |_| CliError::Usage("the previous zone file is not text; give another".into());
    let previous = before.map(String::from_utf8).transpose().map_err(not_text)?;
    let request = SmimeaRequest {
        domains: &args.domain,
        authorities: &args.authority,
        usage: args.usage,
        ttl: args.ttl,
        previous: previous.as_deref(),
    };
    let now = context.now()?;
    let found = context.waiting(|wait| smimea(&home, &request, now, wait))?;
    let mut files = Vec::new();
    if !args.dry_run {
        // The zone file last: until it is there, the next run finds the same differences.
        let outputs = [(&args.nsupdate, found.to_nsupdate()), (&args.zone, found.to_zone())];
        for (path, text) in outputs {
            let Some(path) = path else { continue };
            write_atomic(path, text.as_bytes(), Mode::Public)?;
            files.push(path);
        }
    }
    let zone = if args.dry_run || !files.is_empty() { String::new() } else { found.to_zone() };
    let value = json!({
        "added": found.added,
        "removed": found.removed,
        "records": found.records.len(),
        "others": found.others,
        "zone": zone,
        "files": files,
    });
    if args.dry_run {
        let line = |sign: char, record: &Record| {
            format!("  {sign} {} {}...\n", record.name, record.data.chars().take(40).collect::<String>())
        };
        let mut text = format!(
            "{} records, {} of them of others; would add {}, remove {}.\n",
            found.records.len(),
            found.others,
            found.added.len(),
            found.removed.len()
        );
        text.extend(found.removed.iter().map(|record| line('-', record)));
        text.extend(found.added.iter().map(|record| line('+', record)));
        return show(context, &text, &value);
    }
    if files.is_empty() {
        return show(context, &zone, &value);
    }
    if context.quiet && !context.json {
        return Ok(());
    }
    let text = format!(
        "{} records: {} added, {} removed, {} of others kept.",
        found.records.len(),
        found.added.len(),
        found.removed.len(),
        found.others
    );
    show(context, &text, &value)
}
