//! The real OCSP responder, and a relying party that asks on one connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ca_core::Authority;
use ca_core::domain::SerialNumber;
use ca_core::files::{Mode, write_atomic};
use ca_core::status::ocsp::{OcspView, ViewState};
use x509_cert::Certificate;
use x509_ocsp::CertId;

use crate::home::{Bench, now};
use crate::question::{Asker, post};
use crate::{Result, fail, program};

/// A running responder; killed when dropped.
#[derive(Debug)]
pub struct Responder {
    child: Child,
    port: u16,
}

impl Responder {
    /// Starts a responder for `authority`, whose signer is `signers/AUTHORITY`.
    ///
    /// # Errors
    /// It does not start; its log is on standard error.
    pub fn start(bench: &Bench, authority: &str) -> Result<Self> {
        let home = bench.home();
        let certificate = home.authorities_dir().join(authority).join("certificate.pem");
        let config = format!(
            "listen: 127.0.0.1:0\nledger: {}\nledger_vkey: \"{}\"\nauthorities:\n  - certificate: {}\n    signer: {}\n",
            home.ledger_dir().display(),
            home.config().ledger_vkey,
            certificate.display(),
            bench.path("signers").join(authority).display(),
        );
        let path = bench.path("ocsp-responder.yaml");
        write_atomic(&path, config.as_bytes(), Mode::Private)?;
        Self::spawn(&path)
    }

    fn spawn(config: &Path) -> Result<Self> {
        let mut child = Command::new(program::built("ocsp-responder")?)
            .arg("--config")
            .arg(config)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take();
        // From here on it is killed whatever happens.
        let mut responder = Self { child, port: 0 };
        for line in BufReader::new(stdout.ok_or_else(|| fail("no pipe"))?).lines() {
            let port = line?.trim().strip_prefix("listening on ").and_then(port);
            if let Some(port) = port {
                responder.port = port;
                return Ok(responder);
            }
        }
        Err(fail("the responder did not start; see its messages above"))
    }

    /// Opens a connection for questions.
    ///
    /// # Errors
    /// It does not accept connections.
    pub fn connect(&self) -> Result<Connection> {
        Connection::open(self.port)
    }
}

fn port(address: &str) -> Option<u16> {
    address.rsplit(':').next()?.parse().ok()
}

impl Drop for Responder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A question about one certificate.
#[derive(Debug)]
pub struct Question {
    id: CertId,
    message: Vec<u8>,
    issuer: Certificate,
}

impl Question {
    /// Asks for `serial` of `authority`, without a nonce.
    ///
    /// # Errors
    /// None for an authority of ours.
    pub fn new(authority: &Authority, serial: SerialNumber) -> Result<Self> {
        let issuer = authority.certificate().clone();
        let asker = Asker::new(&issuer)?;
        let (id, message) = (asker.id(&serial)?, post(&asker.request(&serial, None)?));
        Ok(Self { id, message, issuer })
    }

    /// What a response says, its signature verified.
    ///
    /// # Errors
    /// A response that does not verify, or is about something else.
    pub fn read(&self, response: &[u8]) -> Result<ViewState> {
        let view = OcspView::parse_and_verify(response, &self.issuer, now()?)?;
        let status = view.status(&self.id).ok_or_else(|| fail("the response is about something else"))?;
        Ok(status.state)
    }
}

/// A connection that is kept open.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// Opens a connection to `port` of this machine.
    ///
    /// # Errors
    /// Nobody accepts connections.
    pub fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let reader = BufReader::new(stream.try_clone()?);
        Ok(Self { stream, reader })
    }

    /// Asks, and gives the body of the response.
    ///
    /// # Errors
    /// Not an HTTP 200 response with a length.
    pub fn ask(&mut self, question: &Question) -> Result<Vec<u8>> {
        self.send(&question.message)?;
        self.receive()
    }

    /// Sends one message or several.
    ///
    /// # Errors
    /// The connection is closed.
    pub fn send(&mut self, messages: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(messages)?)
    }

    /// Gives the body of the next response.
    ///
    /// # Errors
    /// Not an HTTP 200 response with a length.
    pub fn receive(&mut self) -> Result<Vec<u8>> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        if !line.starts_with("HTTP/1.1 200") {
            return Err(fail(format!("the responder says {line:?}")));
        }
        let mut length = None;
        loop {
            line.clear();
            self.reader.read_line(&mut line)?;
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse::<usize>().ok();
            }
        }
        let mut body = vec![0; length.ok_or_else(|| fail("a response without a length"))?];
        self.reader.read_exact(&mut body)?;
        Ok(body)
    }
}
