//! One run over one directory.

use std::collections::{BTreeMap, HashMap, HashSet};

use ca_domain::Timestamp;
use ca_index::lookup_key;
use ca_ldap::{Attribute, Change, Entry, Filter, LdapError};
use sha2::{Digest, Sha256};

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

/// An entry that differs.
struct Planned {
    report: EntryReport,
    /// The people whose addresses it has.
    matched: Vec<usize>,
    /// Whether it was tried before, and the connection lost.
    again: bool,
}

impl Planned {
    /// For the report, without the changes that were made.
    fn made(mut self) -> EntryReport {
        self.report.changes = Vec::new();
        self.report
    }
}

pub(super) struct Run<'a> {
    target: &'a DirectoryTarget,
    holders: &'a Holders,
    ours: &'a Ours<'a>,
    objects: &'a Objects,
    request: &'a PublishRequest,
    now: Timestamp,
    by_address: HashMap<&'a str, Vec<usize>>,
    attributes: Vec<&'static str>,
    /// Hashes of the names, in lower case, of entries that were looked at.
    seen: HashSet<[u8; 32]>,
    found: HashSet<usize>,
    /// Changes that were sent and not answered, by number.
    pending: BTreeMap<usize, Planned>,
    sent: usize,
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
        let (seen, found, pending) = (HashSet::new(), HashSet::new(), BTreeMap::new());
        Self {
            target,
            holders,
            ours,
            objects,
            request,
            now,
            by_address,
            attributes,
            seen,
            found,
            pending,
            sent: 0,
            report,
        }
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
        self.report.stopped = done.err().map(|error| match error {
            LdapError::TooMany { .. } => format!("{error} Else raise max_entries in publish.yaml"),
            error => error.to_string(),
        });
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
        let outcome = self.all(&mut session, wait);
        let settled = self.settle(&mut session, None);
        outcome.and(settled)
    }

    fn all(&mut self, session: &mut Session<'_>, wait: &Wait<'_>) -> Result<(), LdapError> {
        let total = self.holders.list.len() as u64;
        let mut done = 0_u64;
        for batch in self.holders.list.chunks(BATCH) {
            let filter = self.filter(batch);
            self.entries(session, &filter)?;
            done += batch.len() as u64;
            (wait.progress)(done, total);
        }
        if self.request.mailboxes.is_empty() {
            // What nobody's address leads to any more: renamed, or emptied when somebody left.
            let held = self.attributes[self.target.find_by.len()..].iter();
            let filter = Filter::any(held.map(|name| Filter::present(name)));
            self.entries(session, &filter)?;
        }
        Ok(())
    }

    /// Compares the entries that meet a filter, and changes those that differ.
    fn entries(&mut self, session: &mut Session<'_>, filter: &Filter) -> Result<(), LdapError> {
        let (target, attributes) = (self.target, self.attributes.clone());
        let mut planned = Vec::new();
        session.search(&target.base, filter, &attributes, target.max_entries, |entry| {
            planned.extend(self.entry(&entry));
        })?;
        if self.request.dry_run {
            self.report.changed.extend(planned.into_iter().map(|one| one.report));
            return Ok(());
        }
        planned.into_iter().try_for_each(|one| self.send(session, one))
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

    /// Compares an entry; none if all is as it should be, or it was looked at before.
    fn entry(&mut self, entry: &Entry) -> Option<Planned> {
        if !self.seen.insert(Sha256::digest(entry.dn().to_lowercase()).into()) {
            return None;
        }
        self.report.entries += 1;
        let matched = self.matched(entry);
        self.plan(entry, &matched).map(|report| Planned { report, matched, again: false })
    }

    /// Sends the changes of an entry; answers are taken as they come.
    fn send(&mut self, session: &mut Session<'_>, one: Planned) -> Result<(), LdapError> {
        match self.send_one(session, one) {
            Ok(()) => Ok(()),
            lost => self.settle(session, lost.err()),
        }
    }

    fn send_one(&mut self, session: &mut Session<'_>, one: Planned) -> Result<(), LdapError> {
        let mut answers = Vec::new();
        self.sent += 1;
        let told = |number, answer| answers.push((number, answer));
        let outcome = session.send_changes(self.sent, &one.report.dn, &one.report.changes, told);
        self.pending.insert(self.sent, one);
        self.take(session, answers);
        outcome
    }

    /// Waits for all answers. Where the connection was lost, nobody knows: those entries are read again, and changed if
    /// they were not. Only the loss of the directory ends the run.
    fn settle(&mut self, session: &mut Session<'_>, mut lost: Option<LdapError>) -> Result<(), LdapError> {
        let (mut in_vain, mut known) = (0, self.report.changed.len());
        while !self.pending.is_empty() {
            if lost.is_none() {
                let mut answers = Vec::new();
                lost = session.await_changes(|number, answer| answers.push((number, answer))).err();
                self.take(session, answers);
            }
            in_vain = if self.report.changed.len() > known { 0 } else { in_vain + 1 };
            known = self.report.changed.len();
            if in_vain == 2 {
                return Err(lost.unwrap_or_else(|| session.lost()));
            }
            for (_, mut one) in std::mem::take(&mut self.pending) {
                // Once more, from what is there now.
                let entry = session.read(&one.report.dn, &self.attributes);
                let entry = entry.map_err(|error| lost.take().unwrap_or(error))?;
                match entry.and_then(|entry| self.plan(&entry, &one.matched)) {
                    Some(rest) => {
                        (one.report.changes, one.again) = (rest.changes, true);
                        lost = self.send_one(session, one).err();
                    }
                    None => self.report.changed.push(one.made()),
                }
            }
        }
        Ok(())
    }

    /// Takes answers; what the server refused is reported.
    fn take(&mut self, session: &mut Session<'_>, answers: Vec<(usize, Result<(), LdapError>)>) {
        for (number, answer) in answers {
            let Some(mut one) = self.pending.remove(&number) else { continue };
            if let Err(refused) = answer {
                // What was on the way when the connection was lost may have come first.
                if !(one.again && self.is_done(session, &one)) {
                    one.report.failed = Some(refused.to_string());
                }
            }
            self.report.changed.push(one.made());
        }
    }

    /// Whether an entry is as it should be by now.
    fn is_done(&self, session: &mut Session<'_>, planned: &Planned) -> bool {
        let entry = session.read(&planned.report.dn, &self.attributes).ok().flatten();
        entry.is_some_and(|entry| self.plan(&entry, &planned.matched).is_none())
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
