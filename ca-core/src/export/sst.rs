//! Microsoft's serialized certificate store (SST), as the virtual certificate collection
//! of Exchange takes it.
//!
//! All numbers are 32 bits, little-endian: 0, "CERT"; for each certificate 0x20 (a
//! certificate), 1 (X.509), its length, its DER; at the end three zeros. A certificate
//! may have properties before it; none are written, since some readers stumble over them.

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::powershell;
use super::trust::TrustSet;
use crate::error::{AuthorityError, Result};

const MAGIC: &[u8; 4] = b"CERT";
const CERTIFICATE: u32 = 0x20;
const X509: u32 = 1;

const SCRIPT: &str = include_str!("sst/smime-config.ps1");

/// The store with every certificate of `trust`.
///
/// # Errors
/// A certificate of more than 4 GiB, which the format cannot hold.
pub fn sst(trust: &TrustSet) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    out.extend(0_u32.to_le_bytes());
    out.extend(MAGIC);
    for one in trust.all() {
        let length = u32::try_from(one.der.len())
            .map_err(|_| AuthorityError::Input(format!("the certificate of {:?} is too long", one.label)))?;
        for number in [CERTIFICATE, X509, length] {
            out.extend(number.to_le_bytes());
        }
        out.extend(&one.der);
    }
    out.extend([0; 12]);
    Ok(out)
}

/// The PowerShell script that uploads the store named `file`, which lies beside it, and
/// reads it back.
#[must_use]
pub fn upload_script(file: &str, store: &[u8], trust: &TrustSet) -> String {
    let thumbprints: Vec<_> =
        trust.all().map(|one| powershell::quoted(&hex::encode_upper(Sha1::digest(&one.der)))).collect();
    powershell::fill(
        SCRIPT,
        &[
            ("@FILE@", &powershell::quoted(file)),
            ("@SHA256@", &powershell::quoted(&hex::encode_upper(Sha256::digest(store)))),
            ("@THUMBPRINTS@", &thumbprints.join(", ")),
        ],
    )
}
