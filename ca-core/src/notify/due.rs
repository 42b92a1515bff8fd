//! What expires soon enough for a notice.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;

use ca_domain::Timestamp;
use ca_index::{CertificateRecord, Filter, StateFilter};
use ca_status::crl::CrlView;
use const_oid::db::rfc5280::ID_KP_OCSP_SIGNING;
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage};

use crate::authority::Authority;
use crate::certify::common_name;
use crate::error::Result;
use crate::home::{Home, Wait};
use crate::inventory::{Inventory, Issuance};
use crate::person::record::Leavers;

/// Something that expires.
#[derive(Clone, Debug)]
pub(super) struct Due {
    /// What it is and which one, without white space.
    id: String,
    /// In words.
    what: String,
    /// When.
    pub(super) expires: Timestamp,
    /// The threshold that was crossed, in seconds; 0 when it has expired.
    threshold: u64,
    /// Whose it is, if it is a person's.
    pub(super) person: Option<Person>,
}

/// Who is told.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Person {
    pub(super) mailbox: String,
    pub(super) name: String,
}

impl Due {
    /// Why this recipient gets a notice: the same reason is never told twice.
    pub(super) fn reason(&self, to: &str) -> String {
        let threshold = match self.threshold {
            0 => "expired".to_owned(),
            seconds if seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
            seconds => format!("{seconds}s"),
        };
        format!("{}:{}:{threshold}:{to}", self.id, self.expires.as_unix())
    }

    /// One line of a notice.
    pub(super) fn line(&self, now: Timestamp) -> String {
        let left = if self.threshold == 0 {
            "EXPIRED".to_owned()
        } else {
            match self.expires.seconds_since(now) {
                seconds if seconds < 2 * 86_400 => format!("{} hours left", seconds / 3_600),
                seconds => format!("{} days left", seconds / 86_400),
            }
        };
        format!("- {}, until {} ({left})", self.what, self.expires)
    }
}

/// What was found, and what could not be looked at.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) due: Vec<Due>,
    pub(super) problems: Vec<String>,
}

