//! Contradictions within a template, whatever its kind.

use super::approval::Approval;
use super::check_br::check_br;
use super::check_keys::check_keys;
use super::check_kind::check_kind;
use super::error::Problem;
use super::file::{At, TemplateFile};
use super::subject::{Pattern, Placeholder, SubjectAttribute};
use super::value::{Need, Presence, TemplateKind};
use crate::profile::check_attribute_value;

/// Minutes of backdating at most: the 48 hours of the Baseline Requirements.
const MAX_BACKDATE: u32 = 48 * 60;
/// Days of any certificate at most.
const MAX_DAYS: u32 = 50 * 366;

/// Collects what is wrong.
pub(super) struct Problems {
    found: Vec<Problem>,
    /// The line for fields that the file does not have.
    fallback: u64,
}

impl Problems {
    pub(super) fn add<T>(&mut self, at: &At<T>, field: &str, what: impl Into<String>) {
        let line = if at.line() == 0 { self.fallback } else { at.line() };
        self.found.push(Problem { line, field: field.to_owned(), what: what.into() });
    }

    /// Adds the problem if the condition holds.
    pub(super) fn add_if<T>(&mut self, wrong: bool, at: &At<T>, field: &str, what: impl Into<String>) {
        if wrong {
            self.add(at, field, what);
        }
    }
}

/// Everything that is wrong with the file, by line.
pub(super) fn check(file: &TemplateFile) -> Vec<Problem> {
    let mut problems = Problems { found: Vec::new(), fallback: file.kind.line().max(1) };
    check_head(file, &mut problems);
    check_validity(file, &mut problems);
    check_keys(file, &mut problems);
    check_subject(file, &mut problems);
    check_names(file, &mut problems);
    check_lists(file, &mut problems);
    check_kind(file, &mut problems);
    check_br(file, &mut problems);
    problems.found.sort_by_key(|problem| problem.line);
    problems.found
}

fn check_head(file: &TemplateFile, problems: &mut Problems) {
    problems.add_if(
        *file.format != 1,
        &file.format,
        "format",
        format!("format {} is not known; this program reads format 1", *file.format),
    );
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = file.name.len() <= 64
        && file.name.starts_with(|c: char| c.is_ascii_lowercase())
        && file.name.chars().all(plain);
    problems.add_if(
        !good,
        &file.name,
        "name",
        format!("{:?} is not a name; use 1 to 64 of a-z, 0-9 and '-', beginning with a letter", *file.name),
    );
    // Those are made by commands that nobody can submit as a request.
    let unapprovable = file.kind.is_authority() || *file.kind == TemplateKind::OcspSigner;
    problems.add_if(
        *file.approval == Approval::Required && unapprovable,
        &file.approval,
        "approval",
        format!("a template of kind {} cannot ask for approval; use none", file.kind.name()),
    );
    let text = file.description.trim();
    problems.add_if(
        text.is_empty() || text.chars().any(char::is_control),
        &file.description,
        "description",
        "say in one line what the template is for",
    );
}

fn check_validity(file: &TemplateFile, problems: &mut Problems) {
    let validity = &file.validity;
    let (default, maximum) = (*validity.default_days, *validity.maximum_days);
    problems.add_if(
        default == 0,
        &validity.default_days,
        "validity.default_days",
        format!("0 days make no certificate; use 1 to {maximum}"),
    );
    problems.add_if(
        default > maximum,
        &validity.default_days,
        "validity.default_days",
        format!("the default of {default} days is beyond validity.maximum_days; use at most {maximum}"),
    );
    problems.add_if(
        maximum > MAX_DAYS,
        &validity.maximum_days,
        "validity.maximum_days",
        format!("{maximum} days are too many; use at most {MAX_DAYS}"),
    );
    if let Some(overlap) = &file.renewal.overlap_days {
        problems.add_if(
            **overlap == 0 || **overlap > maximum,
            overlap,
            "renewal.overlap_days",
            format!("{} days are no time to change certificates in; use 1 to {maximum}", **overlap),
        );
    }
    problems.add_if(
        *validity.backdate_minutes > MAX_BACKDATE,
        &validity.backdate_minutes,
        "validity.backdate_minutes",
        format!("{} minutes are too many; use at most {MAX_BACKDATE} (48 hours)", *validity.backdate_minutes),
    );
}

