//! pkilint over many files in one Python process, and the list of findings
//! that are accepted with a reason.

use crate::tool::{Tool, python, source_root};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// What is to be linted.
#[derive(Debug, Default)]
pub struct Jobs(Vec<Value>);

/// A finding of severity WARNING or above: which job, which linter, which rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The job's name.
    pub name: String,
    /// The linter: `smime`, `pkix`, `crl`, `chain` or `ocsp`.
    pub linter: String,
    /// pkilint's code of the rule.
    pub code: String,
    /// Severity, place and message, for people.
    pub what: String,
}

impl Jobs {
    /// A certificate that claims conformance with the S/MIME BR.
    pub fn smime(&mut self, name: &str, file: &Path) {
        self.0.push(json!({"name": name, "linter": "smime", "file": file}));
    }

    /// A certificate under RFC 5280.
    pub fn pkix(&mut self, name: &str, file: &Path) {
        self.0.push(json!({"name": name, "linter": "pkix", "file": file}));
    }

    /// A CRL; `kind` is `CRL` or `ARL`, under both the PKIX and the BR profile.
    pub fn crl(&mut self, name: &str, file: &Path, kind: &str) {
        for profile in ["PKIX", "BR"] {
            self.0
                .push(json!({"name": name, "linter": "crl", "file": file, "type": kind, "profile": profile}));
        }
    }

    /// An issuer and a certificate that it signed.
    pub fn chain(&mut self, name: &str, issuer: &Path, subject: &Path) {
        self.0.push(json!({"name": name, "linter": "chain", "issuer": issuer, "subject": subject}));
    }

    /// An OCSP response.
    pub fn ocsp(&mut self, name: &str, file: &Path) {
        self.0.push(json!({"name": name, "linter": "ocsp", "file": file}));
    }

    /// Lints everything. Fails if a job got no result.
    #[track_caller]
    pub fn run(&self) -> Vec<Finding> {
        let results = Tool::new(python())
            .arg(source_root().join("tests/pkilint/lint_all.py"))
            .arg("-")
            .input(serde_json::to_vec(&self.0).expect("JSON"))
            .ok()
            .json();
        let results = results.as_array().expect("a list of results");
        assert_eq!(results.len(), self.0.len(), "a result for each job");
        let of = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
        let mut found = Vec::new();
        for result in results {
            for finding in result["findings"].as_array().expect("a list of findings") {
                found.push(Finding {
                    name: of(result, "name"),
                    linter: of(result, "linter"),
                    code: of(finding, "code"),
                    what: ["severity", "path", "message"].map(|field| of(finding, field)).join(" "),
                });
            }
        }
        found
    }
}

/// Requires that the findings are exactly the exceptions: one that is not
/// listed fails, and so does an exception that no longer occurs.
///
/// The file has one exception a line: `JOB LINTER CODE  reason`. A job may end
/// in `*`. Empty lines and lines that begin with `#` do not count.
#[track_caller]
pub fn require_only_exceptions(findings: &[Finding], exceptions: &Path) {
    let text = std::fs::read_to_string(exceptions).expect("the list of exceptions");
    let mut used = BTreeSet::new();
    let mut unexpected = Vec::new();
    let listed: Vec<(usize, Vec<&str>)> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|(number, line)| (number + 1, line.split_whitespace().collect()))
        .collect();
    for (number, words) in &listed {
        assert!(words.len() > 3, "{}:{number}: an exception needs a reason", exceptions.display());
    }
    for finding in findings {
        let matching = listed.iter().find(|(_, words)| {
            let name = words[0]
                .strip_suffix('*')
                .map_or(finding.name == words[0], |start| finding.name.starts_with(start));
            name && finding.linter == words[1] && finding.code == words[2]
        });
        match matching {
            Some((number, _)) => drop(used.insert(*number)),
            None => unexpected.push(finding),
        }
    }
    assert!(unexpected.is_empty(), "findings that are no listed exception: {unexpected:#?}");
    for (number, words) in listed {
        assert!(
            used.contains(&number),
            "{}:{number}: this exception does not occur any more; remove it: {}",
            exceptions.display(),
            words.join(" ")
        );
    }
}
