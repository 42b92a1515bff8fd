//! `publish.yaml`: the directories that certificates are published in.

use std::collections::BTreeSet;
use std::path::Path;

use ca_ldap::DirectoryConfig;
use serde::Deserialize;

use crate::error::{AuthorityError, Result};
use crate::home::Home;

/// The contents of `publish.yaml`. Unknown fields are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishConfig {
    /// The format of the file; 1.
    pub version: u32,
    /// The directories.
    pub directories: Vec<DirectoryTarget>,
}

/// One directory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryTarget {
    /// What we call it.
    pub name: String,
    /// How it is reached.
    pub server: DirectoryConfig,
    /// Where people are: the distinguished name above them all.
    pub base: String,
    /// The attributes by which a person's entry is found.
    #[serde(default = "default_find_by")]
    pub find_by: Vec<FindBy>,
    /// Whether to publish userSMIMECertificate as well, where there is a signed object for it.
    #[serde(default)]
    pub user_smime_certificate: bool,
    /// Entries that a search may give; a directory with more ends the run.
    #[serde(default = "default_max_entries")]
    pub max_entries: usize,
    /// The authorities whose certificates are published; empty for all of the home.
    #[serde(default)]
    pub authorities: Vec<String>,
}

/// An attribute that has a person's address.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub enum FindBy {
    /// `mail`.
    #[serde(rename = "mail")]
    Mail,
    /// `proxyAddresses`, whose values begin with `SMTP:` or `smtp:`.
    #[serde(rename = "proxyAddresses")]
    ProxyAddresses,
    /// `userPrincipalName`.
    #[serde(rename = "userPrincipalName")]
    UserPrincipalName,
}

impl FindBy {
    /// The attribute's name.
    #[must_use]
    pub const fn attribute(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::ProxyAddresses => "proxyAddresses",
            Self::UserPrincipalName => "userPrincipalName",
        }
    }
}

fn default_find_by() -> Vec<FindBy> {
    vec![FindBy::Mail]
}

const fn default_max_entries() -> usize {
    1_000_000
}

impl PublishConfig {
    /// Reads `publish.yaml` of the home.
    ///
    /// # Errors
    /// There is none, others could have changed it, or it is malformed.
    pub fn load(home: &Home) -> Result<Self> {
        let (text, path) = home.read_file("publish.yaml", "directories")?;
        Self::parse(&text, &path)
    }

    /// Reads the text of `publish.yaml`. Relative paths are relative to its directory.
    ///
    /// # Errors
    /// [`AuthorityError::Config`] with what is wrong.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let bad = |what: String| AuthorityError::Config { path: path.display().to_string(), what };
        let mut config: Self = serde_saphyr::from_str(text).map_err(|error| bad(error.to_string()))?;
        config.check().map_err(bad)?;
        for directory in &mut config.directories {
            directory.server.resolve(path.parent().unwrap_or(Path::new("")));
        }
        Ok(config)
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.version != 1 {
            return Err(format!("version {} is not known; this program reads version 1", self.version));
        }
        if self.directories.is_empty() {
            return Err("directories is empty; describe at least one".into());
        }
        let mut names = BTreeSet::new();
        for directory in &self.directories {
            let name = &directory.name;
            let named = |what: &str| Err(format!("directory {name:?}: {what}"));
            if name.is_empty() || !names.insert(name) {
                return named("give every directory a name of its own");
            }
            if directory.find_by.is_empty() {
                return named("find_by is empty; write [mail]");
            }
            if directory.base.trim().is_empty() {
                return named("base is empty; write the name above all people, as dc=example,dc=test");
            }
            directory.server.check().or_else(|error| named(&error.to_string()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
version: 1
directories:
  - name: staff
    server: {url: 'ldaps://ldap.example.test', bind_dn: cn=ca, password_file: pw}
    base: dc=example,dc=test
    find_by: [mail, proxyAddresses, userPrincipalName]
";

    #[test]
    fn good_and_bad() {
        let parse = |text: &str| PublishConfig::parse(text, Path::new("/home/publish.yaml"));
        let config = parse(GOOD).unwrap();
        let server = &config.directories[0].server;
        assert_eq!(server.password_file.as_deref(), Some(Path::new("/home/pw")));
        for (from, to, says) in [
            ("version: 1", "version: 2", "version 2"),
            ("ldaps", "ldap", "no TLS"),
            ("mail, proxyAddresses, userPrincipalName", "", "find_by"),
            ("userPrincipalName", "upn", "upn"),
            ("name: staff", "name: ''", "name of its own"),
            ("dc=example,dc=test", "''", "base"),
            ("base", "basis", "basis"),
        ] {
            let error = parse(&GOOD.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(says), "{to}: {error}");
        }
    }
}
