//! The list of extensions: which, how often, how encoded, which critical.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{
    ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_BASIC_CONSTRAINTS, ID_CE_CERTIFICATE_POLICIES,
    ID_CE_CRL_DISTRIBUTION_POINTS, ID_CE_EXT_KEY_USAGE, ID_CE_FRESHEST_CRL, ID_CE_KEY_USAGE,
    ID_CE_NAME_CONSTRAINTS, ID_CE_SUBJECT_ALT_NAME, ID_CE_SUBJECT_KEY_IDENTIFIER,
    ID_PE_AUTHORITY_INFO_ACCESS,
};
use const_oid::db::rfc5911::SMIME_CAPABILITIES;
use const_oid::db::rfc6960::ID_PKIX_OCSP_NOCHECK;
use der::asn1::{AnyRef, Null};
use der::{Decode, Encode, Reader};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CertificatePolicies,
    CrlDistributionPoints, ExtendedKeyUsage, FreshestCrl, KeyUsage, NameConstraints, SubjectAltName,
    SubjectKeyIdentifier,
};

use super::view::{View, always, leaf, user};
use super::{Lint, flag};
use crate::microsoft::{self, SecurityExtension, TemplateExtension};

/// The extensions of our templates, and whether they are critical; the
/// SubjectAltName is critical just where there is no subject.
const KNOWN: [(ObjectIdentifier, &str, Option<bool>); 15] = [
    (microsoft::SECURITY, "the security identifier extension", Some(false)),
    (microsoft::TEMPLATE, "the certificate template extension", Some(false)),
    (ID_CE_AUTHORITY_KEY_IDENTIFIER, "authorityKeyIdentifier", Some(false)),
    (ID_CE_BASIC_CONSTRAINTS, "basicConstraints", Some(true)),
    (ID_CE_CERTIFICATE_POLICIES, "certificatePolicies", Some(false)),
    (ID_CE_CRL_DISTRIBUTION_POINTS, "cRLDistributionPoints", Some(false)),
    (ID_CE_EXT_KEY_USAGE, "extKeyUsage", Some(false)),
    (ID_CE_FRESHEST_CRL, "freshestCRL", Some(false)),
    (ID_CE_KEY_USAGE, "keyUsage", Some(true)),
    (ID_CE_NAME_CONSTRAINTS, "nameConstraints", Some(true)),
    (ID_CE_SUBJECT_ALT_NAME, "subjectAltName", None),
    (ID_CE_SUBJECT_KEY_IDENTIFIER, "subjectKeyIdentifier", Some(false)),
    (ID_PE_AUTHORITY_INFO_ACCESS, "authorityInfoAccess", Some(false)),
    (ID_PKIX_OCSP_NOCHECK, "id-pkix-ocsp-nocheck", Some(false)),
    (SMIME_CAPABILITIES, "smimeCapabilities", Some(false)),
];

pub(super) const LINTS: &[Lint] = &[
    Lint::error("extension-repeated", "RFC 5280, section 4.2", always, repeated)
        .client("OpenSSL and Java reject the certificate"),
    Lint::error("extension-encoding", "RFC 5280, section 4.2", always, encoding),
    Lint::error("extension-empty", "RFC 5280, section 4.2.1", always, empty),
    Lint::error("extension-unknown", "S/MIME BR 7.1.2.4", always, unknown)
        .client("Thunderbird, OpenSSL, GnuTLS and gpgsm reject unknown critical extensions"),
    Lint::error("extension-criticality", "RFC 5280, section 4.2.1", always, criticality),
    Lint::error("alt-name-criticality", "RFC 5280, section 4.2.1.6", always, alt_name_criticality),
    Lint::error("ocsp-no-check", "RFC 6960, section 4.2.2.2.1", leaf, ocsp_no_check),
    Lint::error("smime-capabilities-misplaced", "RFC 4262, section 1", not_user, misplaced_capabilities),
];

fn not_user(view: &View<'_>) -> bool {
    !user(view)
}

fn all<'a>(view: &View<'a>) -> impl Iterator<Item = &'a Extension> {
    view.tbs.extensions.iter().flatten()
}

fn known(oid: ObjectIdentifier) -> Option<(&'static str, Option<bool>)> {
    KNOWN.iter().find(|known| known.0 == oid).map(|known| (known.1, known.2))
}

fn repeated(view: &View<'_>) -> Vec<String> {
    let all: Vec<_> = all(view).map(|extension| extension.extn_id).collect();
    let again = all.iter().enumerate().filter(|(at, oid)| all[..*at].contains(oid));
    again.map(|(_, oid)| format!("extension {oid} is there twice")).collect()
}

/// Whether a value decodes and is in the only DER form of what it says.
fn is_exact<'a, T: Decode<'a> + Encode>(value: &'a [u8]) -> bool {
    T::from_der(value).and_then(|decoded| decoded.to_der()).is_ok_and(|der| der == value)
}

