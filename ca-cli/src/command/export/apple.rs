//! `ca export mobileconfig`.

use ca_core::export::apple::{Account, MailServer, ProfileRequest, write_profile};
use ca_core::export::keys::KeyFile;
use serde_json::json;

use super::keys::{Shares, missing_value, password, tell_missing};
use crate::args::MobileconfigArgs;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::passphrase::Source;
use crate::report::{check_out, done};

pub(super) fn mobileconfig(args: &MobileconfigArgs, context: &Context) -> Result<()> {
    check_out(&args.out, args.force)?;
    let account = account(args)?;
    let home = context.home()?;
    let password = password(&args.keys)?;
    let files: Vec<_> = args.keys.p12.iter().map(|path| KeyFile { path, password: &password }).collect();
    let shares = Shares::read(&args.keys)?;
    let opening = shares.as_ref().map(Shares::opening);
    let signer_password = args
        .sign_p12
        .as_ref()
        .map(|path| {
            let source = Source {
                file: args.sign_p12_password_file.as_ref(),
                fd: args.sign_p12_password_fd,
                flag: "--sign-p12-password-file or --sign-p12-password-fd",
            };
            source.read(&path.display().to_string())
        })
        .transpose()?;
    let signer = args.sign_p12.as_ref().zip(signer_password.as_ref());
    let actor = context.actor();
    let request = ProfileRequest {
        mailbox: &args.email,
        files: &files,
        archive: opening.as_ref(),
        password: &password,
        include_password: args.include_password,
        partial: args.keys.partial,
        account: account.as_ref(),
        identifier: args.identifier.as_deref(),
        organization: args.organization.as_deref(),
        signer: signer.map(|(path, password)| KeyFile { path, password }),
        out: &args.out,
        replace: args.force,
        actor: &actor,
    };
    let now = context.now()?;
    let written = context.waiting(|wait| write_profile(&home, &request, now, wait))?;
    tell_missing(context, &args.email, &written.missing);
    let or_none = |serial: Option<_>| match serial {
        Some(serial) => format!("{serial}"),
        None => "none that is valid now".to_owned(),
    };
    let text = format!(
        "Wrote {} with {} of {}.\n  signs        {}\n  encrypts     {}",
        written.path.display(),
        if written.keys.len() == 1 { "1 key".to_owned() } else { format!("{} keys", written.keys.len()) },
        args.email,
        or_none(written.signing),
        or_none(written.encryption),
    );
    let value = json!({
        "files": [&written.path],
        "keys": written.keys.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "signing": written.signing.map(|serial| serial.to_string()),
        "encryption": written.encryption.map(|serial| serial.to_string()),
        "missing": missing_value(&written.missing),
    });
    done(context, &text, &value)
}

fn account(args: &MobileconfigArgs) -> Result<Option<Account>> {
    let server = match (&args.imap, &args.smtp) {
        (Some(imap), Some(smtp)) => {
            MailServer::Imap { imap: host_and_port(imap, 993)?, smtp: host_and_port(smtp, 587)? }
        }
        _ if args.exchange.is_some() || args.oauth => {
            MailServer::Exchange { host: args.exchange.clone(), oauth: args.oauth }
        }
        _ => return Ok(None),
    };
    Ok(Some(Account {
        server,
        user: args.user.clone(),
        full_name: args.full_name.clone(),
        encrypt_by_default: args.encrypt_by_default,
    }))
}

fn host_and_port(text: &str, default: u16) -> Result<(String, u16)> {
    let bad = || CliError::Usage(format!("{text:?} is not a server; give HOST or HOST:PORT"));
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| bad())?),
        None => (text, default),
    };
    let fine = !host.is_empty() && host.chars().all(|c| c.is_alphanumeric() || "-._".contains(c));
    if fine { Ok((host.to_owned(), port)) } else { Err(bad()) }
}
