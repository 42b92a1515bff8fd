//! Keys that come out of the archive with the recovery agents' shares, straight into an
//! export: no file lies in between.

use std::path::PathBuf;

use ca_domain::{Detail, Timestamp};
use ca_files::StagedFile;
use ca_ledger::NewEntry;

use super::keys::{HeldKey, commit};
use crate::error::{AuthorityError, Result};
use crate::escrow::{Opened, Opening, open_recovery};
use crate::home::{Home, Wait};
use crate::person::is_same;

/// The keys of a recovery, or none.
pub(super) struct FromArchive {
    opened: Option<Opened>,
    keys: Vec<HeldKey>,
}

impl FromArchive {
    /// Opens the archives, if there is an opening.
    pub(super) fn open(home: &Home, opening: Option<&Opening<'_>>, wait: &Wait<'_>) -> Result<Self> {
        let Some(opening) = opening else { return Ok(Self { opened: None, keys: Vec::new() }) };
        let mut opened = open_recovery(home, opening, wait)?;
        let owners = opened.owners.iter().map(|owner| (owner.issuance.clone(), owner.chain.clone()));
        let keys = std::mem::take(&mut opened.keys)
            .into_iter()
            .zip(owners)
            .map(|(recovered, (issuance, chain))| HeldKey::new(recovered.key, issuance, chain))
            .collect::<Result<_>>()?;
        Ok(Self { opened: Some(opened), keys })
    }

    /// The keys of one mailbox.
    pub(super) fn take(&mut self, mailbox: &str) -> Vec<HeldKey> {
        let theirs =
            |key: &mut HeldKey| key.issuance.record.mailboxes.iter().any(|name| is_same(name, mailbox));
        self.keys.extract_if(.., theirs).collect()
    }

    /// Refuses keys that were opened for nobody.
    pub(super) fn check_taken(&self) -> Result<()> {
        let Some(key) = self.keys.first() else { return Ok(()) };
        Err(AuthorityError::Refused(format!(
            "the shares open keys of {}, who was not named; name everybody whose keys were asked for",
            key.issuance.record.person
        )))
    }

    /// Records the recovery and the exports in one act, then gives the files their names.
    pub(super) fn commit(
        self,
        home: &Home,
        acts: Vec<(NewEntry, Detail)>,
        staged: Vec<StagedFile>,
        actor: &str,
        now: Timestamp,
        wait: &Wait<'_>,
    ) -> Result<Vec<PathBuf>> {
        match self.opened {
            Some(opened) => opened.commit(home, acts, staged, actor, now, wait),
            None => commit(home, acts, staged, now, wait),
        }
    }
}
