//! The work: threads make keys and certificates, this thread commits them in
//! groups. While a group is committed, the threads go on.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use ca_domain::SerialNumber;
use ca_files::{Mode, StagedFile};
use ca_signing::SoftwareKey;
use ca_signing::pkcs12::Rounds;
use sha2::{Digest, Sha256};
use x509_cert::Certificate;

use super::deliver::Delivery;
use super::journal::Record;
use super::{GROUP, Item, Run};
use crate::error::{AuthorityError, Result};
use crate::home::Wait;
use crate::issue::draft::Draft;
use crate::issue::{Prepared, SubjectKey, commit_with};
use crate::pair::pkcs12_of;
use crate::password;
use crate::people::Person;
use crate::renew::{purpose, refuse_revoked, signs, superseding};
use crate::revoke::acts_of;

/// How long the first of a group waits for others.
const PATIENCE: Duration = Duration::from_secs(1);

/// A pair that is signed and whose file is on disk under its temporary name.
struct Ready<'p> {
    item: &'p Item,
    first: SerialNumber,
    prepared: Vec<Prepared>,
    file: StagedFile,
    record: Record,
}

impl Run<'_> {
    /// Issues to all of `people`; `done` of `total` were issued before.
    pub(super) fn work(
        &self,
        items: &[Item],
        delivery: &mut Delivery<'_>,
        done: u64,
        total: u64,
        wait: &Wait<'_>,
    ) -> Result<u64> {
        if items.is_empty() {
            return Ok(0);
        }
        let since = self.ledger_size()?;
        let next = AtomicUsize::new(0);
        let paths: Vec<_> = items.iter().map(|item| delivery.path(self.name(&item.person))).collect();
        thread::scope(|scope| {
            // Bounded: memory does not grow with the table, however slow the disk is.
            let (sender, receiver) = sync_channel(GROUP);
            for _ in 0..self.request.workers.max(1) {
                let (sender, next, paths) = (sender.clone(), &next, &paths);
                scope.spawn(move || self.produce(items, paths, next, &sender));
            }
            drop(sender);
            let mut issued = 0;
            let mut committed = |group: Vec<Ready<'_>>| {
                issued += group.len() as u64;
                self.commit(group, since, delivery, wait)?;
                (wait.progress)(done + issued, total);
                Ok(())
            };
            // The receiver goes with this call: after an error no thread waits for ever.
            consume(receiver, &mut committed)?;
            Ok(issued)
        })
    }

    fn name(&self, person: &Person) -> &str {
        self.names.get(&person.line).map_or("", String::as_str)
    }

    /// Makes pairs until there is nobody left, an error, or nobody who wants them.
    fn produce<'p>(
        &self,
        items: &'p [Item],
        paths: &[PathBuf],
        next: &AtomicUsize,
        sender: &SyncSender<Result<Ready<'p>>>,
    ) {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some(item), Some(path)) = (items.get(at), paths.get(at)) else { return };
            let made = self.make(item, path);
            let failed = made.is_err();
            if sender.send(made).is_err() || failed {
                return;
            }
        }
    }

    fn make<'p>(&self, item: &'p Item, path: &Path) -> Result<Ready<'p>> {
        let request = self.request;
        let person = &item.person;
        let mark = self.mark(person.line);
        let seal = |key: &SoftwareKey, certificate: &Certificate| self.vault.seal(key, certificate);
        let mut prepared = Vec::with_capacity(item.parts.len());
        for part in &item.parts {
            let draft = Draft {
                template: &part.template,
                subject: &part.subject,
                key: &SubjectKey::Generate(request.key),
                days: request.days,
                actor: request.actor,
                escrow: (self.vault.is_open() && !signs(&part.template)).then_some(&seal as _),
                batch: Some(&mark),
            };
            prepared.push(self.desk.draft(&draft, (self.clock)()?)?);
        }
        let object = self.desk.object(&prepared.iter().collect::<Vec<_>>(), (self.clock)()?)?;
        if let Some(one) = prepared.first_mut() {
            one.staged.extend(object);
        }
        let nothing = || AuthorityError::Input(format!("there is nothing to issue for line {}", person.line));
        let first = prepared.first().map(Prepared::serial).ok_or_else(nothing)?;
        let password = password::generate()?;
        let which: Vec<_> =
            prepared.iter().zip(&item.parts).map(|(one, part)| (one, purpose(&part.template))).collect();
        // The password is random: a guess need not be slow.
        let work = (request.profile, Rounds::Few);
        let bytes = pkcs12_of(&which, &self.desk.chain, work, person.shown(), &password)?;
        let record = Record {
            line: person.line,
            serial: first.to_string(),
            file: self.name(person).to_owned(),
            sha256: hex::encode(Sha256::digest(&*bytes)),
            password: password.expose().to_owned(),
        };
        let file = StagedFile::write(path, &bytes, Mode::Private)?;
        Ok(Ready { item, first, prepared, file, record })
    }

    /// Files, journal, ledger, names, passwords; in this order, each durable before the next.
    fn commit(
        &self,
        group: Vec<Ready<'_>>,
        since: u64,
        delivery: &mut Delivery<'_>,
        wait: &Wait<'_>,
    ) -> Result<()> {
        StagedFile::sync_names(group.iter().map(|ready| &ready.file))?;
        delivery.prepare(group.iter().map(|ready| ready.record.clone()))?;
        let mut writer = self.home.writer(wait)?;
        self.refuse_done_elsewhere(&mut writer, since, group.iter().map(|ready| &ready.item.person), wait)?;
        let old: Vec<_> = group.iter().flat_map(|ready| ready.item.old.iter().copied()).collect();
        refuse_revoked(&mut writer, &old, wait)?;
        let retired: Vec<_> = group.iter().flat_map(|ready| ready.item.retired.iter().copied()).collect();
        let now = (self.clock)()?;
        let after = acts_of(&mut writer, &retired, superseding(), self.request.actor, now, wait)?;
        let mut prepared = Vec::with_capacity(2 * group.len());
        let mut files = Vec::with_capacity(group.len());
        for ready in group {
            prepared.extend(ready.prepared);
            files.push((ready.first, ready.record, ready.file));
        }
        let issued = commit_with(&mut writer, Vec::new(), prepared, after, now, wait);
        // Others may write while names are given.
        drop(writer);
        if let Err(error) = issued {
            // Whether it happened, the next call reads in the ledger.
            files.into_iter().for_each(|(_, _, file)| file.keep());
            return Err(error);
        }
        delivery.deliver(files)
    }
}

/// Gathers groups until every thread has ended; the first error ends it, after
/// what was made before it.
fn consume<'p>(
    receiver: Receiver<Result<Ready<'p>>>,
    commit: &mut dyn FnMut(Vec<Ready<'p>>) -> Result<()>,
) -> Result<()> {
    let mut group = Vec::new();
    let mut deadline = Instant::now();
    let mut failed: Option<AuthorityError> = None;
    loop {
        let received = if group.is_empty() {
            receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            receiver.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        };
        let ended = matches!(received, Err(RecvTimeoutError::Disconnected) | Ok(Err(_)));
        match received {
            Ok(Ok(ready)) => {
                if group.is_empty() {
                    deadline = Instant::now() + PATIENCE;
                }
                group.push(ready);
                if group.len() < GROUP {
                    continue;
                }
            }
            Ok(Err(error)) => failed = Some(error),
            Err(_) => {}
        }
        if !group.is_empty() {
            commit(std::mem::take(&mut group))?;
        }
        if ended {
            return failed.map_or(Ok(()), Err);
        }
    }
}
