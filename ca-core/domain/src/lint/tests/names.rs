//! Cases of names: SubjectAltName, subject, name constraints.

use const_oid::db::rfc3280::{EMAIL_ADDRESS, PSEUDONYM};
use const_oid::db::rfc4519::{
    COMMON_NAME, COUNTRY_NAME, LOCALITY_NAME, ORGANIZATION_NAME, ORGANIZATIONAL_UNIT_NAME, SERIAL_NUMBER,
    TITLE,
};
use const_oid::db::rfc5280 as oid;
use der::asn1::{Ia5String, Utf8StringRef};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};

use super::structure::constraints;
use super::*;

pub(super) fn cases() -> Vec<Case> {
    [alternative(), subject(), constrained()].into_iter().flatten().collect()
}

pub(super) fn rfc822(text: &str) -> GeneralName {
    GeneralName::Rfc822Name(Ia5String::new(text).unwrap())
}

fn dns(text: &str) -> GeneralName {
    GeneralName::DnsName(Ia5String::new(text).unwrap())
}

pub(super) fn other(type_id: ObjectIdentifier, text: &str) -> GeneralName {
    let value = Any::encode_from(&Utf8StringRef::new(text).unwrap()).unwrap();
    GeneralName::OtherName(OtherName { type_id, value })
}

fn smtp_utf8(text: &str) -> GeneralName {
    other(alt_names::SMTP_UTF8_MAILBOX, text)
}

/// Sets the SubjectAltName and removes the subject's common name.
fn only(tbs: &mut TbsCertificate, names: Vec<GeneralName>) {
    tbs.subject.0.retain(|rdn| rdn.0.iter().all(|attribute| attribute.oid != COMMON_NAME));
    set(tbs, tbs.subject.is_empty(), &SubjectAltName(names));
}

/// Adds a name to the SubjectAltName.
pub(super) fn and(name: GeneralName) -> impl Fn(&mut TbsCertificate) {
    move |tbs| change::<SubjectAltName>(tbs, |names| names.0.push(name.clone()))
}

