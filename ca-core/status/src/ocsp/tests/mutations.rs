//! Requests that are nearly right, or not at all.

use ca_domain::SerialNumber;

use super::*;

/// Requests tried with a parser only; each takes some microseconds.
const MUTATIONS: u32 = 200_000;

/// A small generator, so that a failure can be repeated (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.roll(4) {
            let at = self.roll(bytes.len().max(1));
            match self.roll(6) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.roll(256) as u8),
                2 => bytes.extend_from_within(at.min(bytes.len())..),
                3 if !bytes.is_empty() => drop(bytes.remove(at)),
                // Lengths and tags are where parsers go wrong.
                4 if !bytes.is_empty() => bytes[at] = [0, 0x30, 0x7f, 0x80, 0x84, 0xa0, 0xff][self.roll(7)],
                _ if !bytes.is_empty() => bytes[at] ^= 1 << self.roll(8),
                _ => {}
            }
        }
    }
}

#[test]
fn no_mutated_request_panics() {
    let site = Site::new(KeyAlgorithm::P256);
    let seeds = [
        site.request(&[5], None),
        site.request(&[5, 6, 7], Some(&[9; 32])),
        request::build(&[site.ids.cert_id(CertHash::Sha256, &serial(8)).unwrap()], Some(&[1])).unwrap(),
    ];
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut read = 0;
    for round in 0..MUTATIONS {
        let mut bytes = seeds[round as usize % seeds.len()].clone();
        dice.mutate(&mut bytes);
        if let Ok(view) = request::parse(&bytes, &Budget::default()) {
            read += 1;
            let _ = site.responder.resolve(view, &site.policy);
        }
    }
    assert!(read > MUTATIONS / 100, "the mutations are too wild to test anything: {read}");
}

#[test]
fn hostile_shapes_are_malformed() {
    let site = Site::new(KeyAlgorithm::P256);
    let deep: Vec<u8> = [0x30, 0x80].repeat(4_000);
    let mut nested = vec![0x05, 0x00];
    while nested.len() < 9_000 {
        let length = u16::try_from(nested.len()).unwrap().to_be_bytes();
        nested.splice(0..0, [0x30, 0x82, length[0], length[1]]);
    }
    let huge = [0x30, 0x84, 0xff, 0xff, 0xff, 0xff];
    // The string says to end after the sequence that it is in: where the decoder goes on,
    // nobody looked.
    let astray = [0x30, 0x09, 0x30, 0x03, 0x04, 0x05, 0xaa, 0xbb, 0xcc, 0x04, 0x7f];
    assert!(request::check_lengths(&astray).is_err());
    assert!(request::check_lengths(&site.request(&[5, 6], Some(&[9; 32]))).is_ok());
    for bytes in [&[][..], &[0x30, 0x00], &[0x05, 0x00], &huge, &deep, &nested, &[0xff; 9_999]] {
        let answer = site.answer(bytes);
        assert_eq!(answer.der, [0x30, 0x03, 0x0a, 0x01, 0x01], "{} bytes", bytes.len());
    }
}

/// The quick reading of simple requests never differs from the full one.
#[test]
fn what_is_recognised_reads_the_same() {
    let site = Site::new(KeyAlgorithm::P256);
    let simple = SimpleRequests::about(site.responder.issuers());
    let numbers = [vec![5], vec![0x7f; 20], vec![0x80; 19], vec![0xff], vec![0x80, 0], vec![1, 0, 0]];
    let nonces = [None, Some(&[0x30; 8][..]), Some(&[0xff; 16]), Some(&[0; 32])];
    let mut seeds = Vec::new();
    for number in &numbers {
        let serial = SerialNumber::from_be_bytes(number).unwrap();
        for (form, nonce) in CertIdForm::ALL.into_iter().flat_map(|form| nonces.map(|nonce| (form, nonce))) {
            let id = site.ids.cert_id_in(form, &serial).unwrap();
            let request = request::build(std::slice::from_ref(&id), nonce).unwrap();
            let found = simple.read(&request).unwrap();
            assert_eq!((found.key.serial, found.key.form, found.nonce), (serial, form, nonce));
            seeds.push(request);
        }
    }
    let mut dice = Dice(0x5851_f42d_4c95_7f2d);
    let mut recognised = [0; 2];
    for round in 0..MUTATIONS {
        let mut bytes = seeds[round as usize % seeds.len()].clone();
        dice.mutate(&mut bytes);
        let Some(quick) = simple.read(&bytes) else { continue };
        let (key, nonced) = (quick.key, quick.nonce.is_some());
        let view = request::parse(&bytes, &Budget::default()).unwrap();
        assert_eq!(quick.view().as_ref(), Some(&view), "{bytes:02x?}");
        let resolved = site.responder.resolve(view, &site.policy).unwrap();
        assert_eq!(resolved.authority(), key.authority);
        match site.responder.resolve_key(&key) {
            Some(same) if nonced => assert_eq!(resolved.class(), same.class()),
            Some(same) => assert_eq!((resolved.cache_key(), resolved.class()), (Some(key), same.class())),
            None => assert_eq!(resolved.cache_key(), None),
        }
        recognised[usize::from(nonced)] += 1;
    }
    assert!(recognised.iter().all(|count| *count > 300), "too wild to test anything: {recognised:?}");
}
