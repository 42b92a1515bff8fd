//! A follower's position as bytes, for a file that survives a restart.
//!
//! ```text
//! chancery-position-v1\n
//! <length of the note, decimal>\n
//! <the signed note of the checkpoint>
//! <the hashes at the right edge of the tree, 32 octets each, from the lowest level>
//! ```
//!
//! It needs no checksum: the note is signed, and the hashes must give its root.

use crate::LedgerError;
use crate::checkpoint::{Checkpoint, MAX_CHECKPOINT};
use crate::follower::Good;
use crate::key::VerifierKey;
use crate::tree::{Tree, from_bytes, to_bytes};

const MAGIC: &[u8] = b"chancery-position-v1\n";

impl Good {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(format!("{}\n", self.note.len()).into_bytes());
        bytes.extend(&self.note);
        for (_, hashes) in self.tree.partials() {
            bytes.extend(to_bytes(hashes));
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8], key: &VerifierKey) -> Result<Self, LedgerError> {
        let refuse = |what: &str| LedgerError::Position(what.to_owned());
        let cut = || refuse("it is cut short");
        let bytes = bytes.strip_prefix(MAGIC).ok_or_else(|| refuse("it is none of this version"))?;
        let end = bytes.iter().take(8).position(|byte| *byte == b'\n').ok_or_else(cut)?;
        let (digits, rest) = (&bytes[..end], &bytes[end + 1..]);
        let length = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<usize>().ok());
        let length = length.filter(|length| *length <= MAX_CHECKPOINT).ok_or_else(cut)?;
        let (note, mut edge) = rest.split_at_checked(length).ok_or_else(cut)?;
        let checkpoint = Checkpoint::verify(note, key)
            .map_err(|error| LedgerError::Position(format!("its checkpoint: {error}")))?;
        let tree = Tree::load(checkpoint.size, |id| {
            let (hashes, rest) = edge.split_at_checked(usize::from(id.width) * 32).ok_or_else(cut)?;
            edge = rest;
            from_bytes(hashes, id.width).ok_or_else(cut)
        })?;
        if !edge.is_empty() || tree.root().0 != checkpoint.root {
            return Err(refuse("its hashes are not those of its checkpoint"));
        }
        Ok(Self { note: note.to_vec(), checkpoint, tree })
    }
}
