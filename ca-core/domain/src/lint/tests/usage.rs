//! Cases of key usage, extended key usage and policies.

use const_oid::db::rfc5280 as oid;
use der::asn1::Ia5StringRef;
use x509_cert::ext::pkix::certpolicy::{CertificatePolicies, PolicyInformation, PolicyQualifierInfo};
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, KeyUsages as Bit};

use super::*;

pub(super) fn cases() -> Vec<Case> {
    [key_usage(), purposes(), policies()].into_iter().flatten().collect()
}

/// Sets the bits of KeyUsage.
pub(super) fn bits(bits: &'static [Bit]) -> impl Fn(&mut TbsCertificate) {
    move |tbs| {
        let flags = bits.iter().fold(None.into(), |flags, bit| flags | *bit);
        set(tbs, true, &KeyUsage(flags));
    }
}

fn key_usage() -> Vec<Case> {
    use KeyAlgorithm::Rsa2048;
    vec![
        case("smime-dual", &["key-usage"], |tbs| remove(tbs, oid::ID_CE_KEY_USAGE)),
        case("issuing-ca", &["key-usage-authority"], bits(&[Bit::KeyCertSign])),
        case("issuing-ca", &[], bits(&[Bit::KeyCertSign, Bit::CRLSign, Bit::DigitalSignature])),
        case(
            "issuing-ca",
            &["key-usage-authority"],
            bits(&[Bit::KeyCertSign, Bit::CRLSign, Bit::KeyAgreement]),
        ),
        case("smime-signing", &["key-usage-leaf"], bits(&[Bit::DigitalSignature, Bit::CRLSign])),
        case("smime-dual", &["key-usage-rsa"], bits(&[Bit::DigitalSignature, Bit::KeyAgreement]))
            .key(Rsa2048),
        case("smime-dual", &["key-usage-ec"], bits(&[Bit::DigitalSignature, Bit::KeyEncipherment])),
        case(
            "smime-signing",
            &["key-usage-ed25519", "mail-key"],
            bits(&[Bit::DigitalSignature, Bit::KeyAgreement]),
        )
        .ed25519(),
        case("smime-signing", &["key-usage-only-bits"], bits(&[Bit::DigitalSignature, Bit::EncipherOnly])),
        case(
            "smime-dual",
            &["key-usage-only-bits"],
            bits(&[Bit::DigitalSignature, Bit::KeyAgreement, Bit::EncipherOnly, Bit::DecipherOnly]),
        ),
        case("smime-dual", &["key-usage-mail"], bits(&[Bit::DataEncipherment])).key(Rsa2048),
        case("smime-dual", &["key-usage-mail"], bits(&[Bit::KeyEncipherment, Bit::NonRepudiation]))
            .key(Rsa2048),
        case("smime-dual", &["key-usage-mail", "extension-empty"], bits(&[])),
        case("smime-encryption", &["key-usage-agreement-alone"], |_| ()),
        case("ocsp-signer", &["key-usage-ocsp"], bits(&[Bit::DigitalSignature, Bit::NonRepudiation])),
        case("mail-server-tls", &["key-usage-tls"], bits(&[Bit::KeyEncipherment])).key(Rsa2048),
        case("smime-mailbox-strict", &[], bits(&[Bit::DigitalSignature, Bit::NonRepudiation])),
        case("smime-mailbox-strict", &[], bits(&[Bit::KeyEncipherment])).key(Rsa2048),
        case("smime-mailbox-strict", &["br-key-usage"], bits(&[Bit::KeyEncipherment, Bit::DataEncipherment]))
            .key(Rsa2048),
        case(
            "smime-mailbox-strict",
            &["br-key-usage", "mail-key", "key-usage-ed25519"],
            bits(&[Bit::NonRepudiation]),
        )
        .ed25519()
        .and("key-usage-mail"),
    ]
}

/// Sets the purposes.
fn of(purposes: &'static [ObjectIdentifier]) -> impl Fn(&mut TbsCertificate) {
    move |tbs| set(tbs, false, &ExtendedKeyUsage(purposes.to_vec()))
}

