//! Revocation reasons, states and the transitions between them (RFC 5280,
//! section 5.3.1).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// CRLReason with the numbers of RFC 5280, section 5.3.1; 7 is not used.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum ReasonCode {
    /// No reason given; a CRL entry then has no reasonCode extension.
    Unspecified = 0,
    /// The subject's private key is, or may be, in other hands.
    KeyCompromise = 1,
    /// The private key of the CA that is the subject is, or may be, in other hands.
    #[serde(alias = "cACompromise")]
    CaCompromise = 2,
    /// The subject's name or role changed, or the person left.
    AffiliationChanged = 3,
    /// A newer certificate replaces this one.
    Superseded = 4,
    /// The certificate is no longer needed for its purpose.
    CessationOfOperation = 5,
    /// Suspended; the only reason that can be taken back.
    CertificateHold = 6,
    /// In delta CRLs only: no longer revoked or on hold.
    #[serde(alias = "removeFromCRL")]
    RemoveFromCrl = 8,
    /// A right that the certificate states was withdrawn.
    PrivilegeWithdrawn = 9,
    /// The key of an attribute authority is, or may be, in other hands.
    #[serde(alias = "aACompromise")]
    AaCompromise = 10,
}

impl ReasonCode {
    /// Every reason, in the order of its number.
    pub const ALL: [Self; 10] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::CaCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::CertificateHold,
        Self::RemoveFromCrl,
        Self::PrivilegeWithdrawn,
        Self::AaCompromise,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The reason of a number on the wire; none for 7 and above 10.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The name of RFC 5280.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::CaCompromise => "cACompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::CertificateHold => "certificateHold",
            Self::RemoveFromCrl => "removeFromCRL",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
            Self::AaCompromise => "aACompromise",
        }
    }

    /// Whether the key may be in other hands, so that it must never be certified again.
    #[must_use]
    pub const fn is_compromise(self) -> bool {
        matches!(self, Self::KeyCompromise | Self::CaCompromise | Self::AaCompromise)
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ReasonCode {
    type Err = String;

    /// The name of RFC 5280; case, hyphens and underscores do not matter.
    fn from_str(text: &str) -> Result<Self, String> {
        let plain =
            |s: &str| s.chars().filter(|c| !matches!(c, '-' | '_')).collect::<String>().to_ascii_lowercase();
        let wanted = plain(text);
        Self::ALL.into_iter().find(|reason| plain(reason.name()) == wanted).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|reason| reason.name()).collect();
            format!("unknown reason {text:?}; use one of {}", names.join(", "))
        })
    }
}

/// What the ledger says about an issued certificate.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum RevocationState {
    /// Neither revoked nor on hold.
    Good,
    /// Suspended since `at`; can be released or revoked.
    Held {
        /// When the hold began.
        at: Timestamp,
    },
    /// Revoked for ever.
    Revoked {
        /// When it was revoked: the revocationDate of CRLs and OCSP.
        at: Timestamp,
        /// Why.
        reason: ReasonCode,
        /// When the key is known or suspected to have been compromised
        /// (RFC 5280, section 5.3.2).
        invalidity_date: Option<Timestamp>,
    },
}

/// What may happen to a certificate's state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transition {
    /// Suspend.
    Hold,
    /// Take a suspension back.
    Release,
    /// Revoke for ever.
    Revoke {
        /// Why.
        reason: ReasonCode,
        /// When the key was lost, if known.
        invalidity_date: Option<Timestamp>,
    },
}

/// A transition that the state does not allow.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TransitionError {
    /// Revoked certificates stay revoked, with the first reason.
    #[error("already revoked on {at} ({reason}); a revocation is final")]
    AlreadyRevoked {
        /// When.
        at: Timestamp,
        /// Why.
        reason: ReasonCode,
    },
    /// A hold on a held certificate.
    #[error("already on hold since {at}")]
    AlreadyHeld {
        /// Since when.
        at: Timestamp,
    },
    /// A release of a certificate that is not on hold.
    #[error("not on hold; there is nothing to release")]
    NotHeld,
    /// removeFromCRL and certificateHold are not reasons of a final revocation.
    #[error("{0} is not a reason to revoke for ever; use `ca hold` and `ca release` for a suspension")]
    NotARevocationReason(ReasonCode),
    /// An invalidity date that lies ahead.
    #[error("the invalidity date {0} is later than the revocation; give the time when the key was lost")]
    InvalidityDateInFuture(Timestamp),
}

