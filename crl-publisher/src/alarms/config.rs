//! The section `alarms` of the configuration.

use std::path::{Path, PathBuf};

use ca_mail::SmtpConfig;
use ca_service::Span;
use ca_service::client::ClientTls;
use ca_service::config::beside;
use ca_service::span::SpanOrOff;
use lettre::message::Mailbox;
use serde::Deserialize;

use super::mail::MailConfig;
use super::queue::Rules;
use super::webhook::WebhookConfig;

/// The section as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlarmsFile {
    after: Option<Span>,
    repeat: Option<SpanOrOff>,
    mail: Option<MailFile>,
    webhook: Option<WebhookFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MailFile {
    smtp: SmtpConfig,
    from: String,
    to: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookFile {
    url: String,
    ca_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_key: Option<PathBuf>,
    authorization_file: Option<PathBuf>,
    timeout: Option<Span>,
}

/// How people are told of alarms.
#[derive(Clone, Debug)]
pub struct AlarmsConfig {
    /// When they are told.
    pub rules: Rules,
    /// By mail, if they are.
    pub mail: Option<MailConfig>,
    /// By requests to a web server, if they are.
    pub webhook: Option<WebhookConfig>,
}

impl AlarmsFile {
    /// The section with values that fit each other. Relative paths count from the directory of `config`.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(self, config: &Path) -> Result<AlarmsConfig, String> {
        let rules = Rules {
            after: self.after.unwrap_or(Span::seconds(30)),
            repeat: self.repeat.map_or(Some(Span::days(1)), |given| given.0),
        };
        if rules.repeat.is_some_and(|every| every < Span::minutes(1)) {
            return Err("repeat: choose at least 1m, or off".into());
        }
        if self.mail.is_none() && self.webhook.is_none() {
            return Err("give mail, webhook, or both".into());
        }
        let mail =
            self.mail.map(|mail| mail.check(config)).transpose().map_err(|what| format!("mail: {what}"))?;
        let webhook = self.webhook.map(|webhook| webhook.check(config)).transpose();
        Ok(AlarmsConfig { rules, mail, webhook: webhook.map_err(|what| format!("webhook: {what}"))? })
    }
}

impl MailFile {
    fn check(mut self, config: &Path) -> Result<MailConfig, String> {
        self.smtp.check()?;
        self.smtp.resolve(config.parent().unwrap_or(Path::new("")));
        if self.to.is_empty() {
            return Err("to: name at least one address".into());
        }
        let to = self.to.iter().map(|text| mailbox(text)).collect::<Result<_, _>>()?;
        Ok(MailConfig { smtp: self.smtp, from: mailbox(&self.from)?, to })
    }
}

impl WebhookFile {
    fn check(self, config: &Path) -> Result<WebhookConfig, String> {
        let beside = |path: PathBuf| beside(config, &path);
        let is_tls = self.url.starts_with("https://");
        if !is_tls && !self.url.starts_with("http://") {
            return Err("url: begin it with https:// or http://".into());
        }
        let uri: ureq::http::Uri = self.url.parse().map_err(|_| "url: it is no address")?;
        if uri.authority().is_none_or(|authority| authority.as_str().contains('@')) {
            return Err("url: name a host, without user or password; authorization_file is for these".into());
        }
        let files = [&self.ca_file, &self.client_certificate, &self.client_key];
        if !is_tls && files.iter().any(|file| file.is_some()) {
            return Err("ca_file, client_certificate, client_key: need https://".into());
        }
        if self.client_certificate.is_some() != self.client_key.is_some() {
            return Err("client_certificate, client_key: give both or none".into());
        }
        let timeout = self.timeout.unwrap_or(Span::seconds(30));
        if !(Span::seconds(1)..=Span::minutes(10)).contains(&timeout) {
            return Err("timeout: choose 1s to 10m".into());
        }
        Ok(WebhookConfig {
            url: self.url,
            tls: ClientTls {
                ca_file: self.ca_file.map(beside),
                client_certificate: self.client_certificate.map(beside),
                client_key: self.client_key.map(beside),
            },
            authorization_file: self.authorization_file.map(beside),
            timeout,
        })
    }
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    text.parse()
        .map_err(|error| format!("{text:?} is not an address: {error}; write Name <user@example.test>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
mail:
  smtp: {host: mail.example.test, port: 587, tls: starttls, username: ca, password_file: pw}
  from: CA <ca@example.test>
  to: [ops@example.test]
webhook: {url: 'https://hooks.example.test/x', authorization_file: token}
";

    fn parse(text: &str) -> Result<AlarmsConfig, String> {
        let file: AlarmsFile = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        file.check(Path::new("/etc/c.yaml"))
    }

    #[test]
    fn a_good_one() {
        let config = parse(GOOD).unwrap();
        assert_eq!(config.rules, Rules { after: Span::seconds(30), repeat: Some(Span::days(1)) });
        assert_eq!(config.mail.unwrap().smtp.password_file.as_deref(), Some(Path::new("/etc/pw")));
        assert_eq!(config.webhook.unwrap().authorization_file.as_deref(), Some(Path::new("/etc/token")));
        assert_eq!(parse(&format!("repeat: off\n{GOOD}")).unwrap().rules.repeat, None);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (from, to, expected) in [
            ("starttls", "none", "this machine"),
            ("to: [ops@example.test]", "to: []", "at least one"),
            ("ops@example.test", "\"ops@example.test\\nBcc: x@y.test\"", "not an address"),
            ("https:", "gopher:", "https://"),
            ("https://hooks", "http://hooks", ""),
            ("https://hooks", "https://a:b@hooks", "password"),
            ("authorization_file: token", "client_key: k", "both or none"),
            ("mail:", "mial:", "mial"),
        ] {
            let result = parse(&GOOD.replace(from, to));
            match expected {
                "" => drop(result.unwrap()),
                _ => assert!(result.as_ref().unwrap_err().contains(expected), "{to}: {result:?}"),
            }
        }
        assert!(parse("after: 1s").unwrap_err().contains("both"));
        assert!(parse(&format!("repeat: 1s\n{GOOD}")).unwrap_err().contains("repeat"));
    }
}
