//! Delta CRLs and CRLs of parts, from issuance to the client: the certificate names
//! them, the publisher has them, OpenSSL, Java, GnuTLS and NSS read those that they know.

use chancery_tests::daemon::wait_for;
use chancery_tests::openssl::Key;
use chancery_tests::pkilint::{Jobs, require_only_exceptions};
use chancery_tests::server::{free_port, nginx};
use chancery_tests::{Daemon, Outcome, Pki, Tool, tool};
use std::fs;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// A suite whose certificates name the CRLs of two parts and their delta CRLs, with
/// alice and mallory in different parts.
struct Parts {
    pki: Pki,
    /// `issuing-0-of-2` or the other.
    alice: String,
    mallory: String,
}

fn edit(pki: &Pki, file: &str, from: &str, to: &str) {
    let path = pki.home.path(file);
    let text = fs::read_to_string(&path).expect("read a file");
    assert!(text.contains(from), "no {from} in {text}");
    fs::write(path, text.replace(from, to)).expect("write a file");
}

/// The name of the CRL in the certificate's cRLDistributionPoints.
fn list_of(pki: &Pki, person: &str) -> String {
    let text = pki.home.tool("openssl", "x509 -noout -text -in").arg(format!("{person}.crt")).ok().text();
    assert!(text.contains("X509v3 Freshest CRL"), "{text}");
    let urls = text.split("/crl/").skip(1).map(|rest| rest.split(".crl").next().unwrap_or_default());
    let lists: Vec<&str> = urls.collect();
    assert!(lists.len() == 2 && lists[1] == format!("{}-delta", lists[0]), "{lists:?}");
    lists[0].to_owned()
}

fn start() -> Parts {
    let mut pki = Pki::without_daemons("p256");
    let url = format!("{}/crl/{{authority}}", pki.publisher_gate.url());
    edit(
        &pki,
        "home/ca.yaml",
        &format!("\"{url}.crl\""),
        &format!(
            "\"{url}-{{shard}}-of-{{shards}}.crl\"\n  crl_shards: 2\n  \
             delta_crl: \"{url}-{{shard}}-of-{{shards}}-delta.crl\""
        ),
    );
    edit(&pki, "home/templates/smime-dual.yaml", "cdp: authority", "cdp: authority\nfreshest_crl: authority");
    pki.person_by_request("alice", "smime-dual", Key::P256);
    let alice = list_of(&pki, "alice");
    let mallory = loop {
        pki.person_by_request("mallory", "smime-dual", Key::P256);
        let mallory = list_of(&pki, "mallory");
        if mallory != alice {
            break mallory;
        }
        for file in ["mallory.crt", "mallory.key", "mallory.csr"] {
            let _ = fs::remove_file(pki.home.path(file));
        }
    };
    publish(&mut pki, "off");
    Parts { pki, alice, mallory }
}

/// Starts the publisher; full CRLs show revocations as `after` says.
fn publish(pki: &mut Pki, after: &str) {
    pki.publisher = None;
    let lists = format!(
        "after_revocation: {after}\n    url: \"{}/crl/{{name}}.crl\"\n    shards: [2]\n    kinds: true\n    \
         reasons: {{ lost: [keyCompromise, cACompromise] }}\n    \
         delta: {{ validity: 6h, interval: 1h, after_revocation: 0s }}\n",
        pki.publisher_gate.url()
    );
    let config = pki.publisher_config().replace("after_revocation: 0s\n", &lists);
    let config = pki.home.write_private("publisher.yaml", config);
    let daemon = Daemon::start("crl-publisher", &config);
    pki.publisher_gate.forward_to(daemon.port());
    pki.publisher = Some(daemon);
}

impl Parts {
    /// Downloads a CRL to `NAME.der` and `NAME.pem`; its text.
    fn fetch(&self, name: &str) -> String {
        let (home, url) = (&self.pki.home, self.pki.publisher_gate.url());
        Tool::new("curl")
            .words("-sSf -o")
            .arg(home.path(format!("{name}.der")))
            .arg(format!("{url}/crl/{name}.crl"))
            .ok();
        let convert = home.tool("openssl", "crl -inform DER -text -in").arg(format!("{name}.der"));
        convert.arg("-out").arg(format!("{name}.pem")).ok();
        home.read(&format!("{name}.pem"))
    }

