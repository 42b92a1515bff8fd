//! Tests of the status table.

use proptest::prelude::*;

use super::issued::{compact, expand};
use super::*;
use crate::testing::{at, entry, issued, revoked, serial};

const CA: KeyIdentifier = KeyIdentifier([1; 20]);
const OTHER: KeyIdentifier = KeyIdentifier([2; 20]);

fn table(entries: &[Entry]) -> StatusTable {
    let mut table = StatusTable::new();
    for (index, entry) in entries.iter().enumerate() {
        table.apply(index as u64, entry).unwrap();
    }
    table
}

fn change(kind: EntryKind, number: u64, seconds: u64) -> Entry {
    entry(kind, CA, Some(serial(number)), at(seconds))
}

#[test]
fn the_life_of_a_certificate() {
    let mut table = table(&[issued(CA, serial(7), at(5000))]);
    let good = CertificateStatus { state: RevocationState::Good, not_after: at(5000) };
    assert_eq!(table.status(&CA, &serial(7)), Some(good));
    assert_eq!(table.status(&OTHER, &serial(7)), None, "the serial under another issuer was never issued");
    assert_eq!(table.status(&CA, &serial(8)), None);

    let held = RevocationState::Held { at: at(200) };
    let expected = Change { authority: CA, serial: serial(7), state: held, index: 1 };
    assert_eq!(table.apply(1, &change(EntryKind::Held, 7, 200)).unwrap(), Some(expected));
    assert_eq!(table.revoked(&CA).next().unwrap().reason, ReasonCode::CertificateHold);
    assert_eq!(table.counts(&CA), Counts { issued: 1, held: 1, revoked: 0 });

    table.apply(2, &change(EntryKind::Released, 7, 300)).unwrap();
    assert_eq!(table.status(&CA, &serial(7)), Some(good));
    assert_eq!(table.revoked(&CA).next(), None);

    let entry = Entry {
        invalidity_date: Some(at(150)),
        ..revoked(CA, serial(7), at(400), ReasonCode::KeyCompromise)
    };
    table.apply(3, &entry).unwrap();
    let listed = RevokedEntry {
        serial: serial(7),
        at: at(400),
        reason: ReasonCode::KeyCompromise,
        invalidity_date: Some(at(150)),
        not_after: at(5000),
    };
    assert_eq!(table.revoked(&CA).collect::<Vec<_>>(), [listed]);
    assert_eq!(table.counts(&CA), Counts { issued: 1, held: 0, revoked: 1 });
}

#[test]
fn impossible_entries_name_their_position_and_change_nothing() {
    let mut table = table(&[issued(CA, serial(7), at(5000)), change(EntryKind::Held, 7, 200)]);
    let text = |result: Result<Option<Change>, StatusError>| result.unwrap_err().to_string();
    assert!(text(table.apply(2, &change(EntryKind::Held, 7, 201))).contains("ledger entry 2"));
    assert!(text(table.apply(2, &change(EntryKind::Held, 8, 201))).contains("never issued"));
    assert!(text(table.apply(2, &issued(CA, serial(7), at(6000)))).contains("second time"));
    assert!(
        text(table.apply(2, &entry(EntryKind::Revoked, CA, Some(serial(7)), at(201)))).contains("no reason")
    );
    assert!(text(table.apply(2, &entry(EntryKind::Released, CA, None, at(201)))).contains("no serial"));
    assert!(text(table.apply(3, &change(EntryKind::Released, 7, 201))).contains("entry 2 was due"));
    assert_eq!(table.next_index(), 2);
    assert_eq!(table.counts(&CA), Counts { issued: 1, held: 1, revoked: 0 });

    table.skip(2).unwrap();
    assert!(table.skip(2).is_err());
    table.apply(3, &change(EntryKind::Released, 7, 201)).unwrap();
    assert_eq!(table.counts(&CA), Counts { issued: 1, held: 0, revoked: 0 });
}

#[test]
fn a_created_authority_is_known_and_its_own_certificate_is_not_its_business() {
    let created = Entry { not_after: Some(at(9000)), ..change(EntryKind::AuthorityCreated, 5, 100) };
    let root = Entry { authority: OTHER, ..created };
    let mut table = table(&[issued(CA, serial(5), at(9000)), root]);
    assert!(table.knows(&OTHER));
    assert_eq!(table.counts(&OTHER), Counts::default());
    assert_eq!(table.status(&OTHER, &serial(5)), None);
    assert_eq!(table.apply(2, &entry(EntryKind::CrlIssued, CA, None, at(200))).unwrap(), None);
    assert_eq!(table.counts(&CA).issued, 1);
}

#[test]
fn an_expired_certificate_stays_for_one_more_crl() {
    let table = table(&[
        issued(CA, serial(9), at(1000)),
        revoked(CA, serial(9), at(500), ReasonCode::Superseded),
        issued(CA, serial(3), at(2000)),
        revoked(CA, serial(3), at(1500), ReasonCode::Superseded),
    ]);
    let listed = |previous: Option<u64>| -> Vec<_> {
        table.revoked_for_crl(&CA, previous.map(at)).map(|entry| entry.serial).collect()
    };
    let (three, nine) = (serial(3), serial(9));
    assert_eq!(listed(None), [three, nine]);
    assert_eq!(listed(Some(900)), [three, nine]);
    assert_eq!(listed(Some(1000)), [three, nine], "that CRL was issued in the last second of validity");
    assert_eq!(listed(Some(1001)), [three]);
    assert_eq!(listed(Some(2001)), []);
}

#[test]
fn a_revocation_after_expiry_is_published_once() {
    let table = table(&[
        issued(CA, serial(9), at(1000)),
        revoked(CA, serial(9), at(1200), ReasonCode::KeyCompromise),
    ]);
    assert_eq!(table.revoked_for_crl(&CA, Some(at(1100))).count(), 1);
    assert_eq!(table.revoked_for_crl(&CA, Some(at(1201))).count(), 0);
}

proptest! {
    /// Whatever CRLs were made at whatever times: none after the revocation and
    /// before one was issued beyond the expiry lacks the certificate.
    #[test]
    fn nothing_leaves_the_crl_too_early(
        end in 1u64..1000,
        revocation in 1u64..1000,
        mut times in proptest::collection::vec(1u64..1500, 1..12),
    ) {
        times.sort_unstable();
        let mut previous = None;
        let mut shown_after_expiry = false;
        for time in times {
            let mut entries = vec![issued(CA, serial(9), at(end))];
            if revocation <= time {
                entries.push(revoked(CA, serial(9), at(revocation), ReasonCode::KeyCompromise));
            }
            let listed = table(&entries).revoked_for_crl(&CA, previous).count() == 1;
            prop_assert!(listed || revocation > time || shown_after_expiry, "at {time}");
            shown_after_expiry |= listed && time > end;
            previous = Some(at(time));
        }
    }

    #[test]
    fn times_fit_into_five_octets(seconds in 0..=Timestamp::MAX.as_unix()) {
        prop_assert_eq!(expand(compact(at(seconds))), at(seconds));
    }
}
