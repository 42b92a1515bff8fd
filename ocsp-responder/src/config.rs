//! The responder's configuration file.

pub mod authority;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ca_service::request_log::RequestLogConfig;
use ca_service::{LedgerPlace, ServiceError, Span, config};
use serde::Deserialize;

use crate::staple::StapleConfig;
use crate::staple::config as staples;
use authority::AuthorityFile;
pub use authority::{AuthorityConfig, Source};

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    listen: SocketAddr,
    metrics_listen: Option<SocketAddr>,
    #[serde(default)]
    path: String,
    ledger: LedgerPlace,
    ledger_vkey: String,
    state_dir: Option<PathBuf>,
    #[serde(default = "default_checkpoint_age")]
    max_checkpoint_age: Span,
    #[serde(default = "default_unreadable")]
    max_unreadable: Span,
    #[serde(default = "default_validity")]
    response_validity: Span,
    #[serde(default = "default_http_age")]
    max_http_age: Span,
    authorities: Vec<AuthorityFile>,
    signer_warning: Option<Span>,
    #[serde(default)]
    staples: Vec<StapleConfig>,
    #[serde(default)]
    nonce: NonceRule,
    #[serde(default)]
    never_issued: NeverIssuedRule,
    #[serde(default = "default_request_bytes")]
    max_request_bytes: usize,
    #[serde(default = "default_cache")]
    cache_entries: usize,
    #[serde(default = "default_connections")]
    max_connections: usize,
    max_connections_per_source: Option<usize>,
    #[serde(default = "default_signatures")]
    signatures_per_source: u32,
    request_log: Option<RequestLogConfig>,
}

fn default_checkpoint_age() -> Span {
    Span::days(8)
}
fn default_unreadable() -> Span {
    Span::hours(1)
}
fn default_validity() -> Span {
    Span::hours(24)
}
fn default_http_age() -> Span {
    Span::hours(1)
}
fn default_request_bytes() -> usize {
    10_000
}
fn default_cache() -> usize {
    50_000
}
fn default_connections() -> usize {
    1024
}
fn default_signatures() -> u32 {
    100
}

/// What becomes of a nonce (RFC 9654).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum NonceRule {
    /// The answer repeats it and is signed for this request alone.
    #[default]
    Echo,
    /// It is left out, so that every answer can come from memory.
    Ignore,
    /// A request without one is refused.
    Require,
}

/// The answer for a serial that was never issued; it is never "good".
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum NeverIssuedRule {
    /// Revoked, on hold since 1970 (RFC 6960, section 2.2).
    Revoked,
    /// The whole request is answered `unauthorized` (RFC 5019, section 2.2.3).
    Unauthorized,
    /// The status unknown.
    #[default]
    Unknown,
}

/// A configuration whose values fit each other.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where to show metrics; nowhere without it.
    pub metrics_listen: Option<SocketAddr>,
    /// The path under which requests come, without a slash at its end; empty for the root.
    pub path: String,
    /// Where the ledger is.
    pub ledger: LedgerPlace,
    /// The key that signs the ledger's checkpoints.
    pub ledger_vkey: String,
    /// Where it is kept how far the ledger was seen; nowhere without it.
    pub state_dir: Option<PathBuf>,
    /// Past this age of the checkpoint no status is given.
    pub max_checkpoint_age: Span,
    /// After so long without a readable ledger no status is given.
    pub max_unreadable: Span,
    /// nextUpdate less thisUpdate.
    pub response_validity: Span,
    /// How long HTTP caches may keep an answer, at most.
    pub max_http_age: Span,
    /// The authorities answered for.
    pub authorities: Vec<AuthorityConfig>,
    /// The answers that are kept in files for servers.
    pub staples: Vec<StapleConfig>,
    /// How long before a signer ends there is an alarm; none for a third of its
    /// life, and at least a week where the life allows.
    pub signer_warning: Option<Span>,
    /// What becomes of a nonce.
    pub nonce: NonceRule,
    /// The answer for serials that were never issued.
    pub never_issued: NeverIssuedRule,
    /// The longest request, in DER bytes.
    pub max_request_bytes: usize,
    /// Signed answers kept in memory, at most.
    pub cache_entries: usize,
    /// Connections at once.
    pub max_connections: usize,
    /// Connections at once from one address or IPv6 network; a share of all if none is said.
    pub max_connections_per_source: Option<usize>,
    /// Answers a second that are signed for one source alone, because of a nonce,
    /// several certificates or one never issued; 0 for any number.
    pub signatures_per_source: u32,
    /// Which requests are logged; none without it.
    pub request_log: Option<RequestLogConfig>,
}

