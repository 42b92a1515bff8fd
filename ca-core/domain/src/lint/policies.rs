//! Certificate policies.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{ID_CE_CERTIFICATE_POLICIES, ID_QT_CPS, ID_QT_UNOTICE};
use der::{Reader, Tag, Tagged};
use x509_cert::ext::pkix::certpolicy::{PolicyInformation, PolicyQualifierInfo};

use super::view::{View, always, claims_br, leaf, root, subordinate, text_of};
use super::{Lint, flag};

/// The arc of the reserved identifiers: validation level and generation follow
/// (S/MIME BR 7.1.6.1).
const RESERVED: [u32; 5] = [2, 23, 140, 1, 5];
/// The last arc of the legacy generation.
const LEGACY: u32 = 1;

pub(super) const LINTS: &[Lint] = &[
    Lint::error("policies-repeated", "RFC 5280, section 4.2.1.4", always, repeated),
    Lint::error(
        "policies-qualifiers",
        "RFC 5280, section 4.2.1.4, and S/MIME BR 7.1.2.3 a",
        always,
        qualifiers,
    ),
    Lint::warning("policies-root", "S/MIME BR 7.1.2.1 c", root, of_root),
    Lint::warning("policies-subordinate", "S/MIME BR 7.1.2.2 a", subordinate, of_subordinate),
    Lint::error("policies-legacy", "S/MIME BR 7.1.6.1", always, legacy),
    Lint::error("policies-unclaimed", "S/MIME BR 7.1.6.4", leaf, unclaimed),
    Lint::error("br-policy", "S/MIME BR 7.1.2.3 a", claims_br, br),
];

fn policies<'a>(view: &'a View<'_>) -> &'a [PolicyInformation] {
    view.policies.as_ref().map(|policies| policies.0.as_slice()).unwrap_or_default()
}

/// Level and generation of a reserved identifier.
fn reserved(oid: ObjectIdentifier) -> Option<(u32, u32)> {
    let arcs: Vec<u32> = oid.arcs().collect();
    match arcs.strip_prefix(&RESERVED[..]) {
        Some([level, generation]) => Some((*level, *generation)),
        _ => None,
    }
}

fn repeated(view: &View<'_>) -> Vec<String> {
    let all: Vec<_> = policies(view).iter().map(|policy| policy.policy_identifier).collect();
    let again = all.iter().enumerate().filter(|(at, oid)| all[..*at].contains(oid));
    again.map(|(_, oid)| format!("policy {oid} is there twice")).collect()
}

fn qualifiers(view: &View<'_>) -> Vec<String> {
    let all = policies(view).iter().flat_map(|policy| policy.policy_qualifiers.iter().flatten());
    let empty =
        policies(view).iter().any(|policy| policy.policy_qualifiers.as_ref().is_some_and(Vec::is_empty));
    let mut found = flag(empty, "a policy has an empty list of qualifiers");
    found.extend(all.filter_map(qualifier));
    found
}

fn qualifier(info: &PolicyQualifierInfo) -> Option<String> {
    let value = info.qualifier.as_ref();
    if info.policy_qualifier_id == ID_QT_CPS {
        let url = value.filter(|value| value.tag() == Tag::Ia5String).and_then(text_of);
        let web = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        return (!url.as_ref().is_some_and(web)).then(|| "a CPS qualifier is no HTTP(S) URL".to_owned());
    }
    if info.policy_qualifier_id != ID_QT_UNOTICE {
        return Some(format!("a policy has the unknown qualifier {}", info.policy_qualifier_id));
    }
    // UserNotice: noticeRef is a SEQUENCE, explicitText a string of at most 200 characters.
    let notice = value.and_then(|value| value.sequence(|notice| notice.decode::<der::Any>()).ok());
    match notice {
        Some(first) if first.tag() == Tag::Sequence => Some("a user notice has a noticeRef".to_owned()),
        Some(first) => {
            let length = text_of(&first).map_or(0, |text| text.chars().count());
            (!(1..=200).contains(&length)).then(|| "a user notice has 1 to 200 characters".to_owned())
        }
        None => Some("a user notice has no explicitText alone".to_owned()),
    }
}

fn of_root(view: &View<'_>) -> Vec<String> {
    flag(view.has(ID_CE_CERTIFICATE_POLICIES), "a root has no policies")
}

fn of_subordinate(view: &View<'_>) -> Vec<String> {
    flag(policies(view).is_empty(), "a subordinate authority has policies")
}

fn legacy(view: &View<'_>) -> Vec<String> {
    let mut all = policies(view).iter().filter_map(|policy| reserved(policy.policy_identifier));
    flag(
        all.any(|(_, generation)| generation == LEGACY),
        "the legacy generation of S/MIME certificates ended on 2025-07-15",
    )
}

fn unclaimed(view: &View<'_>) -> Vec<String> {
    let reserved = policies(view).iter().any(|policy| reserved(policy.policy_identifier).is_some());
    flag(
        view.claim.is_none() && reserved,
        "a policy states conformance to the S/MIME Baseline Requirements, which the template does not claim",
    )
}

fn br(view: &View<'_>) -> Vec<String> {
    let Some(claim) = view.claim else { return Vec::new() };
    let oids = policies(view).iter().map(|policy| policy.policy_identifier);
    let stated: Vec<_> = oids.filter(|oid| reserved(*oid).is_some()).collect();
    flag(stated != [claim.policy], format!("the one reserved policy must be {}", claim.policy))
}
