//! Lint of certificates that exist already, ours and others'.

use const_oid::AssociatedOid;
use const_oid::db::rfc5280::{
    ID_KP_CLIENT_AUTH, ID_KP_EMAIL_PROTECTION, ID_KP_OCSP_SIGNING, ID_KP_SERVER_AUTH,
};
use der::Decode;
use x509_cert::certificate::{Certificate, TbsCertificate};
use x509_cert::ext::pkix::{BasicConstraints, CertificatePolicies, ExtendedKeyUsage};

use super::view::View;
use super::{Finding, LintContext, Severity, inspect};
use crate::Timestamp;
use crate::template::{Conformance, TemplateKind};

/// Rules that compare a certificate with its issuer's, by name.
const NEED_ISSUER: [&str; 4] = ["issuer-given", "issuer-name", "signature-algorithm", "authority-key-id"];

/// What rules an existing certificate was judged by, and which it breaks.
#[derive(Clone, Debug)]
pub struct FinishedReport {
    /// What it is, by its basic constraints and purposes.
    pub kind: TemplateKind,
    /// What it claims, by its policies.
    pub conformance: Conformance,
    /// Errors first.
    pub findings: Vec<Finding>,
    /// Whether the rules that compare it with its issuer's certificate were asked.
    pub issuer_known: bool,
}

/// Lints a certificate that was signed already. It is judged as on its first day: its
/// age breaks no rule. The signature is not verified.
///
/// * `issuer`: its issuer's certificate, if it is known; a self-signed one needs none.
#[must_use]
pub fn lint_certificate(certificate: &Certificate, issuer: Option<&Certificate>) -> FinishedReport {
    let tbs = &certificate.tbs_certificate;
    let mut report = lint_tbs(tbs, issuer, kind_of(tbs), claim_of(tbs));
    if certificate.signature_algorithm != tbs.signature {
        report.findings.insert(
            0,
            Finding {
                lint: "signature-algorithm-outer",
                severity: Severity::Error,
                source: "RFC 5280, section 4.1.1.2",
                what: "the two signature algorithms of the certificate differ".to_owned(),
                client: Some("OpenSSL, NSS and Java reject the certificate"),
            },
        );
    }
    report
}

/// Lints a certificate that is not signed and will not be: an example of what a
/// template makes.
#[must_use]
pub fn lint_tbs(
    tbs: &TbsCertificate,
    issuer: Option<&Certificate>,
    kind: TemplateKind,
    conformance: Conformance,
) -> FinishedReport {
    let issuer = issuer.filter(|_| kind != TemplateKind::RootCa);
    let issuer_known = issuer.is_some() || kind == TemplateKind::RootCa;
    let now = Timestamp::from(tbs.validity.not_before);
    let mut findings = inspect(&View::new(tbs, LintContext { kind, conformance, issuer, now }));
    findings.retain(|finding| issuer_known || !NEED_ISSUER.contains(&finding.lint));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    FinishedReport { kind, conformance, findings, issuer_known }
}

fn extension<T: for<'a> Decode<'a> + AssociatedOid>(tbs: &TbsCertificate) -> Option<T> {
    super::view::extension(tbs)
}

/// What a certificate is for. One that says nothing is judged as a mail user's.
fn kind_of(tbs: &TbsCertificate) -> TemplateKind {
    if extension::<BasicConstraints>(tbs).is_some_and(|constraints| constraints.ca) {
        let own = tbs.issuer == tbs.subject;
        return if own { TemplateKind::RootCa } else { TemplateKind::SubordinateCa };
    }
    let purposes = extension::<ExtendedKeyUsage>(tbs).map(|purposes| purposes.0).unwrap_or_default();
    let kinds = [
        (ID_KP_EMAIL_PROTECTION, TemplateKind::User),
        (ID_KP_OCSP_SIGNING, TemplateKind::OcspSigner),
        (ID_KP_SERVER_AUTH, TemplateKind::TlsServer),
        (ID_KP_CLIENT_AUTH, TemplateKind::TlsClient),
    ];
    kinds.iter().find(|(oid, _)| purposes.contains(oid)).map_or(TemplateKind::User, |(_, kind)| *kind)
}

/// The claim that the policies state.
fn claim_of(tbs: &TbsCertificate) -> Conformance {
    let policies = extension::<CertificatePolicies>(tbs).map(|policies| policies.0).unwrap_or_default();
    policies.iter().find_map(|policy| Conformance::of_policy(policy.policy_identifier)).unwrap_or_default()
}
