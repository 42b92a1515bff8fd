//! OCSP requests that no client would send: real ones, changed.

pub mod path;
pub mod tree;

use crate::dice::Dice;
use tree::{Element, element, elements, put_length, replace};

/// Requests are cut to this length: more is refused unread.
const LONGEST: usize = 12_000;

/// Length octets that lie: indefinite, reserved, far too large, not minimal.
const LENGTHS: [&[u8]; 12] = [
    &[0x80],
    &[0xff],
    &[0x84, 0xff, 0xff, 0xff, 0xff],
    &[0x84, 0x7f, 0xff, 0xff, 0xff],
    &[0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0],
    &[0x82, 0xff, 0xff],
    &[0x83, 0x10, 0, 0],
    &[0x81, 0x05],
    &[0x82, 0x00, 0x10],
    &[0x84, 0, 0, 0, 3],
    &[0x00],
];

/// How a request was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Not at all.
    Intact,
    /// Some bits.
    Bits,
    /// Some octets.
    Octets,
    /// The length octets of an element.
    Length,
    /// The identifier octets of an element.
    Tag,
    /// Content of a primitive element, lengths around it fit.
    Value,
    /// An element comes from another request.
    Splice,
    /// An element is there many times.
    Duplicate,
    /// An element is missing.
    Delete,
    /// An element is within many others.
    Nest,
    /// The end is missing, or something follows it.
    Cut,
    /// Nothing but noise.
    Noise,
}

impl Kind {
    /// How often each is chosen, of 64.
    const WEIGHTS: [(Self, u64); 12] = [
        (Self::Intact, 3),
        (Self::Bits, 8),
        (Self::Octets, 6),
        (Self::Length, 9),
        (Self::Tag, 6),
        (Self::Value, 9),
        (Self::Splice, 8),
        (Self::Duplicate, 4),
        (Self::Delete, 4),
        (Self::Nest, 3),
        (Self::Cut, 3),
        (Self::Noise, 1),
    ];

    fn choose(dice: &mut Dice) -> Self {
        let mut left = dice.below(64);
        for (kind, weight) in Self::WEIGHTS {
            if left < weight {
                return kind;
            }
            left -= weight;
        }
        Self::Intact
    }
}

/// A request of the corpus with its elements.
#[derive(Clone, Debug)]
struct Seed {
    der: Vec<u8>,
    elements: Vec<Element>,
}

/// Makes mutated requests from a corpus; the same ones from the same seed.
#[derive(Clone, Debug)]
pub struct Mutator {
    dice: Dice,
    corpus: Vec<Seed>,
}

impl Mutator {
    /// From these DER requests, at least one, with choices from `seed`.
    pub fn new(corpus: impl IntoIterator<Item = Vec<u8>>, seed: u64) -> Self {
        let corpus: Vec<_> = corpus.into_iter().map(|der| Seed { elements: elements(&der), der }).collect();
        assert!(!corpus.is_empty() && corpus.iter().all(|seed| !seed.elements.is_empty()), "a corpus of DER");
        Self { dice: Dice::new(seed), corpus }
    }

    /// The generator, for further choices.
    pub fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }

    /// The next request. One in four is changed in two ways, or three.
    pub fn request(&mut self) -> (Kind, Vec<u8>) {
        let seed = self.dice.index(self.corpus.len());
        let mut kind = Kind::choose(&mut self.dice);
        let dice = &mut self.dice;
        let mut der = change(kind, &self.corpus[seed], &self.corpus, dice);
        while kind != Kind::Intact && dice.below(4) == 0 {
            let again = Seed { elements: elements(&der), der };
            kind = Kind::choose(dice);
            der = change(kind, &again, &self.corpus, dice);
            if kind == Kind::Intact {
                kind = Kind::Bits;
            }
        }
        der.truncate(LONGEST);
        (kind, der)
    }
}

