//! The template file as it is written: its shape, not yet its sense.

use std::borrow::Cow;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

use super::approval::Approval;
use super::conformance::Conformance;
use super::domains::{DomainPattern, MailboxDomains};
use super::purpose::{KeyPurpose, Oid, SmimeCapability};
use super::subject::{Pattern, SubjectAttribute};
use super::value::{KeyUsageBit, Marker, Need, Permission, Presence, TemplateKind, UrlSource};
use crate::KeyAlgorithm;

/// A value and the line that it stands on.
#[derive(Clone, Debug)]
pub struct At<T> {
    value: T,
    line: u64,
}

impl<T> At<T> {
    /// The line, from 1; 0 if the file does not have the field.
    pub const fn line(&self) -> u64 {
        self.line
    }
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> At<T> {
    /// A value that does not come from a file.
    pub(super) const fn given(value: T) -> Self {
        Self { value, line: 0 }
    }
}

impl<T: Default> Default for At<T> {
    fn default() -> Self {
        Self { value: T::default(), line: 0 }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<T>::deserialize(deserializer)?;
        let line = if spanned.referenced == Location::UNKNOWN { 0 } else { spanned.referenced.line() };
        Ok(Self { value: spanned.value, line })
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A Chancery certificate template, format 1.
///
/// A template fixes everything in a certificate but the public key, the names and
/// the serial number.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateFile {
    /// The version of this format: 1.
    pub format: At<u32>,
    /// The template's name: lower-case letters, digits and hyphens, as the file's.
    pub name: At<String>,
    /// What the template is for, in a sentence.
    pub description: At<String>,
    /// What its certificates are.
    pub kind: At<TemplateKind>,
    /// The outside rules that it promises to follow.
    #[serde(default)]
    pub conformance: At<Conformance>,
    /// Whether a second person must approve; not for authorities and OCSP signers.
    #[serde(default)]
    pub approval: At<Approval>,
    /// Which keys may be certified.
    pub key: KeySection,
    /// What a renewal may keep, and when it may be.
    #[serde(default)]
    pub renewal: RenewalSection,
    /// How long certificates are valid.
    pub validity: ValiditySection,
    /// The KeyUsage extension (always critical), per family of keys.
    pub key_usage: KeyUsageSection,
    /// The ExtendedKeyUsage extension (never critical).
    #[serde(default)]
    pub extended_key_usage: At<Vec<KeyPurpose>>,
    /// The CertificatePolicies extension.
    #[serde(default)]
    pub policies: At<Vec<PolicyEntry>>,
    /// The subject's attributes, in their order in the certificate.
    #[serde(default)]
    pub subject: At<Vec<SubjectEntry>>,
    /// Which names the SubjectAltName extension has.
    #[serde(default)]
    pub subject_alt_names: AltNameSection,
    /// Whose mailboxes may be certified.
    #[serde(default)]
    pub mailbox_domains: At<MailboxDomains>,
    /// The CRLDistributionPoints extension.
    #[serde(default)]
    pub cdp: At<UrlSource>,
    /// The FreshestCRL extension: where the delta CRL is.
    #[serde(default)]
    pub freshest_crl: At<UrlSource>,
    /// The AuthorityInfoAccess extension.
    #[serde(default)]
    pub aia: AiaSection,
    /// What the holder's mail client can decrypt, the preferred first.
    #[serde(default)]
    pub smime_capabilities: At<Vec<SmimeCapability>>,
    /// CA certificates that may follow below (pathLenConstraint); authorities only.
    #[serde(default)]
    pub path_length: Option<At<u8>>,
    /// The NameConstraints extension (critical); authorities only.
    #[serde(default)]
    pub name_constraints: Option<At<NameConstraintSection>>,
    /// The extensions of a Windows domain: private templates of users and TLS clients
    /// only.
    #[serde(default)]
    pub microsoft: Option<At<MicrosoftSection>>,
    /// The id-pkix-ocsp-nocheck extension; OCSP signers only.
    #[serde(default)]
    pub ocsp_no_check: At<Marker>,
}

/// Which keys may be certified.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeySection {
    /// The algorithms and sizes that are accepted.
    pub algorithms: At<Vec<KeyAlgorithm>>,
    /// The one that is generated unless another is asked for.
    pub default: At<KeyAlgorithm>,
    /// Whether the authority may generate the key.
    pub generate: At<Permission>,
    /// Whether a certification request may bring the key.
    pub csr: At<Permission>,
}

/// What a renewal may keep, and when it may be.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewalSection {
    /// Whether a new certificate may have the old one's key; forbidden unless the
    /// file says otherwise.
    #[serde(default)]
    pub same_key: Option<At<Permission>>,
    /// For how many days old and new certificate may be valid side by side: a renewal
    /// is refused before, unless it supersedes the old one. No limit without it.
    #[serde(default)]
    pub overlap_days: Option<At<u32>>,
}

