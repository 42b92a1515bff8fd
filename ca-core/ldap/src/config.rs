//! How a directory is reached.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use url::{Host, Url};

use crate::{Dialect, LdapError};

/// One directory server: where, how protected, who we are. Part of configuration files.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct DirectoryConfig {
    /// `ldaps://HOST[:PORT]`, or `ldap://HOST[:PORT]` with `start_tls`.
    pub url: String,
    /// TLS by StartTLS (RFC 4513, section 3), and nothing without it; for `ldap://`.
    #[serde(default)]
    pub start_tls: bool,
    /// Without any TLS. Only for `ldap://` at a loopback address.
    #[serde(default)]
    pub plain: bool,
    /// The roots that the server's certificate may come from, PEM; none for those of the
    /// operating system.
    #[serde(default)]
    pub ca_root: Option<PathBuf>,
    /// Our certificate and its issuers, PEM, for servers that ask for one.
    #[serde(default)]
    pub client_certificate: Option<PathBuf>,
    /// Its key, PEM without passphrase, mode 0600.
    #[serde(default)]
    pub client_key: Option<PathBuf>,
    /// Who logs in (simple bind): a distinguished name, or for AD also a user principal name.
    #[serde(default)]
    pub bind_dn: Option<String>,
    /// A file with the password on its first line, mode 0600.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Logs in with SASL instead.
    #[serde(default)]
    pub sasl: Option<Sasl>,
    /// How the directory names binary attributes.
    #[serde(default)]
    pub dialect: Dialect,
    /// Seconds that connecting and each request may take.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
}

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Sasl {
    /// The server knows us by our client certificate (RFC 4422, appendix A).
    External,
    /// Kerberos (RFC 4752), with the ticket or the keytab that the environment names, inside TLS.
    /// Needs a build with the feature `gssapi`.
    Gssapi,
}

/// Who logs in, as checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Login<'a> {
    External,
    Gssapi,
    Simple { dn: &'a str, password_file: &'a Path },
}

const fn default_timeout() -> u64 {
    10
}

impl DirectoryConfig {
    /// Checks that the settings fit together. Files are not looked at, and neither is whether this build
    /// can log in so.
    ///
    /// # Errors
    /// [`LdapError::Config`] with what to write instead.
    pub fn check(&self) -> Result<(), LdapError> {
        self.server()?;
        self.login()?;
        if self.client_certificate.is_some() != self.client_key.is_some() {
            return bad("client_certificate and client_key go together; give both or none");
        }
        if self.timeout_seconds == 0 || self.timeout_seconds > 3600 {
            return bad("timeout_seconds is not from 1 to 3600");
        }
        Ok(())
    }

    /// Checks that this build of the program can log in as the settings say. For what is about to.
    ///
    /// # Errors
    /// [`LdapError::Build`] with the build that can.
    pub fn check_build(&self) -> Result<(), LdapError> {
        if cfg!(not(feature = "gssapi")) && self.sasl == Some(Sasl::Gssapi) {
            return Err(LdapError::Build { server: self.url.clone() });
        }
        Ok(())
    }

    /// Makes relative paths count from `dir`, that of the configuration file.
    pub fn resolve(&mut self, dir: &Path) {
        let files =
            [&mut self.ca_root, &mut self.client_certificate, &mut self.client_key, &mut self.password_file];
        for file in files.into_iter().flatten() {
            *file = dir.join(&*file);
        }
    }

    /// Seconds that connecting and each request may take.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.clamp(1, 3600))
    }

    /// Whether no TLS is used.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    /// The URL, checked.
    pub(crate) fn server(&self) -> Result<Url, LdapError> {
        let refuse = |why: &str| bad(&format!("url {:?} {why}", self.url));
        let Ok(url) = Url::parse(&self.url) else { return refuse("is no URL; write ldaps://HOST") };
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && matches!(url.path(), "" | "/");
        let host = url.host_str().filter(|host| !host.is_empty() && !host.starts_with('['));
        let (Some(host), true) = (host, bare) else {
            return refuse("must be a host name with or without a port, and no more; write ldaps://HOST");
        };
        match (url.scheme(), self.start_tls, self.plain) {
            ("ldaps", false, false) | ("ldap", true, false) => Ok(url),
            ("ldap", false, true) if is_loopback(&url, host) => Ok(url),
            ("ldap", false, true) => {
                refuse("is not a loopback address like 127.0.0.1, and plain is for these alone")
            }
            ("ldap", false, false) => refuse("has no TLS; set start_tls: true, or write ldaps://"),
            ("ldaps", ..) => refuse("has TLS already; remove start_tls and plain"),
            ("ldap", true, true) => refuse("has start_tls and plain; remove one"),
            _ => refuse("is not of LDAP; write ldaps://HOST"),
        }
    }

    /// Who logs in, checked.
    pub(crate) fn login(&self) -> Result<Login<'_>, LdapError> {
        match (&self.sasl, &self.bind_dn, &self.password_file) {
            (None, Some(dn), Some(password_file)) if !dn.is_empty() => {
                Ok(Login::Simple { dn, password_file })
            }
            (Some(Sasl::External), None, None) if self.client_certificate.is_some() && !self.plain => {
                Ok(Login::External)
            }
            (Some(Sasl::External), None, None) => {
                bad("sasl: external needs client_certificate, client_key, and TLS")
            }
            (Some(Sasl::Gssapi), None, None) if self.plain => {
                bad("sasl: gssapi needs TLS; write ldaps://, or start_tls: true in place of plain")
            }
            (Some(Sasl::Gssapi), None, None) => Ok(Login::Gssapi),
            (Some(_), ..) => bad("sasl stands alone; remove bind_dn and password_file"),
            _ => bad("nobody logs in; give bind_dn and password_file, or sasl: external or gssapi"),
        }
    }
}

