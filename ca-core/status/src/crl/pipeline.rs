//! The octets of a CRL go from thread to thread: made or read in one, hashed in another.

use std::io::Write;
use std::sync::mpsc;
use std::thread;

use ca_signing::{SigningError, StreamSigner, StreamVerifier};

use crate::StatusError;

/// Octets that go from one thread to the next at once.
pub(super) const PIECE: usize = 256 * 1024;
/// Octets for which threads are not worth it.
const LITTLE: u64 = 1 << 20;
/// Pieces that wait between two threads.
const PIECES: usize = 4;

/// Takes a piece and gives an empty one for the next; none: no more are wanted.
pub(super) type Sink<'a> = dyn FnMut(Vec<u8>) -> Option<Vec<u8>> + 'a;

/// Signs what `make` gives to its sink, and writes it to `out` from this thread.
/// There are `total` octets.
///
/// # Errors
/// Those of `make`, of the signer, or of `out`.
pub(super) fn sign_while_writing(
    total: u64,
    make: impl FnOnce(&mut Sink<'_>) -> Result<(), StatusError> + Send,
    mut signer: Box<dyn StreamSigner + '_>,
    out: &mut (impl Write + ?Sized),
) -> Result<Vec<u8>, StatusError> {
    let mut written = Ok(());
    if total <= LITTLE {
        make(&mut |mut piece| {
            signer.update(&piece);
            written = out.write_all(&piece);
            piece.clear();
            written.is_ok().then_some(piece)
        })?;
        written?;
        return Ok(signer.finish()?);
    }
    let signer = thread::scope(|scope| {
        // A closed channel: one further on failed, and says why.
        let (made, to_hash) = mpsc::sync_channel::<Vec<u8>>(PIECES);
        let (hashed, to_write) = mpsc::sync_channel::<Vec<u8>>(PIECES);
        let (used, spare) = mpsc::channel::<Vec<u8>>();
        let making = scope.spawn(move || {
            make(&mut |piece| {
                made.send(piece).ok()?;
                Some(spare.try_recv().unwrap_or_else(|_| Vec::with_capacity(PIECE + 256)))
            })
        });
        let hashing = scope.spawn(move || {
            for piece in to_hash {
                signer.update(&piece);
                if hashed.send(piece).is_err() {
                    break;
                }
            }
            signer
        });
        for mut piece in to_write {
            written = out.write_all(&piece);
            if written.is_err() {
                break;
            }
            piece.clear();
            // Nobody makes more: the piece is no longer of use.
            let _ = used.send(piece);
        }
        let made = making.join().unwrap_or(Err(StatusError::CrlListChanged));
        let signer = hashing.join();
        written?;
        made?;
        signer.map_err(|_| StatusError::CrlListChanged)
    })?;
    Ok(signer.finish()?)
}

/// Verifies the signature of what `read` gives to its sink, from this thread.
///
/// # Errors
/// Those of `read`, or a wrong signature.
pub(super) fn verify_while_reading(
    read: impl FnOnce(&mut Sink<'_>) -> Result<(), StatusError>,
    mut verifier: StreamVerifier,
    signature: &[u8],
) -> Result<(), StatusError> {
    let verified = thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel::<Vec<u8>>(PIECES);
        let (used, spare) = mpsc::channel::<Vec<u8>>();
        let hashing = scope.spawn(move || {
            for mut piece in receiver {
                verifier.update(&piece)?;
                piece.clear();
                let _ = used.send(piece);
            }
            verifier.finish(signature)
        });
        read(&mut |piece| {
            sender.send(piece).ok()?;
            Some(spare.try_recv().unwrap_or_default())
        })?;
        drop(sender);
        Ok::<_, StatusError>(hashing.join())
    })?;
    Ok(verified.unwrap_or(Err(SigningError::BadSignature))?)
}
