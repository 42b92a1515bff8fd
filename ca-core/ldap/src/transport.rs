//! The way to a server: TCP, TLS, and a relay that shows everything the server sends to the
//! [`Guard`] before the library gets it.

use std::io::{Error, ErrorKind, Result};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, split};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Url;

use crate::answer::{Answer, read_message, refuse};
use crate::code_in_words;
use crate::error::said;
use crate::guard::Guard;

/// What the server sent that was not let through.
pub(crate) type Fault = Arc<OnceLock<&'static str>>;

/// The request for StartTLS, message 1 (RFC 4511, section 4.14.1).
const START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
/// The number of the tag of the answer to it (RFC 4511, section 4.12).
const EXTENDED_RESPONSE: u64 = 24;

/// How a connection is protected.
pub(crate) enum Protection {
    /// Not at all.
    None,
    /// TLS from the first octet.
    Tls(Arc<ClientConfig>),
    /// TLS after StartTLS.
    StartTls(Arc<ClientConfig>),
}

/// A connection that the library does not have yet.
pub(crate) enum Channel {
    /// Without TLS.
    Plain(TcpStream),
    /// The server's certificate is checked.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Connects.
pub(crate) async fn connect(url: &Url, protection: Protection, fault: &Fault) -> Result<Channel> {
    let host = url.host_str().unwrap_or_default().to_owned();
    let port = url.port().unwrap_or(if url.scheme() == "ldaps" { 636 } else { 389 });
    let mut tcp = TcpStream::connect((host.as_str(), port)).await?;
    tcp.set_nodelay(true)?;
    let config = match protection {
        Protection::None => return Ok(Channel::Plain(tcp)),
        Protection::Tls(config) => config,
        Protection::StartTls(config) => {
            start_tls(&mut tcp, fault).await?;
            config
        }
    };
    let name = ServerName::try_from(host).map_err(|error| Error::new(ErrorKind::InvalidInput, error))?;
    let tls = TlsConnector::from(config).connect(name, tcp).await?;
    Ok(Channel::Tls(Box::new(tls)))
}

/// Gives a connection to the library: its end, and the relay, which ends with either side.
pub(crate) fn hand_over(channel: Channel, fault: Fault) -> Result<(StdUnixStream, JoinHandle<()>)> {
    let (theirs, ours) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let ours = UnixStream::from_std(ours)?;
    let relay = match channel {
        Channel::Plain(tcp) => tokio::spawn(relay(tcp, ours, fault)),
        Channel::Tls(tls) => tokio::spawn(relay(tls, ours, fault)),
    };
    Ok((theirs, relay))
}

/// Asks for TLS. What came behind the answer in clear would be the TLS handshake's.
async fn start_tls(tcp: &mut TcpStream, fault: &Fault) -> Result<()> {
    tcp.write_all(START_TLS).await?;
    match Answer::read(&read_message(tcp, fault).await?, 1, EXTENDED_RESPONSE) {
        Some((Answer { code: 0, .. }, _)) => Ok(()),
        Some((Answer { code, text }, _)) => {
            Err(Error::other(format!("StartTLS is refused: {}{}", code_in_words(code), said(&text))))
        }
        None => Err(refuse(fault, "what is no answer to StartTLS")),
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
