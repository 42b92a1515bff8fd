//! `notify.yaml`: how notices are sent, and to whom.

use std::path::{Path, PathBuf};

use ca_mail::SmtpConfig;
use lettre::message::Mailbox;
use serde::Deserialize;

use crate::error::{AuthorityError, Result};
use crate::home::Home;

/// The contents of `notify.yaml`. Unknown fields are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotifyConfig {
    /// The format of the file; 1.
    pub version: u32,
    /// The mail server.
    pub smtp: SmtpConfig,
    /// The sender, as `Example CA <ca@example.test>`.
    pub from: String,
    /// The administrators' addresses, in the same form.
    pub admins: Vec<String>,
    /// How long before an expiry there is a notice, as `30d`.
    #[serde(default = "default_thresholds")]
    pub thresholds: Vec<String>,
    /// CRL files to watch, DER.
    #[serde(default)]
    pub crls: Vec<PathBuf>,
    /// Signs the notices; none: they are not signed.
    #[serde(default)]
    pub sign_with: Option<SignConfig>,
}

/// What signs the notices.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignConfig {
    /// The certificate for the sender's address and its issuers, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM, mode 0600.
    pub key: PathBuf,
    /// The key's passphrase on the first line of a file, mode 0600; none: the key
    /// is not encrypted.
    #[serde(default)]
    pub passphrase_file: Option<PathBuf>,
}

fn default_thresholds() -> Vec<String> {
    ["30d", "14d", "7d", "1d"].map(str::to_owned).to_vec()
}

impl NotifyConfig {
    /// Reads `notify.yaml` of the home.
    ///
    /// # Errors
    /// There is none, others could have changed it, or it is malformed.
    pub fn load(home: &Home) -> Result<Self> {
        let (text, path) = home.read_file("notify.yaml", "notices")?;
        Self::parse(&text, &path)
    }

    /// Reads the text of `notify.yaml`. Relative paths are relative to its directory.
    ///
    /// # Errors
    /// [`AuthorityError::Config`] with what is wrong.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let bad = |what: String| AuthorityError::Config { path: path.display().to_string(), what };
        let mut config: Self = serde_saphyr::from_str(text).map_err(|error| bad(error.to_string()))?;
        config.check().map_err(bad)?;
        let dir = path.parent().unwrap_or(Path::new(""));
        config.smtp.resolve(dir);
        let signer = config.sign_with.iter_mut();
        let signer = signer.flat_map(|sign| {
            [Some(&mut sign.certificate), Some(&mut sign.key), sign.passphrase_file.as_mut()]
        });
        for file in signer.flatten().chain(&mut config.crls) {
            *file = dir.join(&*file);
        }
        Ok(config)
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.version != 1 {
            return Err(format!("version {} is not known; this program reads version 1", self.version));
        }
        if self.admins.is_empty() {
            return Err("admins is empty; name at least one address".into());
        }
        for text in self.admins.iter().chain([&self.from]) {
            mailbox(text)?;
        }
        self.thresholds()?;
        self.smtp.check()
    }

    /// The thresholds in seconds, the shortest first.
    pub(super) fn thresholds(&self) -> std::result::Result<Vec<u64>, String> {
        let seconds: Option<Vec<u64>> = self.thresholds.iter().map(|text| days(text)).collect();
        seconds.filter(|all| !all.is_empty()).ok_or_else(|| {
            format!("thresholds {:?} are not durations; write [30d, 14d, 12h]", self.thresholds)
        })
    }

    /// The sender.
    pub(super) fn sender(&self) -> Result<Mailbox> {
        mailbox(&self.from).map_err(AuthorityError::Input)
    }

    /// The administrators.
    pub(super) fn administrators(&self) -> Result<Vec<Mailbox>> {
        self.admins.iter().map(|text| mailbox(text).map_err(AuthorityError::Input)).collect()
    }
}

fn mailbox(text: &str) -> std::result::Result<Mailbox, String> {
    text.parse()
        .map_err(|error| format!("{text:?} is not an address: {error}; write Name <user@example.test>"))
}

/// `30d` or `12h` in seconds.
fn days(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "d" => 86_400,
        "h" => 3_600,
        _ => return None,
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(unit).filter(|seconds| *seconds > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
version: 1
smtp: {host: mail.example.test, port: 587, tls: starttls, username: ca, password_file: smtp.password}
from: Example CA <ca@example.test>
admins: [ops@example.test]
thresholds: [30d, 12h]
";

    fn parse(text: &str) -> Result<NotifyConfig> {
        NotifyConfig::parse(text, Path::new("/home/notify.yaml"))
    }

    #[test]
    fn a_good_one_is_read_and_its_paths_are_relative_to_it() {
        let config = parse(GOOD).unwrap();
        assert_eq!(config.thresholds().unwrap(), [2_592_000, 43_200]);
        assert_eq!(config.smtp.password_file.unwrap(), Path::new("/home/smtp.password"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (from, to, says) in [
            ("version: 1", "version: 2", "version 2"),
            ("starttls", "none", "this machine alone"),
            ("starttls", "maybe", "maybe"),
            (", password_file: smtp.password", "", "go together"),
            ("admins: [ops@example.test]", "admins: []", "at least one"),
            ("ops@example.test", "\"ops@example.test\\nBcc: x@example.test\"", "not an address"),
            ("30d", "30", "durations"),
            ("thresholds", "treshold", "treshold"),
        ] {
            let error = parse(&GOOD.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(says), "{to}: {error}");
        }
    }

    #[test]
    fn without_tls_on_loopback() {
        for host in ["localhost", "127.0.0.1", "\"::1\""] {
            parse(&GOOD.replace("mail.example.test", host).replace("starttls", "none")).unwrap();
        }
    }
}