    fn lists_mallory(&self, name: &str) -> bool {
        let serial = chancery_tests::openssl::serial(&self.pki.home.path("mallory.crt"));
        self.fetch(name).contains(&format!("Serial Number: {}", serial.to_uppercase()))
    }

    /// OpenSSL with CRLs from files.
    fn openssl(&self, person: &str, options: &str, crls: &[&str]) -> Outcome {
        let mut verify = self.pki.home.tool("openssl", "verify -crl_check -extended_crl -no-CApath");
        verify = verify.words("-CAfile root.crt -untrusted issuing.crt").words(options);
        for crl in crls {
            verify = verify.arg("-CRLfile").arg(format!("{crl}.pem"));
        }
        verify.arg(format!("{person}.crt")).run()
    }

    /// OpenSSL that fetches the CRL that the certificate names.
    fn openssl_fetching(&self, person: &str) -> Outcome {
        let verify =
            self.pki.home.tool("openssl", "verify -crl_check -crl_download -extended_crl -no-CApath");
        verify.words("-CAfile root.crt -untrusted issuing.crt").arg(format!("{person}.crt")).run()
    }

    fn java(&self, person: &str) -> Outcome {
        let home = &self.pki.home;
        let chain = [format!("{person}.crt"), "issuing.crt".to_owned()].map(|name| home.read(&name)).concat();
        home.write_private(&format!("{person}.chain"), chain);
        Tool::new("java")
            .within(home.work())
            .words("-XX:TieredStopAtLevel=1 -Djava.security.egd=file:/dev/urandom")
            .arg(tool::source_root().join("tests/java/CheckRevocation.java"))
            .args([&format!("{person}.chain"), "root.crt", "crl"])
            .run()
    }
}

#[test]
fn clients_read_deltas_and_crls_of_parts() {
    let mut parts = start();
    let (alice, mallory) = (parts.alice.clone(), parts.mallory.clone());
    let deltas = [format!("{alice}-delta"), format!("{mallory}-delta")];
    for name in [&alice, &mallory, &deltas[0], &deltas[1]] {
        parts.fetch(name);
    }
    parts.openssl("mallory", "", &[&mallory]).ok_or_show();
    let serial = chancery_tests::openssl::serial(&parts.pki.home.path("mallory.crt"));
    parts.pki.home.ca(&format!("revoke {serial} --reason keyCompromise --yes")).ok();

    // At first only the delta CRL of mallory's part says so.
    wait_for("the delta CRL", LIMIT, || parts.lists_mallory(&deltas[1]).then_some(()));
    assert!(!parts.lists_mallory(&mallory) && !parts.lists_mallory(&deltas[0]));
    let all = [&alice, &mallory, &deltas[0], &deltas[1]].map(String::as_str);
    parts.openssl("alice", "-use_deltas", &all).ok_or_show();
    parts.openssl("mallory", "-use_deltas", &all).says(&["certificate revoked"]);
    parts.openssl("mallory", "", &[&mallory]).ok_or_show();
    parts.openssl("mallory", "", &[&alice]).says(&["different CRL scope"]);
    // Java fetches no delta CRLs.
    parts.java("mallory").ok().says(&["valid"]);
    let urls = |person: &str| parts.pki.home.ca(&format!("check urls {person}.crt --chain chain.pem")).run();
    urls("alice").says(&[&format!("{alice}.crl"), &format!("{alice}-delta.crl")]);
    urls("mallory").says(&[&format!("{mallory}-delta.crl"), "this certificate is revoked"]);

    // What is no successor of the other can be compared, but not without being told.
    let differ = |old: &str, new: &str| parts.pki.home.ca(&format!("crl diff {old} {new}")).ok();
    let [full, part, delta] = [&alice, &mallory, &deltas[1]].map(|name| format!("{name}.der"));
    differ(&part, &delta).says(&["is a full CRL", "a delta CRL", "what differs is not what changed"]);
    differ(&full, &part).says(&["what differs is not what changed"]);
    differ(&part, &part).never_says(&["what differs"]);

    // Then the full CRLs, too.
    publish(&mut parts.pki, "0s");
    wait_for("the full CRL", LIMIT, || parts.lists_mallory(&mallory).then_some(()));
    for (name, listed) in [
        ("issuing", true),
        ("issuing-users", true),
        ("issuing-authorities", false),
        ("issuing-lost", true),
        (alice.as_str(), false),
    ] {
        wait_for(name, LIMIT, || (parts.lists_mallory(name) == listed).then_some(()));
    }
    parts.openssl_fetching("alice").ok_or_show();
    parts.openssl_fetching("mallory").says(&["certificate revoked"]);
    // These stand at another place than the one that the certificate names.
    for crl in ["issuing-users", "issuing-authorities"] {
        parts.openssl("alice", "", &[crl]).says(&["different CRL scope"]);
    }
    parts.java("alice").ok().says(&["valid"]);
    parts.java("mallory").says(&["refused at 0: REVOKED", "KEY_COMPROMISE"]);
    assert!(parts.fetch("issuing-lost").contains("Only Some Reasons:"));
    gnutls(&parts);
    nss(&parts);

    // And by the linters.
    let mut jobs = Jobs::default();
    // pkilint's decoder fails at onlySomeReasons, so not at `issuing-lost`: OpenSSL reads that one.
    let names = ["issuing", "issuing-delta", "issuing-users", "issuing-authorities"];
    for name in names.into_iter().chain(all) {
        parts.fetch(name);
        jobs.crl(&format!("crl/{name}"), &parts.pki.home.path(format!("{name}.der")), "CRL");
    }
    require_only_exceptions(&jobs.run(), &tool::source_root().join("tests/pkilint/exceptions.txt"));
    wrong_scopes(&parts);
}

