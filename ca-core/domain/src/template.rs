//! Certificate templates: what a certificate is, decided before anybody asks.
//!
//! A file (YAML, [`TemplateFile`]) is read strictly, then checked as a whole; what
//! passes is a [`Template`], and nothing else can be issued from. Errors name the
//! file, the line, the field and what is allowed.
//!
//! ```
//! use ca_domain::template::{Template, shipped};
//!
//! for (name, text) in shipped() {
//!     let template = Template::parse(text, &format!("{name}.yaml")).unwrap();
//!     assert_eq!(template.name(), *name);
//! }
//! let error = Template::parse("format: 1\nnaem: x\n", "x.yaml").unwrap_err();
//! assert!(error.to_string().starts_with("x.yaml:2: naem: unknown field \"naem\"; the fields here are "));
//! ```

use der::asn1::ObjectIdentifier;
use sha2::{Digest, Sha256};
use x509_cert::ext::pkix::KeyUsage;

use crate::KeyAlgorithm;

mod approval;
mod check;
mod check_br;
mod check_keys;
mod check_kind;
mod conformance;
mod domains;
mod error;
mod file;
mod narrow;
mod purpose;
mod read;
mod schema;
mod shipped;
mod subject;
#[cfg(test)]
mod tests;
mod value;

pub use approval::Approval;
pub use conformance::{BrProfile, Conformance, Validation};
pub use domains::{DomainPattern, MailboxDomains};
pub use error::{Problem, TemplateError};
pub use file::{
    AiaSection, AltNameSection, At, ConstraintNames, KeySection, KeyUsageSection, MicrosoftSection,
    MicrosoftTemplate, NameConstraintSection, PolicyEntry, RenewalSection, SubjectEntry, TemplateFile,
    ValiditySection,
};
pub use narrow::NarrowError;
pub use purpose::{KeyPurpose, Oid, SmimeCapability};
pub use schema::json_schema;
pub use shipped::shipped;
pub use subject::{Pattern, Placeholder, SubjectAttribute};
pub use value::{KeyFamily, KeyUsageBit, Marker, Need, Permission, Presence, TemplateKind, UrlSource};

/// A template that is complete and does not contradict itself.
#[derive(Clone, Debug)]
pub struct Template {
    file: TemplateFile,
    hash: [u8; 32],
}

impl Template {
    /// Reads a template file; `file_name` is for the messages.
    ///
    /// # Errors
    /// A text that is not YAML, not of the format, or that contradicts itself or
    /// the rules for its kind.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, TemplateError> {
        let file = read::read(text, file_name)?;
        let problems = check::check(&file);
        if problems.is_empty() {
            Ok(Self { file, hash: Sha256::digest(text).into() })
        } else {
            Err(TemplateError { file: file_name.to_owned(), problems })
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// What it is for.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.file.description
    }

    /// SHA-256 of the file's bytes: what ledger details record.
    #[must_use]
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The hash in lower-case hexadecimal.
    #[must_use]
    pub fn hash_hex(&self) -> String {
        hex::encode(self.hash)
    }

    /// What its certificates are.
    #[must_use]
    pub fn kind(&self) -> TemplateKind {
        *self.file.kind
    }

    /// The outside rules that it promises to follow.
    #[must_use]
    pub fn conformance(&self) -> Conformance {
        *self.file.conformance
    }

    /// Whether a second person must approve before a certificate is issued.
    #[must_use]
    pub fn approval(&self) -> Approval {
        *self.file.approval
    }

    /// The key algorithms that it accepts; never empty.
    #[must_use]
    pub fn key_algorithms(&self) -> &[KeyAlgorithm] {
        &self.file.key.algorithms
    }

    /// The algorithm of a generated key unless another is asked for.
    #[must_use]
    pub fn default_key_algorithm(&self) -> KeyAlgorithm {
        *self.file.key.default
    }

    /// Whether the authority may generate the key.
    #[must_use]
    pub fn key_generation(&self) -> Permission {
        *self.file.key.generate
    }

    /// Whether a certification request may bring the key.
    #[must_use]
    pub fn csr(&self) -> Permission {
        *self.file.key.csr
    }

    /// Whether a new certificate may have the key of the one that it renews.
    #[must_use]
    pub fn renews_with_same_key(&self) -> bool {
        self.file.renewal.same_key.as_ref().is_some_and(|permission| permission.is_allowed())
    }

    /// For how many days an old certificate and its successor may be valid side by
    /// side; none for no limit.
    #[must_use]
    pub fn renewal_overlap_days(&self) -> Option<u32> {
        self.file.renewal.overlap_days.as_ref().map(|days| **days)
    }

