//! `ca publish smimea`: read by dnspython, and brought into a running server by nsupdate.

use chancery_tests::openssl::{self, Key, to_der};
use chancery_tests::server::free_port;
use chancery_tests::tool::{python, source_root};
use chancery_tests::{Home, Server, Tool};
use std::fs;

const PEOPLE: [&str; 4] =
    ["alice@example.test", "bob@example.test", "mallory@example.test", "carol@elsewhere.test"];

/// Lines of dnspython: an address and the hashes of its records.
fn records(home: &Home, words: &str) -> Vec<Vec<String>> {
    let outcome = Tool::new(python())
        .within(home.work())
        .arg(source_root().join("tests/dns/smimea.py"))
        .words(words)
        .args(PEOPLE)
        .ok();
    outcome.text().lines().map(|line| line.split(' ').skip(1).map(str::to_owned).collect()).collect()
}

/// The hashes of these certificates, sorted.
fn hashes(home: &Home, names: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = names
        .iter()
        .map(|name| {
            let der = to_der("x509", &home.path(format!("{name}.crt")));
            let text = Tool::new("openssl").words("dgst -sha256 -r").arg(der).ok().text();
            text.split(' ').next().expect("a hash").to_owned()
        })
        .collect();
    found.sort();
    found
}

fn encryption(home: &Home, name: &str, address: &str) {
    let csr = openssl::csr(home, name, Key::P256);
    home.issue_csr("smime-encryption", address, &csr, name).ok();
}

fn named(home: &Home) -> (Server, u16) {
    let (port, control) = (free_port(), home.path("named"));
    fs::create_dir(&control).expect("make a directory");
    let at = control.display();
    let zone = "$TTL 60\n@ IN SOA ns hostmaster 1 60 60 60 60\n@ IN NS ns\nns IN A 127.0.0.1\n";
    home.write_private("named/zone", zone);
    let config = format!(
        "options {{ directory \"{at}\"; pid-file \"{at}/pid\"; session-keyfile \"{at}/session\"; \
         listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; }};\n\
         controls {{ }};\n\
         zone \"example.test\" {{ type primary; file \"{at}/zone\"; allow-update {{ 127.0.0.1; }}; }};\n"
    );
    let path = home.write_private("named.conf", config).display().to_string();
    let server = Server::start("named", &["-g", "-c", &path], &home.path("named.log"), &[port]);
    (server, port)
}

#[test]
fn records_follow_the_ledger() {
    let home = Home::prepared();
    let (_server, port) = named(&home);
    for (name, address) in [
        ("alice-1", "alice@example.test"),
        ("bob-1", "bob@example.test"),
        ("alice-2", "alice@example.test"),
        ("carol-1", "carol@elsewhere.test"),
    ] {
        encryption(&home, name, address);
    }
    let update = || {
        let script = format!("server 127.0.0.1 {port}\n{}", home.read("changes"));
        home.tool("nsupdate", "-v").input(script).ok();
    };
    let publish =
        || home.ca("--json publish smimea --domain example.test --zone zone --nsupdate changes").ok().json();
    let both = |alice: &[&str], bob: &[&str], others: &[String]| {
        let mut alice = hashes(&home, alice);
        alice.extend_from_slice(others);
        alice.sort();
        let expected = [alice, hashes(&home, bob), Vec::new(), Vec::new()];
        assert_eq!(records(&home, "zone zone"), expected);
        assert_eq!(records(&home, &format!("ask {port}")), expected);
    };
    let first = publish();
    assert_eq!((first["added"].as_array().map(Vec::len), &first["records"]), (Some(4), &4.into()));
    update();
    both(&["alice", "alice-2"], &["bob", "bob-1"], &[]);

    // Somebody else's record at alice's name, in both places.
    openssl::key(&home, "other", Key::P256);
    home.tool("openssl", "req -x509 -new -key other.key -days 30 -subj /CN=alice -out other.crt").ok();
    let other = fs::read(to_der("x509", &home.path("other.crt"))).expect("DER");
    let hex: String = other.iter().map(|byte| format!("{byte:02X}")).collect();
    let zone = home.read("zone");
    let serial_hash = &hashes(&home, &["other"])[..];
    let alice_name = {
        let local = home.tool("openssl", "dgst -sha256 -r").input("alice").ok().text();
        format!("{}._smimecert.example.test.", &local[..56])
    };
    assert!(zone.contains(&alice_name));
    home.write_private("zone", format!("{zone}{alice_name} 60 IN SMIMEA 3 0 0 ( {hex} )\n"));
    home.write_private("changes", format!("update add {alice_name} 60 SMIMEA 3 0 0 {hex}\nsend\n"));
    update();

    // A newer certificate, a leaver, a revoked signing certificate: only what is ours changes.
    encryption(&home, "alice-3", "alice@example.test");
    home.ca("person leave --email bob@example.test --encryption keep --yes").ok();
    home.ca("revoke --reason keyCompromise --yes").arg(openssl::serial(&home.path("alice.crt"))).ok();
    let shown = home.ca("publish smimea --domain example.test --zone zone --dry-run").ok();
    shown.says(&["would add 1, remove 4", "1 of them of others"]);
    let second = publish();
    assert_eq!((second["removed"].as_array().map(Vec::len), &second["others"]), (Some(4), &1.into()));
    update();
    both(&["alice-3"], &[], serial_hash);

    // Nothing is left to do; all domains, to standard output; the usage may be another.
    assert_eq!(publish()["added"].as_array().map(Vec::len), Some(0));
    assert!(home.read("changes").is_empty());
    let all = home.ca("publish smimea --usage 1").ok().text();
    assert!(all.contains("_smimecert.elsewhere.test. 3600 IN SMIMEA 1 0 0 30"), "{all}");
    home.ca("publish smimea --usage 2").run().fails(2, &["DANE-EE"]);
    home.write_private("broken", "a. SMIMEA 3 0 0 xyz\n");
    home.ca("publish smimea --previous broken").run().fails(2, &["line 1 of the previous zone file"]);
}
