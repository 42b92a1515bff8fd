//! Linting before issuance: a certificate is signed only after every rule that
//! applies to it found nothing that blocks (S/MIME BR 4.3.1.2).
//!
//! [`lint`] turns a TBSCertificate into a [`LintedTbs`], the only thing that can
//! be signed, and what is signed are the very bytes that were linted. The
//! rules are tables of [`Lint`]s in the modules below, each with its source.

use spki::SubjectPublicKeyInfoRef;
use x509_cert::certificate::{Certificate, TbsCertificate};

use crate::template::{Conformance, TemplateKind};
use crate::{KeyAlgorithm, Timestamp};

mod alt_names;
mod authority;
mod br_subject;
mod ext_key_usage;
mod extensions;
mod finished;
mod identity;
mod key_usage;
mod linted;
mod locations;
mod name_constraints;
mod policies;
mod serial_and_key;
mod subject;
#[cfg(test)]
mod tests;
mod validity;
mod view;
mod windows;

pub use finished::{FinishedReport, lint_certificate, lint_tbs};
pub use linted::{LintedTbs, SignError, SignedCertificate};
use view::View;

/// What a certificate is to be, and under whom.
#[derive(Clone, Copy, Debug)]
pub struct LintContext<'a> {
    /// What kind of certificate its template makes.
    pub kind: TemplateKind,
    /// The outside rules that its template claims.
    pub conformance: Conformance,
    /// The issuer's certificate; none for a root, which signs itself.
    pub issuer: Option<&'a Certificate>,
    /// The time of issuance.
    pub now: Timestamp,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Permitted, but some client or policy dislikes it. It blocks only where
    /// it comes from requirements that the template claims to meet.
    Warning,
    /// Blocks the issuance.
    Error,
}

/// A rule.
#[derive(Clone, Copy)]
pub struct Lint {
    /// Its name, unique and stable.
    pub id: &'static str,
    /// How much a finding of it matters.
    pub severity: Severity,
    /// The document and section that demand it, or `house rule`.
    pub source: &'static str,
    /// The client that rejects a certificate which breaks it, and how.
    pub client: Option<&'static str>,
    applies: fn(&View<'_>) -> bool,
    check: fn(&View<'_>) -> Vec<String>,
}

impl Lint {
    const fn new(
        severity: Severity,
        id: &'static str,
        source: &'static str,
        applies: fn(&View<'_>) -> bool,
        check: fn(&View<'_>) -> Vec<String>,
    ) -> Self {
        Self { id, severity, source, client: None, applies, check }
    }

    const fn error(
        id: &'static str,
        source: &'static str,
        applies: fn(&View<'_>) -> bool,
        check: fn(&View<'_>) -> Vec<String>,
    ) -> Self {
        Self::new(Severity::Error, id, source, applies, check)
    }

    const fn warning(
        id: &'static str,
        source: &'static str,
        applies: fn(&View<'_>) -> bool,
        check: fn(&View<'_>) -> Vec<String>,
    ) -> Self {
        Self::new(Severity::Warning, id, source, applies, check)
    }

    const fn client(mut self, client: &'static str) -> Self {
        self.client = Some(client);
        self
    }
}

/// What a rule found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The rule's name.
    pub lint: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// The document and section that demand it.
    pub source: &'static str,
    /// What is wrong.
    pub what: String,
    /// The client that would reject the certificate, and how.
    pub client: Option<&'static str>,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} ({})", self.lint, self.what, self.source)?;
        self.client.map_or(Ok(()), |client| write!(f, "; {client}"))
    }
}

/// Why a certificate may not be signed.
#[derive(Debug, thiserror::Error)]
#[error("the certificate breaks {} rule(s) and is not signed:\n{}", self.findings.len(), lines(&self.findings))]
pub struct LintReport {
    /// What was found; those that block come first.
    pub findings: Vec<Finding>,
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("  {finding}")).collect::<Vec<_>>().join("\n")
}

/// The tables of all rules.
const GROUPS: &[&[Lint]] = &[
    serial_and_key::LINTS,
    validity::LINTS,
    extensions::LINTS,
    identity::LINTS,
    authority::LINTS,
    key_usage::LINTS,
    ext_key_usage::LINTS,
    alt_names::LINTS,
    name_constraints::LINTS,
    subject::LINTS,
    policies::LINTS,
    locations::LINTS,
    br_subject::LINTS,
    windows::LINTS,
];

/// Every rule, for documentation.
pub fn lints() -> impl Iterator<Item = &'static Lint> {
    GROUPS.iter().copied().flatten()
}

/// Lints a certificate before it is signed, and consumes it: what goes on is
/// the linted one only.
///
/// # Errors
/// [`LintReport`] with an error, or with a warning from requirements that the
/// template claims to meet.
pub fn lint(tbs: TbsCertificate, context: LintContext<'_>) -> Result<LintedTbs, LintReport> {
    let (bytes, decoded) = linted::encode_once(&tbs).map_err(|what| {
        let (lint, severity, client) = ("encoding", Severity::Error, None);
        let source = "RFC 5280, section 4.1";
        LintReport { findings: vec![Finding { lint, severity, source, what, client }] }
    })?;
    // What was encoded is linted, not what was meant.
    let mut findings = inspect(&View::new(&decoded, context));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let claimed = |finding: &Finding| {
        context.conformance != Conformance::None && finding.source.starts_with(view::SMIME_BR)
    };
    if findings.iter().any(|finding| finding.severity == Severity::Error || claimed(finding)) {
        return Err(LintReport { findings });
    }
    Ok(LintedTbs::new(bytes, decoded, findings))
}

/// Every finding about a certificate, in the order of the rules.
fn inspect(view: &View<'_>) -> Vec<Finding> {
    let applicable = lints().filter(|lint| (lint.applies)(view));
    applicable
        .flat_map(|lint| {
            (lint.check)(view).into_iter().map(|what| Finding {
                lint: lint.id,
                severity: lint.severity,
                source: lint.source,
                what,
                client: lint.client,
            })
        })
        .collect()
}

/// One finding if something is wrong.
fn flag(wrong: bool, what: impl Into<String>) -> Vec<String> {
    if wrong { vec![what.into()] } else { Vec::new() }
}

/// The algorithm of a certificate's key; none if it is not one of ours.
fn key_algorithm(spki: &spki::SubjectPublicKeyInfoOwned) -> Option<KeyAlgorithm> {
    use der::{Decode, Encode};
    let der = spki.to_der().ok()?;
    KeyAlgorithm::of_spki(&SubjectPublicKeyInfoRef::from_der(&der).ok()?)
}
