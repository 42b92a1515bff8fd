//! Pairs for many people: a table in, a directory of PKCS#12 files out.
//!
//! Killed at any point, the same call goes on. What was issued is what the ledger
//! has: the record of every certificate names its batch and line. Before a commit
//! the PKCS#12 files of its people are on disk under temporary names and their
//! passwords in the journal; after it, only names are to be given. So a person is
//! either in the ledger and can be completed, or not there and is made anew.

mod check;
mod deliver;
mod directory;
mod done;
mod journal;
mod work;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ca_domain::profile::SubjectInput;
use ca_domain::template::Template;
use ca_domain::{KeyAlgorithm, SerialNumber, Timestamp};
use ca_signing::pkcs12::Pkcs12Profile;
use sha2::{Digest, Sha256};

use crate::authority::AuthorityKey;
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};
use crate::issue::draft::Desk;
use crate::pair::{Escrow, Vault, check_templates};
use crate::people::{Person, Table};
use crate::renew::{RenewTarget, find};
use deliver::Delivery;
use directory::Directory;

/// People in one commit of the ledger at most.
const GROUP: usize = 64;

/// What `ca issue --batch` is told.
pub struct BatchRequest<'a> {
    /// Who issues.
    pub issuer: &'a AuthorityKey,
    /// What is issued.
    pub kind: BatchKind,
    /// SHA-256 of the table's bytes: another table is another batch.
    pub table_hash: [u8; 32],
    /// The table's name, for messages.
    pub table_name: &'a str,
    /// The algorithm of all keys; none for the templates' defaults.
    pub key: Option<KeyAlgorithm>,
    /// Validity; none for the templates' defaults.
    pub days: Option<u32>,
    /// Whether encryption keys are archived.
    pub escrow: Escrow,
    /// Which clients must read the PKCS#12 files.
    pub profile: Pkcs12Profile,
    /// Tells batches of the same table and options apart.
    pub name: Option<&'a str>,
    /// Where the files go: a directory of this batch's own.
    pub out: &'a Path,
    /// A shell command that gets the passwords on standard input; none for a file.
    pub password_program: Option<&'a str>,
    /// How many threads make keys.
    pub workers: usize,
    /// Who does it.
    pub actor: &'a str,
}

/// What a batch issues.
#[derive(Clone, Debug)]
pub enum BatchKind {
    /// A pair to everybody.
    Issue {
        /// The template of the signing certificates.
        signing: Arc<Template>,
        /// The template of the encryption certificates.
        encryption: Arc<Template>,
        /// To people who have valid certificates of these templates as well.
        again: bool,
    },
    /// Successors of everybody's newest certificates of the authority, from each
    /// template; names and templates are those of the old certificates.
    Renew {
        /// Whether old certificates that sign are revoked as superseded, in the same act.
        supersede: bool,
        /// Only those that end before this time.
        before: Option<Timestamp>,
    },
}

/// One person and what is issued to them, in one act.
struct Item {
    person: Person,
    parts: Vec<Part>,
    /// The certificates that are renewed: none of them may be revoked meanwhile.
    old: Vec<SerialNumber>,
    /// Those of them that end with the act.
    retired: Vec<SerialNumber>,
}

/// One certificate to issue.
struct Part {
    template: Arc<Template>,
    subject: Arc<SubjectInput>,
}

/// What became of a batch.
#[derive(Clone, Debug, Default)]
pub struct BatchReport {
    /// The batch's identifier, as in the ledger's private records.
    pub id: String,
    /// People in the table.
    pub people: u64,
    /// Issued by this call.
    pub issued: u64,
    /// Issued by an earlier call that was interrupted, and completed by this one.
    pub completed: u64,
    /// Line and file of those whose PKCS#12 file was issued, but is neither in the
    /// directory nor waits there.
    pub missing: Vec<(u64, PathBuf)>,
    /// The file of passwords, if there is one.
    pub passwords: Option<PathBuf>,
}

/// One call of a batch: what does not change while it runs.
pub(crate) struct Run<'a> {
    home: &'a Home,
    request: &'a BatchRequest<'a>,
    desk: Desk<'a>,
    vault: Vault,
    id: String,
    /// The names of the files, by line.
    names: BTreeMap<u64, String>,
    /// The clock.
    clock: &'a (dyn Fn() -> Result<Timestamp> + Sync),
}

/// Issues a pair to everybody in the table, or goes on with it.
///
/// The directory holds `batch.json`, the journal while the batch runs, and
/// afterwards `passwords.csv` (unless a program takes the passwords) and one PKCS#12
/// file a person.
///
/// # Errors
/// [`crate::AuthorityError::Lines`] with every line that cannot be issued, before any is;
/// a directory of another batch; a failing disk. What was issued until then is in
/// the directory, and the same call goes on.
pub fn issue_batch(
    home: &Home,
    request: &BatchRequest<'_>,
    table: Table,
    clock: &(dyn Fn() -> Result<Timestamp> + Sync),
    wait: &Wait<'_>,
) -> Result<BatchReport> {
    let now = clock()?;
    let run = Run::new(home, request, &table, clock, now)?;
    let Some(mut directory) = Directory::find(request.out, &run.id, wait)? else {
        // Nothing is made before every line is known to be good.
        let (people, items) = run.check(table, &HashSet::new(), true, now, wait)?;
        let directory = Directory::create(request.out, &run.id, people.len(), run.ledger_size()?, wait)?;
        return run.go_on(directory, &people, &items, BTreeMap::new(), wait);
    };
    let done = run.committed(directory.start(), wait)?;
    if directory.is_complete() {
        directory.finish()?;
    }
    let lines: HashSet<u64> = done.keys().copied().collect();
    let (people, items) = run.check(table, &lines, false, now, wait)?;
    run.go_on(directory, &people, &items, done, wait)
}

