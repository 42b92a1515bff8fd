//! `ca.yaml`: the configuration of a home.

pub mod maintain;

use std::collections::BTreeMap;
use std::path::Path;

use ca_domain::Shard;
use ca_domain::profile::AuthorityUrls;
use ca_domain::template::MailboxDomains;
use serde::{Deserialize, Serialize};

use crate::error::{AuthorityError, Result};
use maintain::MaintainConfig;

/// The contents of `ca.yaml`. Unknown fields are refused.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HomeConfig {
    /// The format of the file; 1.
    pub version: u32,
    /// The ledger's public verification key (C2SP signed-note verifier key).
    pub ledger_vkey: String,
    /// Rules for single authorities, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub authorities: BTreeMap<String, AuthorityRules>,
    /// Where relying parties find CRLs, CA certificates and status.
    #[serde(default)]
    pub urls: UrlPatterns,
    /// The templates of a person's pair of certificates.
    #[serde(default, skip_serializing_if = "PairTemplates::is_default")]
    pub pair: PairTemplates,
    /// What `ca maintain` looks after.
    #[serde(default, skip_serializing_if = "MaintainConfig::is_default")]
    pub maintain: MaintainConfig,
}

/// The templates of a pair unless others are named.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PairTemplates {
    /// Of the signing certificate.
    pub signing: String,
    /// Of the encryption certificate, whose key is archived.
    pub encryption: String,
}

impl Default for PairTemplates {
    fn default() -> Self {
        Self { signing: "smime-signing".into(), encryption: "smime-encryption".into() }
    }
}

impl PairTemplates {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn to_yaml(&self) -> String {
        let mark = if self.is_default() { "# " } else { "" };
        let Self { signing, encryption } = self;
        format!(
            "\n# The templates of a person's pair of certificates (`ca issue --pair`).\n\
             {mark}pair:\n{mark}  signing: \"{signing}\"\n{mark}  encryption: \"{encryption}\"\n"
        )
    }
}

/// Rules for what one authority issues, beside those of the template: both must permit.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorityRules {
    /// Whose mailboxes it certifies.
    #[serde(default)]
    pub mailbox_domains: MailboxDomains,
}

/// URLs that go into certificates; `{authority}` stands for the issuer's name.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct UrlPatterns {
    /// The CRL of an authority (cRLDistributionPoints).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crl: Option<String>,
    /// Into how many parts the certificates of an authority fall, each with a CRL of
    /// its own; `{shard}` and `{shards}` then stand in `crl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crl_shards: Option<u16>,
    /// The delta CRL of an authority (freshestCRL), for templates that have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta_crl: Option<String>,
    /// The certificate of an authority, DER (caIssuers of authorityInfoAccess).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_issuers: Option<String>,
    /// The OCSP responder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ocsp: Option<String>,
}

/// How the rules of authorities are written, in a new `ca.yaml`.
const AUTHORITIES: &str = "
# Whose mailboxes an authority certifies; its template must permit them as well.
# authorities:
#   issuing:
#     mailbox_domains:
#       allow: [example.test, .example.test]   # the domain, and all below it
#       deny: [test.example.test]
";

const PLACEHOLDER: &str = "{authority}";

impl UrlPatterns {
    /// The pattern meant by what an administrator types.
    ///
    /// A URL with `{authority}` is taken as it is; one without a path gets
    /// `/FOLDER/{authority}.SUFFIX`, one with a path `/{authority}.SUFFIX`.
    ///
    /// # Errors
    /// Anything that is not plain `http://HOST...`: relying parties fetch
    /// revocation data without TLS (RFC 5280, section 8).
    pub fn pattern(url: &str, folder: &str, suffix: &str) -> Result<String> {
        let url = check_http(url)?;
        if url.contains(PLACEHOLDER) {
            return Ok(url.to_owned());
        }
        let base = url.trim_end_matches('/');
        let has_path = base.trim_start_matches("http://").contains('/');
        let folder = if has_path { String::new() } else { format!("/{folder}") };
        Ok(format!("{base}{folder}/{PLACEHOLDER}.{suffix}"))
    }

