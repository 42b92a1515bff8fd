//! CA/Browser Forum S/MIME Baseline Requirements, by level and generation.

use super::check::Problems;
use super::conformance::{BrProfile, Validation};
use super::file::{SubjectEntry, TemplateFile};
use super::purpose::KeyPurpose;
use super::subject::{Pattern, Placeholder, SubjectAttribute};
use super::value::{KeyUsageBit, Need, Presence, TemplateKind, UrlSource};

/// The arc of all of the S/MIME BR's policies.
const BR_ARC: &str = "2.23.140.1.5.";
/// Days at most (S/MIME BR 6.3.2).
const MAX_DAYS: u32 = 825;

pub(super) fn check_br(file: &TemplateFile, problems: &mut Problems) {
    let Some(br) = file.conformance.br() else { return };
    let claim = file.conformance.name();
    if *file.kind != TemplateKind::User {
        problems.add(
            &file.conformance,
            "conformance",
            format!("kind {} cannot be {claim}; use none", file.kind.name()),
        );
        return;
    }
    let days = &file.validity.maximum_days;
    problems.add_if(
        **days > MAX_DAYS,
        days,
        "validity.maximum_days",
        format!("{} days are too many for {claim}; use at most {MAX_DAYS}", **days),
    );
    if br.strict {
        check_strict(file, problems);
    }
    problems.add_if(
        *file.aia.ocsp == UrlSource::None,
        &file.aia.ocsp,
        "aia.ocsp",
        "certificates under the S/MIME BR name their OCSP responder; the allowed value is authority",
    );
    check_policies(file, br, problems);
    check_private(file, problems);
    check_subject(file, br, problems);
    check_needed(file, br, problems);
}

fn check_strict(file: &TemplateFile, problems: &mut Problems) {
    problems.add_if(
        file.extended_key_usage.iter().any(|purpose| *purpose != KeyPurpose::EMAIL_PROTECTION),
        &file.extended_key_usage,
        "extended_key_usage",
        "strict certificates serve mail only (S/MIME BR 7.1.2.3 f); the allowed value is [emailProtection]",
    );
    for (family, bits) in file.key_usage.listed() {
        problems.add_if(
            bits.contains(&KeyUsageBit::DataEncipherment),
            bits,
            &format!("key_usage.{}", family.name()),
            "dataEncipherment is not allowed in strict certificates (S/MIME BR 7.1.2.3 e); use keyEncipherment",
        );
    }
}

fn check_policies(file: &TemplateFile, br: BrProfile, problems: &mut Problems) {
    let wanted = br.policy();
    let mut of_br = file.policies.iter().filter(|policy| policy.oid.0.to_string().starts_with(BR_ARC));
    let exact = of_br.next().is_some_and(|policy| policy.oid.0 == wanted) && of_br.next().is_none();
    problems.add_if(
        !exact,
        &file.policies,
        "policies",
        format!("{} has exactly one S/MIME BR policy (7.1.6.1); list {wanted}", file.conformance.name()),
    );
}

/// What serves a Windows domain is for private templates (S/MIME BR 7.1.2.4: no
/// extension and no name whose meaning the public does not know).
fn check_private(file: &TemplateFile, problems: &mut Problems) {
    let upn = &file.subject_alt_names.upn;
    problems.add_if(
        **upn != Presence::Forbidden,
        upn,
        "subject_alt_names.upn",
        "user principal names are for private templates; the allowed value is forbidden, or use conformance none",
    );
    if let Some(microsoft) = &file.microsoft {
        problems.add(
            microsoft,
            "microsoft",
            "the extensions of a Windows domain are for private templates; remove the field, or use conformance none",
        );
    }
}

