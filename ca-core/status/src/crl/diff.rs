//! What changed from one CRL to another.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::{Read, Seek};

use super::stream::CrlReader;
use super::view::CrlEntry;
use crate::StatusError;

/// Entries that are held in memory at most, where a list is not in the order of the serials.
const MAX_UNORDERED: usize = 1_000_000;

/// A certificate whose entry is not the same in both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CrlChange {
    /// Only the new one lists it.
    Added(CrlEntry),
    /// Only the old one lists it.
    Removed(CrlEntry),
    /// Both list it, with another time or reason.
    Changed {
        /// As the old one has it.
        old: CrlEntry,
        /// As the new one has it.
        new: CrlEntry,
    },
}

/// Gives `visit` every difference of the lists. Lists in the order of the
/// serials, as this suite writes them, are read side by side in constant memory.
///
/// Whether the two are of one issuer is for the caller to see.
///
/// # Errors
/// An entry that does not decode, a failure of an input, a list without order of
/// more than a million entries, or what `visit` answers.
pub fn compare<A, B, E>(
    old: &mut CrlReader<A>,
    new: &mut CrlReader<B>,
    visit: &mut dyn FnMut(CrlChange) -> Result<(), E>,
) -> Result<(), E>
where
    A: Read + Seek,
    B: Read + Seek,
    E: From<StatusError>,
{
    if is_ordered(old)? && is_ordered(new)? { merge(old, new, visit) } else { look_up(old, new, visit) }
}

fn is_ordered<R: Read + Seek>(crl: &mut CrlReader<R>) -> Result<bool, StatusError> {
    let mut last = None;
    for entry in crl.entries()? {
        let serial = entry?.serial;
        if last.is_some_and(|last| last >= serial) {
            return Ok(false);
        }
        last = Some(serial);
    }
    Ok(true)
}

fn merge<A, B, E>(
    old: &mut CrlReader<A>,
    new: &mut CrlReader<B>,
    visit: &mut dyn FnMut(CrlChange) -> Result<(), E>,
) -> Result<(), E>
where
    A: Read + Seek,
    B: Read + Seek,
    E: From<StatusError>,
{
    let (mut olds, mut news) = (old.entries()?, new.entries()?);
    let (mut left, mut right) = (olds.next().transpose()?, news.next().transpose()?);
    loop {
        let order = match (&left, &right) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.serial.cmp(&new.serial),
        };
        match (order, left, right) {
            (Ordering::Less, Some(old), _) => visit(CrlChange::Removed(old))?,
            (Ordering::Greater, _, Some(new)) => visit(CrlChange::Added(new))?,
            (_, Some(old), Some(new)) if old != new => visit(CrlChange::Changed { old, new })?,
            _ => {}
        }
        if order != Ordering::Greater {
            left = olds.next().transpose()?;
        }
        if order != Ordering::Less {
            right = news.next().transpose()?;
        }
    }
}

fn look_up<A, B, E>(
    old: &mut CrlReader<A>,
    new: &mut CrlReader<B>,
    visit: &mut dyn FnMut(CrlChange) -> Result<(), E>,
) -> Result<(), E>
where
    A: Read + Seek,
    B: Read + Seek,
    E: From<StatusError>,
{
    let mut olds = BTreeMap::new();
    for entry in old.entries()? {
        let entry = entry?;
        olds.insert(entry.serial, entry);
        if olds.len() > MAX_UNORDERED {
            let what =
                format!("it lists over {MAX_UNORDERED} certificates out of order and cannot be compared");
            return Err(StatusError::CrlUnacceptable(what).into());
        }
    }
    for entry in new.entries()? {
        let new = entry?;
        match olds.remove(&new.serial) {
            None => visit(CrlChange::Added(new))?,
            Some(old) if old != new => visit(CrlChange::Changed { old, new })?,
            Some(_) => {}
        }
    }
    olds.into_values().try_for_each(|old| visit(CrlChange::Removed(old)))
}
