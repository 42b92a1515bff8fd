//! The revoked and held certificates of one authority, in the order of their serials.
//!
//! A CRL is all of them one after the other, twice over. A library's tree has a dozen
//! in a node, so that every few entries wait for memory; here they lie in runs of
//! hundreds, which is four times as fast (see docs/performance.md).

use std::ops::Bound;

use ca_domain::SerialNumber;

use super::changed::Changed;

/// Entries of a run at most. To insert one moves half of them at most, 9 KiB.
const RUN: usize = 512;

type Entry = (SerialNumber, Changed);

/// A map in the order of the serials.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    /// None is empty; all of one run are below all of the next.
    runs: Vec<Vec<Entry>>,
    len: usize,
}

impl Runs {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, serial: &SerialNumber) -> Option<&Changed> {
        let run = self.runs.get(self.run_of(serial))?;
        let at = run.binary_search_by_key(serial, |entry| entry.0).ok()?;
        run.get(at).map(|entry| &entry.1)
    }

    /// Adds an entry, or replaces that of the same serial.
    pub(super) fn insert(&mut self, serial: SerialNumber, changed: Changed) {
        let at = self.run_of(&serial);
        let Some(run) = self.runs.get_mut(at) else {
            self.runs.push(vec![(serial, changed)]);
            self.len += 1;
            return;
        };
        let place = match run.binary_search_by_key(&serial, |entry| entry.0) {
            Ok(place) => {
                if let Some(entry) = run.get_mut(place) {
                    entry.1 = changed;
                }
                return;
            }
            Err(place) => place,
        };
        self.len += 1;
        if run.len() < RUN {
            run.insert(place, (serial, changed));
        } else if place == RUN {
            // In order, as they come from a file: the run stays full.
            self.runs.insert(at + 1, vec![(serial, changed)]);
        } else {
            let mut upper = run.split_off(RUN / 2);
            match place.checked_sub(RUN / 2) {
                Some(place) => upper.insert(place, (serial, changed)),
                None => run.insert(place, (serial, changed)),
            }
            self.runs.insert(at + 1, upper);
        }
    }

    pub(super) fn remove(&mut self, serial: &SerialNumber) {
        let at = self.run_of(serial);
        let Some(run) = self.runs.get_mut(at) else { return };
        let Ok(place) = run.binary_search_by_key(serial, |entry| entry.0) else { return };
        run.remove(place);
        self.len -= 1;
        if run.is_empty() {
            self.runs.remove(at);
        }
    }

    pub(super) fn iter(&self) -> Range<'_> {
        self.range((Bound::Unbounded, Bound::Unbounded))
    }

    /// The entries from the first bound on and below the second.
    pub(super) fn range(&self, (from, to): (Bound<SerialNumber>, Bound<SerialNumber>)) -> Range<'_> {
        let (run, at) = match from {
            Bound::Unbounded => (0, 0),
            Bound::Included(serial) | Bound::Excluded(serial) => {
                let run = self.run_of(&serial);
                let below = |entry: &Entry| match from {
                    Bound::Excluded(_) => entry.0 <= serial,
                    _ => entry.0 < serial,
                };
                (run, self.runs.get(run).map_or(0, |run| run.partition_point(below)))
            }
        };
        let current = self.runs.get(run).and_then(|run| run.get(at..)).unwrap_or_default();
        Range { current: current.iter(), rest: self.runs.get(run + 1..).unwrap_or_default().iter(), to }
    }

    /// The only run in which the serial may be; the first, if it is below all.
    fn run_of(&self, serial: &SerialNumber) -> usize {
        let starts_at_or_below = |run: &Vec<Entry>| run.first().is_some_and(|first| first.0 <= *serial);
        self.runs.partition_point(starts_at_or_below).saturating_sub(1)
    }
}

/// Entries in the order of their serials.
#[derive(Clone, Debug)]
pub(super) struct Range<'a> {
    current: std::slice::Iter<'a, Entry>,
    rest: std::slice::Iter<'a, Vec<Entry>>,
    to: Bound<SerialNumber>,
}

impl<'a> Iterator for Range<'a> {
    type Item = (&'a SerialNumber, &'a Changed);

    fn next(&mut self) -> Option<Self::Item> {
        let (serial, changed) = match self.current.next() {
            Some(entry) => entry,
            None => {
                self.current = self.rest.next()?.iter();
                self.current.next()?
            }
        };
        let within = match &self.to {
            Bound::Unbounded => true,
            Bound::Included(to) => serial <= to,
            Bound::Excluded(to) => serial < to,
        };
        within.then_some((serial, changed))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ca_domain::{RevocationState, Timestamp};
    use proptest::prelude::*;

    use super::*;

    fn serial(number: u16) -> SerialNumber {
        SerialNumber::from_be_bytes(&(u32::from(number) + 1).to_be_bytes()).unwrap()
    }

    fn held(at: u64) -> Changed {
        let at = Timestamp::from_unix(at).unwrap();
        Changed::new(RevocationState::Held { at }, at).unwrap()
    }

    #[derive(Clone, Debug)]
    enum Act {
        Insert(u16),
        Remove(u16),
        /// Many in order, as from a file.
        Append(u16, u16),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => (0_u16..4000).prop_map(Act::Insert),
            2 => (0_u16..4000).prop_map(Act::Remove),
            1 => (0_u16..4000, 1_u16..1500).prop_map(|(from, count)| Act::Append(from, count)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_is_a_map_in_order(
            acts in proptest::collection::vec(act(), 0..300),
            from in 0_u16..6000, to in 0_u16..6000,
        ) {
            let (mut runs, mut model) = (Runs::default(), BTreeMap::new());
            for (time, act) in (1..).zip(acts) {
                let mut insert = |number| {
                    runs.insert(serial(number), held(time));
                    model.insert(serial(number), held(time));
                };
                match act {
                    Act::Insert(number) => insert(number),
                    Act::Append(from, count) => (from..from + count).for_each(insert),
                    Act::Remove(number) => {
                        runs.remove(&serial(number));
                        model.remove(&serial(number));
                    }
                }
            }
            prop_assert_eq!(runs.len(), model.len());
            prop_assert!(runs.iter().eq(model.iter()));
            for number in 0..6000 {
                prop_assert_eq!(runs.get(&serial(number)), model.get(&serial(number)));
            }
            let (low, high) = (serial(from.min(to)), serial(from.max(to)));
            for from in [Bound::Included(low), Bound::Excluded(low), Bound::Unbounded] {
                for to in [Bound::Included(high), Bound::Unbounded] {
                    prop_assert!(runs.range((from, to)).eq(model.range((from, to))));
                }
            }
            if low < high {
                let bounds = (Bound::Included(low), Bound::Excluded(high));
                prop_assert!(runs.range(bounds).eq(model.range(bounds)));
            }
            prop_assert!(runs.runs.iter().all(|run| !run.is_empty() && run.len() <= RUN));
        }
    }
}
