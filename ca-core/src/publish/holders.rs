//! People, their addresses, and the certificates that others should find.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;

use ca_domain::microsoft::UPN;
use ca_domain::{Detail, KeyIdentifier, RevocationState, SerialNumber, Timestamp};
use ca_index::{CertificateRecord, Filter, lookup_key};
use const_oid::db::rfc5280::ID_KP_EMAIL_PROTECTION;
use const_oid::db::rfc5912::RSA_ENCRYPTION;
use der::Decode;
use der::asn1::Utf8StringRef;
use x509_cert::Certificate;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, SubjectAltName};

use crate::certify::from_base64;
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};
use crate::inventory::Inventory;
use crate::person::record::Leavers;

/// A certificate for mail that is good now.
#[derive(Clone, Debug)]
pub struct MailCertificate {
    /// Its entry in the ledger: later ones are newer.
    pub position: u64,
    /// The serial number.
    pub serial: SerialNumber,
    /// The mailboxes in it.
    pub mailboxes: Vec<String>,
    /// The last second of its validity.
    pub not_after: Timestamp,
    /// DER.
    pub der: Vec<u8>,
    /// Whether mail can be encrypted to it.
    pub encrypts: bool,
    /// Whether it verifies signatures.
    pub signs: bool,
    /// Whether its key is an RSA key; clients that cannot use others look for one.
    rsa: bool,
}

/// Somebody who has, or had, certificates for mail.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The primary mailbox.
    pub mailbox: String,
    /// Mailboxes and user principal names by which they are found, as looked up.
    pub addresses: BTreeSet<String>,
    /// The certificates that are good, the newest first; none of somebody who left.
    pub certificates: Vec<MailCertificate>,
}

impl Holder {
    /// What mail is encrypted to: the newest certificate, and older ones only where that is of no use:
    /// those with another kind of key, or with a mailbox that it has not.
    pub fn encryption(&self) -> impl Iterator<Item = &MailCertificate> {
        let all = || self.certificates.iter().filter(|certificate| certificate.encrypts);
        all().filter(move |old| {
            let replaced = |new: &MailCertificate| {
                new.position > old.position
                    && new.rsa == old.rsa
                    && old.mailboxes.iter().all(|mailbox| new.mailboxes.contains(mailbox))
            };
            !all().any(replaced)
        })
    }
}

/// Why a certificate is or is not to be found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fate {
    pub(crate) state: RevocationState,
    pub(crate) not_after: Timestamp,
    pub(crate) left: bool,
}

impl Fate {
    /// Whether it is good, and its holder is still here.
    pub(crate) fn is_good(self, now: Timestamp) -> bool {
        self.state == RevocationState::Good && !self.left && self.not_after >= now
    }

    /// Why it is taken away.
    pub(crate) fn reason(self, now: Timestamp) -> &'static str {
        match self.state {
            RevocationState::Revoked { .. } => "revoked",
            RevocationState::Held { .. } => "on hold",
            RevocationState::Good if self.left => "its holder left",
            RevocationState::Good if self.not_after < now => "expired",
            RevocationState::Good => "superseded, or not of this entry",
        }
    }
}

/// All people, and every certificate for mail that was ever issued.
#[derive(Debug)]
pub struct Holders {
    /// In the order of their first certificates.
    pub list: Vec<Holder>,
    pub(crate) issued: HashMap<(KeyIdentifier, SerialNumber), Fate>,
}

impl Holders {
    /// Reads ledger and index, for certificates of these authorities; empty for all.
    ///
    /// # Errors
    /// Busy, or a damaged ledger.
    pub fn gather(
        home: &Home,
        authorities: &[KeyIdentifier],
        now: Timestamp,
        wait: &Wait<'_>,
    ) -> Result<Self> {
        let mut inventory = Inventory::open(home, wait)?;
        let leavers = Leavers::read(inventory.ledger(), 0, wait)?;
        let mut found = Self { list: Vec::new(), issued: HashMap::new() };
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let mut wanted: HashMap<u64, (usize, CertificateRecord)> = HashMap::new();
        inventory.query(&Filter::default(), now, None, wait, &mut |record| {
            let known = authorities.is_empty() || authorities.contains(&record.authority);
            if record.mailboxes.is_empty() || !known {
                return ControlFlow::Continue(());
            }
            let left = leavers.left_after(&record.person, record.position).is_some();
            let fate = Fate { state: record.state, not_after: record.not_after, left };
            found.issued.insert((record.authority, record.serial), fate);
            let number = *numbers.entry(lookup_key(&record.person)).or_insert_with(|| {
                let mailbox = record.person.clone();
                found.list.push(Holder { mailbox, addresses: BTreeSet::new(), certificates: Vec::new() });
                found.list.len() - 1
            });
            if let Some(holder) = found.list.get_mut(number) {
                holder.addresses.extend(record.mailboxes.iter().map(|name| lookup_key(name)));
            }
            let good = record.state == RevocationState::Good && !left;
            if good && record.not_before <= now && !record.is_expired(now) {
                wanted.insert(record.position, (number, record));
            }
            ControlFlow::Continue(())
        })?;
        found.read(&inventory, wanted)?;
        for holder in &mut found.list {
            holder.certificates.sort_by_key(|certificate| std::cmp::Reverse(certificate.position));
        }
        Ok(found)
    }

