//! The way to a server: TCP, TLS, and a relay that shows everything the server sends to the
//! [`Guard`] before the library gets it.

use std::io::{Error, ErrorKind, Result};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::{Arc, OnceLock};

use ldap3::asn1::{PL, TagClass, parse_tag};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, split};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::code_in_words;
use crate::guard::Guard;

/// What the server sent that was not let through.
pub(crate) type Fault = Arc<OnceLock<&'static str>>;

/// The request for StartTLS, message 1 (RFC 4511, section 4.14.1).
const START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
/// The longest answer to it.
const START_TLS_ANSWER: usize = 4096;

/// How a connection is protected.
pub(crate) enum Protection {
    /// Not at all.
    None,
    /// TLS from the first octet.
    Tls(Arc<ClientConfig>),
    /// TLS after StartTLS.
    StartTls(Arc<ClientConfig>),
}

/// Connects; returns the end for the library, and the relay, which ends with either side.
pub(crate) async fn connect(
    url: &Url,
    protection: Protection,
    fault: Fault,
) -> Result<(StdUnixStream, JoinHandle<()>)> {
    let host = url.host_str().unwrap_or_default().to_owned();
    let port = url.port().unwrap_or(if url.scheme() == "ldaps" { 636 } else { 389 });
    let mut tcp = TcpStream::connect((host.as_str(), port)).await?;
    tcp.set_nodelay(true)?;
    let (theirs, ours) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let ours = UnixStream::from_std(ours)?;
    let config = match protection {
        Protection::None => return Ok((theirs, tokio::spawn(relay(tcp, ours, fault)))),
        Protection::Tls(config) => config,
        Protection::StartTls(config) => {
            start_tls(&mut tcp, &fault).await?;
            config
        }
    };
    let name = ServerName::try_from(host).map_err(|error| Error::new(ErrorKind::InvalidInput, error))?;
    let tls = TlsConnector::from(config).connect(name, tcp).await?;
    Ok((theirs, tokio::spawn(relay(tls, ours, fault))))
}

/// Asks for TLS. Exactly the answer is read: what came behind it in clear would be the TLS handshake's.
async fn start_tls(tcp: &mut TcpStream, fault: &Fault) -> Result<()> {
    tcp.write_all(START_TLS).await?;
    let (mut guard, mut answer) = (Guard::default(), Vec::new());
    loop {
        let octet = tcp.read_u8().await?;
        answer.push(octet);
        let refuse = |what| {
            let _ = fault.set(what);
            Err(Error::new(ErrorKind::InvalidData, what))
        };
        if let Err(what) = guard.take(&[octet]) {
            return refuse(what);
        }
        if guard.between_messages() {
            return match result_code(&answer) {
                Some(0) => Ok(()),
                Some(code) => Err(Error::other(format!("StartTLS is refused: {}", code_in_words(code)))),
                None => refuse("what is no answer to StartTLS"),
            };
        }
        if answer.len() == START_TLS_ANSWER {
            return refuse("an answer to StartTLS that is too long");
        }
    }
}

/// The result code of an extended response, message 1.
fn result_code(message: &[u8]) -> Option<u32> {
    let (_, message) = parse_tag(message).ok()?;
    let PL::C(parts) = message.payload else { return None };
    let [id, response, ..] = parts.as_slice() else { return None };
    let (PL::P(id), PL::C(fields)) = (&id.payload, &response.payload) else { return None };
    let (PL::P(code), TagClass::Application, 24) = (&fields.first()?.payload, response.class, response.id)
    else {
        return None;
    };
    match (id.as_slice(), code.as_slice()) {
        ([1], [code]) => Some(u32::from(*code)),
        _ => None,
    }
}

async fn relay<S: AsyncRead + AsyncWrite>(server: S, library: UnixStream, fault: Fault) {
    let (mut from_server, mut to_server) = split(server);
    let (mut from_library, mut to_library) = library.into_split();
    let requests = async {
        let _ = copy(&mut from_library, &mut to_server).await;
        let _ = to_server.shutdown().await;
    };
    let answers = async {
        let mut guard = Guard::default();
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
            let bytes = buffer.get(..length).unwrap_or_default();
            if let Err(what) = guard.take(bytes) {
                let _ = fault.set(what);
                break;
            }
            if to_library.write_all(bytes).await.is_err() {
                break;
            }
        }
    };
    // Whoever ends first ends it for the other.
    tokio::select! {
        () = requests => {}
        () = answers => {}
    }
}
