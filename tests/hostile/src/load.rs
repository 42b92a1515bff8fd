//! Relying parties that ask without pause and judge every answer.

pub mod wrk;

use ca_domain::Timestamp;
use ca_status::ocsp::{CertId, OcspView, ViewState};
use chancery_tests::asking::{Connection, Question};
use chancery_tests::dice::Dice;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use x509_cert::Certificate;

/// What must be said about a certificate: only "good", either, or only "revoked".
const GOOD: u8 = 0;
const CHANGING: u8 = 1;
const REVOKED: u8 = 2;

/// A certificate that is asked about.
#[derive(Debug)]
pub struct Subject {
    /// The serial number, as `ca` writes it.
    pub serial: String,
    question: Question,
    id: CertId,
    state: AtomicU8,
}

/// What all clients share.
#[derive(Debug)]
pub struct Load {
    /// What is asked about.
    pub subjects: Vec<Subject>,
    issuer: Certificate,
    /// Where the responder is reached now.
    port: AtomicU16,
    over: AtomicBool,
    /// Responses whose signature was verified: the same octets need it once.
    verified: Mutex<HashMap<Vec<u8>, Arc<OcspView>>>,
    signers: Mutex<HashSet<Vec<u8>>>,
    answers: AtomicU64,
    reconnected: AtomicU64,
    faults: Mutex<Vec<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Subject {
    /// A certificate that is good, with a question about it.
    pub fn new(serial: String, question: Question, id: CertId) -> Self {
        Self { serial, question, id, state: AtomicU8::new(GOOD) }
    }

    /// From now on both answers are right.
    pub fn is_changing(&self) {
        self.state.store(CHANGING, Ordering::SeqCst);
    }

    fn is_revoked(&self) {
        self.state.store(REVOKED, Ordering::SeqCst);
    }
}

impl Load {
    /// Nobody asks yet.
    pub fn new(subjects: Vec<Subject>, issuer: Certificate, port: u16) -> Self {
        Self {
            subjects,
            issuer,
            port: AtomicU16::new(port),
            over: AtomicBool::new(false),
            verified: Mutex::default(),
            signers: Mutex::default(),
            answers: AtomicU64::new(0),
            reconnected: AtomicU64::new(0),
            faults: Mutex::default(),
        }
    }

    /// Sends new connections to another port.
    pub fn move_to(&self, port: u16) {
        self.port.store(port, Ordering::SeqCst);
    }

    /// Where the responder is now.
    pub fn port(&self) -> u16 {
        self.port.load(Ordering::SeqCst)
    }

