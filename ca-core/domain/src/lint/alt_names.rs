//! SubjectAltName.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc3280::EMAIL_ADDRESS;
use const_oid::db::rfc4519::COMMON_NAME;
use const_oid::db::rfc5280::ID_CE_SUBJECT_ALT_NAME;
use der::Tag;
use der::Tagged;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};

use super::view::{View, always, claims_br, text_of, user};
use super::{Lint, flag};
use crate::template::TemplateKind;
use crate::{DnsName, Mailbox};

/// id-on-SmtpUTF8Mailbox (RFC 9598, section 3).
pub(super) const SMTP_UTF8_MAILBOX: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.8.9");

pub(super) const LINTS: &[Lint] = &[
    Lint::error("alt-name-mailbox", "RFC 8550, section 3", user, mailbox_present)
        .client("Thunderbird shows \"no email address\" and refuses to encrypt"),
    Lint::error("alt-name-host", "RFC 9525, section 3", server, host_present)
        .client("TLS clients look at dNSName only"),
    Lint::error("alt-name-authority", "house rule", no_names, none),
    Lint::error(
        "alt-name-rfc822-form",
        "RFC 5280, section 4.2.1.6, and RFC 9598, section 3",
        always,
        rfc822_form,
    ),
    Lint::error("alt-name-smtputf8-form", "RFC 9598, section 3", always, smtp_utf8_form),
    Lint::error("alt-name-dns-form", "RFC 5280, section 4.2.1.6", always, dns_form),
    Lint::warning("alt-name-smtputf8-alone", "house rule", user, smtp_utf8_alone)
        .client("Thunderbird sees no email address, GnuTLS finds that the name does not match"),
    Lint::error("alt-name-repeated", "house rule", always, repeated),
    Lint::error("alt-name-user", "house rule", user, foreign_to_user),
    Lint::error(
        "subject-mailbox-repeated",
        "RFC 8550, section 3, and S/MIME BR 7.1.4.2.1",
        always,
        subject_mailboxes,
    )
    .client("clients that look at the SubjectAltName do not find the subject's address"),
    Lint::error("br-alt-name", "S/MIME BR 7.1.4.2.1", claims_br, br),
];

fn server(view: &View<'_>) -> bool {
    view.kind() == TemplateKind::TlsServer
}

fn no_names(view: &View<'_>) -> bool {
    view.kind().is_authority() || view.kind() == TemplateKind::OcspSigner
}

fn names<'a>(view: &'a View<'_>) -> &'a [GeneralName] {
    view.names.as_ref().map(|names| names.0.as_slice()).unwrap_or_default()
}

fn rfc822(name: &GeneralName) -> Option<&str> {
    match name {
        GeneralName::Rfc822Name(text) => Some(text.as_str()),
        _ => None,
    }
}

fn smtp_utf8(name: &GeneralName) -> Option<&OtherName> {
    match name {
        GeneralName::OtherName(other) if other.type_id == SMTP_UTF8_MAILBOX => Some(other),
        _ => None,
    }
}

/// The mailboxes of the SubjectAltName, as they are written there.
pub(super) fn mailboxes(view: &View<'_>) -> Vec<String> {
    let text =
        |name: &GeneralName| rfc822(name).map(ToOwned::to_owned).or_else(|| text_of(&smtp_utf8(name)?.value));
    names(view).iter().filter_map(text).collect()
}

fn mailbox_present(view: &View<'_>) -> Vec<String> {
    flag(mailboxes(view).is_empty(), "there is no mailbox in the subjectAltName")
}

fn host_present(view: &View<'_>) -> Vec<String> {
    let host = names(view).iter().any(|name| matches!(name, GeneralName::DnsName(_)));
    flag(!host, "there is no dNSName in the subjectAltName")
}

fn none(view: &View<'_>) -> Vec<String> {
    flag(view.has(ID_CE_SUBJECT_ALT_NAME), "authorities and OCSP signers have no subjectAltName")
}

