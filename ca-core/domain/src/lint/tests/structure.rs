//! Cases of version, serial, key, validity, extensions and issuer.

use const_oid::db::rfc5280 as oid;
use const_oid::db::rfc5911::SMIME_CAPABILITIES;
use const_oid::db::rfc6960::ID_PKIX_OCSP_NOCHECK;
use der::asn1::{BitString, GeneralizedTime, Ia5String};
use x509_cert::certificate::Version;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CrlDistributionPoints, FreshestCrl,
    NameConstraints, SubjectKeyIdentifier,
};
use x509_cert::serial_number::SerialNumber as DerSerialNumber;
use x509_cert::time::Time;

use super::*;

fn time(text: &str) -> Time {
    Timestamp::parse(text).unwrap().to_x509()
}

fn url(text: &str) -> GeneralName {
    GeneralName::UniformResourceIdentifier(Ia5String::new(text).unwrap())
}

fn crl_url(text: &str) -> CrlDistributionPoints {
    let distribution_point = Some(DistributionPointName::FullName(vec![url(text)]));
    CrlDistributionPoints(vec![DistributionPoint { distribution_point, reasons: None, crl_issuer: None }])
}

pub(super) fn cases() -> Vec<Case> {
    [serial_and_key(), validity(), extension_list(), identity(), authority(), locations()]
        .into_iter()
        .flatten()
        .collect()
}

fn serial_and_key() -> Vec<Case> {
    vec![
        case("smime-dual", &["version"], |tbs| tbs.version = Version::V2),
        case("smime-dual", &["serial-range", "serial-entropy"], |tbs| {
            tbs.serial_number = DerSerialNumber::new(&[0]).unwrap();
        }),
        case("smime-dual", &["serial-entropy"], |tbs| {
            tbs.serial_number = DerSerialNumber::new(&[0x7f; 8]).unwrap();
        }),
        case("smime-dual", &["unique-identifiers"], |tbs| {
            tbs.subject_unique_id = Some(BitString::from_bytes(&[1]).unwrap());
        }),
        case("smime-dual", &["signature-algorithm"], |tbs| {
            tbs.signature = SignatureAlgorithm::EcdsaSha384.identifier();
        }),
        case("smime-dual", &["signature-algorithm"], |tbs| tbs.signature.parameters = Some(Any::null())),
        case("smime-dual", &["public-key"], |tbs| {
            let mut point = tbs.subject_public_key_info.subject_public_key.raw_bytes().to_vec();
            point[64] ^= 1;
            tbs.subject_public_key_info.subject_public_key = BitString::from_bytes(&point).unwrap();
        }),
        case("smime-dual", &["issuers-own-key"], |tbs| {
            let own = issuer_of("smime-dual").unwrap().tbs_certificate.clone();
            tbs.subject_public_key_info = own.subject_public_key_info.clone();
            set(tbs, false, &view::extension::<SubjectKeyIdentifier>(&own).unwrap());
        }),
        case("smime-signing", &["mail-key"], |_| ()).ed25519(),
    ]
}

fn validity() -> Vec<Case> {
    vec![
        case("smime-dual", &["validity-encoding"], |tbs| {
            let from = GeneralizedTime::from_unix_duration(tbs.validity.not_before.to_unix_duration());
            tbs.validity.not_before = Time::GeneralTime(from.unwrap());
        }),
        case("smime-dual", &["validity-order"], |tbs| tbs.validity.not_before = tbs.validity.not_after),
        case("smime-dual", &["validity-ended"], |tbs| tbs.validity.not_after = time("2026-11-23T07:59:59Z")),
        case("smime-dual", &["issuer-valid"], |_| ()).now("2026-11-22"),
        case("smime-dual", &["issuer-valid", "validity-ended"], |_| ()).now("2041-11-22"),
        case("smime-dual", &["validity-within-issuer"], |tbs| tbs.validity.not_after = time("2040-01-01")),
        case("smime-mailbox-strict", &["br-validity-825-days"], |tbs| {
            let from = Timestamp::from(tbs.validity.not_before);
            tbs.validity.not_after = from.saturating_add(825 * 86_400).to_x509();
        }),
        case("smime-mailbox-strict", &[], |tbs| {
            let from = Timestamp::from(tbs.validity.not_before);
            tbs.validity.not_after = from.saturating_add(825 * 86_400 - 1).to_x509();
        }),
    ]
}