impl RevocationState {
    /// The state after `transition` at `now`.
    ///
    /// # Errors
    /// A transition that the state does not allow; the state is unchanged.
    pub fn apply(self, transition: Transition, now: Timestamp) -> Result<Self, TransitionError> {
        match (self, transition) {
            (Self::Revoked { at, reason, .. }, _) => Err(TransitionError::AlreadyRevoked { at, reason }),
            (Self::Held { at }, Transition::Hold) => Err(TransitionError::AlreadyHeld { at }),
            (Self::Good, Transition::Hold) => Ok(Self::Held { at: now }),
            (Self::Held { .. }, Transition::Release) => Ok(Self::Good),
            (Self::Good, Transition::Release) => Err(TransitionError::NotHeld),
            (Self::Good | Self::Held { .. }, Transition::Revoke { reason, invalidity_date }) => {
                if matches!(reason, ReasonCode::CertificateHold | ReasonCode::RemoveFromCrl) {
                    return Err(TransitionError::NotARevocationReason(reason));
                }
                if let Some(date) = invalidity_date.filter(|date| *date > now) {
                    return Err(TransitionError::InvalidityDateInFuture(date));
                }
                Ok(Self::Revoked { at: now, reason, invalidity_date })
            }
        }
    }

    /// Whether a relying party must refuse the certificate now.
    #[must_use]
    pub const fn is_revoked_or_held(self) -> bool {
        !matches!(self, Self::Good)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(seconds).unwrap()
    }

    fn revoke(reason: ReasonCode) -> Transition {
        Transition::Revoke { reason, invalidity_date: None }
    }

    #[test]
    fn names_and_codes_round_trip() {
        for reason in ReasonCode::ALL {
            assert_eq!(ReasonCode::from_code(reason.code()), Some(reason));
            assert_eq!(reason.name().parse(), Ok(reason));
        }
        assert_eq!(ReasonCode::from_code(7), None);
        assert_eq!("key-compromise".parse(), Ok(ReasonCode::KeyCompromise));
        assert!("bored".parse::<ReasonCode>().unwrap_err().contains("keyCompromise"));
    }

    #[test]
    fn every_transition() {
        let good = RevocationState::Good;
        let held = good.apply(Transition::Hold, at(5)).unwrap();
        let revoked = held.apply(revoke(ReasonCode::KeyCompromise), at(9)).unwrap();
        assert_eq!(held, RevocationState::Held { at: at(5) });
        assert_eq!(held.apply(Transition::Release, at(6)), Ok(good));
        assert_eq!(held.apply(Transition::Hold, at(6)), Err(TransitionError::AlreadyHeld { at: at(5) }));
        assert_eq!(good.apply(Transition::Release, at(6)), Err(TransitionError::NotHeld));
        for again in [Transition::Hold, Transition::Release, revoke(ReasonCode::Superseded)] {
            let error = TransitionError::AlreadyRevoked { at: at(9), reason: ReasonCode::KeyCompromise };
            assert_eq!(revoked.apply(again, at(10)), Err(error));
        }
        for reason in [ReasonCode::CertificateHold, ReasonCode::RemoveFromCrl] {
            assert_eq!(good.apply(revoke(reason), at(6)), Err(TransitionError::NotARevocationReason(reason)));
        }
        let late = Transition::Revoke { reason: ReasonCode::Superseded, invalidity_date: Some(at(7)) };
        assert_eq!(good.apply(late, at(6)), Err(TransitionError::InvalidityDateInFuture(at(7))));
    }
}
