//! What readers find at each moment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use ca_domain::{SerialNumber, Timestamp};
use ca_service::Clock;
use ca_service::fixture::TestAuthority;
use ca_status::crl::{CrlNumber, CrlReader};

use super::common::listed;
use super::{LISTS, World};

/// Where readers look.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Place {
    Published,
    Mirror,
}

impl Place {
    const fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Mirror => "mirror",
        }
    }
}

/// A CRL that was verified.
pub(super) struct Known {
    octets: Vec<u8>,
    number: CrlNumber,
    base: Option<CrlNumber>,
    from: Timestamp,
    to: Timestamp,
}

impl World {
    /// Who is on a CRL or its delta CRL.
    pub(super) fn told(&self, name: &str) -> BTreeSet<SerialNumber> {
        let both = [name.to_owned(), format!("{name}-delta")].map(|name| listed(&self.bench, &name).entries);
        both.into_iter().flat_map(BTreeMap::into_keys).collect()
    }

    /// What clients find, here and at the target.
    pub(super) fn look(&mut self) {
        for name in LISTS {
            self.look_at(Place::Published, name);
            // It is away for a while.
            if self.bench.home("mirror").exists() {
                self.look_at(Place::Mirror, name);
            }
        }
        // A client that has both takes the delta CRL for the full one.
        for (place, name) in self.known.keys().copied().collect::<Vec<_>>() {
            let full = name.strip_suffix("-delta").and_then(|full| self.known.get(&(place, full)));
            if let (Some(full), Some(base)) = (full, self.known[&(place, name)].base) {
                assert!(base <= full.number, "seed {}, {}, {place:?} {name}", self.seed, self.bench.now());
            }
        }
    }

    fn look_at(&mut self, at: Place, name: &'static str) {
        let now = self.bench.now();
        let place = format!("seed {}, {now}, {at:?} {name}", self.seed);
        let path = self.bench.home(&format!("{}/crl/{name}.crl", at.name()));
        let Ok(octets) = fs::read(&path) else {
            assert!(!self.known.contains_key(&(at, name)), "{place}: it is gone");
            return;
        };
        self.looks += 1;
        let last = self.known.get(&(at, name));
        if last.is_none_or(|last| last.octets != octets) {
            let issuer: &TestAuthority = if name == "root" { &self.bench.root } else { &self.bench.ca };
            let mut reader = CrlReader::open(File::open(&path).unwrap()).unwrap();
            let accepted = reader.accept(&issuer.authority.certificate);
            assert!(accepted.is_ok(), "{place}: {accepted:?}");
            let frame = reader.frame();
            let number = frame.number().unwrap().unwrap();
            assert!(last.is_none_or(|last| number > last.number), "{place}: number {number}");
            let (from, to, base) = (frame.this_update, frame.next_update.unwrap(), frame.base().unwrap());
            self.known.insert((at, name), Known { octets, number, base, from, to });
        }
        let Known { from, to, .. } = self.known[&(at, name)];
        let valid = |at: Timestamp| from <= at && at < to;
        assert!(
            valid(now) || (self.is_ahead && (from > now || valid(self.wall.now()))),
            "{place}: valid from {from} to {to} only"
        );
        if self.looks.is_multiple_of(997) {
            self.ask_openssl(&path, name);
        }
    }

    fn ask_openssl(&mut self, path: &Path, name: &str) {
        self.count("asked OpenSSL");
        let issuer = self.bench.home(if name == "root" { "root.pem" } else { "ca.pem" });
        let output = Command::new("openssl")
            .args(["crl", "-inform", "DER", "-noout", "-in"])
            .arg(path)
            .arg("-CAfile")
            .arg(issuer)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("verify OK"), "{name}: {said}");
    }
}
