//! Answers that were signed elsewhere and before: kept, checked, and given out.

mod load;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use ca_domain::{KeyIdentifier, RevocationState, SerialNumber, Timestamp};
use ca_service::watch::Fingerprint;
use ca_service::{Alarms, Authority, LedgerView, Span};
use ca_status::ocsp::presigned::MANIFEST;
use ca_status::ocsp::{CertHash, CertId, IssuerIds, Responder};

use crate::kept::{Given, Signed};
use crate::signer::Life;

/// One answer.
#[derive(Debug)]
struct PresignedAnswer {
    signed: Signed,
    /// Whether it says "good".
    is_good: bool,
}

/// What there is for a request.
#[derive(Clone, Debug)]
pub enum Shelved {
    /// This answer.
    Answer(Given),
    /// Nothing that may be used now.
    TryLater,
    /// Nothing at all, and nobody here who could sign it.
    Unauthorized,
}

/// The answers of one authority.
#[derive(Debug)]
struct Shelf {
    ids: IssuerIds,
    answers: HashMap<(CertHash, SerialNumber), PresignedAnswer>,
    life: Option<Life>,
}

/// The answers of all such authorities. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct PresignedSet {
    shelves: Arc<RwLock<Vec<Arc<Shelf>>>>,
}

impl PresignedSet {
    /// What there is for a request about these certificates at `now`; none if no
    /// authority with pre-signed answers issued any of them.
    ///
    /// `state` is what the ledger says. A certificate that it shows as revoked is
    /// never called good, whatever was signed before.
    pub fn find(
        &self,
        cert_ids: &[CertId],
        state: impl FnOnce(&KeyIdentifier, &SerialNumber) -> Option<RevocationState>,
        now: Timestamp,
    ) -> Option<Shelved> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        let mut named = shelves.iter().flat_map(|shelf| {
            cert_ids.iter().filter_map(move |id| Some((shelf, id, shelf.ids.form(id)?.hash)))
        });
        let (shelf, id, hash) = named.next()?;
        let Ok(serial) = SerialNumber::try_from(&id.serial_number) else {
            return Some(Shelved::Unauthorized);
        };
        if cert_ids.len() != 1 {
            return Some(Shelved::Unauthorized);
        }
        Some(match shelf.answers.get(&(hash, serial)) {
            // No set was ever usable: nothing is known.
            None if shelf.answers.is_empty() => Shelved::TryLater,
            None => Shelved::Unauthorized,
            Some(answer) if !answer.is_current(now) => Shelved::TryLater,
            Some(answer) if answer.contradicts(state(&shelf.ids.authority(), &serial)) => Shelved::TryLater,
            Some(answer) => Shelved::Answer(answer.signed.give()),
        })
    }

    /// Whether an authority has answers that may be given at `now`.
    #[must_use]
    pub fn has_answers(&self, now: Timestamp) -> bool {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        shelves.iter().any(|shelf| shelf.life.is_some_and(|life| now < life.to))
    }

    fn put(&self, shelf: Arc<Shelf>) {
        let mut shelves = self.shelves.write().unwrap_or_else(PoisonError::into_inner);
        shelves.retain(|old| old.ids != shelf.ids);
        shelves.push(shelf);
    }

    fn shelf(&self, authority: &KeyIdentifier) -> Option<Arc<Shelf>> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        shelves.iter().find(|shelf| shelf.ids.authority() == *authority).cloned()
    }
}

impl PresignedAnswer {
    /// Whether it says "good" of a certificate that the ledger shows as revoked or held.
    fn contradicts(&self, ledger: Option<RevocationState>) -> bool {
        self.is_good && ledger.is_some_and(|state| state != RevocationState::Good)
    }

    fn is_current(&self, now: Timestamp) -> bool {
        (self.signed.info.this_update..self.signed.info.next_update).contains(&now)
    }
}

/// Keeps a [`PresignedSet`] up to date with the files.
#[derive(Debug)]
pub struct PresignedKeeper {
    places: Vec<Place>,
    set: PresignedSet,
    view: Arc<LedgerView<Responder>>,
    alarms: Alarms,
}

/// The directory of an authority's answers.
#[derive(Debug)]
struct Place {
    authority: Authority,
    /// The index of the authority in the recorder.
    index: Option<usize>,
    directory: PathBuf,
    topic: String,
    warning: Option<Span>,
    /// Of the list that is in use.
    seen: Option<Fingerprint>,
    /// Of a list that was refused, so that only one that stays bad alarms.
    refused: Option<Fingerprint>,
}

