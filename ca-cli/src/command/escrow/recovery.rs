//! The three steps of a recovery: request, contributions, completion.

use std::path::{Path, PathBuf};

use ca_core::domain::SerialNumber;
use ca_core::escrow::{
    self, Completion, Delivery, Opening, RecoveryOrder, RecoveryRequest, Wanted, complete_recovery,
    request_recovery,
};
use ca_core::files::{Mode, write_atomic};
use ca_core::people;
use ca_core::signing::key_file::is_encrypted;
use ca_core::signing::{KdfCost, Passphrase, SoftwareKey};
use serde_json::json;

use crate::args::{
    CompleteArgs, ContributeArgs, HistoryExportArgs, KeyFilesArgs, RecoverArgs, RequestPassphraseArgs,
    WantedArgs,
};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::input::read_limited;
use crate::passphrase::Source;
use crate::plan::confirm;
use crate::report::show;

/// Bytes of a request or contribution at most.
const MAX_FILE: u64 = 64 << 20;

/// `ca escrow recover`.
pub(super) fn recover(args: &RecoverArgs, context: &Context) -> Result<()> {
    let wanted = match &args.wanted.serial {
        Some(serial) => Wanted::Serial(SerialNumber::parse(serial)?),
        None => Wanted::Mailboxes(mailboxes(&args.wanted)?),
    };
    request(&wanted, args.reason.as_deref(), &args.out, args.force, &args.passphrase, context)
}

/// Everybody who was named, or is in the table.
fn mailboxes(wanted: &WantedArgs) -> Result<Vec<String>> {
    let Some(path) = &wanted.batch else { return Ok(wanted.email.clone()) };
    let name = path.display().to_string();
    let table = people::parse(&read_limited(path, people::MAX_LEN)?, &name)?;
    Ok(table.complete(&name)?.iter().map(|person| person.mailbox().to_owned()).collect())
}

fn request(
    wanted: &Wanted,
    reason: Option<&str>,
    out: &Path,
    replace: bool,
    passphrase: &RequestPassphraseArgs,
    context: &Context,
) -> Result<()> {
    refuse_existing(out, replace)?;
    let home = context.home()?;
    let passphrase = source(passphrase).create("the recovery request")?;
    let now = context.now()?;
    let actor = context.actor();
    let order =
        RecoveryOrder { wanted, reason, passphrase: &passphrase, cost: KdfCost::Interactive, actor: &actor };
    let requested = context.waiting(|wait| request_recovery(&home, &order, now, wait))?;
    let request = &requested.request;
    write_atomic(out, &requested.bytes, Mode::Private)?;
    let fingerprint = request.fingerprint()?;
    let text = format!(
        "Asked for {} of {}.\n  request      {}\n  fingerprint  {fingerprint}\n  ledger       entry {}\n  wrote        {}\n\
         Send the file to the agents, and tell them the fingerprint on another way.",
        keys(request.keys.len()),
        request.person,
        request.id,
        requested.position,
        out.display()
    );
    let value = json!({
        "request": request.id,
        "fingerprint": fingerprint,
        "person": request.person,
        "serials": request.keys.iter().map(|key| &key.serial).collect::<Vec<_>>(),
        "position": requested.position,
        "files": [out],
    });
    show(context, &text, &value)
}

/// `ca escrow contribute`: runs without a home.
pub(super) fn contribute(args: &ContributeArgs, context: &Context) -> Result<()> {
    refuse_existing(&args.out, args.force)?;
    let request = RecoveryRequest::from_bytes(&read_limited(&args.request, MAX_FILE)?)?;
    let fingerprint = request.fingerprint()?;
    let serials: Vec<_> = request.keys.iter().map(|key| key.serial.as_str()).collect();
    let reason = request.reason.as_deref().unwrap_or("none given");
    let about = format!(
        "Recovery of {} of {}, asked for by {} on {}.\n  reason       {}\n  serials      {}\n  fingerprint  {fingerprint}",
        keys(request.keys.len()),
        printable(&request.person),
        printable(&request.requester),
        printable(&request.created),
        printable(reason),
        printable(&serials.join(", ")),
    );
    if !args.yes && !context.quiet {
        eprintln!("{about}");
    }
    confirm("Is this the fingerprint that the authority told you, and do you agree?", args.yes)?;
    let key = agent_key(args)?;
    let contribution = escrow::contribute(&request, &key)?;
    write_atomic(&args.out, &contribution.to_bytes()?, Mode::Private)?;
    let text = format!(
        "{about}\nContributed as {}.\n  wrote        {}",
        printable(&contribution.agent),
        args.out.display()
    );
    let value = json!({
        "request": request.id,
        "fingerprint": fingerprint,
        "agent": contribution.agent,
        "files": [&args.out],
    });
    show(context, &text, &value)
}

