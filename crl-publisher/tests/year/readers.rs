//! What readers find at each moment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Cursor;
use std::process::Command;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use ca_domain::{SerialNumber, Timestamp};
use ca_service::Clock;
use ca_service::fixture::TestAuthority;
use ca_status::crl::{CrlNumber, CrlReader};

use tower::ServiceExt;

use super::common::listed;
use super::{LISTS, World};

/// Where readers look.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Place {
    /// The published directory.
    Published,
    /// What whoever publishes gives over HTTP.
    Served,
    /// The target.
    Mirror,
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
            // Nobody listens before the first round of a publisher.
            if self.active.as_ref().is_some_and(|active| active.is_up) {
                self.look_at(Place::Served, name);
            }
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
        let file = |place: &str| fs::read(self.bench.home(&format!("{place}/crl/{name}.crl"))).ok();
        let octets = match at {
            Place::Published => file("published"),
            Place::Mirror => file("mirror"),
            Place::Served => self.served(name),
        };
        let Some(octets) = octets else {
            assert!(!self.known.contains_key(&(at, name)), "{place}: it is gone");
            return;
        };
        self.looks += 1;
        let last = self.known.get(&(at, name));
        if last.is_none_or(|last| last.octets != octets) {
            let issuer: &TestAuthority = if name == "root" { &self.bench.root } else { &self.bench.ca };
            let mut reader = CrlReader::open(Cursor::new(&octets)).unwrap();
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
            self.ask_openssl(name);
        }
    }

    fn served(&self, name: &str) -> Option<Vec<u8>> {
        let router = self.active.as_ref()?.daemon.router();
        let request = Request::get(format!("/crl/{name}.crl")).body(Body::empty()).unwrap();
        self.runtime.block_on(async {
            let answer = router.oneshot(request).await.unwrap();
            let is_there = answer.status() == StatusCode::OK;
            let octets = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
            is_there.then(|| octets.to_vec())
        })
    }

    fn ask_openssl(&mut self, name: &str) {
        self.count("asked OpenSSL");
        let issuer = self.bench.home(if name == "root" { "root.pem" } else { "ca.pem" });
        let output = Command::new("openssl")
            .args(["crl", "-inform", "DER", "-noout", "-in"])
            .arg(self.bench.published(&format!("crl/{name}.crl")))
            .arg("-CAfile")
            .arg(issuer)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("verify OK"), "{name}: {said}");
    }
}