/// Everything that expires within a threshold (seconds, the shortest first), the
/// first to expire first.
pub(super) fn find(
    home: &Home,
    crls: &[impl AsRef<Path>],
    thresholds: &[u64],
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<Found> {
    let authorities = Authority::all(home)?;
    let mut found = Found::default();
    for authority in &authorities {
        let (from, expires) = authority.validity();
        if let Some(threshold) = crossed(thresholds, from, expires, now) {
            let id = format!("authority:{}", hex::encode(Sha256::digest(authority.der())));
            let what = format!("authority {}", authority.name());
            found.due.push(Due { id, what, expires, threshold, person: None });
        }
    }
    certificates(home, &authorities, thresholds, now, wait, &mut found.due)?;
    for path in crls {
        match crl(path.as_ref(), &authorities, thresholds, now) {
            Ok(due) => found.due.extend(due),
            Err(what) => found.problems.push(format!("{}: {what}", path.as_ref().display())),
        }
    }
    found.due.sort_by_key(|due| due.expires);
    Ok(found)
}

/// The shortest threshold that is crossed. One of more than half of the lifetime
/// says nothing: what is short-lived is always near its end.
fn crossed(thresholds: &[u64], from: Timestamp, expires: Timestamp, now: Timestamp) -> Option<u64> {
    if expires < now {
        return Some(0);
    }
    let left = expires.seconds_since(now);
    let half = expires.seconds_since(from) / 2;
    thresholds.iter().copied().find(|threshold| left <= *threshold).filter(|threshold| *threshold <= half)
}

fn certificates(
    home: &Home,
    authorities: &[Authority],
    thresholds: &[u64],
    now: Timestamp,
    wait: &Wait<'_>,
    due: &mut Vec<Due>,
) -> Result<()> {
    let widest = thresholds.last().copied().unwrap_or_default();
    let filter = Filter {
        state: Some(StateFilter::Good),
        expiring_before: Some(now.saturating_add(widest.saturating_add(1))),
        ..Filter::default()
    };
    let mut inventory = Inventory::open(home, wait)?;
    let mut records = Vec::new();
    inventory.query(&filter, now, None, wait, &mut |record| {
        records.push(record);
        ControlFlow::Continue(())
    })?;
    let leavers = match records.iter().map(|record| record.position).min() {
        Some(first) => Leavers::read(inventory.ledger(), first, wait)?,
        None => return Ok(()),
    };
    let here: BTreeSet<&[u8]> = authorities.iter().map(Authority::der).collect();
    for record in records {
        let Some(threshold) = crossed(thresholds, record.not_before, record.not_after, now) else {
            continue;
        };
        let issuance = inventory.issuance(record)?;
        let kind = Kind::of(&issuance.certificate);
        // Those of this home were looked at, with the roots.
        if here.contains(issuance.der.as_slice()) {
            continue;
        }
        // Nobody renews for somebody who left.
        let record = &issuance.record;
        if kind == Kind::EndEntity && leavers.left_after(&record.person, record.position).is_some() {
            continue;
        }
        if kind != Kind::Authority && superseded(&mut inventory, record, kind, now, wait)? {
            continue;
        }
        due.push(certificate(&issuance, kind, threshold));
    }
    Ok(())
}

fn certificate(issuance: &Issuance, kind: Kind, threshold: u64) -> Due {
    let record = &issuance.record;
    let mailbox = record.mailboxes.first().filter(|_| kind == Kind::EndEntity);
    let person = mailbox.map(|mailbox| Person {
        mailbox: mailbox.clone(),
        name: common_name(&issuance.certificate).unwrap_or_else(|| mailbox.clone()),
    });
    let (word, words) = match kind {
        Kind::Authority => ("authority", "authority"),
        Kind::EndEntity => ("certificate", record.template.as_str()),
        Kind::OcspSigner => ("ocsp-signer", "OCSP signer"),
    };
    Due {
        id: format!("{word}:{}:{}", hex::encode(record.authority.0), record.serial),
        what: format!("{words}, {}, serial {}, of {}", record.person, record.serial, issuance.authority),
        expires: record.not_after,
        threshold,
        person,
    }
}

/// Whether there is a later one for the same purpose: nobody needs to act then.
fn superseded(
    inventory: &mut Inventory,
    record: &CertificateRecord,
    kind: Kind,
    now: Timestamp,
    wait: &Wait<'_>,
) -> Result<bool> {
    // Every signer of an authority has a name of its own.
    let person = (kind == Kind::EndEntity).then(|| record.person.clone());
    let filter = Filter {
        mailbox: person,
        template: Some(record.template.clone()),
        authority: (kind == Kind::OcspSigner).then_some(record.authority),
        state: Some(StateFilter::Good),
        ..Filter::default()
    };
    let mut later = false;
    inventory.query(&filter, now, None, wait, &mut |other| {
        later = other.not_after > record.not_after
            && (kind == Kind::OcspSigner || other.person.eq_ignore_ascii_case(&record.person));
        if later { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(later)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Authority,
    EndEntity,
    OcspSigner,
}

impl Kind {
    fn of(certificate: &Certificate) -> Self {
        let tbs = &certificate.tbs_certificate;
        let constraints = tbs.get::<BasicConstraints>().ok().flatten();
        if constraints.is_some_and(|(_, constraints)| constraints.ca) {
            return Self::Authority;
        }
        let usage = tbs.get::<ExtendedKeyUsage>().ok().flatten();
        let signer = usage.is_some_and(|(_, usage)| usage.0.contains(&ID_KP_OCSP_SIGNING));
        if signer { Self::OcspSigner } else { Self::EndEntity }
    }
}

fn crl(
    path: &Path,
    authorities: &[Authority],
    thresholds: &[u64],
    now: Timestamp,
) -> std::result::Result<Option<Due>, String> {
    let der = std::fs::read(path).map_err(|error| format!("cannot read the CRL: {error}"))?;
    let view = authorities.iter().find_map(|authority| {
        CrlView::parse_and_verify(&der, authority.certificate()).ok().map(|view| (authority, view))
    });
    let (authority, view) = view.ok_or("not a CRL of an authority of this home")?;
    let expires = view.next_update();
    Ok(crossed(thresholds, view.this_update(), expires, now).map(|threshold| Due {
        id: format!("crl:{}", hex::encode(Sha256::digest(&der))),
        what: format!("CRL of {} in {}", authority.name(), path.display()),
        expires,
        threshold,
        person: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    #[test]
    fn the_shortest_threshold_counts_and_none_beyond_half_of_the_lifetime() {
        let thresholds = [DAY, 7 * DAY, 30 * DAY];
        let start = Timestamp::parse("2026-01-01").unwrap();
        let year = start.saturating_add(365 * DAY);
        let at = |days_left: u64| year.saturating_sub(days_left * DAY);
        for (left, expected) in [
            (31, None),
            (30, Some(30 * DAY)),
            (8, Some(30 * DAY)),
            (7, Some(7 * DAY)),
            (1, Some(DAY)),
            (0, Some(DAY)),
        ] {
            assert_eq!(crossed(&thresholds, start, year, at(left)), expected, "{left} days left");
        }
        assert_eq!(crossed(&thresholds, start, year, year.saturating_add(1)), Some(0));
        // A CRL of ten days: 30 and 7 days say nothing.
        let ten = start.saturating_add(10 * DAY);
        assert_eq!(crossed(&thresholds, start, ten, start), None);
        assert_eq!(crossed(&thresholds, start, ten, ten.saturating_sub(6 * DAY)), None);
        assert_eq!(crossed(&thresholds, start, ten, ten.saturating_sub(DAY)), Some(DAY));
    }
}
