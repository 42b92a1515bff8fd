//! CRLs taken to real servers: rsync, SFTP, an object store, OpenLDAP, Active Directory (Samba).

#[path = "crl_targets/directories.rs"]
mod directories;
#[path = "crl_targets/race.rs"]
mod race;

use chancery_tests::daemon::wait_for;
use chancery_tests::kerberos;
use chancery_tests::server::LIMIT;
use chancery_tests::tool::{python, source_root};
use chancery_tests::{Daemon, Home, Tool};
use std::fs;
use std::time::Duration;

const SFTP_SERVER: &str = "/usr/lib/openssh/sftp-server";

/// A home with CRLs and certificates of `issuing` and `root` for a publisher that has no key.
fn home() -> Home {
    let home = Home::prepared();
    for name in ["issuing", "root"] {
        issue(&home, name);
        home.ca(&format!("authority export {name} --out {name}.pem")).ok();
    }
    home
}

/// Issues a new CRL; the publisher finds it.
fn issue(home: &Home, name: &str) -> Vec<u8> {
    let words = format!("crl issue {name} --out {name}.new --passphrase-file passphrase");
    home.ca(&words).ok();
    let crl = fs::read(home.path(format!("{name}.new"))).expect("a CRL");
    fs::rename(home.path(format!("{name}.new")), home.path(format!("{name}.crl"))).expect("rename");
    crl
}

/// A publisher with these targets.
fn publisher(home: &Home, targets: &str) -> Daemon {
    publisher_in(home, targets, |tool| tool)
}

/// The same, started as `wrap` says.
fn publisher_in(home: &Home, targets: &str, wrap: impl FnOnce(Tool) -> Tool) -> Daemon {
    let mut authorities = "authorities:\n".to_owned();
    for name in ["issuing", "root"] {
        authorities.push_str(&format!(
            "  - {{name: {name}, certificate: {name}.pem, mode: distribute, source: {name}.crl}}\n"
        ));
    }
    start(home, &authorities, targets, wrap)
}

/// A publisher with these lines for its authorities.
fn start(home: &Home, authorities: &str, targets: &str, wrap: impl FnOnce(Tool) -> Tool) -> Daemon {
    let config = format!(
        "listen: 127.0.0.1:0\ndirectory: published\nstate_dir: state\n{authorities}targets:\n{targets}"
    );
    let path = home.write_private("publisher.yaml", config);
    let name = "crl-publisher";
    let program = if targets.contains("gssapi") { kerberos::ours(name) } else { Tool::ours(name) };
    Daemon::start_tool(wrap(program.arg("--config").arg(&path)), &path)
}

fn read(home: &Home, name: &str) -> Vec<u8> {
    fs::read(home.path(name)).unwrap_or_default()
}

#[track_caller]
fn arrives(what: &str, daemon: &Daemon, crl: &[u8], mut read: impl FnMut() -> Vec<u8>) {
    let began = std::time::Instant::now();
    wait_for(what, LIMIT, || {
        assert!(began.elapsed() < LIMIT - Duration::from_secs(2), "{what}\n{}", daemon.log());
        (read() == crl).then_some(())
    });
}

#[test]
fn by_rsync_and_sftp() {
    let home = home();
    let at = home.work().display();
    for name in ["rsync", "sftp"] {
        fs::create_dir(home.path(name)).expect("make a directory");
    }
    let put = format!(
        "#!/bin/sh\nset -e\nprintf 'put %s .%s.new\\nrename .%s.new %s\\n' \"$1\" \"$2\" \"$2\" \"$2\" |\n\
         sftp -q -b - -D '{SFTP_SERVER} -d {at}/sftp'\n"
    );
    let get = format!(
        "#!/bin/sh\nset -e\nwork=$(mktemp -d)\ntrap 'rm -rf \"$work\"' EXIT\n\
         printf 'get %s %s/got\\n' \"$1\" \"$work\" | sftp -q -b - -D '{SFTP_SERVER} -d {at}/sftp' >/dev/null\n\
         cat \"$work/got\"\n"
    );
    home.write_private("put", put);
    home.write_private("get", get);
    let daemon = publisher(
        &home,
        &format!(
            "  - name: rsync\n    files: crls\n    alarm_after: 0s\n    \
             command: [rsync, --delay-updates, --chmod=F644, \"{{file}}\", \"{at}/rsync/{{name}}\"]\n    \
             verify: [cat, \"{at}/rsync/{{name}}\"]\n\
             \x20 - name: sftp\n    files: crls\n    command: [sh, {at}/put, \"{{file}}\", \"{{name}}\"]\n    \
             verify: [sh, {at}/get, \"{{name}}\"]\n\
             \x20 - name: log\n    authorities: [root]\n    files: crls\n    \
             command: [sh, -c, 'echo \"$0\" >> {at}/log; sha256sum >> {at}/log', \"{{path}} {{number}}\"]\n"
        ),
    );
    let first = read(&home, "issuing.crl");
    for name in ["rsync", "sftp"] {
        arrives(name, &daemon, &first, || read(&home, &format!("{name}/issuing.crl")));
    }
    // A hook gets the CRL on its input, and which it is.
    let sum = Tool::new("sha256sum").input(read(&home, "root.crl")).ok().text();
    let log = wait_for("the hook", LIMIT, || Some(home.read("log")).filter(|log| log.contains(&sum)));
    assert!(log.starts_with("crl/root.crl ") && log.lines().count() == 2, "{log}");

    let second = issue(&home, "issuing");
    for name in ["rsync", "sftp"] {
        arrives(name, &daemon, &second, || read(&home, &format!("{name}/issuing.crl")));
    }

    // What a program says when it fails is in the alarm.
    fs::remove_dir_all(home.path("rsync")).expect("remove");
    fs::write(home.path("rsync"), "in the way").expect("write");
    issue(&home, "issuing");
    wait_for("the alarm", LIMIT, || {
        let log = daemon.log();
        (log.contains("ALARM: a target is behind") && log.contains("rsync: ")).then_some(())
    });
    let health = Tool::new("curl").args(["-s", &format!("http://127.0.0.1:{}/healthz", daemon.port())]).ok();
    health.says(&["target rsync: a target is behind"]).never_says(&["target sftp"]);
    assert_eq!(daemon.terminate(), Some(0));
    // And the next start knows of it without trying.
    Tool::ours("crl-publisher")
        .args(["--check", "--config"])
        .arg(home.path("publisher.yaml"))
        .run()
        .fails(1, &["target rsync: a target is behind"]);
}

