//! Object identifiers in templates: key purposes, policies, capabilities.

use std::borrow::Cow;
use std::fmt;

use const_oid::db::{rfc5280, rfc5911};
use der::asn1::ObjectIdentifier;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// A key purpose of the extended key usage (RFC 5280, section 4.2.1.12), by its
/// RFC name or as a dotted object identifier.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyPurpose(ObjectIdentifier);

impl KeyPurpose {
    /// Any purpose; no shipped template has it and most kinds refuse it.
    pub const ANY: Self = Self(rfc5280::ANY_EXTENDED_KEY_USAGE);
    /// TLS clients.
    pub const CLIENT_AUTH: Self = Self(rfc5280::ID_KP_CLIENT_AUTH);
    /// Signers of code.
    pub const CODE_SIGNING: Self = Self(rfc5280::ID_KP_CODE_SIGNING);
    /// S/MIME.
    pub const EMAIL_PROTECTION: Self = Self(rfc5280::ID_KP_EMAIL_PROTECTION);
    /// Delegated OCSP responders.
    pub const OCSP_SIGNING: Self = Self(rfc5280::ID_KP_OCSP_SIGNING);
    /// TLS servers.
    pub const SERVER_AUTH: Self = Self(rfc5280::ID_KP_SERVER_AUTH);
    /// Time stamping authorities.
    pub const TIME_STAMPING: Self = Self(rfc5280::ID_KP_TIME_STAMPING);

    const NAMES: [(&'static str, Self); 7] = [
        ("anyExtendedKeyUsage", Self::ANY),
        ("clientAuth", Self::CLIENT_AUTH),
        ("codeSigning", Self::CODE_SIGNING),
        ("emailProtection", Self::EMAIL_PROTECTION),
        ("OCSPSigning", Self::OCSP_SIGNING),
        ("serverAuth", Self::SERVER_AUTH),
        ("timeStamping", Self::TIME_STAMPING),
    ];

    /// A purpose by its object identifier.
    #[must_use]
    pub const fn from_oid(oid: ObjectIdentifier) -> Self {
        Self(oid)
    }

    /// The object identifier.
    #[must_use]
    pub const fn oid(self) -> ObjectIdentifier {
        self.0
    }
}

impl TryFrom<String> for KeyPurpose {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Some((_, purpose)) = Self::NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(*purpose);
        }
        parse_oid(&text).map(Self).ok_or_else(|| {
            let names: Vec<_> = Self::NAMES.iter().map(|(name, _)| *name).collect();
            format!("unknown key purpose {text:?}; use one of {} or a dotted OID", names.join(", "))
        })
    }
}

/// The RFC's name, or the dotted form.
impl fmt::Display for KeyPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(_, purpose)| purpose == self) {
            Some((name, _)) => f.write_str(name),
            None => self.0.fmt(f),
        }
    }
}

impl JsonSchema for KeyPurpose {
    fn schema_name() -> Cow<'static, str> {
        "KeyPurpose".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = Self::NAMES.iter().map(|(name, _)| *name).collect();
        json_schema!({
            "description": "A key purpose: its RFC 5280 name or a dotted OID.",
            "type": "string",
            "anyOf": [{ "enum": names }, { "pattern": OID_PATTERN }]
        })
    }
}

/// A dotted object identifier.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Oid(pub ObjectIdentifier);

impl TryFrom<String> for Oid {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_oid(&text)
            .map(Self)
            .ok_or_else(|| format!("{text:?} is not an object identifier; write it dotted, as 1.3.6.1.4.1.1"))
    }
}

impl JsonSchema for Oid {
    fn schema_name() -> Cow<'static, str> {
        "Oid".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "A dotted object identifier.", "type": "string", "pattern": OID_PATTERN })
    }
}

const OID_PATTERN: &str = r"^[0-2](\.(0|[1-9][0-9]*))+$";

fn parse_oid(text: &str) -> Option<ObjectIdentifier> {
    // The parser takes leading zeros; a template is read by people.
    let canonical = text.split('.').all(|arc| arc == "0" || (!arc.starts_with('0') && !arc.is_empty()));
    ObjectIdentifier::new(text).ok().filter(|_| canonical)
}

/// A content encryption algorithm that the holder's client can decrypt, announced
/// in the SMIMECapabilities extension (RFC 4262; RFC 8551, section 2.5.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, JsonSchema)]
pub enum SmimeCapability {
    /// AES-128 in CBC mode (RFC 3565).
    #[serde(rename = "aes128-cbc")]
    Aes128Cbc,
    /// AES-128 in GCM mode (RFC 5084).
    #[serde(rename = "aes128-gcm")]
    Aes128Gcm,
    /// AES-192 in CBC mode.
    #[serde(rename = "aes192-cbc")]
    Aes192Cbc,
    /// AES-256 in CBC mode.
    #[serde(rename = "aes256-cbc")]
    Aes256Cbc,
    /// AES-256 in GCM mode.
    #[serde(rename = "aes256-gcm")]
    Aes256Gcm,
}

impl SmimeCapability {
    /// The algorithm's object identifier; its capability has no parameters.
    #[must_use]
    pub const fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Aes128Cbc => rfc5911::ID_AES_128_CBC,
            Self::Aes128Gcm => rfc5911::ID_AES_128_GCM,
            Self::Aes192Cbc => rfc5911::ID_AES_192_CBC,
            Self::Aes256Cbc => rfc5911::ID_AES_256_CBC,
            Self::Aes256Gcm => rfc5911::ID_AES_256_GCM,
        }
    }
}
