//! `ca publish ldap` against OpenLDAP: what is ours follows the ledger, what is not stays.

use chancery_tests::inject::{self, Fault};
use chancery_tests::openssl::{self, Key, to_der};
use chancery_tests::slapd::{SUFFIX, nested, parrot};
use chancery_tests::{Home, Outcome, Slapd};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

const CERTIFICATE: &str = "userCertificate;binary";

fn entry(slapd: &Slapd, name: &str, more: &str) {
    slapd.add(&format!(
        "dn: cn={name},{SUFFIX}\nobjectClass: inetOrgPerson\nobjectClass: mailRecipientOfAD\ncn: {name}\nsn: x\n{more}\n"
    ));
}

/// An encryption certificate for `person`; its DER.
fn encryption(home: &Home, person: &str, name: &str, key: Key) -> Vec<u8> {
    let csr = openssl::csr(home, name, key);
    home.issue_csr("smime-encryption", &format!("{person}@example.test"), &csr, name).ok();
    fs::read(to_der("x509", &home.path(format!("{name}.crt")))).expect("DER")
}

/// Certificates of somebody else for this address; their DER.
fn foreign(home: &Home, count: usize) -> Vec<Vec<u8>> {
    openssl::key(home, "foreign", Key::P256);
    (0..count)
        .map(|number| {
            let name = format!("foreign-{number}");
            home.tool("openssl", "req -x509 -new -key foreign.key -days 30 -outform DER -out")
                .arg(&name)
                .args(["-subj", &format!("/CN=alice@example.test {number}")])
                .ok();
            fs::read(home.path(name)).expect("DER")
        })
        .collect()
}

fn give(slapd: &Slapd, home: &Home, name: &str, values: &[Vec<u8>]) {
    let mut ldif = format!("dn: cn={name},{SUFFIX}\nchangetype: modify\nadd: {CERTIFICATE}\n");
    for (number, value) in values.iter().enumerate() {
        let path = home.write_private(&format!("{name}-given-{number}"), value);
        ldif.push_str(&format!("{CERTIFICATE}:< file://{}\n", path.display()));
    }
    slapd.client("ldapmodify").input(ldif).ok();
}

fn configure(home: &Home, server: &str, more: &str) {
    home.write_private(
        "home/publish.yaml",
        format!(
            "version: 1\ndirectories:\n  - name: staff\n    base: {SUFFIX}\n    \
             find_by: [mail, proxyAddresses, userPrincipalName]\n    server:\n{server}{more}"
        ),
    );
}

fn publish(home: &Home, words: &str) -> Outcome {
    home.ca("--json publish ldap").words(words).run()
}

fn report(outcome: Outcome) -> Value {
    outcome.ok().json()["directories"][0].clone()
}

fn changed(report: &Value) -> usize {
    report["changed"].as_array().expect("a list").len()
}

