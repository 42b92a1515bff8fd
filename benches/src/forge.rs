//! Filling a home with certificates faster than anybody could ask for them.
//!
//! Each certificate is built from its template, linted and signed as `ca issue`
//! does it. What is left out: the request is not verified again for each
//! certificate, nor the signature that was just made, and the index is built at
//! the end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca_core::domain::lint::{self, LintContext};
use ca_core::domain::profile::{self, IssuerContext};
use ca_core::domain::template::Template;
use ca_core::domain::{Detail, KeyIdentifier, KeyOrigin, SerialNumber, Timestamp};
use ca_core::ledger::{EntryKind, LedgerKey, LedgerWriter, NewEntry};
use ca_core::signing::{self, SigningKey, SoftwareKey};
use ca_core::{Authority, templates};

use crate::home::{ACTOR, Bench, now, wait};
use crate::people::Person;
use crate::{Result, fail};

/// Certificates in one commit.
const BATCH: usize = 8_192;

/// Makes entries of issued certificates without the home's lock or index.
pub struct Forge {
    authority: Authority,
    context: IssuerContext,
    key_id: KeyIdentifier,
    key: SoftwareKey,
    template: Template,
    template_hash: String,
    now: Timestamp,
}

impl Forge {
    /// A forge of authority `name` and template `template`.
    ///
    /// # Errors
    /// There is no such authority or template.
    pub fn new(bench: &Bench, name: &str, template: &str) -> Result<Self> {
        let authority = Authority::load(bench.home(), name)?;
        let template = templates::load(bench.home(), template)?;
        Ok(Self {
            context: authority.issuer_context(bench.home())?,
            key_id: authority.key_id()?,
            key: bench.key(name)?,
            template_hash: template.hash_hex(),
            now: now()?,
            authority,
            template,
        })
    }

    /// A certificate of `person`, as the ledger takes it.
    ///
    /// # Errors
    /// The linter objects: a defect.
    pub fn issue(&self, person: &Person) -> Result<NewEntry> {
        let serial = SerialNumber::from_random(signing::random()?);
        let algorithm = self.key.signature_algorithm();
        let tbs = profile::build(
            &self.template,
            Some(&self.context),
            &person.subject()?,
            &person.spki_der,
            serial,
            self.now,
            None,
            algorithm,
        )?;
        let not_after = tbs.validity.not_after.into();
        let context = LintContext {
            kind: self.template.kind(),
            conformance: self.template.conformance(),
            issuer: Some(self.authority.certificate()),
            now: self.now,
        };
        let linted = lint::lint(tbs, context)?;
        let signed = linted.sign(|bytes| self.key.sign(bytes)).map_err(|error| fail(error.to_string()))?;
        let detail = Detail::CertificateIssued {
            authority: self.authority.name().to_owned(),
            certificate: STANDARD.encode(&signed.der),
            template: self.template.name().to_owned(),
            template_hash: self.template_hash.clone(),
            person: person.mailbox.clone(),
            key_origin: KeyOrigin::Csr,
            request: Some(STANDARD.encode(&person.request)),
            escrow: None,
            batch: None,
            actor: ACTOR.to_owned(),
        };
        Ok(NewEntry {
            kind: EntryKind::CertificateIssued,
            time: self.now,
            authority: self.key_id,
            serial: Some(serial),
            not_after: Some(not_after),
            reason: None,
            invalidity_date: None,
            detail: detail.to_bytes()?,
        })
    }
}

/// Issues `count` certificates, `per_person` to each person, into the ledger of
/// a home that has the authority `issuing`. The index is left behind.
///
/// `progress` hears how many are committed.
///
/// # Errors
/// The ledger cannot be written.
pub fn fill(bench: &Bench, count: usize, per_person: usize, progress: &mut dyn FnMut(usize)) -> Result<()> {
    let forge = Forge::new(bench, "issuing", "smime-signing")?;
    let next = AtomicUsize::new(0);
    let per_person = per_person.max(1);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let (sender, receiver) = sync_channel(workers);
    thread::scope(|scope| {
        for _ in 0..workers {
            let sender = sender.clone();
            scope.spawn(|| produce(&forge, &next, count, per_person, sender));
        }
        drop(sender);
        write(bench, receiver, forge.now, progress)
    })
}

type Made = Result<Vec<NewEntry>>;

fn produce(forge: &Forge, next: &AtomicUsize, count: usize, per_person: usize, sender: SyncSender<Made>) {
    loop {
        let first = next.fetch_add(BATCH, Ordering::Relaxed);
        if first >= count {
            return;
        }
        let batch = batch(forge, first, count.min(first + BATCH), per_person);
        let failed = batch.is_err();
        // Nobody receives any more: the writer has failed and says so.
        if sender.send(batch).is_err() || failed {
            return;
        }
    }
}

/// The certificates `first` to `end`; those of one person are neighbours.
fn batch(forge: &Forge, first: usize, end: usize, per_person: usize) -> Made {
    let mut entries = Vec::with_capacity(end - first);
    let mut person: Option<(usize, Person)> = None;
    for number in first..end {
        let who = number / per_person;
        let current = match person.take() {
            Some((same, person)) if same == who => person,
            _ => Person::new(who)?,
        };
        entries.push(forge.issue(&current)?);
        person = Some((who, current));
    }
    Ok(entries)
}

fn write(
    bench: &Bench,
    batches: Receiver<Made>,
    now: Timestamp,
    progress: &mut dyn FnMut(usize),
) -> Result<()> {
    let home = bench.home();
    let lock = home.lock(&wait())?;
    let key = LedgerKey::load(&home.ledger_key_path())?;
    let mut writer = LedgerWriter::open(&home.ledger_dir(), key, &lock)?;
    let mut done = 0;
    for batch in batches {
        let batch = batch?;
        done += batch.len();
        writer.append(batch, now)?;
        progress(done);
    }
    Ok(())
}
