//! Names go from the authorised input into the certificate as they are.

use der::Tagged;
use der::asn1::Utf8StringRef;
use proptest::prelude::*;

use super::*;

/// The subject as (attribute type, string type, value).
fn subject(tbs: &TbsCertificate) -> Vec<(String, String, String)> {
    tbs.subject
        .0
        .iter()
        .map(|rdn| {
            assert_eq!(rdn.0.len(), 1, "one attribute in each RDN");
            let pair = rdn.0.get(0).unwrap();
            let value = String::from_utf8(pair.value.value().to_vec()).unwrap();
            (pair.oid.to_string(), pair.value.tag().to_string(), value)
        })
        .collect()
}

#[test]
fn order_and_string_types_are_the_templates() {
    let mut args = Args::of("smime-dual");
    args.template = template(
        "smime-dual",
        &[(
            "subject:",
            "subject:\n  - { attribute: domain_component, pattern: test }\n  - { attribute: domain_component, \
             pattern: example }\n  - { attribute: email_address, pattern: \"{mailbox}\" }\n  - { attribute: \
             serial_number, pattern: \"{serial_number}\" }",
        )],
    );
    args.subject.attributes = attributes(&[
        (SubjectAttribute::Country, "DE"),
        (SubjectAttribute::CommonName, "Zoë, \"O=Evil\" + #x"),
        (SubjectAttribute::SerialNumber, "42"),
    ]);
    let wanted = [
        ("0.9.2342.19200300.100.1.25", "IA5String", "test"),
        ("0.9.2342.19200300.100.1.25", "IA5String", "example"),
        ("1.2.840.113549.1.9.1", "IA5String", "alice@example.test"),
        ("2.5.4.5", "PrintableString", "42"),
        ("2.5.4.6", "PrintableString", "DE"),
        ("2.5.4.3", "UTF8String", "Zoë, \"O=Evil\" + #x"),
    ];
    let wanted = wanted.map(|(oid, tag, value)| (oid.to_owned(), tag.to_owned(), value.to_owned()));
    assert_eq!(subject(&args.build().unwrap()), wanted);
}

#[test]
fn the_first_alternative_with_a_value_is_taken() {
    let mut args = Args::of("smime-dual");
    assert_eq!(subject(&args.build().unwrap())[0].2, "alice@example.test");
    args.subject.attributes = attributes(&[(SubjectAttribute::CommonName, "{mailbox}")]);
    assert_eq!(subject(&args.build().unwrap())[0].2, "{mailbox}");
}

#[test]
fn refused_names() {
    type Edit = fn(&mut SubjectInput);
    fn cn(value: &str) -> (SubjectAttribute, &str) {
        (SubjectAttribute::CommonName, value)
    }
    let long = "x".repeat(65);
    let values: [(&str, (SubjectAttribute, &str), &str); 11] = [
        ("empty", cn(""), "common_name: \"\" is empty or has spaces around it; write the value alone"),
        (
            "space",
            cn(" Alice"),
            "common_name: \" Alice\" is empty or has spaces around it; write the value alone",
        ),
        (
            "nul",
            cn("Al\0ice"),
            "common_name: \"Al\\0ice\" has the invisible character U+0000; retype the value",
        ),
        (
            "newline",
            cn("Al\nice"),
            "common_name: \"Al\\nice\" has the invisible character U+000A; retype the value",
        ),
        (
            "bidi",
            cn("Al\u{202e}ice"),
            "common_name: \"Al\\u{202e}ice\" has the invisible character U+202E; retype the value",
        ),
        (
            "zero width",
            cn("Al\u{200b}ice"),
            "common_name: \"Al\\u{200b}ice\" has the invisible character U+200B; retype the value",
        ),
        ("metadata", cn("-"), "common_name: \"-\" says nothing; leave the attribute out"),
        (
            "country",
            (SubjectAttribute::Country, "de"),
            "country: \"de\" is not a country; use two capital letters (ISO 3166-1)",
        ),
        (
            "unused",
            (SubjectAttribute::Title, "Dr"),
            "template \"smime-dual\" has no place for title; leave it out or use another template",
        ),
        ("long", cn(&long), ""),
        ("64", cn(&long[1..]), ""),
    ];
    for (case, pair, wanted) in values {
        let mut args = Args::of("smime-dual");
        args.subject.attributes = attributes(&[pair]);
        match case {
            "64" => assert!(args.build().is_ok()),
            "long" => assert!(args.refusal().ends_with("has 65 characters; use at most 64")),
            _ => assert_eq!(args.refusal(), wanted, "{case}"),
        }
    }
    let inputs: [(&str, &str, Edit, &str); 7] = [
        (
            "no mailbox",
            "smime-dual",
            |s| s.mailboxes.clear(),
            "template \"smime-dual\" needs a value for common_name ({common_name|mailbox}); give it",
        ),
        (
            "no mailbox, but a name",
            "smime-dual",
            |s| {
                s.mailboxes.clear();
                s.attributes = attributes(&[(SubjectAttribute::CommonName, "A")]);
            },
            "template \"smime-dual\" needs a mailbox; give it",
        ),
        (
            "same mailbox",
            "smime-dual",
            |s| s.mailboxes.push(s.mailboxes[0].clone()),
            "alice@example.test was given twice; give it once",
        ),
        (
            "host for a person",
            "smime-dual",
            |s| s.dns_names = vec![DnsName::parse("a.test").unwrap()],
            "template \"smime-dual\" has no place for a host name; leave it out or use another template",
        ),
        (
            "mailbox for a host",
            "mail-server-tls",
            |s| s.mailboxes = vec![Mailbox::parse("a@b.test").unwrap()],
            "template \"mail-server-tls\" has no place for a mailbox; leave it out or use another template",
        ),
        (
            "no host",
            "mail-server-tls",
            |s| s.dns_names.clear(),
            "template \"mail-server-tls\" needs a host name; give it",
        ),
        (
            "ca without country",
            "root-ca",
            |s| {
                s.attributes.remove(&SubjectAttribute::Country);
            },
            "template \"root-ca\" needs a value for country ({country}); give it",
        ),
    ];
    for (case, name, edit, wanted) in inputs {
        let mut args = Args::of(name);
        edit(&mut args.subject);
        assert_eq!(args.refusal(), wanted, "{case}");
    }
}

