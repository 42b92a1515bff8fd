//! Numbers for names that many records share: templates and authorities.

use std::collections::HashMap;

use ca_domain::KeyIdentifier;

/// Values and their numbers, 0, 1, 2 and so on in the order of their coming.
#[derive(Clone, Debug)]
pub(super) struct Numbers<T> {
    values: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T: Clone + Eq + std::hash::Hash> Numbers<T> {
    /// Numbers `values` in their order; none if one is there twice.
    pub(super) fn new(values: Vec<T>) -> Option<Self> {
        let numbers: HashMap<T, u32> = values.iter().cloned().zip(0..).collect();
        (numbers.len() == values.len()).then_some(Self { values, numbers })
    }

    pub(super) fn number(&self, value: &T) -> Option<u32> {
        self.numbers.get(value).copied()
    }

    pub(super) fn value(&self, number: u32) -> Option<&T> {
        self.values.get(usize::try_from(number).ok()?)
    }

    /// The number of a value and whether it is new.
    pub(super) fn assign(&mut self, value: &T) -> (u32, bool) {
        if let Some(number) = self.number(value) {
            return (number, false);
        }
        // There are never 2^32 templates or authorities: each is an entry and a file.
        let number = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push(value.clone());
        self.numbers.insert(value.clone(), number);
        (number, true)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.values)
    }
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self { values: Vec::new(), numbers: HashMap::new() }
    }
}

/// Both tables, held in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    pub(super) templates: Numbers<String>,
    pub(super) authorities: Numbers<KeyIdentifier>,
}