fn encoding(view: &View<'_>) -> Vec<String> {
    let wrong = all(view).filter(|extension| {
        let value = extension.extn_value.as_bytes();
        let exact = match extension.extn_id {
            ID_CE_AUTHORITY_KEY_IDENTIFIER => is_exact::<AuthorityKeyIdentifier>(value),
            ID_CE_BASIC_CONSTRAINTS => is_exact::<BasicConstraints>(value),
            ID_CE_CERTIFICATE_POLICIES => is_exact::<CertificatePolicies>(value),
            ID_CE_CRL_DISTRIBUTION_POINTS => is_exact::<CrlDistributionPoints>(value),
            ID_CE_EXT_KEY_USAGE => is_exact::<ExtendedKeyUsage>(value),
            ID_CE_FRESHEST_CRL => is_exact::<FreshestCrl>(value),
            ID_CE_KEY_USAGE => is_exact::<KeyUsage>(value),
            ID_CE_NAME_CONSTRAINTS => is_exact::<NameConstraints>(value),
            ID_CE_SUBJECT_ALT_NAME => is_exact::<SubjectAltName>(value),
            ID_CE_SUBJECT_KEY_IDENTIFIER => is_exact::<SubjectKeyIdentifier>(value),
            ID_PE_AUTHORITY_INFO_ACCESS => is_exact::<AuthorityInfoAccessSyntax>(value),
            ID_PKIX_OCSP_NOCHECK => is_exact::<Null>(value),
            SMIME_CAPABILITIES => capabilities(value).is_ok(),
            microsoft::SECURITY => SecurityExtension::read(value).is_some(),
            microsoft::TEMPLATE => is_exact::<TemplateExtension>(value),
            _ => true,
        };
        !exact
    });
    let name = |oid| known(oid).map_or("", |known| known.0);
    wrong.map(|extension| format!("{} is malformed or not DER", name(extension.extn_id))).collect()
}

/// SMIMECapabilities: a sequence of an identifier and optional parameters each
/// (RFC 8551, section 2.5.2).
fn capabilities(value: &[u8]) -> der::Result<()> {
    AnyRef::from_der(value)?.sequence(|list| {
        while !list.is_finished() {
            list.sequence(|capability| {
                let _: ObjectIdentifier = capability.decode()?;
                if !capability.is_finished() {
                    let _: AnyRef<'_> = capability.decode()?;
                }
                Ok(())
            })?;
        }
        Ok(())
    })
}

fn empty(view: &View<'_>) -> Vec<String> {
    let oids = [
        ID_CE_CERTIFICATE_POLICIES,
        ID_CE_CRL_DISTRIBUTION_POINTS,
        ID_CE_EXT_KEY_USAGE,
        ID_CE_FRESHEST_CRL,
        ID_CE_NAME_CONSTRAINTS,
        ID_CE_SUBJECT_ALT_NAME,
        ID_PE_AUTHORITY_INFO_ACCESS,
        SMIME_CAPABILITIES,
    ];
    let mut found: Vec<String> = all(view)
        .filter(|extension| oids.contains(&extension.extn_id) && extension.extn_value.as_bytes() == [0x30, 0])
        .map(|extension| format!("{} is an empty list", known(extension.extn_id).map_or("", |known| known.0)))
        .collect();
    let bits = view.usage.is_some_and(|usage| usage.0.is_empty());
    found.extend(flag(bits, "keyUsage has no bit"));
    found.extend(flag(
        view.tbs.extensions.as_ref().is_some_and(Vec::is_empty),
        "the list of extensions is empty",
    ));
    found
}

fn unknown(view: &View<'_>) -> Vec<String> {
    let unknown = all(view).filter(|extension| known(extension.extn_id).is_none());
    unknown
        .map(|extension| {
            let critical = if extension.critical { "critical " } else { "" };
            format!("no template asks for the {critical}extension {}", extension.extn_id)
        })
        .collect()
}

fn criticality(view: &View<'_>) -> Vec<String> {
    let wrong = all(view).filter_map(|extension| match known(extension.extn_id) {
        Some((name, Some(critical))) if critical != extension.critical => Some((name, critical)),
        _ => None,
    });
    wrong
        .map(|(name, critical)| {
            format!("{name} {} critical", if critical { "must be" } else { "must not be" })
        })
        .collect()
}

fn alt_name_criticality(view: &View<'_>) -> Vec<String> {
    let nameless = view.tbs.subject.is_empty();
    let names = all(view).find(|extension| extension.extn_id == ID_CE_SUBJECT_ALT_NAME);
    flag(
        names.is_some_and(|names| names.critical != nameless),
        "subjectAltName is critical where the subject is empty, and only there",
    )
}

fn ocsp_no_check(view: &View<'_>) -> Vec<String> {
    let signer = super::view::ocsp_signer(view);
    let present = view.has(ID_PKIX_OCSP_NOCHECK);
    flag(
        present != signer,
        if signer {
            "an OCSP signer has id-pkix-ocsp-nocheck, since nobody can answer for its own status"
        } else {
            "only an OCSP signer may have id-pkix-ocsp-nocheck"
        },
    )
}

fn misplaced_capabilities(view: &View<'_>) -> Vec<String> {
    flag(view.has(SMIME_CAPABILITIES), "only certificates of mail users have smimeCapabilities")
}
