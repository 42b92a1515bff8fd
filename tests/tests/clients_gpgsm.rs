//! gpgsm and dirmngr, which fetch CRLs and OCSP by themselves.
//!
//! RSA throughout: dirmngr 2.2.40 of Debian 12 reads neither CRLs nor OCSP
//! responses that are signed with ECDSA.

use chancery_tests::home::P12_PASSWORD;
use chancery_tests::{Daemon, Outcome, Pki, Tool, openssl};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

/// A GnuPG home of its own, with its daemons; in /tmp since the path of a
/// socket must be short.
struct GnuPg {
    dir: TempDir,
}

impl GnuPg {
    fn new(pki: &Pki) -> Self {
        let dir = TempDir::with_prefix_in("g", "/tmp").expect("a temporary directory");
        fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).expect("set a mode");
        let fingerprint = pki.home.tool("openssl", "x509 -noout -fingerprint -sha1 -in root.crt").ok().text();
        let fingerprint = fingerprint.trim().rsplit('=').next().expect("a fingerprint").to_owned();
        for (name, content) in [
            ("trustlist.txt", format!("{fingerprint} S relax\n")),
            (
                "dirmngr.conf",
                format!("allow-ocsp\ndisable-ldap\nverbose\nlog-file {}/dirmngr.log\n", dir.path().display()),
            ),
            ("gpgsm.conf", "batch\nno-tty\npinentry-mode loopback\n".to_owned()),
            ("gpg-agent.conf", "allow-loopback-pinentry\n".to_owned()),
        ] {
            fs::write(dir.path().join(name), content).expect("write a configuration");
        }
        Self { dir }
    }

    fn gpgsm(&self, pki: &Pki, words: &str) -> Tool {
        pki.home.tool("gpgsm", words).env("GNUPGHOME", self.dir.path())
    }

    fn validated(&self, pki: &Pki, options: &str, person: &str) -> Outcome {
        self.gpgsm(pki, &format!("{options} --with-validation --list-keys {person}@example.test")).run()
    }

    fn forget(&self) {
        Tool::new("gpgconf").words("--kill all").env("GNUPGHOME", self.dir.path()).run();
        let _ = fs::remove_dir_all(self.dir.path().join("crls.d"));
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("dirmngr.log")).unwrap_or_default()
    }
}

impl Drop for GnuPg {
    fn drop(&mut self) {
        self.forget();
    }
}

#[test]
fn fetches_crls_and_asks_ocsp() {
    let pki = Pki::start("rsa-3072");
    for person in ["alice", "mallory"] {
        pki.person(person, "smime-dual", "rsa-2048");
    }
    pki.revoke("mallory", "keyCompromise");
    pki.home.write_private("m", "hello\n");
    let gnupg = GnuPg::new(&pki);
    gnupg.gpgsm(&pki, "--import root.crt issuing.crt alice.crt mallory.crt").ok();

    // CRLs of every level of the chain, fetched from the certificates' URLs.
    let fetched = pki.publisher_gate.connections();
    gnupg.validated(&pki, "", "alice").ok().says(&["[certificate is good]"]);
    gnupg.validated(&pki, "", "mallory").says(&["[certificate is bad: Certificate revoked]"]);
    assert!(pki.publisher_gate.connections() >= fetched + 2, "it fetched two CRLs\n{}", gnupg.log());

    // GOODSIG comes even for a revoked signer: TRUST_ is what counts.
    for (person, trust) in [("alice", "TRUST_FULLY"), ("mallory", "TRUST_NEVER")] {
        pki.home
            .tool("openssl", "cms -sign -binary -nodetach -in m -certfile issuing.crt -outform DER")
            .args(["-signer", &format!("{person}.crt"), "-inkey", &format!("{person}.key")])
            .args(["-out", &format!("{person}.p7")])
            .ok();
        gnupg.gpgsm(&pki, &format!("--status-fd 1 --verify {person}.p7")).run().says(&["GOODSIG", trust]);
    }

    gnupg.gpgsm(&pki, "--encrypt -r alice@example.test -o encrypted.p7 m").ok();
    pki.home
        .tool("openssl", "cms -decrypt -inform DER -in encrypted.p7 -recip alice.crt -inkey alice.key")
        .ok()
        .says(&["hello"]);
    gnupg.gpgsm(&pki, "--encrypt -r mallory@example.test -o never.p7 m").run().says(&["Certificate revoked"]);

    // The same by OCSP alone: the CRLs are no longer to be had.
    gnupg.forget();
    pki.publisher_gate.close();
    let asked = pki.responder_gate.connections();
    gnupg.validated(&pki, "--enable-ocsp", "alice").ok().says(&["[certificate is good]"]);
    gnupg.validated(&pki, "--enable-ocsp", "mallory").says(&["[certificate is bad: Certificate revoked]"]);
    assert!(pki.responder_gate.connections() >= asked + 2, "it asked OCSP\n{}", gnupg.log());
}