fn change(kind: Kind, seed: &Seed, corpus: &[Seed], dice: &mut Dice) -> Vec<u8> {
    let Seed { der, elements } = seed;
    if der.is_empty() || elements.is_empty() {
        return der.clone();
    }
    let at = dice.index(elements.len());
    let one = elements[at];
    let bytes = &der[one.start..one.end];
    match kind {
        Kind::Intact => der.clone(),
        Kind::Bits => {
            let mut der = der.clone();
            for _ in 0..=dice.below(4) {
                let bit = dice.below(8);
                let octet = dice.index(der.len());
                der[octet] ^= 1 << bit;
            }
            der
        }
        Kind::Octets => {
            let mut der = der.clone();
            for _ in 0..=dice.below(4) {
                let octet = dice.index(der.len());
                der[octet] = *dice.pick(&[0, 0x7f, 0x80, 0xff, 0x30, der[octet].wrapping_add(1)]);
            }
            der
        }
        Kind::Length => {
            let length = lying_length(one.end - one.content, dice);
            let changed = [&der[one.start..=one.start], &length, &der[one.content..one.end]].concat();
            if dice.below(2) == 0 {
                replace(der, elements, at, &changed)
            } else {
                [&der[..one.start], &changed, &der[one.end..]].concat()
            }
        }
        Kind::Tag => {
            let tag = identifier(bytes[0], dice);
            replace(der, elements, at, &[&tag, &bytes[1..]].concat())
        }
        Kind::Value => replace(der, elements, at, &element(bytes[0], &value(der, one, dice))),
        Kind::Splice => {
            let other = dice.pick(corpus);
            let from = *dice.pick(&other.elements);
            replace(der, elements, at, &other.der[from.start..from.end])
        }
        Kind::Duplicate => {
            let times = *dice.pick(&[2, 2, 3, 64, 65, 300]);
            let times = times.min(LONGEST / bytes.len().max(1) + 2);
            replace(der, elements, at, &bytes.repeat(times))
        }
        Kind::Delete => replace(der, elements, at, &[]),
        Kind::Nest => replace(der, elements, at, &nested(bytes, dice)),
        Kind::Cut => cut(der, dice),
        Kind::Noise => (0..dice.below(200)).map(|_| dice.octet()).collect(),
    }
}

fn lying_length(length: usize, dice: &mut Dice) -> Vec<u8> {
    let mut out = Vec::new();
    match dice.below(4) {
        0 => put_length(&mut out, length + 1),
        1 => put_length(&mut out, length.saturating_sub(1)),
        2 => put_length(&mut out, dice.index(70_000)),
        _ => out.extend_from_slice(dice.pick::<&[u8]>(&LENGTHS)),
    }
    out
}

fn identifier(tag: u8, dice: &mut Dice) -> Vec<u8> {
    match dice.below(6) {
        // Numbers above 30 go on in further octets, here in too many.
        0 => vec![tag | 0x1f, 0xff, 0xff, 0xff, 0xff, 0x7f],
        1 => vec![tag | 0x1f, 0x80, 0x01],
        2 => vec![tag ^ 0x20],
        3 => vec![tag ^ 0x80],
        4 => {
            vec![*dice.pick(&[0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x30, 0x31, 0xa0, 0xa1, 0xa2, 0xa3])]
        }
        _ => vec![dice.octet()],
    }
}

/// Other content: for a serial number among others one that is negative, zero,
/// padded, very long, or that of a neighbour.
fn value(der: &[u8], one: Element, dice: &mut Dice) -> Vec<u8> {
    let content = &der[one.content..one.end];
    let mut out = content.to_vec();
    match dice.below(7) {
        0 => out.clear(),
        1 => out.insert(0, 0),
        2 => out.insert(0, 0xff),
        3 => out.resize(*dice.pick(&[1, 16, 20, 21, 22, 32, 127, 128, 129, 256, 4_000]), dice.octet()),
        4 => {
            out.pop();
        }
        5 => out.iter_mut().for_each(|octet| *octet = 0x41),
        _ => {
            if let Some(last) = out.last_mut() {
                *last = last.wrapping_add(if dice.below(2) == 0 { 1 } else { 0xff });
            }
        }
    }
    out
}

/// `inner` in up to some thousand elements, with lengths that fit or are indefinite.
fn nested(inner: &[u8], dice: &mut Dice) -> Vec<u8> {
    let tag = *dice.pick(&[0x30, 0x30, 0x31, 0xa0, 0xa1, 0x24]);
    let levels = *dice.pick(&[1_usize, 2, 10, 100, 1_500]);
    if dice.below(3) == 0 {
        return [[tag, 0x80].repeat(levels), inner.to_vec()].concat();
    }
    // Heads from the innermost to the outermost, then turned round.
    let mut heads: Vec<Vec<u8>> = Vec::with_capacity(levels);
    let mut length = inner.len();
    for _ in 0..levels {
        let mut head = vec![tag];
        put_length(&mut head, length);
        length += head.len();
        heads.push(head);
    }
    heads.reverse();
    [heads.concat(), inner.to_vec()].concat()
}

fn cut(der: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut der = der.to_vec();
    match dice.below(3) {
        0 => der.truncate(dice.index(der.len())),
        1 => der.extend((0..=dice.below(20)).map(|_| dice.octet())),
        _ => der = [der.clone(), der].concat(),
    }
    der
}
