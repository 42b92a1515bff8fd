//! `ca crl show|diff|verify`: CRLs in files.

use std::io::Write;
use std::path::Path;

use ca_core::crl_file::{open, unreadable};
use ca_core::domain::Timestamp;
use ca_core::import_authority::read_certificate;
use ca_core::status::StatusError;
use ca_core::status::crl::{CrlChange, CrlEntry, CrlFrame, CrlNumber, compare};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::{CliError, Result};
use crate::report::{lines, show};

/// One object a line in JSON, so that a long CRL can be read as a stream.
fn line(out: &mut impl Write, value: &Value) -> Result<()> {
    serde_json::to_writer(&mut *out, value).map_err(std::io::Error::from)?;
    Ok(writeln!(out)?)
}

pub(super) fn show_file(file: &Path, limit: Option<u64>, context: &Context) -> Result<()> {
    let bad = |error: StatusError| CliError::from(unreadable(file, &error));
    let mut crl = open(file)?;
    let about = About::of(crl.frame()).map_err(bad)?;
    let mut out = lines();
    if context.json {
        line(&mut out, &about.value())?;
    } else {
        writeln!(out, "{}", about.text())?;
    }
    let mut entries = crl.entries().map_err(bad)?;
    let mut shown = 0;
    while limit.is_none_or(|limit| shown < limit) {
        let Some(entry) = entries.next() else { break };
        let entry = entry.map_err(bad)?;
        if context.json {
            line(&mut out, &entry_value(&entry, "entry"))?;
        } else {
            writeln!(out, "{}", entry_text(&entry))?;
        }
        shown += 1;
    }
    let total = shown + entries.count_rest().map_err(bad)?;
    if context.json {
        line(&mut out, &json!({"kind": "end", "entries": total, "shown": shown}))?;
    } else if shown < total {
        writeln!(out, "{total} entries, the first {shown} are shown")?;
    } else {
        writeln!(out, "{total} entries")?;
    }
    Ok(out.flush()?)
}

pub(super) fn verify(file: &Path, issuer: &Path, at: Option<Timestamp>, context: &Context) -> Result<()> {
    let certificate = read_certificate(issuer)?;
    let at = at.map_or_else(|| context.now(), Ok)?;
    let bad = |error: StatusError| CliError::from(unreadable(file, &error));
    let mut crl = open(file)?;
    let about = About::of(crl.frame()).map_err(bad)?;
    let checks = crl.check(&certificate, at).map_err(bad)?;
    let faults: Vec<_> = checks.iter().filter(|check| check.fault.is_some()).collect();
    let mut text = about.text();
    for check in &checks {
        let result = check.fault.as_deref().unwrap_or("ok");
        text.push_str(&format!("\n  {}: {result}", check.what));
    }
    let mut value = about.value();
    value["at"] = json!(at.to_string());
    value["valid"] = json!(faults.is_empty());
    value["checks"] = checks.iter().map(|check| json!({"what": check.what, "fault": check.fault})).collect();
    show(context, &text, &value)?;
    if faults.is_empty() {
        return Ok(());
    }
    let named: Vec<_> = faults
        .iter()
        .map(|check| format!("{}: {}", check.what, check.fault.as_deref().unwrap_or_default()))
        .collect();
    Err(CliError::Refused(format!(
        "{} is not to be relied upon at {at} as a CRL of {}: {}; fetch or issue another",
        file.display(),
        certificate.tbs_certificate.subject,
        named.join(", ")
    )))
}

pub(super) fn diff(old: &Path, new: &Path, exit_code: bool, context: &Context) -> Result<()> {
    let (mut from, mut to) = (open(old)?, open(new)?);
    let about = |path: &Path, frame: &CrlFrame| {
        About::of(frame).map_err(|error| CliError::from(unreadable(path, &error)))
    };
    let (before, after) = (about(old, from.frame())?, about(new, to.frame())?);
    if before.issuer != after.issuer || before.key != after.key {
        return Err(CliError::Refused(format!(
            "{} is of {} (key {}), {} of {} (key {}); compare CRLs of one authority",
            old.display(),
            before.issuer,
            before.key.as_deref().unwrap_or("unknown"),
            new.display(),
            after.issuer,
            after.key.as_deref().unwrap_or("unknown"),
        )));
    }
    if (before.base.is_some(), &before.scope) != (after.base.is_some(), &after.scope) {
        context.note(&format!(
            "{} is a {}, {} a {}: what differs is not what changed",
            old.display(),
            before.kind(),
            new.display(),
            after.kind()
        ));
    }
    let mut out = lines();
    if context.json {
        line(&mut out, &json!({"kind": "crls", "old": before.value(), "new": after.value()}))?;
    } else {
        writeln!(out, "CRL of {}", after.issuer)?;
        for ((name, old), (_, new)) in before.fields().into_iter().zip(after.fields()) {
            if old != new {
                let (old, new) = (old.as_deref().unwrap_or("none"), new.as_deref().unwrap_or("none"));
                writeln!(out, "  {name}: {old} -> {new}")?;
            }
        }
    }
    let mut counts = [0_u64; 3];
    let of_pair = |error: StatusError| {
        CliError::Failed(format!("{} and {} cannot be compared: {error}", old.display(), new.display()))
    };
    compare(&mut from, &mut to, &mut |change| -> std::result::Result<(), Stop> {
        let (kind, sign, entry) = match &change {
            CrlChange::Added(entry) => (0, '+', entry),
            CrlChange::Removed(entry) => (1, '-', entry),
            CrlChange::Changed { new, .. } => (2, '~', new),
        };
        counts[kind] += 1;
        let was = if let CrlChange::Changed { old, .. } = &change { Some(old) } else { None };
        if context.json {
            let mut value = entry_value(entry, ["added", "removed", "changed"][kind]);
            if let Some(was) = was {
                value["old"] = entry_value(was, "entry");
            }
            return Ok(line(&mut out, &value)?);
        }
        let was = was.map(|was| format!("  (was {}, {})", was.at, was.reason)).unwrap_or_default();
        Ok(writeln!(out, "{sign} {}{was}", entry_text(entry)).map_err(CliError::from)?)
    })
    .map_err(|stop| match stop {
        Stop::Crl(error) => of_pair(error),
        Stop::Output(error) => error,
    })?;
    let [added, removed, changed] = counts;
    if context.json {
        line(&mut out, &json!({"kind": "end", "added": added, "removed": removed, "changed": changed}))?;
    } else {
        writeln!(out, "{added} added, {removed} removed, {changed} changed")?;
    }
    out.flush()?;
    if exit_code && counts != [0; 3] {
        return Err(CliError::Failed("the lists differ".into()));
    }
    Ok(())
}

