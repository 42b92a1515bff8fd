//! Who issued the certificate: issuer name and key identifiers.

use der::Encode;
use x509_cert::ext::pkix::SubjectKeyIdentifier;

use super::view::{View, always, below_root, extension};
use super::{Lint, flag};
use crate::template::TemplateKind;

pub(super) const LINTS: &[Lint] = &[
    Lint::error("issuer-given", "house rule", always, issuer_given),
    Lint::error("issuer-name", "RFC 5280, section 4.1.2.4", always, issuer_name)
        .client("OpenSSL and NSS find no issuer"),
    Lint::error("subject-key-id", "RFC 5280, section 4.2.1.2", always, subject_key_id),
    Lint::error("authority-key-id", "RFC 5280, section 4.2.1.1", always, authority_key_id),
    Lint::error("authority-key-id-form", "S/MIME BR 7.1.2.2 h and 7.1.2.3 g", always, authority_key_id_form),
    Lint::error("self-issued", "house rule", below_root, self_issued),
];

fn issuer_given(view: &View<'_>) -> Vec<String> {
    let root = view.kind() == TemplateKind::RootCa;
    flag(
        root == view.issuer().is_some(),
        if root { "a root signs itself, but an issuer was given" } else { "no issuer was given" },
    )
}

fn issuer_name(view: &View<'_>) -> Vec<String> {
    let issuer = view.issuer().map_or(&view.tbs.subject, |issuer| &issuer.subject);
    let same = issuer.to_der().ok() == view.tbs.issuer.to_der().ok();
    flag(!same, "the issuer name is not byte for byte the subject of the issuer's certificate")
}

fn subject_key_id(view: &View<'_>) -> Vec<String> {
    let Some(id) = &view.own_id else { return vec!["there is no subjectKeyIdentifier".to_owned()] };
    let wrong = view.key.as_ref().is_ok_and(|key| key.key_id.0 != id.0.as_bytes());
    flag(wrong, "the subjectKeyIdentifier is not the SHA-1 of the key bits (method 1)")
}

fn authority_key_id(view: &View<'_>) -> Vec<String> {
    // A foreign issuer may lack the extension; then there is nothing to compare.
    let wanted = match view.issuer() {
        Some(issuer) => extension::<SubjectKeyIdentifier>(issuer),
        None => view.own_id.clone(),
    };
    let root = view.kind() == TemplateKind::RootCa;
    match (&view.issuer_id, wanted) {
        (None, _) => flag(!root, "there is no authorityKeyIdentifier"),
        (Some(found), Some(wanted)) => flag(
            found.key_identifier.as_ref().is_some_and(|id| *id != wanted.0),
            "the authorityKeyIdentifier is not the issuer's subjectKeyIdentifier",
        ),
        (Some(_), None) => Vec::new(),
    }
}

fn authority_key_id_form(view: &View<'_>) -> Vec<String> {
    let Some(id) = &view.issuer_id else { return Vec::new() };
    let mut found = flag(id.key_identifier.is_none(), "the authorityKeyIdentifier has no key identifier");
    let more = id.authority_cert_issuer.is_some() || id.authority_cert_serial_number.is_some();
    found.extend(flag(more, "the authorityKeyIdentifier has an issuer name or serial number"));
    found
}

/// A certificate below its issuer under the issuer's own name confuses path
/// building: only a key rollover of an authority may look so, and that is not made here.
fn self_issued(view: &View<'_>) -> Vec<String> {
    flag(view.tbs.subject == view.tbs.issuer, "the subject is the issuer's own name; give it another")
}
