//! One run over one directory.

use std::collections::{HashMap, HashSet};

use ca_domain::Timestamp;
use ca_index::lookup_key;
use ca_ldap::{Attribute, Change, Entry, Filter, LdapError};

use super::session::Session;
use super::{EntryReport, PublishReport, PublishRequest};
use crate::home::Wait;
use crate::publish::config::{DirectoryTarget, FindBy};
use crate::publish::holders::{Holder, Holders};
use crate::publish::object::{self, Objects};
use crate::publish::ours::{Known, Ours};
use crate::publish::reconcile::{Difference, Wanted, reconcile};

/// People asked for at once.
const BATCH: usize = 100;

pub(super) struct Run<'a> {
    target: &'a DirectoryTarget,
    holders: &'a Holders,
    ours: &'a Ours<'a>,
    objects: &'a Objects,
    request: &'a PublishRequest,
    now: Timestamp,
    by_address: HashMap<&'a str, Vec<usize>>,
    attributes: Vec<&'static str>,
    /// Names of entries that were looked at, in lower case.
    seen: HashSet<String>,
    found: HashSet<usize>,
    report: PublishReport,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        target: &'a DirectoryTarget,
        holders: &'a Holders,
        ours: &'a Ours<'a>,
        objects: &'a Objects,
        request: &'a PublishRequest,
        now: Timestamp,
    ) -> Self {
        let mut by_address: HashMap<&str, Vec<usize>> = HashMap::new();
        for (number, holder) in holders.list.iter().enumerate() {
            for address in &holder.addresses {
                by_address.entry(address).or_default().push(number);
            }
        }
        let mut attributes: Vec<_> = target.find_by.iter().map(|one| one.attribute()).collect();
        attributes.push(target.server.dialect.attribute(Attribute::UserCertificate));
        if target.user_smime_certificate {
            attributes.push(target.server.dialect.attribute(Attribute::UserSmimeCertificate));
        }
        let report = PublishReport { directory: target.name.clone(), ..PublishReport::default() };
        let (seen, found) = (HashSet::new(), HashSet::new());
        Self { target, holders, ours, objects, request, now, by_address, attributes, seen, found, report }
    }

    pub(super) fn go(mut self, wait: &Wait<'_>) -> PublishReport {
        let done = match &self.request.entries {
            Some(entries) => {
                for entry in entries {
                    self.offline(entry);
                }
                Ok(())
            }
            None => self.online(wait),
        };
        self.report.stopped = done.err().map(|error| error.to_string());
        if self.report.stopped.is_none() {
            let missing = self.holders.list.iter().enumerate().filter(|(number, holder)| {
                !self.found.contains(number) && holder.encryption().next().is_some()
            });
            self.report.missing = missing.map(|(_, holder)| holder.mailbox.clone()).collect();
        }
        self.report
    }

    fn offline(&mut self, entry: &Entry) {
        let matched = self.matched(entry);
        if self.request.mailboxes.is_empty() || !matched.is_empty() {
            self.report.entries += 1;
            let planned = self.plan(entry, &matched);
            self.report.changed.extend(planned);
        }
    }

    fn online(&mut self, wait: &Wait<'_>) -> Result<(), LdapError> {
        let mut session = Session::new(&self.target.server);
        let total = self.holders.list.len() as u64;
        let mut done = 0_u64;
        for batch in self.holders.list.chunks(BATCH) {
            let filter = self.filter(batch);
            for entry in session.search(&self.target.base, &filter, &self.attributes)? {
                self.entry(&mut session, entry)?;
            }
            done += batch.len() as u64;
            (wait.progress)(done, total);
        }
        if self.request.mailboxes.is_empty() {
            // What nobody's address leads to any more: renamed, or emptied when somebody left.
            let held = self.attributes[self.target.find_by.len()..].iter();
            let filter = Filter::any(held.map(|name| Filter::present(name)));
            for entry in session.search(&self.target.base, &filter, &self.attributes)? {
                self.entry(&mut session, entry)?;
            }
        }
        Ok(())
    }

    fn filter(&self, batch: &[Holder]) -> Filter {
        let mut parts = Vec::new();
        for address in batch.iter().flat_map(|holder| &holder.addresses) {
            for by in &self.target.find_by {
                parts.push(match by {
                    FindBy::ProxyAddresses => Filter::equals(by.attribute(), &format!("smtp:{address}")),
                    FindBy::Mail | FindBy::UserPrincipalName => Filter::equals(by.attribute(), address),
                });
            }
        }
        Filter::any(parts)
    }

    /// Compares an entry, and changes it. Only the loss of the directory ends the run.
    fn entry(&mut self, session: &mut Session<'_>, entry: Entry) -> Result<(), LdapError> {
        if !self.seen.insert(entry.dn().to_lowercase()) {
            return Ok(());
        }
        self.report.entries += 1;
        let matched = self.matched(&entry);
        let Some(mut planned) = self.plan(&entry, &matched) else { return Ok(()) };
        if self.request.dry_run || planned.changes.is_empty() {
            self.report.changed.push(planned);
            return Ok(());
        }
        match session.modify(entry.dn(), &planned.changes) {
            Ok(()) => {}
            Err(error) if error.is_refusal() => planned.failed = Some(error.to_string()),
            Err(lost) => {
                // Once more, from what is there now.
                let again = session.read(entry.dn(), &self.attributes).map_err(|_| lost)?;
                match again.as_ref().and_then(|again| self.plan(again, &matched)) {
                    None => {}
                    Some(again) => match session.modify(entry.dn(), &again.changes) {
                        Ok(()) => {}
                        Err(error) if error.is_refusal() => planned.failed = Some(error.to_string()),
                        Err(error) => return Err(error),
                    },
                }
            }
        }
        self.report.changed.push(planned);
        Ok(())
    }

    /// The people whose addresses an entry has.
    fn matched(&mut self, entry: &Entry) -> Vec<usize> {
        let mut matched = Vec::new();
        for by in &self.target.find_by {
            for text in entry.texts(by.attribute()) {
                let address = match by {
                    FindBy::ProxyAddresses => match text.split_once(':') {
                        Some((kind, address)) if kind.eq_ignore_ascii_case("smtp") => address,
                        _ => continue,
                    },
                    FindBy::Mail | FindBy::UserPrincipalName => text,
                };
                matched.extend(self.by_address.get(lookup_key(address).as_str()).into_iter().flatten());
            }
        }
        matched.sort_unstable();
        matched.dedup();
        self.found.extend(&matched);
        matched
    }

    /// What is to be changed; none if all is as it should be.
    fn plan(&self, entry: &Entry, matched: &[usize]) -> Option<EntryReport> {
        let holders = matched.iter().filter_map(|number| self.holders.list.get(*number));
        let mut certificates: Vec<_> = holders.flat_map(Holder::encryption).collect();
        certificates.sort_by_key(|certificate| std::cmp::Reverse(certificate.position));
        let wanted: Vec<_> = certificates
            .iter()
            .map(|one| Wanted {
                value: &one.der,
                what: format!("{} for {}, until {}", one.serial, one.mailboxes.join(" "), one.not_after),
            })
            .collect();
        let known = |value: &[u8]| self.ours.certificate(value);
        let mut difference = self.compare(entry, Attribute::UserCertificate, &wanted, known);
        let left_out = difference.left_out;
        let mut changes = self.changes(entry, Attribute::UserCertificate, &mut difference);
        // Outlook looks here first: both change in one request, or the older one would count.
        if self.target.user_smime_certificate {
            let newest = certificates.first();
            let object = newest.and_then(|newest| self.objects.get(&newest.der));
            let signed = |object: &Vec<u8>| {
                object::signer(object, self.ours).filter(|known| known.fate.is_good(self.now))
            };
            let of = object.as_ref().and_then(|object| Some((object, signed(object)?)));
            let wanted: Vec<_> = of
                .into_iter()
                .map(|(object, signer)| Wanted {
                    value: object,
                    what: format!("signed with {}", signer.serial),
                })
                .collect();
            let known = |value: &[u8]| object::signer(value, self.ours);
            let mut objects = self.compare(entry, Attribute::UserSmimeCertificate, &wanted, known);
            changes.extend(self.changes(entry, Attribute::UserSmimeCertificate, &mut objects));
            difference.lines.append(&mut objects.lines);
            difference.others += objects.others;
        }
        // The newest finds no room: somebody must take one of the others away.
        let failed = (left_out > 0 && left_out == wanted.len()).then(|| {
            format!("the entry has {} values of others, and 15 are the most; remove some", difference.others)
        });
        if changes.is_empty() && failed.is_none() {
            return None;
        }
        Some(EntryReport {
            dn: entry.dn().to_owned(),
            lines: difference.lines,
            others: difference.others,
            left_out,
            failed,
            changes,
        })
    }

    fn compare(
        &self,
        entry: &Entry,
        attribute: Attribute,
        wanted: &[Wanted<'_>],
        known: impl Fn(&[u8]) -> Option<Known>,
    ) -> Difference {
        reconcile(attribute.name(), &entry.values(attribute.name()), wanted, known, self.now)
    }

    fn changes(&self, entry: &Entry, attribute: Attribute, difference: &mut Difference) -> Vec<Change> {
        let dialect = self.target.server.dialect;
        let name = dialect.attribute(attribute);
        let (remove, add) = (std::mem::take(&mut difference.remove), std::mem::take(&mut difference.add));
        if remove.is_empty() && add.is_empty() {
            return Vec::new();
        }
        // Where the attribute has no rule to compare its values by, single ones can be neither added nor removed.
        if !dialect.compares(attribute) {
            let present = entry.values(attribute.name()).into_iter().map(<[u8]>::to_vec);
            let kept = present.filter(|value| !remove.contains(value));
            return vec![Change::Replace(name.to_owned(), kept.chain(add).collect())];
        }
        let remove = (!remove.is_empty()).then(|| Change::Delete(name.to_owned(), remove));
        let add = (!add.is_empty()).then(|| Change::Add(name.to_owned(), add));
        remove.into_iter().chain(add).collect()
    }
}
