//! A PowerShell script that makes Windows trust authorities.

use super::powershell;
use super::trust::{TrustSet, Trusted};
use crate::certify::base64;

const SCRIPT: &str = include_str!("windows/trust.ps1");

/// The script, with the certificates in it.
pub(super) fn script(trust: &TrustSet) -> String {
    let roots = trust.roots().iter().map(|one| entry("Root", one));
    let intermediates = trust.intermediates().iter().map(|one| entry("CA", one));
    let entries: String = roots.chain(intermediates).collect();
    powershell::fill(SCRIPT, &[("@ENTRIES@", entries.trim_end())])
}

/// Nothing that a name could turn into code goes in: of it only letters, digits and blanks.
fn entry(store: &str, one: &Trusted) -> String {
    let name: String = one.label.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    format!("    # {}\n    @{{ Store = '{store}'; Data = '{}' }}\n", name.trim(), base64(&one.der))
}
