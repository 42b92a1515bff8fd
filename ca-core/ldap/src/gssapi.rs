//! Logging in with a Kerberos ticket: SASL GSSAPI (RFC 4752) inside TLS, without a security layer
//! of its own, before the library has the connection.

use std::io::Error;
use std::path::Path;

use bytes::BytesMut;
use ldap3::asn1::{ASNTag, Integer, OctetString, Sequence, StructureTag, Tag, TagClass, write};
use libgssapi::context::{ClientCtx, CtxFlags, SecurityContext};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::error::{self as gss, MajorFlags};
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_NT_HOSTBASED_SERVICE, OidSet};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::runtime::Runtime;

use crate::answer::{Answer, read_message, refuse, value};
use crate::connection::task::run;
use crate::end_point::channel_binding;
use crate::error::said;
use crate::transport::{Channel, Fault};
use crate::{DirectoryConfig, LdapError};

/// The number of the tag of a bind response (RFC 4511, section 4.2.2).
const BIND_RESPONSE: u64 = 1;
/// The number of the tag of the credentials there.
const CREDENTIALS: u64 = 7;
/// The result code for "go on" (RFC 4511, appendix A).
const IN_PROGRESS: u32 = 14;
/// The result code of a server that wants a security layer, or channel bindings (RFC 4511, appendix A).
const STRONGER: u32 = 8;
/// Requests of one login. Kerberos needs three.
const MOST_REQUESTS: u8 = 8;
/// The bit for "no security layer", and our answer: that, and no room for messages under a layer
/// (RFC 4752, section 3.1).
const NO_LAYER: [u8; 4] = [1, 0, 0, 0];

/// The client's side of the exchange.
struct Context {
    gss: ClientCtx,
    /// The same for every step.
    binding: Option<Vec<u8>>,
    /// Whether the server knows our choice of security layer.
    chosen: bool,
}

/// How the exchange ended, if nothing went wrong with the connection.
enum End {
    LoggedIn,
    Refused(Answer),
    Failed(String),
}

/// Logs in at the server `host` with the ticket that Kerberos finds in the environment.
pub(crate) fn log_in(
    runtime: &Runtime,
    config: &DirectoryConfig,
    fault: &Fault,
    host: String,
    channel: Channel,
) -> Result<Channel, LdapError> {
    let Channel::Tls(mut tls) = channel else {
        return Err(LdapError::Config("sasl: gssapi is for TLS alone".to_owned()));
    };
    keytab_is_private()?;
    let failed = |what| LdapError::Kerberos { server: config.url.clone(), what };
    let certificate = tls.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let binding = certificate.and_then(|certificate| channel_binding(certificate));
    // The library asks the key distribution centre and waits for it.
    let started = run(runtime, config, fault, "get a Kerberos ticket", async move {
        let work = move || Context::start(&host, binding).map_err(|error| without_ticket(&error, &host));
        Ok(tokio::task::spawn_blocking(work).await.map_err(Error::other)?)
    })?;
    let (mut context, token, who) = started.map_err(failed)?;
    let told = fault.clone();
    let (channel, end) = run(runtime, config, fault, "log in", async move {
        let end = exchange(&mut tls, &mut context, token, &told).await?;
        Ok((Channel::Tls(tls), end))
    })?;
    match end {
        End::LoggedIn => Ok(channel),
        End::Failed(what) => Err(failed(what)),
        End::Refused(Answer { code: STRONGER, text, .. }) => Err(failed(format!(
            "the server takes no ticket without a security layer of SASL, which there is not inside TLS{}; Samba \
             has the setting \"ldap server require strong auth = allow_sasl_over_tls\"",
            said(&text)
        ))),
        End::Refused(Answer { code, text, .. }) => {
            Err(LdapError::Refused { server: config.url.clone(), action: "log in", dn: who, code, text })
        }
    }
}

