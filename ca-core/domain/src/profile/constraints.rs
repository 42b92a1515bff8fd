//! The issuer's name constraints (RFC 5280, section 4.2.1.10), as far as we issue
//! names: mailboxes and host names.

use x509_cert::ext::pkix::NameConstraints;
use x509_cert::ext::pkix::name::GeneralName;

use super::error::ProfileError;
use super::names::SubjectInput;
use crate::mailbox::Mailbox;

/// Refuses a name that a relying party would refuse under this issuer.
pub(super) fn check(constraints: &NameConstraints, input: &SubjectInput) -> Result<(), ProfileError> {
    let bases = |subtrees: &Option<Vec<x509_cert::ext::pkix::constraints::name::GeneralSubtree>>| {
        subtrees.iter().flatten().map(|subtree| subtree.base.clone()).collect::<Vec<_>>()
    };
    let (permitted, excluded) =
        (bases(&constraints.permitted_subtrees), bases(&constraints.excluded_subtrees));
    // A user principal name has no constraints of its own form: those for mailboxes bind it.
    for mailbox in input.mailboxes.iter().chain(input.upn.iter().map(crate::microsoft::Upn::mailbox)) {
        let hit = |base: &GeneralName| match base {
            GeneralName::Rfc822Name(text) => Some(mailbox_within(mailbox, text.as_str())),
            _ => None,
        };
        decide(&permitted, &excluded, hit, mailbox.as_str())?;
    }
    for name in &input.dns_names {
        let hit = |base: &GeneralName| match base {
            GeneralName::DnsName(text) => Some(host_within(name.as_str(), text.as_str())),
            _ => None,
        };
        decide(&permitted, &excluded, hit, name.as_str())?;
    }
    Ok(())
}

/// Excluded names win; permitted ones bind only names of a kind that is listed.
fn decide(
    permitted: &[GeneralName],
    excluded: &[GeneralName],
    hit: impl Fn(&GeneralName) -> Option<bool>,
    name: &str,
) -> Result<(), ProfileError> {
    let mut allowed = permitted.iter().filter_map(&hit).peekable();
    let outside = allowed.peek().is_some() && !allowed.any(|within| within);
    if outside || excluded.iter().filter_map(&hit).any(|within| within) {
        return Err(ProfileError::NameConstraints(name.to_owned()));
    }
    Ok(())
}

/// A whole mailbox, the mailboxes of one host, or of every host below a domain.
fn mailbox_within(mailbox: &Mailbox, base: &str) -> bool {
    if let Some((local, domain)) = base.rsplit_once('@') {
        return mailbox.local_part() == local && mailbox.domain().eq_ignore_ascii_case(domain);
    }
    let base = base.to_ascii_lowercase();
    if base.starts_with('.') { mailbox.domain().ends_with(&base) } else { mailbox.domain() == base }
}

/// The name itself and every name below it; an empty base is every name.
fn host_within(name: &str, base: &str) -> bool {
    let base = base.trim_start_matches('.').to_ascii_lowercase();
    base.is_empty() || name == base || name.strip_suffix(&base).is_some_and(|head| head.ends_with('.'))
}