    /// Whether the clients are to end.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Ends all clients.
    pub fn stop(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Whether an answer was wrong, or none came.
    pub fn has_failed(&self) -> bool {
        !locked(&self.faults).is_empty()
    }

    /// What was wrong.
    pub fn faults(&self) -> Vec<String> {
        locked(&self.faults).clone()
    }

    /// Right answers so far; how often a connection had ended between two of
    /// them; how many signers there were.
    pub fn figures(&self) -> (u64, u64, usize) {
        let signers = locked(&self.signers).len();
        (self.answers.load(Ordering::SeqCst), self.reconnected.load(Ordering::SeqCst), signers)
    }

    fn fault(&self, what: String) {
        let mut faults = locked(&self.faults);
        if faults.len() < 20 {
            faults.push(what);
        }
        self.stop();
    }

    /// One client: asks by POST and GET in turn until the end; the times of its answers.
    pub fn client(&self, seed: u64) -> Vec<Duration> {
        let mut dice = Dice::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut times = Vec::new();
        let mut connection = None;
        while !self.over.load(Ordering::SeqCst) {
            let subject = dice.pick(&self.subjects);
            match self.ask(&mut connection, subject, dice.below(2) == 0) {
                Ok((took, _)) => times.push(took),
                Err(what) => self.fault(format!("{}: {what}", subject.serial)),
            }
        }
        times
    }

    /// Asks until "revoked" is said, which it is from then on; how long that took.
    pub fn until_revoked(&self, subject: &Subject, limit: Duration) -> Option<Duration> {
        let began = Instant::now();
        let mut connection = None;
        loop {
            match self.ask(&mut connection, subject, true) {
                Ok((_, ViewState::Revoked { .. })) => {
                    subject.is_revoked();
                    return Some(began.elapsed());
                }
                Ok(_) if began.elapsed() < limit => {}
                Ok(_) => self.fault(format!("{}: not revoked after {limit:?}", subject.serial)),
                Err(what) => self.fault(format!("{}: {what}", subject.serial)),
            }
            if self.over.load(Ordering::SeqCst) {
                return None;
            }
        }
    }

    fn ask(
        &self,
        connection: &mut Option<(u16, Connection)>,
        subject: &Subject,
        by_post: bool,
    ) -> Result<(Duration, ViewState), String> {
        let before = subject.state.load(Ordering::SeqCst);
        let began = Instant::now();
        let request = if by_post { subject.question.post() } else { subject.question.get() };
        let response = self.exchange(connection, &request)?;
        let took = began.elapsed();
        let after = subject.state.load(Ordering::SeqCst);
        if response.status != 200 {
            return Err(format!("HTTP status {}", response.status));
        }
        let state = self.read(subject, &response.body)?;
        let right = match state {
            ViewState::Good => before != REVOKED,
            ViewState::Revoked { .. } => after != GOOD,
            ViewState::Unknown => false,
        };
        if !right {
            return Err(format!("{state:?}, when {before} and {after} was to be said"));
        }
        self.answers.fetch_add(1, Ordering::SeqCst);
        Ok((took, state))
    }

    /// One exchange. A server may end a kept connection between two requests (RFC 9112,
    /// section 9.3.1); a client then asks again on a new one, once.
    fn exchange(
        &self,
        connection: &mut Option<(u16, Connection)>,
        request: &[u8],
    ) -> Result<chancery_tests::asking::Response, String> {
        let port = self.port.load(Ordering::SeqCst);
        if let Some((_, mut kept)) = connection.take().filter(|(old, _)| *old == port) {
            match kept.exchange(request) {
                Ok(response) => {
                    if !response.last {
                        *connection = Some((port, kept));
                    }
                    return Ok(response);
                }
                Err(error) if is_closed(&error) => {
                    self.reconnected.fetch_add(1, Ordering::SeqCst);
                }
                Err(error) => return Err(format!("on a kept connection: {error}")),
            }
        }
        // Where a kept connection was ended, another responder may have taken over.
        let port = self.port.load(Ordering::SeqCst);
        let mut new = Connection::open(port).map_err(|error| format!("to connect: {error}"))?;
        let response = new.exchange(request).map_err(|error| format!("on a new connection: {error}"))?;
        if !response.last {
            *connection = Some((port, new));
        }
        Ok(response)
    }

    fn read(&self, subject: &Subject, body: &[u8]) -> Result<ViewState, String> {
        let now = Timestamp::try_from(SystemTime::now()).map_err(|error| error.to_string())?;
        // The signature of known octets is known; what they say is read each time.
        let known = locked(&self.verified).get(body).cloned();
        let view = match known {
            Some(view) => view,
            None => {
                let view = OcspView::parse_and_verify(body, &self.issuer, now);
                let view = Arc::new(view.map_err(|error| error.to_string())?);
                let signers = view.basic().certs.iter().flatten();
                let serials = signers.map(|signer| signer.tbs_certificate.serial_number.as_bytes().to_vec());
                locked(&self.signers).extend(serials);
                locked(&self.verified).insert(body.to_vec(), view.clone());
                view
            }
        };
        let status = view.status(&subject.id).ok_or("it is about something else")?;
        let fresh = status.this_update <= now && status.next_update.is_some_and(|next| now <= next);
        if fresh { Ok(status.state) } else { Err(format!("stale: {status:?}")) }
    }
}

fn is_closed(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe)
}