fn alternative() -> Vec<Case> {
    let utf8 = "jürgen@example.test";
    vec![
        case("smime-dual", &["alt-name-mailbox"], |tbs| {
            only(tbs, Vec::new());
            remove(tbs, oid::ID_CE_SUBJECT_ALT_NAME);
        }),
        case("mail-server-tls", &["alt-name-host"], |tbs| only(tbs, vec![rfc822("a@example.test")])),
        case("issuing-ca", &["alt-name-authority"], |tbs| {
            set(tbs, false, &SubjectAltName(vec![rfc822("a@example.test")]));
        }),
        case("smime-dual", &["alt-name-rfc822-form"], and(rfc822("a..b@example.test"))),
        case("smime-dual", &["alt-name-rfc822-form"], and(rfc822("bob@Example.test"))),
        case("smime-dual", &["alt-name-rfc822-form"], and(rfc822("a@x.test\0.example.test"))),
        case("smime-dual", &[], and(smtp_utf8(utf8))),
        case("smime-dual", &["alt-name-smtputf8-form"], and(smtp_utf8("bob@example.test"))),
        case("smime-dual", &["alt-name-smtputf8-form"], and(smtp_utf8("\u{feff}jürgen@example.test"))),
        case("smime-dual", &["alt-name-smtputf8-form"], and(smtp_utf8("jürgen@bücher.example"))),
        case("smime-dual", &["alt-name-smtputf8-form"], |tbs| {
            let value = Any::encode_from(&Ia5String::new("a@example.test").unwrap()).unwrap();
            let type_id = alt_names::SMTP_UTF8_MAILBOX;
            and(GeneralName::OtherName(OtherName { type_id, value }))(tbs);
        }),
        case("mail-server-tls", &["alt-name-dns-form"], and(dns("*.example.test"))),
        case("mail-server-tls", &["alt-name-dns-form"], and(dns("Mail2.example.test"))),
        case("smime-dual", &["alt-name-smtputf8-alone"], move |tbs| only(tbs, vec![smtp_utf8(utf8)])),
        case("smime-dual", &["alt-name-repeated"], and(rfc822("alice@example.test"))),
        case("smime-dual", &["alt-name-user"], and(dns("example.test"))),
        case(
            "smime-dual",
            &["alt-name-user"],
            and(GeneralName::IpAddress(OctetString::new([1; 4]).unwrap())),
        ),
        case(
            "smime-dual",
            &[],
            and(other(ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.3"), "a@b.test")),
        ),
        case("smime-dual", &["subject-mailbox-repeated"], |tbs| {
            add_attribute(tbs, EMAIL_ADDRESS, Tag::Ia5String, "bob@example.test");
        }),
        case("smime-dual", &["subject-mailbox-repeated"], |tbs| {
            set(tbs, false, &SubjectAltName(vec![rfc822("bob@example.test")]));
        }),
    ]
}

fn subject() -> Vec<Case> {
    vec![
        case("smime-dual", &["subject-rdn"], |tbs| {
            let pair = [attribute(TITLE, Tag::Utf8String, "x"), attribute(PSEUDONYM, Tag::Utf8String, "y")];
            let set = SetOfVec::try_from(pair.to_vec()).unwrap();
            tbs.subject.0.push(RelativeDistinguishedName(set));
        }),
        case("smime-dual", &["subject-bounds"], |tbs| add_text(tbs, TITLE, &"x".repeat(65))),
        case("smime-dual", &[], |tbs| add_text(tbs, TITLE, &"ü".repeat(64))),
        case("smime-dual", &["subject-encoding"], |tbs| add_text(tbs, SERIAL_NUMBER, "1")),
        case("smime-dual", &["subject-encoding"], |tbs| {
            add_attribute(tbs, TITLE, Tag::TeletexString, "x");
        }),
        case("smime-dual", &["subject-encoding"], |tbs| {
            add_attribute(tbs, TITLE, Tag::BmpString, "\0x");
        }),
        case("smime-dual", &["subject-empty-value"], |tbs| add_text(tbs, TITLE, "-")),
        case("smime-dual", &["subject-empty-value"], |tbs| add_text(tbs, TITLE, "")),
        case("smime-dual", &["subject-empty-value", "subject-characters"], |tbs| add_text(tbs, TITLE, " ")),
        case("smime-dual", &["subject-characters"], |tbs| add_text(tbs, TITLE, "a\0b")),
        case("smime-dual", &["subject-characters"], |tbs| add_text(tbs, TITLE, "a\u{202e}b")),
        case("smime-dual", &["subject-characters"], |tbs| add_text(tbs, TITLE, "a\u{200b}b")),
        case("smime-dual", &["subject-characters"], |tbs| add_text(tbs, TITLE, "a\nCN=b")),
        case("smime-dual", &["subject-characters"], |tbs| add_text(tbs, TITLE, "boss ")),
        // What would be syntax in a text form of the name is just text in it.
        case("smime-dual", &[], |tbs| add_text(tbs, TITLE, "a,CN=b+O=c#d\"\\")),
        case("smime-dual", &["subject-repeated"], |tbs| add_text(tbs, ORGANIZATION_NAME, "Other")),
        case("smime-dual", &[], |tbs| {
            add_text(tbs, ORGANIZATIONAL_UNIT_NAME, "A");
            add_text(tbs, ORGANIZATIONAL_UNIT_NAME, "B");
        }),
        case("smime-signing", &["subject-country"], |tbs| {
            tbs.subject.0.retain(|rdn| rdn.0.iter().all(|attribute| attribute.oid != COUNTRY_NAME));
            add_attribute(tbs, COUNTRY_NAME, Tag::PrintableString, "de");
        }),
        case("smime-dual", &["subject-mailbox-form", "subject-mailbox-repeated"], |tbs| {
            add_attribute(tbs, EMAIL_ADDRESS, Tag::Ia5String, "alice@example.test,bob@example.test");
        }),
        case("smime-dual", &[], |tbs| add_text(tbs, LOCALITY_NAME, "Köln")),
    ]
}

fn constrained() -> Vec<Case> {
    let under = |domain: &'static str| {
        move |issuer: &mut Certificate| set(&mut issuer.tbs_certificate, true, &constraints(domain))
    };
    let except = |domain: &'static str| {
        move |issuer: &mut Certificate| {
            let mut excluded = constraints(domain);
            std::mem::swap(&mut excluded.permitted_subtrees, &mut excluded.excluded_subtrees);
            set(&mut issuer.tbs_certificate, true, &excluded);
        }
    };
    let outside = ["name-within-issuer"];
    vec![
        case("smime-dual", &[], |_| ()).issuer(under("example.test")),
        case("smime-dual", &outside, |_| ()).issuer(under(".example.test")),
        case("smime-dual", &outside, |_| ()).issuer(under("other.test")),
        case("smime-dual", &outside, |_| ()).issuer(except("example.test")),
        case("smime-dual", &[], |_| ()).issuer(except("ample.test")),
        case("smime-dual", &[], |_| ()).issuer(except(".test.example")),
        case("smime-dual", &outside, |_| ()).issuer(except(".test")),
    ]
}
