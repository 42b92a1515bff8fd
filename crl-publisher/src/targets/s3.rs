//! An object store that speaks the protocol of Amazon S3.
//!
//! A write says which object it is to replace (If-Match, or If-None-Match when there was
//! none), so that two publishers do not overwrite each other's (RFC 9110, section 13.1).

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use ca_files::read_private;
use ca_service::client::{self, ClientTls};
use ca_service::{Clock, ServiceError, Span};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};
use zeroize::Zeroizing;

use super::item::Kind;
use super::spool::Spool;
use super::{Before, Item, Standing, Target, TargetError};

/// A longer answer about an error is cut.
const MAX_ERROR: u64 = 16 * 1024;
/// Certificates hardly ever change.
const CERTIFICATE_AGE: u64 = 86_400;
/// Caches ask again after this at least, so that an early CRL gets to clients.
const CRL_AGE: u64 = 3_600;

/// How an object store is reached.
#[derive(Clone, Debug)]
pub struct S3Config {
    /// The address of the store, without the bucket.
    pub endpoint: String,
    /// Its region, which is signed.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// Whether the bucket is in the path of the address, not in the name of the host.
    pub path_style: bool,
    /// What comes before the path of each file; empty, or ends with `/`.
    pub prefix: String,
    /// The name of the access key.
    pub access_key: String,
    /// A private file with the secret of the key.
    pub secret_key_file: PathBuf,
    /// A private file with the token of a temporary key.
    pub session_token_file: Option<PathBuf>,
    /// Who may certify the store, PEM; the system's authorities without it.
    pub ca_file: Option<PathBuf>,
    /// Whether writes say what they replace; some stores do not know that.
    pub conditional: bool,
    /// How long a request may take.
    pub timeout: Span,
}

/// Objects in a bucket.
pub struct S3Target {
    config: S3Config,
    bucket: Bucket,
    /// None until the files for TLS could be read.
    agent: Option<Agent>,
    spool: Spool,
    clock: Arc<dyn Clock>,
}

impl S3Target {
    /// The bucket that `config` names. Nothing is asked for or read yet.
    ///
    /// # Errors
    /// The address is none.
    pub fn new(config: S3Config, spool: Spool, clock: Arc<dyn Clock>) -> Result<Self, ServiceError> {
        let bucket =
            bucket(&config).map_err(|what| ServiceError::Config { path: PathBuf::from("s3"), what })?;
        Ok(Self { config, bucket, agent: None, spool, clock })
    }

    fn agent(&mut self) -> Result<Agent, ServiceError> {
        if let Some(agent) = &self.agent {
            return Ok(agent.clone());
        }
        let identity = ClientTls { ca_file: self.config.ca_file.clone(), ..ClientTls::default() };
        let agent = client::agent(&self.config.endpoint, &identity, self.config.timeout)?;
        Ok(self.agent.insert(agent).clone())
    }

    /// Read anew each time: keys are changed, and temporary ones end.
    fn credentials(&self) -> Result<Credentials, ca_files::FileError> {
        let secret = read_line(&self.config.secret_key_file)?;
        let key = self.config.access_key.clone();
        Ok(match &self.config.session_token_file {
            Some(path) => Credentials::new_with_token(key, secret.as_str(), read_line(path)?.as_str()),
            None => Credentials::new(key, secret.as_str()),
        })
    }

    fn key(&self, item: &Item) -> String {
        format!("{}{}", self.config.prefix, item.path)
    }

    fn failed(&self, key: &str, what: impl std::fmt::Display) -> TargetError {
        TargetError::Failed(format!("{} {key} in {}: {what}", self.config.endpoint, self.config.bucket))
    }

    /// What an answer other than the hoped for means.
    fn refused(&self, key: &str, mut response: Response<Body>) -> TargetError {
        let status = response.status();
        let body = response.body_mut().with_config().limit(MAX_ERROR).read_to_string().unwrap_or_default();
        let code = between(&body, "<Code>", "</Code>").unwrap_or_default();
        let hint = match status.as_u16() {
            301 | 307 => "; check endpoint and region",
            403 => {
                "; check key and clock, and that the key may list the bucket (s3:ListBucket): else \
                what is not there is forbidden, too"
            }
            404 => "; check the name of the bucket",
            409 | 412 => "; somebody else wrote there in this moment",
            501 => "; if it does not know conditional writes, set `conditional: false`",
            _ => "",
        };
        self.failed(key, format!("it answers {status} {code}{hint}"))
    }

