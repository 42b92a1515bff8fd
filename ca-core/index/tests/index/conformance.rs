//! What every index must do. Each test runs for both.

use std::ops::ControlFlow;

use ca_domain::{ReasonCode, RevocationState, SpkiHash, Timestamp, Transition};
use ca_index::{Applied, CertificateRecord, Change, Filter, Index, IndexError, StateFilter};

use crate::support::{add, at, authority, changed, created, events, issued, record, revoke, serial};

/// Runs each function as a test of `MemoryIndex` and one of `SledIndex`.
macro_rules! conformance {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[test] fn $name() { super::$name(&mut ca_index::MemoryIndex::new()); })+
        }
        mod sled {
            $(#[test] fn $name() {
                let dir = tempfile::tempdir().unwrap();
                super::$name(&mut crate::support::sled(&dir.path().join("index")));
            })+
        }
    };
}

conformance!(
    an_empty_index_answers,
    records_come_back_whole,
    names_are_found_in_any_case,
    names_are_not_found_by_halves,
    a_serial_of_two_authorities_is_two_certificates,
    states_follow_the_entries,
    impossible_transitions_name_the_entry,
    a_failed_batch_changes_nothing,
    batches_can_be_replayed,
    gaps_and_wrong_marks_are_refused,
    expiry_is_the_second_after_the_last,
    expiring_comes_in_the_order_of_expiry,
    conditions_are_joined,
    limit_and_break_end_a_query,
    authorities_are_known_by_name,
    an_authoritys_certificate_is_recorded_where_it_was_issued,
    counts_add_up,
    the_end_of_time_is_a_time,
);

fn positions(index: &dyn Index, filter: &Filter, now: u64) -> Vec<u64> {
    index.select(filter, at(now), None).unwrap().iter().map(|record| record.position).collect()
}

fn by_state(state: StateFilter) -> Filter {
    Filter { state: Some(state), ..Filter::default() }
}

fn an_empty_index_answers(index: &mut dyn Index) {
    assert_eq!(index.applied().unwrap(), Applied::default());
    assert_eq!(index.last_fingerprint().unwrap(), None);
    assert_eq!(index.by_position(0).unwrap(), None);
    assert_eq!(index.by_serial(serial(1)).unwrap(), []);
    assert_eq!(index.authorities().unwrap(), []);
    assert_eq!(positions(index, &Filter::default(), 0), [0_u64; 0]);
    assert_eq!(index.counts(at(0)).unwrap(), Default::default());
    index.apply_events(&[], Applied::default()).unwrap();
}

fn records_come_back_whole(index: &mut dyn Index) {
    let whole = CertificateRecord {
        position: 1,
        person: "Somebody Else".into(),
        mailboxes: vec!["A@example.test".into(), "änne@example.test".into(), String::new()],
        dns_names: vec!["mail.example.test".into()],
        template: String::new(),
        ..record(1)
    };
    add(index, vec![Change::None, issued(whole.clone())]);
    assert_eq!(index.by_position(0).unwrap(), None);
    assert_eq!(index.by_position(1).unwrap(), Some(whole.clone()));
    let only = [whole];
    assert_eq!(index.by_serial(serial(1)).unwrap(), only);
    assert_eq!(index.by_key(SpkiHash([1; 32])).unwrap(), only);
    for name in ["a@example.test", "ÄNNE@example.test", "MAIL.example.test", "somebody else"] {
        assert_eq!(index.by_mailbox(name).unwrap(), only, "{name}");
    }
    let mut other_half = [1; 32];
    other_half[31] = 2;
    assert_eq!(index.by_key(SpkiHash(other_half)).unwrap(), []);
    assert_eq!(index.applied().unwrap(), Applied::at(2, [2; 32]));
    assert!(index.last_fingerprint().unwrap().is_some());
}

fn names_are_found_in_any_case(index: &mut dyn Index) {
    add(index, (0..3).map(|n| issued(record(n))).collect());
    for name in ["Person.1@example.test", "person.1@EXAMPLE.test", " PERSON.1@example.test "] {
        let found = index.by_mailbox(name).unwrap();
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(found[0].mailboxes, ["Person.1@example.test"]);
    }
}

