//! What the issuer, its time and its limits permit.

use x509_cert::Certificate;
use x509_cert::ext::pkix::NameConstraints;

use super::*;
use crate::template::KeyPurpose;

#[test]
fn the_last_second_counts() {
    let mut args = Args::of("smime-mailbox-strict");
    args.template = template("smime-mailbox-strict", &[("backdate_minutes: 5", "backdate_minutes: 0")]);
    args.days = Some(825);
    let validity = args.build().unwrap().validity;
    assert_eq!(seconds(validity.not_before), at(NOW).as_unix());
    assert_eq!(seconds(validity.not_after) - seconds(validity.not_before), 825 * 86_400 - 1);
    args.template = template("smime-mailbox-strict", &[]);
    let backdated = args.build().unwrap().validity;
    assert_eq!(seconds(backdated.not_before), at(NOW).as_unix() - 300);
    assert_eq!(seconds(backdated.not_after) - seconds(backdated.not_before), 825 * 86_400 - 1);
}

#[test]
fn generalized_time_from_2050() {
    let mut args = Args::of("root-ca");
    args.now = at("2031-01-01");
    args.days = Some(7_305);
    let validity = args.build().unwrap().validity;
    assert!(matches!(validity.not_before, Time::UtcTime(_)));
    assert!(matches!(validity.not_after, Time::GeneralTime(_)));
}

#[test]
fn nothing_outlives_its_issuer() {
    let mut args = Args::of("smime-dual");
    let end = args.issuer.as_ref().unwrap().not_after;
    args.now = at("2030-12-01");
    // The default is cut, a wish is refused.
    assert_eq!(seconds(args.build().unwrap().validity.not_after), end.as_unix());
    args.days = Some(32);
    assert_eq!(
        args.refusal(),
        "32 days would outlive the issuer, which ends on 2030-12-31T23:59:59Z; use fewer, or leave them out"
    );
    args.days = Some(31);
    assert!(args.build().is_ok());
    args.days = None;
    args.now = end;
    assert!(args.build().is_ok(), "the last second is within");
    args.now = end.saturating_add(1);
    assert_eq!(args.refusal(), "the issuer expired on 2030-12-31T23:59:59Z; issue from its successor");
    args.now = at("2025-12-31T23:59:59Z");
    assert_eq!(args.refusal(), "the issuer is not valid before 2026-01-01T00:00:00Z; check the clock");
}

#[test]
fn nothing_begins_before_its_issuer() {
    let mut args = Args::of("smime-dual");
    args.now = at("2026-01-01T00:00:10Z");
    assert_eq!(seconds(args.build().unwrap().validity.not_before), at("2026-01-01").as_unix());
}

#[test]
fn days_are_the_templates() {
    let mut args = Args::of("smime-mailbox-strict");
    args.days = Some(0);
    assert_eq!(args.refusal(), "0 days make no certificate; use 1 to 825");
    args.days = Some(826);
    assert_eq!(
        args.refusal(),
        "826 days are more than template \"smime-mailbox-strict\" allows; use at most 825"
    );
    args.days = Some(1);
    let validity = args.build().unwrap().validity;
    assert_eq!(seconds(validity.not_after) - seconds(validity.not_before), 86_399);
}

#[test]
fn purposes_nest() {
    let mail = Some(vec![KeyPurpose::EMAIL_PROTECTION.oid()]);
    let tls = Some(vec![KeyPurpose::SERVER_AUTH.oid(), KeyPurpose::CLIENT_AUTH.oid()]);
    let any = Some(vec![KeyPurpose::ANY.oid()]);
    let cases = [
        ("smime-dual", &mail, None),
        ("ocsp-signer", &mail, None),
        ("smime-dual", &any, None),
        ("smime-dual", &None, None),
        ("mail-server-tls", &tls, None),
        ("issuing-ca", &mail, None),
        ("tls-client", &mail, Some(("clientAuth", "emailProtection"))),
        ("smime-dual", &tls, Some(("emailProtection", "serverAuth, clientAuth"))),
        ("tls-issuing-ca", &mail, Some(("serverAuth", "emailProtection"))),
    ];
    for (name, purposes, wanted) in cases {
        let mut args = Args::of(name);
        args.issuer.as_mut().unwrap().extended_key_usage.clone_from(purposes);
        let wanted = wanted.map(|(purpose, issuer)| ProfileError::Purpose {
            purpose: purpose.to_owned(),
            issuer: issuer.to_owned(),
        });
        assert_eq!(args.build().err(), wanted, "{name}");
    }
}

