//! `ca ocsp presign`.

use ca_core::presign::{Presign, presign};
use ca_core::templates;
use serde_json::json;

use super::authority::unlock;
use crate::args::PresignArgs;
use crate::context::Context;
use crate::error::Result;
use crate::report::done;

pub(super) fn run(args: &PresignArgs, context: &Context) -> Result<()> {
    let home = context.home()?;
    let delegate = if args.ca_signed { None } else { Some(templates::load(&home, &args.template)?) };
    let issuer = unlock(&home, &args.authority, &args.passphrase)?;
    let request = Presign {
        issuer: &issuer,
        days: args.days,
        delegate: delegate.as_ref(),
        out: &args.out,
        actor: &context.actor(),
    };
    let now = context.now()?;
    let signed = context.waiting(|wait| presign(&home, &request, now, wait))?;
    let text = format!(
        "Signed answers for {} certificates of {}, {} of them revoked or held, valid {} to {}.\n  wrote {}",
        signed.certificates,
        args.authority,
        signed.revoked,
        signed.this_update,
        signed.next_update,
        signed.manifest.display(),
    );
    let value = json!({
        "authority": args.authority,
        "certificates": signed.certificates,
        "revoked": signed.revoked,
        "thisUpdate": signed.this_update.to_string(),
        "nextUpdate": signed.next_update.to_string(),
        "delegate": signed.delegate.map(|serial| serial.to_string()),
        "manifest": signed.manifest,
    });
    done(context, &text, &value)
}
