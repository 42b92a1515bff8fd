//! SMIMEA records (RFC 8162): a person's certificates in the DNS, by the hash of the local part.

mod zone;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use ca_domain::Timestamp;
use ca_domain::mailbox::Mailbox;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::holders::{Holder, Holders};
use super::ours::Ours;
use crate::authority::Authority;
use crate::error::{AuthorityError, Result};
use crate::home::{Home, Wait};

/// Records a message of nsupdate: a DNS message has at most 65,535 octets.
const UPDATES: usize = 20;

/// What `ca publish smimea` is told.
#[derive(Clone, Debug)]
pub struct SmimeaRequest<'a> {
    /// The domains whose mailboxes are published; empty for all.
    pub domains: &'a [String],
    /// The authorities whose certificates are published; empty for all of the home.
    pub authorities: &'a [String],
    /// The certificate usage: 3, DANE-EE, or 1, PKIX-EE (RFC 6698, section 2.1.1).
    pub usage: u8,
    /// Seconds that resolvers keep a record.
    pub ttl: u32,
    /// The zone file that was published before.
    pub previous: Option<&'a str>,
}

/// One record.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Record {
    /// The absolute name, with a dot at its end.
    pub name: String,
    /// Parameters and data: `3 0 0` and a certificate in hexadecimal.
    pub data: String,
}

/// What is to be published, and how it differs from before.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Smimea {
    /// All records of the zone, those of others among them.
    pub records: BTreeSet<Record>,
    /// Those that were not there before.
    pub added: BTreeSet<Record>,
    /// Ours that are no longer to be found.
    pub removed: BTreeSet<Record>,
    /// How many are of others, which stay.
    pub others: usize,
    #[serde(skip)]
    ttl: u32,
}

/// Works out the records: good signing certificates, and what mail is encrypted to, for each of their
/// mailboxes. Selector and matching type are 0: the certificate itself, or nobody could encrypt to it.
///
/// # Errors
/// A previous zone file that cannot be read, another usage, a damaged ledger.
pub fn smimea(home: &Home, request: &SmimeaRequest<'_>, now: Timestamp, wait: &Wait<'_>) -> Result<Smimea> {
    if !matches!(request.usage, 1 | 3) {
        return Err(AuthorityError::Input(format!(
            "the usage {} is not for people's certificates; use 3 (DANE-EE) or 1 (PKIX-EE)",
            request.usage
        )));
    }
    let authorities = match request.authorities {
        [] => Authority::all(home)?,
        names => names.iter().map(|name| Authority::load(home, name)).collect::<Result<_>>()?,
    };
    let keys = authorities.iter().map(Authority::key_id).collect::<Result<Vec<_>>>()?;
    let holders = Holders::gather(home, &keys, now, wait)?;
    let ours = Ours::new(&authorities, &holders)?;
    let domains: Vec<String> = request.domains.iter().map(|domain| domain.to_ascii_lowercase()).collect();
    let mut wanted = BTreeSet::new();
    for holder in &holders.list {
        records_of(holder, &domains, request.usage, &mut wanted);
    }
    let previous = zone::read(request.previous.unwrap_or_default()).map_err(AuthorityError::Input)?;
    let mut found = Smimea { ttl: request.ttl, ..Smimea::default() };
    for record in previous {
        if wanted.contains(&record) {
            found.records.insert(record);
        } else if is_ours(&record, &ours) {
            found.removed.insert(record);
        } else {
            found.others += 1;
            found.records.insert(record);
        }
    }
    found.added = wanted.difference(&found.records).cloned().collect();
    found.records.extend(wanted);
    Ok(found)
}

