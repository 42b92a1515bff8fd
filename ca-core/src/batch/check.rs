//! Looking at every line before the first one is issued.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use ca_domain::template::Template;
use ca_domain::{RevocationState, Timestamp};
use ca_index::Filter;
use ca_signing::{SigningKey, SoftwareKey};

use super::{BatchKind, Item, Part, Run, done};
use crate::error::{AuthorityError, Result};
use crate::home::Wait;
use crate::inventory::Inventory;
use crate::people::{BadLine, Person, Table};
use crate::person::record::Leavers;
use crate::renew::candidate::{of_mailbox, select};
use crate::renew::{Found, signs};

impl Run<'_> {
    /// Everybody in a table, and what is to be issued to those who are not among
    /// `done`; `is_new` if nobody was begun with.
    pub(super) fn check(
        &self,
        mut table: Table,
        done: &HashSet<u64>,
        is_new: bool,
        now: Timestamp,
        wait: &Wait<'_>,
    ) -> Result<(Vec<Person>, Vec<Item>)> {
        let todo = table
            .people
            .iter()
            .filter(|person| !done.contains(&person.line) && !person.subject.mailboxes.is_empty());
        let mut bad = Vec::new();
        let mut items = Vec::new();
        let mut inventory = Inventory::open(self.home, wait)?;
        let renews = matches!(self.request.kind, BatchKind::Renew { .. });
        let leavers = if renews { Leavers::read(inventory.ledger(), 0, wait)? } else { Leavers::default() };
        for person in todo {
            if is_new {
                self.refuse_begun(&mut inventory, person, now, wait)?;
            }
            match self.item(&mut inventory, person, &leavers, now, wait) {
                Ok(item) => items.push(item),
                // Revoked, or gone, since the batch began: that must not hold up the others.
                Err(AuthorityError::NotFound(what)) if !is_new && renews => {
                    (wait.warn)(&format!(
                        "line {} of {} is left out: {what}",
                        person.line, self.request.table_name
                    ));
                }
                Err(error) => bad.push(BadLine { line: person.line, what: error.to_string() }),
            }
        }
        drop(inventory);
        bad.extend(self.rehearse(&items, now)?);
        table.bad.extend(bad);
        let people = table.complete(self.request.table_name)?;
        Ok((people, items))
    }

    /// The same batch for another directory: a lost directory is no reason to go on.
    fn refuse_begun(
        &self,
        inventory: &mut Inventory,
        person: &Person,
        now: Timestamp,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let filter = Filter { mailbox: Some(person.mailbox().to_owned()), ..Filter::default() };
        for record in select(inventory, &filter, now, wait)? {
            if self.is_ours(inventory.ledger(), &record)? {
                return Err(done::elsewhere(person.line));
            }
        }
        Ok(())
    }

    fn item(
        &self,
        inventory: &mut Inventory,
        person: &Person,
        leavers: &Leavers,
        now: Timestamp,
        wait: &Wait<'_>,
    ) -> Result<Item> {
        match &self.request.kind {
            BatchKind::Issue { signing, encryption, again } => {
                if !again {
                    refuse_holder(inventory, person, [signing, encryption], now, wait)?;
                }
                let subject = Arc::new(person.subject.clone());
                let part = |template: &Arc<Template>| Part {
                    template: Arc::clone(template),
                    subject: Arc::clone(&subject),
                };
                let parts = vec![part(signing), part(encryption)];
                Ok(Item { person: person.clone(), parts, old: Vec::new(), retired: Vec::new() })
            }
            BatchKind::Renew { supersede, before } => {
                let mut found = Found::default();
                of_mailbox(self.home, inventory, person.mailbox(), leavers, now, wait, &mut found)?;
                if let Some(before) = before {
                    found.candidates.retain(|candidate| {
                        candidate.old.record.not_after < *before
                            && candidate.refuse_overlap(*supersede, now).is_ok()
                    });
                }
                self.renewal(person, found, *supersede, now)
            }
        }
    }

    fn renewal(&self, person: &Person, found: Found, supersede: bool, now: Timestamp) -> Result<Item> {
        let mut item =
            Item { person: person.clone(), parts: Vec::new(), old: Vec::new(), retired: Vec::new() };
        let ours = self.request.issuer.authority.name();
        for candidate in found.candidates {
            if candidate.old.authority != ours {
                continue;
            }
            candidate.refuse_overlap(supersede, now)?;
            let serial = candidate.old.record.serial;
            item.old.push(serial);
            if supersede && signs(&candidate.template) {
                item.retired.push(serial);
            }
            item.parts
                .push(Part { template: Arc::new(candidate.template), subject: Arc::new(candidate.subject) });
        }
        if item.parts.is_empty() {
            return Err(AuthorityError::NotFound(format!(
                "{} has no certificate of authority {ours:?} that can be renewed",
                person.mailbox()
            )));
        }
        Ok(item)
    }

    /// Builds and lints what would be signed, with keys that are thrown away.
    fn rehearse(&self, items: &[Item], now: Timestamp) -> Result<Vec<BadLine>> {
        let mut bad = Vec::new();
        let mut keys: BTreeMap<String, SoftwareKey> = BTreeMap::new();
        for item in items {
            for part in &item.parts {
                let name = part.template.name();
                if !keys.contains_key(name) {
                    let key = SoftwareKey::generate(part.template.choose_key(self.request.key)?)?;
                    keys.insert(name.to_owned(), key);
                }
                let Some(key) = keys.get(name) else { continue };
                let spki = key.public_key_der();
                let result = self.desk.rehearse(&part.template, &part.subject, spki, self.request.days, now);
                if let Err(error) = result {
                    bad.push(BadLine { line: item.person.line, what: error.to_string() });
                }
            }
        }
        Ok(bad)
    }
}

/// A second table of the same people is more often a mistake than meant.
fn refuse_holder(
    inventory: &mut Inventory,
    person: &Person,
    templates: [&Arc<Template>; 2],
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<()> {
    let filter = Filter { mailbox: Some(person.mailbox().to_owned()), ..Filter::default() };
    for record in select(inventory, &filter, now, wait)? {
        let same = templates.iter().any(|template| template.name() == record.template);
        if same && !record.is_expired(now) && !matches!(record.state, RevocationState::Revoked { .. }) {
            return Err(AuthorityError::Refused(format!(
                "{} has certificate {} of template {}, valid until {}; leave the line out, or give --again",
                person.mailbox(),
                record.serial,
                record.template,
                record.not_after
            )));
        }
    }
    Ok(())
}
