//! Whatever the history: a base and its delta are the full CRL of the same time,
//! and the CRLs of the parts are together the full one.

use std::collections::BTreeMap;
use std::fs;

use ca_domain::{KeyIdentifier, RevocationState, Shard};
use ca_ledger::{Entry, EntryKind};

use super::*;
use crate::testing::{entry, issued, openssl};
use crate::{Change, StatusTable};

const CA: KeyIdentifier = KeyIdentifier([1; 20]);
const START: u64 = 1_800_000_000;

/// An act of a history, one an hour.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// A certificate with so many hours to live, of an authority or not.
    Issue(u8, bool),
    Revoke(u8, u8),
    Hold(u8),
    Release(u8),
    /// A full CRL: the base of the deltas from now on.
    Base,
    /// The publisher starts again, and knows only what the base and the ledger say.
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (1_u8..100, any::<bool>()).prop_map(|(life, authority)| Act::Issue(life, authority)),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(n, reason)| Act::Revoke(n, reason)),
        2 => any::<u8>().prop_map(Act::Hold),
        2 => any::<u8>().prop_map(Act::Release),
        1 => Just(Act::Base),
        1 => Just(Act::Restart),
    ]
}

/// Serials that fall into all parts.
fn spread(number: usize) -> SerialNumber {
    let mut bytes = [0; 20];
    bytes[..2].copy_from_slice(&(number as u16).wrapping_mul(0x9e37).to_be_bytes());
    bytes[19] = number as u8;
    SerialNumber::from_random(bytes)
}

type List = BTreeMap<SerialNumber, (Timestamp, ReasonCode, Option<Timestamp>)>;

fn list(der: &[u8]) -> List {
    let mut reader = CrlReader::open(Cursor::new(der)).unwrap();
    let entries = reader.entries().unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.serial, (entry.at, entry.reason, entry.invalidity_date))).collect()
}

/// A publisher of one scope, and what its clients have.
struct Publisher {
    authority: Holder,
    scope: CrlScope,
    changes: ChangesSince,
    base: Option<Vec<u8>>,
    number: u64,
}

impl Publisher {
    fn new(scope: CrlScope) -> Self {
        let authority = Holder::authority(KeyAlgorithm::Ed25519, "CN=Toy");
        Self { authority, scope, changes: ChangesSince::default(), base: None, number: 0 }
    }

    fn previous(&self) -> Option<Timestamp> {
        let base = CrlReader::open(Cursor::new(self.base.as_deref()?)).unwrap();
        Some(base.frame().this_update)
    }

    fn sign(&mut self, now: Timestamp, base: Option<CrlNumber>, entries: Vec<RevokedEntry>) -> Vec<u8> {
        self.number += 1;
        let scope = self.scope.point(Some("http://a.test/a.crl")).unwrap();
        let times = (now, now.saturating_add(DAY));
        let params = CrlParams {
            this_update: times.0,
            next_update: times.1,
            scope,
            base,
            ..params(&self.authority, self.number)
        };
        write(&params, &entries, &*self.authority.key)
    }

    fn full(&mut self, table: &StatusTable, now: Timestamp) -> Vec<u8> {
        let entries = table.revoked_in(&CA, &self.scope, self.previous()).collect();
        self.sign(now, None, entries)
    }

    fn delta(&mut self, table: &StatusTable, now: Timestamp) -> Option<Vec<u8>> {
        let base = CrlReader::open(Cursor::new(self.base.clone()?)).unwrap().frame().number().unwrap();
        let entries = self.changes.entries(table, &CA, &self.scope, now);
        Some(self.sign(now, base, entries))
    }

