//! Served files packed with gzip (RFC 1952), once each, for clients that take that.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::fs::{Mode, OFlags};

use crate::catalogue::Content;
use crate::published::FileReader;

/// Shorter files are sent as they are.
const WORTH_IT: u64 = 1024;

/// The packed form of a file, made when somebody asks for it first.
#[derive(Debug, Default)]
pub struct Packed {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    NotYet,
    UnderWay,
    /// None if it would not be shorter by a tenth, or cannot be made.
    Done(Option<Content>),
}

impl Packed {
    /// The packed form of `content`, if it is there. Otherwise it is begun, on another thread, and
    /// whoever asks later gets it. Long ones go to a nameless file in `scratch`.
    pub fn get(self: &Arc<Self>, content: &Content, scratch: &Path) -> Option<Content> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Done(packed) => return packed.clone(),
            State::UnderWay => return None,
            State::NotYet if content.length() < WORTH_IT => {
                *state = State::Done(None);
                return None;
            }
            State::NotYet => *state = State::UnderWay,
        }
        let (packed, content, scratch) = (self.clone(), content.clone(), scratch.to_owned());
        tokio::task::spawn_blocking(move || {
            let made = pack(&content, &scratch)
                .inspect_err(|error| tracing::warn!(%error, "a CRL is sent without being packed"))
                .ok()
                .filter(|made| made.length() <= content.length() / 10 * 9);
            *packed.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Done(made);
        });
        None
    }
}

fn pack(content: &Content, scratch: &Path) -> io::Result<Content> {
    match content {
        Content::Memory(octets) => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(octets)?;
            Ok(Content::Memory(Bytes::from(encoder.finish()?)))
        }
        Content::File { file, length } => {
            let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
            let made = File::from(rustix::fs::open(scratch, flags, Mode::from_raw_mode(0o600))?);
            // A long CRL is signed again soon: time counts more than the last octets.
            let mut encoder = GzEncoder::new(made, Compression::fast());
            let source = FileReader::new(file.clone(), *length).take(*length);
            io::copy(&mut BufReader::with_capacity(1 << 16, source), &mut encoder)?;
            let made = encoder.finish()?;
            let length = made.metadata()?.len();
            Ok(Content::File { file: Arc::new(made), length })
        }
    }
}
