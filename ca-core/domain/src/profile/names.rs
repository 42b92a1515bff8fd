//! Subject and alternative names, from the authorised input alone.

use std::collections::{BTreeMap, BTreeSet};

use der::asn1::{Any, Ia5String, ObjectIdentifier, Utf8StringRef};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};
use x509_cert::name::{Name, RdnSequence};

use super::attribute::rdn;
use super::error::ProfileError;
use super::issuer::IssuerContext;
use crate::mailbox::{DnsName, Mailbox};
use crate::microsoft::{SecurityIdentifier, Upn};
use crate::template::{Need, Pattern, Placeholder, Presence, SubjectAttribute, Template};

/// id-on-SmtpUTF8Mailbox (RFC 9598, section 3).
const SMTP_UTF8_MAILBOX: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.8.9");

/// The names of a request, authorised before they come here.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SubjectInput {
    /// Mailboxes, the primary one first.
    pub mailboxes: Vec<Mailbox>,
    /// Host names, the primary one first.
    pub dns_names: Vec<DnsName>,
    /// The user principal name of a Windows domain.
    pub upn: Option<Upn>,
    /// The security identifier of the account in a Windows domain.
    pub sid: Option<SecurityIdentifier>,
    /// Values for the template's placeholders of the same names.
    pub attributes: BTreeMap<SubjectAttribute, String>,
}

impl SubjectInput {
    /// The value of a placeholder, if there is one.
    fn value(&self, placeholder: Placeholder) -> Option<&str> {
        match placeholder {
            Placeholder::Attribute(attribute) => self.attributes.get(&attribute).map(String::as_str),
            Placeholder::DnsName => self.dns_names.first().map(DnsName::as_str),
            Placeholder::Mailbox => self.mailboxes.first().map(Mailbox::as_str),
        }
    }
}

/// The distinguished name: one attribute in each RDN, in the template's order.
///
/// A value goes from the input into the structure as it is.
pub(super) fn subject(template: &Template, input: &SubjectInput) -> Result<Name, ProfileError> {
    let mut rdns = Vec::new();
    let mut known = BTreeSet::new();
    for (attribute, pattern, need) in template.subject() {
        let (value, repeated) = match pattern {
            Pattern::Literal(text) => (Some(text.as_str()), false),
            Pattern::Placeholder(alternatives) => {
                known.extend(alternatives.iter().filter_map(|placeholder| match placeholder {
                    Placeholder::Attribute(attribute) => Some(*attribute),
                    Placeholder::DnsName | Placeholder::Mailbox => None,
                }));
                let found = alternatives.iter().find_map(|one| input.value(*one).map(|value| (value, *one)));
                let repeated = matches!(found, Some((_, Placeholder::DnsName | Placeholder::Mailbox)));
                (found.map(|(value, _)| value), repeated)
            }
        };
        match (value, need) {
            // The alternative name has it in full.
            (Some(value), Need::Optional) if repeated && value.chars().count() > attribute.max_chars() => {}
            (Some(value), _) => rdns.push(rdn(attribute, value)?),
            (None, Need::Optional) => {}
            (None, Need::Required) => {
                let what = format!("a value for {attribute} ({pattern})");
                return Err(ProfileError::Missing { template: template.name().to_owned(), what });
            }
        }
    }
    if let Some(unused) = input.attributes.keys().find(|attribute| !known.contains(attribute)) {
        return Err(ProfileError::Unused { template: template.name().to_owned(), what: unused.to_string() });
    }
    Ok(RdnSequence(rdns))
}

/// The SubjectAltName; none if there is no name for it.
pub(super) fn alternative(
    template: &Template,
    issuer: Option<&IssuerContext>,
    input: &SubjectInput,
) -> Result<Option<SubjectAltName>, ProfileError> {
    check_presence(template, template.mailboxes(), input.mailboxes.is_empty(), "a mailbox")?;
    check_presence(template, template.dns_names(), input.dns_names.is_empty(), "a host name")?;
    check_presence(template, template.upn(), input.upn.is_none(), "a user principal name")?;
    check_presence(template, template.sid(), input.sid.is_none(), "a security identifier")?;
    let mut seen = BTreeSet::new();
    let mailboxes = input.mailboxes.iter().map(Mailbox::as_str);
    for name in mailboxes.chain(input.dns_names.iter().map(DnsName::as_str)) {
        if !seen.insert(name) {
            return Err(ProfileError::DuplicateName(name.to_owned()));
        }
    }
    let mut names = Vec::new();
    for mailbox in &input.mailboxes {
        check_domain(template, issuer, mailbox)?;
        names.push(mailbox_name(mailbox).map_err(ProfileError::Encoding)?);
    }
    for name in &input.dns_names {
        names.push(GeneralName::DnsName(Ia5String::new(name.as_str()).map_err(ProfileError::Encoding)?));
    }
    if let Some(upn) = &input.upn {
        check_domain(template, issuer, upn.mailbox())?;
        names.push(upn.general_name().map_err(ProfileError::Encoding)?);
    }
    Ok(if names.is_empty() { None } else { Some(SubjectAltName(names)) })
}

/// Template and authority must both permit the domain of a mailbox, and of a user
/// principal name, which lets its holder log in under that name.
fn check_domain(
    template: &Template,
    issuer: Option<&IssuerContext>,
    mailbox: &Mailbox,
) -> Result<(), ProfileError> {
    let (text, domain) = (mailbox.as_str().to_owned(), mailbox.domain().to_owned());
    if !template.mailbox_domains().permits(&domain) {
        let template = template.name().to_owned();
        return Err(ProfileError::MailboxDomain { mailbox: text, domain, template });
    }
    if issuer.is_some_and(|issuer| !issuer.mailbox_domains.permits(&domain)) {
        return Err(ProfileError::AuthorityDomain { mailbox: text, domain });
    }
    Ok(())
}

/// rfc822Name, or SmtpUTF8Mailbox for a local part beyond ASCII and only then
/// (RFC 9598, section 3). The domain has A-labels in both.
fn mailbox_name(mailbox: &Mailbox) -> der::Result<GeneralName> {
    if mailbox.is_internationalized() {
        let value = Any::encode_from(&Utf8StringRef::new(mailbox.as_str())?)?;
        return Ok(GeneralName::OtherName(OtherName { type_id: SMTP_UTF8_MAILBOX, value }));
    }
    Ok(GeneralName::Rfc822Name(Ia5String::new(mailbox.as_str())?))
}

fn check_presence(
    template: &Template,
    presence: Presence,
    empty: bool,
    what: &str,
) -> Result<(), ProfileError> {
    let (template, what) = (template.name().to_owned(), what.to_owned());
    match presence {
        Presence::Forbidden if !empty => Err(ProfileError::Unused { template, what }),
        Presence::Required if empty => Err(ProfileError::Missing { template, what }),
        Presence::Forbidden | Presence::Optional | Presence::Required => Ok(()),
    }
}