fn records_of(holder: &Holder, domains: &[String], usage: u8, records: &mut BTreeSet<Record>) {
    let signing = holder.certificates.iter().filter(|certificate| certificate.signs);
    for certificate in signing.chain(holder.encryption()) {
        for mailbox in &certificate.mailboxes {
            let Ok(mailbox) = Mailbox::parse(mailbox) else { continue };
            if domains.is_empty() || domains.iter().any(|domain| *domain == mailbox.domain()) {
                let data = format!("{usage} 0 0 {}", hex::encode(&certificate.der));
                records.insert(Record { name: owner(&mailbox), data });
            }
        }
    }
}

/// SHA-256 of the local part, cut to 28 octets, below `_smimecert` of the domain (RFC 8162, section 3).
fn owner(mailbox: &Mailbox) -> String {
    let local = mailbox.local_part();
    // What is quoted means the text between the quotes.
    let local = match local.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(quoted) => unquoted(quoted),
        None => local.to_owned(),
    };
    let hash = Sha256::digest(local.as_bytes());
    format!("{}._smimecert.{}.", hex::encode(&hash[..28]), mailbox.domain())
}

fn unquoted(quoted: &str) -> String {
    let mut text = String::new();
    let mut characters = quoted.chars();
    while let Some(c) = characters.next() {
        text.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    text
}

fn is_ours(record: &Record, ours: &Ours<'_>) -> bool {
    let data = record.data.splitn(4, ' ').nth(3).and_then(|text| hex::decode(text).ok());
    data.is_some_and(|der| ours.certificate(&der).is_some())
}

impl Smimea {
    /// Lines for a zone file, with absolute names.
    #[must_use]
    pub fn to_zone(&self) -> String {
        let mut text = String::new();
        for Record { name, data } in &self.records {
            let _ = writeln!(text, "{name} {} IN SMIMEA {data}", self.ttl);
        }
        text
    }

    /// A script for nsupdate that removes and adds what differs, and nothing else.
    #[must_use]
    pub fn to_nsupdate(&self) -> String {
        let removed =
            self.removed.iter().map(|Record { name, data }| format!("update delete {name} SMIMEA {data}\n"));
        let added = self
            .added
            .iter()
            .map(|Record { name, data }| format!("update add {name} {} SMIMEA {data}\n", self.ttl));
        // Messages of one domain each: a server takes updates of one zone at a time.
        let domain = |line: &str| {
            line.split_once("._smimecert.").and_then(|(_, rest)| Some(rest.split_once(' ')?.0.to_owned()))
        };
        let mut lines: Vec<(Option<String>, String)> =
            removed.chain(added).map(|line| (domain(&line), line)).collect();
        lines.sort_by(|one, other| one.0.cmp(&other.0));
        let mut text = String::new();
        for of_domain in lines.chunk_by(|one, next| one.0 == next.0) {
            for message in of_domain.chunks(UPDATES) {
                text.extend(message.iter().map(|(_, line)| line.as_str()));
                text.push_str("send\n");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_hashes_of_the_local_part() {
        let name = |text: &str| owner(&Mailbox::parse(text).unwrap());
        // The example of RFC 7929, section 3, which hashes in the same way.
        let hugh = "c93f1e400f26708f98cb19d936620da35eec8f72e57f9eec01c1afd6._smimecert.example.com.";
        assert_eq!(name("hugh@example.com"), hugh);
        assert_ne!(name("Hugh@example.com"), hugh, "letter case counts");
    }

    #[test]
    fn updates_go_domain_by_domain() {
        let record = |name: &str| Record { name: format!("00._smimecert.{name}."), data: "3 0 0 00".into() };
        let found = Smimea {
            added: ["b.test", "a.test"].map(record).into(),
            removed: ["a.test"].map(record).into(),
            ttl: 60,
            ..Smimea::default()
        };
        let expected = "update delete 00._smimecert.a.test. SMIMEA 3 0 0 00\n\
                        update add 00._smimecert.a.test. 60 SMIMEA 3 0 0 00\nsend\n\
                        update add 00._smimecert.b.test. 60 SMIMEA 3 0 0 00\nsend\n";
        assert_eq!(found.to_nsupdate(), expected);
    }
}