    /// How long caches may keep it.
    fn cache_control(&self, item: &Item) -> String {
        let age = match &item.look.kind {
            Kind::Crl(facts) => facts.next_update.seconds_since(self.clock.now()).min(CRL_AGE),
            Kind::Certificate | Kind::Faulty(_) => CERTIFICATE_AGE,
        };
        format!("public, max-age={age}")
    }
}

impl Target for S3Target {
    fn ready(&mut self) -> Result<(), String> {
        self.agent().map_err(|error| error.to_string())?;
        self.credentials().map(drop).map_err(|error| error.to_string())
    }

    fn read(&mut self, item: &Item, tag: Option<&str>) -> Result<Standing, TargetError> {
        let key = self.key(item);
        let agent = self.agent().map_err(|error| self.failed(&key, error))?;
        let credentials = self.credentials()?;
        let mut action = self.bucket.get_object(Some(&credentials), &key);
        if let Some(tag) = tag {
            action.headers_mut().insert("if-none-match", tag);
        }
        let url = action.sign(self.config.timeout.as_duration());
        let mut request = agent.get(url.as_str());
        if let Some(tag) = tag {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        let mut response = request.call().map_err(|error| self.failed(&key, error))?;
        match response.status() {
            StatusCode::OK => {
                let tag = entity_tag(&response);
                Ok(Standing::Found(self.spool.take(response.body_mut().as_reader())?, tag))
            }
            StatusCode::NOT_MODIFIED if tag.is_some() => Ok(Standing::Unchanged),
            StatusCode::NOT_FOUND => {
                let body = response.body_mut().as_reader().take(MAX_ERROR);
                let text = std::io::read_to_string(body).unwrap_or_default();
                if text.contains("<Code>NoSuchBucket</Code>") {
                    return Err(self.failed(&key, "there is no such bucket; make it, or correct its name"));
                }
                Ok(Standing::Absent)
            }
            _ => Err(self.refused(&key, response)),
        }
    }

    fn put(&mut self, item: &Item, before: &Before) -> Result<Option<String>, TargetError> {
        let key = self.key(item);
        let agent = self.agent().map_err(|error| self.failed(&key, error))?;
        let credentials = self.credentials()?;
        let content_type = match item.look.kind {
            Kind::Crl(_) => crate::shelf::CRL_TYPE,
            Kind::Certificate | Kind::Faulty(_) => crate::certificates::CERTIFICATE_TYPE,
        };
        let cache_control = self.cache_control(item);
        let mut headers = vec![("cache-control", cache_control.as_str()), ("content-type", content_type)];
        match &before.tag {
            _ if !self.config.conditional => {}
            Some(tag) => headers.push(("if-match", tag)),
            None if before.is_there => {}
            None => headers.push(("if-none-match", "*")),
        }
        let mut action = self.bucket.put_object(Some(&credentials), &key);
        for (name, value) in &headers {
            action.headers_mut().insert(*name, *value);
        }
        let url = action.sign(self.config.timeout.as_duration());
        let mut request = agent.put(url.as_str());
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let file = item.reader().map_err(|error| self.failed(&key, error))?;
        let response = request.send(file).map_err(|error| self.failed(&key, error))?;
        if response.status().is_success() {
            Ok(entity_tag(&response))
        } else {
            Err(self.refused(&key, response))
        }
    }
}

/// The bucket of a configuration.
///
/// # Errors
/// What is wrong with it.
pub fn bucket(config: &S3Config) -> Result<Bucket, String> {
    let endpoint = config.endpoint.parse().map_err(|_| "endpoint: it is no address".to_owned())?;
    let style = if config.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
    Bucket::new(endpoint, style, config.bucket.clone(), config.region.clone())
        .map_err(|error| format!("endpoint, bucket: {error}"))
}

fn entity_tag(response: &Response<Body>) -> Option<String> {
    response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned)
}

fn read_line(path: &std::path::Path) -> Result<Zeroizing<String>, ca_files::FileError> {
    let bytes = Zeroizing::new(read_private(path)?);
    let text = String::from_utf8_lossy(&bytes);
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().trim().to_owned()))
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(from)?;
    rest.split_once(to).map(|(found, _)| found)
}
