//! Which addresses an authority certifies: its policy in ca.yaml, its name
//! constraints, and what OpenSSL, NSS and GnuTLS make of them.

use chancery_tests::home::text;
use chancery_tests::openssl::{self, Key};
use chancery_tests::{Home, Outcome};
use std::fs;
use tempfile::TempDir;

fn issuing(home: &Home, name: &str, options: &str) {
    home.ca(&format!(
        "authority create {name} --template issuing-ca --key p256 --country DE --organization Example"
    ))
    .args(["--common-name", &format!("Example {name} CA")])
    .words("--parent root --passphrase-file passphrase --parent-passphrase-file passphrase")
    .words(options)
    .ok();
    home.ca(&format!("authority export {name} --format chain --out {name}-chain.pem")).ok();
}

fn issue(home: &Home, authority: &str, addresses: &[&str], name: &str) -> Outcome {
    let mut tool = home
        .ca(&format!(
            "--json issue --authority {authority} --template smime-dual --csr key.csr --out {name}.crt"
        ))
        .words("--passphrase-file passphrase");
    for address in addresses {
        tool = tool.args(["--email", address]);
    }
    tool.run()
}

#[test]
fn the_policy_of_an_authority_and_of_its_template_must_both_permit() {
    let home = Home::prepared();
    openssl::csr(&home, "key", Key::P256);
    let config = home.read("home/ca.yaml");
    let rules = |rules: &str| home.write_private("home/ca.yaml", format!("{config}\nauthorities: {rules}\n"));
    rules(
        "{ issuing: { mailbox_domains: { allow: [example.test, .example.test], deny: [secret.example.test] } } }",
    );
    let template = home.read("home/templates/smime-dual.yaml");
    let narrower = template.replacen(
        "cdp: authority",
        "mailbox_domains: { deny: [hr.example.test] }\ncdp: authority",
        1,
    );
    home.write_private("home/templates/smime-dual.yaml", narrower);
    let good = ["carol@example.test", "carol@mail.example.test", "carol@xn--bcher-kva.example.test"];
    issue(&home, "issuing", &good, "several").ok();
    for (address, word) in [
        ("carol@other.test", "authority does not certify"),
        ("carol@badexample.test", "authority does not certify"),
        ("carol@secret.example.test", "authority does not certify"),
        ("j\u{fc}rgen@other.test", "authority does not certify"),
        ("carol@hr.example.test", "smime-dual"),
    ] {
        issue(&home, "issuing", &["carol@example.test", address], "never").fails(3, &[word]);
        assert!(!home.path("never.crt").exists(), "{address}");
    }
    // A rule under a misspelt name would bind nobody.
    rules("{ isuing: { mailbox_domains: { allow: [example.test] } } }");
    issue(&home, "issuing", &["carol@example.test"], "never").fails(3, &["isuing"]);
    rules("{ issuing: { mailbox_domain: {} } }");
    issue(&home, "issuing", &["carol@example.test"], "never").fails(1, &["mailbox_domain"]);
}