fn is_loopback(url: &Url, host: &str) -> bool {
    // The host of a scheme that is not of the web is not parsed as an address by itself.
    let address = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        _ => host.parse().ok(),
    };
    address.is_some_and(|address| address.is_loopback())
}

fn bad<T>(what: &str) -> Result<T, LdapError> {
    Err(LdapError::Config(what.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DirectoryConfig, String> {
        let config: DirectoryConfig = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string()).map(|()| config)
    }

    const LOGIN: &str = "bind_dn: cn=ca\npassword_file: pw\n";

    #[test]
    fn good_ones() {
        for url in [
            "url: ldaps://ldap.example.test",
            "url: ldaps://127.0.0.1:6360/",
            "url: ldap://ldap.example.test:389\nstart_tls: true",
            "url: ldap://127.0.0.1:3890\nplain: true\ndialect: ad",
        ] {
            parse(&format!("{url}\n{LOGIN}")).unwrap();
        }
        let external = "url: ldaps://a.test\nsasl: external\nclient_certificate: c.pem\nclient_key: c.key\n";
        assert_eq!(parse(external).unwrap().login().unwrap(), Login::External);
        let mut config = parse(&format!("url: ldaps://a.test\n{LOGIN}")).unwrap();
        config.resolve(Path::new("/etc/ca"));
        assert_eq!(config.password_file.unwrap(), Path::new("/etc/ca/pw"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, says) in [
            ("url: ldap://ldap.example.test", "has no TLS"),
            ("url: ldap://ldap.example.test\nplain: true", "loopback"),
            ("url: ldap://localhost\nplain: true", "loopback"),
            ("url: ldaps://a.test\nstart_tls: true", "already"),
            ("url: ldaps://a.test\nplain: true", "already"),
            ("url: ldaps://u:p@a.test", "no more"),
            ("url: ldaps://a.test/dc=test", "no more"),
            ("url: https://a.test", "not of LDAP"),
            ("url: 'ldaps://'", "no more"),
            ("url: a.test", "no URL"),
            ("url: ldaps://a.test\ntimeout_seconds: 0", "3600"),
            ("url: ldaps://a.test\nclient_key: k", "go together"),
            ("url: ldaps://a.test\nsasl: external", "stands alone"),
            ("url: ldaps://a.test\nsasl: gssapi", "stands alone"),
            ("url: ldaps://a.test\nsasl: ntlm", "ntlm"),
            ("url: ldaps://a.test\nverify: false", "verify"),
        ] {
            let error = parse(&format!("{text}\n{LOGIN}")).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert!(parse("url: ldaps://a.test").unwrap_err().contains("nobody logs in"));
        assert!(parse("url: ldaps://a.test\nsasl: external").unwrap_err().contains("client_certificate"));
        let plain = "url: ldap://127.0.0.1\nplain: true\nsasl: gssapi";
        assert!(parse(plain).unwrap_err().contains("needs TLS"));
    }

    #[test]
    fn kerberos_depends_on_the_build() {
        for url in ["url: ldaps://a.test", "url: ldap://a.test\nstart_tls: true"] {
            // The settings are in order everywhere; who logs in is told what is missing.
            let config = parse(&format!("{url}\nsasl: gssapi")).unwrap();
            assert_eq!(config.login().unwrap(), Login::Gssapi);
            let built = config.check_build();
            if cfg!(feature = "gssapi") {
                built.unwrap();
                continue;
            }
            for error in [built.unwrap_err(), crate::Connection::open(&config).unwrap_err()] {
                assert!(matches!(error, LdapError::Build { .. }), "{error}");
                assert!(error.to_string().contains("--features gssapi"), "{error}");
            }
        }
    }
}