fn check_subject(file: &TemplateFile, problems: &mut Problems) {
    let names = &file.subject_alt_names;
    for (i, entry) in file.subject.iter().enumerate() {
        let attribute = *entry.attribute;
        let field = format!("subject[{i}].pattern");
        let before = file.subject.iter().take(i).any(|other| *other.attribute == attribute);
        let repeatable =
            matches!(attribute, SubjectAttribute::DomainComponent | SubjectAttribute::OrganizationalUnit);
        problems.add_if(
            before && !repeatable,
            &entry.attribute,
            &format!("subject[{i}].attribute"),
            format!("{attribute} is there twice; only domain_component and organizational_unit may be"),
        );
        match &*entry.pattern {
            Pattern::Literal(text) => {
                if let Err(what) = check_attribute_value(attribute, text) {
                    problems.add(&entry.pattern, &field, what);
                }
            }
            Pattern::Placeholder(alternatives) => {
                for placeholder in alternatives {
                    let (presence, san) = match placeholder {
                        Placeholder::Mailbox => (*names.rfc822, "rfc822"),
                        Placeholder::DnsName => (*names.dns, "dns"),
                        Placeholder::Attribute(_) => continue,
                    };
                    problems.add_if(
                        presence == Presence::Forbidden,
                        &entry.pattern,
                        &field,
                        format!(
                            "{{{placeholder}}} never has a value, since subject_alt_names.{san} is forbidden; \
                             make that required or optional, or use another placeholder"
                        ),
                    );
                    problems.add_if(
                        presence == Presence::Optional
                            && alternatives.len() == 1
                            && *entry.need == Need::Required,
                        &entry.pattern,
                        &field,
                        format!(
                            "{{{placeholder}}} is required here, but subject_alt_names.{san} is optional; \
                             make both required or both optional"
                        ),
                    );
                }
            }
        }
    }
}

fn check_names(file: &TemplateFile, problems: &mut Problems) {
    let names = &file.subject_alt_names;
    let domains = &file.mailbox_domains;
    problems.add_if(
        *names.rfc822 == Presence::Forbidden && !(domains.allow().is_empty() && domains.deny().is_empty()),
        domains,
        "mailbox_domains",
        "there are no mailboxes, since subject_alt_names.rfc822 is forbidden; remove this field",
    );
    for denied in domains.deny() {
        problems.add_if(
            domains.allow().contains(denied),
            domains,
            "mailbox_domains.deny",
            format!("{denied} is both allowed and denied; remove it from one of the lists"),
        );
    }
    if let Some(section) = &file.name_constraints {
        let sets = [&section.permitted, &section.excluded];
        problems.add_if(
            sets.iter().all(|set| set.rfc822.is_empty() && set.dns.is_empty()),
            section,
            "name_constraints",
            "no name is listed (RFC 5280, section 4.2.1.10); list rfc822 or dns names under permitted or \
             excluded, or remove the field",
        );
        problems.add_if(
            sets.iter().any(|set| set.dns.iter().any(|name| name.as_str().starts_with('.'))),
            section,
            "name_constraints",
            "a host name constraint has no leading dot: example.test includes every name below it",
        );
    }
}

fn check_lists(file: &TemplateFile, problems: &mut Problems) {
    let purposes = &file.extended_key_usage;
    for (i, purpose) in purposes.iter().enumerate() {
        problems.add_if(
            purposes.iter().take(i).any(|other| other == purpose),
            purposes,
            &format!("extended_key_usage[{i}]"),
            format!("{purpose} is there twice; remove one of them"),
        );
    }
    for (i, policy) in file.policies.iter().enumerate() {
        problems.add_if(
            file.policies.iter().take(i).any(|other| *other.oid == *policy.oid),
            &policy.oid,
            &format!("policies[{i}].oid"),
            format!("{} is there twice (RFC 5280, section 4.2.1.4); remove one of them", policy.oid.0),
        );
        if let Some(cps) = &policy.cps {
            let http = cps.starts_with("http://") || cps.starts_with("https://");
            problems.add_if(
                !http || cps.chars().any(|c| !c.is_ascii_graphic()),
                cps,
                &format!("policies[{i}].cps"),
                format!("{:?} is not a URL; use an http:// or https:// URL in ASCII", **cps),
            );
        }
    }
    let capabilities = &file.smime_capabilities;
    problems.add_if(
        capabilities.iter().enumerate().any(|(i, one)| capabilities.iter().take(i).any(|other| other == one)),
        capabilities,
        "smime_capabilities",
        "an algorithm is there twice; remove one of them",
    );
}
