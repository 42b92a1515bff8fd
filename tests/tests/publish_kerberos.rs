//! `ca publish ldap` with a Kerberos ticket, against OpenLDAP, which checks what ties the login to the
//! TLS connection. Active Directory is in `publish_ad.rs`.

use chancery_tests::kerberos::{Kdc, Kerberos};
use chancery_tests::openssl::{self, Key};
use chancery_tests::server::free_port;
use chancery_tests::slapd::{ADMIN, HOST, SUFFIX};
use chancery_tests::{Home, Server, Slapd, Tool};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const CERTIFICATE: &str = "userCertificate;binary";

fn configure(home: &Home, server: &str) {
    let at = home.work().display();
    home.write_private(
        "home/publish.yaml",
        format!(
            "version: 1\ndirectories:\n  - name: staff\n    base: {SUFFIX}\n    server:\n      \
             ca_root: {at}/slapd-root.crt\n      sasl: gssapi\n      {server}\n"
        ),
    );
}

/// Two sides of TLS with a server certificate of its own, as somebody in the middle would have.
fn relay(home: &Home, kerberos: &Kerberos, slapd: &Slapd) -> (Server, u16) {
    let words = format!("issue --authority directory --template mail-server-tls --dns {HOST} --key p256");
    kerberos
        .ca(home, &words)
        .words("--out relay.crt --out-key relay.key --out-chain relay.chain --passphrase-file passphrase")
        .ok();
    let (front, back, at) = (free_port(), free_port(), home.work().display());
    let config = home.write_private(
        "relay.conf",
        format!(
            "foreground = yes\npid =\n[front]\naccept = 127.0.0.1:{front}\nconnect = 127.0.0.1:{back}\n\
             cert = {at}/relay.chain\nkey = {at}/relay.key\n\
             [back]\nclient = yes\naccept = 127.0.0.1:{back}\nconnect = 127.0.0.1:{}\n",
            slapd.tls_port()
        ),
    );
    let log = home.path("relay.log");
    (Server::start("stunnel4", &[&config.display().to_string()], &log, &[front]), front)
}

#[test]
fn a_ticket_logs_in_over_its_own_tls_connection_alone() {
    let home = Home::prepared();
    let kdc = Kdc::start(&home, &["publisher", "ldap/localhost"]);
    let kerberos = kdc.kerberos();
    let rules = format!(
        "sasl-host {HOST}\nsasl-realm EXAMPLE.TEST\nsasl-cbinding tls-endpoint\n\
         authz-regexp \"uid=publisher,.*cn=gssapi,cn=auth\" \"{ADMIN}\"\n"
    );
    let mut slapd = Slapd::start_with(&home, &rules, &kdc.serving(&home, "ldap/localhost"));
    slapd.add(&format!(
        "dn: cn=alice,{SUFFIX}\nobjectClass: inetOrgPerson\ncn: alice\nsn: x\nmail: alice@example.test\n"
    ));
    let issue = |name: &str| {
        let csr = openssl::csr(&home, name, Key::P256);
        kerberos
            .ca(&home, "issue --authority issuing --template smime-encryption --email alice@example.test")
            .words(&format!("--passphrase-file passphrase --out {name}.crt --csr"))
            .arg(&csr)
            .ok();
        fs::read(openssl::to_der("x509", &home.path(format!("{name}.crt")))).expect("DER")
    };
    let values = || slapd.values("(mail=alice@example.test)", CERTIFICATE);
    let publish = || kerberos.ca(&home, "--json publish ldap");
    let none: [&[u8]; 0] = [];

    // Without a ticket.
    let first = issue("first");
    configure(&home, &format!("url: {}", slapd.ldaps()));
    publish().run().fails(1, &["no kerberos credentials", "kinit"]);
    // The usual build of the program has no Kerberos, and says so.
    home.ca("publish ldap").run().fails(1, &["--features gssapi"]);
    assert_eq!(values(), none);

    let keytab = home.path("publisher.keytab");
    kerberos.near(Tool::new("kinit")).words("-k -t").arg(&keytab).arg("publisher").ok();
    publish().ok();
    assert_eq!(values(), [first.as_slice()]);
    let tickets = kerberos.near(Tool::new("klist")).ok();
    tickets.says(&["ldap/localhost@EXAMPLE.TEST"]);

    // Somebody in the middle who has a certificate, too: the server sees another TLS connection.
    let second = issue("second");
    let (_relay, port) = relay(&home, kerberos, &slapd);
    configure(&home, &format!("url: ldaps://{HOST}:{port}"));
    publish().run().fails(1, &["refused to log in (publisher@EXAMPLE.TEST)", "[code 49]"]);
    assert_eq!(values(), [first.as_slice()]);

    // StartTLS, and no ticket but a keytab, which nobody else may read.
    configure(&home, &format!("url: {}\n      start_tls: true", slapd.ldap()));
    let with_keytab = || kerberos.near_with(publish(), &keytab);
    fs::set_permissions(&keytab, fs::Permissions::from_mode(0o640)).expect("set a mode");
    with_keytab().run().fails(1, &["publisher.keytab", "chmod"]);
    assert_eq!(values(), [first.as_slice()]);
    fs::set_permissions(&keytab, fs::Permissions::from_mode(0o600)).expect("set a mode");
    with_keytab().ok();
    assert_eq!(values(), [second.as_slice()]);

    // A server that does not look at the binding takes the one in the middle: it was the binding.
    let rules = home.read("slapd.conf").replace("sasl-cbinding tls-endpoint", "sasl-cbinding none");
    home.write_private("slapd.conf", rules);
    slapd.end();
    slapd.begin();
    configure(&home, &format!("url: ldaps://{HOST}:{port}"));
    assert_eq!(publish().ok().json()["directories"][0]["entries"], 1);

    // A directory that Kerberos does not know.
    kdc.forget("ldap/localhost");
    with_keytab().run().fails(1, &["ldap/localhost@EXAMPLE.TEST not found", "kvno ldap/localhost"]);
}
