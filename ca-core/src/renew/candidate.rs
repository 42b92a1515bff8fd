//! Which certificates are renewed, and for which names.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use ca_domain::mailbox::{DnsName, Mailbox};
use ca_domain::microsoft::{SECURITY, SecurityExtension, SecurityIdentifier, UPN, Upn};
use ca_domain::profile::SubjectInput;
use ca_domain::template::{Pattern, Placeholder, Presence, SubjectAttribute, Template, TemplateKind};
use ca_domain::{RevocationState, SerialNumber, Timestamp};
use ca_index::{CertificateRecord, Filter, StateFilter};
use der::asn1::{Ia5StringRef, PrintableStringRef, Utf8StringRef};
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};
use crate::inventory::{Inventory, Issuance};
use crate::person::record::Leavers;
use crate::templates;

/// What shall be renewed.
#[derive(Clone, Debug)]
pub enum RenewTarget {
    /// These certificates, whatever else their holders have.
    Serials(Vec<SerialNumber>),
    /// The newest certificate of a mailbox from each template.
    Mailbox(String),
    /// All that end before this time and have no successor.
    Expiring(Timestamp),
}

/// An old certificate and what its successor is made from.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The old certificate.
    pub old: Issuance,
    /// Its template, as it is today.
    pub template: Template,
    /// Its names.
    pub subject: SubjectInput,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// To be renewed.
    pub candidates: Vec<Candidate>,
    /// Not to be renewed, with the reason.
    pub skipped: Vec<(SerialNumber, String)>,
}

impl Candidate {
    /// What clients show: the common name, else whose it is.
    #[must_use]
    pub fn shown(&self) -> &str {
        let name = self.subject.attributes.get(&SubjectAttribute::CommonName);
        name.map_or(self.old.record.person.as_str(), String::as_str)
    }
}

/// Looks up what `target` means at `now`.
///
/// Serial numbers mean those certificates; one that cannot be renewed is an error.
/// Elsewhere such are passed over, and so are those that have a successor already.
///
/// # Errors
/// Nothing to renew, a revoked certificate named by its serial number, a template
/// that is not there any more.
pub fn find(home: &Home, target: &RenewTarget, now: Timestamp, wait: &Wait<'_>) -> Result<Found> {
    let mut inventory = Inventory::open(home, wait)?;
    let mut found = Found::default();
    match target {
        RenewTarget::Serials(serials) => {
            for serial in serials {
                let issuance = inventory.by_serial(*serial, wait)?;
                let record = &issuance.record;
                let why = match unfit(record) {
                    Some(why) => Some(why),
                    None => gone(&Leavers::read(inventory.ledger(), record.position, wait)?, record),
                };
                if let Some(why) = why {
                    return Err(AuthorityError::Refused(format!("certificate {serial} {why}")));
                }
                found.candidates.push(candidate(home, issuance)?);
            }
        }
        RenewTarget::Mailbox(mailbox) => {
            let filter = Filter { mailbox: Some(mailbox.clone()), ..Filter::default() };
            let all = select(&mut inventory, &filter, now, wait)?;
            let first = all.iter().map(|record| record.position).min().unwrap_or_default();
            let leavers = Leavers::read(inventory.ledger(), first, wait)?;
            of_mailbox(home, &mut inventory, mailbox, &leavers, now, wait, &mut found)?;
        }
        RenewTarget::Expiring(before) => {
            let filter = Filter {
                expiring_before: Some(*before),
                state: Some(StateFilter::Good),
                ..Filter::default()
            };
            let mut people = BTreeMap::new();
            for record in select(&mut inventory, &filter, now, wait)? {
                people.insert(record.person.to_ascii_lowercase(), record.person);
            }
            let leavers = Leavers::read(inventory.ledger(), 0, wait)?;
            for person in people.values() {
                let mut theirs = Found::default();
                match of_mailbox(home, &mut inventory, person, &leavers, now, wait, &mut theirs) {
                    Ok(()) => {}
                    Err(AuthorityError::NotFound(_)) => continue,
                    Err(error) => return Err(error),
                }
                theirs.candidates.retain(|candidate| candidate.old.record.not_after < *before);
                found.candidates.append(&mut theirs.candidates);
            }
        }
    }
    if found.candidates.is_empty() {
        return Err(AuthorityError::NotFound("there is nothing to renew; see `ca cert list`".into()));
    }
    Ok(found)
}

/// The newest certificate of a mailbox from each template, unless it was revoked.
pub(crate) fn of_mailbox(
    home: &Home,
    inventory: &mut Inventory,
    mailbox: &str,
    leavers: &Leavers,
    now: Timestamp,
    wait: &Wait<'_>,
    found: &mut Found,
) -> Result<()> {
    let filter = Filter { mailbox: Some(mailbox.to_owned()), ..Filter::default() };
    let mut newest: HashMap<String, CertificateRecord> = HashMap::new();
    for record in select(inventory, &filter, now, wait)? {
        if let Some(why) = unfit(&record).or_else(|| gone(leavers, &record)) {
            found.skipped.push((record.serial, why));
            continue;
        }
        let slot = newest.entry(record.template.clone());
        let kept = slot.or_insert_with(|| record.clone());
        if record.not_after > kept.not_after {
            let passed = std::mem::replace(kept, record);
            found.skipped.push((passed.serial, format!("has a successor, {}", kept.serial)));
        } else if record.serial != kept.serial {
            found.skipped.push((record.serial, format!("has a successor, {}", kept.serial)));
        }
    }
    let mut records: Vec<_> = newest.into_values().collect();
    records.sort_by_key(|record| record.position);
    let mut any = false;
    for record in records {
        let issuance = inventory.issuance(record)?;
        let template = templates::load(home, &issuance.record.template)?;
        if matches!(template.kind(), TemplateKind::User) {
            any = true;
            found.candidates.push(candidate(home, issuance)?);
        }
    }
    if any {
        return Ok(());
    }
    Err(AuthorityError::NotFound(format!(
        "{mailbox} has no certificate that can be renewed; see `ca cert list`, or issue with `ca issue`"
    )))
}

