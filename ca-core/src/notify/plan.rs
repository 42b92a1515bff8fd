//! Who is told what.

use std::collections::{BTreeMap, BTreeSet};

use ca_domain::Timestamp;
use lettre::message::Mailbox;
use sha2::{Digest, Sha256};

use super::due::{Due, Person};
use super::text::{Text, Values};
use super::{Audience, Notice};
use crate::error::Result;
use crate::home::Home;

/// A notice and its recipient.
pub(super) struct Planned {
    pub(super) notice: Notice,
    pub(super) to: Mailbox,
}

/// One notice for each recipient, about all that they do not know yet.
pub(super) fn plan(
    home: &Home,
    due: &[Due],
    admins: &[Mailbox],
    audience: Audience,
    settled: &BTreeSet<&str>,
    now: Timestamp,
) -> Result<Vec<Planned>> {
    let mut planned = Vec::new();
    if audience != Audience::Administrators {
        let text = Text::load(home, "person")?;
        let mut people: BTreeMap<&str, (&Person, Vec<&Due>)> = BTreeMap::new();
        for one in due {
            if let Some(person) = &one.person {
                people.entry(&person.mailbox).or_insert((person, Vec::new())).1.push(one);
            }
        }
        for (person, due) in people.into_values() {
            // An address that the certificate has is one; the parser agrees but for rarities.
            let Ok(address) = person.mailbox.parse() else { continue };
            let named = person.name != person.mailbox;
            let to = Mailbox::new(named.then(|| clean(&person.name)), address);
            planned.extend(notice(&text, &due, to, settled, now));
        }
    }
    if audience != Audience::People {
        let text = Text::load(home, "administrator")?;
        let all: Vec<&Due> = due.iter().collect();
        for admin in admins {
            planned.extend(notice(&text, &all, admin.clone(), settled, now));
        }
    }
    Ok(planned)
}

fn notice(
    text: &Text,
    due: &[&Due],
    to: Mailbox,
    settled: &BTreeSet<&str>,
    now: Timestamp,
) -> Option<Planned> {
    let address = to.email.to_string();
    let news: Vec<(&Due, String)> = due
        .iter()
        .map(|due| (*due, due.reason(&address)))
        .filter(|(_, reason)| !settled.contains(reason.as_str()))
        .collect();
    let (first, _) = news.first()?;
    let values = Values {
        count: news.len(),
        days: first.expires.seconds_since(now) / 86_400,
        expires: first.expires.to_string().chars().take(10).collect(),
        items: news.iter().map(|(due, _)| due.line(now)).collect::<Vec<_>>().join("\n"),
        mailbox: address.clone(),
        name: to.name.clone().unwrap_or_else(|| address.clone()),
    };
    let (subject, body) = text.fill(&values);
    let reasons: Vec<String> = news.into_iter().map(|(_, reason)| reason).collect();
    let id = hex::encode(&Sha256::digest(reasons.join("\n"))[..16]);
    Some(Planned { notice: Notice { id, to: address, subject, body, reasons }, to })
}

/// A name for a header: one line.
fn clean(name: &str) -> String {
    name.replace(char::is_control, " ")
}