/// Looks at every line, and issues nothing. Returns how many people would get
/// certificates.
///
/// # Errors
/// As [`issue_batch`].
pub fn check_batch(
    home: &Home,
    request: &BatchRequest<'_>,
    table: Table,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<usize> {
    let clock = || Ok(now);
    let run = Run::new(home, request, &table, &clock, now)?;
    let directory = Directory::find(request.out, &run.id, wait)?;
    let done = match &directory {
        Some(directory) => run.committed(directory.start(), wait)?.into_keys().collect(),
        None => HashSet::new(),
    };
    Ok(run.check(table, &done, directory.is_none(), now, wait)?.1.len())
}

/// Whose certificates are renewed because they end soon.
#[derive(Clone, Copy, Debug)]
pub struct Expiring<'a> {
    /// Who issued them.
    pub authority: &'a str,
    /// They end before this time, and have no successor.
    pub before: Timestamp,
    /// Whether old certificates that sign are revoked as superseded.
    pub supersede: bool,
}

/// The table of the people of `expiring`, in the directory `out`: a table that is there
/// already is the one to go on with. With `keep` a new one is written there. Whom a
/// template does not let renew this early is left for a later call.
///
/// # Errors
/// Nothing expires until then; a directory that is not empty.
pub fn expiring_table(
    home: &Home,
    out: &Path,
    expiring: Expiring<'_>,
    keep: bool,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Vec<u8>> {
    if let Some(table) = directory::read_table(out)? {
        return Ok(table);
    }
    let found = find(home, &RenewTarget::Expiring(expiring.before), now, wait)?;
    let mut people: Vec<_> = found
        .candidates
        .iter()
        .filter(|candidate| {
            candidate.old.authority == expiring.authority && !candidate.subject.mailboxes.is_empty()
        })
        .filter(|candidate| candidate.refuse_overlap(expiring.supersede, now).is_ok())
        .map(|candidate| candidate.old.record.person.as_str())
        .collect();
    people.sort_unstable();
    people.dedup();
    if people.is_empty() {
        return Err(AuthorityError::NotFound("there is nothing to renew; see `ca cert list`".into()));
    }
    let table = format!("email\n{}\n", people.join("\n")).into_bytes();
    if keep {
        directory::write_table(out, &table)?;
    }
    Ok(table)
}

impl<'a> Run<'a> {
    fn new(
        home: &'a Home,
        request: &'a BatchRequest<'a>,
        table: &Table,
        clock: &'a (dyn Fn() -> Result<Timestamp> + Sync),
        now: Timestamp,
    ) -> Result<Self> {
        if let BatchKind::Issue { signing, encryption, .. } = &request.kind {
            check_templates(signing, encryption)?;
        }
        Ok(Self {
            home,
            request,
            desk: Desk::open(home, request.issuer)?,
            vault: Vault::open(home, request.escrow, now)?,
            names: directory::names(&table.people),
            id: identifier(home, request),
            clock,
        })
    }

    fn ledger_size(&self) -> Result<u64> {
        Ok(self.home.ledger()?.size())
    }

    /// Completes what is in the ledger, then issues the rest.
    fn go_on(
        &self,
        mut directory: Directory,
        people: &[Person],
        items: &[Item],
        done: BTreeMap<u64, SerialNumber>,
        wait: &Wait<'_>,
    ) -> Result<BatchReport> {
        let mut report =
            BatchReport { id: self.id.clone(), people: people.len() as u64, ..BatchReport::default() };
        let file = directory.passwords();
        report.passwords = (self.request.password_program.is_none() && file.exists()).then(|| file.clone());
        if directory.is_complete() {
            return match items.first() {
                None => Ok(report),
                Some(item) => Err(AuthorityError::Refused(format!(
                    "{} says that everybody was issued, but the ledger does not have line {}; was it put back from a \
                     backup? Give another directory",
                    self.request.out.display(),
                    item.person.line
                ))),
            };
        }
        let mut delivery = Delivery::begin(&mut directory, people, self.request.password_program, &done)?;
        (report.completed, report.missing) = delivery.complete()?;
        (wait.progress)(done.len() as u64, report.people);
        report.issued = self.work(items, &mut delivery, done.len() as u64, report.people, wait)?;
        delivery.end()?;
        directory.finish()?;
        if self.request.password_program.is_none() {
            report.passwords = Some(file);
        }
        Ok(report)
    }
}

/// The identifier of a batch: the same table with the same options in the same
/// ledger is the same batch.
fn identifier(home: &Home, request: &BatchRequest<'_>) -> String {
    let kind = match &request.kind {
        BatchKind::Issue { signing, encryption, .. } => {
            format!("issue {} {}", signing.name(), encryption.name())
        }
        BatchKind::Renew { supersede, .. } => format!("renew {supersede}"),
    };
    let parts = [
        "chancery batch 1".to_owned(),
        home.config().ledger_vkey.clone(),
        hex::encode(request.table_hash),
        request.issuer.authority.name().to_owned(),
        kind,
        format!("{:?} {:?} {:?} {:?}", request.key, request.days, request.escrow, request.profile),
        request.name.unwrap_or_default().to_owned(),
    ];
    let digest = Sha256::digest(parts.join("\n"));
    hex::encode(digest.get(..16).unwrap_or_default())
}
