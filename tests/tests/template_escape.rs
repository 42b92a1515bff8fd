//! A requester controls the public key and nothing else.

use chancery_tests::tool::{python, source_root};
use chancery_tests::{Home, Tool, openssl};

/// A home with `requests/NAME.csr` of every hostile kind.
fn home() -> Home {
    let home = Home::prepared();
    Tool::new(python()).arg(source_root().join("tests/requests/hostile.py")).arg(home.path("requests")).ok();
    home
}

fn issue(home: &Home, template: &str, request: &str, name: &str) -> String {
    let csr = home.path(format!("requests/{request}.csr"));
    home.issue_csr(template, "carol@example.test", &csr, name).ok();
    openssl::certificate_text(&home.path(format!("{name}.crt")))
}

/// The lines of a printed certificate that must not depend on the request:
/// all but serial number, times, key, its identifier and the signature.
fn independent(text: &str) -> Vec<String> {
    let mut kept = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        match line {
            "Serial Number:" | "X509v3 Subject Key Identifier:" => drop(lines.next()),
            "Public-Key: (256 bit)" => {
                lines.by_ref().take_while(|line| !line.starts_with("ASN1 OID")).for_each(drop)
            }
            _ if line.starts_with("Not ") || line.starts_with("Serial Number:") => (),
            _ if line.starts_with("Signature Value") => break,
            _ => kept.push(line.to_owned()),
        }
    }
    kept
}

#[test]
fn extensions_and_names_come_from_the_template() {
    let home = home();
    for template in ["smime-signing", "smime-dual", "smime-mailbox-strict"] {
        let plain = independent(&issue(&home, template, "plain", &format!("{template}-plain")));
        assert!(plain.iter().any(|line| line == "email:carol@example.test"), "{plain:#?}");
        for request in ["greedy", "duplicates", "microsoft-extensions", "empty-subject", "empty-extensions"] {
            let name = format!("{template}-{request}");
            let text = issue(&home, template, request, &name);
            assert_eq!(independent(&text), plain, "{name}");
            for word in
                ["ceo", "evil.test", "Chief", "Another Company", "CA:TRUE", "66:66:66", "SubCA", "challenge"]
            {
                assert!(!text.contains(word), "{name} has {word}\n{text}");
            }
        }
    }
}

#[test]
fn every_extension_occurs_once() {
    let home = home();
    issue(&home, "smime-dual", "duplicates", "carol");
    let parsed = home.tool("openssl", "asn1parse -in carol.crt").ok().text();
    let mut kinds: Vec<&str> = parsed
        .lines()
        .filter(|line| {
            line.contains("OBJECT") && (line.contains("X509v3") || line.contains("Information Access"))
        })
        .filter_map(|line| line.rsplit(':').next())
        .collect();
    kinds.sort_unstable();
    let count = kinds.len();
    kinds.dedup();
    assert_eq!(kinds.len(), count, "{parsed}");
}

/// Requires that names given by these options are refused; says which are not.
fn taken(home: &Home, cases: &[Vec<String>]) -> Vec<String> {
    let before = home.serials().len();
    let mut taken = Vec::new();
    for options in cases {
        let outcome = home
            .ca("--json issue --authority issuing --template smime-dual --csr requests/plain.csr --out never.crt")
            .words("--passphrase-file passphrase --force")
            .args(options)
            .run();
        let said = outcome.stderr.contains("what");
        if !matches!(outcome.code, Some(2 | 3)) || !said || home.path("never.crt").exists() {
            taken.push(format!("{options:?}: {:?} {}", outcome.code, outcome.stderr));
        }
        let _ = std::fs::remove_file(home.path("never.crt"));
    }
    if taken.is_empty() {
        assert_eq!(home.serials().len(), before);
    }
    taken
}

#[test]
fn hostile_addresses_are_refused() {
    let home = home();
    let mut addresses: Vec<String> = [
        "",
        "carol",
        "@example.test",
        "carol@",
        "carol@bob@example.test",
        "\"carol smith\"@example.test",
        "\"carol\"@example.test",
        "carol@example.test\r\nBcc: all@example.test",
        "carol@example.test\n",
        "carol @example.test",
        "carol@example.test.",
        "carol@.example.test",
        "carol@example..test",
        "carol..x@example.test",
        ".carol@example.test",
        "carol.@example.test",
        "carol@example.test,CN=root",
        "carol+CN=root/O=x@example.test,b",
        "carol@exa\u{200b}mple.test",
        "c\u{430}rol@example.test",
        "carol\u{202e}@example.test",
        "carol@xn--bcher-kva.b\u{fc}cher.test",
        "carol@xn--\u{fc}.test",
        "carol@[127.0.0.1]",
        "carol@-example.test",
        "carol@exam_ple.test",
        "<carol@example.test>",
        "Carol <carol@example.test>",
    ]
    .map(str::to_owned)
    .to_vec();
    addresses.push(format!("{}@example.test", "c".repeat(65)));
    addresses.push(format!("carol@{}.test", ["a".repeat(60).as_str(); 5].join(".")));
    addresses.push(format!("carol@{}.test", "a".repeat(64)));
    let cases: Vec<_> = addresses.into_iter().map(|address| vec!["--email".to_owned(), address]).collect();
    assert_eq!(taken(&home, &cases), Vec::<String>::new());
}

#[test]
fn hostile_names_are_refused() {
    let home = home();
    let mut names: Vec<String> = [
        "",
        " ",
        ".",
        "-",
        "Carol\nSmith",
        "Carol\rSmith",
        "Carol\tSmith",
        "Carol\u{202e}Smith",
        "Carol\u{200b}Smith",
        "Carol\u{feff}",
        " Carol",
        "Carol ",
        "Carol\u{1b}[31m",
        // Decomposed: looks like the composed name, and is another one.
        "Zoe\u{308} Smith",
        // A Cyrillic letter among Latin ones.
        "C\u{430}rol Smith",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push("C".repeat(65));
    let option = |name| {
        ["--email", "carol@example.test", "--common-name"]
            .map(str::to_owned)
            .into_iter()
            .chain([name])
            .collect()
    };
    let cases: Vec<Vec<String>> = names.into_iter().map(option).collect();
    assert_eq!(taken(&home, &cases), Vec::<String>::new());
}

#[test]
fn separators_in_a_name_stay_text() {
    let home = home();
    let name = "Smith, Carol + CN=root / O=Other # ; <\"\\>";
    home.issue_csr("smime-dual", "carol@example.test", &home.path("requests/plain.csr"), "carol")
        .args(["--common-name", name])
        .ok();
    let parsed = home.tool("openssl", "asn1parse -in carol.crt").ok().text();
    assert!(parsed.contains(&format!("UTF8STRING        :{name}")), "{parsed}");
    let subject = home.tool("openssl", "x509 -noout -subject -nameopt multiline -in carol.crt").ok().text();
    assert_eq!(subject.matches("commonName").count(), 1, "{subject}");
    assert!(!subject.contains("organizationName"), "{subject}");
}