#[test]
fn to_an_object_store() {
    let home = home();
    let server =
        Tool::new(python()).arg(source_root().join("tests/s3/server.py")).words("AKIATEST s3-secret");
    let store = Daemon::start_tool(server, home.work());
    let base = format!("http://127.0.0.1:{}/pki", store.port());
    let curl = |words: &str, path: &str| {
        let url = format!("{base}{path}");
        Tool::new("curl").args(["-s", "-H", "X-Test: unsigned", "-H", "Expect:"]).words(words).arg(url).ok()
    };
    let stands = || curl("", "/www/crl/issuing.crl").stdout;
    curl("-X PUT", "");
    let targets = format!(
        "  - name: bucket\n    alarm_after: 0s\n    retry_at_most: 1s\n    s3: {{endpoint: 'http://127.0.0.1:{}', \
         region: us-east-1, bucket: pki, prefix: /www/, access_key: AKIATEST, secret_key_file: secret}}\n",
        store.port()
    );
    // Without its secret the target waits, and the publisher does not.
    let daemon = publisher(&home, &targets);
    Tool::new("curl")
        .args(["-s", &format!("http://127.0.0.1:{}/healthz", daemon.port())])
        .ok()
        .says(&["target bucket: a target lacks a secret or certificate"]);
    home.write_private("secret", "s3-secret\n");
    arrives("the CRL", &daemon, &read(&home, "issuing.crl"), stands);
    let head = curl("-I", "/www/crl/issuing.crl").text().to_lowercase();
    assert!(head.contains("content-type: application/pkix-crl"), "{head}");
    assert!(head.contains("cache-control: public, max-age=3600"), "{head}");
    let root = Tool::new("openssl").within(home.work()).words("x509 -in root.pem -outform DER").ok().stdout;
    arrives("the certificate", &daemon, &root, || curl("", "/www/ca/root.crt").stdout);
    let second = issue(&home, "issuing");
    arrives("the second CRL", &daemon, &second, stands);
    assert_eq!(daemon.terminate(), Some(0));

    // What stands there is not overwritten if it is newer, even by one who lost his state.
    let newer = issue(&home, "issuing");
    fs::write(home.path("issuing.crl"), &second).expect("write");
    fs::remove_dir_all(home.path("state")).expect("remove");
    curl(&format!("-T {}", home.write_private("newer", &newer).display()), "/www/crl/issuing.crl");
    let daemon = publisher(&home, &targets);
    wait_for("the alarm", LIMIT, || daemon.log().contains("which is not older than").then_some(()));
    assert_eq!(stands(), newer);
    drop(daemon);

    // A wrong secret is refused, told, and not in the log.
    fs::remove_dir_all(home.path("state")).expect("remove");
    home.write_private("secret", "wrong-secret\n");
    let daemon = publisher(&home, &targets);
    wait_for("the alarm", LIMIT, || daemon.log().contains("SignatureDoesNotMatch").then_some(()));
    assert!(!daemon.log().contains("wrong-secret"));
    // It is read anew with each attempt.
    home.write_private("secret", "s3-secret\n");
    wait_for("the newer one", LIMIT, || daemon.log().contains("which is not older than").then_some(()));
}
