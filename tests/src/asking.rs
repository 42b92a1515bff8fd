//! A relying party that keeps its connection, and looks at every answer.

use crate::home::Home;
use crate::mutate::path;
use crate::mutate::tree::{Element, elements};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// What is waited for comes in this time, or never.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a response says about a certificate.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Said {
    /// Good.
    Good,
    /// Revoked or held.
    Revoked,
    /// Unknown.
    Unknown,
    /// An error response with this status.
    Error(u8),
}

/// An HTTP response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the server closes the connection after it.
    pub last: bool,
}

/// A question about one certificate, without a nonce.
#[derive(Clone, Debug)]
pub struct Question {
    /// The DER OCSPRequest.
    pub der: Vec<u8>,
    /// The DER CertID in it.
    pub id: Vec<u8>,
}

impl Question {
    /// OpenSSL's question about a certificate file.
    pub fn by_openssl(home: &Home, issuer: &str, certificate: &str) -> Self {
        let out = home.path(format!("{certificate}.ocsp-request"));
        home.tool("openssl", "ocsp -no_nonce")
            .args(["-issuer", issuer, "-cert", certificate, "-reqout"])
            .arg(&out)
            .ok();
        Self::new(std::fs::read(out).expect("OpenSSL's request"))
    }

    /// From a DER request for one certificate.
    pub fn new(der: Vec<u8>) -> Self {
        // OCSPRequest, TBSRequest, requestList, Request, CertID.
        let found = elements(&der);
        let id = found.get(4).map(|one| der[one.start..one.end].to_vec()).expect("a CertID");
        Self { der, id }
    }

    /// As a POST request.
    pub fn post(&self) -> Vec<u8> {
        post(&self.der)
    }

    /// The path of a GET request.
    pub fn path(&self) -> String {
        format!("/{}", path::escape(&STANDARD.encode(&self.der)))
    }

    /// As a GET request.
    pub fn get(&self) -> Vec<u8> {
        format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", self.path()).into_bytes()
    }

    /// What a response says to this question; none if it is not about it.
    pub fn read(&self, response: &[u8]) -> Option<Said> {
        if let [0x30, 3, 0x0a, 1, status] = response {
            return Some(Said::Error(*status));
        }
        let own = |(id, _): &(Vec<u8>, Said)| *id == self.id;
        statuses(response).into_iter().find(own).map(|(_, said)| said)
    }
}

/// A POST request with this body.
pub fn post(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/ocsp-request\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Every CertID of a response with what is said about it. The signature is not looked at.
pub fn statuses(response: &[u8]) -> Vec<(Vec<u8>, Said)> {
    let found = elements(response);
    let bytes = |one: &Element| response[one.start..one.end].to_vec();
    let mut said = Vec::new();
    for (at, one) in found.iter().enumerate() {
        // CertStatus comes after the CertID, whose last element is a serial number.
        let status = match (response[one.start], one.end - one.content) {
            (0x80, 0) => Said::Good,
            (0xa1, 17..) => Said::Revoked,
            (0x82, 0) => Said::Unknown,
            _ => continue,
        };
        let before = found[..at].iter().rfind(|other| other.parent == one.parent && other.end == one.start);
        if let Some(id) = before.filter(|id| response[id.start] == 0x30) {
            said.push((bytes(id), status));
        }
    }
    said
}

/// The serial number in a CertID, as its content octets.
pub fn serial_of(id: &[u8]) -> Vec<u8> {
    elements(id).last().map(|one| id[one.content..one.end].to_vec()).unwrap_or_default()
}

/// A connection that is kept open.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to a loopback port.
    ///
    /// # Errors
    /// It does not answer.
    pub fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&loopback(port), PATIENCE)?;
        Self::over(stream)
    }

    /// The same from another loopback address: `127.0.0.last`.
    ///
    /// # Errors
    /// It does not answer.
    pub fn from_address(last: u8, port: u16) -> io::Result<Self> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.bind(&SocketAddr::from(([127, 0, 0, last], 0)).into())?;
        socket.connect_timeout(&loopback(port).into(), PATIENCE)?;
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// The stream below.
    pub fn stream(&mut self) -> &mut TcpStream {
        self.reader.get_mut()
    }

    /// Sends a request and reads the response.
    ///
    /// # Errors
    /// The connection broke, or what came is not a response with a length.
    pub fn exchange(&mut self, request: &[u8]) -> io::Result<Response> {
        self.stream().write_all(request)?;
        self.response()
    }

    /// Reads one response.
    ///
    /// # Errors
    /// As for [`Connection::exchange`].
    pub fn response(&mut self) -> io::Result<Response> {
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let code = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
        let status = code.and_then(|code| code.parse().ok()).ok_or_else(|| bad(&line))?;
        let (mut length, mut last) = (None, line.starts_with("HTTP/1.0"));
        loop {
            line.clear();
            self.reader.read_line(&mut line)?;
            let field = line.trim_end().to_ascii_lowercase();
            if field.is_empty() {
                break;
            }
            if let Some(value) = field.strip_prefix("content-length:") {
                length = value.trim().parse::<usize>().ok();
            }
            last |= field == "connection: close";
        }
        let mut body = vec![0; length.ok_or_else(|| bad("a response without a length"))?];
        self.reader.read_exact(&mut body)?;
        Ok(Response { status, body, last })
    }
}

/// A loopback address.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