/// `ca check urls` where a CRL of another scope stands at the place that a certificate names.
fn wrong_scopes(parts: &Parts) {
    let (home, alice, mallory) = (&parts.pki.home, &parts.alice, &parts.mallory);
    // Of an authority, all parts are looked at, and their delta CRLs.
    let mut own = home.ca("check urls issuing").run();
    for part in [alice, mallory] {
        own = own.says(&[&format!("/crl/{part}.crl"), &format!("/crl/{part}-delta.crl")]);
    }
    // Certificates that name the CRL by reason, or that of authorities.
    let url = format!("{}/crl/{{authority}}", parts.pki.publisher_gate.url());
    edit(&parts.pki, "home/ca.yaml", "  crl_shards: 2\n", "");
    let delta = format!("  delta_crl: \"{url}-{{shard}}-of-{{shards}}-delta.crl\"\n");
    edit(&parts.pki, "home/ca.yaml", &delta, "");
    let mut named = "{shard}-of-{shards}".to_owned();
    for name in ["lost", "authorities"] {
        edit(&parts.pki, "home/ca.yaml", &named, name);
        named = name.to_owned();
        parts.pki.person_by_request(name, "smime-signing", Key::P256);
    }
    let port = free_port();
    let www = home.path("www/crl");
    fs::create_dir_all(&www).expect("make a directory");
    let server = format!(
        "server {{ listen 127.0.0.1:{port}; root {}; types {{ application/pkix-crl crl; }} }}\n",
        home.path("www").display()
    );
    let _server = nginx(home, "nginx", &server, &[port]);
    for file in fs::read_dir(home.path("published/crl")).expect("read a directory") {
        let file = file.expect("a file");
        fs::copy(file.path(), www.join(file.file_name())).expect("copy a file");
    }
    parts.pki.publisher_gate.forward_to(port);
    let verdict = |person: &str, kind: &str| {
        let outcome = home.ca(&format!("--json check urls {person}.crt --chain chain.pem")).run();
        let all = outcome.json()["urls"].as_array().expect("URLs").clone();
        // A delta CRL is named by the full CRL and by the certificate.
        let of_kind = all.iter().filter(|url| url["kind"] == kind);
        of_kind.map(|url| format!("{} {}", url["verdict"], url["detail"])).collect::<Vec<_>>()
    };
    let (full, delta) = (format!("{alice}.crl"), format!("{alice}-delta.crl"));
    for kind in ["crl", "delta-crl"] {
        let good = verdict("alice", kind);
        assert!(good.iter().all(|found| found.starts_with("\"ok\"")), "{good:?}");
    }
    for (person, kind, at, stands, reason) in [
        ("alice", "crl", &full, format!("{mallory}.crl"), "another place"),
        ("alice", "crl", &full, "issuing-users.crl".to_owned(), "another place"),
        ("alice", "crl", &full, delta.clone(), "it is a delta CRL"),
        ("alice", "delta-crl", &delta, full.clone(), "it is a full CRL"),
        ("alice", "delta-crl", &delta, format!("{mallory}-delta.crl"), "another place"),
        ("lost", "crl", &"issuing-lost.crl".to_owned(), "issuing-lost.crl".to_owned(), "some reasons only"),
        (
            "authorities",
            "crl",
            &"issuing-authorities.crl".to_owned(),
            "issuing-authorities.crl".to_owned(),
            "does not cover certificates of this kind",
        ),
    ] {
        let held = fs::read(www.join(at)).expect("read a CRL");
        fs::write(www.join(at), fs::read(home.path("published/crl").join(&stands)).expect("read a CRL"))
            .expect("write");
        let found = verdict(person, kind);
        let is_told = found.iter().any(|found| found.starts_with("\"wrong\"") && found.contains(reason));
        assert!(is_told, "{stands} at {at}: {found:?}");
        fs::write(www.join(at), held).expect("write a CRL");
    }
}