    /// The URLs in certificates that `authority` issues.
    #[must_use]
    pub fn of(&self, authority: &str) -> AuthorityUrls {
        let fill = |pattern: &Option<String>| {
            pattern.iter().map(|text| text.replace(PLACEHOLDER, authority)).collect::<Vec<_>>()
        };
        AuthorityUrls {
            crl: fill(&self.crl),
            delta_crl: fill(&self.delta_crl),
            shards: self.crl_shards,
            ca_issuers: fill(&self.ca_issuers),
            ocsp: fill(&self.ocsp),
        }
    }

    /// What does not fit in the URLs of CRLs.
    fn contradiction(&self) -> Option<String> {
        if let Some(count) = self.crl_shards
            && !(2..=Shard::MOST).contains(&count)
        {
            return Some(format!("urls.crl_shards: {count} parts; use a number from 2 to {}", Shard::MOST));
        }
        for (field, url) in [("crl", &self.crl), ("delta_crl", &self.delta_crl)] {
            let Some(url) = url else { continue };
            // Without the number of parts a URL would mean something else after it changed.
            let named = (url.contains("{shard}"), url.contains("{shards}"));
            let what = match (self.crl_shards, named) {
                (Some(_), (true, true)) | (None, (false, false)) => continue,
                (Some(_), _) => "with crl_shards it needs {shard} and {shards}",
                (None, _) => "{shard} and {shards} need crl_shards, the number of parts",
            };
            return Some(format!(
                "urls.{field}: {what}, such as http://pki.example.test/crl/{{authority}}-{{shard}}-of-{{shards}}.crl"
            ));
        }
        None
    }
}

/// Refuses a URL that is not plain HTTP with a host.
///
/// # Errors
/// [`AuthorityError::Input`] that says what to write.
pub fn check_http(url: &str) -> Result<&str> {
    let host = url.strip_prefix("http://").unwrap_or_default();
    let printable = url.chars().all(|c| c.is_ascii_graphic() && !"\"<>\\^`|".contains(c));
    if host.is_empty() || host.starts_with(['/', ':']) || !printable {
        return Err(AuthorityError::Input(format!(
            "{url:?} is not a URL for relying parties; write http://HOST/..., without TLS, \
             since they fetch revocation data before they can trust a TLS certificate"
        )));
    }
    Ok(url)
}

