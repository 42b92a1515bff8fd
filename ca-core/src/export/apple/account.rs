//! Mail and Exchange accounts with the settings for S/MIME.

use plist::{Dictionary, Value};

use super::payload::{Namespace, payload};
use crate::error::{AuthorityError, Result};

/// An account on the device.
#[derive(Clone, Debug)]
pub struct Account {
    /// Where mail is.
    pub server: MailServer,
    /// The name to log in with; none for the mailbox.
    pub user: Option<String>,
    /// The name of the sender, if it is to be shown.
    pub full_name: Option<String>,
    /// Whether new mail is encrypted unless the person says otherwise.
    pub encrypt_by_default: bool,
}

/// Where mail is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MailServer {
    /// Exchange, on premises or online.
    Exchange {
        /// Its host; none to let the device find it.
        host: Option<String>,
        /// Whether the person logs in with a browser's page, as Exchange Online wants it.
        oauth: bool,
    },
    /// IMAP and SMTP, both with TLS and a password.
    Imap {
        /// Host and port of the IMAP server.
        imap: (String, u16),
        /// Host and port of the SMTP server.
        smtp: (String, u16),
    },
}

impl Account {
    /// The payload; `uuids` are those of the keys that sign and that mail is encrypted to.
    pub(super) fn payload(
        &self,
        mailbox: &str,
        (signing, encryption): (Option<&str>, Option<&str>),
        space: &Namespace,
    ) -> Result<Dictionary> {
        let user = self.user.as_deref().unwrap_or(mailbox);
        let (kind, settings) = match &self.server {
            MailServer::Exchange { host, oauth } => {
                if host.is_none() && !oauth {
                    return Err(AuthorityError::Input(
                        "without a host the device finds Exchange Online alone; give --exchange HOST or --oauth".into(),
                    ));
                }
                ("com.apple.eas.account", exchange(mailbox, user, host.as_deref(), *oauth))
            }
            MailServer::Imap { imap, smtp } => (
                "com.apple.mail.managed",
                imap_and_smtp(mailbox, user, self.full_name.as_deref(), imap, smtp),
            ),
        };
        let smime = smime(signing, encryption, self.encrypt_by_default);
        let about = format!("{settings:?}{smime:?}");
        let (_, mut dictionary) = payload(kind, space, "account", about.as_bytes(), mailbox);
        for (key, value) in settings.into_iter().chain(smime) {
            dictionary.insert(key.into(), value);
        }
        Ok(dictionary)
    }
}

type Settings = Vec<(&'static str, Value)>;

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn exchange(mailbox: &str, user: &str, host: Option<&str>, oauth: bool) -> Settings {
    let mut settings = vec![
        ("EmailAddress", text(mailbox)),
        ("UserName", text(user)),
        ("SSL", Value::Boolean(true)),
        ("OAuth", Value::Boolean(oauth)),
    ];
    settings.extend(host.map(|host| ("Host", text(host))));
    settings
}

fn imap_and_smtp(
    mailbox: &str,
    user: &str,
    full_name: Option<&str>,
    imap: &(String, u16),
    smtp: &(String, u16),
) -> Settings {
    let port = |port: u16| Value::Integer(i64::from(port).into());
    let mut settings = vec![
        ("EmailAccountType", text("EmailTypeIMAP")),
        ("EmailAccountDescription", text(mailbox)),
        ("EmailAddress", text(mailbox)),
        ("IncomingMailServerAuthentication", text("EmailAuthPassword")),
        ("IncomingMailServerHostName", text(&imap.0)),
        ("IncomingMailServerPortNumber", port(imap.1)),
        ("IncomingMailServerUseSSL", Value::Boolean(true)),
        ("IncomingMailServerUsername", text(user)),
        ("OutgoingMailServerAuthentication", text("EmailAuthPassword")),
        ("OutgoingMailServerHostName", text(&smtp.0)),
        ("OutgoingMailServerPortNumber", port(smtp.1)),
        ("OutgoingMailServerUseSSL", Value::Boolean(true)),
        ("OutgoingMailServerUsername", text(user)),
        ("OutgoingPasswordSameAsIncomingPassword", Value::Boolean(true)),
    ];
    settings.extend(full_name.map(|name| ("EmailAccountName", text(name))));
    settings
}

fn smime(signing: Option<&str>, encryption: Option<&str>, by_default: bool) -> Settings {
    let mut settings = Settings::new();
    settings.push(("SMIMESigningEnabled", Value::Boolean(signing.is_some())));
    settings.extend(signing.map(|uuid| ("SMIMESigningCertificateUUID", text(uuid))));
    settings.push(("SMIMEEncryptionEnabled", Value::Boolean(encryption.is_some())));
    if let Some(uuid) = encryption {
        settings.push(("SMIMEEncryptionCertificateUUID", text(uuid)));
        settings.push(("SMIMEEnableEncryptionPerMessageSwitch", Value::Boolean(true)));
        settings.push(("SMIMEEncryptByDefault", Value::Boolean(by_default)));
    }
    settings
}