    fn act(&mut self, act: Act, change: Option<Change>, table: &StatusTable, now: Timestamp) {
        if let Some(change) = change {
            self.changes.note(&change);
        }
        match (act, &self.base) {
            (Act::Base, _) => {
                self.base = Some(self.full(table, now));
                self.changes.forget_before(table.next_index());
            }
            (Act::Restart, Some(base)) => {
                let mut published = CrlReader::open(Cursor::new(base)).unwrap();
                let previous = published.frame().this_update;
                self.changes = ChangesSince::default();
                self.changes.compare(&mut published, table, &CA, &self.scope, previous).unwrap();
            }
            _ => {}
        }
    }

    /// What a client makes of the base and the delta (RFC 5280, section 5.2.4).
    fn combined(&mut self, table: &StatusTable, now: Timestamp) -> Option<List> {
        let delta = self.delta(table, now)?;
        let mut combined = list(self.base.as_deref()?);
        for (serial, what) in list(&delta) {
            if what.1 == ReasonCode::RemoveFromCrl {
                assert!(
                    combined.remove(&serial).is_some(),
                    "{serial} is taken off a list that does not have it"
                );
            } else {
                // It costs what changed: what the base says is not said again.
                assert_ne!(combined.insert(serial, what), Some(what), "{serial} is on the base like this");
            }
        }
        Some(combined)
    }
}