fn names_are_not_found_by_halves(index: &mut dyn Index) {
    let named = |number, name: &str| {
        issued(CertificateRecord { person: name.into(), mailboxes: vec![name.into()], ..record(number) })
    };
    add(
        index,
        vec![
            named(0, "a@b.test"),
            named(1, "a@b.test.example"),
            named(2, "a@b.test\u{1}"),
            named(3, "aa@b.test"),
            named(4, "a@b.test\0\0\0\0\0\0\0\0\x01"),
        ],
    );
    let found: Vec<u64> =
        index.by_mailbox("a@b.test").unwrap().iter().map(|record| record.position).collect();
    assert_eq!(found, [0]);
    assert_eq!(index.by_mailbox("a@b").unwrap(), []);
    assert_eq!(index.by_mailbox("").unwrap(), []);
}

fn a_serial_of_two_authorities_is_two_certificates(index: &mut dyn Index) {
    let ours = CertificateRecord { authority: authority(1), ..record(5) };
    let theirs = CertificateRecord { authority: authority(2), ..record(5) };
    add(index, vec![issued(ours), issued(theirs.clone())]);
    add(index, vec![changed(&theirs, revoke(ReasonCode::Superseded), at(9))]);
    let found = index.by_serial(serial(5)).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].state, RevocationState::Good);
    assert!(found[1].state.is_revoked_or_held());
    // The same serial of the same authority is a fault of the ledger.
    let again = events(3, vec![issued(theirs)]);
    let error = index.apply_events(&again, Applied::partly(4)).unwrap_err();
    assert!(matches!(error, IndexError::Inconsistent { position: 3, .. }), "{error}");
}

fn states_follow_the_entries(index: &mut dyn Index) {
    let (one, two) = (record(1), record(2));
    add(index, vec![issued(one.clone()), issued(two.clone()), changed(&one, Transition::Hold, at(5))]);
    assert_eq!(index.by_position(0).unwrap().unwrap().state, RevocationState::Held { at: at(5) });
    assert_eq!(positions(index, &by_state(StateFilter::Held), 10), [0]);
    assert_eq!(positions(index, &by_state(StateFilter::Good), 10), [1]);
    add(index, vec![changed(&one, Transition::Release, at(6))]);
    assert_eq!(positions(index, &by_state(StateFilter::Held), 10), [0_u64; 0]);
    assert_eq!(positions(index, &by_state(StateFilter::Good), 10), [0, 1]);
    let transition = Transition::Revoke { reason: ReasonCode::KeyCompromise, invalidity_date: Some(at(3)) };
    // Held and revoked in one batch.
    add(index, vec![changed(&two, Transition::Hold, at(7)), changed(&two, transition, at(8))]);
    let revoked = RevocationState::Revoked {
        at: at(8),
        reason: ReasonCode::KeyCompromise,
        invalidity_date: Some(at(3)),
    };
    assert_eq!(index.by_position(1).unwrap().unwrap().state, revoked);
    assert_eq!(positions(index, &by_state(StateFilter::Revoked), 10), [1]);
    assert_eq!(positions(index, &by_state(StateFilter::Held), 10), [0_u64; 0]);
}

fn impossible_transitions_name_the_entry(index: &mut dyn Index) {
    let one = record(1);
    add(index, vec![issued(one.clone()), changed(&one, revoke(ReasonCode::Superseded), at(5))]);
    let stranger = CertificateRecord { authority: authority(9), ..one.clone() };
    for change in [
        changed(&one, revoke(ReasonCode::Superseded), at(6)),
        changed(&one, Transition::Release, at(6)),
        changed(&record(2), Transition::Hold, at(6)),
        changed(&stranger, Transition::Hold, at(6)),
    ] {
        let error = index.apply_events(&events(2, vec![change]), Applied::partly(3)).unwrap_err();
        assert!(matches!(error, IndexError::Inconsistent { position: 2, .. }), "{error}");
        assert!(!error.is_corrupt());
    }
}

fn a_failed_batch_changes_nothing(index: &mut dyn Index) {
    add(index, vec![issued(record(1))]);
    let before = index.applied().unwrap();
    let bad = vec![issued(record(2)), changed(&record(1), Transition::Hold, at(5)), issued(record(2))];
    assert!(index.apply_events(&events(1, bad), Applied::partly(4)).is_err());
    assert_eq!(index.applied().unwrap(), before);
    assert_eq!(positions(index, &Filter::default(), 0), [0]);
    assert_eq!(index.by_position(0).unwrap().unwrap().state, RevocationState::Good);
    add(index, vec![issued(record(2))]);
    assert_eq!(positions(index, &Filter::default(), 0), [0, 1]);
}