trait Show {
    fn ok_or_show(&self);
}

impl Show for Outcome {
    #[track_caller]
    fn ok_or_show(&self) {
        assert_eq!(self.code, Some(0), "{}", self.transcript());
    }
}

fn gnutls(parts: &Parts) {
    let verified = |person: &str, crl: &str| {
        parts
            .pki
            .home
            .tool("certtool", "--verify --load-ca-certificate chain.pem --load-crl")
            .arg(format!("{crl}.pem"))
            .words("--infile")
            .arg(format!("{person}.crt"))
            .run()
    };
    verified("alice", &parts.alice).says(&["Chain verification output: Verified"]);
    verified("mallory", &parts.mallory).says(&["revoked"]);
}

/// NSS takes the CRL of everything with its freshestCRL. It does not know issuing
/// distribution points and refuses the CRL of a part: no answer, not a wrong one.
fn nss(parts: &Parts) {
    let home = &parts.pki.home;
    fs::create_dir(home.path("db")).expect("make a directory");
    home.tool("certutil", "-N -d sql:db --empty-password").ok();
    for (name, trust) in [("root", "C,C,C"), ("issuing", ",,")] {
        home.tool("certutil", &format!("-A -d sql:db -n {name} -i {name}.crt -t {trust}")).ok();
    }
    home.tool("crlutil", "-I -d sql:db -i issuing.der").ok();
    home.tool("crlutil", "-L -d sql:db").ok().says(&["issuing "]);
    for name in ["root", "issuing", "alice", "mallory"] {
        let der = home.tool("openssl", "x509 -outform DER -in").arg(format!("{name}.crt"));
        der.arg("-out").arg(format!("{name}.x509.der")).ok();
    }
    let validated = |person: &str| {
        let words = format!("{person}.x509.der issuing.x509.der -t root.x509.der");
        home.tool("vfychain", "-d sql:db -pp -u 4 -g leaf -m crl -s failIfNoInfo").words(&words).run()
    };
    validated("alice").says(&["Chain is good!"]);
    validated("mallory").says(&["Chain is bad!", "-8180"]);
    let refused = home.tool("crlutil", &format!("-I -d sql:db -i {}.der", parts.mallory)).run();
    assert!(refused.code != Some(0), "{}", refused.transcript());
}