pub(crate) fn select(
    inventory: &mut Inventory,
    filter: &Filter,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Vec<CertificateRecord>> {
    let mut records = Vec::new();
    inventory.query(filter, now, None, wait, &mut |record| {
        records.push(record);
        ControlFlow::Continue(())
    })?;
    Ok(records)
}

/// Why a certificate is not renewed, if it is not.
fn unfit(record: &CertificateRecord) -> Option<String> {
    match record.state {
        RevocationState::Good => None,
        RevocationState::Held { .. } => Some("is on hold; release it first".into()),
        RevocationState::Revoked { reason, .. } => {
            Some(format!("was revoked ({reason}); issue a new one with `ca issue`"))
        }
    }
}

/// Who left keeps what runs on, but gets no successor of it.
fn gone(leavers: &Leavers, record: &CertificateRecord) -> Option<String> {
    let at = leavers.left_after(&record.person, record.position)?;
    Some(format!("is of {}, who left on {at}; for somebody who came back use `ca issue`", record.person))
}

/// Template and names of a certificate.
pub(crate) fn candidate(home: &Home, old: Issuance) -> Result<Candidate> {
    let template = templates::load(home, &old.record.template)?;
    if template.kind().is_authority() || template.kind() == TemplateKind::OcspSigner {
        return Err(AuthorityError::Refused(format!(
            "certificate {} is not a person's or a server's; use `ca authority` or `ca ocsp-signer`",
            old.record.serial
        )));
    }
    let subject = names(&old, &template)?;
    Ok(Candidate { old, template, subject })
}

/// The names that were authorised for a certificate, read back from it.
pub(crate) fn names(old: &Issuance, template: &Template) -> Result<SubjectInput> {
    let record = &old.record;
    let mut mailboxes = Vec::new();
    let mut dns_names = Vec::new();
    if template.mailboxes() != Presence::Forbidden {
        for text in &record.mailboxes {
            mailboxes.push(Mailbox::parse(text)?);
        }
    }
    if template.dns_names() != Presence::Forbidden {
        for text in &record.dns_names {
            dns_names.push(DnsName::parse(text)?);
        }
    }
    let mut attributes = BTreeMap::new();
    for (attribute, pattern, _) in template.subject() {
        let Pattern::Placeholder(alternatives) = pattern else { continue };
        let Some(value) = value(&old.certificate, attribute) else { continue };
        let is_mailbox = alternatives.contains(&Placeholder::Mailbox)
            && mailboxes.first().is_some_and(|mailbox| mailbox.as_str() == value);
        let given = alternatives.iter().find_map(|placeholder| match placeholder {
            Placeholder::Attribute(attribute) => Some(*attribute),
            Placeholder::DnsName | Placeholder::Mailbox => None,
        });
        if let Some(given) = given.filter(|_| !is_mailbox) {
            attributes.insert(given, value);
        }
    }
    let (upn, sid) = windows_names(&old.certificate)?;
    Ok(SubjectInput { mailboxes, dns_names, upn, sid, attributes })
}

/// The names of a Windows domain: user principal name and security identifier.
pub(crate) fn windows_names(certificate: &Certificate) -> Result<(Option<Upn>, Option<SecurityIdentifier>)> {
    let tbs = &certificate.tbs_certificate;
    let unreadable = AuthorityError::der("an alternative name");
    let names =
        tbs.get::<SubjectAltName>().map_err(unreadable)?.map(|(_, names)| names.0).unwrap_or_default();
    let upn = names.iter().find_map(|name| match name {
        GeneralName::OtherName(other) if other.type_id == UPN => {
            let text = other.value.decode_as::<Utf8StringRef<'_>>().ok()?;
            Upn::parse(text.as_str()).ok()
        }
        _ => None,
    });
    let mut extensions = tbs.extensions.iter().flatten();
    let security = extensions.find(|extension| extension.extn_id == SECURITY);
    let sid = security.and_then(|extension| SecurityExtension::read(extension.extn_value.as_bytes()));
    Ok((upn, sid))
}

fn value(certificate: &Certificate, attribute: SubjectAttribute) -> Option<String> {
    let rdns = certificate.tbs_certificate.subject.0.iter();
    let found = rdns.flat_map(|rdn| rdn.0.iter()).find(|one| one.oid == attribute.oid())?;
    let value = &found.value;
    let text = value.decode_as::<Utf8StringRef<'_>>().map(|text| text.as_str().to_owned());
    let text =
        text.or_else(|_| value.decode_as::<PrintableStringRef<'_>>().map(|text| text.as_str().to_owned()));
    text.or_else(|_| value.decode_as::<Ia5StringRef<'_>>().map(|text| text.as_str().to_owned())).ok()
}
