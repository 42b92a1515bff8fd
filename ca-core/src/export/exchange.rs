//! What Exchange needs for S/MIME: its collection of authorities, and the settings of
//! Outlook on the web.

use std::path::PathBuf;

use super::bundle::ExportedFile;
use super::trust::TrustSet;
use super::{powershell, sst};
use crate::error::Result;

const SETTINGS: &str = include_str!("exchange/owa.ps1");

/// What Outlook on the web does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OwaSettings {
    /// Every mail is signed.
    pub always_sign: bool,
    /// Every mail is encrypted.
    pub always_encrypt: bool,
    /// Nothing is signed or encrypted while a CRL cannot be reached.
    pub strict_crl: bool,
    /// How long all CRLs of a chain may take, in seconds.
    pub crl_timeout: u32,
}

/// The store, the script that uploads and checks it, and the script with the settings.
///
/// # Errors
/// A certificate that the store cannot hold.
pub fn exchange(trust: &TrustSet, settings: OwaSettings) -> Result<Vec<ExportedFile>> {
    const STORE: &str = "exchange.sst";
    let store = sst::sst(trust)?;
    let boolean = |value: bool| if value { "$true" } else { "$false" };
    let milliseconds = u64::from(settings.crl_timeout) * 1000;
    let script = powershell::fill(
        SETTINGS,
        &[
            ("@ALWAYS_SIGN@", boolean(settings.always_sign)),
            ("@ALWAYS_ENCRYPT@", boolean(settings.always_encrypt)),
            ("@STRICT_CRL@", boolean(settings.strict_crl)),
            ("@CRL_TIMEOUT@", &milliseconds.to_string()),
        ],
    );
    let upload = sst::upload_script(STORE, &store, trust);
    let file = |name: &str, bytes: Vec<u8>| ExportedFile::new(PathBuf::from(name), bytes);
    Ok(vec![
        file(STORE, store),
        file("collection.ps1", upload.into_bytes()),
        file("owa.ps1", script.into_bytes()),
    ])
}
