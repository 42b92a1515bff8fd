//! Files that attack their reader.

use proptest::prelude::*;

use super::{edited, refusal, text_of};
use crate::template::Template;

#[test]
fn yaml_beyond_plain_values_is_refused() {
    let bomb = {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let below = format!("*a{}", level - 1);
            text.push_str(&format!("a{level}: &a{level} [{}]\n", [below.as_str(); 10].join(", ")));
        }
        text
    };
    let cases = [
        ("alias bomb", bomb),
        ("anchor", edited("smime-dual", "kind: user", "kind: &kind user")),
        ("alias", edited("smime-dual", "cdp: authority", "cdp: *authority")),
        ("merge key", edited("smime-dual", "cdp: authority", "<<: { cdp: authority }")),
        ("tag of an application", edited("smime-dual", "kind: user", "kind: !exec user")),
        ("tag on a field", edited("smime-dual", "kind: user", "!x kind: user")),
        ("wrong core tag", edited("smime-dual", "default_days: 730", "default_days: !!float 730")),
        ("include", edited("smime-dual", "kind: user", "kind: !include /etc/passwd")),
        ("two documents", format!("{0}---\n{0}", text_of("smime-dual"))),
        ("rest after the end", format!("{}...\nkind: root-ca\n", text_of("smime-dual"))),
        ("deep", format!("key: {}{}", "[".repeat(10_000), "]".repeat(10_000))),
        ("long", format!("{}# {}\n", text_of("smime-dual"), "x".repeat(70_000))),
        ("many nodes", format!("subject: [{}]\n", "1,".repeat(20_000))),
        ("nul", edited("smime-dual", "kind: user", "kind: user\0")),
        ("tab indentation", edited("smime-dual", "  generate:", "\tgenerate:")),
        ("empty", String::new()),
        ("nothing but a comment", "# x\n".into()),
        ("null", "null\n".into()),
        ("list", "- a\n".into()),
        ("scalar", "root-ca\n".into()),
        ("null field", edited("smime-dual", "cdp: authority", "cdp:")),
        ("case of a field", edited("smime-dual", "cdp: authority", "CDP: authority")),
        ("same field, quoted", edited("smime-dual", "cdp: authority", "cdp: authority\n\"cdp\": none")),
        ("octal days", edited("smime-dual", "default_days: 730", "default_days: 0o10.5")),
        ("wrapper's own name", edited("smime-dual", "cdp: authority", "cdp: { value: authority }")),
        (
            "wrapper's marker",
            edited(
                "smime-dual",
                "cdp: authority",
                "cdp: { __serde_saphyr_private_spanned: true, value: authority, referenced: {}, defined: {} }",
            ),
        ),
    ];
    for (case, text) in cases {
        let message = refusal(&text);
        assert!(message.starts_with("t.yaml:"), "{case}: {message}");
    }
}

#[test]
fn patterns_are_not_expanded_twice() {
    for (pattern, good) in [
        ("{common_name}}", false),
        ("{{common_name}}", false),
        ("}{", false),
        ("{", false),
        ("{}", false),
        ("{common_name|}", false),
        ("{ common_name }", false),
        ("{common_name|mailbox}", true),
        ("{mailbox}", true),
        ("$(id)", true),
        ("%{x", false),
    ] {
        let text = edited("smime-dual", "{common_name|mailbox}", pattern);
        assert_eq!(Template::parse(&text, "t").is_ok(), good, "{pattern}: {}", refusal(&text));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in "\\PC{0,400}") {
        let _ = Template::parse(&text, "t");
    }

    #[test]
    fn no_damage_panics(at in 0_usize..1000, piece in "[\\[\\]{}&*!|>:,#'\"\\-\\n \\t a-z0-9]{0,12}", cut in 0_usize..40) {
        let text = text_of("smime-mailbox-strict");
        let start = at.min(text.len());
        let end = (start + cut).min(text.len());
        prop_assume!(text.is_char_boundary(start) && text.is_char_boundary(end));
        let damaged = format!("{}{piece}{}", &text[..start], &text[end..]);
        if let Err(error) = Template::parse(&damaged, "t.yaml") {
            prop_assert!(!error.problems.is_empty());
            prop_assert!(error.problems.iter().all(|problem| problem.line >= 1));
        }
    }
}
