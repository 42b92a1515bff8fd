//! `ca publish ldap` against Active Directory, as Samba serves it.

use chancery_tests::openssl::{self, Key, to_der};
use chancery_tests::samba::{ADMIN_PRINCIPAL, DOMAIN, Samba};
use chancery_tests::{Home, Tool};
use std::fs;

#[test]
fn values_follow_the_ledger_in_active_directory() {
    let home = Home::prepared();
    let mut samba = Samba::start(&home);
    let dn = |name: &str| format!("CN={name},CN=Users,{DOMAIN}");
    for (name, more) in [
        ("alice", "mail: alice@example.test"),
        ("bob", "proxyAddresses: SMTP:bob@example.test"),
        ("carol", "userPrincipalName: carol@example.test"),
    ] {
        let entry = format!("dn: {}\nobjectClass: user\nsAMAccountName: {name}\n{more}\n", dn(name));
        samba.client("ldapadd").input(entry).ok();
    }
    home.write_private(
        "home/publish.yaml",
        format!(
            "version: 1\ndirectories:\n  - name: ad\n    base: {DOMAIN}\n    user_smime_certificate: true\n    \
             find_by: [mail, proxyAddresses, userPrincipalName]\n    server:\n{}",
            samba.config("      ")
        ),
    );
    let publish = || {
        let ca: Tool = samba.near(home.ca("--json publish ldap"));
        ca.ok().json()["directories"][0]["changed"].as_array().map(Vec::len)
    };
    let encryption = |person: &str, name: &str| {
        let csr = openssl::csr(&home, name, Key::P256);
        home.issue_csr("smime-encryption", &format!("{person}@example.test"), &csr, name).ok();
        fs::read(to_der("x509", &home.path(format!("{name}.crt")))).expect("DER")
    };
    let values = |name: &str| samba.values(&dn(name), "userCertificate");
    let objects = || samba.values(&dn("alice"), "userSMIMECertificate").len();

    // Somebody else's certificate stays.
    openssl::key(&home, "other", Key::P256);
    home.tool("openssl", "req -x509 -new -key other.key -days 30 -subj /CN=alice -out other.crt").ok();
    let other = to_der("x509", &home.path("other.crt"));
    let give = format!(
        "dn: {}\nchangetype: modify\nadd: userCertificate\nuserCertificate:< file://{}\n",
        dn("alice"),
        other.display()
    );
    samba.client("ldapmodify").input(give).ok();
    let other = fs::read(other).expect("DER");
    let sorted = |mut values: Vec<Vec<u8>>| {
        values.sort();
        values
    };

    let first = encryption("alice", "alice-1");
    let (bob, carol) = (encryption("bob", "bob-1"), encryption("carol", "carol-1"));
    home.ca("publish object --email alice@example.test --key alice.key").ok();
    assert_eq!(publish(), Some(3));
    assert_eq!(sorted(values("alice")), sorted(vec![other.clone(), first]));
    assert_eq!((values("bob"), values("carol"), objects()), (vec![bob], vec![carol], 1));
    assert_eq!(publish(), Some(0));
    // Both attributes change: there is no object for the newer certificate yet.
    let second = encryption("alice", "alice-2");
    assert_eq!(publish(), Some(1));
    assert_eq!((sorted(values("alice")), objects()), (sorted(vec![other.clone(), second]), 0));
    home.ca("person leave --email alice@example.test --encryption keep --yes").ok();
    assert_eq!(publish(), Some(1));
    assert_eq!(values("alice"), [other]);
    assert_eq!(publish(), Some(0));

    let before = values("bob");
    let newer = encryption("bob", "bob-2");
    tickets_log_in(&home, &mut samba, &before, &newer);
}

/// With a Kerberos ticket in place of a password, `before` becomes `newer` at Bob.
fn tickets_log_in(home: &Home, samba: &mut Samba, before: &[Vec<u8>], newer: &[u8]) {
    let kerberos = samba.kerberos(home);
    let config = home.read("home/publish.yaml");
    let config = config.replace(&samba.config("      "), &samba.config_for_tickets("      "));
    home.write_private("home/publish.yaml", config);
    let values = |samba: &Samba| samba.values(&format!("CN=bob,CN=Users,{DOMAIN}"), "userCertificate");
    let publish = |samba: &Samba| samba.near(kerberos.ca(home, "--json publish ldap"));

    publish(samba).run().fails(1, &["no kerberos credentials", "kinit"]);
    let keytab = home.path("admin.keytab");
    samba.near(kerberos.near(Tool::new("kinit"))).words("-k -t").arg(&keytab).arg(ADMIN_PRINCIPAL).ok();
    publish(samba).run().fails(1, &["allow_sasl_over_tls"]);
    assert_eq!(values(samba), before);

    samba.take_tickets();
    let changed = publish(samba).ok().json();
    assert_eq!(changed["directories"][0]["changed"].as_array().map(Vec::len), Some(1));
    assert_eq!(values(samba), [newer]);
    // With a keytab and no ticket.
    let again = kerberos.near_with(publish(samba), &keytab);
    assert_eq!(again.ok().json()["directories"][0]["entries"], 3);
}
