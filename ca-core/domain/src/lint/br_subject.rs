//! S/MIME Baseline Requirements: the subject, by validation level.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc3280::{EMAIL_ADDRESS, PSEUDONYM};
use const_oid::db::rfc4519::{
    COMMON_NAME, COUNTRY_NAME, GIVEN_NAME, LOCALITY_NAME, ORGANIZATION_NAME, ORGANIZATIONAL_UNIT_NAME,
    POSTAL_CODE, SERIAL_NUMBER, ST, STREET, SURNAME, TITLE,
};

use super::alt_names::mailboxes;
use super::subject::{ORGANIZATION_IDENTIFIER, name};
use super::view::{Validation, View, claims_br};
use super::{Lint, flag};
use crate::template::TemplateKind;

pub(super) const LINTS: &[Lint] = &[
    Lint::error("br-kind", "S/MIME BR 1.1", claims_br, kind),
    Lint::error("br-subject-attributes", "S/MIME BR 7.1.4.2.3 to 7.1.4.2.6", claims_br, attributes),
    Lint::error("br-common-name", "S/MIME BR 7.1.4.2.2 a", claims_br, common_name),
    Lint::error("br-organization-identifier", "S/MIME BR 7.1.4.2.2 d", claims_br, organization_identifier),
    Lint::warning("br-german-register", "S/MIME BR 7.1.4.2.2 d", claims_br, german_register),
    Lint::error("br-person", "S/MIME BR 7.1.4.2.2 e and f", claims_br, person),
    Lint::error("br-address", "S/MIME BR 7.1.4.2.2 j to m", claims_br, address),
];

fn kind(view: &View<'_>) -> Vec<String> {
    flag(
        view.kind() != TemplateKind::User,
        "only certificates of mail users can claim the S/MIME Baseline Requirements",
    )
}

/// Attributes that every level allows.
const MAILBOX: [ObjectIdentifier; 3] = [COMMON_NAME, EMAIL_ADDRESS, SERIAL_NUMBER];
/// Attributes of a legal entity.
const ENTITY: [ObjectIdentifier; 3] = [ORGANIZATION_NAME, ORGANIZATION_IDENTIFIER, ORGANIZATIONAL_UNIT_NAME];
/// Attributes of a person.
const PERSON: [ObjectIdentifier; 4] = [GIVEN_NAME, SURNAME, PSEUDONYM, TITLE];
/// Attributes of a place that every generation allows.
const PLACE: [ObjectIdentifier; 3] = [COUNTRY_NAME, ST, LOCALITY_NAME];
/// Attributes of a place that strict certificates may not have.
const STREET_AND_CODE: [ObjectIdentifier; 2] = [STREET, POSTAL_CODE];

fn attributes(view: &View<'_>) -> Vec<String> {
    let Some(claim) = view.claim else { return Vec::new() };
    let (entity, person) = match claim.validation {
        Validation::Mailbox => (false, false),
        Validation::Organization => (true, false),
        Validation::Sponsor => (true, true),
        Validation::Individual => (false, true),
    };
    let somebody = entity || person;
    let allowed = |oid: &ObjectIdentifier| {
        MAILBOX.contains(oid)
            || (entity && ENTITY.contains(oid))
            || (person && PERSON.contains(oid))
            || (somebody && PLACE.contains(oid))
            || (somebody && !claim.strict && STREET_AND_CODE.contains(oid))
    };
    let foreign = view.subject.iter().map(|attribute| attribute.oid).filter(|oid| !allowed(oid));
    let mut found: Vec<_> = foreign.map(|oid| format!("the subject may not have {}", name(oid))).collect();
    if entity {
        let missing = ENTITY[..2].iter().filter(|oid| !view.subject_has(**oid));
        found.extend(missing.map(|oid| format!("the subject has no {}", name(*oid))));
    }
    let named = [GIVEN_NAME, SURNAME, PSEUDONYM].iter().any(|oid| view.subject_has(*oid));
    found.extend(flag(person && !named, "the subject has none of givenName, surname and pseudonym"));
    found
}

