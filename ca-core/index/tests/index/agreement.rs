//! Both kinds of index give the same answers over random histories.

use ca_domain::{KeyIdentifier, ReasonCode, RevocationState, SpkiHash, Transition};
use ca_index::{Applied, CertificateRecord, Change, Filter, Index, MemoryIndex, StateFilter};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use crate::support::{at, authority, changed, created, events, issued, serial, sled};

const NAMES: [&str; 6] =
    ["a@x.test", "A@x.test", "b@x.test", "a@x.test.example", "host.x.test", "änne@bücher.test"];

fn record() -> impl Strategy<Value = CertificateRecord> {
    let names = || vec(prop::sample::select(NAMES.to_vec()), 0..3);
    (0..2_u8, 0..12_u64, 0..3_u8, names(), names(), 0..3_u8, 0..5_u64, 0..NAMES.len()).prop_map(
        |(issuer, number, template, mailboxes, dns_names, key, days, person)| CertificateRecord {
            position: 0,
            authority: authority(issuer),
            serial: serial(number),
            template: format!("t{template}"),
            person: NAMES[person].into(),
            mailboxes: mailboxes.into_iter().map(str::to_owned).collect(),
            dns_names: dns_names.into_iter().map(str::to_owned).collect(),
            key: SpkiHash([key; 32]),
            not_before: at(0),
            not_after: at(100 + days * 100),
            state: RevocationState::Good,
        },
    )
}

fn transition() -> impl Strategy<Value = Transition> {
    prop_oneof![
        Just(Transition::Hold),
        Just(Transition::Release),
        of(0..40_u64).prop_map(|date| Transition::Revoke {
            reason: ReasonCode::KeyCompromise,
            invalidity_date: date.map(at)
        }),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        1 => Just(Change::None),
        1 => (0..3_u8, 0..3_u8).prop_map(|(name, key)| created(&format!("authority{name}"), authority(key))),
        6 => record().prop_map(issued),
        6 => (record(), transition(), 20..60_u64).prop_map(|(record, transition, time)| {
            changed(&record, transition, at(time))
        }),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    let state = prop::sample::select(vec![
        StateFilter::Good,
        StateFilter::Held,
        StateFilter::Revoked,
        StateFilter::Expired,
    ]);
    let rarely = prop::bool::weighted(0.2);
    (
        of(prop::sample::select(NAMES.to_vec())),
        of(0..4_u8),
        of(0..3_u8),
        of(state),
        of(0..700_u64),
        (rarely, 0..12_u64),
        (rarely, 0..4_u8),
    )
        .prop_map(|(name, template, issuer, state, before, (by_serial, number), (by_key, key))| Filter {
            mailbox: name.map(str::to_uppercase),
            template: template.map(|template| format!("t{template}")),
            authority: issuer.map(|issuer| KeyIdentifier([issuer; 20])),
            state,
            expiring_before: before.map(at),
            serial: by_serial.then(|| serial(number)),
            key: by_key.then_some(SpkiHash([key; 32])),
        })
}

/// Applies batches to both; those that one refuses, the other refuses too.
fn replay(index: &mut dyn Index, memory: &mut MemoryIndex, batches: &[Vec<Change>]) {
    for batch in batches {
        let first = memory.applied().unwrap().size;
        // One change at a time too: then what is refused does not take the rest with it.
        let single = batch.iter().map(|change| vec![change.clone()]);
        for part in [batch.clone()].into_iter().chain(single) {
            let first = memory.applied().unwrap().size.max(first);
            let events = events(first, part);
            let applied = Applied::at(first + events.len() as u64, [first as u8; 32]);
            let ours = index.apply_events(&events, applied).map_err(|error| error.to_string());
            let theirs = memory.apply_events(&events, applied).map_err(|error| error.to_string());
            assert_eq!(ours, theirs);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn sled_and_memory_agree(
        batches in vec(vec(change(), 0..12), 1..6),
        filters in vec((filter(), 0..700_u64, of(0..5_usize)), 12),
        reopen in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let mut memory = MemoryIndex::new();
        let mut index = sled(&path);
        replay(&mut index, &mut memory, &batches);
        if reopen {
            drop(index);
            index = sled(&path);
        }
        index.verify().unwrap();
        prop_assert_eq!(index.applied().unwrap(), memory.applied().unwrap());
        prop_assert_eq!(index.last_fingerprint().unwrap(), memory.last_fingerprint().unwrap());
        prop_assert_eq!(index.authorities().unwrap(), memory.authorities().unwrap());
        for position in 0..memory.applied().unwrap().size {
            prop_assert_eq!(index.by_position(position).unwrap(), memory.by_position(position).unwrap());
        }
        for (filter, now, limit) in filters {
            let now = at(now);
            prop_assert_eq!(
                index.select(&filter, now, limit).unwrap(),
                memory.select(&filter, now, limit).unwrap(),
                "{:?} at {}", filter, now
            );
            prop_assert_eq!(index.counts(now).unwrap(), memory.counts(now).unwrap());
        }
    }
}
