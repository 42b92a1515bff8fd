//! The closed sets of words that a template may use.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use x509_cert::ext::pkix::KeyUsages;

use crate::KeyAlgorithm;

/// What a certificate of the template is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TemplateKind {
    /// A delegated OCSP responder (RFC 6960, section 4.2.2.2).
    OcspSigner,
    /// A self-signed certification authority.
    RootCa,
    /// A certification authority below another one.
    SubordinateCa,
    /// A TLS client.
    TlsClient,
    /// A TLS server.
    TlsServer,
    /// An S/MIME end entity: a person, a role or a shared mailbox.
    User,
}

impl TemplateKind {
    /// Whether it is a certification authority.
    #[must_use]
    pub const fn is_authority(self) -> bool {
        matches!(self, Self::RootCa | Self::SubordinateCa)
    }

    /// The word in the template file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OcspSigner => "ocsp-signer",
            Self::RootCa => "root-ca",
            Self::SubordinateCa => "subordinate-ca",
            Self::TlsClient => "tls-client",
            Self::TlsServer => "tls-server",
            Self::User => "user",
        }
    }
}

/// Whether something may happen.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
    /// It may.
    Allowed,
    /// It is refused.
    Forbidden,
}

impl Permission {
    /// Whether it may.
    #[must_use]
    pub const fn is_allowed(self) -> bool {
        matches!(self, Self::Allowed)
    }
}

/// Whether a kind of name is in the certificate.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// A request with it is refused.
    #[default]
    Forbidden,
    /// It is there if it was given.
    Optional,
    /// A request without it is refused.
    Required,
}

/// Whether a subject attribute may be left out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Left out when its placeholder has no value, and when that is a mailbox or a
    /// host name too long for the attribute: the alternative names have it anyway.
    Optional,
    /// A request without a value is refused.
    #[default]
    Required,
}

/// Where URLs come from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UrlSource {
    /// The issuing authority's configured URLs; one without any refuses to issue.
    Authority,
    /// There are none.
    #[default]
    None,
}

/// Whether an extension without content is in the certificate.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Marker {
    /// It is not.
    #[default]
    Absent,
    /// It is.
    Present,
}

/// A bit of the KeyUsage extension (RFC 5280, section 4.2.1.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in the RFC")]
pub enum KeyUsageBit {
    #[serde(rename = "cRLSign")]
    CrlSign,
    DataEncipherment,
    DecipherOnly,
    DigitalSignature,
    EncipherOnly,
    KeyAgreement,
    KeyCertSign,
    KeyEncipherment,
    NonRepudiation,
}

impl KeyUsageBit {
    /// The bit.
    #[must_use]
    pub const fn bit(self) -> KeyUsages {
        match self {
            Self::CrlSign => KeyUsages::CRLSign,
            Self::DataEncipherment => KeyUsages::DataEncipherment,
            Self::DecipherOnly => KeyUsages::DecipherOnly,
            Self::DigitalSignature => KeyUsages::DigitalSignature,
            Self::EncipherOnly => KeyUsages::EncipherOnly,
            Self::KeyAgreement => KeyUsages::KeyAgreement,
            Self::KeyCertSign => KeyUsages::KeyCertSign,
            Self::KeyEncipherment => KeyUsages::KeyEncipherment,
            Self::NonRepudiation => KeyUsages::NonRepudiation,
        }
    }

    /// The RFC's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CrlSign => "cRLSign",
            Self::DataEncipherment => "dataEncipherment",
            Self::DecipherOnly => "decipherOnly",
            Self::DigitalSignature => "digitalSignature",
            Self::EncipherOnly => "encipherOnly",
            Self::KeyAgreement => "keyAgreement",
            Self::KeyCertSign => "keyCertSign",
            Self::KeyEncipherment => "keyEncipherment",
            Self::NonRepudiation => "nonRepudiation",
        }
    }
}

/// Key algorithms that share their key usages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyFamily {
    /// P-256 and P-384.
    Ec,
    /// Ed25519.
    Ed25519,
    /// RSA of every size.
    Rsa,
}

impl KeyFamily {
    /// The family of an algorithm.
    #[must_use]
    pub const fn of(algorithm: KeyAlgorithm) -> Self {
        match algorithm {
            KeyAlgorithm::Ed25519 => Self::Ed25519,
            KeyAlgorithm::P256 | KeyAlgorithm::P384 => Self::Ec,
            KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => Self::Rsa,
        }
    }

    /// The field under `key_usage`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ec => "ec",
            Self::Ed25519 => "ed25519",
            Self::Rsa => "rsa",
        }
    }
}
