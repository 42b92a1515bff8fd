//! The signed tree head: C2SP tlog-checkpoint in a C2SP signed-note.
//!
//! ```text
//! ca.example.com/ledger
//! 1234
//! nND/nri//U0xuHUrYSy0HtMeal2vzD9V4k/BO79C+QeI=
//! time 1795420807
//!
//! — ca.example.com/ledger x08go/ZJkuBS9UG/...
//! ```

use ca_domain::Timestamp;
use signed_note::{Note, Signer, Verifier, VerifierList};
use tlog_tiles::{Checkpoint as TreeHead, Hash};

use crate::key::VerifierKey;

/// A checkpoint is much smaller, in bytes; more are not looked at.
pub const MAX_CHECKPOINT: usize = 64 * 1024;

/// What the ledger was at a time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// The ledger's name, as in its verification key.
    pub origin: String,
    /// The number of entries.
    pub size: u64,
    /// The root hash of the Merkle tree over them.
    pub root: [u8; 32],
    /// When it was signed; never earlier than the checkpoint before it. It is the
    /// extension line `time <seconds since 1970>`.
    pub time: Timestamp,
}

/// Why a checkpoint is not accepted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a signed checkpoint at all.
    #[error("it is not a signed checkpoint; restore it from a backup")]
    Malformed,
    /// Without a valid signature of the expected key.
    #[error("it is not signed by {0}; compare the verification key, and do not trust this ledger")]
    Signature(String),
    /// Signed by the key, but in the name of another ledger.
    #[error("it is of the ledger {found:?}, not {expected:?}")]
    Origin {
        /// The name in the checkpoint.
        found: String,
        /// The name of the key.
        expected: String,
    },
    /// Without exactly one line with the time.
    #[error("it does not say when it was signed in one line `time <seconds>`")]
    Time,
}

impl Checkpoint {
    fn text(&self) -> Result<Vec<u8>, CheckpointError> {
        let time = format!("time {}\n", self.time.as_unix());
        let head = TreeHead::new(&self.origin, self.size, Hash(self.root), &time);
        Ok(head.map_err(|_| CheckpointError::Malformed)?.to_bytes())
    }

    /// The signed note.
    pub(crate) fn sign(&self, signer: &dyn Signer) -> Result<Vec<u8>, CheckpointError> {
        let failed = |_| CheckpointError::Malformed;
        let mut note = Note::new(&self.text()?, &[]).map_err(failed)?;
        note.add_sigs(&[signer]).map_err(failed)?;
        Ok(note.to_bytes())
    }

    /// Reads a signed note, and verifies the signature and the origin.
    ///
    /// Signatures of other keys, such as witnesses, are ignored.
    ///
    /// # Errors
    /// Anything that is not a checkpoint of the key's ledger.
    pub fn verify(note: &[u8], key: &VerifierKey) -> Result<Self, CheckpointError> {
        if note.len() > MAX_CHECKPOINT {
            return Err(CheckpointError::Malformed);
        }
        let note = Note::from_bytes(note).map_err(|_| CheckpointError::Malformed)?;
        let known = VerifierList::new(vec![Box::new(key.verifier().clone())]);
        note.verify(&known).map_err(|_| CheckpointError::Signature(key.to_string()))?;
        let head = TreeHead::from_bytes(note.text()).map_err(|_| CheckpointError::Malformed)?;
        if head.origin() != key.verifier().name() {
            let (found, expected) = (head.origin().to_owned(), key.verifier().name().to_owned());
            return Err(CheckpointError::Origin { found, expected });
        }
        let time = parse_time(head.extension()).ok_or(CheckpointError::Time)?;
        Ok(Self { origin: head.origin().to_owned(), size: head.size(), root: head.hash().0, time })
    }
}

fn parse_time(extension: &str) -> Option<Timestamp> {
    let digits = extension.strip_prefix("time ")?.strip_suffix('\n')?;
    let seconds: u64 = digits.parse().ok()?;
    (seconds.to_string() == digits).then(|| Timestamp::from_unix(seconds).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LedgerKey;

    fn signed() -> (Checkpoint, Vec<u8>, VerifierKey) {
        let key = LedgerKey::from_seed("ca.example.com/ledger", &[1; 32]).unwrap();
        let time = Timestamp::from_unix(1_795_420_807).unwrap();
        let checkpoint =
            Checkpoint { origin: "ca.example.com/ledger".into(), size: 1234, root: [5; 32], time };
        let note = checkpoint.sign(&key).unwrap();
        (checkpoint, note, VerifierKey::parse(&key.vkey()).unwrap())
    }

    #[test]
    fn round_trips_and_other_tools_read_it() {
        let (checkpoint, note, key) = signed();
        assert_eq!(Checkpoint::verify(&note, &key).unwrap(), checkpoint);
        let text = String::from_utf8(note).unwrap();
        assert!(text.starts_with("ca.example.com/ledger\n1234\n"));
        assert!(text.contains("\ntime 1795420807\n\n\u{2014} ca.example.com/ledger "));
        let verifier = signed_note::StandardVerifier::new(&key.to_string()).unwrap();
        let note = Note::from_bytes(text.as_bytes()).unwrap();
        assert_eq!(note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap().0.len(), 1);
    }

    #[test]
    fn every_changed_bit_is_refused() {
        let (_, note, key) = signed();
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut changed = note.clone();
                changed[at] ^= 1 << bit;
                assert!(Checkpoint::verify(&changed, &key).is_err(), "byte {at} bit {bit}");
            }
        }
        for end in 0..note.len() {
            assert!(Checkpoint::verify(&note[..end], &key).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn other_keys_names_and_extensions_are_refused() {
        let (checkpoint, note, key) = signed();
        let stranger = LedgerKey::from_seed("ca.example.com/ledger", &[2; 32]).unwrap();
        let other = VerifierKey::parse(&stranger.vkey()).unwrap();
        assert!(matches!(Checkpoint::verify(&note, &other), Err(CheckpointError::Signature(_))));

        let owner = LedgerKey::from_seed("ca.example.com/ledger", &[1; 32]).unwrap();
        let renamed = Checkpoint { origin: "elsewhere".into(), ..checkpoint };
        let found = Checkpoint::verify(&renamed.sign(&owner).unwrap(), &key);
        assert!(matches!(found, Err(CheckpointError::Origin { .. })));

        for extension in ["", "time 01\n", "time x\n", "time 1\ntime 2\n", "when 1\n", "time 253402300800\n"]
        {
            assert_eq!(parse_time(extension), None, "{extension:?}");
        }
    }
}
