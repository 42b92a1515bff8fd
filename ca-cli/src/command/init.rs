//! `ca init`.

use ca_core::config::{UrlPatterns, check_http};
use ca_core::init::{self, InitRequest};
use serde_json::json;

use crate::args::InitArgs;
use crate::context::Context;
use crate::error::Result;
use crate::report::done;

pub(super) fn run(args: &InitArgs, context: &Context) -> Result<()> {
    let urls = UrlPatterns {
        crl: args.crl_url.as_deref().map(|url| UrlPatterns::pattern(url, "crl", "crl")).transpose()?,
        ca_issuers: args.aia_url.as_deref().map(|url| UrlPatterns::pattern(url, "ca", "crt")).transpose()?,
        ocsp: args.ocsp_url.as_deref().map(|url| check_http(url).map(str::to_owned)).transpose()?,
        ..UrlPatterns::default()
    };
    let complete = urls.crl.is_some() && urls.ca_issuers.is_some() && urls.ocsp.is_some();
    let origin = match &args.origin {
        Some(origin) => origin.clone(),
        None => default_origin()?,
    };
    let request = InitRequest { origin, urls };
    let now = context.now()?;
    let home = context.waiting(|wait| init::init(&context.home_dir, &request, now, wait))?;
    let root = home.root().display();
    let mut text = format!(
        "Made an authority home in {root}.\n\
         Next: ca --home {root} authority create root --template root-ca --common-name 'Example Root' --organization Example --country DE"
    );
    if !complete {
        text.push_str(&format!(
            "\nNote: {root}/ca.yaml has no URL yet for CRLs, CA certificates or OCSP; templates that need one refuse to issue. Fill them in first."
        ));
    }
    let value = json!({
        "home": home.root(),
        "ledgerVkey": home.config().ledger_vkey,
        "urls": home.config().urls,
    });
    done(context, &text, &value)
}

/// A name that no other ledger has.
fn default_origin() -> Result<String> {
    let host = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    let host: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')).collect();
    let host = if host.is_empty() { "localhost".to_owned() } else { host };
    let random: [u8; 4] = ca_core::signing::random()?;
    Ok(format!("{host}/chancery/{}", hex::encode(random)))
}