impl PresignedKeeper {
    /// A keeper of the answers in these directories, each with its authority and
    /// that one's index in the recorder. Until they are read the authorities are
    /// answered with what was there `before`, or tryLater.
    ///
    /// # Errors
    /// An authority whose name cannot be encoded.
    pub fn new(
        directories: Vec<(usize, Authority, PathBuf)>,
        warning: Option<Span>,
        before: &PresignedSet,
        set: PresignedSet,
        view: Arc<LedgerView<Responder>>,
        alarms: Alarms,
    ) -> Result<Self, ca_status::StatusError> {
        let mut places = Vec::new();
        for (index, authority, directory) in directories {
            let index = Some(index);
            let ids = IssuerIds::of(&authority.certificate)?;
            let empty = || Arc::new(Shelf { ids, answers: HashMap::new(), life: None });
            set.put(before.shelf(&authority.key_id).unwrap_or_else(empty));
            let name = directory.file_name().unwrap_or(directory.as_os_str()).to_string_lossy();
            let topic = format!("signer {name} (pre-signed)");
            places.push(Place { authority, index, directory, topic, warning, seen: None, refused: None });
        }
        Ok(Self { places, set, view, alarms })
    }

    /// The files that it reads first.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.places.iter().map(|place| place.directory.join(MANIFEST)).collect()
    }

    /// Loads what is new, and alarms about what cannot be used any more.
    pub fn tick(&mut self, now: Timestamp) {
        for place in &mut self.places {
            place.look(now, &self.set, &self.alarms);
            place.compare(&self.set, &self.view, &self.alarms);
        }
    }
}

impl Place {
    fn look(&mut self, now: Timestamp, set: &PresignedSet, alarms: &Alarms) {
        let found = Fingerprint::of(&self.directory.join(MANIFEST));
        let life = set.shelf(&self.authority.key_id).and_then(|shelf| shelf.life);
        if self.seen.is_none() || self.seen != found {
            match load::load(&self.directory, &self.authority, self.index, life, now) {
                Ok(shelf) => {
                    tracing::info!(
                        topic = self.topic,
                        answers = shelf.answers.len(),
                        "pre-signed answers in use"
                    );
                    set.put(Arc::new(shelf));
                    self.seen = found;
                    self.refused = None;
                }
                Err(problem) => {
                    let settled = found.is_none() || self.refused == found;
                    self.refused = found;
                    if life.is_none() {
                        alarms.raise(&self.topic, "there are no usable pre-signed answers", problem);
                        return;
                    }
                    if settled {
                        let what = "the new pre-signed answers cannot be used, the old ones stay";
                        alarms.raise(&self.topic, what, problem);
                    }
                    // That the old ones end soon is worse.
                    if life.is_some_and(|life| now < life.warning(self.warning)) {
                        return;
                    }
                }
            }
        }
        self.check_life(now, set, alarms);
    }

    fn check_life(&self, now: Timestamp, set: &PresignedSet, alarms: &Alarms) {
        let Some(life) = set.shelf(&self.authority.key_id).and_then(|shelf| shelf.life) else { return };
        let todo = format!("they end on {}; run `ca ocsp presign` where the authority's key is", life.to);
        if now >= life.to {
            alarms.raise(&self.topic, "the pre-signed answers have expired", todo);
        } else if now >= life.warning(self.warning) {
            alarms.raise(&self.topic, "the pre-signed answers expire soon", todo);
        } else {
            alarms.clear(&self.topic);
        }
    }

    /// Alarms if the ledger shows a revocation that the answers do not.
    fn compare(&self, set: &PresignedSet, view: &LedgerView<Responder>, alarms: &Alarms) {
        let Some(shelf) = set.shelf(&self.authority.key_id) else { return };
        let wrong = {
            let responder = view.read();
            let state = |serial| responder.table().status(&self.authority.key_id, serial);
            let mut answers = shelf.answers.iter();
            answers.find_map(|((_, serial), answer)| {
                let state = state(serial).map(|status| status.state);
                answer.contradicts(state).then_some(*serial)
            })
        };
        let topic = format!("{} ledger", self.topic);
        match wrong {
            None => alarms.clear(&topic),
            Some(serial) => alarms.raise(
                &topic,
                "the ledger shows a revocation that the pre-signed answers do not",
                format!("certificate {serial}; run `ca ocsp presign` where the authority's key is"),
            ),
        }
    }
}
