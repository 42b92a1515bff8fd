//! Cases of the S/MIME Baseline Requirements' rules for names.

use const_oid::db::rfc3280::PSEUDONYM;
use const_oid::db::rfc4519::{
    COMMON_NAME, COUNTRY_NAME, GIVEN_NAME, LOCALITY_NAME, ORGANIZATION_NAME, STREET, SURNAME,
};

use super::names::{and, other};
use super::subject::ORGANIZATION_IDENTIFIER;
use super::view::Validation;
use super::*;

/// The strict generation of a level, stated by the policy that the certificate has.
fn strict(validation: Validation) -> BrClaim {
    BrClaim { validation, strict: true, policy: ObjectIdentifier::new_unwrap("2.23.140.1.5.1.3") }
}

fn multipurpose(validation: Validation) -> BrClaim {
    BrClaim { strict: false, ..strict(validation) }
}

type Attributes = &'static [(ObjectIdentifier, &'static str)];

/// A certificate with just these attributes in its subject.
fn named(fires: &[&'static str], claim: BrClaim, attributes: Attributes) -> Case {
    let change = move |tbs: &mut TbsCertificate| {
        tbs.subject.0.clear();
        for (oid, text) in attributes {
            let tag = if *oid == COUNTRY_NAME { Tag::PrintableString } else { Tag::Utf8String };
            add_attribute(tbs, *oid, tag, text);
        }
    };
    case("smime-mailbox-strict", fires, change).claim(claim)
}

pub(super) fn cases() -> Vec<Case> {
    use Validation::{Individual, Mailbox, Organization, Sponsor};
    const ACME: (ObjectIdentifier, &str) = (ORGANIZATION_NAME, "Acme");
    const ID: (ObjectIdentifier, &str) = (ORGANIZATION_IDENTIFIER, "NTRDE-DEK1101R.HRB1234");
    const DE: (ObjectIdentifier, &str) = (COUNTRY_NAME, "DE");
    const NAME: (ObjectIdentifier, &str) = (SURNAME, "Example");
    let attributes = ["br-subject-attributes"];
    let identifier = ["br-organization-identifier"];
    vec![
        case("tls-client", &["br-kind", "br-purposes", "br-policy", "br-ocsp-location"], |tbs| {
            remove(tbs, const_oid::db::rfc5280::ID_PE_AUTHORITY_INFO_ACCESS);
        })
        .and("issuer-location")
        .and("br-subject-attributes")
        .and("br-common-name")
        .claim(strict(Mailbox)),
        case(
            "smime-mailbox-strict",
            &["br-alt-name"],
            and(other(ObjectIdentifier::new_unwrap("1.2.3.4"), "x")),
        ),
        case("smime-mailbox-strict", &[], and(other(ObjectIdentifier::new_unwrap("1.2.3.4"), "x")))
            .claim(multipurpose(Mailbox)),
        named(&attributes, strict(Mailbox), &[ACME]),
        named(&attributes, strict(Mailbox), &[DE]),
        named(&["br-common-name"], strict(Mailbox), &[(COMMON_NAME, "Alice")]),
        named(&[], strict(Organization), &[DE, ACME, ID, (COMMON_NAME, "Acme")]),
        named(&["br-common-name"], strict(Organization), &[DE, ACME, ID, (COMMON_NAME, "Alice")]),
        named(&attributes, strict(Organization), &[DE, ACME]),
        named(&attributes, strict(Organization), &[DE, ACME, ID, NAME]),
        named(
            &[],
            strict(Sponsor),
            &[DE, ACME, ID, NAME, (GIVEN_NAME, "Alice"), (COMMON_NAME, "Alice Example")],
        ),
        named(&attributes, strict(Sponsor), &[DE, ACME, ID]),
        named(&["br-common-name"], strict(Sponsor), &[DE, ACME, ID, NAME, (COMMON_NAME, "eve@evil.test")])
            .and("subject-mailbox-repeated"),
        named(&["br-person"], strict(Individual), &[NAME, (PSEUDONYM, "ace")]),
        named(&attributes, strict(Individual), &[NAME, DE, (LOCALITY_NAME, "Köln"), (STREET, "Am Dom 1")]),
        named(&[], multipurpose(Individual), &[NAME, DE, (LOCALITY_NAME, "Köln"), (STREET, "Am Dom 1")]),
        named(&["br-address"], multipurpose(Individual), &[NAME, DE, (STREET, "Am Dom 1")]),
        named(&["br-address"], multipurpose(Individual), &[NAME, (LOCALITY_NAME, "Köln")]),
        named(
            &[],
            strict(Organization),
            &[DE, ACME, (ORGANIZATION_IDENTIFIER, "LEIXG-529900T8BM49AURSDO55")],
        ),
        named(&[], strict(Organization), &[ACME, (ORGANIZATION_IDENTIFIER, "NTRUS+CA-12345678")]),
        named(&[], strict(Organization), &[ACME, (ORGANIZATION_IDENTIFIER, "PSDBE-NBB-1234.567.890")]),
        named(&[], strict(Organization), &[ACME, (ORGANIZATION_IDENTIFIER, "GOVUS+CA")]),
        named(&[], strict(Organization), &[ACME, (ORGANIZATION_IDENTIFIER, "INTXG")]),
        named(
            &["br-german-register"],
            strict(Organization),
            &[DE, ACME, (ORGANIZATION_IDENTIFIER, "NTRDE-HRB 1")],
        ),
        named(
            &["br-german-register"],
            strict(Sponsor),
            &[DE, ACME, NAME, (ORGANIZATION_IDENTIFIER, "NTRDE+BY-DED2601V.HRB1")],
        ),
        named(&identifier, strict(Organization), &[DE, ACME, (ORGANIZATION_IDENTIFIER, "NTRFR-1234")]),
        named(&identifier, strict(Organization), &[DE, ACME, (ORGANIZATION_IDENTIFIER, "1234")]),
        named(&identifier, strict(Organization), &[DE, ACME, (ORGANIZATION_IDENTIFIER, "ünï-1234")]),
        named(&identifier, strict(Organization), &[DE, ACME, (ORGANIZATION_IDENTIFIER, "VATDE+BY-1234")]),
        named(&identifier, strict(Organization), &[DE, ACME, (ORGANIZATION_IDENTIFIER, "GOVDE-1234")]),
    ]
}