/// How long certificates are valid.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValiditySection {
    /// Days, unless others are asked for.
    pub default_days: At<u32>,
    /// Days at most.
    pub maximum_days: At<u32>,
    /// Minutes that the start lies before the issuance, for clocks that are slow.
    #[serde(default)]
    pub backdate_minutes: At<u32>,
}

/// Key usages by family of keys.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyUsageSection {
    /// Of P-256 and P-384 keys.
    #[serde(default)]
    pub ec: Option<At<Vec<KeyUsageBit>>>,
    /// Of Ed25519 keys.
    #[serde(default)]
    pub ed25519: Option<At<Vec<KeyUsageBit>>>,
    /// Of RSA keys.
    #[serde(default)]
    pub rsa: Option<At<Vec<KeyUsageBit>>>,
}

/// A certificate policy.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyEntry {
    /// Its object identifier.
    pub oid: At<Oid>,
    /// The http or https URL of the certification practice statement.
    #[serde(default)]
    pub cps: Option<At<String>>,
}

/// One attribute of the subject.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubjectEntry {
    /// Which.
    pub attribute: At<SubjectAttribute>,
    /// Its value.
    pub pattern: At<Pattern>,
    /// Whether it may be left out when there is no value.
    #[serde(default)]
    pub need: At<Need>,
}

/// Which subject alternative names there are.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AltNameSection {
    /// Mailboxes: rfc822Name, or SmtpUTF8Mailbox for a non-ASCII local part.
    #[serde(default)]
    pub rfc822: At<Presence>,
    /// Host names: dNSName.
    #[serde(default)]
    pub dns: At<Presence>,
    /// A user principal name of a Windows domain: private templates of users and TLS
    /// clients only.
    #[serde(default)]
    pub upn: At<Presence>,
}

/// What the AuthorityInfoAccess extension has.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AiaSection {
    /// Where the issuer's certificate is.
    #[serde(default)]
    pub ca_issuers: At<UrlSource>,
    /// Where the OCSP responder is.
    #[serde(default)]
    pub ocsp: At<UrlSource>,
}

/// The extensions of a Windows domain.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MicrosoftSection {
    /// The certificate template extension: the template's counterpart in the directory.
    #[serde(default)]
    pub template: Option<MicrosoftTemplate>,
    /// The security identifier of the holder's account.
    #[serde(default)]
    pub sid: At<Presence>,
}

/// A certificate template of a Windows domain.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MicrosoftTemplate {
    /// Its object identifier.
    pub oid: Oid,
    /// Its major version.
    pub major: u32,
    /// Its minor version.
    pub minor: u32,
}

/// What an authority may name in certificates.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NameConstraintSection {
    /// Only these, for each kind of name that is listed.
    #[serde(default)]
    pub permitted: ConstraintNames,
    /// Never these.
    #[serde(default)]
    pub excluded: ConstraintNames,
}

/// Names by kind.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConstraintNames {
    /// Domains of mailboxes; `.example.test` is every domain below example.test.
    #[serde(default)]
    pub rfc822: Vec<DomainPattern>,
    /// Host names; each includes every name below it, without a leading dot.
    #[serde(default)]
    pub dns: Vec<DomainPattern>,
}