impl Config {
    /// Reads and checks a configuration file. Relative paths count from its directory.
    ///
    /// # Errors
    /// The file cannot be read, has unknown fields, or its values do not fit.
    pub fn load(path: &Path) -> Result<Self, ServiceError> {
        let file: ConfigFile = config::load(path)?;
        let refuse = |what: &str| ServiceError::Config { path: path.to_owned(), what: what.to_owned() };
        if file.authorities.is_empty() {
            return Err(refuse("authorities: name at least one authority"));
        }
        // BR 4.9.10: an answer is valid for ten days at most.
        if !(Span::minutes(1)..=Span::days(10)).contains(&file.response_validity) {
            return Err(refuse("response_validity: choose 1m to 10d"));
        }
        if !(64..=1_000_000).contains(&file.max_request_bytes) {
            return Err(refuse("max_request_bytes: choose 64 to 1000000"));
        }
        if file.max_connections == 0 {
            return Err(refuse("max_connections: allow at least 1"));
        }
        if let Some(Err(what)) = file.request_log.map(|log| log.check()) {
            return Err(refuse(what));
        }
        if file.max_connections_per_source == Some(0) {
            return Err(refuse("max_connections_per_source: allow at least 1"));
        }
        if file.max_checkpoint_age.as_secs() == 0 {
            return Err(refuse("max_checkpoint_age: give the ledger some time, such as 8d"));
        }
        if !file.staples.is_empty() && file.nonce == NonceRule::Require {
            return Err(refuse("nonce: a staple answers no request, so it has none; choose echo or ignore"));
        }
        let prefix = file.path.trim_end_matches('/').to_owned();
        if !prefix.is_empty() && !prefix.starts_with('/') {
            return Err(refuse("path: begin it with a slash, such as /ocsp"));
        }
        let beside = |name: &Path| config::beside(path, name);
        let mut authorities = Vec::new();
        for entry in file.authorities {
            let entry = entry.check(path).map_err(|what| refuse(&format!("authorities: {what}")))?;
            authorities.push(entry);
        }
        Ok(Self {
            listen: file.listen,
            metrics_listen: file.metrics_listen,
            path: prefix,
            ledger: file.ledger.check(path).map_err(|what| refuse(&what))?,
            ledger_vkey: file.ledger_vkey,
            state_dir: file.state_dir.as_deref().map(beside),
            max_checkpoint_age: file.max_checkpoint_age,
            max_unreadable: file.max_unreadable,
            response_validity: file.response_validity,
            max_http_age: file.max_http_age,
            authorities,
            staples: staples::check(file.staples, beside).map_err(|what| refuse(&what))?,
            signer_warning: file.signer_warning,
            nonce: file.nonce,
            never_issued: file.never_issued,
            max_request_bytes: file.max_request_bytes,
            cache_entries: file.cache_entries,
            max_connections: file.max_connections,
            max_connections_per_source: file.max_connections_per_source,
            signatures_per_source: file.signatures_per_source,
            request_log: file.request_log,
        })
    }
}

impl Config {
    /// Puts the settings that only a restart can change back to those of `old`;
    /// the names of those that differed.
    pub fn keep_fixed(&mut self, old: &Self) -> Vec<&'static str> {
        let mut waiting = Vec::new();
        config::keep("listen", &mut self.listen, &old.listen, &mut waiting);
        config::keep("metrics_listen", &mut self.metrics_listen, &old.metrics_listen, &mut waiting);
        config::keep("ledger", &mut self.ledger, &old.ledger, &mut waiting);
        config::keep("ledger_vkey", &mut self.ledger_vkey, &old.ledger_vkey, &mut waiting);
        config::keep("state_dir", &mut self.state_dir, &old.state_dir, &mut waiting);
        config::keep("max_request_bytes", &mut self.max_request_bytes, &old.max_request_bytes, &mut waiting);
        config::keep("max_connections", &mut self.max_connections, &old.max_connections, &mut waiting);
        let (new, old) = (&mut self.max_connections_per_source, &old.max_connections_per_source);
        config::keep("max_connections_per_source", new, old, &mut waiting);
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::staple::config::FileMode;