/// Runs a history against the table and publishers of several scopes.
fn run_history(acts: &[Act]) {
    let mut scopes = vec![CrlScope::All, CrlScope::Users, CrlScope::Authorities];
    scopes.extend(Shard::all(3).map(CrlScope::Shard));
    scopes.push(CrlScope::Reasons([ReasonCode::KeyCompromise].into()));
    let mut publishers: Vec<_> = scopes.into_iter().map(Publisher::new).collect();
    let mut table = StatusTable::new();
    let mut certificates = 0;
    for (hour, act) in (0..).zip(acts) {
        let now = at(START + hour * 3600);
        let pick = |n: u8| spread(usize::from(n) % usize::max(certificates, 1));
        let plain = |kind, serial| entry(kind, CA, Some(serial), now);
        let happened: Option<Entry> = match *act {
            Act::Issue(life, of_authority) => {
                certificates += 1;
                let end = now.saturating_add(u64::from(life) * 3600);
                let kind =
                    if of_authority { EntryKind::CaCertificateIssued } else { EntryKind::CertificateIssued };
                Some(Entry { kind, ..issued(CA, spread(certificates - 1), end) })
            }
            Act::Revoke(n, reason) => {
                let reasons = [ReasonCode::Unspecified, ReasonCode::KeyCompromise, ReasonCode::Superseded];
                // With the time from when on the key was not to be trusted, or without.
                let invalidity_date = (reason > 127).then(|| at(START - 3600));
                let reason = Some(reasons[usize::from(reason) % 3]);
                Some(Entry { reason, invalidity_date, ..plain(EntryKind::Revoked, pick(n)) })
            }
            Act::Hold(n) => Some(plain(EntryKind::Held, pick(n))),
            Act::Release(n) => Some(plain(EntryKind::Released, pick(n))),
            Act::Base | Act::Restart => None,
        };
        let index = table.next_index();
        // What the state does not allow does not happen.
        let change = happened.and_then(|entry| table.apply(index, &entry).ok().flatten());
        let change = change.filter(|_| !matches!(act, Act::Issue(..)));
        for publisher in &mut publishers {
            publisher.act(*act, change, &table, now);
        }
        let unexpired = |list: List| -> List {
            let good = |serial: &SerialNumber| table.status(&CA, serial).unwrap().not_after >= now;
            list.into_iter().filter(|(serial, _)| good(serial)).collect()
        };
        let truth: List = (0..certificates)
            .filter_map(|n| table.entry(&CA, &CrlScope::All, &spread(n)))
            .map(|entry| (entry.serial, (entry.at, entry.reason, entry.invalidity_date)))
            .collect();
        for serial in truth.keys() {
            assert_ne!(table.status(&CA, serial).unwrap().state, RevocationState::Good);
        }
        let mut union = List::new();
        for publisher in &mut publishers {
            let full = list(&publisher.full(&table, now));
            // Those by reason have no delta CRLs.
            if !matches!(publisher.scope, CrlScope::Reasons(_))
                && let Some(combined) = publisher.combined(&table, now)
            {
                assert_eq!(unexpired(combined), unexpired(full.clone()), "{:?}", publisher.scope);
            }
            match publisher.scope {
                CrlScope::All => assert_eq!(unexpired(full), unexpired(truth.clone())),
                CrlScope::Shard(_) => {
                    for (serial, what) in full {
                        assert_eq!(union.insert(serial, what), None, "{serial} is in two parts");
                    }
                }
                CrlScope::Reasons(_) => {
                    let mut some = truth.clone();
                    some.retain(|_, what| what.1 == ReasonCode::KeyCompromise);
                    assert_eq!(unexpired(full), unexpired(some));
                }
                CrlScope::Users | CrlScope::Authorities => {}
            }
        }
        assert_eq!(unexpired(union), unexpired(truth.clone()));
        let kinds = publishers[1].full(&table, now);
        let mut kinds = list(&kinds);
        kinds.append(&mut list(&publishers[2].full(&table, now)));
        assert_eq!(unexpired(kinds), unexpired(truth));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn base_and_delta_are_the_full_crl(acts in proptest::collection::vec(act(), 1..40)) {
        run_history(&acts);
    }
}

#[test]
fn a_hold_that_comes_and_goes() {
    let issue = Act::Issue(100, false);
    run_history(&[
        issue,
        Act::Hold(0),
        Act::Base,
        Act::Release(0),
        Act::Hold(0),
        Act::Restart,
        Act::Release(0),
    ]);
    run_history(&[issue, Act::Base, Act::Hold(0), Act::Release(0), Act::Hold(0), Act::Revoke(0, 1)]);
    run_history(&[issue, Act::Hold(0), Act::Base, Act::Revoke(0, 1), Act::Base, Act::Restart]);
    // It expires on hold, leaves the list, and is released.
    let short = Act::Issue(1, false);
    let hour = Act::Issue(100, true);
    run_history(&[short, Act::Hold(0), Act::Base, hour, hour, Act::Base, Act::Base, Act::Release(0)]);
}

#[test]
fn openssl_applies_deltas_and_crls_of_parts() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let authority = Holder::authority(KeyAlgorithm::P256, "CN=Toy,O=Chancery Test,C=DE");
    authority.write_pem(dir.path().join("ca.pem").as_path());
    let parts = [spread(1), spread(2)].map(|serial| Shard::of(&serial, 2).unwrap());
    assert_ne!(parts[0], parts[1]);
    let url = |shard: Shard| format!("http://a.test/toy{}.crl", CrlScope::Shard(shard).suffix());
    let points = |urls: &[String], oid| {
        let point = |url: &String| x509_cert::ext::pkix::crl::dp::DistributionPoint {
            distribution_point: Some(scope::uri_point(url).unwrap()),
            reasons: None,
            crl_issuer: None,
        };
        extensions::extension(oid, false, &urls.iter().map(point).collect::<Vec<_>>()).unwrap()
    };
    let freshest = vec!["http://a.test/toy-delta.crl".to_owned()];
    for number in [1, 2, 3, 4] {
        let serial = spread(number);
        let cdp = points(
            &[url(Shard::of(&serial, 2).unwrap())],
            const_oid::db::rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS,
        );
        let delta = points(&freshest, const_oid::db::rfc5280::ID_CE_FRESHEST_CRL);
        let end = now().saturating_add(90 * DAY);
        let holder = authority.issue(KeyAlgorithm::P256, serial, end, vec![cdp, delta]);
        holder.write_pem(dir.path().join(format!("{number}.pem")).as_path());
    }
    let listed = |number: usize, reason| RevokedEntry { serial: spread(number), ..revoked(1, reason, None) };
    let save = |name: &str, params: CrlParams, entries: &[RevokedEntry]| {
        fs::write(file("a.crl"), write(&params, entries, &*authority.key)).unwrap();
        assert!(openssl(&["crl", "-inform", "DER", "-in", &file("a.crl"), "-out", &file(name)]).0);
    };
    let check = |number: usize, more: &[&str]| {
        let (ca, leaf) = (file("ca.pem"), file(&format!("{number}.pem")));
        let mut arguments = vec!["verify", "-crl_check", "-extended_crl", "-CAfile", &ca];
        arguments.extend(more);
        arguments.push(&leaf);
        openssl(&arguments)
    };

    // Full and delta: 1 is on the base, 2 on the delta, 3 is taken off by it.
    let base = CrlParams { freshest, ..params(&authority, 10) };
    save("base.pem", base, &[listed(1, ReasonCode::KeyCompromise), listed(3, ReasonCode::CertificateHold)]);
    let delta = CrlParams { base: Some(CrlNumber::from(10)), ..params(&authority, 11) };
    save("delta.pem", delta, &[listed(2, ReasonCode::Superseded), listed(3, ReasonCode::RemoveFromCrl)]);
    let (base, delta) = (file("base.pem"), file("delta.pem"));
    for (number, good) in [(1, false), (2, false), (3, true), (4, true)] {
        let (found, text) = check(number, &["-use_deltas", "-CRLfile", &base, "-CRLfile", &delta]);
        assert_eq!(found, good, "{number}: {text}");
    }
    assert!(check(2, &["-CRLfile", &base]).0, "only the delta says that it is revoked");

    // Parts: the CRL of one says nothing about a certificate of the other.
    for (name, number) in [("first.pem", 1), ("second.pem", 2)] {
        let shard = parts[number - 1];
        let scope = CrlScope::Shard(shard).point(Some(&url(shard))).unwrap();
        save(name, CrlParams { scope, ..params(&authority, 20) }, &[listed(number, ReasonCode::Superseded)]);
    }
    let (first, second) = (file("first.pem"), file("second.pem"));
    for (number, good) in [(1, false), (2, false), (3, true), (4, true)] {
        let (found, text) = check(number, &["-CRLfile", &first, "-CRLfile", &second]);
        assert_eq!(found, good, "{number}: {text}");
        let other = if Shard::of(&spread(number), 2).unwrap() == parts[0] { &second } else { &first };
        let (found, text) = check(number, &["-CRLfile", other]);
        assert!(!found && text.contains("different CRL scope"), "{number}: {text}");
    }

    // By kind and by reason.
    let users = CrlScope::Users.point(None).unwrap();
    save(
        "users.pem",
        CrlParams { scope: users, ..params(&authority, 30) },
        &[listed(1, ReasonCode::Superseded)],
    );
    let authorities = CrlScope::Authorities.point(None).unwrap();
    save("authorities.pem", CrlParams { scope: authorities, ..params(&authority, 30) }, &[]);
    assert!(check(1, &["-CRLfile", &file("users.pem")]).1.contains("revoked"));
    assert!(check(2, &["-CRLfile", &file("users.pem")]).0);
    assert!(check(2, &["-CRLfile", &file("authorities.pem")]).1.contains("different CRL scope"));
    let reasons = [ReasonCode::KeyCompromise, ReasonCode::CaCompromise];
    let lost = CrlScope::Reasons(reasons.into()).point(None).unwrap();
    save(
        "lost.pem",
        CrlParams { scope: lost, ..params(&authority, 30) },
        &[listed(1, ReasonCode::KeyCompromise)],
    );
    assert!(check(1, &["-CRLfile", &file("lost.pem")]).1.contains("revoked"));
    assert!(CrlScope::Reasons([ReasonCode::Unspecified].into()).point(None).is_err());
}