fn batches_can_be_replayed(index: &mut dyn Index) {
    let changes = || {
        let one = record(1);
        vec![
            issued(one.clone()),
            changed(&one, Transition::Hold, at(5)),
            changed(&one, Transition::Release, at(6)),
            issued(record(2)),
        ]
    };
    let all = events(0, changes());
    index.apply_events(&all[..3], Applied::at(3, [3; 32])).unwrap();
    let once = (index.applied().unwrap(), index.counts(at(0)).unwrap());
    index.apply_events(&all[..3], Applied::at(3, [3; 32])).unwrap();
    index.apply_events(&all[..2], Applied::at(2, [2; 32])).unwrap();
    assert_eq!((index.applied().unwrap(), index.counts(at(0)).unwrap()), once);
    // A batch that overlaps with what is there.
    index.apply_events(&all, Applied::at(4, [4; 32])).unwrap();
    index.apply_events(&all, Applied::at(4, [4; 32])).unwrap();
    assert_eq!(index.applied().unwrap(), Applied::at(4, [4; 32]));
    assert_eq!(positions(index, &Filter::default(), 0), [0, 3]);
    assert_eq!(index.counts(at(0)).unwrap().total, 2);
}

fn gaps_and_wrong_marks_are_refused(index: &mut dyn Index) {
    add(index, vec![issued(record(1))]);
    for (first, applied) in [
        (2, Applied::partly(3)),
        (1, Applied::partly(3)),
        (1, Applied::partly(1)),
        (0, Applied::partly(2)),
        (0, Applied::at(1, [9; 32])),
    ] {
        let error = index.apply_events(&events(first, vec![issued(record(2))]), applied).unwrap_err();
        assert!(matches!(error, IndexError::Inconsistent { .. }), "{first} {applied:?}: {error}");
    }
    assert_eq!(index.applied().unwrap(), Applied::at(1, [1; 32]));
}

fn expiry_is_the_second_after_the_last(index: &mut dyn Index) {
    add(index, vec![issued(record(0))]);
    for (now, good, expired) in [(1_999, 1, 0), (2_000, 1, 0), (2_001, 0, 1)] {
        assert_eq!(positions(index, &by_state(StateFilter::Good), now).len(), good, "{now}");
        assert_eq!(positions(index, &by_state(StateFilter::Expired), now).len(), expired, "{now}");
        let counts = index.counts(at(now)).unwrap();
        assert_eq!((counts.good, counts.expired), (good as u64, expired as u64), "{now}");
    }
    for (before, found) in [(2_000, 0), (2_001, 1)] {
        let filter = Filter { expiring_before: Some(at(before)), ..Filter::default() };
        assert_eq!(positions(index, &filter, 1_500).len(), found, "{before}");
    }
}

fn expiring_comes_in_the_order_of_expiry(index: &mut dyn Index) {
    // notAfter: 2200, 2300, 2000, 2100, 2200
    add(index, [2, 3, 7, 1, 9].map(|n| issued(record(n))).to_vec());
    let filter = Filter { expiring_before: Some(at(2_300)), ..Filter::default() };
    assert_eq!(positions(index, &filter, 1_500), [2, 3, 0, 4]);
    assert_eq!(positions(index, &filter, 2_100), [3, 0, 4]);
    assert_eq!(positions(index, &by_state(StateFilter::Expired), 2_201), [2, 3, 0, 4]);
    assert_eq!(positions(index, &by_state(StateFilter::Good), 2_200), [0, 4, 1]);
    let old = Filter { state: Some(StateFilter::Expired), ..filter };
    assert_eq!(positions(index, &old, 2_150), [2, 3]);
}

fn conditions_are_joined(index: &mut dyn Index) {
    add(index, (0..12).map(|n| issued(record(n))).collect());
    add(index, vec![changed(&record(4), Transition::Hold, at(5))]);
    let both =
        Filter { template: Some("template-1".into()), authority: Some(authority(0)), ..Filter::default() };
    assert_eq!(positions(index, &both, 0), [4, 10]);
    assert_eq!(positions(index, &Filter { state: Some(StateFilter::Held), ..both.clone() }, 0), [4]);
    assert_eq!(positions(index, &Filter { state: Some(StateFilter::Good), ..both.clone() }, 0), [10]);
    let mailbox = Filter { mailbox: Some("person.4@example.test".into()), ..both.clone() };
    assert_eq!(positions(index, &mailbox, 0), [4]);
    assert_eq!(positions(index, &Filter { serial: Some(serial(10)), ..mailbox.clone() }, 0), [0_u64; 0]);
    assert_eq!(positions(index, &Filter { key: Some(SpkiHash([10; 32])), ..both }, 0), [10]);
    let unknown = Filter { template: Some("none".into()), ..Filter::default() };
    assert_eq!(positions(index, &unknown, 0), [0_u64; 0]);
    let unknown = Filter { authority: Some(authority(77)), ..Filter::default() };
    assert_eq!(positions(index, &unknown, 0), [0_u64; 0]);
}

