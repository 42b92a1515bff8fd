//! Name constraints: those of the certificate, and those it is under.

use x509_cert::ext::pkix::NameConstraints;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

use super::view::{View, below_root, extension, subordinate, text_of};
use super::{Lint, alt_names, flag};
use crate::DnsName;

pub(super) const LINTS: &[Lint] = &[
    Lint::error(
        "name-constraints-form",
        "RFC 5280, section 4.2.1.10, and S/MIME BR 7.1.5",
        subordinate,
        form,
    ),
    Lint::error("name-within-issuer", "RFC 5280, section 4.2.1.10", below_root, within_issuer)
        .client("every client rejects names outside an authority's constraints"),
];

fn subtrees(constraints: &NameConstraints) -> impl Iterator<Item = &GeneralSubtree> {
    constraints.permitted_subtrees.iter().chain(&constraints.excluded_subtrees).flatten()
}

fn form(view: &View<'_>) -> Vec<String> {
    let Some(constraints) = &view.name_constraints else { return Vec::new() };
    let lists = [&constraints.permitted_subtrees, &constraints.excluded_subtrees];
    let none = lists.iter().all(|list| list.is_none());
    let empty = lists.iter().any(|list| list.as_ref().is_some_and(Vec::is_empty));
    let mut found = flag(none || empty, "nameConstraints has an empty list or none");
    for tree in subtrees(constraints) {
        let bounds = tree.minimum != 0 || tree.maximum.is_some();
        found.extend(flag(bounds, "a subtree of nameConstraints has a minimum or maximum"));
        let domain = match &tree.base {
            GeneralName::Rfc822Name(text) | GeneralName::DnsName(text) => text.as_str(),
            _ => continue,
        };
        let host = domain.strip_prefix('.').unwrap_or(domain);
        let canonical = DnsName::parse(host).is_ok_and(|name| name.as_str() == host);
        found.extend(flag(!canonical, format!("{domain:?} in nameConstraints is not a domain")));
    }
    found
}

fn within_issuer(view: &View<'_>) -> Vec<String> {
    let Some(constraints) = view.issuer().and_then(extension::<NameConstraints>) else { return Vec::new() };
    let mut names: Vec<GeneralName> = view.names.iter().flat_map(|names| names.0.clone()).collect();
    if !view.tbs.subject.is_empty() {
        names.push(GeneralName::DirectoryName(view.tbs.subject.clone()));
    }
    // Addresses in the subject count as well where there is no SubjectAltName; we
    // demand that they be repeated there.
    for mailbox in alt_names::mailboxes(view) {
        names.extend(as_rfc822(&mailbox));
    }
    // No relying party constrains user principal names: that is up to us.
    for name in view.names.iter().flat_map(|names| &names.0) {
        if let GeneralName::OtherName(other) = name
            && other.type_id == crate::microsoft::UPN
            && let Some(upn) = text_of(&other.value)
        {
            names.extend(as_rfc822(&upn));
        }
    }
    let permitted = constraints.permitted_subtrees.unwrap_or_default();
    let excluded = constraints.excluded_subtrees.unwrap_or_default();
    let outside = names.iter().any(|name| {
        let mut of_form = permitted.iter().filter(|tree| same_form(&tree.base, name)).peekable();
        of_form.peek().is_some() && !of_form.any(|tree| is_within(&tree.base, name))
    });
    let inside = names.iter().any(|name| excluded.iter().any(|tree| is_within(&tree.base, name)));
    let mut found = flag(outside, "a name is outside what the issuer's nameConstraints permit");
    found.extend(flag(inside, "a name is inside what the issuer's nameConstraints exclude"));
    found
}

/// A name as constraints for mailboxes see it. A local part beyond ASCII counts by
/// its domain alone (RFC 9598, section 6).
fn as_rfc822(mailbox: &str) -> Option<GeneralName> {
    let (local, domain) = mailbox.rsplit_once('@')?;
    let text = if local.is_ascii() { mailbox.to_owned() } else { format!("\u{7f}@{domain}") };
    der::asn1::Ia5String::new(&text).ok().map(GeneralName::Rfc822Name)
}

fn same_form(base: &GeneralName, name: &GeneralName) -> bool {
    std::mem::discriminant(base) == std::mem::discriminant(name)
}

/// Whether a name is in a subtree of its own form. A form that is not
/// understood is in no subtree: not permitted where it is constrained.
fn is_within(base: &GeneralName, name: &GeneralName) -> bool {
    match (base, name) {
        (GeneralName::Rfc822Name(base), GeneralName::Rfc822Name(name)) => {
            mailbox_within(base.as_str(), name.as_str())
        }
        (GeneralName::DnsName(base), GeneralName::DnsName(name)) => {
            let (base, name) = (base.as_str().to_ascii_lowercase(), name.as_str().to_ascii_lowercase());
            name == base || base.is_empty() || name.ends_with(&dotted(&base))
        }
        (GeneralName::DirectoryName(base), GeneralName::DirectoryName(name)) => begins_with(name, base),
        _ => false,
    }
}

fn dotted(domain: &str) -> String {
    if domain.starts_with('.') { domain.to_owned() } else { format!(".{domain}") }
}

fn mailbox_within(base: &str, mailbox: &str) -> bool {
    let domain = mailbox.rsplit_once('@').map_or(mailbox, |(_, domain)| domain).to_ascii_lowercase();
    if base.contains('@') {
        mailbox == base
    } else if base.starts_with('.') {
        domain.ends_with(&base.to_ascii_lowercase())
    } else {
        domain == base.to_ascii_lowercase()
    }
}

fn begins_with(name: &Name, base: &Name) -> bool {
    name.0.len() >= base.0.len() && name.0.iter().zip(&base.0).all(|(own, wanted)| own == wanted)
}