fn agent_key(args: &ContributeArgs) -> Result<SoftwareKey> {
    let text = read_limited(&args.key, 1 << 20)?;
    let passphrase = if is_encrypted(&String::from_utf8_lossy(&text)) {
        let source = Source {
            file: args.key_passphrase_file.as_ref(),
            fd: args.key_passphrase_fd,
            flag: "--key-passphrase-file or --key-passphrase-fd",
        };
        Some(source.read(&args.key.display().to_string())?)
    } else {
        None
    };
    Ok(SoftwareKey::load(&args.key, passphrase.as_ref())?)
}

/// `ca escrow complete`.
pub(super) fn complete(args: &CompleteArgs, context: &Context) -> Result<()> {
    finish(args.request.as_deref(), None, &args.share, &args.files, &args.passphrase, context)
}

/// `ca history export`.
pub(super) fn history_export(args: &HistoryExportArgs, context: &Context) -> Result<()> {
    let wanted = Wanted::Mailboxes(args.email.clone());
    if let Some(out) = &args.out {
        return request(&wanted, args.reason.as_deref(), out, args.files.force, &args.passphrase, context);
    }
    finish(None, Some(&wanted), &args.share, &args.files, &args.passphrase, context)
}

fn finish(
    id: Option<&str>,
    wanted: Option<&Wanted>,
    shares: &[PathBuf],
    files: &KeyFilesArgs,
    passphrase: &RequestPassphraseArgs,
    context: &Context,
) -> Result<()> {
    if files.p12.is_none() && files.dir.is_none() {
        return Err(CliError::Usage("no file was named for the keys; give --p12 FILE or --dir DIR".into()));
    }
    let home = context.home()?;
    let (contributions, passphrase) = read_shares(shares, passphrase)?;
    let password = files.protection.password.source();
    let delivery = Delivery {
        p12: files.p12.clone(),
        dir: files.dir.clone(),
        profile: files.protection.p12_profile.into(),
        password: password.create("the PKCS#12 files")?,
        replace: files.force,
    };
    let now = context.now()?;
    let actor = context.actor();
    let completion = Completion {
        opening: Opening { request: id, wanted, contributions: &contributions, passphrase: &passphrase },
        delivery: &delivery,
        actor: &actor,
    };
    let completed = context.waiting(|wait| complete_recovery(&home, &completion, now, wait))?;
    let wrote: Vec<_> =
        completed.files.iter().map(|path| format!("\n  wrote    {}", path.display())).collect();
    let text = format!(
        "Recovered {} of {} with {}.\n  request  {}{}",
        keys(completed.certificates.len()),
        completed.person,
        completed.agents.join(", "),
        completed.request,
        wrote.concat()
    );
    let value = json!({
        "request": completed.request,
        "person": completed.person,
        "serials": completed.certificates.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "agents": completed.agents,
        "files": completed.files,
    });
    show(context, &text, &value)
}

/// The name and content of an agent's file.
pub(in crate::command) type Contributed = (String, Vec<u8>);

/// The agents' files, and the passphrase of the request that they answer.
pub(in crate::command) fn read_shares(
    shares: &[PathBuf],
    passphrase: &RequestPassphraseArgs,
) -> Result<(Vec<Contributed>, Passphrase)> {
    let contributions = shares
        .iter()
        .map(|path| Ok((path.display().to_string(), read_limited(path, MAX_FILE)?)))
        .collect::<Result<Vec<_>>>()?;
    Ok((contributions, source(passphrase).read("the recovery request")?))
}

fn source(args: &RequestPassphraseArgs) -> Source<'_> {
    Source {
        file: args.passphrase_file.as_ref(),
        fd: args.passphrase_fd,
        flag: "--passphrase-file or --passphrase-fd",
    }
}

fn keys(count: usize) -> String {
    if count == 1 { "1 key".into() } else { format!("{count} keys") }
}

/// A request comes from elsewhere: nothing in it may steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(400).collect()
}

fn refuse_existing(path: &Path, replace: bool) -> Result<()> {
    if path.exists() && !replace {
        return Err(CliError::Refused(format!(
            "{} exists already; choose another file, or give --force to replace it",
            path.display()
        )));
    }
    Ok(())
}
