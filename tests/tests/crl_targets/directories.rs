//! OpenLDAP and Active Directory (Samba).

use super::{arrives, home, issue, publisher, publisher_in, read, start};
use chancery_tests::daemon::wait_for;
use chancery_tests::openssl::serial;
use chancery_tests::server::LIMIT;
use chancery_tests::{Daemon, Home, Samba, Slapd, Tool};
use std::fs;

#[test]
fn to_openldap() {
    let home = home();
    let mut slapd = Slapd::start(&home, "");
    let entries = "    entries:\n      \
        - {file: crl/issuing.crl, dn: 'cn=Issuing,dc=example,dc=test', create: true}\n      \
        - {file: ca/issuing.crt, dn: 'cn=Issuing,dc=example,dc=test', create: true}\n      \
        - {file: crl/root.crl, dn: 'cn=Root,dc=example,dc=test', create: true, \
             attributes: [authorityRevocationList, certificateRevocationList]}\n";
    fs::create_dir(home.path("web")).expect("make a directory");
    let daemon = publisher(
        &home,
        &format!(
            "  - name: ldap\n    alarm_after: 0s\n    retry_at_most: 1s\n    ldap:\n{}      timeout_seconds: 600\n{entries}\
             \x20 - {{name: web, directory: web}}\n",
            slapd.config("      ")
        ),
    );
    let value = |slapd: &Slapd, entry: &str, attribute: &str| {
        slapd.values(&format!("(cn={entry})"), &format!("{attribute};binary")).concat()
    };
    let first = read(&home, "issuing.crl");
    arrives("the CRL", &daemon, &first, || value(&slapd, "Issuing", "certificateRevocationList"));
    let root = read(&home, "root.crl");
    for attribute in ["authorityRevocationList", "certificateRevocationList"] {
        arrives(attribute, &daemon, &root, || value(&slapd, "Root", attribute));
    }
    let der = Tool::new("openssl").within(home.work()).words("x509 -in issuing.pem -outform DER").ok().stdout;
    arrives("the certificate", &daemon, &der, || value(&slapd, "Issuing", "cACertificate"));

    let second = issue(&home, "issuing");
    arrives("the second CRL", &daemon, &second, || value(&slapd, "Issuing", "certificateRevocationList"));

    // A server that takes connections and never answers delays nothing else: it has ten minutes.
    let stop = |signal: &str| Tool::new("kill").args([signal, &slapd.pid().to_string()]).ok();
    stop("-STOP");
    for _ in 0..2 {
        let crl = issue(&home, "issuing");
        arrives("the CRL elsewhere", &daemon, &crl, || read(&home, "web/crl/issuing.crl"));
    }
    stop("-CONT");
    let newest = read(&home, "issuing.crl");
    arrives("the newest CRL", &daemon, &newest, || value(&slapd, "Issuing", "certificateRevocationList"));

    // One that is down gets the newest when it is back.
    slapd.end();
    issue(&home, "root");
    let root = issue(&home, "root");
    wait_for("the alarm", LIMIT, || daemon.log().contains("ALARM: a target is behind").then_some(()));
    slapd.begin();
    arrives("the newest", &daemon, &root, || value(&slapd, "Root", "authorityRevocationList"));
    assert_eq!(daemon.terminate(), Some(0));

    let dn = "cn=Signed,dc=example,dc=test";
    let signed = |attribute: &str| value(&slapd, "Signed", attribute);
    base_and_delta(&home, &slapd.config("      "), [dn, dn], &signed, |tool| tool);
    let classes = slapd.values("(cn=Signed)", "objectClass");
    assert!(classes.contains(&b"deltaCRL".to_vec()) && classes.contains(&b"pkiCA".to_vec()));

    // An entry that somebody made for the CRL alone does not take a delta CRL before it has the class for it.
    let dn = "cn=Plain,dc=example,dc=test";
    slapd.add(&format!("dn: {dn}\nobjectClass: organizationalRole\nobjectClass: pkiCA\n"));
    let daemon = signer(&home, &slapd.config("      "), [dn, dn], |tool| tool);
    wait_for("the alarm", LIMIT, || daemon.log().contains("objectClass: deltaCRL").then_some(()));
    slapd
        .client("ldapmodify")
        .input(format!("dn: {dn}\nchangetype: modify\nadd: objectClass\nobjectClass: deltaCRL\n"))
        .ok();
    let delta = read(&home, "published/crl/issuing-delta.crl");
    arrives("the delta CRL", &daemon, &delta, || value(&slapd, "Plain", "deltaRevocationList"));
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn to_active_directory() {
    let home = home();
    let mut samba = Samba::start(&home);
    let kerberos = samba.kerberos(&home);
    let services = "CN=Public Key Services,CN=Services,CN=Configuration,DC=example,DC=test";
    // The entry of a host, as AD CS makes it.
    let host = format!("CN=pki,CN=CDP,{services}");
    samba.client("ldapadd").input(format!("dn: {host}\nobjectClass: container\n")).ok();
    let (crl, aia) = (format!("CN=Issuing,{host}"), format!("CN=Issuing,CN=AIA,{services}"));
    let targets = format!(
        "  - name: ad\n    alarm_after: 0s\n    retry_at_most: 1s\n    ldap:\n{}    entries:\n      \
         - {{file: crl/issuing.crl, dn: '{crl}', create: true}}\n      \
         - {{file: ca/issuing.crt, dn: '{aia}', create: true}}\n",
        samba.config("      ")
    );
    let daemon = publisher_in(&home, &targets, |tool| samba.near(tool));
    let first = read(&home, "issuing.crl");
    let stands = |dn: &str, attribute: &str| samba.values(dn, attribute).concat();
    arrives("the CRL", &daemon, &first, || stands(&crl, "certificateRevocationList"));
    let der = Tool::new("openssl").within(home.work()).words("x509 -in issuing.pem -outform DER").ok().stdout;
    arrives("the certificate", &daemon, &der, || stands(&aia, "cACertificate"));
    let second = issue(&home, "issuing");
    arrives("the second CRL", &daemon, &second, || stands(&crl, "certificateRevocationList"));
    assert_eq!(samba.values(&aia, "cACertificate").len(), 1);
    assert_eq!(daemon.terminate(), Some(0));

    // As AD CS has it: base and delta CRL in one entry, the certificate in another. The keys of a keytab log in.
    samba.take_tickets();
    let stands = |dn: &str, attribute: &str| samba.values(dn, attribute).concat();
    let keytab = home.path("admin.keytab");
    let with_keys = |tool: Tool| kerberos.near_with(samba.near(tool), &keytab);
    let (crl, aia) = (format!("CN=Signed,{host}"), format!("CN=Signed,CN=AIA,{services}"));
    let signed = |attribute: &str| stands(if attribute == "cACertificate" { &aia } else { &crl }, attribute);
    base_and_delta(&home, &samba.config_for_tickets("      "), [&crl, &aia], &signed, with_keys);
    let class = |dn: &str| {
        let tool = samba.client("ldapsearch").args(["-LLL", "-s", "base", "-b", dn]);
        tool.arg("objectClass").ok().text()
    };
    assert!(class(&crl).contains("objectClass: cRLDistributionPoint"));
    assert!(class(&aia).contains("objectClass: certificationAuthority"));
}

/// A publisher that signs CRLs and delta CRLs of `issuing`, for the entries `[of the CRLs, of the certificate]`
/// of the directory that `config` names. Delta CRLs show revocations at once, CRLs only when their time has come.
fn signer(home: &Home, config: &str, entries: [&str; 2], wrap: impl FnOnce(Tool) -> Tool) -> Daemon {
    let authorities = format!(
        "ledger: home/ledger\nledger_vkey: \"{}\"\nauthorities:\n  - name: issuing\n    certificate: issuing.pem\n    \
         mode: sign\n    key: home/authorities/issuing/key.pem\n    passphrase_file: passphrase\n    \
         url: \"http://pki.example.test/crl/{{name}}.crl\"\n    \
         delta: {{ validity: 6h, interval: 1h, after_revocation: 0s }}\n",
        home.ledger_vkey()
    );
    let mut targets = format!(
        "  - name: signed-{}\n    alarm_after: 0s\n    retry_at_most: 1s\n    ldap:\n{config}    entries:\n",
        entries[0].split([',', '=']).nth(1).unwrap_or_default()
    );
    let [crls, certificate] = entries;
    for (file, dn) in
        [("crl/issuing.crl", crls), ("crl/issuing-delta.crl", crls), ("ca/issuing.crt", certificate)]
    {
        targets.push_str(&format!("      - {{file: {file}, dn: '{dn}', create: true}}\n"));
    }
    start(home, &authorities, &targets, wrap)
}

/// CRL, delta CRL and certificate go to their attributes; what stands there is enough for OpenSSL to tell
/// alice, who is good, from bob, who is revoked.
fn base_and_delta(
    home: &Home,
    config: &str,
    entries: [&str; 2],
    value: &dyn Fn(&str) -> Vec<u8>,
    wrap: impl FnOnce(Tool) -> Tool,
) {
    let daemon = signer(home, config, entries, wrap);
    let lists = [("base", "certificateRevocationList"), ("delta", "deltaRevocationList")];
    let fetched = |list: usize, changed_from: &[u8]| {
        let (name, attribute) = lists[list];
        let der = wait_for(attribute, LIMIT, || {
            Some(value(attribute)).filter(|der| !der.is_empty() && der != changed_from)
        });
        fs::write(home.path(format!("{name}.der")), &der).expect("write");
        let convert = home.tool("openssl", "crl -inform DER -text -CAfile issuing.pem -in");
        let convert = convert.arg(format!("{name}.der")).args(["-out", &format!("{name}.pem")]);
        convert.ok().says(&["verify OK"]);
        (der, home.read(&format!("{name}.pem")))
    };
    let (base, text) = fetched(0, b"");
    assert!(text.contains("X509v3 Freshest CRL") && !text.contains("Delta CRL Indicator"), "{text}");
    let (delta, text) = fetched(1, b"");
    assert!(text.contains("X509v3 Delta CRL Indicator: critical"), "{text}");
    assert_eq!(base, read(home, "published/crl/issuing.crl"));
    let der = home.tool("openssl", "x509 -in issuing.pem -outform DER").ok().stdout;
    arrives("the certificate", &daemon, &der, || value("cACertificate"));
    fs::write(home.path("issuing.read"), der).expect("write");
    let verify = |person: &str, options: &str, code: i32, says: &str| {
        let verify = home.tool("openssl", "verify -no-CApath -crl_check -extended_crl -CAfile root.pem");
        let verify = verify.words("-untrusted issuing.read -CRLfile base.pem").words(options);
        let outcome = verify.arg(format!("{person}.crt")).run().says(&[says]);
        assert_eq!(outcome.code, Some(code), "{}", outcome.transcript());
    };
    let with_delta = "-use_deltas -CRLfile delta.pem";
    for (person, code, says) in [("alice", 0, "OK"), ("bob", 0, "OK"), ("mallory", 2, "certificate revoked")]
    {
        verify(person, with_delta, code, says);
    }

    home.ca(&format!("revoke {} --reason keyCompromise --yes", serial(&home.path("bob.crt")))).ok();
    fetched(1, &delta);
    verify("alice", with_delta, 0, "OK");
    verify("bob", with_delta, 2, "certificate revoked");
    // It is the delta CRL that says so; the other had no reason to change.
    verify("bob", "", 0, "OK");
    assert_eq!(value("certificateRevocationList"), base);
    assert_eq!(daemon.terminate(), Some(0));
}
