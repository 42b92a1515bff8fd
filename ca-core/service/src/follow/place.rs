//! Where a ledger is, as the configuration says it: a directory or a web server.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use ureq::http::Uri;

use super::LedgerSource;
use super::http::HttpSource;
use crate::{ServiceError, Span, config};

/// The setting `ledger`: a path, or a mapping with `url`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LedgerPlace {
    /// A directory of this machine, the one with the file `checkpoint`.
    Directory(PathBuf),
    /// A web server that serves this directory.
    Remote(Remote),
}

/// A ledger behind a web server.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Remote {
    /// The address of the directory: `https://` or `http://`, no query.
    pub url: String,
    /// The authorities that may certify the server, PEM; the system's without it.
    pub ca_file: Option<PathBuf>,
    /// The certificate that is shown to the server, with its chain, PEM.
    pub client_certificate: Option<PathBuf>,
    /// Its key, unencrypted PEM, readable by its owner only.
    pub client_key: Option<PathBuf>,
    /// How often the checkpoint is asked for.
    #[serde(default = "default_poll")]
    pub poll: Span,
    /// How long one request may take as a whole.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
}

fn default_poll() -> Span {
    Span::seconds(1)
}
fn default_timeout() -> Span {
    Span::seconds(10)
}

impl LedgerPlace {
    /// With paths that count from the directory of `config`, and with values that
    /// fit each other.
    ///
    /// # Errors
    /// What does not fit, beginning with the setting.
    pub fn check(self, config: &Path) -> Result<Self, String> {
        let beside = |path: PathBuf| config::beside(config, &path);
        match self {
            Self::Directory(dir) => Ok(Self::Directory(beside(dir))),
            Self::Remote(remote) => {
                let url = check_url(&remote.url).map_err(|what| format!("ledger: url: {what}"))?;
                let tls = [&remote.ca_file, &remote.client_certificate, &remote.client_key];
                if url.starts_with("http://") && tls.iter().any(|file| file.is_some()) {
                    return Err("ledger: ca_file, client_certificate, client_key: need https://".into());
                }
                if remote.client_certificate.is_some() != remote.client_key.is_some() {
                    return Err("ledger: client_certificate, client_key: give both or none".into());
                }
                if !(Span::seconds(1)..=Span::hours(1)).contains(&remote.poll) {
                    return Err("ledger: poll: choose 1s to 1h".into());
                }
                if !(Span::seconds(1)..=Span::minutes(5)).contains(&remote.timeout) {
                    return Err("ledger: timeout: choose 1s to 5m".into());
                }
                Ok(Self::Remote(Remote {
                    url,
                    ca_file: remote.ca_file.map(beside),
                    client_certificate: remote.client_certificate.map(beside),
                    client_key: remote.client_key.map(beside),
                    ..remote
                }))
            }
        }
    }

    /// The source to follow. Nothing is read but files with certificates and keys.
    ///
    /// # Errors
    /// One of these files is missing, unsafe or not what it must be.
    pub fn open(&self) -> Result<LedgerSource, ServiceError> {
        match self {
            Self::Directory(dir) => Ok(LedgerSource::directory(dir)),
            Self::Remote(remote) => {
                Ok(LedgerSource::remote(HttpSource::new(remote.clone())?, remote.poll.as_duration()))
            }
        }
    }
}

fn check_url(text: &str) -> Result<String, &'static str> {
    let uri: Uri = text.parse().map_err(|_| "it is no address")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("begin it with https:// or http://");
    }
    if uri.authority().is_none_or(|authority| authority.as_str().contains('@')) {
        return Err("name a host, without user or password");
    }
    if uri.query().is_some() || text.contains('#') {
        return Err("leave out '?' and '#'");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// By hand, because an untagged enum would hide which field is wrong.
impl<'de> Deserialize<'de> for LedgerPlace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlaceVisitor)
    }
}

struct PlaceVisitor;

impl<'de> Visitor<'de> for PlaceVisitor {
    type Value = LedgerPlace;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ledger's directory, or a mapping with `url`")
    }

    fn visit_str<E>(self, path: &str) -> Result<LedgerPlace, E> {
        Ok(LedgerPlace::Directory(PathBuf::from(path)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LedgerPlace, A::Error> {
        Remote::deserialize(MapAccessDeserializer::new(map)).map(LedgerPlace::Remote)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct File {
        ledger: LedgerPlace,
    }

    fn parse(text: &str) -> Result<LedgerPlace, String> {
        let file: File = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        file.ledger.check(Path::new("/etc/c.yaml"))
    }

    #[test]
    fn a_directory_or_a_server() {
        assert_eq!(parse("ledger: here").unwrap(), LedgerPlace::Directory("/etc/here".into()));
        let LedgerPlace::Remote(remote) = parse("ledger: {url: 'http://ca.example:8080/ledger/'}").unwrap()
        else {
            panic!("no server")
        };
        assert_eq!(remote.url, "http://ca.example:8080/ledger");
        assert_eq!((remote.poll, remote.timeout), (Span::seconds(1), Span::seconds(10)));
        let text = "ledger:\n  url: https://ca.example\n  ca_file: ca.pem\n  poll: 5s\n  timeout: 2s\n  \
            client_certificate: /k/c.pem\n  client_key: c.key\n";
        let LedgerPlace::Remote(remote) = parse(text).unwrap() else { panic!("no server") };
        assert_eq!(remote.client_certificate.as_deref(), Some(Path::new("/k/c.pem")));
        assert_eq!(remote.client_key.as_deref(), Some(Path::new("/etc/c.key")));
        assert_eq!((remote.poll, remote.timeout), (Span::seconds(5), Span::seconds(2)));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (text, expected) in [
            ("ledger: [a]", "mapping"),
            ("ledger: {ca_file: x}", "url"),
            ("ledger: {url: 'https://x', certificate: y}", "certificate"),
            ("ledger: {url: 'ftp://x'}", "https://"),
            ("ledger: {url: /x}", "https://"),
            ("ledger: {url: 'https://u:p@x'}", "password"),
            ("ledger: {url: 'https://x/?a'}", "url"),
            ("ledger: {url: 'http://x', ca_file: y}", "ca_file"),
            ("ledger: {url: 'https://x', client_key: y}", "client_certificate"),
            ("ledger: {url: 'https://x', poll: 2h}", "poll"),
            ("ledger: {url: 'https://x', timeout: 10m}", "timeout"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
