//! What must change so that an attribute holds what it should, and others' values as before.

use ca_domain::Timestamp;
use serde::Serialize;

use super::ours::Known;

/// Entra Connect breaks on, or leaves out, entries with more values than this.
pub(super) const MAX_VALUES: usize = 15;

/// A value that is to be there.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) value: &'a [u8],
    /// In words, for the difference shown.
    pub(super) what: String,
}

/// One line of a difference.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct DiffLine {
    /// `+` for what is added, `-` for what is removed.
    pub sign: char,
    /// The attribute, without options.
    pub attribute: &'static str,
    /// The value in words.
    pub what: String,
}

/// The changes of one attribute.
#[derive(Clone, Debug, Default)]
pub(super) struct Difference {
    pub(super) remove: Vec<Vec<u8>>,
    pub(super) add: Vec<Vec<u8>>,
    pub(super) lines: Vec<DiffLine>,
    /// Values of others.
    pub(super) others: usize,
    /// Values that found no room.
    pub(super) left_out: usize,
}

/// Compares `present` with `wanted`, the most important first. `known` tells which values are ours.
pub(super) fn reconcile(
    attribute: &'static str,
    present: &[&[u8]],
    wanted: &[Wanted<'_>],
    known: impl Fn(&[u8]) -> Option<Known>,
    now: Timestamp,
) -> Difference {
    let mut difference = Difference::default();
    let mut ours = Vec::new();
    for value in present {
        match known(value) {
            Some(known) => ours.push((*value, known)),
            None => difference.others += 1,
        }
    }
    let room = MAX_VALUES.saturating_sub(difference.others);
    difference.left_out = wanted.len().saturating_sub(room);
    let wanted = &wanted[..wanted.len().min(room)];
    let is_wanted = |value: &[u8]| wanted.iter().any(|one| one.value == value);
    let is_present = |value: &[u8]| ours.iter().any(|(one, _)| *one == value);
    let line = |sign, what| DiffLine { sign, attribute, what };
    for (value, known) in &ours {
        if !is_wanted(value) {
            difference.remove.push(value.to_vec());
            let what = format!("{} ({})", known.serial, known.fate.reason(now));
            difference.lines.push(line('-', what));
        }
    }
    for one in wanted {
        if !is_present(one.value) {
            difference.add.push(one.value.to_vec());
            difference.lines.push(line('+', one.what.clone()));
        }
    }
    // Clients take the first that fits. Servers give values in the order in which they came, so what is
    // added behind an older one goes in front by adding all of ours again. That ends: only if something
    // is to be added anyway.
    let kept = ours.iter().map(|(value, _)| *value).filter(|value| is_wanted(value));
    let after: Vec<&[u8]> = kept.clone().chain(difference.add.iter().map(Vec::as_slice)).collect();
    if !difference.add.is_empty() && after.iter().zip(wanted).any(|(value, one)| *value != one.value) {
        difference.remove.extend(kept.map(<[u8]>::to_vec));
        difference.add = wanted.iter().map(|one| one.value.to_vec()).collect();
    }
    difference
}

#[cfg(test)]
mod tests {
    use ca_domain::{RevocationState, SerialNumber};

    use super::super::holders::Fate;
    use super::*;

    /// Values that begin with `o` are ours.
    fn known(value: &[u8]) -> Option<Known> {
        let fate = Fate { state: RevocationState::Good, not_after: Timestamp::EPOCH, left: false };
        let mut bytes = [0; 20];
        bytes[..value.len()].copy_from_slice(value);
        value.starts_with(b"o").then_some(Known { serial: SerialNumber::from_random(bytes), fate })
    }

    fn run(present: &[&str], wanted: &[&str]) -> (Vec<String>, Difference) {
        let values: Vec<&[u8]> = present.iter().map(|value| value.as_bytes()).collect();
        let wanted: Vec<_> =
            wanted.iter().map(|value| Wanted { value: value.as_bytes(), what: (*value).into() }).collect();
        let found = reconcile("userCertificate", &values, &wanted, known, Timestamp::EPOCH);
        // As a directory does it: remove, then append.
        let mut after: Vec<Vec<u8>> = values.iter().map(|value| value.to_vec()).collect();
        after.retain(|value| !found.remove.contains(value));
        after.extend(found.add.clone());
        (after.into_iter().map(|value| String::from_utf8(value).unwrap()).collect(), found)
    }

    #[test]
    fn others_stay_and_ours_become_what_is_wanted() {
        for (present, wanted, after) in [
            (&[][..], &["o1"][..], &["o1"][..]),
            (&["x", "o1"], &["o1"], &["x", "o1"]),
            (&["o1", "x"], &["o2"], &["x", "o2"]),
            (&["o1", "x", "o2"], &[], &["x"]),
            (&["o1"], &["o2", "o1"], &["o2", "o1"]),
            (&["o1", "x"], &["o2", "o1"], &["x", "o2", "o1"]),
            (&["o1"], &["o1", "o2"], &["o1", "o2"]),
            // Another order alone is no reason to write: some servers keep none.
            (&["o1", "o2"], &["o2", "o1"], &["o1", "o2"]),
        ] {
            let (found, _) = run(present, wanted);
            assert_eq!(found, after, "{present:?} {wanted:?}");
            let values: Vec<&str> = found.iter().map(String::as_str).collect();
            let (again, difference) = run(&values, wanted);
            assert_eq!(again, found);
            assert!(difference.lines.is_empty() && difference.add.is_empty() && difference.remove.is_empty());
        }
    }

    #[test]
    fn never_more_than_fifteen() {
        let others: Vec<String> = (0..14).map(|number| format!("x{number}")).collect();
        let mut present: Vec<&str> = others.iter().map(String::as_str).collect();
        let (after, difference) = run(&present, &["o2", "o1"]);
        assert_eq!((after.len(), after[14].as_str(), difference.left_out), (15, "o2", 1));
        present.extend(["o1"]);
        let (after, _) = run(&present, &["o2", "o1"]);
        assert_eq!((after.len(), after[14].as_str()), (15, "o2"), "the newest in the place of the older");
        present.extend(["x14"]);
        let (after, difference) = run(&present, &["o2"]);
        assert_eq!((after.len(), difference.others, difference.left_out), (15, 15, 1));
    }
}
