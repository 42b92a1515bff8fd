//! Our LDAP client against OpenLDAP, over every kind of connection, and against
//! servers that hang or talk nonsense.

use ca_ldap::{Attribute, Change, Connection, Dialect, DirectoryConfig, Entry, Filter, LdapError, Scope};
use chancery_tests::slapd::{ADMIN, SUFFIX, nested, parrot};
use chancery_tests::{Home, Slapd};

fn config(text: &str) -> DirectoryConfig {
    serde_saphyr::from_str(text).expect("a configuration")
}

fn login(home: &Home) -> String {
    let at = home.work().display();
    format!("ca_root: {at}/slapd-root.crt\nbind_dn: {ADMIN}\npassword_file: {at}/slapd-password\n")
}

fn person(name: &str) -> String {
    format!(
        "dn: cn={name},{SUFFIX}\nobjectClass: inetOrgPerson\ncn: {name}\nsn: x\nmail: {name}@example.test\n\n"
    )
}

#[test]
fn every_way_in_and_binary_values() {
    let home = Home::prepared();
    let slapd = Slapd::start(&home, "");
    slapd.add(&person("alice"));
    let at = home.work().display();
    let external = format!(
        "ca_root: {at}/slapd-root.crt\nsasl: external\nclient_certificate: {at}/slapd-client.chain\n\
         client_key: {at}/slapd-client.key\n"
    );
    let (ldaps, ldap, loopback) = (slapd.ldaps(), slapd.ldap(), slapd.loopback());
    let certificates: Vec<Vec<u8>> = ["alice.crt", "bob.crt", "mallory.crt"]
        .map(|name| std::fs::read(chancery_tests::openssl::to_der("x509", &home.path(name))).expect("DER"))
        .to_vec();
    let name = Dialect::OpenLdap.attribute(Attribute::UserCertificate);
    let dn = format!("cn=alice,{SUFFIX}");
    for text in [
        slapd.config(""),
        format!("url: {ldap}\nstart_tls: true\n{}", login(&home)),
        format!("url: {loopback}\nplain: true\n{}", login(&home)),
        format!("url: {ldaps}\n{external}"),
        format!("url: {ldap}\nstart_tls: true\n{external}"),
    ] {
        let mut directory = Connection::open(&config(&text)).unwrap_or_else(|error| panic!("{text}{error}"));
        let one = Change::Replace(name.to_owned(), vec![certificates[2].clone()]);
        let none = Change::Delete(name.to_owned(), vec![certificates[2].clone()]);
        let all = Change::Add(name.to_owned(), certificates.clone());
        directory.modify(&dn, &[one, none, all]).expect("three values");
        let entry = directory.read(&dn, &[name]).expect("an answer").expect("an entry");
        assert_eq!(entry.values("userCertificate"), certificates, "in our order");
        assert_eq!(slapd.values("(cn=alice)", name), certificates, "as ldapsearch has it");
        let fewer = Change::Delete(name.to_owned(), vec![certificates[1].clone()]);
        directory.modify(&dn, &[fewer]).expect("one value less");
        assert_eq!(slapd.values("(cn=alice)", name), [&certificates[0][..], &certificates[2]]);
        directory.modify(&dn, &[Change::Replace(name.to_owned(), Vec::new())]).expect("none");
        assert!(slapd.values("(cn=alice)", name).is_empty());
        directory.close();
    }
}