    const FULL: &str = "\
listen: 127.0.0.1:8081
ledger: ledger
ledger_vkey: \"chancery.example.test+00000000+AAAA\"
max_checkpoint_age: 8d
response_validity: 24h
authorities:
  - certificate: /a/certificate.pem
    signer: signers/issuing
nonce: echo
never_issued: unknown
max_request_bytes: 10000
staples:
  - certificate: mail.pem
    out: /s/mail.ocsp
    mode: 0640
    reload: [systemctl, reload, haproxy]
  - { certificate: web.pem, out: /s/web.ocsp }
";

    fn parse(text: &str) -> Result<Config, ServiceError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ocsp-responder.yaml");
        ca_files::write_atomic(&path, text.as_bytes(), ca_files::Mode::Public).unwrap();
        let parsed = Config::load(&path);
        if let Ok(config) = &parsed {
            assert_eq!(config.ledger, LedgerPlace::Directory(dir.path().join("ledger")));
        }
        parsed
    }

    #[test]
    fn a_full_file() {
        let config = parse(FULL).unwrap();
        assert_eq!(config.response_validity, Span::hours(24));
        assert_eq!(config.authorities[0].certificate, Path::new("/a/certificate.pem"));
        let Source::Delegate { prefix, request_next: true } = &config.authorities[0].source else {
            panic!("{:?}", config.authorities)
        };
        assert!(prefix.ends_with("signers/issuing"));
        let staples: Vec<_> = config.staples.iter().map(|s| (s.mode, s.reload.len())).collect();
        assert_eq!(staples, [(FileMode::Group, 3), (FileMode::Everybody, 0)]);
        assert!(config.staples[0].certificate.ends_with("mail.pem"));
        assert_eq!((config.nonce, config.never_issued), (NonceRule::Echo, NeverIssuedRule::Unknown));
    }

    #[test]
    fn who_signs() {
        let own = FULL.replace("signers/issuing", "{authority_key: /a/key.pem, passphrase_credential: ca}");
        let passphrase = ca_signing::PassphraseSource::Credential("ca".into());
        let expected = Source::Authority { key: "/a/key.pem".into(), passphrase };
        assert_eq!(parse(&own).unwrap().authorities[0].source, expected);
        let presigned = FULL.replace("signer: signers/issuing", "presigned: /a/root");
        let expected = Source::Presigned { directory: "/a/root".into() };
        assert_eq!(parse(&presigned).unwrap().authorities[0].source, expected);
        let by_hand = FULL.replace("signers/issuing", "/a/issuing\n    request_next: false");
        let expected = Source::Delegate { prefix: "/a/issuing".into(), request_next: false };
        assert_eq!(parse(&by_hand).unwrap().authorities[0].source, expected);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (from, to, expected) in [
            ("nonce: echo", "nonce: maybe", "maybe"),
            ("nonce: echo", "nonces: echo", "nonces"),
            ("nonce: echo", "nonce: require", "a staple answers no request"),
            ("response_validity: 24h", "response_validity: 11d", "response_validity"),
            ("response_validity: 24h", "response_validity: 5s", "response_validity"),
            ("response_validity: 24h", "path: ocsp", "path"),
            ("max_request_bytes: 10000", "max_request_bytes: 10", "max_request_bytes"),
            ("nonce: echo", "max_connections_per_source: 0", "max_connections_per_source"),
            ("    signer:", "    singer:", "singer"),
            ("    signer: signers/issuing", "    request_next: false", "either signer or presigned"),
            ("nonce: echo", "signer_warning: soon", "soon"),
            ("signers/issuing", "{authority_key: ca.key, passphrase: secret}", "passphrase"),
            (
                "signers/issuing",
                "{authority_key: ca.key, passphrase_file: p, passphrase_fd: 3}",
                "give one of passphrase_file",
            ),
            ("never_issued: unknown", "never_issued: good", "good"),
            ("nonce: echo", "request_log: {sample: 2}", "request_log"),
            ("nonce: echo", "request_log: {client_address: some}", "some"),
            ("web.ocsp", "mail.ocsp", "the file of two staples"),
            ("0640", "0666", "0666"),
            ("[systemctl, reload, haproxy]", "[\"\"]", "reload"),
        ] {
            let error = parse(&FULL.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }
}
