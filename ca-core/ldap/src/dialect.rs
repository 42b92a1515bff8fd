//! How directories name attributes whose values are certificates and CRLs.

use serde::Deserialize;

/// The kind of a directory.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// Active Directory and Samba: attributes by their plain names; `;binary` is refused.
    Ad,
    /// OpenLDAP and others that follow RFC 4523: certificates and CRLs are transferred
    /// with the option `;binary` (RFC 4522), and refused without.
    #[default]
    OpenLdap,
}

/// An attribute that holds certificates or CRLs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Attribute {
    /// Certificates of a CA: `cACertificate` (RFC 4523).
    CaCertificate,
    /// The CRL for CA certificates: `authorityRevocationList` (RFC 4523).
    AuthorityRevocationList,
    /// The CRL: `certificateRevocationList` (RFC 4523).
    CertificateRevocationList,
    /// The delta CRL: `deltaRevocationList` (RFC 4523).
    DeltaRevocationList,
    /// Certificates of a person: `userCertificate` (RFC 4523).
    UserCertificate,
    /// Signed PKCS#7 objects of a person: `userSMIMECertificate` (RFC 2798).
    UserSmimeCertificate,
}

impl Attribute {
    /// The name without options.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CaCertificate => "cACertificate",
            Self::AuthorityRevocationList => "authorityRevocationList",
            Self::CertificateRevocationList => "certificateRevocationList",
            Self::DeltaRevocationList => "deltaRevocationList",
            Self::UserCertificate => "userCertificate",
            Self::UserSmimeCertificate => "userSMIMECertificate",
        }
    }
}

impl Dialect {
    /// The name of an attribute in requests to such a directory.
    #[must_use]
    pub const fn attribute(self, attribute: Attribute) -> &'static str {
        match (self, attribute) {
            (Self::Ad, _) | (Self::OpenLdap, Attribute::UserSmimeCertificate) => attribute.name(),
            (Self::OpenLdap, Attribute::CaCertificate) => "cACertificate;binary",
            (Self::OpenLdap, Attribute::AuthorityRevocationList) => "authorityRevocationList;binary",
            (Self::OpenLdap, Attribute::CertificateRevocationList) => "certificateRevocationList;binary",
            (Self::OpenLdap, Attribute::DeltaRevocationList) => "deltaRevocationList;binary",
            (Self::OpenLdap, Attribute::UserCertificate) => "userCertificate;binary",
        }
    }

    /// Whether such a directory can add and remove single values of an attribute. OpenLDAP has no equality rule
    /// for userSMIMECertificate (RFC 2798 gives it none): there all values are replaced at once.
    #[must_use]
    pub const fn compares(self, attribute: Attribute) -> bool {
        !matches!((self, attribute), (Self::OpenLdap, Attribute::UserSmimeCertificate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_only_where_it_is_taken() {
        let name = |dialect: Dialect, attribute| dialect.attribute(attribute);
        assert_eq!(name(Dialect::OpenLdap, Attribute::UserCertificate), "userCertificate;binary");
        assert_eq!(name(Dialect::OpenLdap, Attribute::UserSmimeCertificate), "userSMIMECertificate");
        assert_eq!(name(Dialect::Ad, Attribute::UserCertificate), "userCertificate");
        for attribute in [
            Attribute::CaCertificate,
            Attribute::AuthorityRevocationList,
            Attribute::CertificateRevocationList,
            Attribute::DeltaRevocationList,
            Attribute::UserCertificate,
        ] {
            assert_eq!(name(Dialect::OpenLdap, attribute), format!("{};binary", attribute.name()));
        }
    }
}
