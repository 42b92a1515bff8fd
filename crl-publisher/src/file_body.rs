//! The body of a response that is read from a file while it is sent.

use std::fs::File;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

/// Octets that are read at once.
const PIECE: u64 = 128 * 1024;

/// A range of a file, read piece by piece as the client takes it.
#[derive(Debug)]
pub struct FileBody {
    file: Arc<File>,
    range: Range<u64>,
    reading: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl FileBody {
    /// The octets `range` of `file`.
    #[must_use]
    pub const fn new(file: Arc<File>, range: Range<u64>) -> Self {
        Self { file, range, reading: None }
    }

    fn begin(&self) -> JoinHandle<io::Result<Vec<u8>>> {
        let (file, at) = (self.file.clone(), self.range.start);
        let length = (self.range.end - at).min(PIECE) as usize;
        spawn_blocking(move || {
            let mut piece = vec![0; length];
            file.read_exact_at(&mut piece, at)?;
            Ok(piece)
        })
    }
}

impl HttpBody for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.range.is_empty() {
            return Poll::Ready(None);
        }
        let mut reading = self.reading.take().unwrap_or_else(|| self.begin());
        let Poll::Ready(piece) = Pin::new(&mut reading).poll(context) else {
            self.reading = Some(reading);
            return Poll::Pending;
        };
        let piece = piece.map_err(io::Error::other).flatten();
        match &piece {
            Ok(piece) => self.range.start += piece.len() as u64,
            // The connection ends: the client sees that the body is too short.
            Err(_) => self.range.start = self.range.end,
        }
        Poll::Ready(Some(piece.map(|piece| Frame::data(piece.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.range.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.range.end - self.range.start)
    }
}
