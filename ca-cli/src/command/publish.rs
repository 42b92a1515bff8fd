//! `ca publish`.

mod smimea;

use std::path::Path;

use ca_core::files::{Mode, write_atomic};
use ca_core::ldap::entries_of_ldif;
use ca_core::publish::config::PublishConfig;
use ca_core::publish::ldap::{EntryReport, PublishReport, PublishRequest, publish};
use ca_core::publish::object::{ObjectSource, keep_object};
use ca_core::signing::{Passphrase, SoftwareKey};
use serde_json::json;

use crate::args::{PublishCommand, PublishLdapArgs, PublishObjectArgs};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::report::{check_out, done, show};

pub(super) fn run(command: PublishCommand, context: &Context) -> Result<()> {
    match command {
        PublishCommand::Ldap(args) => ldap(&args, context),
        PublishCommand::Object(args) => object(&args, context),
        PublishCommand::Smimea(args) => smimea::run(&args, context),
    }
}

fn object(args: &PublishObjectArgs, context: &Context) -> Result<()> {
    let home = context.home()?;
    let (made, signing_key);
    let source = match (&args.key, &args.file) {
        (Some(key), _) => {
            let passphrase = args.key_passphrase_file.as_deref().map(Passphrase::load).transpose()?;
            signing_key = SoftwareKey::load(key, passphrase.as_ref())?;
            ObjectSource::Key(&signing_key)
        }
        (None, Some(path)) => {
            made = read(path)?;
            ObjectSource::Made(&made)
        }
        (None, None) => return Err(CliError::Usage("give --key FILE or --file FILE".into())),
    };
    let now = context.now()?;
    let serial = context.waiting(|wait| keep_object(&home, &args.email, &source, now, wait))?;
    done(
        context,
        &format!("Kept the object for certificate {serial}; `ca publish ldap` publishes it."),
        &json!({"encryption": serial}),
    )
}

/// A public file of modest length.
fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |error| CliError::Failed(format!("cannot read {}: {error}", path.display()));
    std::fs::read(path).map_err(failed)
}

fn ldap(args: &PublishLdapArgs, context: &Context) -> Result<()> {
    let home = context.home()?;
    let config = PublishConfig::load(&home)?;
    if let Some(path) = &args.ldif {
        check_out(path, args.force)?;
    }
    let entries = match &args.from {
        None => None,
        Some(path) if config.directories.len() == 1 || args.directory.len() == 1 => {
            Some(entries_of_ldif(&read(path)?)?)
        }
        Some(_) => {
            return Err(CliError::Usage("an export is of one directory; name it with --directory".into()));
        }
    };
    let dry_run = args.dry_run || args.ldif.is_some();
    let request = PublishRequest {
        directories: args.directory.clone(),
        mailboxes: args.email.clone(),
        dry_run,
        entries,
    };
    let now = context.now()?;
    let reports = context.waiting(|wait| publish(&home, &config, &request, now, wait))?;
    let mut files = Vec::new();
    if let Some(path) = &args.ldif {
        let changed = || reports.iter().flat_map(|report| &report.changed);
        let text: String = changed().map(EntryReport::to_ldif).collect();
        // Certificates are public, but who has one need not be.
        write_atomic(path, text.as_bytes(), Mode::Private)?;
        files.push(path);
    }
    let value = json!({"dryRun": dry_run, "directories": reports, "files": files});
    let quiet = context.quiet && !context.json && !args.dry_run;
    if !quiet {
        show(context, &reports.iter().map(|report| text(report, dry_run)).collect::<String>(), &value)?;
    }
    verdict(&reports)
}

fn text(report: &PublishReport, dry_run: bool) -> String {
    let verb = if dry_run { "would change" } else { "changed" };
    let changed = report.changed.len() - report.failed().count();
    let mut text = format!("{}: looked at {} entries, {verb} {changed}.\n", report.directory, report.entries);
    for entry in &report.changed {
        text.push_str(&format!("  {}\n", entry.dn));
        for line in &entry.lines {
            text.push_str(&format!("    {} {} {}\n", line.sign, line.attribute, line.what));
        }
        if entry.others > 0 {
            text.push_str(&format!("    {} values of others stay\n", entry.others));
        }
        if entry.left_out > 0 {
            text.push_str(&format!("    {} values of ours find no room: 15 are the most\n", entry.left_out));
        }
        if let Some(why) = &entry.failed {
            text.push_str(&format!("    failed: {why}\n"));
        }
    }
    for mailbox in &report.missing {
        text.push_str(&format!("  no entry has the address {mailbox}\n"));
    }
    if let Some(why) = &report.stopped {
        text.push_str(&format!("  stopped: {why}\n"));
    }
    text
}

fn verdict(reports: &[PublishReport]) -> Result<()> {
    if let Some((name, why)) =
        reports.iter().find_map(|report| Some((&report.directory, report.stopped.as_ref()?)))
    {
        return Err(CliError::Failed(format!(
            "directory {name:?}: {why}; what was done stays done, run it again"
        )));
    }
    let failed: Vec<&EntryReport> = reports.iter().flat_map(PublishReport::failed).collect();
    match failed.first() {
        None => Ok(()),
        Some(first) => Err(CliError::Failed(format!(
            "{} entries could not be changed, the first: {}: {}",
            failed.len(),
            first.dn,
            first.failed.as_deref().unwrap_or_default()
        ))),
    }
}
