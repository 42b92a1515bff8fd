//! The keys of a person, for exports.

use ca_core::export::keys::MissingKey;
use ca_core::signing::Passphrase;
use serde_json::{Value, json};

use crate::args::KeySourceArgs;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::passphrase::Source;

/// The password of the files, which must be there.
pub(super) fn password(args: &KeySourceArgs) -> Result<Passphrase> {
    if args.p12.is_empty() {
        return Err(CliError::Usage("no file with keys was named; give --p12 FILE".into()));
    }
    let source = Source {
        file: args.p12_password_file.as_ref(),
        fd: args.p12_password_fd,
        flag: "--p12-password-file or --p12-password-fd",
    };
    source.read("the PKCS#12 files")
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