fn extension_list() -> Vec<Case> {
    vec![
        case("smime-dual", &["extension-repeated"], |tbs| {
            let first = extensions(tbs)[0].clone();
            extensions(tbs).push(first);
        }),
        case("smime-dual", &["extension-encoding"], |tbs| {
            set_raw(tbs, SMIME_CAPABILITIES, false, &[0x30, 2, 0x30, 0]);
        }),
        // A KeyUsage with a trailing zero bit: not the shortest form of a named bit list.
        case("smime-signing", &["extension-encoding"], |tbs| {
            set_raw(tbs, oid::ID_CE_KEY_USAGE, true, &[3, 2, 6, 0x80]);
        }),
        case("smime-dual", &["extension-empty"], |tbs| set_raw(tbs, SMIME_CAPABILITIES, false, &[0x30, 0])),
        case("smime-dual", &["extension-unknown"], |tbs| {
            set_raw(tbs, ObjectIdentifier::new_unwrap("1.2.3.4"), true, &[5, 0]);
        }),
        case("smime-dual", &["extension-unknown"], |tbs| {
            set_raw(tbs, oid::ID_CE_SUBJECT_DIRECTORY_ATTRIBUTES, false, &[5, 0]);
        }),
        case("smime-dual", &["extension-criticality"], |tbs| flip_critical(tbs, oid::ID_CE_KEY_USAGE)),
        case("smime-dual", &["extension-criticality"], |tbs| flip_critical(tbs, SMIME_CAPABILITIES)),
        case("smime-dual", &["extension-criticality"], |tbs| {
            flip_critical(tbs, oid::ID_PE_AUTHORITY_INFO_ACCESS);
        }),
        case("smime-dual", &["alt-name-criticality"], |tbs| flip_critical(tbs, oid::ID_CE_SUBJECT_ALT_NAME)),
        case("smime-dual", &["alt-name-criticality"], |tbs| tbs.subject.0.clear()),
        case("smime-dual", &[], |tbs| {
            tbs.subject.0.clear();
            flip_critical(tbs, oid::ID_CE_SUBJECT_ALT_NAME);
        }),
        case("ocsp-signer", &["ocsp-no-check"], |tbs| remove(tbs, ID_PKIX_OCSP_NOCHECK)),
        case("smime-dual", &["ocsp-no-check"], |tbs| set_raw(tbs, ID_PKIX_OCSP_NOCHECK, false, &[5, 0])),
        case("tls-client", &["smime-capabilities-misplaced"], |tbs| {
            let value = [0x30, 13, 0x30, 11, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 42];
            set_raw(tbs, SMIME_CAPABILITIES, false, &value);
        }),
    ]
}

fn identity() -> Vec<Case> {
    vec![
        case("smime-dual", &["issuer-name"], |tbs| {
            let mut other = good_tbs("root-ca", KeyAlgorithm::P256).subject;
            other.0.reverse();
            tbs.issuer = other;
        }),
        case("smime-dual", &["subject-key-id"], |tbs| remove(tbs, oid::ID_CE_SUBJECT_KEY_IDENTIFIER)),
        case("smime-dual", &["subject-key-id"], |tbs| {
            change::<SubjectKeyIdentifier>(tbs, |id| id.0 = OctetString::new(vec![1; 20]).unwrap());
        }),
        case("smime-dual", &["authority-key-id"], |tbs| remove(tbs, oid::ID_CE_AUTHORITY_KEY_IDENTIFIER)),
        case("smime-dual", &["authority-key-id"], |tbs| {
            change::<AuthorityKeyIdentifier>(tbs, |id| {
                id.key_identifier = Some(OctetString::new(vec![1; 20]).unwrap());
            });
        }),
        case("smime-dual", &["authority-key-id-form"], |tbs| {
            change::<AuthorityKeyIdentifier>(tbs, |id| {
                id.authority_cert_serial_number = Some(DerSerialNumber::new(&[1]).unwrap());
            });
        }),
        case("smime-dual", &["self-issued"], |tbs| tbs.subject = tbs.issuer.clone()),
    ]
}

