//! The keys of a person, for exports.

use ca_core::escrow::Opening;
use ca_core::export::keys::MissingKey;
use ca_core::signing::Passphrase;
use serde_json::{Value, json};

use crate::args::KeySourceArgs;
use crate::command::escrow::read_shares;
use crate::context::Context;
use crate::error::{CliError, Result};

/// The password of the files, or of new ones if there are no files.
pub(super) fn password(args: &KeySourceArgs) -> Result<Passphrase> {
    if args.p12.is_empty() && args.share.is_empty() {
        return Err(CliError::Usage(
            "no keys were named; give files with --p12, or the agents' shares with --share".into(),
        ));
    }
    let source = args.password.source();
    if args.p12.is_empty() { source.create("the exported keys") } else { source.read("the PKCS#12 files") }
}

/// What the agents contributed, and the passphrase of the request.
pub(super) struct Shares {
    contributions: Vec<(String, Vec<u8>)>,
    passphrase: Passphrase,
}

impl Shares {
    /// None without --share.
    pub(super) fn read(args: &KeySourceArgs) -> Result<Option<Self>> {
        if args.share.is_empty() {
            return Ok(None);
        }
        let (contributions, passphrase) = read_shares(&args.share, &args.passphrase)?;
        Ok(Some(Self { contributions, passphrase }))
    }

    pub(super) fn opening(&self) -> Opening<'_> {
        Opening {
            request: None,
            wanted: None,
            contributions: &self.contributions,
            passphrase: &self.passphrase,
        }
    }
}

/// Says which keys a person lacks.
pub(super) fn tell_missing(context: &Context, mailbox: &str, missing: &[MissingKey]) {
    for key in missing {
        let how = if key.archived { "is in the archive" } else { "is not in the archive" };
        context.note(&format!(
            "the key of encryption certificate {} of {mailbox} is left out; it {how}",
            key.serial
        ));
    }
}

pub(super) fn missing_value(missing: &[MissingKey]) -> Vec<Value> {
    missing.iter().map(|key| json!({"serial": key.serial.to_string(), "archived": key.archived})).collect()
}
