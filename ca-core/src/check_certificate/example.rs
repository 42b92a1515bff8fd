//! An example of what a template makes: never signed, never recorded.

use ca_domain::clients;
use ca_domain::lint::lint_tbs;
use ca_domain::mailbox::{DnsName, Mailbox};
use ca_domain::microsoft::{SecurityIdentifier, Upn};
use ca_domain::profile::{self, SubjectInput};
use ca_domain::template::{Need, Pattern, Placeholder, Presence, SubjectAttribute, Template, TemplateKind};
use ca_domain::{KeyAlgorithm, SerialNumber, SignatureAlgorithm, Timestamp};
use ca_signing::{SigningKey, SoftwareKey};
use der::Decode;
use x509_cert::Certificate;
use x509_cert::certificate::TbsCertificate;

use super::{Checked, Signature};
use crate::authority::Authority;
use crate::error::{AuthorityError, Result};
use crate::home::Home;

/// What `ca check cert TEMPLATE` is told.
pub struct Example<'a> {
    /// The template.
    pub template: &'a Template,
    /// Who would issue; none for the first authority that may.
    pub authority: Option<&'a Authority>,
    /// The key; none for the template's default.
    pub key: Option<KeyAlgorithm>,
    /// Whose mailbox; none for one that the template's policy permits.
    pub mailbox: Option<&'a Mailbox>,
}

/// Checks what a template would make, with example names and a key that is thrown away.
///
/// # Errors
/// No authority of the home may issue from the template, or not to this mailbox.
pub fn check_template(home: &Home, example: &Example<'_>, now: Timestamp) -> Result<Checked> {
    let template = example.template;
    let algorithm = example.key.unwrap_or_else(|| template.default_key_algorithm());
    let key = SoftwareKey::generate(algorithm)?;
    let subject = subject(template, example.mailbox)?;
    let authorities = match (template.kind(), example.authority) {
        (TemplateKind::RootCa, _) => {
            let tbs = build(template, None, &subject, &key, SignatureAlgorithm::of_key(algorithm), now)?;
            return checked(&tbs, None, template, now);
        }
        (_, Some(authority)) => vec![authority.clone()],
        (kind, None) => {
            // A root could issue to people, but nobody should let it.
            let mut all = Authority::all(home)?;
            all.retain(|authority| kind.is_authority() || !authority.is_root());
            all
        }
    };
    let mut refusal = AuthorityError::Refused(
        "there is no authority in this home that could issue an example; create one with `ca authority create`"
            .into(),
    );
    for authority in authorities {
        let Some(signs) = authority.key_algorithm().map(SignatureAlgorithm::of_key) else { continue };
        let context = authority.issuer_context(home)?;
        match build(template, Some(&context), &subject, &key, signs, now) {
            Ok(tbs) => return checked(&tbs, Some(&authority), template, now),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

fn build(
    template: &Template,
    issuer: Option<&profile::IssuerContext>,
    subject: &SubjectInput,
    key: &SoftwareKey,
    signs: SignatureAlgorithm,
    now: Timestamp,
) -> Result<TbsCertificate> {
    let serial = SerialNumber::from_random(ca_signing::random()?);
    Ok(profile::build(template, issuer, subject, key.public_key_der(), serial, now, None, signs)?)
}

fn checked(
    tbs: &TbsCertificate,
    authority: Option<&Authority>,
    template: &Template,
    now: Timestamp,
) -> Result<Checked> {
    let chain = authority.map(Authority::full_chain).unwrap_or_default();
    let decode = |der: &Vec<u8>| Certificate::from_der(der).map(|issuer| issuer.tbs_certificate);
    let issuers: Vec<_> = chain
        .iter()
        .map(decode)
        .collect::<der::Result<_>>()
        .map_err(AuthorityError::der("an issuer's certificate"))?;
    let facts = clients::facts(tbs, &issuers, now);
    Ok(Checked {
        subject: tbs.subject.to_string(),
        issuers: issuers.len(),
        signature: Signature::None,
        clients: clients::assess(&facts),
        lint: lint_tbs(tbs, authority.map(Authority::certificate), template.kind(), template.conformance()),
    })
}

/// Names that the template takes. A pseudonym is given only where a person has no
/// other name.
fn subject(template: &Template, mailbox: Option<&Mailbox>) -> Result<SubjectInput> {
    let domain =
        template.mailbox_domains().allow().first().map_or("example.test", |pattern| pattern.as_str());
    let domain = domain.strip_prefix('.').map_or_else(|| domain.to_owned(), |below| format!("mail.{below}"));
    let address = format!("user@{domain}");
    let mut subject = SubjectInput::default();
    if template.mailboxes() == Presence::Required || mailbox.is_some() {
        subject.mailboxes.push(match mailbox {
            Some(mailbox) => mailbox.clone(),
            None => Mailbox::parse(&address)?,
        });
    }
    if template.dns_names() == Presence::Required {
        subject.dns_names.push(DnsName::parse("host.example.test")?);
    }
    let unnamed = |error: ca_domain::MicrosoftNameError| AuthorityError::Input(error.to_string());
    if template.upn() == Presence::Required {
        subject.upn = Some(Upn::parse(&address).map_err(unnamed)?);
    }
    if template.sid() == Presence::Required {
        let sid = "S-1-5-21-1004336348-1177238915-682003330-1104";
        subject.sid = Some(SecurityIdentifier::parse(sid).map_err(unnamed)?);
    }
    let person = [SubjectAttribute::GivenName, SubjectAttribute::Surname];
    let named = template.subject().any(|(attribute, ..)| person.contains(&attribute));
    for (attribute, pattern, need) in template.subject() {
        let Pattern::Placeholder(alternatives) = pattern else { continue };
        if need == Need::Optional && !(named && person.contains(&attribute)) {
            continue;
        }
        // A mailbox or a host name is there already and does as well.
        let elsewhere = |one: &Placeholder| match one {
            Placeholder::Mailbox => !subject.mailboxes.is_empty(),
            Placeholder::DnsName => !subject.dns_names.is_empty(),
            Placeholder::Attribute(_) => false,
        };
        if alternatives.iter().any(elsewhere) {
            continue;
        }
        if let Some(Placeholder::Attribute(wanted)) = alternatives.first() {
            subject.attributes.insert(*wanted, sample(*wanted).to_owned());
        }
    }
    Ok(subject)
}

const fn sample(attribute: SubjectAttribute) -> &'static str {
    match attribute {
        SubjectAttribute::Country => "DE",
        SubjectAttribute::DomainComponent => "example",
        SubjectAttribute::EmailAddress => "user@example.test",
        SubjectAttribute::GivenName => "Alex",
        SubjectAttribute::OrganizationIdentifier => "NTRDE-DEK1101R.HRB123456",
        _ => "Example",
    }
}