/// Whether nobody else can read the keys that Kerberos takes from the file in the environment.
fn keytab_is_private() -> Result<(), LdapError> {
    let Some(name) = std::env::var_os("KRB5_CLIENT_KTNAME") else { return Ok(()) };
    let Some(name) = name.to_str() else { return Ok(()) };
    let path = Path::new(name.strip_prefix("FILE:").unwrap_or(name));
    if path.is_absolute() && path.exists() {
        ca_files::check_private(path)?;
    }
    Ok(())
}

/// Why there is no ticket for the directory at `host`, and what to do.
fn without_ticket(error: &gss::Error, host: &str) -> String {
    let none = [MajorFlags::GSS_S_NO_CRED, MajorFlags::GSS_S_CREDENTIALS_EXPIRED];
    let todo = if none.iter().any(|code| code.bits() == error.major.bits()) {
        "get a ticket with kinit, or name a keytab in KRB5_CLIENT_KTNAME".to_owned()
    } else {
        format!("see what kinit and kvno ldap/{host} say")
    };
    format!("{}; {todo}", words(error))
}

/// What the library says. To be called in the thread that got the error: it keeps the words there.
fn words(error: &gss::Error) -> String {
    let text = error.to_string();
    let empty = "Unspecified GSS failure.  Minor code may provide more information (";
    let told = text.strip_prefix(empty).and_then(|told| told.strip_suffix(')'));
    told.map_or_else(|| text.clone(), str::to_owned)
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    context: &mut Context,
    mut token: Vec<u8>,
    fault: &Fault,
) -> std::io::Result<End> {
    for id in 1..=MOST_REQUESTS {
        stream.write_all(&bind_request(id, token)?).await?;
        stream.flush().await?;
        let message = read_message(stream, fault).await?;
        let Some((answer, more)) = Answer::read(&message, id, BIND_RESPONSE) else {
            return Err(refuse(fault, "what is no answer to a login"));
        };
        match answer.code {
            0 if context.chosen => return Ok(End::LoggedIn),
            0 => return Err(refuse(fault, "success before it showed its own ticket")),
            IN_PROGRESS => {}
            _ => return Ok(End::Refused(answer)),
        }
        token = match context.next(credentials(&more)) {
            Ok(token) => token,
            Err(what) => return Ok(End::Failed(what)),
        };
    }
    Err(refuse(fault, "more questions than a login has"))
}

/// The server's SASL credentials behind the result of a bind response; nothing if there are none.
fn credentials(more: &[StructureTag]) -> &[u8] {
    let found = more.iter().find(|part| (part.class, part.id) == (TagClass::Context, CREDENTIALS));
    found.and_then(value).unwrap_or_default()
}

impl Context {
    /// The context, the first token, and who logs in.
    fn start(host: &str, binding: Option<Vec<u8>>) -> Result<(Self, Vec<u8>, String), gss::Error> {
        let kerberos = OidSet::singleton(GSS_MECH_KRB5)?;
        let ticket = Cred::acquire(None, None, CredUsage::Initiate, Some(&kerberos))?;
        let server = Name::new(format!("ldap@{host}").as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE))?;
        // No flag that asks for signing or encryption: Active Directory would take it for a security layer.
        let flags = CtxFlags::GSS_C_MUTUAL_FLAG | CtxFlags::GSS_C_SEQUENCE_FLAG;
        let mut gss = ClientCtx::new(Some(ticket.clone()), server, flags, Some(GSS_MECH_KRB5));
        let token = gss.step(None, binding.as_deref())?;
        let who = ticket.name().map_or_else(|_| "by a Kerberos ticket".to_owned(), |name| name.to_string());
        Ok((Self { gss, binding, chosen: false }, token.map(|token| token.to_vec()).unwrap_or_default(), who))
    }

    /// What to answer to the server's token.
    fn next(&mut self, token: &[u8]) -> Result<Vec<u8>, String> {
        if !self.gss.is_complete() {
            let answer =
                self.gss.step(Some(token), self.binding.as_deref()).map_err(|error| words(&error))?;
            return Ok(answer.map(|answer| answer.to_vec()).unwrap_or_default());
        }
        let offer = self.gss.unwrap(token).map_err(|error| words(&error))?;
        let &[layers, _, _, _] = &*offer else {
            return Err("the server's offer of security layers cannot be read".to_owned());
        };
        let [no_layer, ..] = NO_LAYER;
        if layers & no_layer == 0 {
            return Err(
                "the server demands a security layer of SASL, which there is not inside TLS".to_owned()
            );
        }
        self.chosen = true;
        self.gss.wrap(false, &NO_LAYER).map(|answer| answer.to_vec()).map_err(|error| words(&error))
    }
}

