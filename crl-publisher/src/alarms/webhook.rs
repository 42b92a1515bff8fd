//! Alarms as requests to a web server: one POST with a JSON object each.

use std::path::PathBuf;

use ca_service::client::{self, ClientTls};
use ca_service::{ServiceError, Span};
use serde::Serialize;
use ureq::Agent;
use ureq::http::header;
use zeroize::Zeroizing;

use super::{Channel, Event};

/// How the web server is reached.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// The address, which may have a secret part.
    pub url: String,
    /// Whom to trust, and as whom to show oneself.
    pub tls: ClientTls,
    /// A private file with the value of the field Authorization.
    pub authorization_file: Option<PathBuf>,
    /// How long a request may take.
    pub timeout: Span,
}

/// Requests to a web server.
pub struct Webhook {
    config: WebhookConfig,
    /// None until the files for TLS could be read.
    agent: Option<Agent>,
    host: String,
}

/// The body of a request.
#[derive(Serialize)]
struct Body<'a> {
    version: u32,
    daemon: &'static str,
    host: &'a str,
    id: &'a str,
    event: super::Occasion,
    topic: &'a str,
    summary: &'a str,
    detail: &'a str,
    since: String,
    at: String,
}

impl Webhook {
    /// The server that `config` names. Nothing is sent or read yet.
    #[must_use]
    pub fn new(config: WebhookConfig, host: &str) -> Self {
        Self { config, agent: None, host: host.to_owned() }
    }

    fn agent(&mut self) -> Result<Agent, ServiceError> {
        if let Some(agent) = &self.agent {
            return Ok(agent.clone());
        }
        let agent = client::agent(&self.config.url, &self.config.tls, self.config.timeout)?;
        Ok(self.agent.insert(agent).clone())
    }

    fn authorization(&self) -> Result<Option<Zeroizing<String>>, ca_files::FileError> {
        let Some(path) = &self.config.authorization_file else { return Ok(None) };
        let bytes = Zeroizing::new(ca_files::read_private(path)?);
        let text = String::from_utf8_lossy(&bytes);
        Ok(Some(Zeroizing::new(text.lines().next().unwrap_or_default().trim().to_owned())))
    }

    /// The server without the path, which may be a secret.
    fn server(&self) -> &str {
        let url = &self.config.url;
        let start = url.find("://").map_or(0, |at| at + 3);
        url[start..].find('/').map_or(url, |end| &url[..start + end])
    }
}

impl Channel for Webhook {
    fn ready(&mut self) -> Result<(), String> {
        self.agent().map_err(|error| error.to_string())?;
        self.authorization().map(drop).map_err(|error| error.to_string())
    }

    fn batch(&self) -> usize {
        1
    }

    fn send(&mut self, events: &[Event]) -> Result<(), String> {
        let agent = self.agent().map_err(|error| error.to_string())?;
        let authorization = self.authorization().map_err(|error| error.to_string())?;
        for event in events {
            let body = Body {
                version: 1,
                daemon: "crl-publisher",
                host: &self.host,
                id: &event.id,
                event: event.event,
                topic: &event.topic,
                summary: &event.summary,
                detail: &event.detail,
                since: event.since.to_string(),
                at: event.at.to_string(),
            };
            let body = serde_json::to_vec(&body).map_err(|error| error.to_string())?;
            let mut request = agent.post(&self.config.url).header(header::CONTENT_TYPE, "application/json");
            if let Some(value) = &authorization {
                request = request.header(header::AUTHORIZATION, value.as_str());
            }
            let sent = request.send(&body);
            let response = sent.map_err(|error| format!("{}: {error}", self.server()))?;
            if !response.status().is_success() {
                return Err(format!("{} answers {}", self.server(), response.status()));
            }
        }
        Ok(())
    }
}
