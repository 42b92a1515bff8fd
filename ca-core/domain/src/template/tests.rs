//! Tests of templates.

use super::*;

mod contradictions;
mod hostile;

/// The shipped template `name`.
fn text_of(name: &str) -> &'static str {
    shipped().iter().find(|(shipped, _)| *shipped == name).unwrap().1
}

/// The shipped template with one piece of its text replaced.
fn edited(name: &str, from: &str, to: &str) -> String {
    let text = text_of(name);
    assert!(text.contains(from), "{name} does not contain {from:?}");
    text.replacen(from, to, 1)
}

/// The error message, or what was accepted.
fn refusal(text: &str) -> String {
    match Template::parse(text, "t.yaml") {
        Ok(template) => format!("accepted {}", template.name()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_shipped_template_loads_under_its_name() {
    for (name, text) in shipped() {
        let template = match Template::parse(text, &format!("{name}.yaml")) {
            Ok(template) => template,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(template.name(), *name);
        assert!(!template.key_usage(template.default_key_algorithm()).unwrap().0.is_empty());
        assert_eq!(template.key_usage(KeyAlgorithm::Ed25519), None);
    }
}

#[test]
fn values_are_what_the_file_says() {
    let template = Template::parse(text_of("smime-mailbox-strict"), "t").unwrap();
    assert_eq!(template.conformance(), Conformance::SmimeBrMailboxStrict);
    assert_eq!(template.kind(), TemplateKind::User);
    assert_eq!((template.default_days(), template.maximum_days()), (730, 825));
    assert_eq!(template.backdate_seconds(), 300);
    assert_eq!(template.policies()[0].0.to_string(), "2.23.140.1.5.1.3");
    let ec = template.key_usage(KeyAlgorithm::P384).unwrap();
    assert!(ec.digital_signature() && ec.key_agreement() && !ec.key_encipherment());
    assert_eq!(template.hash_hex(), hex::encode(Sha256::digest(text_of("smime-mailbox-strict"))));
}

#[test]
fn literals_are_kept_as_they_stand() {
    // `NO` is Norway here, not a boolean; quotes, newlines and number forms stay text.
    for literal in ["NO", "no", "on", "0x10", "1e3", "a: b", "say \\\"hi\\\"", "# not a comment", "*a &b !c"]
    {
        let text = edited("smime-dual", "\"{organization}\"", &format!("\"{literal}\""));
        let template = Template::parse(&text, "t").unwrap();
        let pattern = template.subject().find(|(a, ..)| *a == SubjectAttribute::Organization).unwrap().1;
        assert_eq!(*pattern, Pattern::Literal(literal.replace("\\\"", "\"")));
    }
    let text = edited("smime-dual", "\"{country}\"", "NO");
    assert!(Template::parse(&text, "t").is_ok());
}

#[test]
fn domains_below_are_not_the_domain() {
    let text = edited(
        "smime-dual",
        "cdp: authority",
        "mailbox_domains:\n  allow: [example.test, .example.test, .Other.test]\n  deny: [x.example.test]\ncdp: authority",
    );
    let template = Template::parse(&text, "t").unwrap();
    let cases = [
        ("example.test", true),
        ("EXAMPLE.test", true),
        ("a.example.test", true),
        ("a.b.example.test", true),
        ("x.example.test", false),
        ("y.x.example.test", true),
        ("badexample.test", false),
        ("other.test", false),
        ("a.other.test", true),
        (".other.test", false),
        ("example.test.evil.test", false),
        ("test", false),
    ];
    for (domain, permitted) in cases {
        assert_eq!(template.mailbox_domains().permits(domain), permitted, "{domain}");
    }
}

#[test]
fn the_schema_knows_every_field_and_word() {
    let schema: serde_json::Value = serde_json::from_str(&json_schema()).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    for (_, text) in shipped() {
        for field in text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase())) {
            let field = field.split(':').next().unwrap();
            assert!(schema["properties"][field].is_object(), "{field}");
        }
    }
    let all = json_schema();
    for word in
        ["smime-br-mailbox-strict", "cRLSign", "emailProtection", "rsa-3072", "aes256-cbc", "ocsp-signer"]
    {
        assert!(all.contains(&format!("\"{word}\"")), "{word}");
    }
}
