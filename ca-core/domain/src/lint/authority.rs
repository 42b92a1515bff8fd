//! Basic constraints, and what authorities need.

use const_oid::db::rfc4519::COMMON_NAME;
use const_oid::db::rfc4519::{COUNTRY_NAME, ORGANIZATION_NAME};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

use super::view::{View, always, authority, below_root, extension, leaf, root, subordinate};
use super::{Lint, flag};

pub(super) const LINTS: &[Lint] = &[
    Lint::error("basic-constraints", "RFC 5280, section 4.2.1.9", authority, of_authority),
    Lint::error("basic-constraints-leaf", "S/MIME BR 7.1.2.3 d", leaf, of_leaf),
    Lint::error("path-length-of-root", "S/MIME BR 7.1.2.1 a", root, path_length_of_root),
    Lint::error("path-length", "RFC 5280, section 4.2.1.9", subordinate, path_length)
        .client("every client rejects paths that are longer than an authority allows"),
    Lint::error("issuer-is-authority", "RFC 5280, section 6.1.4", below_root, issuer_is_authority),
    Lint::error("authority-subject", "RFC 5280, section 4.1.2.6", authority, nameless),
    Lint::warning("authority-name", "S/MIME BR 7.1.4.3.1", authority, authority_name),
    Lint::error("name-constraints-leaf", "RFC 5280, section 4.2.1.10", always, misplaced_constraints),
];

fn of_authority(view: &View<'_>) -> Vec<String> {
    let ca = view.constraints.as_ref().is_some_and(|constraints| constraints.ca);
    flag(!ca, "an authority has basicConstraints with cA true")
}

/// RFC 5280 lets a leaf leave the extension out; Thunderbird, OpenSSL, GnuTLS
/// and gpgsm were all tried with it.
fn of_leaf(view: &View<'_>) -> Vec<String> {
    match &view.constraints {
        None => vec!["there is no basicConstraints".to_owned()],
        Some(constraints) => flag(
            constraints.ca || constraints.path_len_constraint.is_some(),
            "basicConstraints with cA true or a path length make an authority of the certificate",
        ),
    }
}

fn path_length_of_root(view: &View<'_>) -> Vec<String> {
    let limited = view.constraints.as_ref().is_some_and(|c| c.path_len_constraint.is_some());
    flag(limited, "a root has no path length")
}

fn path_length(view: &View<'_>) -> Vec<String> {
    let length = |constraints: &BasicConstraints| constraints.path_len_constraint;
    let above = view.issuer().and_then(extension::<BasicConstraints>).as_ref().and_then(length);
    let Some(above) = above else { return Vec::new() };
    let own = view.constraints.as_ref().and_then(length);
    flag(
        above == 0 || own.is_none_or(|own| own >= above),
        format!(
            "the issuer's path length is {above}, so this one needs a smaller one, and none fits below 0"
        ),
    )
}

fn issuer_is_authority(view: &View<'_>) -> Vec<String> {
    let Some(issuer) = view.issuer() else { return Vec::new() };
    let ca = extension::<BasicConstraints>(issuer).is_some_and(|constraints| constraints.ca);
    let signs = extension::<KeyUsage>(issuer).is_some_and(|usage| usage.key_cert_sign());
    flag(!ca || !signs, "the issuer's certificate lacks cA true or keyCertSign: it may not issue")
}

fn nameless(view: &View<'_>) -> Vec<String> {
    flag(view.tbs.subject.is_empty(), "an authority needs a subject")
}

fn authority_name(view: &View<'_>) -> Vec<String> {
    let needed =
        [(COMMON_NAME, "commonName"), (ORGANIZATION_NAME, "organizationName"), (COUNTRY_NAME, "countryName")];
    let missing = needed.iter().filter(|(oid, _)| !view.subject_has(*oid));
    missing.map(|(_, name)| format!("the authority's subject has no {name}")).collect()
}

fn misplaced_constraints(view: &View<'_>) -> Vec<String> {
    let misplaced = !subordinate(view) && view.has(const_oid::db::rfc5280::ID_CE_NAME_CONSTRAINTS);
    flag(misplaced, "only a subordinate authority may have nameConstraints")
}