#[test]
fn imports_the_compat_pkcs12_and_decrypts() {
    let pki = Pki::start("rsa-3072");
    pki.home
        .issue_p12("smime-encryption", "alice@example.test", "rsa-2048", "alice")
        .words("--p12-profile compat")
        .ok();
    let gnupg = GnuPg::new(&pki);
    gnupg.gpgsm(&pki, "--import root.crt issuing.crt").ok();
    gnupg
        .gpgsm(&pki, "--passphrase-fd 0 --import alice.p12")
        .input(format!("{P12_PASSWORD}\n"))
        .run()
        .says(&["secret keys imported: 1"]);
    pki.home.write_private("m", "for alice only\n");
    gnupg.gpgsm(&pki, "--encrypt -r alice@example.test -o encrypted.p7 m").ok();
    gnupg
        .gpgsm(&pki, "--passphrase-fd 0 --decrypt encrypted.p7")
        .input(format!("{P12_PASSWORD}\n"))
        .run()
        .says(&["for alice only"]);
}

fn edit(pki: &Pki, file: &str, from: &str, to: &str) {
    let path = pki.home.path(file);
    let text = fs::read_to_string(&path).expect("read a file");
    assert!(text.contains(from), "no {from} in {text}");
    fs::write(path, text.replace(from, to)).expect("write a file");
}

#[test]
fn reads_crls_that_name_a_delta_crl_and_refuses_those_of_parts() {
    let mut pki = Pki::without_daemons("rsa-3072");
    for person in ["alice", "mallory"] {
        pki.person(person, "smime-dual", "rsa-2048");
    }
    // Carol's certificate names the CRL of a part, which has an issuing distribution point.
    let url = format!("{}/crl/{{authority}}", pki.publisher_gate.url());
    let parts = format!("\"{url}-{{shard}}-of-{{shards}}.crl\"\n  crl_shards: 2");
    edit(&pki, "home/ca.yaml", &format!("\"{url}.crl\""), &parts);
    pki.person("carol", "smime-dual", "rsa-2048");
    let serial = openssl::serial(&pki.home.path("mallory.crt"));
    pki.home.ca(&format!("revoke {serial} --reason keyCompromise --yes")).ok();

    let lists = format!(
        "after_revocation: 0s\n    url: \"{}/crl/{{name}}.crl\"\n    shards: [2]\n    \
         delta: {{ validity: 6h, interval: 1h }}\n",
        pki.publisher_gate.url()
    );
    let config = pki.publisher_config().replace("after_revocation: 0s\n", &lists);
    let daemon = Daemon::start("crl-publisher", &pki.home.write_private("publisher.yaml", config));
    pki.publisher_gate.forward_to(daemon.port());
    pki.publisher = Some(daemon);
    Tool::new("curl")
        .words("-sSf -o")
        .arg(pki.home.path("full.crl"))
        .arg(format!("{}/crl/issuing.crl", pki.publisher_gate.url()))
        .ok();
    let full = pki.home.tool("openssl", "crl -inform DER -noout -text -in full.crl").ok();
    let full = full.says(&["X509v3 Freshest CRL", "/crl/issuing-delta.crl"]);
    assert!(!full.text().contains("Issuing Distribution Point"), "{}", full.text());

    let gnupg = GnuPg::new(&pki);
    gnupg.gpgsm(&pki, "--import root.crt issuing.crt alice.crt mallory.crt carol.crt").ok();
    gnupg.validated(&pki, "", "alice").ok().says(&["[certificate is good]"]);
    gnupg.validated(&pki, "", "mallory").says(&["[certificate is bad: Certificate revoked]"]);

    // dirmngr 2.2 knows no issuing distribution point: it takes no CRL of a part, and says so.
    // The full CRL that it has of the same issuer is enough for it.
    gnupg.validated(&pki, "", "carol").ok().says(&["[certificate is good]"]);
    gnupg.forget();
    let carol = gnupg.validated(&pki, "", "carol").says(&["[certificate is bad: Invalid CRL]"]);
    assert!(!carol.text().contains("certificate is good"), "{}\n{}", carol.text(), gnupg.log());
}