    /// Days of validity unless others are asked for; at least 1.
    #[must_use]
    pub fn default_days(&self) -> u32 {
        *self.file.validity.default_days
    }

    /// Days of validity at most.
    #[must_use]
    pub fn maximum_days(&self) -> u32 {
        *self.file.validity.maximum_days
    }

    /// Seconds that notBefore lies before the issuance.
    #[must_use]
    pub fn backdate_seconds(&self) -> u64 {
        u64::from(*self.file.validity.backdate_minutes) * 60
    }

    /// The KeyUsage extension for a key; none for an algorithm that the template
    /// does not accept.
    #[must_use]
    pub fn key_usage(&self, algorithm: KeyAlgorithm) -> Option<KeyUsage> {
        if !self.key_algorithms().contains(&algorithm) {
            return None;
        }
        let bits = self.file.key_usage.of(KeyFamily::of(algorithm))?;
        let flags = bits.iter().fold(None.into(), |flags, bit| flags | bit.bit());
        Some(KeyUsage(flags))
    }

    /// The key purposes; empty: no extension.
    #[must_use]
    pub fn extended_key_usage(&self) -> Vec<ObjectIdentifier> {
        self.file.extended_key_usage.iter().map(|purpose| purpose.oid()).collect()
    }

    /// The certificate policies: object identifier and CPS URL; empty: no extension.
    #[must_use]
    pub fn policies(&self) -> Vec<(ObjectIdentifier, Option<&str>)> {
        let policies = self.file.policies.iter();
        policies.map(|policy| (policy.oid.0, policy.cps.as_ref().map(|cps| cps.as_str()))).collect()
    }

    /// The subject's attributes in order: which, its value, whether it may be left
    /// out.
    pub fn subject(&self) -> impl Iterator<Item = (SubjectAttribute, &Pattern, Need)> {
        self.file.subject.iter().map(|entry| (*entry.attribute, &*entry.pattern, *entry.need))
    }

    /// Whether mailboxes are in the SubjectAltName.
    #[must_use]
    pub fn mailboxes(&self) -> Presence {
        *self.file.subject_alt_names.rfc822
    }

    /// Whether host names are in the SubjectAltName.
    #[must_use]
    pub fn dns_names(&self) -> Presence {
        *self.file.subject_alt_names.dns
    }

    /// Whether a user principal name is in the SubjectAltName.
    #[must_use]
    pub fn upn(&self) -> Presence {
        *self.file.subject_alt_names.upn
    }

    /// The certificate template that Windows is told of; none: no extension.
    #[must_use]
    pub fn microsoft_template(&self) -> Option<&MicrosoftTemplate> {
        self.file.microsoft.as_deref().and_then(|section| section.template.as_ref())
    }

    /// Whether the security identifier of an account is in the certificate.
    #[must_use]
    pub fn sid(&self) -> Presence {
        self.file.microsoft.as_ref().map_or(Presence::Forbidden, |section| *section.sid)
    }

    /// Whose mailboxes may be certified.
    #[must_use]
    pub fn mailbox_domains(&self) -> &MailboxDomains {
        &self.file.mailbox_domains
    }

    /// Where the CRL distribution point comes from.
    #[must_use]
    pub fn cdp(&self) -> UrlSource {
        *self.file.cdp
    }

    /// Where the URL of the delta CRL comes from.
    #[must_use]
    pub fn freshest_crl(&self) -> UrlSource {
        *self.file.freshest_crl
    }

    /// Where the URL of the issuer's certificate comes from.
    #[must_use]
    pub fn ca_issuers(&self) -> UrlSource {
        *self.file.aia.ca_issuers
    }

    /// Where the URL of the OCSP responder comes from.
    #[must_use]
    pub fn ocsp(&self) -> UrlSource {
        *self.file.aia.ocsp
    }

    /// What the holder's client can decrypt, the preferred first.
    #[must_use]
    pub fn smime_capabilities(&self) -> &[SmimeCapability] {
        &self.file.smime_capabilities
    }

    /// CA certificates that may follow below; none: no limit.
    #[must_use]
    pub fn path_length(&self) -> Option<u8> {
        self.file.path_length.as_deref().copied()
    }

    /// What an authority may name.
    #[must_use]
    pub fn name_constraints(&self) -> Option<&NameConstraintSection> {
        self.file.name_constraints.as_deref()
    }

    /// Whether id-pkix-ocsp-nocheck is in the certificate.
    #[must_use]
    pub fn ocsp_no_check(&self) -> bool {
        *self.file.ocsp_no_check == Marker::Present
    }
}
