//! What people type, as what the use-cases take.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ca_core::domain::csr::VerifiedRequest;
use ca_core::domain::mailbox::{DnsName, Mailbox};
use ca_core::domain::profile::SubjectInput;
use ca_core::domain::template::SubjectAttribute;
use ca_core::domain::{SerialNumber, Timestamp};

use crate::args::SubjectArgs;
use crate::error::{CliError, Result};

/// Reads `30d`, `12h`, `45m`, `10s` as seconds.
pub(crate) fn duration(text: &str) -> std::result::Result<u64, String> {
    let bad = || format!("{text:?} is not a duration; write it like 30d, 12h, 45m or 10s");
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let number: u64 = text[..split].parse().map_err(|_| bad())?;
    let unit = match &text[split..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return Err(bad()),
    };
    number.checked_mul(unit).ok_or_else(bad)
}

pub(crate) fn timestamp(text: &str) -> std::result::Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}

impl SubjectArgs {
    /// The names and addresses, checked one by one.
    pub(crate) fn input(&self) -> Result<SubjectInput> {
        let mailboxes =
            self.email.iter().map(|text| Mailbox::parse(text)).collect::<std::result::Result<_, _>>()?;
        let dns_names =
            self.dns.iter().map(|text| DnsName::parse(text)).collect::<std::result::Result<_, _>>()?;
        let values = [
            (SubjectAttribute::CommonName, &self.name.common_name),
            (SubjectAttribute::Country, &self.name.country),
            (SubjectAttribute::GivenName, &self.name.given_name),
            (SubjectAttribute::Locality, &self.name.locality),
            (SubjectAttribute::Organization, &self.name.organization),
            (SubjectAttribute::OrganizationalUnit, &self.name.organizational_unit),
            (SubjectAttribute::OrganizationIdentifier, &self.name.organization_identifier),
            (SubjectAttribute::Pseudonym, &self.name.pseudonym),
            (SubjectAttribute::State, &self.name.state),
            (SubjectAttribute::Surname, &self.name.surname),
            (SubjectAttribute::Title, &self.name.title),
            (SubjectAttribute::UserId, &self.name.user_id),
        ];
        let attributes = values
            .into_iter()
            .filter_map(|(attribute, value)| value.clone().map(|value| (attribute, value)))
            .collect();
        let (upn, sid) = (self.upn.clone(), self.sid.clone());
        Ok(SubjectInput { mailboxes, dns_names, upn, sid, attributes })
    }
}

/// Bytes of a certification request at most.
const MAX_CSR: u64 = 64 * 1024;

/// Reads a file, `-` for standard input, up to `limit` bytes.
pub(crate) fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| {
        CliError::Failed(format!(
            "cannot read {}: {error}; check the name and its permissions",
            path.display()
        ))
    };
    let mut bytes = Vec::new();
    let reader: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path).map_err(failed)?)
    };
    reader.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(CliError::Refused(format!(
            "{} is larger than {limit} bytes; is it the right file?",
            path.display()
        )));
    }
    Ok(bytes)
}

/// Reads a certification request and checks its proof of possession.
pub(crate) fn csr(path: &Path) -> Result<VerifiedRequest> {
    let bytes = read_limited(path, MAX_CSR)?;
    Ok(VerifiedRequest::from_bytes(&bytes, &ca_core::verify_callback)?)
}

/// Reads serial numbers, one a line; `#` begins a comment, further columns are ignored.
pub(crate) fn serials(path: &Path) -> Result<Vec<SerialNumber>> {
    let bytes = read_limited(path, 1 << 28)?;
    let text = String::from_utf8(bytes).map_err(|_| {
        CliError::Usage(format!("{} is not text; write one serial number a line", path.display()))
    })?;
    let mut serials = Vec::new();
    let mut wrong = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        let word = line.split([',', ';', '\t', ' ']).next().unwrap_or_default();
        // A line that is not empty names a certificate, or is an error: one that
        // was passed over would be one that is not revoked.
        if line.is_empty() || (number == 1 && word.eq_ignore_ascii_case("serial")) {
            continue;
        }
        match SerialNumber::parse(word) {
            Ok(serial) => serials.push(serial),
            Err(error) => wrong.push(format!("line {number}: {error}")),
        }
    }
    if wrong.is_empty() {
        return Ok(serials);
    }
    let shown = wrong.iter().take(10).cloned().collect::<Vec<_>>().join("\n  ");
    Err(CliError::Usage(format!(
        "{} of {} lines of {} are wrong; mend them, nothing was changed\n  {shown}",
        wrong.len(),
        wrong.len() + serials.len(),
        path.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("30d"), Ok(2_592_000));
        assert_eq!(duration("10s"), Ok(10));
        for bad in ["", "d", "30", "30x", "99999999999999999999d", "-1d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn serials_from_a_file_with_every_bad_line_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        std::fs::write(&path, "serial,person\n0a,alice\n# none\n\n0B:0C # bob\n").unwrap();
        assert_eq!(serials(&path).unwrap().len(), 2);
        std::fs::write(&path, "  0a\r\n\t0b ,bob\n").unwrap();
        assert_eq!(serials(&path).unwrap().len(), 2);
        std::fs::write(&path, "0a\nalice\n0\n ,bob\n").unwrap();
        let error = serials(&path).unwrap_err().to_string();
        for line in ["line 2", "line 3", "line 4"] {
            assert!(error.contains(line), "{error}");
        }
    }
}
