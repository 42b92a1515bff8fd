//! Which mail client takes a certificate, and what another would refuse.
//!
//! Each rule states what was seen: in a test with a version of the client, or in its
//! maker's documentation. A client that no rule speaks of is not known to refuse;
//! that is not a promise.

use std::fmt;

use x509_cert::certificate::TbsCertificate;

use crate::Timestamp;

mod facts;
mod rules;
#[cfg(test)]
mod tests;

pub use facts::{Facts, Link};
use rules::RULES;

/// A mail client, or a service that checks mail for one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Client {
    /// Outlook on Windows.
    Outlook,
    /// Outlook on the web, and Exchange Online behind it.
    ExchangeOnline,
    /// Mail on iOS and macOS.
    AppleMail,
    /// Thunderbird, with NSS.
    Thunderbird,
    /// gpgsm with dirmngr: `KMail`, Claws Mail, mutt, Gpg4win.
    Gpgsm,
    /// Outlook for mobile on Android.
    Android,
}

impl Client {
    /// Every client.
    pub const ALL: [Self; 6] =
        [Self::Outlook, Self::ExchangeOnline, Self::AppleMail, Self::Thunderbird, Self::Gpgsm, Self::Android];

    /// The word on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outlook => "outlook",
            Self::ExchangeOnline => "exchange-online",
            Self::AppleMail => "apple-mail",
            Self::Thunderbird => "thunderbird",
            Self::Gpgsm => "gpgsm",
            Self::Android => "android",
        }
    }

    /// What it is called.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Outlook => "Outlook",
            Self::ExchangeOnline => "OWA, Exchange Online",
            Self::AppleMail => "iOS and macOS Mail",
            Self::Thunderbird => "Thunderbird",
            Self::Gpgsm => "gpgsm",
            Self::Android => "Outlook for Android",
        }
    }

    /// Where what we know of it comes from: the version tested, or a document.
    #[must_use]
    pub const fn basis(self) -> &'static str {
        match self {
            Self::Thunderbird => "153, tested",
            Self::Gpgsm => "2.2.40, tested",
            Self::AppleMail => "Apple's documentation",
            Self::Outlook | Self::ExchangeOnline | Self::Android => "Microsoft's documentation",
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

impl std::str::FromStr for Client {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|client| client.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|client| client.name()).collect();
            format!("unknown client {text:?}; use one of {}", names.join(", "))
        })
    }
}

/// What a certificate is used for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Job {
    /// The holder signs, others verify.
    Sign,
    /// Others encrypt, the holder decrypts.
    Encrypt,
}

/// Whether a client takes a certificate for a job.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Nothing is known against it.
    Ok,
    /// The certificate is not meant for the job.
    NotFor,
    /// It refuses.
    Refuses,
}

impl Verdict {
    /// One or two words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotFor => "-",
            Self::Refuses => "refuses",
        }
    }
}

/// Something known of a client that this certificate meets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reason {
    /// The rule's name, unique and stable.
    pub rule: &'static str,
    /// For which job.
    pub jobs: &'static [Job],
    /// What happens, and why.
    pub what: String,
    /// The test, the document or the standard that says so.
    pub basis: &'static str,
}

/// What a client does with a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientReport {
    /// The client.
    pub client: Client,
    /// Whether signatures are made and verified.
    pub signing: Verdict,
    /// Whether mail is encrypted and decrypted.
    pub encryption: Verdict,
    /// Why it refuses.
    pub refusals: Vec<Reason>,
    /// What else to know.
    pub remarks: Vec<Reason>,
}

impl ClientReport {
    /// Whether it refuses the certificate for a job that it is meant for.
    #[must_use]
    pub fn refuses(&self) -> bool {
        !self.refusals.is_empty()
    }
}

/// What every client does with a certificate, in the order of [`Client::ALL`].
#[must_use]
pub fn assess(facts: &Facts<'_>) -> Vec<ClientReport> {
    Client::ALL.into_iter().map(|client| assess_one(client, facts)).collect()
}

fn assess_one(client: Client, facts: &Facts<'_>) -> ClientReport {
    let meant = |job: Job| facts.is_for(job);
    let mut report = ClientReport {
        client,
        signing: if meant(Job::Sign) { Verdict::Ok } else { Verdict::NotFor },
        encryption: if meant(Job::Encrypt) { Verdict::Ok } else { Verdict::NotFor },
        refusals: Vec::new(),
        remarks: Vec::new(),
    };
    for rule in RULES.iter().filter(|rule| rule.clients.contains(&client)) {
        // A certificate for no job at all is still judged as a whole.
        let concerned = rule.jobs.len() > 1 || rule.jobs.iter().any(|job| meant(*job));
        let Some(what) = (rule.check)(facts).filter(|_| concerned) else { continue };
        let reason = Reason { rule: rule.id, jobs: rule.jobs, what, basis: rule.basis };
        if !rule.refuses {
            report.remarks.push(reason);
            continue;
        }
        for job in rule.jobs.iter().filter(|job| meant(**job)) {
            match job {
                Job::Sign => report.signing = Verdict::Refuses,
                Job::Encrypt => report.encryption = Verdict::Refuses,
            }
        }
        report.refusals.push(reason);
    }
    report
}

/// The facts about a certificate whose issuers, up to the root as far as known, are
/// given.
#[must_use]
pub fn facts<'a>(tbs: &'a TbsCertificate, issuers: &'a [TbsCertificate], now: Timestamp) -> Facts<'a> {
    Facts::new(tbs, issuers, now)
}