/// Why a comparison ended.
enum Stop {
    Crl(StatusError),
    Output(CliError),
}

impl From<StatusError> for Stop {
    fn from(error: StatusError) -> Self {
        Self::Crl(error)
    }
}

impl From<CliError> for Stop {
    fn from(error: CliError) -> Self {
        Self::Output(error)
    }
}

/// What a CRL says besides its list, as text.
struct About {
    issuer: String,
    number: Option<String>,
    base: Option<String>,
    this_update: String,
    next_update: Option<String>,
    next_publish: Option<String>,
    key: Option<String>,
    algorithm: String,
    scope: Option<String>,
    critical: Vec<String>,
}

impl About {
    fn of(frame: &CrlFrame) -> std::result::Result<Self, StatusError> {
        let number = |number: CrlNumber| number.to_string();
        Ok(Self {
            issuer: frame.issuer.to_string(),
            number: frame.number()?.map(number),
            base: frame.base()?.map(number),
            this_update: frame.this_update.to_string(),
            next_update: frame.next_update.map(|time| time.to_string()),
            next_publish: frame.next_publish()?.map(|time| time.to_string()),
            key: frame.authority_key_id()?.map(hex::encode),
            algorithm: frame.algorithm_name(),
            scope: frame.scope_text()?,
            critical: (frame.extensions.iter())
                .filter(|extension| extension.critical)
                .map(|extension| extension.extn_id.to_string())
                .collect(),
        })
    }

    fn fields(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("number", self.number.clone()),
            ("changes number", self.base.clone()),
            ("this update", Some(self.this_update.clone())),
            ("next update", self.next_update.clone()),
            ("next planned", self.next_publish.clone()),
            ("issuer's key", self.key.clone()),
            ("signature", Some(self.algorithm.clone())),
            ("scope", self.scope.clone()),
        ]
    }

    /// Full or delta CRL, and of what.
    fn kind(&self) -> String {
        let kind = if self.base.is_some() { "delta CRL" } else { "full CRL" };
        self.scope.as_ref().map_or_else(|| kind.to_owned(), |scope| format!("{kind} ({scope})"))
    }

    fn text(&self) -> String {
        let kind = if self.base.is_some() { "Delta CRL" } else { "CRL" };
        let mut text = format!("{kind} of {}", self.issuer);
        for (name, value) in self.fields() {
            if let Some(value) = value {
                text.push_str(&format!("\n  {name:14} {value}"));
            }
        }
        text
    }

    fn value(&self) -> Value {
        json!({
            "kind": "crl",
            "issuer": self.issuer,
            "number": self.number,
            "baseNumber": self.base,
            "thisUpdate": self.this_update,
            "nextUpdate": self.next_update,
            "nextPublish": self.next_publish,
            "authorityKeyIdentifier": self.key,
            "signatureAlgorithm": self.algorithm,
            "scope": self.scope,
            "criticalExtensions": self.critical,
        })
    }
}

fn entry_text(entry: &CrlEntry) -> String {
    let since = entry.invalidity_date.map(|date| format!("  invalid since {date}")).unwrap_or_default();
    format!("{:40}  {}  {}{since}", entry.serial.to_string(), entry.at, entry.reason)
}

fn entry_value(entry: &CrlEntry, kind: &str) -> Value {
    json!({
        "kind": kind,
        "serial": entry.serial.to_string(),
        "revokedAt": entry.at.to_string(),
        "reason": entry.reason.name(),
        "invalidityDate": entry.invalidity_date.map(|date| date.to_string()),
    })
}