/// S/MIME BR 7.1.4.2.3 to 7.1.4.2.6: the attributes of each level.
fn check_subject(file: &TemplateFile, br: BrProfile, problems: &mut Problems) {
    use SubjectAttribute as A;
    let level = br.validation;
    let entity = [A::Organization, A::OrganizationIdentifier, A::OrganizationalUnit];
    let person = [A::GivenName, A::Surname, A::Pseudonym, A::Title];
    let place = [A::Country, A::State, A::Locality];
    let mut allowed = vec![A::CommonName, A::EmailAddress, A::SerialNumber];
    if level.names_entity() {
        allowed.extend(entity);
    }
    if level.names_person() {
        allowed.extend(person);
    }
    if level != Validation::Mailbox {
        allowed.extend(place);
    }
    for (i, entry) in file.subject.iter().enumerate() {
        let attribute = *entry.attribute;
        if !allowed.contains(&attribute) {
            let words: Vec<_> = allowed.iter().map(|one| one.name()).collect();
            problems.add(
                &entry.attribute,
                &format!("subject[{i}].attribute"),
                format!(
                    "{attribute} is not validated in {} certificates (S/MIME BR 7.1.4.2.3 to 7.1.4.2.6); use \
                     some of {}",
                    level.name(),
                    words.join(", ")
                ),
            );
        }
        let wanted = match attribute {
            A::EmailAddress => Some("{mailbox}"),
            A::CommonName => common_name(level, entry),
            _ => None,
        };
        let mailbox = *entry.pattern == Pattern::Placeholder(vec![Placeholder::Mailbox]);
        if let Some(wanted) = wanted.filter(|_| !mailbox) {
            problems.add(
                &entry.pattern,
                &format!("subject[{i}].pattern"),
                format!(
                    "that is not what {attribute} may be in {} certificates (S/MIME BR 7.1.4.2.2 a); use {wanted}",
                    level.name()
                ),
            );
        }
    }
}

/// What to use instead, if the common name is not one of the level (S/MIME BR 7.1.4.2.2 a).
fn common_name(level: Validation, entry: &SubjectEntry) -> Option<&'static str> {
    let Pattern::Placeholder(alternatives) = &*entry.pattern else {
        // The name of the organization may be a literal; lint compares the two.
        return (level != Validation::Organization).then_some("{mailbox}");
    };
    let fits = |one: &Placeholder| match one {
        Placeholder::Mailbox => true,
        Placeholder::DnsName => false,
        Placeholder::Attribute(attribute) => match level {
            Validation::Mailbox => false,
            Validation::Organization => *attribute == SubjectAttribute::Organization,
            Validation::Sponsor | Validation::Individual => {
                matches!(attribute, SubjectAttribute::CommonName | SubjectAttribute::Pseudonym)
            }
        },
    };
    let wanted = match level {
        Validation::Mailbox => "{mailbox}",
        Validation::Organization => "{organization} or {mailbox}",
        Validation::Sponsor | Validation::Individual => "{common_name|mailbox}, {pseudonym} or {mailbox}",
    };
    (!alternatives.iter().all(fits)).then_some(wanted)
}

/// Attributes that a level cannot be without.
fn check_needed(file: &TemplateFile, br: BrProfile, problems: &mut Problems) {
    use SubjectAttribute as A;
    let entry = |wanted: A| file.subject.iter().find(|entry| *entry.attribute == wanted);
    let required = |wanted: A| entry(wanted).is_some_and(|entry| *entry.need == Need::Required);
    for attribute in [A::Organization, A::OrganizationIdentifier] {
        problems.add_if(
            br.validation.names_entity() && !required(attribute),
            &file.subject,
            "subject",
            format!(
                "{} certificates name {attribute} (S/MIME BR 7.1.4.2.4 and 7.1.4.2.5); add it, and make it required",
                br.validation.name()
            ),
        );
    }
    problems.add_if(
        br.validation.names_person() && ![A::GivenName, A::Surname, A::Pseudonym].into_iter().any(|a| entry(a).is_some()),
        &file.subject,
        "subject",
        format!(
            "{} certificates name a person (S/MIME BR 7.1.4.2.5 and 7.1.4.2.6); add given_name and surname, or pseudonym",
            br.validation.name()
        ),
    );
}
