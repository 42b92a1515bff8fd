//! `ca publish ldap` against Active Directory, as Samba serves it.

use chancery_tests::openssl::{self, Key, to_der};
use chancery_tests::samba::{DOMAIN, Samba};
use chancery_tests::{Home, Tool};
use std::fs;

#[test]
fn values_follow_the_ledger_in_active_directory() {
    let home = Home::prepared();
    let samba = Samba::start(&home);
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
}
