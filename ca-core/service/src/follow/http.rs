//! Reading a ledger from a web server.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ca_ledger::checkpoint::MAX_CHECKPOINT;
use ca_ledger::layout::{CHECKPOINT, TileId};
use ca_ledger::{Source, SourceError};
use ureq::http::{HeaderMap, Response, StatusCode, header};
use ureq::{Agent, Body};

use super::place::Remote;
use crate::ServiceError;
use crate::client::{self, ClientTls};
use crate::watch::Fingerprint;

/// Servers make entity tags of length and time in whole seconds, and checkpoints are of
/// one length: a tag says that nothing changed only if it is older than this at the
/// server (RFC 9110, section 8.8.2.2), and is not believed for longer than this.
const TAG: Duration = Duration::from_secs(60);

/// The checkpoint and tiles of a ledger over HTTP or HTTPS.
///
/// A checkpoint that has not changed for a while is not sent again. Redirects are not followed and
/// proxies not used. Nothing of the answers is trusted, only their size limited.
pub struct HttpSource {
    remote: Remote,
    state: Mutex<State>,
}

struct State {
    agent: Agent,
    /// The files that the agent was made of.
    files: Vec<Option<Fingerprint>>,
    last: Option<Kept>,
}

/// A checkpoint with an entity tag that tells it from all others, and when it came.
struct Kept {
    tag: String,
    note: Vec<u8>,
    at: Instant,
}

impl HttpSource {
    /// A source at the address that `remote` names. Nothing is asked for yet.
    ///
    /// # Errors
    /// A file with certificates or a key is missing, unsafe or not what it must be.
    pub fn new(remote: Remote) -> Result<Self, ServiceError> {
        let files = fingerprints(&remote);
        let state = State { agent: agent(&remote)?, files, last: None };
        Ok(Self { remote, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The agent; another one if its certificate files were replaced.
    fn agent(&self) -> Result<Agent, SourceError> {
        let mut state = self.state();
        let files = fingerprints(&self.remote);
        if state.files != files {
            state.agent = agent(&self.remote).map_err(|error| failed(&self.remote.url, &error))?;
            state.files = files;
        }
        Ok(state.agent.clone())
    }

    fn get(&self, agent: &Agent, url: &str, tag: Option<&str>) -> Result<Response<Body>, SourceError> {
        let send = || {
            let request = agent.get(url);
            match tag {
                Some(tag) => request.header(header::IF_NONE_MATCH, tag).call(),
                None => request.call(),
            }
        };
        match send() {
            // A kept connection that the server closed in this moment.
            Err(ureq::Error::Io(_)) => send(),
            other => other,
        }
        .map_err(|error| failed(url, &error))
    }
}

impl Source for HttpSource {
    fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
        let agent = self.agent()?;
        let url = format!("{}/{CHECKPOINT}", self.remote.url);
        let last = self.state().last.take().filter(|last| last.at.elapsed() < TAG);
        let response = self.get(&agent, &url, last.as_ref().map(|last| last.tag.as_str()))?;
        if response.status() == StatusCode::NOT_MODIFIED
            && let Some(last) = last
        {
            let note = last.note.clone();
            self.state().last = Some(last);
            return Ok(note);
        }
        let tag = lasting_tag(response.headers());
        let note = body(&url, response, MAX_CHECKPOINT)?;
        self.state().last = tag.map(|tag| Kept { tag, note: note.clone(), at: Instant::now() });
        Ok(note)
    }

    fn tile(&self, id: TileId) -> Result<Vec<u8>, SourceError> {
        let agent = self.state().agent.clone();
        let url = format!("{}/{}", self.remote.url, id.path());
        body(&url, self.get(&agent, &url, None)?, id.max_bytes())
    }
}

fn body(url: &str, mut response: Response<Body>, limit: usize) -> Result<Vec<u8>, SourceError> {
    let status = response.status();
    if status != StatusCode::OK {
        // A page about the error, read so that the connection can be used again.
        let _ = response.body_mut().with_config().limit(MAX_CHECKPOINT as u64).read_to_vec();
        if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) {
            return Err(SourceError::Missing(url.to_owned()));
        }
        let hint = match status.as_u16() {
            400 | 401 | 403 | 495 | 496 => "; perhaps it wants another client certificate",
            300..400 => "; name the address that it redirects to",
            _ => "",
        };
        return Err(failed(url, &format!("the server answers {status}{hint}")));
    }
    response.body_mut().with_config().limit(limit as u64).read_to_vec().map_err(|error| failed(url, &error))
}

/// The entity tag of what has not changed for a while.
fn lasting_tag(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let time = |name| text(name).and_then(|text| httpdate::parse_http_date(text).ok());
    let age = time(header::DATE)?.duration_since(time(header::LAST_MODIFIED)?).ok()?;
    (age >= TAG).then(|| text(header::ETAG).map(str::to_owned))?
}

fn failed(path: &str, what: &dyn ToString) -> SourceError {
    SourceError::Failed { path: path.to_owned(), what: what.to_string() }
}

fn fingerprints(remote: &Remote) -> Vec<Option<Fingerprint>> {
    let files = [&remote.ca_file, &remote.client_certificate, &remote.client_key];
    files.into_iter().flatten().map(|path| Fingerprint::of(path)).collect()
}

fn agent(remote: &Remote) -> Result<Agent, ServiceError> {
    let identity = ClientTls {
        ca_file: remote.ca_file.clone(),
        client_certificate: remote.client_certificate.clone(),
        client_key: remote.client_key.clone(),
    };
    client::agent(&remote.url, &identity, remote.timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_of_this_minute_tells_nothing() {
        let tag = |modified: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ETAG, "\"6568-ff\"".parse().unwrap());
            headers.insert(header::DATE, "Fri, 20 Nov 2026 08:01:00 GMT".parse().unwrap());
            if let Some(modified) = modified {
                headers.insert(header::LAST_MODIFIED, modified.parse().unwrap());
            }
            lasting_tag(&headers).is_some()
        };
        assert!(tag(Some("Fri, 20 Nov 2026 08:00:00 GMT")));
        assert!(!tag(Some("Fri, 20 Nov 2026 08:00:01 GMT")));
        assert!(!tag(Some("Fri, 20 Nov 2026 08:01:01 GMT")));
        assert!(!tag(Some("yesterday")) && !tag(None));
    }
}
