//! How a mail server is reached.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// How the mail server is reached.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpConfig {
    /// Its name, as in its certificate.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: TlsMode,
    /// The roots that the server's certificate may come from, PEM; none for those
    /// of the operating system.
    #[serde(default)]
    pub ca_root: Option<PathBuf>,
    /// The name to log in with; none to send without.
    #[serde(default)]
    pub username: Option<String>,
    /// A file with the password on its first line, mode 0600.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// What we call ourselves (EHLO); none for the name of this machine.
    #[serde(default)]
    pub hello: Option<String>,
    /// Seconds to wait for each answer.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
}

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// TLS from the first byte (RFC 8314), usually port 465.
    Implicit,
    /// None at all: only for a server on this machine.
    None,
    /// STARTTLS (RFC 3207), and nothing if the server does not offer it; usually port 587.
    Starttls,
}

const fn default_timeout() -> u64 {
    30
}

impl SmtpConfig {
    /// Checks that the values fit each other.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self) -> Result<(), String> {
        let loopback = match self.host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.host == "localhost",
        };
        if self.tls == TlsMode::None && !loopback {
            return Err(format!(
                "smtp.tls none is for this machine alone, not for {:?}; use starttls or implicit",
                self.host
            ));
        }
        if self.username.is_some() != self.password_file.is_some() {
            return Err("smtp.username and smtp.password_file go together; give both or none".into());
        }
        if self.timeout_seconds == 0 {
            return Err("smtp.timeout_seconds is 0; use at least 1".into());
        }
        let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '[' | ']');
        if self.hello.iter().chain([&self.host]).any(|text| text.is_empty() || !text.chars().all(name)) {
            return Err("smtp.host and smtp.hello are host names or addresses".into());
        }
        Ok(())
    }

    /// Relative paths of files count from `dir`.
    pub fn resolve(&mut self, dir: &Path) {
        for file in [&mut self.ca_root, &mut self.password_file].into_iter().flatten() {
            *file = dir.join(&*file);
        }
    }
}
