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
use crate::publish::ours::Ours;
use crate::publish::reconcile::{Wanted, reconcile};

/// People asked for at once.
const BATCH: usize = 100;

pub(super) struct Run<'a> {
    target: &'a DirectoryTarget,
    holders: &'a Holders,
    ours: &'a Ours<'a>,
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
        let report = PublishReport { directory: target.name.clone(), ..PublishReport::default() };
        let (seen, found) = (HashSet::new(), HashSet::new());
        Self { target, holders, ours, request, now, by_address, attributes, seen, found, report }
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
            let filter = Filter::present(Attribute::UserCertificate.name());
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
        let attribute = Attribute::UserCertificate;
        let present = entry.values(attribute.name());
        let known = |value: &[u8]| self.ours.certificate(value);
        let difference = reconcile(attribute.name(), &present, &wanted, known, self.now);
        let name = self.target.server.dialect.attribute(attribute).to_owned();
        let mut changes = Vec::new();
        if !difference.remove.is_empty() {
            changes.push(Change::Delete(name.clone(), difference.remove));
        }
        if !difference.add.is_empty() {
            changes.push(Change::Add(name, difference.add));
        }
        // The newest finds no room: somebody must take one of the others away.
        let failed = (difference.left_out > 0 && difference.left_out == wanted.len()).then(|| {
            format!("the entry has {} values of others, and 15 are the most; remove some", difference.others)
        });
        if changes.is_empty() && failed.is_none() {
            return None;
        }
        Some(EntryReport {
            dn: entry.dn().to_owned(),
            lines: difference.lines,
            others: difference.others,
            left_out: difference.left_out,
            failed,
            changes,
        })
    }
}