fn purposes() -> Vec<Case> {
    const MAIL: ObjectIdentifier = oid::ID_KP_EMAIL_PROTECTION;
    const CLIENT: ObjectIdentifier = oid::ID_KP_CLIENT_AUTH;
    const SERVER: ObjectIdentifier = oid::ID_KP_SERVER_AUTH;
    const OCSP: ObjectIdentifier = oid::ID_KP_OCSP_SIGNING;
    vec![
        case("root-ca", &["purposes-root"], of(&[MAIL])),
        case("smime-dual", &["purposes"], |tbs| remove(tbs, oid::ID_CE_EXT_KEY_USAGE)),
        case("smime-dual", &["purposes", "purposes-within-issuer"], of(&[CLIENT])),
        case("ocsp-signer", &["purposes"], of(&[MAIL])),
        case("smime-dual", &["purposes-any"], of(&[MAIL, oid::ANY_EXTENDED_KEY_USAGE]))
            .issuer(|issuer| remove(&mut issuer.tbs_certificate, oid::ID_CE_EXT_KEY_USAGE)),
        case("issuing-ca", &["purposes-mixed"], of(&[MAIL, SERVER])),
        case("issuing-ca", &["purposes-mixed"], of(&[MAIL, oid::ID_KP_CODE_SIGNING])),
        case("issuing-ca", &["purposes-mixed"], of(&[oid::ID_KP_TIME_STAMPING, MAIL])),
        case("smime-dual", &["purposes-ocsp"], of(&[MAIL, OCSP])),
        case("ocsp-signer", &["purposes-ocsp"], of(&[OCSP, MAIL])),
        case("issuing-ca", &["purposes-subordinate"], |tbs| remove(tbs, oid::ID_CE_EXT_KEY_USAGE)),
        case("smime-dual", &["purposes-within-issuer"], of(&[MAIL, CLIENT])),
        case("smime-dual", &["purposes-repeated"], of(&[MAIL, MAIL])),
        case("smime-mailbox-strict", &["br-purposes", "purposes-within-issuer"], of(&[MAIL, CLIENT])),
    ]
}

/// Sets the policies, without qualifiers.
fn listed(policies: &'static [&'static str]) -> impl Fn(&mut TbsCertificate) {
    move |tbs| {
        let policy = |oid: &&str| PolicyInformation {
            policy_identifier: ObjectIdentifier::new_unwrap(oid),
            policy_qualifiers: None,
        };
        set(tbs, false, &CertificatePolicies(policies.iter().map(policy).collect()));
    }
}

/// Sets one policy with a qualifier.
fn qualified(id: ObjectIdentifier, qualifier: Any) -> impl Fn(&mut TbsCertificate) {
    move |tbs| {
        let qualifier = PolicyQualifierInfo { policy_qualifier_id: id, qualifier: Some(qualifier.clone()) };
        let policy = PolicyInformation {
            policy_identifier: ObjectIdentifier::new_unwrap("1.2.3.4"),
            policy_qualifiers: Some(vec![qualifier]),
        };
        set(tbs, false, &CertificatePolicies(vec![policy]));
    }
}

fn cps(url: &str) -> Any {
    Any::encode_from(&Ia5StringRef::new(url).unwrap()).unwrap()
}

fn notice(content: &[u8]) -> Any {
    Any::new(Tag::Sequence, content).unwrap()
}

fn policies() -> Vec<Case> {
    const STRICT: &str = "2.23.140.1.5.1.3";
    vec![
        case("smime-dual", &["policies-repeated"], listed(&["1.2.3.4", "1.2.3.4"])),
        case("smime-dual", &[], qualified(oid::ID_QT_CPS, cps("https://pki.example.test/cps"))),
        case("smime-dual", &["policies-qualifiers"], qualified(oid::ID_QT_CPS, cps("ftp://a.test/"))),
        case("smime-dual", &["policies-qualifiers"], qualified(oid::ID_QT_CPS, Any::null())),
        case("smime-dual", &["policies-qualifiers"], qualified(oid::ID_AD_OCSP, Any::null())),
        case("smime-dual", &[], qualified(oid::ID_QT_UNOTICE, notice(&[0x0c, 2, b'h', b'i']))),
        case("smime-dual", &["policies-qualifiers"], qualified(oid::ID_QT_UNOTICE, notice(&[0x30, 0]))),
        case("smime-dual", &["policies-qualifiers"], qualified(oid::ID_QT_UNOTICE, notice(&[0x0c, 0]))),
        case("smime-dual", &["policies-qualifiers"], qualified(oid::ID_QT_UNOTICE, notice(&[]))),
        case("root-ca", &["policies-root"], listed(&["1.2.3.4"])),
        case("issuing-ca", &["policies-legacy"], listed(&["2.23.140.1.5.1.1"])),
        case("smime-dual", &["policies-unclaimed"], listed(&[STRICT])),
        case("smime-mailbox-strict", &["br-policy"], listed(&["2.23.140.1.5.1.2"])),
        case("smime-mailbox-strict", &["br-policy"], listed(&[STRICT, "2.23.140.1.5.3.3"])),
        case("smime-mailbox-strict", &["br-policy"], |tbs| remove(tbs, oid::ID_CE_CERTIFICATE_POLICIES)),
        case("smime-mailbox-strict", &[], listed(&[STRICT, "1.2.3.4"])),
    ]
}
