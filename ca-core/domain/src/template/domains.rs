//! Domains in templates: mailbox policy and name constraints.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::mailbox::DnsName;

/// `example.test`: that domain alone; `.example.test`: every domain below it
/// (the reading of RFC 5280, section 4.2.1.10 for mailboxes).
///
/// In A-label form and lower case.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub struct DomainPattern(String);

impl DomainPattern {
    /// The text, with its leading dot if it has one.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a mailbox's domain, in A-label form and lower case, is meant.
    #[must_use]
    pub fn matches(&self, domain: &str) -> bool {
        if self.0.starts_with('.') {
            domain.len() > self.0.len() && domain.ends_with(&self.0)
        } else {
            domain == self.0
        }
    }
}

impl FromStr for DomainPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for DomainPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (dot, bare) = match text.strip_prefix('.') {
            Some(rest) => (".", rest),
            None => ("", text.as_str()),
        };
        let name = DnsName::parse(bare).map_err(|error| {
            format!(
                "{error}; write example.test for that domain alone, .example.test for every domain below it"
            )
        })?;
        if name.as_str().contains('*') {
            return Err(format!("{text:?}: write .example.test, not a wildcard, for every domain below it"));
        }
        Ok(Self(format!("{dot}{}", name.as_str().to_ascii_lowercase())))
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for DomainPattern {
    fn schema_name() -> Cow<'static, str> {
        "DomainPattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "example.test: that domain alone. .example.test: every domain below it.",
            "type": "string",
            "pattern": r"^\.?[^.\s@]+(\.[^.\s@]+)*$"
        })
    }
}

/// Whose mailboxes may be certified.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailboxDomains {
    /// Only these; empty or left out: every domain.
    #[serde(default)]
    allow: Vec<DomainPattern>,
    /// Never these, even if allowed above.
    #[serde(default)]
    deny: Vec<DomainPattern>,
}

impl MailboxDomains {
    /// Whether a mailbox in this domain (A-labels, any case) may be certified.
    #[must_use]
    pub fn permits(&self, domain: &str) -> bool {
        let domain = domain.to_ascii_lowercase();
        let hit = |patterns: &[DomainPattern]| patterns.iter().any(|pattern| pattern.matches(&domain));
        !hit(&self.deny) && (self.allow.is_empty() || hit(&self.allow))
    }

    /// A domain that is both allowed and denied, if there is one: a contradiction.
    #[must_use]
    pub fn contradiction(&self) -> Option<&DomainPattern> {
        self.deny.iter().find(|denied| self.allow.contains(denied))
    }

    /// The domains that are allowed; empty: every domain.
    #[must_use]
    pub fn allow(&self) -> &[DomainPattern] {
        &self.allow
    }

    /// The domains that are refused.
    #[must_use]
    pub fn deny(&self) -> &[DomainPattern] {
        &self.deny
    }
}