#[test]
fn path_lengths_fall() {
    type Edits = &'static [(&'static str, &'static str)];
    let free: Edits = &[("path_length: 0\n", "")];
    let one: Edits = &[("path_length: 0", "path_length: 1")];
    let cases: [(Option<u8>, Edits, bool); 8] = [
        (None, &[], true),
        (None, free, true),
        (Some(0), &[], false),
        (Some(1), &[], true),
        (Some(1), one, false),
        (Some(2), one, true),
        (Some(2), free, false),
        (Some(0), free, false),
    ];
    for (issuer, edits, good) in cases {
        let mut args = Args::of("issuing-ca");
        args.template = template("issuing-ca", edits);
        args.issuer.as_mut().unwrap().path_length = issuer;
        assert_eq!(args.build().is_ok(), good, "{issuer:?} {edits:?}");
    }
    let mut args = Args::of("smime-dual");
    args.issuer.as_mut().unwrap().path_length = Some(0);
    assert!(args.build().is_ok(), "end entities are not counted");
}

#[test]
fn name_constraints_of_the_issuer_bind() {
    let section = "path_length: 0\nname_constraints:\n  permitted: { rfc822: [example.test, .corp.test], dns: \
                   [example.test] }\n  excluded: { rfc822: [secret.corp.test], dns: [no.example.test] }";
    let mut ca = Args::of("issuing-ca");
    ca.template = template("issuing-ca", &[("path_length: 0", section)]);
    let constraints = ca.build().unwrap().get::<NameConstraints>().unwrap().unwrap().1;
    let mailboxes = [
        ("a@example.test", true),
        ("a@sub.example.test", false),
        ("a@x.corp.test", true),
        ("a@corp.test", false),
        ("a@secret.corp.test", false),
        ("a@elsewhere.test", false),
        ("zoë@example.test", true),
        ("zoë@elsewhere.test", false),
    ];
    for (mailbox, good) in mailboxes {
        let mut args = Args::of("smime-dual");
        args.issuer.as_mut().unwrap().name_constraints = Some(constraints.clone());
        args.subject.mailboxes = vec![Mailbox::parse(mailbox).unwrap()];
        assert_eq!(args.build().is_ok(), good, "{mailbox}");
    }
    let hosts = [
        ("example.test", true),
        ("a.example.test", true),
        ("no.example.test", false),
        ("badexample.test", false),
    ];
    for (host, good) in hosts {
        let mut args = Args::of("mail-server-tls");
        args.issuer.as_mut().unwrap().name_constraints = Some(constraints.clone());
        args.subject.dns_names = vec![DnsName::parse(host).unwrap()];
        assert_eq!(args.build().is_ok(), good, "{host}");
    }
}

#[test]
fn roots_and_issuers_are_not_mixed_up() {
    let mut root = Args::of("root-ca");
    root.issuer = Some(issuer());
    assert_eq!(root.build().unwrap_err(), ProfileError::RootWithIssuer("root-ca".into()));
    let mut person = Args::of("smime-dual");
    person.issuer = None;
    assert_eq!(person.build().unwrap_err(), ProfileError::NoIssuer("smime-dual".into()));
    root.issuer = None;
    let foreign = build(
        &root.template,
        None,
        &root.subject,
        spki(),
        SerialNumber::from_random([7; 20]),
        root.now,
        None,
        SignatureAlgorithm::RsaSha256,
    );
    assert_eq!(foreign.unwrap_err(), ProfileError::SignatureOfRoot { algorithm: KeyAlgorithm::P256 });
}

