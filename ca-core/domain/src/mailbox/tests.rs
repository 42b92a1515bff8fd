use super::*;

fn refused(text: &str) -> MailboxError {
    match Mailbox::parse(text) {
        Err(error) => error,
        Ok(mailbox) => panic!("{text:?} was accepted as {mailbox}"),
    }
}

#[test]
fn canonical_form() {
    let mailbox = Mailbox::parse("Alice.Example@Mail.EXAMPLE.test").unwrap();
    assert_eq!(mailbox.as_str(), "Alice.Example@mail.example.test");
    assert_eq!((mailbox.local_part(), mailbox.domain()), ("Alice.Example", "mail.example.test"));
    assert!(!mailbox.is_internationalized());
    let idn = Mailbox::parse("info@Bücher.example").unwrap();
    assert_eq!(idn.as_str(), "info@xn--bcher-kva.example");
    assert_eq!(idn, Mailbox::parse("info@XN--bcher-kva.example").unwrap());
    assert!(Mailbox::parse("jürgen@example.test").unwrap().is_internationalized());
    assert!(Mailbox::parse("用户@例え.example").unwrap().is_internationalized());
}

#[test]
fn atext_is_allowed() {
    for local in ["a+b", "a=b", "#a", "o'hara", "a/b", "a{b}", "x_y-z", "!$%&*?^`|~"] {
        Mailbox::parse(&format!("{local}@example.test")).unwrap();
    }
}

#[test]
fn serde_checks() {
    assert_eq!(serde_json::to_string(&Mailbox::parse("a@B.test").unwrap()).unwrap(), "\"a@b.test\"");
    assert!(serde_json::from_str::<Mailbox>("\"a@@b.test\"").is_err());
}

#[test]
fn injected_characters() {
    for text in [
        "alice\0@example.test",
        "alice\r\nBcc: eve@example.test",
        "alice\n@example.test",
        "al ice@example.test",
        " alice@example.test",
        "alice,CN=eve@example.test",
        "alice;x@example.test",
        "<alice@example.test",
        "alice\\@example.test",
        "alice(comment)@example.test",
        "al\u{202e}ice@example.test",
        "al\u{2066}ice@example.test",
        "al\u{200b}ice@example.test",
        "al\u{200d}ice@example.test",
        "al\u{feff}ice@example.test",
        "al\u{ad}ice@example.test",
        "al\u{3000}ice@example.test",
        "al\u{fe0f}ice@example.test",
        "al\u{3164}ice@example.test",
        "al\u{7f}ice@example.test",
        "al\u{85}ice@example.test",
    ] {
        let character = matches!(refused(text), MailboxError::Character { .. });
        assert!(character, "{text:?}: {}", refused(text));
    }
    for domain in
        ["exa mple.test", "example.test\0", "example.test\r\n", "example.test>", "[192.0.2.1]", "a_b.test"]
    {
        assert!(matches!(
            refused(&format!("alice@{domain}")),
            MailboxError::Domain { source: DomainError::Character(_), .. }
        ));
    }
}

#[test]
fn forms() {
    assert!(matches!(refused("alice"), MailboxError::NoAt(_)));
    assert!(matches!(refused(""), MailboxError::NoAt(_)));
    assert!(matches!(refused("alice@evil.test@example.test"), MailboxError::ManyAts(_)));
    assert!(matches!(refused("\"alice\"@example.test"), MailboxError::Quoted(_)));
    assert!(matches!(refused("\"a@b\"@example.test"), MailboxError::Quoted(_)));
    for text in ["@example.test", ".a@example.test", "a.@example.test", "a..b@example.test"] {
        assert!(matches!(refused(text), MailboxError::EmptyAtom(_)), "{text}");
    }
    let local = "a".repeat(64);
    Mailbox::parse(&format!("{local}@example.test")).unwrap();
    assert!(matches!(refused(&format!("a{local}@example.test")), MailboxError::TooLong(_)));
    let domain = format!("{0}.{0}.{0}.test", "a".repeat(63));
    assert!(matches!(refused(&format!("{local}@{domain}")), MailboxError::TooLong(_)));
    assert!(matches!(refused("alice@localhost"), MailboxError::Domain { source: DomainError::OneLabel, .. }));
}

#[test]
fn normalization_and_scripts() {
    assert!(matches!(refused("ju\u{308}rgen@example.test"), MailboxError::NotNormalized(_)));
    assert!(matches!(refused("\u{308}a@example.test"), MailboxError::Character { .. }));
    assert!(matches!(refused("\u{430}lice@example.test"), MailboxError::MixedScripts(_)));
}

#[test]
fn domains() {
    let error = |text: &str| DnsName::parse(text).unwrap_err();
    assert_eq!(DnsName::parse("Mail.Example.Test").unwrap().as_str(), "mail.example.test");
    assert_eq!(DnsName::parse("faß.example").unwrap().as_str(), "xn--fa-hia.example");
    assert_eq!(DnsName::parse("mail").unwrap().as_str(), "mail");
    assert_eq!(DnsName::parse("пример.example").unwrap().as_str(), "xn--e1afmkfd.example");
    assert_eq!(error("example.test."), DomainError::TrailingDot);
    assert_eq!(error(""), DomainError::EmptyLabel);
    assert_eq!(error("."), DomainError::EmptyLabel);
    assert_eq!(error("a..test"), DomainError::EmptyLabel);
    assert_eq!(error(".a.test"), DomainError::EmptyLabel);
    assert_eq!(error(&format!("{}.test", "a".repeat(64))), DomainError::TooLong);
    assert_eq!(error("abcdefghi.".repeat(26).trim_end_matches('.')), DomainError::TooLong);
    assert!(matches!(error("192.0.2.1"), DomainError::Numeric(_)));
    assert!(matches!(error("*.example.test"), DomainError::Character(_)));
    assert!(matches!(error("-a.test"), DomainError::Character(_)));
    assert!(matches!(error("xn--bcher-kva.bücher.example"), DomainError::MixedLabels(_)));
    // Decomposed, full-width, ideographic full stop, invalid punycode, zero width, bidi, upper case.
    for text in [
        "bu\u{308}cher.example",
        "ｅxample.test",
        "a。test",
        "xn--a.test",
        "xn--99999.test",
        "b\u{200b}ücher.test",
        "b\u{202e}ücher.test",
        "\u{d6}bst.test",
    ] {
        assert!(matches!(error(text), DomainError::Idna(_)), "{text:?}: {:?}", error(text));
    }
    // Cyrillic a in a Latin word, as U-label and as A-label; an all-Cyrillic look-alike.
    assert!(matches!(error("p\u{430}ypal.test"), DomainError::MixedScripts(_)));
    assert!(matches!(error("xn--pypal-4ve.test"), DomainError::MixedScripts(_)));
    assert!(matches!(error("аррӏе.test"), DomainError::LookAlike(_)));
}
