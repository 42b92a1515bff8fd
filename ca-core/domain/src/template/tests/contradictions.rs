//! Every contradiction, with the whole message: file, line, field, allowed values.
//!
//! The messages are in `contradictions.txt`, under the names of the cases.

use super::{edited, refusal};

/// A name; what is edited: shipped template, text, its replacement.
type Case = (&'static str, &'static str, &'static str, &'static str);

const CASES: &[Case] = &[
    ("unknown field", "smime-dual", "cdp:", "cpd:"),
    ("unknown nested field", "smime-dual", "generate: allowed", "generated: allowed"),
    ("unknown word", "smime-dual", "kind: user", "kind: person"),
    ("yaml's no", "smime-dual", "generate: allowed", "generate: no"),
    ("wrong type", "smime-dual", "default_days: 730", "default_days: two years"),
    ("negative", "smime-dual", "default_days: 730", "default_days: -1"),
    ("list for a word", "smime-dual", "cdp: authority", "cdp: [authority]"),
    ("word for a list", "smime-dual", "[emailProtection]", "emailProtection"),
    ("missing field", "smime-dual", "  default: rsa-3072\n", ""),
    ("missing section", "smime-dual", "kind: user\n", ""),
    ("twice", "smime-dual", "cdp: authority", "cdp: authority\ncdp: none"),
    ("unknown purpose", "smime-dual", "[emailProtection]", "[emailProtection, mail]"),
    ("bad oid", "smime-mailbox-strict", "2.23.140.1.5.1.3", "2.23.140.01"),
    ("unknown placeholder", "smime-dual", "{common_name|mailbox}", "{common_name|email}"),
    ("mixed pattern", "smime-dual", "{common_name|mailbox}", "{common_name} ({mailbox})"),
    ("unknown attribute", "smime-dual", "attribute: organization,", "attribute: organisation,"),
    ("bad domain", "smime-dual", "cdp:", "mailbox_domains: { allow: [\"*.example.test\"] }\ncdp:"),
    ("format", "smime-dual", "format: 1", "format: 2"),
    ("name", "smime-dual", "name: smime-dual", "name: ../evil"),
    ("no description", "smime-dual", "S/MIME, signing and encryption with one key", "\"\""),
    ("no algorithm", "smime-dual", "[rsa-2048, rsa-3072, rsa-4096, p256, p384]", "[]"),
    ("default key not listed", "smime-dual", "default: rsa-3072", "default: ed25519"),
    ("no way for keys", "smime-dual", "allowed\n  csr: allowed", "forbidden\n  csr: forbidden"),
    ("family without usage", "smime-dual", "  ec: [digitalSignature, keyAgreement]\n", ""),
    (
        "ed25519 encrypts",
        "tls-client",
        "  ec: [digitalSignature]",
        "  ed25519: [keyAgreement]\n  ec: [digitalSignature]",
    ),
    ("rsa agrees", "smime-dual", "[digitalSignature, keyEncipherment]", "[keyAgreement]"),
    ("ec enciphers", "smime-dual", "[digitalSignature, keyAgreement]", "[keyEncipherment]"),
    ("encipherOnly alone", "smime-dual", "[digitalSignature, keyAgreement]", "[encipherOnly]"),
    ("empty usage", "smime-dual", "[digitalSignature, keyEncipherment]", "[]"),
    ("default beyond maximum", "smime-dual", "default_days: 730", "default_days: 1097"),
    ("zero days", "smime-dual", "default_days: 730", "default_days: 0"),
    ("no overlap", "smime-dual", "validity:\n", "renewal: { overlap_days: 0 }\nvalidity:\n"),
    ("overlap for ever", "smime-dual", "validity:\n", "renewal: { overlap_days: 1097 }\nvalidity:\n"),
    ("backdated", "smime-dual", "backdate_minutes: 5", "backdate_minutes: 2881"),
    ("user without purpose", "smime-dual", "extended_key_usage: [emailProtection]\n", ""),
    ("any purpose", "smime-dual", "[emailProtection]", "[emailProtection, anyExtendedKeyUsage]"),
    ("any purpose by oid", "smime-dual", "[emailProtection]", "[emailProtection, 2.5.29.37.0]"),
    ("mail and server", "smime-dual", "[emailProtection]", "[emailProtection, serverAuth]"),
    ("user without mail", "smime-dual", "[emailProtection]", "[clientAuth]"),
    ("user signs OCSP", "smime-dual", "[emailProtection]", "[emailProtection, OCSPSigning]"),
    (
        "user signs certificates",
        "smime-dual",
        "[digitalSignature, keyEncipherment]",
        "[digitalSignature, keyCertSign]",
    ),
    (
        "ed25519 for mail",
        "smime-signing",
        "[rsa-2048, rsa-3072, rsa-4096, p256, p384]",
        "[rsa-3072, ed25519]",
    ),
    ("user without mailbox", "smime-dual", "rfc822: required", "rfc822: optional"),
    ("upn of a server", "mail-server-tls", "dns: required", "dns: required\n  upn: optional"),
    ("windows of a server", "mail-server-tls", "cdp:", "microsoft: { sid: optional }\ncdp:"),
    ("windows without anything", "smime-dual", "cdp:", "microsoft: {}\ncdp:"),
    ("strict with upn", "smime-mailbox-strict", "rfc822: required", "rfc822: required\n  upn: optional"),
    ("multipurpose with sid", "smime-sponsor-multipurpose", "cdp:", "microsoft: { sid: required }\ncdp:"),
    ("multipurpose policy of strict", "smime-sponsor-multipurpose", "5.3.2", "5.3.3"),
    ("multipurpose too long", "smime-individual-multipurpose", "maximum_days: 825", "maximum_days: 826"),
    ("organization with a person", "smime-organization-strict", "attribute: country,", "attribute: surname,"),
    (
        "organization under another name",
        "smime-organization-strict",
        "common_name, pattern: \"{organization}\"",
        "common_name, pattern: \"{common_name}\"",
    ),
    (
        "sponsor without identifier",
        "smime-sponsor-strict",
        "\"{organization_identifier}\"",
        "\"{organization_identifier}\", need: optional",
    ),
    (
        "individual with organization",
        "smime-individual-strict",
        "{ attribute: country,",
        "{ attribute: organization,",
    ),
    (
        "individual without a name",
        "smime-individual-strict",
        "  - { attribute: given_name, pattern: \"{given_name}\", need: optional }\n  - { attribute: surname, pattern: \"{surname}\", need: optional }\n  - { attribute: pseudonym, pattern: \"{pseudonym}\", need: optional }\n",
        "",
    ),
    ("user without crl", "smime-dual", "cdp: authority\n", ""),
    ("delta crl without crl", "ocsp-signer", "cdp: authority", "cdp: none\nfreshest_crl: authority"),
    ("user as ca", "smime-dual", "cdp: authority", "cdp: authority\npath_length: 0"),
    ("no-check for a user", "smime-dual", "cdp: authority", "cdp: authority\nocsp_no_check: present"),
    (
        "long organization",
        "smime-dual",
        "{organization}",
        "An organization whose name has more than the sixty-four characters allowed",
    ),
    ("wrong country", "smime-dual", "{country}", "Deutschland"),
    (
        "attribute twice",
        "smime-dual",
        "organizational_unit, pattern: \"{organizational_unit}\"",
        "organization, pattern: \"{organization}\"",
    ),
    ("placeholder without value", "smime-dual", "{common_name|mailbox}", "{dns_name}"),
    ("root with purpose", "root-ca", "subject:", "extended_key_usage: [emailProtection]\nsubject:"),
    ("root with policy", "root-ca", "subject:", "policies: [{ oid: 2.5.29.32.0 }]\nsubject:"),
    ("root with path length", "root-ca", "subject:", "path_length: 1\nsubject:"),
    ("root with crl", "root-ca", "subject:", "cdp: authority\nsubject:"),
    ("ca without crl signing", "issuing-ca", "rsa: [keyCertSign, cRLSign]", "rsa: [keyCertSign]"),
    ("ca without purpose", "issuing-ca", "extended_key_usage: [emailProtection]\n", ""),
    ("ca for mail and servers", "issuing-ca", "[emailProtection]", "[emailProtection, serverAuth]"),
    ("signer without purpose", "ocsp-signer", "[OCSPSigning]", "[emailProtection]"),
    ("signer without no-check", "ocsp-signer", "ocsp_no_check: present\n", ""),
    ("signer asks itself", "ocsp-signer", "ocsp: none", "ocsp: authority"),
    ("server without names", "mail-server-tls", "dns: required", "dns: optional"),
    ("strict too long", "smime-mailbox-strict", "maximum_days: 825", "maximum_days: 826"),
    ("strict with client", "smime-mailbox-strict", "[emailProtection]", "[emailProtection, clientAuth]"),
    ("strict without policy", "smime-mailbox-strict", "policies:\n  - oid: 2.23.140.1.5.1.3\n", ""),
    ("strict with another policy", "smime-mailbox-strict", "5.1.3", "5.1.2"),
    ("strict with two", "smime-mailbox-strict", "5.1.3", "5.1.3\n  - oid: 2.23.140.1.5.2.3"),
    (
        "strict with dataEncipherment",
        "smime-mailbox-strict",
        "keyEncipherment]",
        "keyEncipherment, dataEncipherment]",
    ),
    ("strict without ocsp", "smime-mailbox-strict", "ocsp: authority", "ocsp: none"),
    ("strict with a name", "smime-mailbox-strict", "\"{mailbox}\"", "\"{common_name}\""),
    (
        "strict with organization",
        "smime-mailbox-strict",
        "subject:",
        "subject:\n  - { attribute: organization, pattern: Example }",
    ),
    (
        "strict for a ca",
        "issuing-ca",
        "kind: subordinate-ca",
        "kind: subordinate-ca\nconformance: smime-br-mailbox-strict",
    ),
    ("approval for a ca", "issuing-ca", "kind:", "approval: required\nkind:"),
    ("approval for a signer", "ocsp-signer", "kind:", "approval: required\nkind:"),
    ("empty constraints", "issuing-ca", "path_length: 0", "path_length: 0\nname_constraints: {}"),
    (
        "dotted host constraint",
        "issuing-ca",
        "path_length: 0",
        "path_length: 0\nname_constraints: { permitted: { dns: [.example.test] } }",
    ),
];

const GOLDEN: &str = include_str!("contradictions.txt");

#[test]
fn every_contradiction_is_refused_with_its_line_field_and_remedy() {
    let mut found = String::new();
    for (case, base, from, to) in CASES {
        found.push_str(&format!("# {case}\n{}\n", refusal(&edited(base, from, to))));
    }
    for (found, golden) in found.split("# ").zip(GOLDEN.split("# ")) {
        assert_eq!(found, golden);
    }
    assert_eq!(found, GOLDEN);
}

#[test]
fn every_message_has_a_line_and_a_field() {
    for message in GOLDEN.lines().filter(|line| !line.starts_with("# ")) {
        let mut parts = message.splitn(4, ':');
        assert_eq!(parts.next(), Some("t.yaml"), "{message}");
        assert!(parts.next().unwrap().parse::<u64>().unwrap() > 1, "{message}");
        assert!(!parts.next().unwrap().trim().is_empty(), "{message}");
    }
}