    /// Reads the certificates themselves, each file of the ledger once.
    fn read(
        &mut self,
        inventory: &Inventory,
        mut wanted: HashMap<u64, (usize, CertificateRecord)>,
    ) -> Result<()> {
        let positions = || wanted.keys().copied();
        let (Some(first), Some(last)) = (positions().min(), positions().max()) else { return Ok(()) };
        for found in inventory.ledger().details(first..last + 1) {
            let (position, _, detail) = found?;
            let Some((number, record)) = wanted.remove(&position) else { continue };
            let damaged = || {
                AuthorityError::Damaged(format!(
                    "entry {position} does not describe certificate {}; run `ca index rebuild`, then `ca ledger verify`",
                    record.serial
                ))
            };
            let Ok(Detail::CertificateIssued { certificate, .. }) = Detail::from_bytes(&detail) else {
                return Err(damaged());
            };
            let der = from_base64(&certificate)?;
            let certificate = Certificate::from_der(&der).map_err(|_| damaged())?;
            let Some(holder) = self.list.get_mut(number) else { continue };
            holder.addresses.extend(principal_name(&certificate));
            holder.certificates.extend(mail_certificate(&certificate, der, record));
        }
        Ok(())
    }

    /// The people of these mailboxes alone.
    ///
    /// # Errors
    /// A mailbox that no certificate names.
    pub fn only(&mut self, mailboxes: &[String]) -> Result<()> {
        let wanted: HashSet<String> = mailboxes.iter().map(|mailbox| lookup_key(mailbox)).collect();
        for (key, mailbox) in mailboxes.iter().map(|mailbox| (lookup_key(mailbox), mailbox)) {
            if !self.list.iter().any(|holder| holder.addresses.contains(&key)) {
                return Err(AuthorityError::NotFound(format!(
                    "no certificate names {mailbox}; see `ca cert list`"
                )));
            }
        }
        self.list.retain(|holder| holder.addresses.iter().any(|address| wanted.contains(address)));
        Ok(())
    }
}

/// What the certificate may be used for; none if that is not mail.
fn mail_certificate(
    certificate: &Certificate,
    der: Vec<u8>,
    record: CertificateRecord,
) -> Option<MailCertificate> {
    let (signs, encrypts) = usage(certificate)?;
    let key = &certificate.tbs_certificate.subject_public_key_info.algorithm;
    Some(MailCertificate {
        position: record.position,
        serial: record.serial,
        mailboxes: record.mailboxes,
        not_after: record.not_after,
        der,
        encrypts,
        signs,
        rsa: key.oid == RSA_ENCRYPTION,
    })
}

/// Whether a certificate verifies signatures of mail, and whether mail can be encrypted to it; none if it is
/// not for mail.
pub(crate) fn usage(certificate: &Certificate) -> Option<(bool, bool)> {
    let tbs = &certificate.tbs_certificate;
    let (_, purposes) = tbs.get::<ExtendedKeyUsage>().ok()??;
    let (_, usage) = tbs.get::<KeyUsage>().ok()??;
    let signs = usage.digital_signature() || usage.non_repudiation();
    let encrypts = usage.key_encipherment() || usage.key_agreement();
    purposes.0.contains(&ID_KP_EMAIL_PROTECTION).then_some((signs, encrypts))
}

fn principal_name(certificate: &Certificate) -> Option<String> {
    let (_, names) = certificate.tbs_certificate.get::<SubjectAltName>().ok()??;
    names.0.iter().find_map(|name| match name {
        GeneralName::OtherName(other) if other.type_id == UPN => {
            other.value.decode_as::<Utf8StringRef<'_>>().ok().map(|text| lookup_key(text.as_str()))
        }
        _ => None,
    })
}