impl HomeConfig {
    /// Reads the text of `ca.yaml`.
    ///
    /// # Errors
    /// [`AuthorityError::Config`] with line and field.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let bad = |what: String| AuthorityError::Config { path: path.display().to_string(), what };
        let config: Self = serde_saphyr::from_str(text).map_err(|error| bad(error.to_string()))?;
        if config.version != 1 {
            return Err(bad(format!(
                "version {} is not known; this program reads version 1",
                config.version
            )));
        }
        let urls = [&config.urls.crl, &config.urls.delta_crl, &config.urls.ca_issuers, &config.urls.ocsp];
        for url in urls.into_iter().flatten() {
            check_http(url).map_err(|error| bad(error.to_string()))?;
        }
        config.urls.contradiction().map_or(Ok(()), |what| Err(bad(what)))?;
        config.maintain.check().map_err(bad)?;
        for (name, rules) in &config.authorities {
            crate::authority::check_name(name).map_err(|error| bad(format!("authorities: {error}")))?;
            if let Some(domain) = rules.mailbox_domains.contradiction() {
                return Err(bad(format!(
                    "authorities.{name}.mailbox_domains: {domain} is both allowed and denied"
                )));
            }
        }
        Ok(config)
    }

    /// Whose mailboxes an authority certifies, beside what templates permit.
    #[must_use]
    pub fn mailbox_domains(&self, authority: &str) -> MailboxDomains {
        self.authorities.get(authority).map(|rules| rules.mailbox_domains.clone()).unwrap_or_default()
    }

    /// The text of `ca.yaml`, with comments.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let line = |name: &str, value: &Option<String>, example: &str| match value {
            Some(url) => format!("  {name}: \"{url}\"\n"),
            None => format!("  # {name}: \"{example}\"\n"),
        };
        let urls = [
            line("crl", &self.urls.crl, "http://pki.example.test/crl/{authority}.crl"),
            line("delta_crl", &self.urls.delta_crl, "http://pki.example.test/crl/{authority}-delta.crl"),
            self.urls.crl_shards.map_or(String::new(), |count| format!("  crl_shards: {count}\n")),
            line("ca_issuers", &self.urls.ca_issuers, "http://pki.example.test/ca/{authority}.crt"),
            line("ocsp", &self.urls.ocsp, "http://ocsp.example.test/"),
        ]
        .concat();
        let head = if self.urls == UrlPatterns::default() { "urls: {}\n" } else { "urls:\n" };
        format!(
            "# Configuration of this authority home. Checked strictly: an unknown field is an error.\n\
             version: {}\n\
             \n\
             # The ledger's public key. Give it to those who verify the ledger.\n\
             ledger_vkey: \"{}\"\n\
             \n\
             # Where relying parties find revocation data; {{authority}} is the issuer's name.\n\
             # These go into every certificate: settle them before the first one is issued.\n\
             {head}{urls}{AUTHORITIES}{}{}",
            self.version,
            self.ledger_vkey,
            self.pair.to_yaml(),
            self.maintain.to_yaml()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_from_what_people_type() {
        for (typed, meant) in [
            ("http://pki.example.test", "http://pki.example.test/crl/{authority}.crl"),
            ("http://pki.example.test:8082/", "http://pki.example.test:8082/crl/{authority}.crl"),
            ("http://pki.example.test/lists/", "http://pki.example.test/lists/{authority}.crl"),
            ("http://a.test/{authority}-v1.crl", "http://a.test/{authority}-v1.crl"),
        ] {
            assert_eq!(UrlPatterns::pattern(typed, "crl", "crl").unwrap(), meant);
        }
        for bad in
            ["https://pki.example.test", "pki.example.test", "http://", "http:///x", "http://a b", "ldap://x"]
        {
            assert!(UrlPatterns::pattern(bad, "crl", "crl").is_err(), "{bad}");
        }
    }

    #[test]
    fn written_and_read_back() {
        for urls in [
            UrlPatterns::default(),
            UrlPatterns { crl: Some("http://a.test/{authority}.crl".into()), ..UrlPatterns::default() },
            UrlPatterns {
                crl: Some("http://a.test/{authority}-{shard}-of-{shards}.crl".into()),
                crl_shards: Some(16),
                delta_crl: Some("http://a.test/{authority}-{shard}-of-{shards}-delta.crl".into()),
                ..UrlPatterns::default()
            },
        ] {
            let config = HomeConfig {
                version: 1,
                ledger_vkey: "a.test+0102+AA==".into(),
                urls,
                pair: Default::default(),
                maintain: Default::default(),
                authorities: Default::default(),
            };
            assert_eq!(HomeConfig::parse(&config.to_yaml(), Path::new("ca.yaml")).unwrap(), config);
        }
        for (urls, what) in [
            ("{ crl: 'http://a.test/{authority}.crl', crl_shards: 4 }", "urls.crl: with crl_shards"),
            ("{ crl: 'http://a.test/{shard}.crl', crl_shards: 4 }", "urls.crl: with crl_shards"),
            (
                "{ delta_crl: 'http://a.test/{shard}-of-{shards}' }",
                "urls.delta_crl: {shard} and {shards} need",
            ),
            ("{ crl_shards: 1 }", "from 2 to 4096"),
            ("{ delta_crl: 'https://a.test/x' }", "without TLS"),
        ] {
            let text = format!("version: 1\nledger_vkey: x\nurls: {urls}\n");
            let error = HomeConfig::parse(&text, Path::new("ca.yaml")).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        let rules = |rules: &str| format!("version: 1\nledger_vkey: x\nauthorities: {rules}\n");
        let parse = |text: &str| HomeConfig::parse(&rules(text), Path::new("ca.yaml"));
        let config = parse("{ issuing: { mailbox_domains: { allow: [.example.test] } } }").unwrap();
        assert!(config.mailbox_domains("issuing").permits("a.example.test"));
        assert!(!config.mailbox_domains("issuing").permits("example.test"));
        assert!(config.mailbox_domains("tls").permits("example.test"));
        for bad in [
            "{ issuing: { mailbox_domain: {} } }",
            "{ issuing: { mailbox_domains: { permit: [] } } }",
            "{ issuing: { mailbox_domains: { allow: ['*.example.test'] } } }",
            "{ issuing: { mailbox_domains: { allow: [a.test], deny: [a.test] } } }",
            "{ ../issuing: {} }",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let error =
            HomeConfig::parse("version: 1\nledger_vkey: x\nurl: {}\n", Path::new("ca.yaml")).unwrap_err();
        assert!(error.to_string().contains("url"), "{error}");
    }
}
