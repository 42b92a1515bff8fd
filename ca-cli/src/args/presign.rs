//! `ca ocsp presign`.

use std::path::PathBuf;

use clap::Args;

use super::PassphraseArgs;

pub(super) const EXAMPLES: &str = "\
Examples:
  ca ocsp presign root --days 90 --out root-ocsp
  ca ocsp presign root --days 180 --template my-long-signer --out root-ocsp

Every certificate that has not expired gets an answer with a SHA-1 and one with a
SHA-256 CertID. A delegate signs them; its key is made for this and kept nowhere.
Carry the directory to the responder, which serves it with
`presigned: root-ocsp` in the place of `signer`. Do it again long before the end,
and after every revocation.";

#[derive(Args, Debug)]
pub(crate) struct PresignArgs {
    /// Whose certificates are answered for.
    pub(crate) authority: String,
    /// The directory for the answers and their list.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Validity: 1 to 365 for a root, 1 to 10 for others; the template may allow less.
    #[arg(long, default_value_t = 90)]
    pub(crate) days: u32,
    /// A template of kind ocsp-signer for the delegate.
    #[arg(long, value_name = "NAME", default_value = "ocsp-signer")]
    pub(crate) template: String,
    /// Sign with the authority's own key; its certificate needs the key usage digitalSignature.
    #[arg(long, conflicts_with = "template")]
    pub(crate) ca_signed: bool,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}