/// A bind request (RFC 4511, section 4.2) for nobody by name: the ticket says who.
fn bind_request(id: u8, token: Vec<u8>) -> std::io::Result<BytesMut> {
    let text = |inner| Tag::OctetString(OctetString { inner, ..Default::default() });
    let number = |inner| Tag::Integer(Integer { inner, ..Default::default() });
    let sasl =
        Sequence { id: 3, class: TagClass::Context, inner: vec![text(b"GSSAPI".to_vec()), text(token)] };
    let bind = Sequence {
        id: 0,
        class: TagClass::Application,
        inner: vec![number(3), text(Vec::new()), Tag::Sequence(sasl)],
    };
    let message = Sequence { inner: vec![number(i64::from(id)), Tag::Sequence(bind)], ..Default::default() };
    let mut bytes = BytesMut::new();
    write::encode_into(&mut bytes, Tag::Sequence(message).into_structure())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_the_standard_has_it() {
        // Message 3 [APPLICATION 0], version 3, no name, [3] { "GSSAPI", "ab" }.
        let expected = b"\x30\x18\x02\x01\x03\x60\x13\x02\x01\x03\x04\x00\xa3\x0c\x04\x06GSSAPI\x04\x02ab";
        assert_eq!(bind_request(3, b"ab".to_vec()).unwrap(), &expected[..]);
    }

    #[test]
    fn the_credentials_of_an_answer() {
        let bind = |more: &[u8]| {
            let length = u8::try_from(more.len()).unwrap();
            let message = [
                b"\x30",
                &[length + 12],
                &b"\x02\x01\x02\x61"[..],
                &[length + 7],
                b"\x0a\x01\x0e\x04\x00\x04\x00",
                more,
            ]
            .concat();
            credentials(&Answer::read(&message, 2, BIND_RESPONSE).unwrap().1).to_vec()
        };
        // [7] { "ab" }, alone and behind a referral [3].
        assert_eq!(bind(b"\x87\x02ab"), b"ab");
        assert_eq!(bind(b"\xa3\x02\x04\x00\x87\x02ab"), b"ab");
        assert_eq!(bind(b""), b"");
    }

    #[test]
    fn no_ticket_without_tls() {
        let config = "url: ldaps://a.test\nsasl: gssapi\n";
        let config: DirectoryConfig = serde_saphyr::from_str(config).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let tcp = runtime.block_on(tokio::net::TcpStream::connect(address)).unwrap();
        let host = "a.test".to_owned();
        let refused = log_in(&runtime, &config, &Fault::default(), host, Channel::Plain(tcp));
        assert!(refused.err().unwrap().to_string().contains("for TLS alone"));
    }

    #[test]
    fn errors_say_what_to_do() {
        let error = |major| gss::Error { major, minor: 0 };
        let none = without_ticket(&error(MajorFlags::GSS_S_NO_CRED), "dc1.test");
        assert!(none.contains("kinit, or name a keytab"), "{none}");
        let other = without_ticket(&error(MajorFlags::GSS_S_BAD_NAME), "dc1.test");
        assert!(other.contains("kvno ldap/dc1.test"), "{other}");
    }
}