#[test]
fn values_follow_the_ledger_and_those_of_others_stay() {
    let home = Home::prepared();
    let slapd = Slapd::start(&home, "");
    configure(&home, &slapd.config("      "), "");
    entry(&slapd, "alice", "mail: Alice@Example.test\n");
    entry(&slapd, "bob", "proxyAddresses: smtp:other@example.test\nproxyAddresses: SMTP:bob@example.test\n");
    entry(&slapd, "carol", "userPrincipalName: carol@example.test\n");
    entry(&slapd, "stranger", "mail: stranger@elsewhere.test\n");
    let others = foreign(&home, 2);
    give(&slapd, &home, "alice", &others);
    give(&slapd, &home, "stranger", &others[..1]);
    let values = |name: &str| slapd.values(&format!("(cn={name})"), CERTIFICATE);
    let alice = encryption(&home, "alice", "alice-1", Key::P256);
    let bob = encryption(&home, "bob", "bob-1", Key::P256);
    let carol = encryption(&home, "carol", "carol-1", Key::P256);
    encryption(&home, "nobody", "nobody-1", Key::P256);

    // The difference is shown, and nothing is changed.
    let shown = home.ca("publish ldap --dry-run").ok();
    let serial = openssl::serial(&home.path("alice-1.crt")).to_lowercase();
    shown.says(&[
        "would change 3",
        &format!("+ userCertificate {serial}"),
        "no entry has the address nobody@",
    ]);
    assert!(values("bob").is_empty() && values("alice") == others);

    let first = report(publish(&home, ""));
    assert_eq!((changed(&first), &first["missing"][0]), (3, &Value::from("nobody@example.test")));
    let with = |more: &[&Vec<u8>]| others.iter().chain(more.iter().copied()).cloned().collect::<Vec<_>>();
    assert_eq!(values("alice"), with(&[&alice]), "the signing certificate is not among them");
    assert_eq!((values("bob"), values("carol")), (vec![bob.clone()], vec![carol]));
    // Nothing is done twice, not even a write that changes nothing.
    let stamps = || slapd.search("(sn=x)", &["entryCSN"]).text();
    let before = stamps();
    assert_eq!(changed(&report(publish(&home, ""))), 0);
    assert_eq!(stamps(), before);

    // A newer certificate takes the place of the older; a key of another kind stands beside it, behind.
    let rsa = encryption(&home, "alice", "alice-rsa", Key::Rsa2048);
    let newer = encryption(&home, "alice", "alice-2", Key::P256);
    report(publish(&home, "--email alice@example.test"));
    assert_eq!(values("alice"), with(&[&newer, &rsa]));
    // One comes in front of an older one that stays.
    let newest = encryption(&home, "alice", "alice-3", Key::Rsa2048);
    report(publish(&home, ""));
    assert_eq!(values("alice"), with(&[&newest, &newer]));

    // What is revoked or on hold is taken away, and comes back when it is released.
    home.ca("revoke --reason keyCompromise --yes").arg(openssl::serial(&home.path("alice-3.crt"))).ok();
    home.ca("hold --yes").arg(openssl::serial(&home.path("bob-1.crt"))).ok();
    report(publish(&home, ""));
    assert_eq!(values("alice"), with(&[&newer, &rsa]));
    assert!(values("bob").is_empty());
    home.ca("release --yes").arg(openssl::serial(&home.path("bob-1.crt"))).ok();
    report(publish(&home, ""));
    assert_eq!(values("bob"), [bob]);

    // Who leaves is taken out, also where no address leads to the entry any more.
    home.ca("person leave --email alice@example.test --encryption keep --yes").ok();
    home.ca("person leave --email bob@example.test --encryption keep --yes").ok();
    let strip = format!("dn: cn=bob,{SUFFIX}\nchangetype: modify\ndelete: proxyAddresses\n");
    slapd.client("ldapmodify").input(strip).ok();
    let shown = home.ca("publish ldap --dry-run").ok();
    shown.says(&["would change 2", "(its holder left)", "2 values of others stay"]);
    report(publish(&home, ""));
    assert_eq!(values("alice"), others);
    assert!(values("bob").is_empty());
    assert_eq!(values("stranger"), others[..1]);
}

#[test]
fn fifteen_values_failing_entries_and_ldif() {
    let home = Home::prepared();
    let slapd = Slapd::start(&home, "");
    configure(&home, &slapd.config("      "), "");
    let others = foreign(&home, 15);
    for name in ["alice", "bob", "carol"] {
        entry(&slapd, name, &format!("mail: {name}@example.test\n"));
    }
    give(&slapd, &home, "alice", &others[..14]);
    give(&slapd, &home, "bob", &others);
    // Its classes have no userCertificate.
    slapd.add(&format!(
        "dn: uid=dave,{SUFFIX}\nobjectClass: account\nobjectClass: mailRecipientOfAD\nuid: dave\n\
         proxyAddresses: SMTP:dave@example.test\n"
    ));
    let values = |name: &str| slapd.values(&format!("(cn={name})"), CERTIFICATE);
    encryption(&home, "alice", "alice-1", Key::Rsa2048);
    let alice = encryption(&home, "alice", "alice-2", Key::P256);
    for name in ["bob", "dave"] {
        encryption(&home, name, &format!("{name}-1"), Key::P256);
    }
    let carol = encryption(&home, "carol", "carol-1", Key::P256);

    // A base below which there is more than anybody expects.
    configure(&home, &slapd.config("      "), "    max_entries: 3\n");
    publish(&home, "").fails(1, &["more than 3 entries", SUFFIX, "max_entries", "what was done stays done"]);
    assert!(values("carol").is_empty());
    configure(&home, &slapd.config("      "), "    max_entries: 4\n");

    // By LDIF: what ldapmodify makes of it leaves nothing to do for carol and alice.
    slapd.client("ldapsearch").args(["-LLL", "-b", SUFFIX]).ok();
    let export = slapd.client("ldapsearch").args(["-LLL", "-b", SUFFIX]).ok();
    home.write_private("export.ldif", export.stdout);
    for words in ["--ldif online.ldif", "--from export.ldif --ldif offline.ldif"] {
        publish(&home, words).fails(1, &["could not be changed", "15"]);
    }
    let sorted = |name: &str| {
        let text = home.read(name);
        let mut entries: Vec<String> = text.split("\n\n").map(str::to_owned).collect();
        entries.sort();
        entries
    };
    assert_eq!(sorted("online.ldif"), sorted("offline.ldif"));
    assert!(values("carol").is_empty());
    let applied = slapd.client("ldapmodify").arg("-c").input(home.read("online.ldif")).run();
    applied.fails(65, &["userCertificate"]);
    assert_eq!(values("carol"), std::slice::from_ref(&carol));
    assert_eq!(values("alice").len(), 15);
    assert_eq!(values("alice")[14], alice);

    // The entries at fault are reported, by the next run too, and hinder nobody.
    let newer = encryption(&home, "carol", "carol-2", Key::P256);
    let outcome = publish(&home, "").fails(1, &["2 entries could not be changed"]);
    let report = outcome.json()["directories"][0].clone();
    let failed: Vec<(String, String)> = report["changed"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|entry| !entry["failed"].is_null())
        .map(|entry| (entry["dn"].to_string(), entry["failed"].to_string()))
        .collect();
    assert!(failed[0].0.contains("bob") && failed[0].1.contains("15 values of others"), "{failed:?}");
    assert!(failed[1].0.contains("dave") && failed[1].1.contains("object class violation"), "{failed:?}");
    assert_eq!(values("carol"), [newer]);
    assert_eq!(values("bob"), others);
    assert_eq!(values("alice")[..14], others[..14]);
}

