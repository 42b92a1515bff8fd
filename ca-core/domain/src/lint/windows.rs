//! Names and extensions of a Windows domain: in private certificates of users and
//! TLS clients only.

use der::{Tag, Tagged};
use x509_cert::ext::pkix::name::GeneralName;

use super::view::{View, always, claims_br, text_of};
use super::{Lint, flag};
use crate::microsoft::{self, Upn};
use crate::template::TemplateKind;

pub(super) const LINTS: &[Lint] = &[
    Lint::error("windows-upn-form", "house rule", always, upn_form)
        .client("a domain controller finds no account, or that of somebody else"),
    Lint::error("windows-misplaced", "house rule", not_client, misplaced),
    Lint::error("br-windows", "S/MIME BR 7.1.2.4", claims_br, misplaced),
];

fn not_client(view: &View<'_>) -> bool {
    !matches!(view.kind(), TemplateKind::TlsClient | TemplateKind::User)
}

/// The values of the user principal names.
fn upns<'a>(view: &'a View<'_>) -> impl Iterator<Item = &'a der::Any> {
    view.names.iter().flat_map(|names| &names.0).filter_map(|name| match name {
        GeneralName::OtherName(other) if other.type_id == microsoft::UPN => Some(&other.value),
        _ => None,
    })
}

fn upn_form(view: &View<'_>) -> Vec<String> {
    let all: Vec<_> = upns(view).collect();
    let mut found = flag(all.len() > 1, "there is more than one user principal name");
    found.extend(all.into_iter().filter_map(|value| {
        match text_of(value).filter(|_| value.tag() == Tag::Utf8String) {
            None => Some("a user principal name is no UTF8String".to_owned()),
            Some(text) => Upn::parse(&text).err().map(|error| error.to_string()),
        }
    }));
    found
}

fn misplaced(view: &View<'_>) -> Vec<String> {
    let mut found = flag(upns(view).next().is_some(), "there is a user principal name");
    found.extend(flag(view.has(microsoft::TEMPLATE), "there is a certificate template extension"));
    found.extend(flag(view.has(microsoft::SECURITY), "there is a security identifier extension"));
    found
}
