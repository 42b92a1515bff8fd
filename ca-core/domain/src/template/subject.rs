//! The subject of a template: an ordered list of attributes and their patterns.

use std::fmt;

use const_oid::db::{rfc3280, rfc4519};
use der::Tag;
use der::asn1::ObjectIdentifier;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An attribute of a distinguished name.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubjectAttribute {
    /// commonName.
    CommonName,
    /// countryName: two capital letters (ISO 3166-1).
    Country,
    /// domainComponent (RFC 4519, section 2.4).
    DomainComponent,
    /// emailAddress (PKCS #9).
    EmailAddress,
    /// givenName.
    GivenName,
    /// localityName.
    Locality,
    /// organizationName.
    Organization,
    /// organizationIdentifier (X.520).
    OrganizationIdentifier,
    /// organizationalUnitName.
    OrganizationalUnit,
    /// pseudonym.
    Pseudonym,
    /// serialNumber: of the subject, not of the certificate.
    SerialNumber,
    /// stateOrProvinceName.
    State,
    /// surname.
    Surname,
    /// title.
    Title,
    /// userId (RFC 4519, section 2.39).
    UserId,
}

impl SubjectAttribute {
    /// Every attribute.
    pub const ALL: [Self; 15] = [
        Self::CommonName,
        Self::Country,
        Self::DomainComponent,
        Self::EmailAddress,
        Self::GivenName,
        Self::Locality,
        Self::Organization,
        Self::OrganizationIdentifier,
        Self::OrganizationalUnit,
        Self::Pseudonym,
        Self::SerialNumber,
        Self::State,
        Self::Surname,
        Self::Title,
        Self::UserId,
    ];

    /// The word in templates, in placeholders and, with hyphens, on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CommonName => "common_name",
            Self::Country => "country",
            Self::DomainComponent => "domain_component",
            Self::EmailAddress => "email_address",
            Self::GivenName => "given_name",
            Self::Locality => "locality",
            Self::Organization => "organization",
            Self::OrganizationIdentifier => "organization_identifier",
            Self::OrganizationalUnit => "organizational_unit",
            Self::Pseudonym => "pseudonym",
            Self::SerialNumber => "serial_number",
            Self::State => "state",
            Self::Surname => "surname",
            Self::Title => "title",
            Self::UserId => "user_id",
        }
    }

    /// The attribute type.
    #[must_use]
    pub const fn oid(self) -> ObjectIdentifier {
        match self {
            Self::CommonName => rfc4519::COMMON_NAME,
            Self::Country => rfc4519::COUNTRY_NAME,
            Self::DomainComponent => rfc4519::DOMAIN_COMPONENT,
            Self::EmailAddress => rfc3280::EMAIL_ADDRESS,
            Self::GivenName => rfc4519::GIVEN_NAME,
            Self::Locality => rfc4519::LOCALITY_NAME,
            Self::Organization => rfc4519::ORGANIZATION_NAME,
            // Not in the crate's database: X.520, id-at-organizationIdentifier.
            Self::OrganizationIdentifier => ObjectIdentifier::new_unwrap("2.5.4.97"),
            Self::OrganizationalUnit => rfc4519::ORGANIZATIONAL_UNIT_NAME,
            Self::Pseudonym => rfc3280::PSEUDONYM,
            Self::SerialNumber => rfc4519::SERIAL_NUMBER,
            Self::State => rfc4519::ST,
            Self::Surname => rfc4519::SURNAME,
            Self::Title => rfc4519::TITLE,
            Self::UserId => rfc4519::USER_ID,
        }
    }

    /// The string type: UTF8String but where RFC 5280, appendix A.1 fixes another.
    #[must_use]
    pub const fn string_type(self) -> Tag {
        match self {
            Self::Country | Self::SerialNumber => Tag::PrintableString,
            Self::DomainComponent | Self::EmailAddress => Tag::Ia5String,
            _ => Tag::Utf8String,
        }
    }

    /// Characters at most: the upper bounds of RFC 5280, appendix A.1. Where it sets
    /// none or one beyond use, ours.
    #[must_use]
    pub const fn max_chars(self) -> usize {
        match self {
            Self::Country => 2,
            Self::DomainComponent => 63,
            Self::EmailAddress => 255,
            Self::Locality | Self::Pseudonym | Self::State => 128,
            Self::UserId => 256,
            Self::CommonName
            | Self::GivenName
            | Self::Organization
            | Self::OrganizationIdentifier
            | Self::OrganizationalUnit
            | Self::SerialNumber
            | Self::Surname
            | Self::Title => 64,
        }
    }
}

impl fmt::Display for SubjectAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for SubjectAttribute {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|attribute| attribute.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|attribute| attribute.name()).collect();
            format!("unknown subject attribute {text:?}; use one of {}", names.join(", "))
        })
    }
}

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Placeholder {
    /// The subject attribute given with the request.
    Attribute(SubjectAttribute),
    /// The first DNS name.
    DnsName,
    /// The first mailbox.
    Mailbox,
}

impl Placeholder {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "dns_name" => Ok(Self::DnsName),
            "mailbox" => Ok(Self::Mailbox),
            _ => text.parse().map(Self::Attribute).map_err(|_| {
                let names: Vec<_> = SubjectAttribute::ALL.iter().map(|attribute| attribute.name()).collect();
                format!("unknown placeholder {{{text}}}; use one of mailbox, dns_name, {}", names.join(", "))
            }),
        }
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(attribute) => attribute.fmt(f),
            Self::DnsName => f.write_str("dns_name"),
            Self::Mailbox => f.write_str("mailbox"),
        }
    }
}

/// The value of a subject attribute: a literal, or one placeholder.
///
/// A placeholder is replaced once, by a whole value that is never looked at
/// again: braces in it are characters like any other.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub enum Pattern {
    /// The text as it stands.
    Literal(String),
    /// `{a}`, or `{a|b}`: the first that has a value.
    Placeholder(Vec<Placeholder>),
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if !text.contains(['{', '}']) {
            return Ok(Self::Literal(text));
        }
        let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let Some(inner) = inner.filter(|inner| !inner.contains(['{', '}'])) else {
            return Err(format!(
                "{text:?} mixes braces and text; write a literal without braces, one placeholder as \
                 \"{{mailbox}}\", or alternatives as \"{{common_name|mailbox}}\""
            ));
        };
        inner.split('|').map(Placeholder::parse).collect::<Result<_, _>>().map(Self::Placeholder)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => f.write_str(text),
            Self::Placeholder(alternatives) => {
                f.write_str("{")?;
                for (i, placeholder) in alternatives.iter().enumerate() {
                    if i > 0 {
                        f.write_str("|")?;
                    }
                    placeholder.fmt(f)?;
                }
                f.write_str("}")
            }
        }
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A literal without braces, or one placeholder: \"{mailbox}\", \"{dns_name}\", \
                            \"{common_name|mailbox}\" (the first that has a value).",
            "type": "string",
            "pattern": r"^([^{}]+|\{[a-z_]+(\|[a-z_]+)*\})$"
        })
    }
}
