//! Proofs that an entry is in the ledger, for people without access to it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tlog_tiles::Hash;

use crate::LedgerError;
use crate::checkpoint::Checkpoint;
use crate::entry::{Entry, leaf_hash};
use crate::key::VerifierKey;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// A proof that an entry is in the ledger (RFC 6962, section 2.1.1).
///
/// Its text form is C2SP tlog-proof, file extension `.tlog-proof`:
///
/// ```text
/// c2sp.org/tlog-proof@v1
/// extra <base64 of the DER entry>
/// index <position, from zero>
/// <base64 of a hash, from the leaf's sibling up>
/// ...
///
/// <the signed checkpoint>
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InclusionProof {
    /// The entry's position, from zero.
    pub index: u64,
    /// The entry's DER encoding. The proof holds for these bytes only.
    pub entry: Vec<u8>,
    /// The hashes of the audit path, from the leaf's sibling up.
    pub hashes: Vec<[u8; 32]>,
    /// The signed note of the checkpoint.
    pub checkpoint: String,
}

impl InclusionProof {
    /// SHA-256 of the octet 0 and the entry's encoding (RFC 6962, section 2.1).
    #[must_use]
    pub fn leaf_hash(&self) -> [u8; 32] {
        leaf_hash(&self.entry).0
    }

    /// Verifies the proof with the ledger's verification key: nothing else is
    /// needed. Returns the entry and the checkpoint that includes it.
    ///
    /// # Errors
    /// A bad signature, a path that does not lead to the signed root, or bytes
    /// that are no entry.
    pub fn verify(&self, vkey: &str) -> Result<(Entry, Checkpoint), LedgerError> {
        self.verify_with(&VerifierKey::parse(vkey)?)
    }

    pub(crate) fn verify_with(&self, key: &VerifierKey) -> Result<(Entry, Checkpoint), LedgerError> {
        let checkpoint = Checkpoint::verify(self.checkpoint.as_bytes(), key)
            .map_err(|error| LedgerError::Proof(format!("its checkpoint: {error}")))?;
        let hashes = self.hashes.iter().copied().map(Hash).collect();
        let root = Hash(checkpoint.root);
        tlog_tiles::check_record(&hashes, checkpoint.size, root, self.index, leaf_hash(&self.entry))
            .map_err(|_| LedgerError::Proof("its hashes do not lead to the signed root".into()))?;
        let entry = Entry::from_der(&self.entry)
            .map_err(|source| LedgerError::Entry { index: self.index, source })?;
        Ok((entry, checkpoint))
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// Text of another form, or without the entry in its `extra` line.
    pub fn parse(text: &str) -> Result<Self, LedgerError> {
        let wrong = |what: &str| LedgerError::Proof(format!("{what}; expected a {HEADER} text"));
        let base64 =
            |text: &str| STANDARD.decode(text).map_err(|_| wrong("it has a line that is not base64"));
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or_else(|| wrong("it has no checkpoint after an empty line"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(wrong("its first line is another"));
        }
        let extra = lines.next().and_then(|line| line.strip_prefix("extra "));
        let entry = base64(extra.ok_or_else(|| wrong("it has no `extra` line with the entry"))?)?;
        let number = lines.next().and_then(|line| line.strip_prefix("index ")).unwrap_or_default();
        let index: u64 = number.parse().map_err(|_| wrong("it has no `index` line"))?;
        if index.to_string() != number {
            return Err(wrong("its index is not a plain number"));
        }
        // A tree of 2^64 entries has paths of 64 hashes.
        let lines: Vec<_> = lines.take(65).collect();
        if lines.len() > 64 {
            return Err(wrong("it has too many hashes"));
        }
        let hash = |line| base64(line)?.try_into().map_err(|_| wrong("it has a hash that is not 32 octets"));
        let hashes = lines.into_iter().map(hash).collect::<Result<_, _>>()?;
        Ok(Self { index, entry, hashes, checkpoint: checkpoint.to_owned() })
    }
}

/// The text form.
impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}\nextra {}\nindex {}", STANDARD.encode(&self.entry), self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}
