use super::*;

fn full() -> Entry {
    Entry {
        kind: EntryKind::Revoked,
        time: Timestamp::parse("2026-11-23T08:00:07Z").unwrap(),
        authority: KeyIdentifier([7; 20]),
        serial: Some(SerialNumber::from_random([0xff; 20])),
        not_after: Some(Timestamp::MAX),
        reason: Some(ReasonCode::KeyCompromise),
        invalidity_date: Some(Timestamp::EPOCH),
        detail_hash: [9; 32],
    }
}

fn bare() -> Entry {
    Entry { serial: None, not_after: None, reason: None, invalidity_date: None, ..full() }
}

#[test]
fn round_trips() {
    for entry in [full(), bare(), Entry { kind: EntryKind::CrlIssued, ..bare() }] {
        let der = entry.to_der().unwrap();
        assert_eq!(Entry::from_der(&der).unwrap(), entry);
        assert!(der.len() < 160, "{}", der.len());
    }
}

#[test]
fn the_encoding_is_fixed() {
    let der = bare().to_der().unwrap();
    let mut expected = vec![0x30, 0x4f, 2, 1, 1, 0x0a, 1, 3, 0x18, 15];
    expected.extend(b"20261123080007Z");
    expected.extend([4, 20]);
    expected.extend([7; 20]);
    expected.extend([4, 32]);
    expected.extend([9; 32]);
    assert_eq!(der, expected);
}

#[test]
fn refuses_other_versions_kinds_and_bytes() {
    let der = full().to_der().unwrap();
    let version = der.iter().position(|b| *b == 2).unwrap() + 2;
    let mut newer = der.clone();
    newer[version] = 2;
    assert!(matches!(Entry::from_der(&newer), Err(EntryError::Version(2))));
    for kind in [0, 18, 23, 200] {
        let mut other = der.clone();
        other[version + 3] = kind;
        assert!(Entry::from_der(&other).is_err(), "kind {kind}");
    }
    let mut longer = der.clone();
    longer.push(0);
    assert!(Entry::from_der(&longer).is_err());
    for end in 0..der.len() {
        assert!(Entry::from_der(&der[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn a_changed_byte_is_refused_or_another_entry() {
    let der = full().to_der().unwrap();
    for at in 0..der.len() {
        for bit in 0..8 {
            let mut changed = der.clone();
            changed[at] ^= 1 << bit;
            if let Ok(entry) = Entry::from_der(&changed) {
                assert_eq!(entry.to_der().unwrap(), changed);
            }
        }
    }
}

#[test]
fn reasons_outside_the_norm_are_refused() {
    let der = full().to_der().unwrap();
    let at = der.windows(3).position(|w| w == [0x82, 1, 1]).unwrap() + 2;
    for (code, good) in [(0, true), (7, false), (10, true), (11, false)] {
        let mut other = der.clone();
        other[at] = code;
        assert_eq!(Entry::from_der(&other).is_ok(), good, "reason {code}");
    }
}