fn common_name(view: &View<'_>) -> Vec<String> {
    let Some(claim) = view.claim else { return Vec::new() };
    let mailboxes = mailboxes(view);
    let allowed = |text: &str| {
        let mailbox = mailboxes.iter().any(|mailbox| mailbox == text);
        let organization = view.subject_texts(ORGANIZATION_NAME).any(|name| name == text);
        match claim.validation {
            Validation::Mailbox => mailbox,
            Validation::Organization => mailbox || organization,
            // A personal name has no form; what is meant as an address must be one.
            Validation::Sponsor | Validation::Individual => mailbox || !text.contains('@'),
        }
    };
    let wrong = view.subject_texts(COMMON_NAME).filter(|text| !allowed(text));
    wrong
        .map(|text| format!("the common name {text:?} is not one that the validation level allows"))
        .collect()
}

/// Scheme, country, subdivision for NTR and GOV, hyphen, reference; GOV and
/// INT have no reference.
fn organization_identifier(view: &View<'_>) -> Vec<String> {
    let country = view.subject_texts(COUNTRY_NAME).next();
    let identifiers = view.subject_texts(ORGANIZATION_IDENTIFIER);
    let wrong = identifiers.filter(|text| !is_registration(text, country));
    wrong
        .map(|text| format!("the organizationIdentifier {text:?} has no valid form or another country"))
        .collect()
}

fn is_registration(text: &str, country: Option<&str>) -> bool {
    let (scheme, reference) = text.split_once('-').map_or((text, None), |(s, r)| (s, Some(r)));
    let (scheme, subdivision) = scheme.split_once('+').map_or((scheme, None), |(s, d)| (s, Some(d)));
    let (Some(kind), Some(of)) = (scheme.get(..3), scheme.get(3..)) else { return false };
    let letters = of.len() == 2 && of.bytes().all(|b| b.is_ascii_uppercase());
    let alphanumeric = |d: &str| (1..=3).contains(&d.len()) && d.bytes().all(|b| b.is_ascii_alphanumeric());
    let divided = subdivision.is_none_or(|d| matches!(kind, "NTR" | "GOV") && alphanumeric(d));
    let known = match kind {
        "NTR" | "VAT" | "PSD" => of != "XG" && reference.is_some_and(|r| !r.is_empty()),
        "LEI" => of == "XG" && reference.is_some_and(|r| r.len() == 20),
        "GOV" => of != "XG" && reference.is_none(),
        "INT" => of == "XG" && reference.is_none(),
        _ => false,
    };
    // VAT numbers of Greece begin with EL; its country code is GR.
    let same =
        |country: &str| of == "XG" || of == country || (kind == "VAT" && of == "EL" && country == "GR");
    known && letters && divided && country.is_none_or(same)
}

/// The European unique identifier of a German register: country, register, dot, number.
fn german_register(view: &View<'_>) -> Vec<String> {
    let euid = |reference: &str| {
        let parts = reference.strip_prefix("DE").and_then(|rest| rest.split_once('.'));
        parts.is_some_and(|(register, number)| !register.is_empty() && !number.is_empty())
    };
    let references = view
        .subject_texts(ORGANIZATION_IDENTIFIER)
        .filter_map(|text| text.strip_prefix("NTRDE"))
        .filter(|rest| !rest.strip_prefix('-').is_some_and(euid));
    references
        .map(|rest| {
            format!(
                "the organizationIdentifier \"NTRDE{rest}\" is not a European unique identifier (EUID); write it like \
                 NTRDE-DEK1101R.HRB123456"
            )
        })
        .collect()
}

fn person(view: &View<'_>) -> Vec<String> {
    let named = view.subject_has(GIVEN_NAME) || view.subject_has(SURNAME);
    flag(named && view.subject_has(PSEUDONYM), "the subject has a pseudonym beside givenName or surname")
}

fn address(view: &View<'_>) -> Vec<String> {
    let locality = view.subject_has(LOCALITY_NAME) || view.subject_has(ST);
    let detailed = view.subject_has(STREET) || view.subject_has(POSTAL_CODE);
    let mut found =
        flag(detailed && !locality, "streetAddress and postalCode need localityName or stateOrProvinceName");
    found.extend(flag(
        locality && !view.subject_has(COUNTRY_NAME),
        "localityName and stateOrProvinceName need countryName",
    ));
    found
}