fn authority() -> Vec<Case> {
    vec![
        case("issuing-ca", &["basic-constraints", "path-length"], |tbs| {
            remove(tbs, oid::ID_CE_BASIC_CONSTRAINTS);
        })
        .issuer(|issuer| limit_path(issuer, 1)),
        case("issuing-ca", &["basic-constraints"], |tbs| change::<BasicConstraints>(tbs, |c| c.ca = false)),
        case("smime-dual", &["basic-constraints-leaf"], |tbs| {
            change::<BasicConstraints>(tbs, |c| c.ca = true)
        }),
        case("smime-dual", &["basic-constraints-leaf"], |tbs| remove(tbs, oid::ID_CE_BASIC_CONSTRAINTS)),
        case("root-ca", &["path-length-of-root"], |tbs| {
            change::<BasicConstraints>(tbs, |c| c.path_len_constraint = Some(3));
        }),
        case("issuing-ca", &[], |_| ()).issuer(|issuer| limit_path(issuer, 1)),
        case("issuing-ca", &["path-length"], |_| ()).issuer(|issuer| limit_path(issuer, 0)),
        case("smime-dual", &["issuer-is-authority"], |_| ()).issuer(|issuer| {
            change::<BasicConstraints>(&mut issuer.tbs_certificate, |c| c.ca = false);
        }),
        case("smime-dual", &["issuer-is-authority"], |_| ()).issuer(|issuer| {
            remove(&mut issuer.tbs_certificate, oid::ID_CE_KEY_USAGE);
        }),
        case("issuing-ca", &["authority-subject", "authority-name"], |tbs| tbs.subject.0.clear()),
        case("issuing-ca", &["authority-name"], |tbs| tbs.subject.0.truncate(2)),
        case("root-ca", &["name-constraints-leaf"], |tbs| set(tbs, true, &constraints("example.test"))),
        case("issuing-ca", &[], |tbs| set(tbs, true, &constraints(".example.test"))),
        case("issuing-ca", &["name-constraints-form"], |tbs| set(tbs, true, &constraints("a@example.test"))),
        case("issuing-ca", &["name-constraints-form"], |tbs| {
            let none = NameConstraints { permitted_subtrees: None, excluded_subtrees: None };
            set(tbs, true, &none);
        })
        .and("extension-empty"),
        case("issuing-ca", &["policies-subordinate"], |tbs| remove(tbs, oid::ID_CE_CERTIFICATE_POLICIES)),
        case("smime-dual", &["issuer-given", "issuer-name", "authority-key-id"], |_| ()).without_issuer(),
    ]
}

pub(super) fn constraints(mailboxes: &str) -> NameConstraints {
    use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
    let base = GeneralName::Rfc822Name(Ia5String::new(mailboxes).unwrap());
    let tree = GeneralSubtree { base, minimum: 0, maximum: None };
    NameConstraints { permitted_subtrees: Some(vec![tree]), excluded_subtrees: None }
}

fn limit_path(issuer: &mut Certificate, length: u8) {
    change::<BasicConstraints>(&mut issuer.tbs_certificate, |c| c.path_len_constraint = Some(length));
}

fn locations() -> Vec<Case> {
    let with_ocsp = |text: &'static str| {
        move |tbs: &mut TbsCertificate| {
            change::<AuthorityInfoAccessSyntax>(tbs, |access| access.0[0].access_location = url(text));
        }
    };
    vec![
        case("smime-dual", &["crl-location"], |tbs| remove(tbs, oid::ID_CE_CRL_DISTRIBUTION_POINTS)),
        case("smime-dual", &["crl-location-form"], |tbs| {
            set(tbs, false, &crl_url("https://pki.example.test/a"))
        }),
        case("smime-dual", &["crl-location-form"], |tbs| {
            set(tbs, false, &crl_url("ldap://pki.example.test/a"))
        }),
        case("smime-dual", &["crl-location-form"], |tbs| set(tbs, false, &crl_url("http:///a.crl"))),
        case("smime-dual", &["crl-location-form"], |tbs| set(tbs, false, &crl_url("http://u:p@a.test/"))),
        case("smime-dual", &[], |tbs| set(tbs, false, &crl_url("http://192.0.2.1:8080/a.crl"))),
        case("smime-dual", &["crl-location-form"], |tbs| {
            change::<CrlDistributionPoints>(tbs, |points| points.0[0].distribution_point = None);
        }),
        case("smime-dual", &["crl-location-form"], |tbs| {
            set(tbs, false, &FreshestCrl(crl_url("https://pki.example.test/delta.crl").0));
        }),
        case("smime-dual", &[], |tbs| {
            set(tbs, false, &FreshestCrl(crl_url("http://pki.example.test/delta.crl").0));
        }),
        case("smime-dual", &["issuer-location"], |tbs| remove(tbs, oid::ID_PE_AUTHORITY_INFO_ACCESS)),
        case("smime-dual", &["access-form"], with_ocsp("https://ocsp.example.test/")),
        case("smime-dual", &["access-form"], |tbs| {
            change::<AuthorityInfoAccessSyntax>(tbs, |access| {
                access.0[0].access_method = oid::ID_AD_TIME_STAMPING;
            });
        }),
        case("smime-mailbox-strict", &["br-ocsp-location"], |tbs| {
            change::<AuthorityInfoAccessSyntax>(tbs, |access| {
                access.0.retain(|entry| entry.access_method != oid::ID_AD_OCSP);
            });
        }),
        case("root-ca", &["locations-of-root"], |tbs| set(tbs, false, &crl_url("http://a.test/root.crl"))),
    ]
}
