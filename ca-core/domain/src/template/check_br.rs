//! CA/Browser Forum S/MIME Baseline Requirements, mailbox-validated, strict.

use const_oid::ObjectIdentifier;

use super::check::Problems;
use super::file::TemplateFile;
use super::purpose::KeyPurpose;
use super::subject::{Pattern, Placeholder, SubjectAttribute};
use super::value::{Conformance, KeyUsageBit, TemplateKind, UrlSource};

/// smime-baseline-requirements mailbox-validated strict (S/MIME BR 7.1.6.1).
const MAILBOX_STRICT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.140.1.5.1.3");
/// The arc of all of the S/MIME BR's policies.
const BR_ARC: &str = "2.23.140.1.5.";
/// Days at most (S/MIME BR 6.3.2).
const MAX_DAYS: u32 = 825;

pub(super) fn check_br(file: &TemplateFile, problems: &mut Problems) {
    if *file.conformance == Conformance::None {
        return;
    }
    if *file.kind != TemplateKind::User {
        problems.add(
            &file.conformance,
            "conformance",
            format!("kind {} cannot be smime-br-mailbox-strict; use none", file.kind.name()),
        );
        return;
    }
    let days = &file.validity.maximum_days;
    problems.add_if(
        **days > MAX_DAYS,
        days,
        "validity.maximum_days",
        format!("{} days are too many for smime-br-mailbox-strict; use at most {MAX_DAYS}", **days),
    );
    problems.add_if(
        file.extended_key_usage.iter().any(|purpose| *purpose != KeyPurpose::EMAIL_PROTECTION),
        &file.extended_key_usage,
        "extended_key_usage",
        "strict certificates serve mail only (S/MIME BR 7.1.2.3 f); the allowed value is [emailProtection]",
    );
    check_policies(file, problems);
    for (family, bits) in file.key_usage.listed() {
        problems.add_if(
            bits.contains(&KeyUsageBit::DataEncipherment),
            bits,
            &format!("key_usage.{}", family.name()),
            "dataEncipherment is not allowed in strict certificates (S/MIME BR 7.1.2.3 e); use keyEncipherment",
        );
    }
    problems.add_if(
        *file.aia.ocsp == UrlSource::None,
        &file.aia.ocsp,
        "aia.ocsp",
        "strict certificates name their OCSP responder; the allowed value is authority",
    );
    check_subject(file, problems);
}

fn check_policies(file: &TemplateFile, problems: &mut Problems) {
    let mut of_br = file.policies.iter().filter(|policy| policy.oid.0.to_string().starts_with(BR_ARC));
    let exact = of_br.next().is_some_and(|policy| policy.oid.0 == MAILBOX_STRICT) && of_br.next().is_none();
    problems.add_if(
        !exact,
        &file.policies,
        "policies",
        format!("smime-br-mailbox-strict has exactly one S/MIME BR policy (7.1.6.1); list {MAILBOX_STRICT}"),
    );
}

/// S/MIME BR 7.1.4.2.3: only these attributes, and the common name is the mailbox.
fn check_subject(file: &TemplateFile, problems: &mut Problems) {
    for (i, entry) in file.subject.iter().enumerate() {
        let mailbox = *entry.pattern == Pattern::Placeholder(vec![Placeholder::Mailbox]);
        match *entry.attribute {
            SubjectAttribute::CommonName | SubjectAttribute::EmailAddress => problems.add_if(
                !mailbox,
                &entry.pattern,
                &format!("subject[{i}].pattern"),
                "a mailbox-validated subject names nothing but the mailbox (S/MIME BR 7.1.4.2.3); use \"{mailbox}\"",
            ),
            SubjectAttribute::SerialNumber => {}
            other => problems.add(
                &entry.attribute,
                &format!("subject[{i}].attribute"),
                format!(
                    "{other} is not validated (S/MIME BR 7.1.4.2.3); use some of common_name, email_address, \
                     serial_number"
                ),
            ),
        }
    }
}
