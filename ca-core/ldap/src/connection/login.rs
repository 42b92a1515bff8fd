//! The way in: the connection, its protection, and who logs in.

use std::path::Path;

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, StdStream};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use url::Url;
use zeroize::Zeroizing;

use super::task::{accepted, run};
use crate::config::Login;
use crate::transport::{Channel, Fault, Protection, connect, hand_over};
use crate::{DirectoryConfig, LdapError, gssapi, tls};

/// The longest password.
const MAX_PASSWORD: usize = 1024;

/// Looks whether this build can log in as `config` says, and reads the files that it names, as
/// [`super::Connection::open`] would. Nothing is asked of the server.
///
/// # Errors
/// It cannot, or one is missing, unsafe or not what it must be.
pub fn check_files(config: &DirectoryConfig) -> Result<(), LdapError> {
    Entrance::prepare(config).map(drop)
}

/// Settings that were checked, and what was read from files for them.
pub(super) struct Entrance {
    url: Url,
    protection: Protection,
    credentials: Credentials,
}

/// What says who we are.
enum Credentials {
    Certificate,
    Ticket,
    Password { dn: String, password: Zeroizing<String> },
}

impl Entrance {
    /// Checks the settings and reads the files; nothing is sent yet.
    pub(super) fn prepare(config: &DirectoryConfig) -> Result<Self, LdapError> {
        config.check()?;
        config.check_build()?;
        let protection = match (config.is_plain(), config.start_tls) {
            (true, _) => Protection::None,
            (false, false) => Protection::Tls(tls::client_config(config)?),
            (false, true) => Protection::StartTls(tls::client_config(config)?),
        };
        let credentials = match config.login()? {
            Login::External => Credentials::Certificate,
            Login::Gssapi => Credentials::Ticket,
            Login::Simple { dn, password_file } => {
                Credentials::Password { dn: dn.to_owned(), password: password(password_file)? }
            }
        };
        Ok(Self { url: config.server()?, protection, credentials })
    }

    /// Connects, logs in, and gives the connection to the library: before a password, but after a ticket,
    /// which the library cannot show.
    pub(super) fn enter(
        self,
        runtime: &Runtime,
        config: &DirectoryConfig,
        fault: &Fault,
    ) -> Result<(Ldap, JoinHandle<()>), LdapError> {
        let Self { url, protection, credentials } = self;
        let (told, at) = (fault.clone(), url.clone());
        let connecting = async move { Ok(connect(&at, protection, &told).await?) };
        let channel = run(runtime, config, fault, "connect", connecting)?;
        let host = url.host_str().unwrap_or_default();
        let (dn, password) = match credentials {
            Credentials::Ticket => {
                let channel = gssapi::log_in(runtime, config, fault, host.to_owned(), channel)?;
                return to_library(runtime, config, fault, channel);
            }
            Credentials::Certificate => ("by our certificate".to_owned(), None),
            Credentials::Password { dn, password } => (dn, Some(password)),
        };
        let (ldap, relay) = to_library(runtime, config, fault, channel)?;
        let (mut asking, name) = (ldap.clone(), dn.clone());
        let result = run(runtime, config, fault, "log in", async move {
            match password {
                Some(password) => asking.simple_bind(&name, &password).await,
                None => asking.sasl_external_bind().await,
            }
        })?;
        accepted(config, "log in", &dn, result)?;
        Ok((ldap, relay))
    }
}

/// Gives a connection to the library, which takes it for a local socket.
fn to_library(
    runtime: &Runtime,
    config: &DirectoryConfig,
    fault: &Fault,
    channel: Channel,
) -> Result<(Ldap, JoinHandle<()>), LdapError> {
    let told = fault.clone();
    run(runtime, config, fault, "connect", async move {
        let (stream, relay) = hand_over(channel, told)?;
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(stream));
        let (connection, ldap) = LdapConnAsync::with_settings(settings, "ldapi:///").await?;
        // Its end is seen by the next request.
        tokio::spawn(connection.drive());
        Ok((ldap, relay))
    })
}

fn password(path: &Path) -> Result<Zeroizing<String>, LdapError> {
    let bytes = Zeroizing::new(ca_files::read_private(path)?);
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let bad = |what: &str| LdapError::Config(format!("{}: {what}", path.display()));
    let text = std::str::from_utf8(line).map_err(|_| bad("the password is not UTF-8"))?;
    // A simple bind without a password succeeds as nobody (RFC 4513, section 5.1.2).
    if text.is_empty() || text.len() > MAX_PASSWORD {
        return Err(bad("the first line must hold the password, at most 1024 octets"));
    }
    Ok(Zeroizing::new(text.to_owned()))
}
