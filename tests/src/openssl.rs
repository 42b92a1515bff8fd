//! Keys, requests and questions asked with the `openssl` program.

use crate::home::Home;
use crate::tool::{Outcome, Tool};
use std::path::{Path, PathBuf};

/// Keys that a requester may come with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Ed25519.
    Ed25519,
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// RSA of 2048 bits.
    Rsa2048,
    /// RSA of 3072 bits.
    Rsa3072,
}

impl Key {
    /// Options of `openssl genpkey`.
    fn options(self) -> &'static str {
        match self {
            Self::Ed25519 => "-algorithm ED25519",
            Self::P256 => "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
            Self::P384 => "-algorithm EC -pkeyopt ec_paramgen_curve:P-384",
            Self::Rsa2048 => "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
            Self::Rsa3072 => "-algorithm RSA -pkeyopt rsa_keygen_bits:3072",
        }
    }
}

/// Makes `NAME.key` in the working directory.
pub fn key(home: &Home, name: &str, key: Key) -> PathBuf {
    home.tool("openssl", "genpkey").words(key.options()).arg("-out").arg(format!("{name}.key")).ok();
    home.path(format!("{name}.key"))
}

/// Makes `NAME.key` and a plain request `NAME.csr` for it.
pub fn csr(home: &Home, name: &str, kind: Key) -> PathBuf {
    key(home, name, kind);
    csr_of_key(home, name, name)
}

/// Makes the request `NAME.csr` for the existing `KEY_NAME.key`.
pub fn csr_of_key(home: &Home, key_name: &str, name: &str) -> PathBuf {
    home.tool("openssl", "req -new -batch")
        .args(["-key", &format!("{key_name}.key"), "-out", &format!("{name}.csr")])
        .args(["-subj", "/CN=whoever asks"])
        .ok();
    home.path(format!("{name}.csr"))
}

/// A certificate as `openssl x509 -text` prints it.
pub fn certificate_text(path: &Path) -> String {
    Tool::new("openssl").words("x509 -noout -text -nameopt RFC2253,-esc_msb -in").arg(path).ok().text()
}

/// The serial number of a certificate file, upper-case hex.
pub fn serial(path: &Path) -> String {
    let line = Tool::new("openssl").words("x509 -noout -serial -in").arg(path).ok().text();
    line.trim().trim_start_matches("serial=").to_owned()
}

/// DER of a PEM certificate, CRL (`crl`) or request (`req`).
pub fn to_der(kind: &str, path: &Path) -> PathBuf {
    let out = path.with_extension(format!("{kind}.der"));
    Tool::new("openssl").arg(kind).words("-outform DER -in").arg(path).arg("-out").arg(&out).ok();
    out
}

/// Asks an OCSP responder about one certificate and requires that OpenSSL
/// verified the response: it prints a status without that, too.
#[track_caller]
pub fn ocsp(home: &Home, issuer: &str, certificate: &str, root: &str, url: &str) -> Outcome {
    home.tool("openssl", "ocsp")
        .args([
            "-issuer",
            issuer,
            "-cert",
            certificate,
            "-url",
            url,
            "-CAfile",
            root,
            "-verify_other",
            issuer,
        ])
        .ok()
        .says(&["Response verify OK"])
}