#[test]
fn an_authority_is_never_nameless() {
    let mut args = Args::of("root-ca");
    args.template = template(
        "root-ca",
        &[
            ("\"{common_name}\"", "\"{common_name}\", need: optional"),
            ("\"{organization}\"", "\"{organization}\", need: optional"),
            ("\"{country}\"", "\"{country}\", need: optional"),
        ],
    );
    args.subject.attributes.clear();
    assert_eq!(
        args.refusal(),
        "template \"root-ca\" gives the authority no name; give at least its common_name"
    );
}

#[test]
fn mailboxes_in_the_alternative_name() {
    let cases = [
        ("alice@example.test", false, "30148112616c696365406578616d706c652e74657374"),
        // A U-label domain is carried as A-labels.
        ("bob@bücher.test", false, "3018 8116 626f6240786e2d2d62636865722d6b76612e74657374"),
    ];
    for (text, critical, wanted) in cases {
        let mut args = Args::of("smime-dual");
        args.subject.mailboxes = vec![Mailbox::parse(text).unwrap()];
        let tbs = args.build().unwrap();
        assert_eq!(content(&tbs, "2.5.29.17"), wanted.replace(' ', ""), "{text}");
        assert_eq!(extension_of(&tbs, "2.5.29.17").unwrap().critical, critical);
    }
    // RFC 9598: otherName with a UTF8String, for a local part beyond ASCII only.
    let mut args = Args::of("smime-dual");
    args.subject.mailboxes = vec![Mailbox::parse("zoë@example.test").unwrap()];
    let san = content(&args.build().unwrap(), "2.5.29.17");
    let text = hex::encode("zoë@example.test");
    assert_eq!(san, format!("3021a01f06082b06010505070809a0130c11{text}"));
}

#[test]
fn the_alternative_name_is_critical_without_a_subject() {
    let mut args = Args::of("mail-server-tls");
    args.template = template(
        "mail-server-tls",
        &[("  - { attribute: common_name, pattern: \"{common_name|dns_name}\", need: optional }", "  []")],
    );
    let tbs = args.build().unwrap();
    assert!(tbs.subject.is_empty());
    assert!(extension_of(&tbs, "2.5.29.17").unwrap().critical);
}

#[test]
fn a_mailbox_too_long_for_the_subject_is_in_the_alternative_name_alone() {
    let mailbox = format!("{}@example.test", "a".repeat(60));
    let mut args = Args::of("smime-mailbox-strict");
    args.subject.mailboxes = vec![Mailbox::parse(&mailbox).unwrap()];
    let tbs = args.build().unwrap();
    assert!(tbs.subject.is_empty());
    assert!(extension_of(&tbs, "2.5.29.17").unwrap().critical);
    args.template = template("smime-dual", &[]);
    assert!(args.refusal().ends_with("has 73 characters; use at most 64"));
}

#[test]
fn domains_of_mailboxes_are_the_templates() {
    let mut args = Args::of("smime-dual");
    args.template = template("smime-dual", &[("cdp:", "mailbox_domains: { allow: [.example.test] }\ncdp:")]);
    assert_eq!(
        args.refusal(),
        "template \"smime-dual\" does not certify mailboxes in example.test (alice@example.test); see its \
         mailbox_domains"
    );
    args.subject.mailboxes = vec![Mailbox::parse("alice@a.example.test").unwrap()];
    assert!(args.build().is_ok());
    args.subject.mailboxes.push(Mailbox::parse("alice@elsewhere.test").unwrap());
    assert!(args.build().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_are_verbatim_or_refused(value in "[\\PC\"\\n{}|:&*!#%@`'\\\\,+=<>;]{1,70}") {
        let mut args = Args::of("smime-dual");
        args.subject.attributes = attributes(&[(SubjectAttribute::Organization, &value)]);
        let Ok(tbs) = args.build() else { return Ok(()) };
        let list = subject(&tbs);
        prop_assert_eq!(list.len(), 2);
        prop_assert_eq!(&list[0].2, &value);
        prop_assert_eq!(&list[1].2, "alice@example.test");
        // As a relying party decodes it.
        let decoded = TbsCertificate::from_der(&tbs.to_der().unwrap()).unwrap();
        let any = &decoded.subject.0[0].0.get(0).unwrap().value;
        prop_assert_eq!(Utf8StringRef::try_from(any).unwrap().as_str(), value);
    }
}