fn rfc822_form(view: &View<'_>) -> Vec<String> {
    let check = |text: &str| match Mailbox::parse(text) {
        Err(error) => Some(error.to_string()),
        Ok(mailbox) if mailbox.as_str() != text => {
            Some(format!("{text:?} is not in canonical form; write {mailbox}"))
        }
        Ok(_) => None,
    };
    names(view).iter().filter_map(rfc822).filter_map(check).collect()
}

fn smtp_utf8_form(view: &View<'_>) -> Vec<String> {
    let check = |other: &OtherName| {
        let text = text_of(&other.value).filter(|_| other.value.tag() == Tag::Utf8String);
        let Some(text) = text else { return Some("a SmtpUTF8Mailbox is no UTF8String".to_owned()) };
        match Mailbox::parse(&text) {
            Err(error) => Some(error.to_string()),
            Ok(mailbox) if mailbox.as_str() != text => {
                Some(format!("{text:?} is not in canonical form; write {mailbox}"))
            }
            Ok(mailbox) if !mailbox.is_internationalized() => {
                Some(format!("{text:?} has an ASCII local part; it must be an rfc822Name"))
            }
            Ok(_) => None,
        }
    };
    names(view).iter().filter_map(smtp_utf8).filter_map(check).collect()
}

fn dns_form(view: &View<'_>) -> Vec<String> {
    let check = |name: &GeneralName| {
        let GeneralName::DnsName(text) = name else { return None };
        match DnsName::parse(text.as_str()) {
            Err(error) => Some(error.to_string()),
            Ok(name) if name.as_str() != text.as_str() => {
                Some(format!("{:?} is not in canonical form; write {name}", text.as_str()))
            }
            Ok(_) => None,
        }
    };
    names(view).iter().filter_map(check).collect()
}

fn smtp_utf8_alone(view: &View<'_>) -> Vec<String> {
    let all = names(view);
    let alone = all.iter().any(|name| smtp_utf8(name).is_some()) && !all.iter().any(|n| rfc822(n).is_some());
    flag(alone, "SmtpUTF8Mailbox is the only mailbox; add an ASCII address if there is one")
}

fn repeated(view: &View<'_>) -> Vec<String> {
    let all = names(view);
    let again = all.iter().enumerate().filter(|(at, name)| all[..*at].contains(name)).count();
    flag(again > 0, "a name is in the subjectAltName twice")
}

/// Names of hosts and addresses let a mail certificate serve TLS clients that
/// do not look at the purposes.
fn foreign_to_user(view: &View<'_>) -> Vec<String> {
    let foreign = names(view).iter().any(|name| {
        matches!(
            name,
            GeneralName::DnsName(_)
                | GeneralName::IpAddress(_)
                | GeneralName::UniformResourceIdentifier(_)
                | GeneralName::EdiPartyName(_)
                | GeneralName::RegisteredId(_)
        )
    });
    flag(foreign, "a mail user's subjectAltName has mailboxes, directory names and otherNames only")
}

fn subject_mailboxes(view: &View<'_>) -> Vec<String> {
    let present = mailboxes(view);
    let address = view.subject_texts(EMAIL_ADDRESS);
    let common = view.subject_texts(COMMON_NAME).filter(|text| Mailbox::parse(text).is_ok());
    let missing = address.chain(common).filter(|text| !present.iter().any(|mailbox| mailbox == text));
    missing.map(|text| format!("the subject's mailbox {text:?} is not in the subjectAltName")).collect()
}

fn br(view: &View<'_>) -> Vec<String> {
    let strict = view.claim.is_some_and(|claim| claim.strict);
    let forbidden = |name: &GeneralName| match name {
        GeneralName::OtherName(other) => strict && other.type_id != SMTP_UTF8_MAILBOX,
        GeneralName::Rfc822Name(_) | GeneralName::DirectoryName(_) => false,
        _ => true,
    };
    flag(
        names(view).iter().any(forbidden),
        "the subjectAltName has a name that is neither a mailbox nor a directory name",
    )
}
