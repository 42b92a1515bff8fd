//! The templates that come with the suite.

/// Names and texts of the shipped templates, authorities first.
#[must_use]
pub const fn shipped() -> &'static [(&'static str, &'static str)] {
    macro_rules! templates {
        ($($name:literal),* $(,)?) => {
            &[$(($name, include_str!(concat!("../../../../templates/", $name, ".yaml")))),*]
        };
    }
    templates![
        "root-ca",
        "issuing-ca",
        "tls-issuing-ca",
        "smime-signing",
        "smime-encryption",
        "smime-dual",
        "smime-mailbox-strict",
        "smime-mailbox-multipurpose",
        "smime-organization-strict",
        "smime-organization-multipurpose",
        "smime-sponsor-strict",
        "smime-sponsor-multipurpose",
        "smime-individual-strict",
        "smime-individual-multipurpose",
        "ocsp-signer",
        "mail-server-tls",
        "tls-client",
    ]
}
