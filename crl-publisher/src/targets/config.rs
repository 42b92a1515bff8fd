//! The section `targets` of the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ca_ldap::{Attribute, DirectoryConfig};
use ca_service::Span;
use ca_service::config::beside;
use ca_service::span::SpanOrOff;
use serde::Deserialize;

use super::courier::Files;
use super::ldap::EntryConfig;
use super::s3::{self, S3Config};

/// A target as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetFile {
    name: String,
    authorities: Option<Vec<String>>,
    files: Option<FilesFile>,
    timeout: Option<Span>,
    alarm_after: Option<Span>,
    retry_at_most: Option<Span>,
    recheck: Option<SpanOrOff>,
    directory: Option<PathBuf>,
    s3: Option<S3File>,
    command: Option<Vec<String>>,
    verify: Option<Vec<String>>,
    ldap: Option<DirectoryConfig>,
    entries: Option<Vec<EntryFile>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryFile {
    file: String,
    dn: String,
    #[serde(default)]
    attributes: Vec<AttributeName>,
    #[serde(default)]
    create: bool,
}

/// As the standard has them (RFC 4523).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
enum AttributeName {
    AuthorityRevocationList,
    #[serde(rename = "cACertificate")]
    CaCertificate,
    CertificateRevocationList,
    DeltaRevocationList,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum FilesFile {
    All,
    Certificates,
    Crls,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct S3File {
    endpoint: String,
    region: String,
    bucket: String,
    #[serde(default = "yes")]
    path_style: bool,
    #[serde(default)]
    prefix: String,
    access_key: String,
    secret_key_file: PathBuf,
    session_token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    #[serde(default = "yes")]
    conditional: bool,
}

const fn yes() -> bool {
    true
}

/// A place that CRLs and certificates are taken to.
#[derive(Clone, Debug)]
pub struct TargetConfig {
    /// The NAME of its state file, alarms and metrics.
    pub name: String,
    /// Whose files go there; none for those of all authorities.
    pub authorities: Option<Vec<String>>,
    /// Which files.
    pub files: Files,
    /// How long one attempt may take.
    pub timeout: Span,
    /// How long it may be behind before there is an alarm.
    pub alarm_after: Span,
    /// The longest pause after failures.
    pub retry_at_most: Span,
    /// How often what was delivered is looked at again; never without it.
    pub recheck: Option<Span>,
    /// What kind of place it is.
    pub place: Place,
}

/// The kinds of targets.
#[derive(Clone, Debug)]
pub enum Place {
    /// A directory of this machine.
    Directory(PathBuf),
    /// An object store.
    S3(Box<S3Config>),
    /// A directory.
    Ldap {
        /// How it is reached.
        directory: Box<DirectoryConfig>,
        /// Where each file goes.
        entries: BTreeMap<String, EntryConfig>,
    },
    /// A program.
    Command {
        /// It and its arguments.
        command: Vec<String>,
        /// The program that shows what stands at the target.
        verify: Option<Vec<String>>,
    },
}

impl TargetConfig {
    /// The files that the target has a place for; none if it has one for all.
    #[must_use]
    pub fn paths(&self) -> Option<BTreeSet<String>> {
        match &self.place {
            Place::Ldap { entries, .. } => Some(entries.keys().cloned().collect()),
            _ => None,
        }
    }
}

impl TargetFile {
    /// The targets with values that fit each other. Relative paths count from the directory of
    /// `config`; `authorities` are the names that there are.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check_all(
        files: Vec<Self>,
        config: &Path,
        authorities: &[&str],
    ) -> Result<Vec<TargetConfig>, String> {
        let mut targets: Vec<TargetConfig> = Vec::new();
        for file in files {
            let name = file.name.clone();
            let target =
                file.check(config, authorities).map_err(|what| format!("target {name:?}: {what}"))?;
            if targets.iter().any(|other| other.name == name) {
                return Err(format!("target {name:?}: the name is there twice"));
            }
            targets.push(target);
        }
        Ok(targets)
    }

    fn check(self, config: &Path, authorities: &[&str]) -> Result<TargetConfig, String> {
        check_name(&self.name)?;
        if let Some(unknown) =
            self.authorities.iter().flatten().find(|name| !authorities.contains(&name.as_str()))
        {
            return Err(format!("authorities: there is no authority {unknown:?}"));
        }
        let timeout = self.timeout.unwrap_or(Span::minutes(2));
        if !(Span::seconds(1)..=Span::hours(6)).contains(&timeout) {
            return Err("timeout: choose 1s to 6h".into());
        }
        let retry_at_most = self.retry_at_most.unwrap_or(Span::minutes(5));
        if !(Span::seconds(1)..=Span::days(1)).contains(&retry_at_most) {
            return Err("retry_at_most: choose 1s to 1d".into());
        }
        let recheck = self.recheck.map_or(Some(Span::hours(1)), |given| given.0);
        if recheck.is_some_and(|every| every < Span::seconds(10)) {
            return Err("recheck: choose at least 10s, or off".into());
        }
        if self.verify.is_some() && self.command.is_none() {
            return Err("verify belongs to command".into());
        }
        let empty = |words: &Vec<String>| words.first().is_none_or(String::is_empty);
        if [&self.command, &self.verify].into_iter().flatten().any(empty) {
            return Err(
                "command, verify: begin with a program, as in [/usr/bin/rsync, \"{file}\", ...]".into()
            );
        }
        if self.entries.is_some() != self.ldap.is_some() {
            return Err("ldap, entries: give both or none".into());
        }
        let place = match (self.directory, self.ldap, self.s3, self.command) {
            (Some(path), None, None, None) => Place::Directory(beside(config, &path)),
            (None, Some(directory), None, None) => {
                check_directory(directory, self.entries.unwrap_or_default(), config)?
            }
            (None, None, Some(s3), None) => Place::S3(Box::new(s3.check(config, timeout)?)),
            (None, None, None, Some(command)) => Place::Command { command, verify: self.verify },
            _ => return Err("say one of directory, ldap, s3, command".into()),
        };
        Ok(TargetConfig {
            name: self.name,
            authorities: self.authorities,
            files: match self.files {
                None | Some(FilesFile::All) => Files::All,
                Some(FilesFile::Certificates) => Files::Certificates,
                Some(FilesFile::Crls) => Files::Crls,
            },
            timeout,
            alarm_after: self.alarm_after.unwrap_or(Span::minutes(10)),
            retry_at_most,
            recheck,
            place,
        })
    }
}

fn check_directory(
    mut directory: DirectoryConfig,
    files: Vec<EntryFile>,
    config: &Path,
) -> Result<Place, String> {
    directory.check().map_err(|error| format!("ldap: {error}"))?;
    directory.resolve(config.parent().unwrap_or(Path::new("")));
    let mut entries = BTreeMap::new();
    for entry in files {
        let (file, refuse) = (entry.file, |what: &str| format!("entries: {:?}: {what}", entry.dn));
        let is_crl = file.starts_with("crl/") && file.ends_with(".crl");
        let is_certificate = file.starts_with("ca/") && file.ends_with(".crt");
        if !is_crl && !is_certificate {
            return Err(refuse("file: write crl/NAME.crl or ca/NAME.crt"));
        }
        if entry.dn.is_empty() {
            return Err(refuse("dn: name the entry"));
        }
        if entry.attributes.iter().any(|name| (*name == AttributeName::CaCertificate) == is_crl) {
            return Err(refuse("attributes: a CRL goes into a list, a certificate into cACertificate"));
        }
        let attributes = entry.attributes.iter().map(|name| match name {
            AttributeName::AuthorityRevocationList => Attribute::AuthorityRevocationList,
            AttributeName::CaCertificate => Attribute::CaCertificate,
            AttributeName::CertificateRevocationList => Attribute::CertificateRevocationList,
            AttributeName::DeltaRevocationList => Attribute::DeltaRevocationList,
        });
        let made =
            EntryConfig { dn: entry.dn.clone(), attributes: attributes.collect(), create: entry.create };
        if entries.insert(file, made).is_some() {
            return Err(refuse("the file has an entry already; use another target for a second"));
        }
    }
    if entries.is_empty() {
        return Err("entries: name at least one".into());
    }
    Ok(Place::Ldap { directory: Box::new(directory), entries })
}

impl S3File {
    fn check(self, config: &Path, timeout: Span) -> Result<S3Config, String> {
        let trimmed = self.prefix.trim_matches('/');
        let prefix = if trimmed.is_empty() { String::new() } else { format!("{trimmed}/") };
        let checked = S3Config {
            endpoint: self.endpoint.trim_end_matches('/').to_owned(),
            region: self.region,
            bucket: self.bucket,
            path_style: self.path_style,
            prefix,
            access_key: self.access_key,
            secret_key_file: beside(config, &self.secret_key_file),
            session_token_file: self.session_token_file.map(|path| beside(config, &path)),
            ca_file: self.ca_file.map(|path| beside(config, &path)),
            conditional: self.conditional,
            timeout,
        };
        if checked.ca_file.is_some() && !checked.endpoint.starts_with("https://") {
            return Err("s3: ca_file needs https://".into());
        }
        s3::bucket(&checked).map_err(|what| format!("s3: {what}"))?;
        Ok(checked)
    }
}

/// Names become file names.
fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let good = !name.is_empty()
        && name.len() <= 64
        && name.chars().all(plain)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if good { Ok(()) } else { Err("name: use letters, digits, '-', '_' and '.'".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(target: &str) -> Result<TargetConfig, String> {
        let file: TargetFile = serde_saphyr::from_str(target).map_err(|error| error.to_string())?;
        Ok(TargetFile::check_all(vec![file], Path::new("/etc/c.yaml"), &["issuing"])?.remove(0))
    }

    const LDAP: &str = "ldap: {url: 'ldaps://a.test', bind_dn: cn=ca, password_file: pw}, \
        entries: [{file: crl/issuing.crl, dn: cn=x}]";
    const S3: &str = "s3: {endpoint: 'https://s3.test/', region: r, bucket: pki, prefix: /a/b/, access_key: k, \
        secret_key_file: s}";

    #[test]
    fn each_kind() {
        let target = parse("{name: web, directory: web, authorities: [issuing], recheck: off}").unwrap();
        assert!(matches!(&target.place, Place::Directory(path) if path == Path::new("/etc/web")));
        assert_eq!((target.recheck, target.timeout), (None, Span::minutes(2)));
        let target = parse(&format!("{{name: ldap, {LDAP}}}")).unwrap();
        assert_eq!(target.paths(), Some(BTreeSet::from(["crl/issuing.crl".to_owned()])));
        let Place::S3(s3) = parse(&format!("{{name: s3, {S3}}}")).unwrap().place else { panic!() };
        assert_eq!((s3.prefix.as_str(), s3.secret_key_file.as_path()), ("a/b/", Path::new("/etc/s")));
        let target = parse("{name: hook, command: [/bin/x, '{file}'], verify: [/bin/y]}").unwrap();
        assert!(matches!(target.place, Place::Command { .. }));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (target, expected) in [
            ("{name: ../x, directory: d}", "name"),
            ("{name: x}", "one of"),
            ("{name: x, directory: d, command: [a]}", "one of"),
            ("{name: x, directory: d, verify: [a]}", "verify"),
            ("{name: x, directory: d, entries: []}", "both or none"),
            ("{name: x, directory: d, authorities: [root]}", "root"),
            ("{name: x, directory: d, timeout: 0s}", "timeout"),
            ("{name: x, directory: d, recheck: 1s}", "recheck"),
            ("{name: x, directory: d, speed: 1s}", "speed"),
            ("{name: x, command: []}", "program"),
        ] {
            let error = parse(target).unwrap_err();
            assert!(error.contains(expected), "{target}: {error}");
        }
        for (from, to, expected) in [
            ("ldaps:", "ldap:", "TLS"),
            ("crl/issuing.crl", "/etc/passwd", "crl/NAME.crl"),
            ("dn: cn=x", "dn: ''", "dn"),
            ("dn: cn=x", "dn: cn=x, attributes: [cACertificate]", "cACertificate"),
            ("dn: cn=x", "dn: cn=x, attributes: [userCertificate]", "userCertificate"),
            ("dn: cn=x}", "dn: cn=x}, {file: crl/issuing.crl, dn: cn=y}", "already"),
        ] {
            let error = parse(&format!("{{name: x, {}}}", LDAP.replace(from, to))).unwrap_err();
            assert!(error.contains(expected), "{to}: {error}");
        }
        for (from, to, expected) in [
            ("https://s3.test/", "s3.test", "endpoint"),
            ("https://s3.test/", "ftp://s3.test/", "endpoint"),
            ("https://s3.test/', ", "http://s3.test/', ca_file: c, ", "https://"),
        ] {
            let error = parse(&format!("{{name: x, {}}}", S3.replace(from, to))).unwrap_err();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }
}
