//! Delta CRLs, CRLs of parts, by kind and by reason: what is signed when, and what
//! stays whole whatever happens.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::Arc;

use ca_domain::{ReasonCode, Shard};
use ca_ledger::EntryKind;
use ca_service::fixture::client;
use common::{Bench, HOUR, listed};
use crl_publisher::Daemon;

const DELTA: &str = "    validity: 7d\n    interval: 24h\n    url: http://a.test/crl/{name}.crl\n    delta:\n      validity: 6h\n      interval: 1h\n";

fn signing(more: &str) -> String {
    format!("  - name: issuing\n    certificate: ca.pem\n    mode: sign\n    key: ca.key\n{more}")
}

#[test]
fn a_delta_shows_changes_soon_and_the_next_base_takes_them_up() {
    let mut bench = Bench::new();
    let (alice, bob) = (bench.issue(), bench.issue());
    bench.ledger.append(EntryKind::Held, bench.ca.id(), bob, None, bench.now());
    let mut daemon = bench.signer(DELTA);
    daemon.tick();
    let base = listed(&bench, "issuing");
    assert_eq!(base.entries, [(bob, ReasonCode::CertificateHold)].into());
    let delta = listed(&bench, "issuing-delta");
    assert_eq!(delta.frame.number().unwrap(), base.frame.number().unwrap(), "signed together: one number");
    assert_eq!(delta.frame.base().unwrap(), base.frame.number().unwrap());
    assert!(delta.entries.is_empty());

    bench.revoke(alice);
    bench.ledger.append(EntryKind::Released, bench.ca.id(), bob, None, bench.now());
    daemon.tick();
    bench.clock.advance(5);
    daemon.tick();
    assert_eq!(listed(&bench, "issuing").frame.number().unwrap(), base.frame.number().unwrap());
    let delta = listed(&bench, "issuing-delta");
    let wanted = BTreeMap::from([(alice, ReasonCode::KeyCompromise), (bob, ReasonCode::RemoveFromCrl)]);
    assert_eq!(delta.entries, wanted);
    assert!(delta.frame.number().unwrap() > base.frame.number().unwrap());
    assert_eq!(delta.frame.base().unwrap(), base.frame.number().unwrap());

    // By interval, with what has changed since the base.
    bench.clock.advance(HOUR);
    let now = bench.now();
    bench.ledger.heartbeat(now);
    daemon.tick();
    let later = listed(&bench, "issuing-delta");
    assert!(later.frame.number().unwrap() > delta.frame.number().unwrap());
    assert_eq!(later.entries, wanted);

    // A restart finds out what the delta has to list; nothing is signed in vain.
    drop(daemon);
    let mut daemon = bench.signer(DELTA);
    daemon.tick();
    bench.clock.advance(10);
    daemon.tick();
    assert_eq!(listed(&bench, "issuing-delta").frame.number().unwrap(), later.frame.number().unwrap());
    drop(daemon);
    let carol = bench.issue();
    bench.revoke(carol);
    let mut daemon = bench.signer(DELTA);
    daemon.tick();
    bench.clock.advance(5);
    daemon.tick();
    let with_carol = listed(&bench, "issuing-delta").entries;
    assert_eq!(with_carol.len(), 3);
    assert_eq!(with_carol.get(&carol), Some(&ReasonCode::KeyCompromise));

    // The next base.
    bench.clock.advance(24 * HOUR);
    let now = bench.now();
    bench.ledger.heartbeat(now);
    daemon.tick();
    let next = listed(&bench, "issuing");
    assert_eq!(next.entries.keys().copied().collect::<Vec<_>>(), {
        let mut both = vec![alice, carol];
        both.sort();
        both
    });
    let delta = listed(&bench, "issuing-delta");
    assert_eq!((delta.entries.len(), delta.frame.base().unwrap()), (0, next.frame.number().unwrap()));
    assert_eq!(bench.alarms(&daemon), [""; 0]);
}

/// A full CRL that names no delta CRL, or another, would let clients miss what only the delta CRL says.
#[test]
fn a_full_crl_names_the_delta_crl_that_there_is() {
    let bench = Bench::new();
    let plain = "    validity: 7d\n    interval: 24h\n    url: http://a.test/crl/{name}.crl\n";
    let elsewhere = DELTA.replace("a.test", "b.test");
    for (lists, named) in [
        (plain, None),
        (DELTA, Some("http://a.test/crl/issuing-delta.crl")),
        (&elsewhere, Some("http://b.test/crl/issuing-delta.crl")),
        (plain, None),
    ] {
        bench.clock.advance(10);
        bench.signer(lists).tick();
        let full = listed(&bench, "issuing").frame;
        assert_eq!(full.freshest().unwrap(), Vec::from_iter(named));
        if named.is_some() {
            assert_eq!(listed(&bench, "issuing-delta").frame.base().unwrap(), full.number().unwrap());
        }
        // Once.
        bench.clock.advance(10);
        bench.signer(lists).tick();
        assert_eq!(listed(&bench, "issuing").frame.number().unwrap(), full.number().unwrap());
    }
}