#[test]
fn keys_are_the_templates() {
    let mut args = Args::of("smime-dual");
    args.template = template("smime-dual", &[("[rsa-2048, rsa-3072, rsa-4096, p256, p384]", "[rsa-3072]")]);
    assert_eq!(args.refusal(), "template \"smime-dual\" does not take p256 keys; use one of rsa-3072");
    assert_eq!(args.template.choose_key(None), Ok(KeyAlgorithm::Rsa3072));
    assert!(args.template.choose_key(Some(KeyAlgorithm::P256)).is_err());
    let closed = template("smime-dual", &[("generate: allowed", "generate: forbidden")]);
    assert_eq!(closed.choose_key(None), Err(ProfileError::GenerationForbidden("smime-dual".into())));
    assert_eq!(closed.accept_csr(), Ok(()));
    assert_eq!(template("root-ca", &[]).accept_csr(), Err(ProfileError::CsrForbidden("root-ca".into())));
    // A key with anything behind it is not one.
    let mut spki = spki().to_vec();
    spki.push(0);
    let trailing = build(
        &args.template,
        args.issuer.as_ref(),
        &args.subject,
        &spki,
        SerialNumber::from_random([7; 20]),
        args.now,
        None,
        SignatureAlgorithm::RsaSha256,
    );
    assert!(matches!(trailing.unwrap_err(), ProfileError::Key(_)));
}

/// The certificate with a signature of no meaning.
fn assemble(tbs: TbsCertificate) -> Certificate {
    let signature = der::asn1::BitString::from_bytes(&[0]).unwrap();
    Certificate { signature_algorithm: tbs.signature.clone(), tbs_certificate: tbs, signature }
}

#[test]
fn a_context_is_what_the_certificate_says() {
    let section = "path_length: 0\nname_constraints: { permitted: { rfc822: [example.test] } }";
    let mut args = Args::of("issuing-ca");
    args.template = template("issuing-ca", &[("path_length: 0", section)]);
    let certificate = assemble(args.build().unwrap());
    let context = IssuerContext::of_certificate(&certificate, issuer().urls).unwrap();
    assert_eq!(context.name, certificate.tbs_certificate.subject);
    assert_eq!(context.key_id, KeyIdentifier::of_spki(&SubjectPublicKeyInfoRef::from_der(spki()).unwrap()).0);
    assert_eq!(context.path_length, Some(0));
    assert_eq!(context.extended_key_usage, Some(vec![KeyPurpose::EMAIL_PROTECTION.oid()]));
    assert!(context.name_constraints.is_some());
    let below = Args { issuer: Some(context.clone()), ..Args::of("smime-dual") }.build().unwrap();
    assert_eq!(below.issuer.to_der().unwrap(), certificate.tbs_certificate.subject.to_der().unwrap());
    assert_eq!(context.not_before.to_x509(), certificate.tbs_certificate.validity.not_before);
}

#[test]
fn only_authorities_issue() {
    let person = assemble(Args::of("smime-dual").build().unwrap());
    let error = IssuerContext::of_certificate(&person, AuthorityUrls::default()).unwrap_err();
    assert!(error.to_string().contains("basicConstraints"), "{error}");
    let mut twice = assemble(Args::of("issuing-ca").build().unwrap());
    let extensions = twice.tbs_certificate.extensions.as_mut().unwrap();
    extensions.push(extensions[0].clone());
    assert!(IssuerContext::of_certificate(&twice, AuthorityUrls::default()).is_err());
    let mut foreign = assemble(Args::of("issuing-ca").build().unwrap());
    let usage = foreign.tbs_certificate.extensions.as_mut().unwrap().get_mut(1).unwrap();
    usage.extn_value = OctetString::new([0x03, 0x02, 0x07, 0x80]).unwrap();
    let error = IssuerContext::of_certificate(&foreign, AuthorityUrls::default()).unwrap_err();
    assert!(error.to_string().contains("keyCertSign"), "{error}");
}