fn limit_and_break_end_a_query(index: &mut dyn Index) {
    add(index, (0..9).map(|n| issued(record(n))).collect());
    let filter = Filter { authority: Some(authority(1)), ..Filter::default() };
    for (limit, found) in [(0, vec![]), (1, vec![1]), (3, vec![1, 3, 5]), (99, vec![1, 3, 5, 7])] {
        let records = index.select(&filter, at(0), Some(limit)).unwrap();
        assert_eq!(records.iter().map(|record| record.position).collect::<Vec<_>>(), found);
    }
    let mut seen = 0;
    index
        .query(&Filter::default(), at(0), None, &mut |_| {
            seen += 1;
            if seen == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!(seen, 4);
}

fn authorities_are_known_by_name(index: &mut dyn Index) {
    add(index, vec![created("root", authority(4)), created("issuing", authority(7)), issued(record(3))]);
    let found = index.authority("root").unwrap().unwrap();
    assert_eq!((found.position, found.key_id), (0, authority(4)));
    assert_eq!(index.authority("Root").unwrap(), None);
    // It is imported again.
    add(index, vec![created("root", authority(4))]);
    assert_eq!(index.authority("root").unwrap().unwrap().position, 3);
    let names: Vec<_> = index.authorities().unwrap().into_iter().map(|authority| authority.name).collect();
    assert_eq!(names, ["issuing", "root"]);
}

fn an_authoritys_certificate_is_recorded_where_it_was_issued(index: &mut dyn Index) {
    let subordinate = CertificateRecord { authority: authority(1), ..record(1) };
    add(
        index,
        vec![created("root", authority(1)), issued(subordinate.clone()), created("issuing", authority(2))],
    );
    assert_eq!(positions(index, &Filter::default(), 0), [1]);
    assert_eq!((index.by_position(0).unwrap(), index.by_position(2).unwrap()), (None, None));
    assert_eq!(index.by_serial(subordinate.serial).unwrap().len(), 1);
    assert_eq!(index.counts(at(0)).unwrap().total, 1);
    add(index, vec![changed(&subordinate, revoke(ReasonCode::CaCompromise), at(5))]);
    assert_eq!(positions(index, &by_state(StateFilter::Revoked), 0), [1]);
    // The key of the new authority issued nothing yet.
    let stranger = CertificateRecord { authority: authority(2), ..subordinate };
    let change = changed(&stranger, revoke(ReasonCode::CaCompromise), at(6));
    let error = index.apply_events(&events(4, vec![change]), Applied::partly(5)).unwrap_err();
    assert!(matches!(error, IndexError::Inconsistent { position: 4, .. }), "{error}");
}

fn counts_add_up(index: &mut dyn Index) {
    add(index, (0..14).map(|n| issued(record(n))).collect());
    add(index, vec![changed(&record(0), Transition::Hold, at(5))]);
    add(index, vec![changed(&record(1), revoke(ReasonCode::Superseded), at(5))]);
    let counts = index.counts(at(2_150)).unwrap();
    assert_eq!((counts.total, counts.held, counts.revoked), (14, 1, 1));
    // 0, 7, 1 and 8 end by 2100; 0 is held and 1 revoked.
    assert_eq!((counts.expired, counts.good), (2, 10));
    assert_eq!(counts.by_template.into_values().collect::<Vec<_>>(), [5, 5, 4]);
}

fn the_end_of_time_is_a_time(index: &mut dyn Index) {
    let forever = CertificateRecord { not_after: Timestamp::MAX, not_before: Timestamp::EPOCH, ..record(1) };
    add(index, vec![issued(forever)]);
    assert_eq!(positions(index, &by_state(StateFilter::Good), 5), [0]);
    assert_eq!(index.select(&by_state(StateFilter::Good), Timestamp::MAX, None).unwrap().len(), 1);
    assert_eq!(index.select(&by_state(StateFilter::Expired), Timestamp::MAX, None).unwrap(), []);
}