/// Passes one connection on after another; each ends after that many bytes from the client.
fn cutting(target: u16, limits: &'static [u64]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind a loopback port");
    let port = listener.local_addr().expect("the bound address").port();
    thread::spawn(move || {
        for limit in limits {
            let Ok((mut client, _)) = listener.accept() else { return };
            let mut server = TcpStream::connect(("127.0.0.1", target)).expect("the directory");
            let (mut back, mut from) =
                (client.try_clone().expect("a copy"), server.try_clone().expect("a copy"));
            thread::spawn(move || std::io::copy(&mut from, &mut back));
            let mut passed = 0;
            let mut buffer = [0; 512];
            while let Ok(length @ 1..) = client.read(&mut buffer) {
                passed += length as u64;
                if passed > *limit || server.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
            let _ = client.shutdown(std::net::Shutdown::Both);
            let _ = server.shutdown(std::net::Shutdown::Both);
        }
    });
    port
}

#[test]
fn a_directory_that_is_lost_in_the_middle() {
    let home = Home::prepared();
    let slapd = Slapd::start(&home, "");
    let people: Vec<String> = (0..40).map(|number| format!("p{number}@example.test")).collect();
    home.write_private("people.csv", format!("email\n{}\n", people.join("\n")));
    home.ca("issue --pair --batch people.csv --authority issuing --key p256 --no-escrow --out batch")
        .words("--passphrase-file passphrase")
        .ok();
    for address in &people {
        entry(&slapd, address.split('@').next().expect("a name"), &format!("mail: {address}\n"));
    }
    let published = || slapd.values("(mail=p*)", CERTIFICATE).len();
    let server = slapd.loopback().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let through = |limits| {
        let port = cutting(server, limits);
        let lines = slapd.config("      ");
        let rest: String = lines.lines().skip(2).map(|line| format!("{line}\n")).collect();
        configure(&home, &format!("      url: ldap://127.0.0.1:{port}\n      plain: true\n{rest}"), "");
    };
    // It goes away for good after some entries: they stay done, and the error says so.
    through(&[20_000]);
    publish(&home, "").fails(1, &["what was done stays done"]);
    let some = published();
    assert!((5..35).contains(&some), "{some}");
    // It comes back after the connection was lost: the entry in doubt is read again.
    through(&[20_000, u64::MAX]);
    let second = report(publish(&home, ""));
    assert_eq!((published(), second["stopped"].is_null()), (40, true));
    assert_eq!(changed(&second), 40 - some);
    configure(&home, &slapd.config("      "), "");
    assert_eq!(changed(&report(publish(&home, ""))), 0);
}

const OBJECT: &str = "userSMIMECertificate";

/// Requires that OpenSSL verifies an object, and that it has this certificate in it.
fn verify_object(home: &Home, object: &[u8], encryption: &str) {
    home.write_private("object.p7m", object);
    home.write_private("empty", "");
    home.tool(
        "openssl",
        "cms -verify -binary -inform DER -in object.p7m -content empty -CAfile slapd-root.crt",
    )
    .words("-purpose smimesign -out verified")
    .ok();
    let inside = home.tool("openssl", "pkcs7 -inform DER -print_certs -in object.p7m").ok().text();
    let pem = home.read(encryption);
    let body: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
    assert!(inside.replace('\n', "").contains(&body), "{encryption} is not in it\n{inside}");
}

#[test]
fn signed_objects_change_with_the_certificates() {
    let home = Home::prepared();
    let slapd = Slapd::start(&home, "");
    configure(&home, &slapd.config("      "), "    user_smime_certificate: true\n");
    for name in ["alice", "bob", "erin"] {
        entry(&slapd, name, &format!("mail: {name}@example.test\n"));
    }
    let values = |name: &str, attribute: &str| slapd.values(&format!("(cn={name})"), attribute);
    let pair = |name: &str| {
        home.ca("issue --pair --no-escrow --authority issuing --email erin@example.test --key p256")
            .words(&format!("--p12 {name}.p12 --out {name}-signing.crt --out-encryption {name}.crt"))
            .words("--p12-password-file p12-password --passphrase-file passphrase")
            .ok();
        fs::read(to_der("x509", &home.path(format!("{name}.crt")))).expect("DER")
    };
    // Somebody else's object stays.
    openssl::key(&home, "other", Key::P256);
    home.write_private("empty", "");
    home.tool("openssl", "req -x509 -new -key other.key -days 30 -subj /CN=erin@example.test -out other.crt")
        .ok();
    home.tool("openssl", "cms -sign -binary -nodetach -in empty -signer other.crt -inkey other.key -outform DER -out other.p7m").ok();
    let other = fs::read(home.path("other.p7m")).expect("an object");
    slapd
        .client("ldapmodify")
        .input(format!(
            "dn: cn=erin,{SUFFIX}\nchangetype: modify\nadd: {OBJECT}\n{OBJECT}:< file://{}\n",
            home.path("other.p7m").display()
        ))
        .ok();

    // Keys that are made here get their object when they are issued.
    let first = pair("erin-1");
    report(publish(&home, ""));
    assert_eq!(values("erin", CERTIFICATE), [first]);
    let ours = || {
        // OpenLDAP cannot compare these values: they are replaced at once, in any order.
        let (others, mut ours): (Vec<_>, Vec<_>) =
            values("erin", OBJECT).into_iter().partition(|one| *one == other);
        assert_eq!((others.len(), ours.len()), (1, 1));
        ours.remove(0)
    };
    let older = ours();
    verify_object(&home, &older, "erin-1.crt");
    // Both change together.
    let second = pair("erin-2");
    let rolled = report(publish(&home, ""));
    assert_eq!((changed(&rolled), rolled["changed"][0]["lines"].as_array().map(Vec::len)), (1, Some(4)));
    let newer = ours();
    assert_eq!(values("erin", CERTIFICATE), [second]);
    assert_ne!(newer, older);
    verify_object(&home, &newer, "erin-2.crt");
    // A newer certificate without an object: the older one would win, so it goes.
    let csr = openssl::csr(&home, "erin-3", Key::P256);
    home.issue_csr("smime-encryption", "erin@example.test", &csr, "erin-3").ok();
    report(publish(&home, ""));
    assert_eq!(values("erin", OBJECT), std::slice::from_ref(&other));

    // From the person's signing key, and from an object that their client made.
    encryption(&home, "alice", "alice-1", Key::Rsa2048);
    encryption(&home, "bob", "bob-1", Key::P256);
    home.ca("publish object --email alice@example.test --key alice.key").ok();
    let made = |certfile: &str, name: &str| {
        home.tool("openssl", "cms -sign -binary -nodetach -in empty -outform DER")
            .words(&format!("-signer {name}.crt -inkey {name}.key -certfile {certfile} -out {name}.p7m"))
            .ok();
        format!("publish object --email bob@example.test --file {name}.p7m")
    };
    let without = made("slapd-root.crt", "bob");
    home.ca(&without).run().fails(3, &["newest certificate to encrypt to is not in it"]);
    let foreign = made("bob-1.crt", "mallory");
    home.ca(&foreign).run().fails(3, &["not a good signing certificate of this person"]);
    home.ca("publish object --email bob@example.test --key alice.key").run().fails(3, &["not the key"]);
    home.write_private("garbage.p7m", "garbage");
    home.ca("publish object --email bob@example.test --file garbage.p7m").run().fails(3, &["no PKCS#7"]);
    let good = made("bob-1.crt", "bob");
    // One that was changed after it was signed: the last octets are of the signature.
    let mut changed_one = fs::read(home.path("bob.p7m")).expect("an object");
    *changed_one.last_mut().expect("an octet") ^= 1;
    home.write_private("changed.p7m", &changed_one);
    home.ca("publish object --email bob@example.test --file changed.p7m")
        .run()
        .fails(3, &["does not verify"]);
    home.ca(&good).ok();
    report(publish(&home, ""));
    verify_object(&home, &values("alice", OBJECT)[0], "alice-1.crt");
    assert_eq!(values("bob", OBJECT), [fs::read(home.path("bob.p7m")).expect("an object")]);
    // The signer's certificate is revoked: nobody is led to it.
    home.ca("revoke --reason keyCompromise --yes").arg(openssl::serial(&home.path("bob.crt"))).ok();
    report(publish(&home, ""));
    assert!(values("bob", OBJECT).is_empty() && values("bob", CERTIFICATE).len() == 1);
    home.ca("person leave --email erin@example.test --encryption keep --yes").ok();
    report(publish(&home, ""));
    assert_eq!((values("erin", CERTIFICATE).len(), values("erin", OBJECT)), (0, vec![other]));
    assert_eq!(changed(&report(publish(&home, ""))), 0);
}

/// Killed by the kernel after the commit, before the object has its name: the next run publishes it.
#[test]
fn the_object_of_a_killed_command_is_published() {
    let home = Home::prepared();
    let slapd = Slapd::start(&home, "");
    configure(&home, &slapd.config("      "), "    user_smime_certificate: true\n");
    entry(&slapd, "erin", "mail: erin@example.test\n");
    let issue = |home: &Home| {
        home.ca("issue --pair --no-escrow --authority issuing --email erin@example.test --key p256")
            .words("--p12 erin.p12 --out-encryption erin.crt --p12-password-file p12-password")
            .words("--passphrase-file passphrase")
    };
    // In a copy: which call of its thread gives the object its name.
    inject::count_calls(issue(&home.copy()), &home.path("trace"));
    let trace = home.read("trace");
    let object = trace.lines().position(|line| line.contains("rename(") && line.contains(".p7m\")"));
    let until: Vec<&str> = trace.lines().take(object.expect("the object's rename") + 1).collect();
    let thread = until.last().and_then(|line| line.split(' ').next()).expect("a thread");
    let renames = until.iter().filter(|line| line.starts_with(thread) && line.contains(" rename(")).count();
    let killed = issue(&home).under(inject::strace("rename", renames, Fault::Kill, "trace")).run();
    assert_eq!(killed.signal, Some(9), "{}", killed.transcript());
    let left: Vec<_> = fs::read_dir(home.path("home/smime-objects"))
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"))
        .collect();
    assert!(matches!(left.as_slice(), [one] if one.starts_with('.')), "{left:?}");
    assert!(home.path("erin.crt").exists() && !home.list("--mailbox erin@example.test").is_empty());

    let outcome = publish(&home, "").ok();
    assert!(outcome.stderr.contains("killed before the file had its name"), "{}", outcome.transcript());
    let objects = slapd.values("(cn=erin)", OBJECT);
    assert_eq!(objects.len(), 1);
    verify_object(&home, &objects[0], "erin.crt");
    assert_eq!(changed(&report(publish(&home, ""))), 0);
}

/// What answers in a directory's place cannot end the program: the next directory has its turn.
#[test]
fn a_hostile_directory_harms_itself_alone() {
    let home = Home::prepared();
    let slapd = Slapd::start(&home, "");
    entry(&slapd, "alice", "mail: alice@example.test\n");
    let alice = encryption(&home, "alice", "alice-1", Key::P256);
    let directory =
        |name: &str, server: &str| format!("  - name: {name}\n    base: {SUFFIX}\n    server:\n{server}");
    let hostile = |answer: Vec<u8>| {
        let login = slapd.config("      ");
        login.replacen(&slapd.ldaps(), &format!("{}\n      plain: true", parrot(answer)), 1)
    };
    let config = [
        "version: 1\ndirectories:\n".to_owned(),
        directory("deep", &hostile(nested(1_000_000))),
        directory("long", &hostile(vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff])),
        directory("staff", &slapd.config("      ")),
    ];
    home.write_private("home/publish.yaml", config.concat());
    let outcome = publish(&home, "");
    assert_eq!(outcome.code, Some(1), "{}", outcome.transcript());
    let reports = outcome.json()["directories"].clone();
    for (number, says) in [(0, "nested more than 16 deep"), (1, "more than 16 MiB")] {
        let stopped = reports[number]["stopped"].as_str().expect("a reason");
        assert!(stopped.contains(says), "{stopped}");
    }
    assert!(reports[2]["stopped"].is_null(), "{reports}");
    assert_eq!(slapd.values("(cn=alice)", CERTIFICATE), [alice]);
}
