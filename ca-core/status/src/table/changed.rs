//! The state of a revoked or held certificate in 16 octets.

use ca_domain::{ReasonCode, RevocationState, Timestamp};

use super::issued::{compact, expand};

/// In place of the code of a reason: the certificate is on hold.
const HELD: u8 = 0xff;
/// In place of an invalidity date: there is none. Later than any time.
const NONE: [u8; 5] = [0xff; 5];

/// When and why a certificate was revoked or held, and when it ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Changed([u8; Self::LEN]);

impl Changed {
    pub(super) const LEN: usize = 16;

    /// The state of a certificate that ends at `not_after`; none for a good one.
    pub(super) fn new(state: RevocationState, not_after: Timestamp) -> Option<Self> {
        let (at, why, invalidity) = match state {
            RevocationState::Good => return None,
            RevocationState::Held { at } => (at, HELD, NONE),
            RevocationState::Revoked { at, reason, invalidity_date } => {
                (at, reason.code(), invalidity_date.map_or(NONE, compact))
            }
        };
        let mut bytes = [0; Self::LEN];
        bytes[..5].copy_from_slice(&compact(at));
        bytes[5..10].copy_from_slice(&invalidity);
        bytes[10..15].copy_from_slice(&compact(not_after));
        bytes[15] = why;
        Some(Self(bytes))
    }

    /// The octets again; none if they do not come from here.
    pub(super) fn from_bytes(bytes: [u8; Self::LEN]) -> Option<Self> {
        let this = Self(bytes);
        let known = this.0[15] == HELD || ReasonCode::from_code(this.0[15]).is_some();
        known.then_some(this)
    }

    pub(super) const fn to_bytes(self) -> [u8; Self::LEN] {
        self.0
    }

    fn time(&self, from: usize) -> [u8; 5] {
        let mut bytes = [0; 5];
        bytes.copy_from_slice(&self.0[from..from + 5]);
        bytes
    }

    /// Since when it is revoked or held.
    pub(super) fn at(&self) -> Timestamp {
        expand(self.time(0))
    }

    /// The certificate's last second.
    pub(super) fn not_after(&self) -> Timestamp {
        expand(self.time(10))
    }

    pub(super) fn state(&self) -> RevocationState {
        let at = self.at();
        match ReasonCode::from_code(self.0[15]) {
            Some(reason) => {
                let invalidity = self.time(5);
                let invalidity_date = (invalidity != NONE).then(|| expand(invalidity));
                RevocationState::Revoked { at, reason, invalidity_date }
            }
            None => RevocationState::Held { at },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost() {
        let times = [Timestamp::EPOCH, Timestamp::from_unix(1_800_000_000).unwrap(), Timestamp::MAX];
        let reasons = (0..=10).filter_map(ReasonCode::from_code);
        let mut states = vec![RevocationState::Held { at: times[1] }];
        for reason in reasons {
            for invalidity_date in [None, Some(times[0]), Some(times[1]), Some(times[2])] {
                states.push(RevocationState::Revoked { at: times[1], reason, invalidity_date });
            }
        }
        for state in states {
            for not_after in times {
                let changed = Changed::new(state, not_after).unwrap();
                assert_eq!((changed.state(), changed.not_after()), (state, not_after));
                assert_eq!(Changed::from_bytes(changed.to_bytes()), Some(changed));
            }
        }
        assert_eq!(Changed::new(RevocationState::Good, times[0]), None);
        assert_eq!(Changed::from_bytes([7; 16]), None, "there is no reason 7");
    }
}