#[test]
fn refusals_name_server_entry_and_reason() {
    let home = Home::prepared();
    let slapd = Slapd::start(&home, "");
    slapd.add(&person("alice"));
    let good = slapd.config("");
    let refused = |text: &str| Connection::open(&config(text)).expect_err("no way in").to_string();

    home.write_private("wrong", "not it\n");
    let error = refused(&good.replace("slapd-password", "wrong"));
    assert!(error.contains("invalid credentials") && error.contains(ADMIN) && error.contains("ldaps://"));
    assert!(!error.contains("not it"));
    home.write_private("empty", "\n");
    assert!(refused(&good.replace("slapd-password", "empty")).contains("must hold the password"));
    // A root that the server's certificate does not come from, and a name that it does not have.
    home.ca("authority create other --template root-ca --key p256 --country DE --common-name Other")
        .words("--organization Example --passphrase-file passphrase")
        .ok();
    home.ca("authority export other --format pem --out other.crt").ok();
    assert!(refused(&good.replace("slapd-root.crt", "other.crt")).contains("certificate"));
    assert!(refused(&good.replace("localhost", "127.0.0.1")).contains("certificate"));
    // Passwords that others can read.
    std::fs::set_permissions(home.path("wrong"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .expect("set a mode");
    assert!(refused(&good.replace("slapd-password", "wrong")).contains("chmod"));

    let mut directory = Connection::open(&config(&good)).expect("a connection");
    let dn = format!("cn=alice,{SUFFIX}");
    let plain = Change::Add("userCertificate".to_owned(), vec![b"\x30\x00".to_vec()]);
    let error = directory.modify(&dn, &[plain]).expect_err("it wants ;binary");
    assert_eq!(error.code(), Some(17), "{error}");
    assert!(error.is_refusal() && error.to_string().contains(&dn) && error.to_string().contains("dialect"));
    assert_eq!(directory.read(&format!("cn=nobody,{SUFFIX}"), &["cn"]).expect("an answer"), None);
    let everything = Filter::present("objectClass");
    let error = directory.find("dc=elsewhere", Scope::Subtree, &everything, &["cn"], 9).expect_err("no base");
    assert_eq!(error.code(), Some(32), "{error}");
    // An entry can be added, once.
    let dn = format!("cn={},{SUFFIX}", ca_ldap::escape_dn_value("a, b+c"));
    let values = |text: &str| vec![text.as_bytes().to_vec()];
    let entry = [("objectClass", values("person")), ("cn", values("a, b+c")), ("sn", values("x"))];
    directory.add(&dn, &entry).expect("a new entry");
    assert_eq!(directory.add(&dn, &entry).expect_err("it is there").code(), Some(68));
    let found = directory.find(SUFFIX, Scope::OneLevel, &Filter::equals("cn", "a, b+c"), &["sn"], 1);
    assert_eq!(found.expect("an answer")[0].texts("sn"), ["x"]);
}

#[test]
fn many_pages_and_values_that_look_like_filters() {
    let home = Home::prepared();
    let slapd = Slapd::start(&home, "");
    slapd.add(&(0..1201).map(|number| person(&format!("p{number}"))).collect::<String>());
    let mut directory = Connection::open(&config(&slapd.config(""))).expect("a connection");
    let mut count = 0;
    let seen = |_: Entry| -> Result<(), LdapError> {
        count += 1;
        Ok(())
    };
    directory
        .search(SUFFIX, Scope::Subtree, &Filter::present("mail"), &["mail"], 1201, seen)
        .expect("three pages");
    assert_eq!(count, 1201);
    let hostile = Filter::equals("mail", "*)(objectClass=*");
    assert!(directory.find(SUFFIX, Scope::Subtree, &hostile, &["cn"], 9).expect("an answer").is_empty());
    let error = directory.find(SUFFIX, Scope::Subtree, &Filter::present("mail"), &["cn"], 2);
    let error = error.expect_err("too many").to_string();
    assert!(error.contains("more than 2 entries") && error.contains(SUFFIX), "{error}");
    // The same connection still works, and one that ended says so.
    assert_eq!(
        directory
            .read(&format!("cn=p7,{SUFFIX}"), &["mail"])
            .expect("an answer")
            .expect("an entry")
            .texts("mail"),
        ["p7@example.test"]
    );
    drop(slapd);
    let error = directory.read(SUFFIX, &["o"]).expect_err("it is gone");
    assert!(matches!(error, LdapError::Connection { .. }), "{error}");
    assert!(!error.is_refusal());
}

/// Changes that are on the way at once: each answer belongs to its entry, and a refusal hinders no other.
#[test]
fn many_changes_at_once() {
    const COUNT: usize = 300;
    let home = Home::prepared();
    let mut slapd = Slapd::start(&home, "");
    slapd.add(&(0..COUNT).map(|number| person(&format!("p{number}"))).collect::<String>());
    let mut directory = Connection::open(&config(&slapd.config(""))).expect("a connection");
    let text = |number: usize| format!("number {number}").into_bytes();
    let entries: Vec<(String, Vec<Change>)> = (0..COUNT)
        .map(|number| {
            let add = |name: &str| Change::Add(name.to_owned(), vec![text(number)]);
            match number {
                7 => (format!("cn=nobody,{SUFFIX}"), vec![add("title")]),
                8 => (format!("cn=p8,{SUFFIX}"), vec![add("title"), add("nonsense")]),
                9 => (format!("cn=p9,{SUFFIX}"), Vec::new()),
                // The later change of an entry needs the earlier one.
                _ => (
                    format!("cn=p{number},{SUFFIX}"),
                    vec![add("title"), Change::Delete("title".to_owned(), vec![text(number)]), add("title")],
                ),
            }
        })
        .collect();
    let mut told = vec![None; COUNT];
    let mut answer = |number: usize, outcome: Result<(), LdapError>| {
        let outcome = outcome.err().map(|error| (error.code(), error.to_string()));
        assert!(told[number].replace(outcome).is_none(), "{number} is told twice");
    };
    let everything = Filter::present("sn");
    for (number, (dn, changes)) in entries.iter().enumerate() {
        directory.send_changes(number, dn, changes, &mut answer).expect("a connection");
        // Something else is asked in between.
        if number % 100 == 50 {
            let found = directory.find(SUFFIX, Scope::Subtree, &everything, &["cn"], COUNT);
            assert_eq!(found.expect("an answer").len(), COUNT);
        }
    }
    directory.await_changes(&mut answer).expect("a connection to the end");
    for (number, outcome) in told.iter().enumerate() {
        let outcome = outcome.as_ref().unwrap_or_else(|| panic!("nothing is told of {number}"));
        let refused = match number {
            7 => Some((32, "cn=nobody")),
            8 => Some((17, "cn=p8")),
            _ => None,
        };
        let (code, dn) = refused.unzip();
        assert_eq!(outcome.as_ref().and_then(|(code, _)| *code), code, "{number}");
        assert!(
            outcome.as_ref().is_none_or(|(_, said)| said.contains(dn.unwrap_or_default())),
            "{outcome:?}"
        );
        let expected = if matches!(number, 7..=9) { Vec::new() } else { vec![text(number)] };
        let entry = directory.read(&format!("cn=p{number},{SUFFIX}"), &["title"]).expect("an answer");
        assert_eq!(entry.expect("an entry").values("title"), expected, "{number}");
    }
    slapd.end();
    let nobody = |number: usize, _: Result<(), LdapError>| panic!("nobody answers about {number}");
    let error = directory
        .send_changes(0, &entries[0].0, &entries[0].1, nobody)
        .and_then(|()| directory.await_changes(nobody));
    let error = error.expect_err("it is gone");
    assert!(matches!(error, LdapError::Connection { .. }), "{error}");
}

/// A server that refuses the change of one entry, with any code, takes those of others; one that is busy or away, or
/// wants another login, does not.
#[test]
fn refusals_of_an_entry_and_of_the_directory() {
    const OF_ENTRIES: [u32; 11] = [1, 2, 3, 4, 11, 19, 21, 50, 53, 71, 80];
    const OF_THE_DIRECTORY: [u32; 5] = [8, 13, 49, 51, 52];
    let home = Home::prepared();
    let items = OF_ENTRIES.iter().chain(&OF_THE_DIRECTORY);
    let items: String =
        items.map(|code| format!("retcode-item \"cn=code {code}\" {code} op=modify\n")).collect();
    let slapd = Slapd::start(
        &home,
        &format!("moduleload retcode\noverlay retcode\nretcode-parent ou=codes,{SUFFIX}\n{items}"),
    );
    slapd.add(&person("alice"));
    let (alice, add) = (format!("cn=alice,{SUFFIX}"), Change::Add("title".to_owned(), vec![b"x".to_vec()]));
    let remove = Change::Delete("title".to_owned(), Vec::new());
    let of = |code| format!("cn=code {code},ou=codes,{SUFFIX}");
    for code in OF_ENTRIES.into_iter().chain(OF_THE_DIRECTORY) {
        let mut directory = Connection::open(&config(&slapd.config(""))).expect("a connection");
        let mut told = Vec::new();
        let mut answer = |number: usize, outcome: Result<(), LdapError>| {
            told.push((number, outcome.err().map(|error| error.code().expect("a code"))));
        };
        let sent = directory
            .send_changes(1, &of(code), std::slice::from_ref(&add), &mut answer)
            .and_then(|()| directory.send_changes(2, &alice, &[add.clone(), remove.clone()], &mut answer))
            .and_then(|()| directory.await_changes(&mut answer));
        if OF_ENTRIES.contains(&code) {
            sent.unwrap_or_else(|error| panic!("{error}"));
            told.sort_unstable();
            assert_eq!(told, [(1, Some(code)), (2, None)], "the other is changed");
        } else {
            assert_eq!(sent.expect_err("it is lost").code(), Some(code));
        }
    }
}

#[test]
fn servers_that_hang_or_talk_nonsense() {
    let home = Home::empty();
    home.write_private("pw", "secret\n");
    let login = format!("bind_dn: cn=a\npassword_file: {}\ntimeout_seconds: 1\n", home.path("pw").display());
    let open = |url: &str, more: &str| {
        Connection::open(&config(&format!("url: {url}\n{more}\n{login}"))).expect_err("no connection")
    };
    let silent = parrot(Vec::new());
    for (url, more) in [
        (silent.clone(), "plain: true"),
        (silent.clone(), "start_tls: true"),
        (silent.replace("ldap://", "ldaps://"), ""),
    ] {
        let error = open(&url, more);
        assert!(matches!(error, LdapError::Timeout { .. }), "{url} {more}: {error}");
    }
    for nonsense in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\x30\x00",
        b"\x30\x05\x02\x01\x01\x61\x00",
        b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x01\xff\x04\x00",
        b"\x30\x84\xff\xff\xff\xff\x02\x01\x01",
    ] {
        let error = open(&parrot(nonsense.to_vec()), "plain: true");
        assert!(!error.is_refusal(), "{error}");
    }
    // Nesting that would cost the stack, and a length that nobody has: neither reaches the decoder, and before
    // StartTLS neither.
    for (answer, says) in [
        (nested(1_000_000), "nested more than 16 deep"),
        (vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x02], "more than 16 MiB"),
        (vec![0x30, 0x0c, 0x02, 0x01, 0x01, 0x61, 0x0a], "longer than the one it is in"),
    ] {
        let server = parrot(answer);
        for more in ["plain: true", "start_tls: true"] {
            let error = open(&server, more);
            assert!(matches!(error, LdapError::Protocol { .. }), "{more}: {error}");
            assert!(error.to_string().contains(says), "{more}: {error}");
        }
    }
}
