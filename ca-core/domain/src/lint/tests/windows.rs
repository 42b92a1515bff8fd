//! Cases of names and extensions of a Windows domain.

use der::asn1::Ia5String;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};

use super::names::{and, other};
use super::structure::constraints;
use super::*;
use crate::microsoft::{self, SecurityExtension, SecurityIdentifier, TemplateExtension};

fn upn(text: &str) -> GeneralName {
    other(microsoft::UPN, text)
}

fn sid(tbs: &mut TbsCertificate) {
    let sid = SecurityIdentifier::parse("S-1-5-21-1004336348-1177238915-682003330-1104").unwrap();
    set(tbs, false, &SecurityExtension::of(&sid).unwrap());
}

fn of_template() -> TemplateExtension {
    let template = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.21.8.1.2");
    TemplateExtension { template, major: 100, minor: Some(2) }
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("smime-dual", &[], |tbs| {
            and(upn("alice@corp.example.test"))(tbs);
            sid(tbs);
            set(tbs, false, &of_template());
        }),
        case("tls-client", &[], |tbs| {
            set(tbs, false, &SubjectAltName(vec![upn("alice@corp.example.test")]));
            sid(tbs);
        }),
        case("smime-dual", &["windows-upn-form"], and(upn("CORP\\alice"))),
        case("smime-dual", &["windows-upn-form"], |tbs| {
            let value = Any::encode_from(&Ia5String::new("alice@example.test").unwrap()).unwrap();
            and(GeneralName::OtherName(OtherName { type_id: microsoft::UPN, value }))(tbs);
        }),
        case("smime-dual", &["windows-upn-form"], |tbs| {
            and(upn("alice@example.test"))(tbs);
            and(upn("administrator@example.test"))(tbs);
        }),
        case("mail-server-tls", &["windows-misplaced"], and(upn("alice@example.test"))),
        case("ocsp-signer", &["windows-misplaced"], |tbs| set(tbs, false, &of_template())),
        case("mail-server-tls", &["windows-misplaced"], sid),
        case("smime-mailbox-multipurpose", &["br-windows"], and(upn("alice@example.test"))),
        case("smime-mailbox-strict", &["br-windows", "br-alt-name"], and(upn("alice@example.test"))),
        case("smime-mailbox-strict", &["br-windows"], sid),
        case("smime-mailbox-strict", &["br-windows"], |tbs| set(tbs, false, &of_template())),
        case("smime-dual", &["extension-criticality"], |tbs| set(tbs, true, &of_template())),
        case("smime-dual", &["extension-encoding"], |tbs| {
            set_raw(tbs, microsoft::SECURITY, false, &[0x30, 0]);
        }),
        // A constrained authority gives no principal names of other domains.
        case("smime-dual", &["name-within-issuer"], and(upn("administrator@corp.test"))).issuer(|issuer| {
            set(&mut issuer.tbs_certificate, true, &constraints("example.test"));
        }),
    ]
}
