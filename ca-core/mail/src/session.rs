//! A connection to a mail server, for many messages.

use std::net::ToSocketAddrs;
use std::time::Duration;

use ca_files::{FileError, check_trusted};
use ca_signing::Passphrase;
use lettre::Message;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, SmtpConnection, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};

use crate::{MailError, SmtpConfig, TlsMode};

/// What came of the last step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The server has the message.
    Taken,
    /// The server does not have it, and said so.
    Refused(String),
    /// Nobody knows: the connection ended before the answer.
    Unknown(String),
}

/// An open connection, logged in.
pub struct Session {
    connection: SmtpConnection,
}

/// Reads the files that `config` names, as [`Session::open`] would. Nothing is asked of the
/// server.
///
/// # Errors
/// One is missing, unsafe or not what it must be.
pub fn check_files(config: &SmtpConfig) -> Result<(), MailError> {
    tls(config)?;
    config.password_file.as_deref().map_or(Ok(()), |path| Ok(Passphrase::load(path).map(drop)?))
}

impl Session {
    /// Connects, checks the server's certificate, and logs in.
    ///
    /// # Errors
    /// The server cannot be reached or trusted, or refuses the login.
    pub fn open(config: &SmtpConfig) -> Result<Self, MailError> {
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            MailError::Server(format!(
                "cannot {what} {}:{}: {error}; nothing was sent over it",
                config.host, config.port
            ))
        };
        let tls = tls(config)?;
        let hello = hello(config);
        let timeout = Some(Duration::from_secs(config.timeout_seconds));
        let target = (config.host.as_str(), config.port);
        let addresses: Vec<_> = target.to_socket_addrs().map_err(|error| failed("find", &error))?.collect();
        if config.tls == TlsMode::None && !addresses.iter().all(|address| address.ip().is_loopback()) {
            return Err(MailError::Refused(format!(
                "{} is not this machine, and smtp.tls is none; use starttls or implicit",
                config.host
            )));
        }
        let implicit = tls.as_ref().filter(|_| config.tls == TlsMode::Implicit);
        let mut connection = SmtpConnection::connect(addresses.as_slice(), timeout, &hello, implicit, None)
            .map_err(|error| failed("connect to", &error))?;
        if config.tls == TlsMode::Starttls
            && let Some(tls) = &tls
        {
            connection.starttls(tls, &hello).map_err(|error| failed("start TLS with", &error))?;
        }
        if let (Some(user), Some(file)) = (&config.username, &config.password_file) {
            let password = Passphrase::load(file)?;
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            connection
                .auth(&[Mechanism::Plain, Mechanism::Login], &credentials)
                .map_err(|error| failed("log in at", &error))?;
        }
        Ok(Self { connection })
    }

    /// Whether the connection cannot be used any more.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.connection.has_broken()
    }

    /// Names sender and recipient, and asks to send: all before the text. After
    /// an error the connection is ready for the next notice, or broken.
    ///
    /// # Errors
    /// What the server said; it has nothing.
    pub fn offer(&mut self, message: &Message) -> Result<(), String> {
        let offered = self.try_offer(message);
        if offered.is_err() && self.connection.command(Rset).is_err() {
            self.connection.abort();
        }
        offered
    }

    fn try_offer(&mut self, message: &Message) -> Result<(), String> {
        let envelope = message.envelope();
        let said = |error: Error| error.to_string();
        let mut options = Vec::new();
        let ascii = |text: &str| text.is_ascii();
        let addresses = envelope.from().into_iter().chain(envelope.to());
        if !addresses.into_iter().all(|address| ascii(address.as_ref())) {
            // RFC 6531, section 3.2: an address beyond ASCII goes only to a server that can.
            if !self.connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err("the mail server does not take addresses beyond ASCII (SMTPUTF8)".into());
            }
            options.push(MailParameter::SmtpUtfEight);
            options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        self.connection.command(Mail::new(envelope.from().cloned(), options)).map_err(said)?;
        for address in envelope.to() {
            self.connection.command(Rcpt::new(address.clone(), Vec::new())).map_err(said)?;
        }
        self.connection.command(Data).map_err(said)?;
        Ok(())
    }

    /// Sends the text that was offered.
    pub fn deliver(&mut self, message: &Message) -> Answer {
        match self.connection.message(&message.formatted()) {
            Ok(_) => Answer::Taken,
            Err(error) if error.is_transient() || error.is_permanent() => Answer::Refused(error.to_string()),
            Err(error) => {
                self.connection.abort();
                Answer::Unknown(error.to_string())
            }
        }
    }

    /// Says good-bye; what the server answers matters no more.
    pub fn close(mut self) {
        let _ = self.connection.quit();
    }
}

fn tls(config: &SmtpConfig) -> Result<Option<TlsParameters>, MailError> {
    if config.tls == TlsMode::None {
        return Ok(None);
    }
    let bad = |error: Error| MailError::Server(format!("cannot set up TLS: {error}; check smtp.ca_root"));
    let mut builder = TlsParametersBuilder::new(config.host.clone());
    if let Some(path) = &config.ca_root {
        check_trusted(path)?;
        let unreadable = |source| FileError::Io { action: "read", path: path.clone(), source };
        let pem = std::fs::read(path).map_err(unreadable)?;
        let root = Certificate::from_pem(&pem).map_err(bad)?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(root);
    }
    Ok(Some(builder.build().map_err(bad)?))
}

fn hello(config: &SmtpConfig) -> ClientId {
    let name = config
        .hello
        .clone()
        .unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    // A name without a domain is no name for the other side (RFC 5321, section 4.1.4).
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if name.contains('.') && name.chars().all(good) { ClientId::Domain(name) } else { ClientId::default() }
}
