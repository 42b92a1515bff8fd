//! `ca crl` and `ca ocsp-signer`.

mod file;
mod status;

use base64::Engine;
use ca_core::authority::Authority;
use ca_core::issue_crl::{IssueCrl, check_days, issue_crl};
use ca_core::ocsp_signer::{IssueOcspSigner, issue_ocsp_signer};
use ca_core::templates;
use serde_json::json;

use super::authority::unlock;
use crate::args::{CrlCommand, IssueCrlArgs, OcspSignerCommand};
use crate::context::Context;
use crate::error::Result;
use crate::report::{deliver, done, refuse_terminal};

/// Days that a CRL is valid by default: of a root, of other authorities.
const DAYS: (u32, u32) = (180, 7);

pub(super) fn run(command: CrlCommand, context: &Context) -> Result<()> {
    match command {
        CrlCommand::Diff { old, new, exit_code } => file::diff(&old, &new, exit_code, context),
        CrlCommand::Issue(args) => issue(args, context),
        CrlCommand::List { directory } => status::list(directory.as_deref(), context),
        CrlCommand::Status { directory } => status::status(directory.as_deref(), context),
        CrlCommand::Show { file, limit } => file::show_file(&file, limit, context),
        CrlCommand::Verify { file, issuer, at } => file::verify(&file, &issuer, at, context),
    }
}

fn issue(args: IssueCrlArgs, context: &Context) -> Result<()> {
    let IssueCrlArgs { authority, out, days, passphrase } = args;
    let home = context.home()?;
    let known = Authority::load(&home, &authority)?;
    let days = days.unwrap_or(if known.is_root() { DAYS.0 } else { DAYS.1 });
    // Before anybody is asked for a passphrase.
    check_days(&known, days)?;
    if out.is_none() && !context.json {
        refuse_terminal()?;
    }
    let issuer = unlock(&home, &authority, &passphrase)?;
    let request = IssueCrl { issuer: &issuer, days, out: out.clone(), actor: &context.actor() };
    let now = context.now()?;
    let issued = context.waiting(|wait| issue_crl(&home, &request, now, wait))?;
    if out.is_none() && !context.json {
        return deliver(context, None, &issued.der, false);
    }
    let text = format!(
        "Issued CRL {} of {authority}: {} entries, valid {} to {}.{}",
        issued.number,
        issued.entries,
        issued.this_update,
        issued.next_update,
        issued.files.iter().map(|path| format!("\n  wrote {}", path.display())).collect::<String>(),
    );
    let value = json!({
        "authority": authority,
        "number": issued.number,
        "entries": issued.entries,
        "thisUpdate": issued.this_update.to_string(),
        "nextUpdate": issued.next_update.to_string(),
        "crl": base64::engine::general_purpose::STANDARD.encode(&issued.der),
        "files": issued.files,
    });
    done(context, &text, &value)
}

pub(super) fn ocsp_signer(command: OcspSignerCommand, context: &Context) -> Result<()> {
    let OcspSignerCommand::Issue { authority, out, csr, key, template, days, passphrase } = command;
    let home = context.home()?;
    let template = templates::load(&home, &template)?;
    let csr = csr.as_deref().map(crate::input::csr).transpose()?;
    let issuer = unlock(&home, &authority, &passphrase)?;
    let actor = context.actor();
    let request =
        IssueOcspSigner { issuer: &issuer, template: &template, csr, key, out: &out, days, actor: &actor };
    let now = context.now()?;
    let issued = context.waiting(|wait| issue_ocsp_signer(&home, request, now, wait))?;
    let text = format!(
        "Issued OCSP signer {} of {authority}, valid until {}.{}",
        issued.serial,
        issued.not_after,
        issued.files.iter().map(|path| format!("\n  wrote {}", path.display())).collect::<String>(),
    );
    let value = json!({
        "serial": issued.serial.to_string(),
        "notAfter": issued.not_after.to_string(),
        "files": issued.files,
    });
    done(context, &text, &value)
}