#[test]
fn name_constraints_bind_our_issuance_and_the_clients() {
    let home = Home::prepared();
    openssl::csr(&home, "key", Key::P256);
    let constraints = "--permit-mailbox-domain example.test --permit-mailbox-domain .example.test \
                       --exclude-mailbox-domain secret.example.test --permit-dns example.test \
                       --exclude-dns secret.example.test";
    issuing(&home, "bound", constraints);
    home.ca("authority export bound --out bound.crt").ok();
    let text = openssl::certificate_text(&home.path("bound.crt"));
    for line in [
        "X509v3 Name Constraints: critical",
        "email:.example.test",
        "email:secret.example.test",
        "DNS:secret.example.test",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    issue(
        &home,
        "bound",
        &["carol@example.test", "carol@mail.example.test", "j\u{fc}rgen@example.test"],
        "inside",
    )
    .ok();
    let outside =
        ["carol@other.test", "carol@badexample.test", "carol@secret.example.test", "j\u{fc}rgen@other.test"];
    for address in outside {
        issue(&home, "bound", &[address], "never").fails(3, &["name constraints"]);
    }

    // The same names from an authority without constraints, under the same key and name,
    // show that the clients would have refused them.
    verify(&home, "inside.crt", true);
    for (number, address) in ["carol@other.test", "carol@secret.example.test"].into_iter().enumerate() {
        let name = format!("outside-{number}.crt");
        forge(&home, address, &name);
        verify(&home, &name, false);
    }
    forge(&home, "carol@mail.example.test", "forged.crt");
    verify(&home, "forged.crt", true);
}

/// Signs a certificate as the authority `bound`, past the program.
fn forge(home: &Home, address: &str, out: &str) {
    home.write_private(
        "forge.cnf",
        format!(
            "basicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature\n\
             extendedKeyUsage = emailProtection\nsubjectAltName = email:{address}\n"
        ),
    );
    home.tool(
        "openssl",
        "x509 -req -in key.csr -CA bound.crt -CAkey home/authorities/bound/key.pem -days 30",
    )
    .words("-passin file:passphrase -set_serial 4711 -extfile forge.cnf -out")
    .arg(out)
    .ok();
}

/// OpenSSL, GnuTLS and NSS agree whether a certificate below `bound` is valid.
#[track_caller]
fn verify(home: &Home, certificate: &str, good: bool) {
    home.ca("authority export root --out root.crt --force").ok();
    let outcome = home
        .tool("openssl", "verify -purpose smimesign -CAfile root.crt -untrusted bound.crt")
        .arg(certificate)
        .run();
    assert_eq!(outcome.code == Some(0), good, "{certificate}\n{}", outcome.transcript());
    if !good {
        outcome.says(&["subtree violation"]);
    }
    let chain = [certificate, "bound.crt", "root.crt"].map(|file| home.read(file)).concat();
    home.write_private("chain.pem", chain);
    let outcome = home
        .tool("certtool", "--verify --load-ca-certificate root.crt --infile chain.pem")
        .words("--verify-purpose 1.3.6.1.5.5.7.3.4")
        .run();
    assert_eq!(outcome.code == Some(0), good, "{certificate}\n{}", outcome.transcript());
    let database = TempDir::with_prefix("nss-").expect("a temporary directory");
    let at = database.path().to_str().expect("a path");
    home.tool("certutil", "-N --empty-password -d").arg(at).ok();
    home.tool("certutil", "-A -n root -t ,C, -i root.crt -d").arg(at).ok();
    home.tool("certutil", "-A -n bound -t ,, -i bound.crt -d").arg(at).ok();
    home.tool("certutil", "-A -n leaf -t ,, -d").arg(at).arg("-i").arg(certificate).ok();
    let outcome = home.tool("certutil", "-V -u S -n leaf -d").arg(at).run();
    assert_eq!(outcome.code == Some(0), good, "{certificate}\n{}", outcome.transcript());
}

#[test]
fn constraints_above_the_issuer_bind_as_well_and_are_narrowed_only() {
    let home = Home::prepared();
    openssl::csr(&home, "key", Key::P256);
    let deeper = home.read("home/templates/issuing-ca.yaml").replace("path_length: 0", "path_length: 1");
    let deeper = deeper.replace("name: issuing-ca", "name: middle-ca");
    home.write_private(
        "home/templates/middle-ca.yaml",
        format!("{deeper}\nname_constraints: {{ permitted: {{ rfc822: [.example.test, example.test] }} }}\n"),
    );
    let create = |name: &str, template: &str, parent: &str, options: &str| {
        home.ca(&format!(
            "authority create {name} --template {template} --parent {parent} --key p256 --country DE"
        ))
        .args(["--organization", "Example", "--common-name", name])
        .words("--passphrase-file passphrase --parent-passphrase-file passphrase")
        .words(options)
        .run()
    };
    create("never", "middle-ca", "root", "--permit-mailbox-domain other.test")
        .fails(3, &["beyond what template"]);
    create("never", "root-ca", "root", "--permit-mailbox-domain other.test").fails(3, &["name constraints"]);
    create("middle", "middle-ca", "root", "").ok();
    create("lower", "issuing-ca", "middle", "").ok();
    issue(&home, "lower", &["carol@mail.example.test"], "inside").ok();
    issue(&home, "lower", &["carol@other.test"], "never").fails(3, &["name constraints"]);
}

#[test]
fn hosts_are_constrained_too() {
    let home = Home::prepared();
    openssl::csr(&home, "key", Key::P256);
    home.ca("authority create tls --template tls-issuing-ca --key p256 --country DE --organization Example")
        .args(["--common-name", "Example TLS CA"])
        .words("--parent root --passphrase-file passphrase --parent-passphrase-file passphrase")
        .words("--permit-dns example.test --exclude-dns secret.example.test")
        .ok();
    let issue = |host: &str| {
        home.ca("issue --authority tls --template mail-server-tls --csr key.csr --passphrase-file passphrase --dns")
            .arg(host)
            .words(&format!("--out {host}.crt"))
            .run()
    };
    issue("mail.example.test").ok();
    for host in ["mail.other.test", "badexample.test", "secret.example.test", "a.secret.example.test"] {
        issue(host).fails(3, &["name constraints"]);
    }
    home.ca("authority export tls --out tls.crt").ok();
    home.ca("authority export root --out root.crt").ok();
    home.tool(
        "openssl",
        "verify -purpose sslserver -CAfile root.crt -untrusted tls.crt mail.example.test.crt",
    )
    .ok();
}

#[test]
fn what_windows_reads() {
    let home = Home::prepared();
    openssl::csr(&home, "key", Key::P256);
    let text = home.read("home/templates/smime-dual.yaml");
    let windows = text
        .replace("name: smime-dual", "name: windows")
        .replace("rfc822: required", "rfc822: required\n  upn: required")
        .replace(
            "cdp: authority",
            "microsoft:\n  template: { oid: 1.3.6.1.4.1.311.21.8.1.2, major: 100, minor: 7 }\n  sid: required\ncdp: authority",
        );
    home.write_private("home/templates/windows.yaml", windows);
    let sid = "S-1-5-21-1004336348-1177238915-682003330-1104";
    let issue = |options: &[&str]| {
        home.ca("issue --authority issuing --template windows --email carol@example.test --csr key.csr --out carol.crt")
            .words("--passphrase-file passphrase --force")
            .args(options)
            .run()
    };
    issue(&["--upn", "carol@corp.example.test", "--sid", sid]).ok();
    let parsed = home.tool("openssl", "asn1parse -i -in carol.crt").ok().text();
    let start = |oid: &str| parsed.find(oid).unwrap_or_else(|| panic!("{oid}\n{parsed}"));
    // What is in an extension, which is not critical; OpenSSL 3.0 has names for some of them.
    let value = |extension: &str| {
        let line = parsed[start(&format!(":{extension}\n"))..].lines().nth(1).unwrap_or_default().to_owned();
        assert!(!line.contains("BOOLEAN"), "critical: {line}");
        let offset = line.trim().split(':').next().unwrap_or_default().trim().to_owned();
        home.tool("openssl", "asn1parse -i -in carol.crt -strparse").arg(offset).ok().text()
    };
    let names = value("X509v3 Subject Alternative Name");
    let upn = names.lines().skip_while(|line| !line.contains("Microsoft User Principal Name")).nth(2);
    let upn = upn.unwrap_or_else(|| panic!("no user principal name\n{names}"));
    assert!(upn.contains("UTF8STRING") && upn.ends_with(":carol@corp.example.test"), "{names}");
    let template = value("1.3.6.1.4.1.311.21.7");
    assert!(template.contains(":1.3.6.1.4.1.311.21.8.1.2"), "{template}");
    assert!(
        template.contains("INTEGER           :64") && template.contains("INTEGER           :07"),
        "{template}"
    );
    let security = value("1.3.6.1.4.1.311.25.2");
    assert!(security.contains(":1.3.6.1.4.1.311.25.2.1"), "{security}");
    assert!(security.contains("OCTET STRING") && security.contains(sid), "{security}");

    issue(&["--sid", sid]).fails(3, &["user principal name"]);
    issue(&["--upn", "carol@corp.example.test"]).fails(3, &["security identifier"]);
    issue(&["--upn", "carol", "--sid", sid]).fails(2, &["carol"]);
    issue(&["--upn", "carol@corp.example.test", "--sid", "S-1-5-x"]).fails(2, &["S-1-5-x"]);
    home.ca("issue --authority issuing --template smime-mailbox-strict --email carol@example.test --csr key.csr --out never.crt")
        .words("--passphrase-file passphrase --upn carol@corp.example.test")
        .run()
        .fails(3, &["user principal name"]);
    let claimed = home.read("home/templates/smime-mailbox-multipurpose.yaml");
    home.write_private(
        "claimed.yaml",
        claimed.replace("rfc822: required", "rfc822: required\n  upn: optional"),
    );
    home.ca("template check claimed.yaml").run().fails(2, &["private templates"]);
}

/// A table gives Windows names under the same rules as the command line.
#[test]
fn what_windows_reads_from_a_batch() {
    let home = Home::prepared();
    for half in ["signing", "encryption"] {
        let windows = home
            .read(&format!("home/templates/smime-{half}.yaml"))
            .replace(&format!("name: smime-{half}"), &format!("name: windows-{half}"))
            .replace(
                "rfc822: required",
                "rfc822: required\n  upn: optional\nmailbox_domains: { deny: [other.test] }",
            )
            .replace("cdp: authority", "microsoft: { sid: optional }\ncdp: authority");
        home.write_private(&format!("home/templates/windows-{half}.yaml"), windows);
    }
    let sid = "S-1-5-21-1004336348-1177238915-682003330-1104";
    let batch = |templates: &str, line: &str| {
        let table = format!("email,upn,sid\ncarol@example.test,carol@corp.example.test,{sid}\n{line}\n");
        home.write_private("people.csv", table);
        home.ca("--json issue --authority issuing --pair --no-escrow --key p256 --passphrase-file passphrase")
            .words(templates)
            .words("--batch people.csv --out out")
            .run()
    };
    let windows = "--signing-template windows-signing --encryption-template windows-encryption";
    for (templates, line, word) in [
        (windows, "dan@example.test,dan,", "line 3: "),
        (windows, "dan@example.test,,S-1-5-x", "S-1-5-x"),
        (windows, "dan@example.test,carol@corp.example.test,", "stands in line 2 already"),
        (windows, "dan@example.test,dan@other.test,", "does not certify mailboxes in other.test"),
        ("", "dan@example.test,,", "line 2: template \"smime-signing\" has no place for"),
    ] {
        let refused = batch(templates, line).fails(2, &[]);
        let error: serde_json::Value = serde_json::from_str(&refused.stderr).expect("an error as JSON");
        let lines = error["error"]["lines"].as_array().expect("the lines at fault");
        let told = |one: &serde_json::Value| format!("line {}: {}", one["line"], text(one, "what"));
        let said = lines.iter().map(told).collect::<Vec<_>>().join("\n");
        assert!(said.contains(word), "{word}: {said}");
        assert!(!home.path("out").exists(), "nothing is begun");
    }
    batch(windows, "dan@example.test,,").ok();
    let exported = |person: &str, template: &str| {
        let found = home.list(&format!("--mailbox {person}@example.test"));
        let one = found.iter().find(|row| text(row, "template") == template).expect("a certificate");
        home.write_private(
            &format!("{person}.crt"),
            home.ca(&format!("cert export {}", text(one, "serial"))).ok().text(),
        );
        openssl::certificate_text(&home.path(format!("{person}.crt")))
    };
    for template in ["windows-signing", "windows-encryption"] {
        let (with, without) = (exported("carol", template), exported("dan", template));
        for name in ["carol@corp.example.test", "1.3.6.1.4.1.311.25.2"] {
            assert!(with.contains(name) && !without.contains(name), "{name}: {with}{without}");
        }
    }
}

#[test]
fn who_takes_a_certificate() {
    let home = Home::prepared();
    let serial = home.list("--mailbox alice@example.test").remove(0);
    let serial = text(&serial, "serial");
    let client = |checked: &serde_json::Value, name: &str| {
        let clients = checked["clients"].as_array().expect("clients").clone();
        clients.into_iter().find(|client| client["client"] == name).expect("the client")
    };
    // A P-256 certificate below P-256 authorities.
    let checked = home.ca("--json check cert").arg(&serial).ok().json();
    assert_eq!(checked["signature"], "verified");
    assert_eq!(checked["norms"].as_array().expect("norms").len(), 0, "{checked}");
    assert_eq!(client(&checked, "thunderbird")["signing"], "ok");
    assert_eq!(client(&checked, "thunderbird")["encryption"], "-");
    let gpgsm = client(&checked, "gpgsm");
    assert_eq!(gpgsm["refuses"], true);
    assert!(gpgsm["refusals"].to_string().contains("ecdsa-crl"), "{gpgsm}");
    home.ca("check cert --client thunderbird").arg(&serial).ok();
    let refused = home.ca("check cert --client thunderbird --client gpgsm").arg(&serial).run();
    refused.fails(3, &["gpgsm refuses"]).says(&["2.2.40", "Provided object is too short"]);
    // The same from a file, without a home, with the issuers beside it.
    home.ca("authority export issuing --format chain --out chain.pem").ok();
    let elsewhere = |words: &str| {
        chancery_tests::Tool::ours("ca")
            .within(home.work())
            .words("--home nowhere --json check cert")
            .words(words)
    };
    let alone = elsewhere("alice.crt").ok().json();
    assert_eq!((alone["signature"].as_str(), alone["issuersKnown"].as_u64()), (Some("unknown"), Some(0)));
    let whole = elsewhere("alice.crt --chain chain.pem").ok().json();
    assert_eq!((whole["signature"].as_str(), whole["issuersKnown"].as_u64()), (Some("verified"), Some(2)));
    // Revoked, and from a template.
    let mallory = text(&home.list("--mailbox mallory@example.test").remove(0), "serial");
    home.ca("check cert --client thunderbird")
        .arg(&mallory)
        .run()
        .fails(3, &["Thunderbird refuses"])
        .says(&["revoked"]);
    for template in fs::read_dir(home.path("home/templates")).expect("templates").flatten() {
        let name = template.file_name().to_string_lossy().trim_end_matches(".yaml").to_owned();
        if name.starts_with("tls-client") || name.starts_with("mail-server") {
            home.ca(&format!("check cert {name}")).run().fails(3, &["may not issue"]);
            continue;
        }
        let checked = home.ca(&format!("--json check cert {name}")).ok().json();
        assert_eq!(checked["norms"].to_string(), "[]", "{name}");
    }
    home.ca("check cert nothing-of-this-name").run().fails(4, &["neither a file"]);
    home.ca("check cert alice.crt --client pine").run().fails(2, &["thunderbird"]);
}
