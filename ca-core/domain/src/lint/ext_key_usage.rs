//! Extended key usage.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{
    ANY_EXTENDED_KEY_USAGE, ID_CE_EXT_KEY_USAGE, ID_KP_CLIENT_AUTH, ID_KP_CODE_SIGNING,
    ID_KP_EMAIL_PROTECTION, ID_KP_OCSP_SIGNING, ID_KP_SERVER_AUTH, ID_KP_TIME_STAMPING,
};
use x509_cert::ext::pkix::ExtendedKeyUsage;

use super::view::{View, always, below_root, claims_br, extension, leaf, root, subordinate};
use super::{Lint, flag};
use crate::template::{KeyPurpose, TemplateKind};

pub(super) const LINTS: &[Lint] = &[
    Lint::error("purposes-root", "S/MIME BR 7.1.2.1 d", root, of_root),
    Lint::error("purposes", "RFC 5280, section 4.2.1.12", leaf, of_leaf)
        .client("Thunderbird rejects a certificate without its purpose (-8101), and so does OpenSSL"),
    Lint::error("purposes-any", "S/MIME BR 7.1.2.2 g and 7.1.2.3 f", always, any),
    Lint::error("purposes-mixed", "S/MIME BR 7.1.2.2 g and 7.1.2.3 f", always, mixed),
    Lint::error("purposes-ocsp", "RFC 6960, section 4.2.2.2", always, ocsp),
    Lint::error("purposes-subordinate", "S/MIME BR 7.1.2.2 g", subordinate, of_subordinate),
    Lint::error("purposes-within-issuer", "house rule", below_root, within_issuer)
        .client("NSS, OpenSSL and Windows reject a purpose that an authority above does not have"),
    Lint::error("purposes-repeated", "RFC 5280, section 4.2.1.12", always, repeated),
    Lint::error("br-purposes", "S/MIME BR 7.1.2.3 f", claims_br, br),
];

fn purposes<'a>(view: &'a View<'_>) -> &'a [ObjectIdentifier] {
    view.purposes.as_deref().unwrap_or_default()
}

fn of_root(view: &View<'_>) -> Vec<String> {
    flag(view.has(ID_CE_EXT_KEY_USAGE), "a root has no extKeyUsage")
}

fn of_leaf(view: &View<'_>) -> Vec<String> {
    let needed = match view.kind() {
        TemplateKind::User => ID_KP_EMAIL_PROTECTION,
        TemplateKind::TlsServer => ID_KP_SERVER_AUTH,
        TemplateKind::TlsClient => ID_KP_CLIENT_AUTH,
        TemplateKind::OcspSigner => ID_KP_OCSP_SIGNING,
        TemplateKind::RootCa | TemplateKind::SubordinateCa => return Vec::new(),
    };
    let name = KeyPurpose::from_oid(needed);
    flag(!view.has_purpose(needed), format!("extKeyUsage lacks {name}, which the certificate is for"))
}

fn any(view: &View<'_>) -> Vec<String> {
    flag(
        view.has_purpose(ANY_EXTENDED_KEY_USAGE),
        "anyExtendedKeyUsage makes the certificate serve every purpose",
    )
}

fn mixed(view: &View<'_>) -> Vec<String> {
    let mail = view.has_purpose(ID_KP_EMAIL_PROTECTION);
    let others = [ID_KP_SERVER_AUTH, ID_KP_CODE_SIGNING, ID_KP_TIME_STAMPING];
    let beside = others.into_iter().filter(|oid| mail && view.has_purpose(*oid)).map(KeyPurpose::from_oid);
    beside.map(|other| format!("emailProtection and {other} exclude each other")).collect()
}

fn ocsp(view: &View<'_>) -> Vec<String> {
    let signer = view.kind() == TemplateKind::OcspSigner;
    if signer {
        return flag(purposes(view).len() > 1, "an OCSP signer's key serves nothing else than OCSPSigning");
    }
    flag(view.has_purpose(ID_KP_OCSP_SIGNING), "OCSPSigning would let the holder answer for the authority")
}

fn of_subordinate(view: &View<'_>) -> Vec<String> {
    flag(
        !view.has(ID_CE_EXT_KEY_USAGE),
        "a subordinate authority without extKeyUsage could issue for every purpose",
    )
}

/// OCSPSigning is exempt: it delegates a duty of the issuer itself.
fn within_issuer(view: &View<'_>) -> Vec<String> {
    let Some(above) = view.issuer().and_then(extension::<ExtendedKeyUsage>) else { return Vec::new() };
    if above.0.contains(&ANY_EXTENDED_KEY_USAGE) {
        return Vec::new();
    }
    let own = purposes(view).iter().filter(|oid| **oid != ID_KP_OCSP_SIGNING && !above.0.contains(oid));
    own.map(|oid| format!("the issuer lacks the purpose {}", KeyPurpose::from_oid(*oid))).collect()
}

fn repeated(view: &View<'_>) -> Vec<String> {
    let all = purposes(view);
    let again = all.iter().enumerate().filter(|(at, oid)| all[..*at].contains(oid));
    again.map(|(_, oid)| format!("the purpose {} is there twice", KeyPurpose::from_oid(*oid))).collect()
}

fn br(view: &View<'_>) -> Vec<String> {
    let strict = view.claim.is_some_and(|claim| claim.strict);
    let other = purposes(view).iter().any(|oid| *oid != ID_KP_EMAIL_PROTECTION);
    flag(strict && other, "a strict certificate has the purpose emailProtection alone")
}