/// What was in a delta CRL is in the full CRL, which is newer, so that no client applies the old delta CRL to it
/// (RFC 5280, section 6.3.3). For full CRLs from before it stays until it ends.
#[test]
fn a_delta_crl_that_is_switched_off_stays_until_it_ends_and_is_told_then() {
    let mut bench = Bench::new();
    let serial = bench.issue();
    let mut daemon = bench.signer(DELTA);
    daemon.tick();
    bench.clock.advance(10);
    bench.revoke(serial);
    daemon.tick();
    bench.clock.advance(10);
    daemon.tick();
    let path = bench.published("crl/issuing-delta.crl");
    let (delta, bytes) = (listed(&bench, "issuing-delta"), fs::read(&path).unwrap());
    assert_eq!(delta.entries.len(), 1);
    drop(daemon);

    // In the second of the delta CRL.
    let plain = "    validity: 7d\n    interval: 24h\n    url: http://a.test/crl/{name}.crl\n";
    let mut daemon = bench.signer(plain);
    daemon.tick();
    let full = listed(&bench, "issuing");
    assert_eq!(full.entries, delta.entries);
    assert!(full.frame.freshest().unwrap().is_empty());
    assert!(full.frame.number().unwrap() > delta.frame.number().unwrap());
    assert_eq!(fs::read(&path).unwrap(), bytes);
    let serve = |bench: &Bench| {
        let running = bench.signer(plain).start(([127, 0, 0, 1], 0).into()).unwrap();
        let answer = client::get(running.address(), "/crl/issuing-delta.crl");
        running.stop();
        (answer.status, answer.body)
    };
    let status = |bench: &Bench| {
        let text = fs::read(bench.published(".issuing.status.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&text).unwrap()["crls"].clone()
    };
    drop(daemon);
    assert_eq!(serve(&bench), (200, bytes.clone()));
    let told = status(&bench);
    assert_eq!((&told[1]["name"], &told[1]["nextRun"]), (&"issuing-delta".into(), &serde_json::Value::Null));
    assert!(told[1]["toDo"].as_str().unwrap().contains("`delta` is off"), "{told}");

    // Nothing is made of it, and what has ended is told.
    let check = |bench: &Bench| {
        Daemon::check(bench.config(&signing(plain)), Arc::new(bench.clock.clone())).unwrap().list()
    };
    assert_eq!(check(&bench), []);
    bench.clock.advance(6 * HOUR);
    let now = bench.now();
    bench.ledger.heartbeat(now);
    let ended = ("crl issuing-delta".to_owned(), "a delta CRL that is made no more has ended");
    assert_eq!(check(&bench).first(), Some(&ended));
    let mut daemon = bench.signer(plain);
    daemon.tick();
    assert_eq!(daemon.alarms().list(), [ended]);
    assert_eq!(fs::read(&path).unwrap(), bytes);
    fs::remove_file(&path).unwrap();
    daemon.tick();
    assert_eq!((daemon.alarms().list(), check(&bench)), (vec![], vec![]));
    drop(daemon);
    assert_eq!(serve(&bench).0, 404);
    assert_eq!(status(&bench).as_array().unwrap().len(), 1);

    // It begins again above all numbers that there were.
    let mut daemon = bench.signer(DELTA);
    daemon.tick();
    let again = listed(&bench, "issuing-delta").frame;
    assert!(again.number().unwrap() > full.frame.number().unwrap());
    assert_eq!(daemon.alarms().list(), []);
}

#[test]
fn a_base_that_cannot_be_written_holds_up_no_delta() {
    let mut bench = Bench::new();
    let alice = bench.issue();
    let mut daemon = bench.signer(DELTA);
    daemon.tick();
    let base = listed(&bench, "issuing").frame.number().unwrap();
    // Something that cannot be removed stands where the base is written.
    let staging = bench.published("crl/.issuing.crl.tmp");
    fs::create_dir_all(staging.join("x")).unwrap();
    bench.clock.advance(25 * HOUR);
    bench.revoke(alice);
    daemon.tick();
    let delta = listed(&bench, "issuing-delta");
    assert_eq!((delta.frame.base().unwrap(), delta.entries.len()), (base, 1));
    assert!(bench.alarms(&daemon).join("\n").contains("sign issuing: a due CRL could not be published"));
    fs::remove_dir_all(&staging).unwrap();
    bench.clock.advance(61);
    daemon.tick();
    assert!(listed(&bench, "issuing").frame.number().unwrap() > delta.frame.number().unwrap());
    assert_eq!(listed(&bench, "issuing-delta").entries.len(), 0);
    assert_eq!(bench.alarms(&daemon), [""; 0]);
}

#[test]
fn files_that_changed_places_are_replaced() {
    let mut bench = Bench::new();
    let alice = bench.issue();
    bench.revoke(alice);
    bench.signer(DELTA).tick();
    let (base, delta) = (bench.published("crl/issuing.crl"), bench.published("crl/issuing-delta.crl"));
    let number = listed(&bench, "issuing").frame.number().unwrap();
    let parked = bench.published("crl/parked");
    fs::rename(&base, &parked).unwrap();
    fs::rename(&delta, &base).unwrap();
    fs::rename(&parked, &delta).unwrap();
    let mut daemon = bench.signer(DELTA);
    daemon.tick();
    bench.clock.advance(1);
    daemon.tick();
    let now = listed(&bench, "issuing");
    assert!(now.frame.base().unwrap().is_none() && now.entries.contains_key(&alice));
    assert!(now.frame.number().unwrap() >= number);
    assert_eq!(listed(&bench, "issuing-delta").frame.base().unwrap(), now.frame.number().unwrap());
}

#[test]
fn parts_kinds_and_reasons_are_together_what_is_revoked() {
    let mut bench = Bench::new();
    let lists = "    url: http://a.test/crl/{name}.crl\n    shards: [4]\n    kinds: true\n    reasons:\n      lost: [keyCompromise, cACompromise]\n";
    let serials: Vec<_> = (0..40).map(|_| bench.issue()).collect();
    let authority = bench.issue_authority();
    let mut daemon = bench.signer(lists);
    daemon.tick();
    let (id, now) = (bench.ca.id(), bench.now());
    let mut wanted = BTreeMap::new();
    for (number, serial) in serials.iter().step_by(2).chain([&authority]).enumerate() {
        let reason = if number % 3 == 0 { ReasonCode::KeyCompromise } else { ReasonCode::Superseded };
        bench.ledger.revoke(id, *serial, reason, now);
        wanted.insert(*serial, reason);
    }
    daemon.tick();
    bench.clock.advance(5);
    daemon.tick();
    assert_eq!(bench.alarms(&daemon), [""; 0]);
    assert_eq!(listed(&bench, "issuing").entries, wanted);
    let mut union = BTreeMap::new();
    for shard in Shard::all(4) {
        let part = listed(&bench, &format!("issuing-{}-of-4", shard.index()));
        assert!(part.entries.keys().all(|serial| Shard::of(serial, 4) == Some(shard)));
        let scope = part.frame.scope_text().unwrap().unwrap();
        assert_eq!(scope, format!("http://a.test/crl/issuing-{}-of-4.crl", shard.index()));
        union.extend(part.entries);
    }
    assert_eq!(union, wanted);
    let users = listed(&bench, "issuing-users").entries;
    assert!(!users.contains_key(&authority) && users.len() == wanted.len() - 1);
    assert_eq!(listed(&bench, "issuing-authorities").entries.keys().collect::<Vec<_>>(), [&authority]);
    let lost = listed(&bench, "issuing-lost").entries;
    let compromised = wanted.iter().filter(|(_, reason)| **reason == ReasonCode::KeyCompromise);
    assert_eq!(lost.iter().collect::<Vec<_>>(), compromised.collect::<Vec<_>>());

    // One more: only the lists that have it are signed again.
    let numbers = |bench: &Bench| -> BTreeMap<String, _> {
        let names =
            ["issuing-0-of-4", "issuing-1-of-4", "issuing-2-of-4", "issuing-3-of-4", "issuing-authorities"];
        names.map(|name| (name.to_owned(), listed(bench, name).frame.number().unwrap())).into()
    };
    let before = numbers(&bench);
    bench.ledger.revoke(id, serials[1], ReasonCode::Superseded, now);
    daemon.tick();
    bench.clock.advance(5);
    daemon.tick();
    let after = numbers(&bench);
    let signed: Vec<_> = after.iter().filter(|(name, number)| before[*name] != **number).collect();
    let shard = Shard::of(&serials[1], 4).unwrap();
    assert_eq!(signed.len(), 1);
    assert_eq!(*signed[0].0, format!("issuing-{}-of-4", shard.index()));
}

#[test]
fn openssl_reads_what_is_published() {
    let mut bench = Bench::new();
    let alice = bench.issue();
    let mut daemon = bench.signer(&format!("{DELTA}    shards: [2]\n"));
    daemon.tick();
    bench.revoke(alice);
    daemon.tick();
    bench.clock.advance(5);
    daemon.tick();
    for (name, part) in [
        ("issuing", "X509v3 Freshest CRL"),
        ("issuing-delta", "X509v3 Delta CRL Indicator: critical"),
        ("issuing-0-of-2", "X509v3 Issuing Distribution Point: critical"),
        ("issuing-1-of-2-delta", "X509v3 Issuing Distribution Point: critical"),
    ] {
        let shown = Command::new("openssl")
            .args(["crl", "-noout", "-text", "-CAfile"])
            .arg(bench.home("ca.pem"))
            .arg("-in")
            .arg(bench.published(&format!("crl/{name}.pem")))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&shown.stdout) + String::from_utf8_lossy(&shown.stderr);
        assert!(
            shown.status.success() && text.contains("verify OK") && text.contains(part),
            "{name}: {text}"
        );
    }
}
